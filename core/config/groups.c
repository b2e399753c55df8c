/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The lists of an upstream's groups `retry` and `passive`, and what must fit together; see groups.h. Control thread. */
#include "config/groups.h"

#include "config/reader.h"
#include "config/schema.h"
#include "http/names.h"

#include <stdlib.h>

#define HTTP_PREFIX "http_"

static const struct word causes[] = {
    {"error", RETRY_ERROR},
    {"timeout", RETRY_TIMEOUT},
    {"invalid_header", RETRY_INVALID_HEADER},
    {"non_idempotent", RETRY_NON_IDEMPOTENT},
    {NULL, 0},
};

/* The status of "http_503"; 0: it is none. */
static int read_status(const char *text)
{
    size_t prefix = sizeof HTTP_PREFIX - 1;

    if (strncmp(text, HTTP_PREFIX, prefix) != 0 || strlen(text) != prefix + 3 ||
        strspn(text + prefix, "0123456789") != 3)
        return 0;
    int status = atoi(text + prefix);
    return status >= 300 && status < 600 ? status : 0;
}

static void read_cause(struct loader *loader, const struct node *node, struct group *group)
{
    const struct word *word = causes;
    int status;

    if (node->kind != NODE_STRING)
        return; /* has been reported */
    while (word->name != NULL && strcmp(word->name, node->string) != 0)
        word++;
    status = read_status(node->string);
    if (word->name != NULL)
        group->retry.causes |= (uint32_t)word->value;
    else if (status != 0)
        status_set_add(&group->retry.statuses, status);
    else
        errors_add(loader->errors, node->place,
                   "\"%s\" is no reason to retry: there are \"error\", \"timeout\", \"invalid_header\", \"non_idempotent\", and "
                   "statuses from \"http_300\" to \"http_599\"",
                   node->string);
}

static void read_causes(struct loader *loader, const struct node *retry, struct group *group)
{
    const struct node *on = retry->kind == NODE_GROUP ? node_member(retry, "on") : NULL;

    group->retry.causes = on == NULL ? RETRY_ERROR | RETRY_TIMEOUT : 0;
    if (on == NULL)
        return;
    if (on->kind == NODE_STRING)
        read_cause(loader, on, group);
    for (size_t i = 0; on->kind == NODE_LIST && i < on->n; i++)
        read_cause(loader, &on->children[i], group);
}

static void read_statuses(const struct node *passive, struct group *group)
{
    const struct node *statuses = passive->kind == NODE_GROUP ? node_member(passive, "statuses") : NULL;
    const struct node *list = statuses;
    size_t n = statuses == NULL ? 0 : 1;

    if (statuses != NULL && statuses->kind == NODE_LIST) {
        list = statuses->children;
        n = statuses->n;
    }
    for (size_t i = 0; i < n; i++)
        if (list[i].kind == NODE_INT && list[i].integer >= 100 && list[i].integer < 600)
            status_set_add(&group->fail_statuses, (int)list[i].integer);
}

void groups_read(struct loader *loader, const struct node *node, struct group *group)
{
    struct node none = {.kind = NODE_GROUP};
    struct node retry = node == NULL ? none : reader_member(node, "retry", NODE_GROUP);
    struct node passive = node == NULL ? none : reader_member(node, "passive", NODE_GROUP);

    read_causes(loader, &retry, group);
    read_statuses(&passive, group);
}

static struct place place_of(const struct node *node, const char *name)
{
    const struct node *member = node_member(node, name);

    return member == NULL ? node->place : member->place;
}

static bool any_server(const struct pool *pool, bool (*is)(const struct server *server))
{
    for (size_t i = 0; i < pool_n_servers(pool); i++)
        if (is(pool_server(pool, i)))
            return true;
    return false;
}

static bool has_limit(const struct server *server)
{
    return server->max_conns > 0;
}

static bool has_route(const struct server *server)
{
    return server->route != NULL;
}

void groups_check(struct loader *loader, const struct node *node, const struct group *group,
                  const struct pool *pool)
{
    const char *balance = pool_strategy(pool);

    if (pool_key_kind(pool) == FAIRLEAD_KEYED && group->key == NULL)
        errors_add(loader->errors, place_of(node, "balance"), "the strategy \"%s\" needs a \"key\", as in key = \"$request_uri\"",
                   balance);
    if (pool_key_kind(pool) != FAIRLEAD_KEYED && group->key != NULL)
        errors_add(loader->errors, place_of(node, "key"), "the strategy \"%s\" has no use for a \"key\"", balance);
    if (group->queue_size > 0 && !any_server(pool, has_limit))
        errors_add(loader->errors, place_of(node, "queue"), "requests wait for \"max_conns\", which no server has");
    if (!http_is_token((struct span){group->sticky.cookie, strlen(group->sticky.cookie)}))
        errors_add(loader->errors, place_of(node, "sticky"), "\"%s\" cannot be the name of a cookie", group->sticky.cookie);
    if (strchr(group->sticky.path, ';') != NULL)
        errors_add(loader->errors, place_of(node, "sticky"), "\"%s\" cannot be the path of a cookie", group->sticky.path);
    if (group->sticky.kind == STICKY_ROUTE && !any_server(pool, has_route))
        errors_add(loader->errors, place_of(node, "sticky"), "a sticky route needs servers with \"route\", as in route = \"a\"");
}

void groups_print_causes(const struct group *group, FILE *out)
{
    const char *separator = "";

    fputs("on = [", out);
    for (const struct word *word = causes; word->name != NULL; word++) {
        if ((group->retry.causes & (uint32_t)word->value) == 0)
            continue;
        fprintf(out, "%s \"%s\"", separator, word->name);
        separator = ",";
    }
    for (int status = 300; status < 600; status++) {
        if (!status_set_has(&group->retry.statuses, status))
            continue;
        fprintf(out, "%s \"" HTTP_PREFIX "%d\"", separator, status);
        separator = ",";
    }
    fputs(" ];\n", out);
}

void groups_print_statuses(const struct group *group, FILE *out)
{
    const char *separator = "";

    fputs("statuses = [", out);
    for (int status = 100; status < 600; status++) {
        if (!status_set_has(&group->fail_statuses, status))
            continue;
        fprintf(out, "%s %d", separator, status);
        separator = ",";
    }
    fputs(" ];\n", out);
}
