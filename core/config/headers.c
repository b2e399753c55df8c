/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Rules from both ways of writing them: a group of names, or a list for names that libconfig cannot spell.
 * Control thread. Never lets a rule touch what frames a message or belongs to one hop (RFC 9110 7.6.1, RFC
 * 9112 6).
 */
#include "config/headers.h"
#include "config/reader.h"
#include "http/names.h"

static const char *const refused[] = {
    "Connection", "Content-Length", "Keep-Alive",        "Proxy-Connection",
    "TE",         "Trailer",        "Transfer-Encoding", "Upgrade",
};

struct rule_list {
    size_t n, room;
    struct header_rule *rules; /* in the scratch arena */
};

static struct span to_span(const char *text)
{
    return (struct span){text, strlen(text)};
}

static bool check_name(struct loader *loader, struct place place, const char *name, const char *value)
{
    if (!http_is_token(to_span(name))) {
        errors_add(loader->errors, place, "\"%s\" is not a header name", name);
        return false;
    }
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        if (strcasecmp(refused[i], name) != 0)
            continue;
        errors_add(loader->errors, place,
                   "the header \"%s\" frames a message or belongs to one hop; Fairlead writes it itself",
                   refused[i]);
        return false;
    }
    if (strcasecmp(name, "Host") == 0 && *value == '\0') {
        errors_add(loader->errors, place, "\"Host\" can be changed, but not removed");
        return false;
    }
    return true;
}

static void release_template(void *template)
{
    template_destroy(template);
}

/* NULL with the finding added, or when the rule is to remove. */
static struct template *read_value(struct loader *loader, struct place place, const char *name,
                                   const char *value)
{
    char error[256];
    struct template *template;

    if (*value == '\0')
        return NULL;
    if (!http_is_field_value(to_span(value))) {
        errors_add(loader->errors, place, "the value of \"%s\" must not have line ends or control characters",
                   name);
        return NULL;
    }
    void **slot = arena_slot(loader->keep, release_template);
    if (template_compile(value, &template, error, sizeof error) != 0) {
        errors_add(loader->errors, place, "the value of \"%s\" has %s", name, error);
        return NULL;
    }
    *slot = template;
    return template;
}

/* A later rule for the same header takes the place of the earlier one. */
static void drop_rule(struct rule_list *list, const char *name)
{
    size_t kept = 0;

    for (size_t i = 0; i < list->n; i++)
        if (!span_equals_nocase(list->rules[i].name, to_span(name)))
            list->rules[kept++] = list->rules[i];
    list->n = kept;
}

static void add_rule(struct loader *loader, struct rule_list *list, struct header_rule rule)
{
    list->rules = arena_grow(loader->scratch, list->rules, &list->room, list->n + 1, sizeof list->rules[0]);
    list->rules[list->n++] = rule;
}

static void read_rule(struct loader *loader, struct rule_list *list, struct place place,
                      const struct text *text)
{
    if (text->name == NULL || text->value == NULL || !check_name(loader, place, text->name, text->value))
        return;
    drop_rule(list, text->name);
    if (list->n == LOAD_HEADERS_MAX) {
        errors_add(loader->errors, place, "more than %u header rules", LOAD_HEADERS_MAX);
        return;
    }
    struct span name = {arena_copy(loader->keep, text->name, strlen(text->name)), strlen(text->name)};
    add_rule(loader, list, (struct header_rule){name, read_value(loader, place, text->name, text->value)});
}

/* `node` is a member of the group, or of the list. */
static void read_node(struct loader *loader, struct rule_list *list, const struct node *node, bool in_list)
{
    struct text text = {0};
    struct targets targets = {.at = {[INTO_TEXT] = &text}};

    if (in_list) {
        reader_group(loader, node, CONTEXT_HEADER, &targets, NULL);
    } else if (node->kind == NODE_STRING) {
        text.name = node->name;
        text.value = node->string;
    }
    read_rule(loader, list, node->place, &text);
}

struct header_rules headers_read(struct loader *loader, const struct node *group, const char *key,
                                 const struct header_rules *inherited)
{
    const struct node *node = node_member(group, key);
    struct rule_list list = {0};

    if (node == NULL)
        return *inherited;
    for (size_t i = 0; i < inherited->n; i++)
        add_rule(loader, &list, inherited->rules[i]);
    for (size_t i = 0; i < node->n; i++)
        read_node(loader, &list, &node->children[i], node->kind == NODE_LIST);

    struct header_rule *rules = arena_alloc(loader->keep, list.n, sizeof *rules);
    if (list.n > 0)
        memcpy(rules, list.rules, list.n * sizeof *rules);
    return (struct header_rules){list.n, rules};
}
