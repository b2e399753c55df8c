/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The walk over a group's members with the schema in hand. Control thread. Never knows a single key by its
 * name.
 */
#include "config/reader.h"
#include "config/nearest.h"
#include "config/value.h"

#include <inttypes.h>

static void *field_of(const struct targets *targets, const struct key *key)
{
    return (char *)targets->at[key->into] + key->offset;
}

void reader_defaults(struct loader *loader, enum context context, const struct targets *targets)
{
    size_t n;
    const struct key *keys = schema_keys(&n);

    for (size_t i = 0; i < n; i++) {
        const struct key *key = &keys[i];

        if (!schema_stands_in(key, context))
            continue;
        if (key->type == KEY_GROUP)
            reader_defaults(loader, key->inside, targets);
        else if (value_is_single(key) && (key->into != INTO_SETTINGS || context == CONTEXT_MAIN))
            value_read_fallback(loader, key, field_of(targets, key));
    }
}

/* "it belongs in a site or in a location"; false when the name stands nowhere. */
static bool write_homes(const char *name, char *text, size_t size)
{
    size_t len = 0;

    text[0] = '\0';
    for (enum context c = 0; c < N_CONTEXTS && len < size; c++)
        if (schema_find(c, name) != NULL)
            len += (size_t)snprintf(text + len, size - len, "%s%s", len > 0 ? " or in " : "",
                                    schema_context_name(c));
    return len > 0;
}

static const char *find_nearest(const char *name, enum context context, const struct extra_keys *extra)
{
    size_t n;
    const struct key *keys = schema_keys(&n);
    struct nearest nearest = {.word = name};

    for (size_t i = 0; i < n; i++)
        if (schema_stands_in(&keys[i], context))
            nearest_offer(&nearest, keys[i].name);
    for (size_t i = 0; extra != NULL && i < extra->n; i++)
        nearest_offer(&nearest, extra->keys[i].name);
    return nearest.best;
}

static void report_unknown(struct loader *loader, const struct node *node, enum context context,
                           const struct extra_keys *extra)
{
    char homes[256];
    const char *where = schema_context_name(context), *best = find_nearest(node->name, context, extra);

    if (extra != NULL && extra->unknown)
        return;
    if (write_homes(node->name, homes, sizeof homes))
        errors_add(loader->errors, node->place, "\"%s\" cannot stand in %s; it belongs in %s", node->name,
                   where, homes);
    else if (best != NULL)
        errors_add(loader->errors, node->place, "unknown key \"%s\" in %s; did you mean \"%s\"?", node->name,
                   where, best);
    else
        errors_add(loader->errors, node->place, "unknown key \"%s\" in %s", node->name, where);
}

static void check_members(struct loader *loader, const struct key *key, const struct node *node,
                          enum node_kind kind)
{
    char phrase[320];

    for (size_t i = 0; i < node->n; i++) {
        const struct node *member = &node->children[i];

        if (member->kind != kind)
            errors_add(loader->errors, member->place, "\"%s\" must be %s", key->name,
                       value_describe(key, phrase, sizeof phrase));
        else if (key->type == KEY_STATUSES && (member->integer < key->min || member->integer > key->max))
            errors_add(loader->errors, member->place, "\"%s\" is %lld, but must be %" PRId64 " to %" PRId64,
                       key->name, member->integer, key->min, key->max);
    }
}

/* Statuses may be numbers, ranges are strings. */
static void check_ranges(struct loader *loader, const struct key *key, const struct node *node)
{
    char phrase[320];

    for (size_t i = 0; i < node->n; i++)
        if (node->children[i].kind != NODE_STRING && node->children[i].kind != NODE_INT)
            errors_add(loader->errors, node->children[i].place, "\"%s\" must be %s", key->name,
                       value_describe(key, phrase, sizeof phrase));
}

/* The shape of what has no single value; its owner reads it later, and can then rely on the kinds. */
static void check_shape(struct loader *loader, const struct key *key, const struct node *node)
{
    char phrase[320];
    enum node_kind kind = node->kind;
    struct node alone = {.kind = NODE_LIST, .n = 1, .children = node};

    if (key->type == KEY_NAMED && kind == NODE_GROUP)
        check_members(loader, key, node, NODE_GROUP);
    else if (key->type == KEY_LIST && kind == NODE_LIST)
        check_members(loader, key, node, NODE_GROUP);
    else if (key->type == KEY_STRINGS && (kind == NODE_STRING || kind == NODE_LIST))
        check_members(loader, key, kind == NODE_LIST ? node : &alone, NODE_STRING);
    else if (key->type == KEY_STATUSES && (kind == NODE_INT || kind == NODE_LIST))
        check_members(loader, key, kind == NODE_LIST ? node : &alone, NODE_INT);
    else if (key->type == KEY_RANGES && (kind == NODE_INT || kind == NODE_STRING || kind == NODE_LIST))
        check_ranges(loader, key, kind == NODE_LIST ? node : &alone);
    else if (key->type == KEY_HEADERS && (kind == NODE_GROUP || kind == NODE_LIST))
        check_members(loader, key, node, kind == NODE_GROUP ? NODE_STRING : NODE_GROUP);
    else
        errors_add(loader->errors, node->place, "\"%s\" must be %s", key->name,
                   value_describe(key, phrase, sizeof phrase));
}

static const struct key *find_key(enum context context, const char *name, const struct extra_keys *extra)
{
    const struct key *key = schema_find(context, name);

    for (size_t i = 0; key == NULL && extra != NULL && i < extra->n; i++)
        if (strcmp(extra->keys[i].name, name) == 0)
            key = &extra->keys[i];
    return key;
}

static void check_required(struct loader *loader, const struct node *group, enum context context)
{
    size_t n;
    const struct key *keys = schema_keys(&n);

    for (size_t i = 0; i < n; i++) {
        const struct key *key = &keys[i];

        if (schema_stands_in(key, context) && (key->flags & KEY_REQUIRED) != 0 &&
            node_member(group, key->name) == NULL)
            errors_add(loader->errors, group->place, "\"%s\" is missing in %s", key->name,
                       schema_context_name(context));
    }
}

void reader_group(struct loader *loader, const struct node *group, enum context context,
                  const struct targets *targets, const struct extra_keys *extra)
{
    if (group->kind != NODE_GROUP)
        return;
    for (size_t i = 0; i < group->n; i++) {
        const struct node *node = &group->children[i];
        const struct key *key = find_key(context, node->name, extra);

        if (key == NULL)
            report_unknown(loader, node, context, extra);
        else if (value_is_single(key))
            (void)value_read(loader, key, node, field_of(targets, key));
        else if (key->type == KEY_GROUP && node->kind == NODE_GROUP)
            reader_group(loader, node, key->inside, targets, NULL);
        else
            check_shape(loader, key, node);
    }
    check_required(loader, group, context);
}

struct node reader_member(const struct node *group, const char *name, enum node_kind kind)
{
    const struct node *member = node_member(group, name);
    struct node none = {.kind = kind};

    return member != NULL && member->kind == kind ? *member : none;
}
