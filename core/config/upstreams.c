/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From the group of a file to a pool. The options of a strategy are read like any other key, by rows made of
 * its own table. Control thread; blocks on modules and, in servers.c, on names.
 */
#include "config/upstreams.h"
#include "config/checks.h"
#include "config/compose.h"
#include "config/groups.h"
#include "config/nearest.h"
#include "config/reader.h"
#include "config/servers.h"
#include "config/value.h"
#include "upstream/strategy.h"

#include <assert.h>

/* Of a snapshot that never served: nobody has links to its servers. A pool that serves has references of its own. */
static void release_pool(void *pool)
{
    server_states_discard(pool_put(pool));
}

static void release_strategy(void *strategy)
{
    strategy_unload(strategy);
}

const struct upstream *upstreams_find(const struct storage *storage, const char *name)
{
    for (size_t i = 0; i < storage->n_upstreams; i++)
        if (storage->upstreams[i]->written && strcasecmp(storage->upstreams[i]->name, name) == 0)
            return storage->upstreams[i];
    return NULL;
}

const char *upstreams_nearest(const struct storage *storage, const char *name)
{
    struct nearest nearest = {.word = name};

    for (size_t i = 0; i < storage->n_upstreams; i++)
        if (storage->upstreams[i]->written)
            nearest_offer(&nearest, storage->upstreams[i]->name);
    return nearest.best;
}

/* NULL with the finding added when there are too many. */
static struct upstream *add_upstream(struct loader *loader, struct place place, const char *name)
{
    struct storage *storage = loader->storage;

    if (storage->n_upstreams == LOAD_UPSTREAMS_MAX) {
        errors_add(loader->errors, place, "more than %u upstreams", LOAD_UPSTREAMS_MAX);
        return NULL;
    }
    struct upstream *upstream = arena_alloc(loader->keep, 1, sizeof *upstream);
    upstream->name = arena_copy(loader->keep, name, strlen(name));
    upstream->place = place;
    upstream->spec.name = upstream->name;
    upstream->spec.balancers_dir = storage->balancers_dir;
    storage->upstreams[storage->n_upstreams++] = upstream;
    return upstream;
}

/* Copies, since the module may be unloaded before the snapshot is printed. */
static void make_option_keys(struct loader *loader, struct upstream *upstream,
                             const struct fairlead_option *table)
{
    static const enum key_type key_types[] = {
        [FAIRLEAD_OPTION_INT] = KEY_INT,
        [FAIRLEAD_OPTION_BOOL] = KEY_BOOL,
        [FAIRLEAD_OPTION_TIME_MS] = KEY_TIME,
    };
    size_t n = 0;

    while (table != NULL && table[n].name != NULL)
        n++;
    struct key *keys = arena_alloc(loader->keep, n, sizeof *keys);
    upstream->options = arena_alloc(loader->keep, n, sizeof upstream->options[0]);
    for (size_t i = 0; i < n; i++) {
        keys[i] = (struct key){
            .name = arena_copy(loader->keep, table[i].name, strlen(table[i].name)),
            .type = key_types[table[i].type],
            .into = INTO_OPTIONS,
            .offset = (uint16_t)(i * sizeof(int64_t)),
            .width = sizeof(int64_t),
            .min = table[i].min,
            .max = table[i].max,
        };
        upstream->options[i] = table[i].fallback;
    }
    upstream->option_keys = keys;
    upstream->n_options = n;
    upstream->spec.options = upstream->options;
}

/* Looks into the strategy's module for its options; the pool loads it again for itself. */
static bool read_option_table(struct loader *loader, const struct node *group, struct upstream *upstream)
{
    char error[512];
    struct strategy *strategy = arena_alloc(loader->scratch, 1, sizeof *strategy);
    void **slot = arena_slot(loader->scratch, release_strategy);
    const struct node *balance = node_member(group, "balance");
    const char *name = schema_find(CONTEXT_UPSTREAM, "balance")->fallback;
    struct place place = balance == NULL ? group->place : balance->place;

    if (balance != NULL && balance->kind == NODE_STRING)
        name = balance->string;
    if (strategy_load(upstream->spec.balancers_dir, name, strategy, error, sizeof error) != 0) {
        errors_add(loader->errors, place, "%s", error);
        return false;
    }
    *slot = strategy;
    make_option_keys(loader, upstream, strategy->balancer->options);
    return true;
}

static int make_pool(const struct loader *loader, const struct pool_spec *spec, struct pool **pool, char *error, size_t size)
{
    const struct config_options *options = loader->options;

    unsigned n_workers = loader->config->workers;

    return options && options->make_pool ? options->make_pool(options->context, spec, n_workers, pool, error, size)
                                         : pool_create(spec, n_workers, NULL, pool, error, size);
}

/* As many servers as the group may come to have. */
static size_t count_at_most(const struct server_list *list)
{
    size_t n = 0;

    for (size_t i = 0; i < list->n; i++) {
        const struct named_server *named = list->members[i].named;

        n += named ? named->found.n_places + named->found.n_backup : 1;
    }
    return n;
}

/* Leaves upstream->pool NULL when the pool cannot be made. */
static void make_group(struct loader *loader, struct upstream *upstream, const struct server_list *list)
{
    char error[512];
    void **slot = arena_slot(loader->keep, release_pool);
    struct member *members = arena_alloc(loader->keep, list->n, sizeof *members);
    struct composition composition;
    int result;

    if (count_at_most(list) > POOL_SERVERS_MAX) {
        errors_add(loader->errors, upstream->place, "upstream \"%s\" has %zu servers, and may have 1 to %u", upstream->name,
                   count_at_most(list), POOL_SERVERS_MAX);
        return;
    }
    if (list->n > 0)
        memcpy(members, list->members, list->n * sizeof *members);
    upstream->group.spec = upstream->spec;
    upstream->group.members = members;
    upstream->group.n_members = list->n;
    result = compose(&upstream->group, NULL, 0, &composition);
    if (result != 0)
        snprintf(error, sizeof error, "out of memory");
    else
        result = make_pool(loader, &composition.spec, &upstream->pool, error, sizeof error);
    compose_fini(&composition);
    if (result != 0) {
        errors_add(loader->errors, upstream->place, "%s", error);
        upstream->pool = NULL;
        return;
    }
    *slot = upstream->pool;
    upstream->pool_slot = slot;
}

static void read_upstream(struct loader *loader, const struct node *node)
{
    const struct upstream *other = upstreams_find(loader->storage, node->name);
    struct server_list list = {0};
    struct targets targets = {0};

    if (other != NULL) {
        errors_add(loader->errors, node->place, "the upstream \"%s\" is defined twice: first in %s:%u",
                   node->name, other->place.file->name, other->place.line);
        return;
    }
    struct upstream *upstream = add_upstream(loader, node->place, node->name);
    if (upstream == NULL)
        return;
    upstream->written = true;
    size_t errors_before = config_errors_count(loader->errors);
    bool known = read_option_table(loader, node, upstream);
    struct extra_keys extra = {upstream->n_options, upstream->option_keys, !known};
    targets.at[INTO_POOL] = &upstream->spec;
    targets.at[INTO_GROUP] = &upstream->group;
    targets.at[INTO_OPTIONS] = upstream->options;
    targets.at[INTO_CHECKS] = &upstream->checks;
    reader_defaults(loader, CONTEXT_UPSTREAM, &targets);
    reader_group(loader, node, CONTEXT_UPSTREAM, &targets, &extra);
    checks_read(loader, node, &upstream->checks);
    groups_read(loader, node, &upstream->group);
    servers_read(loader, node, upstream, &list);
    if (config_errors_count(loader->errors) == errors_before && !errors_is_full(loader->errors))
        make_group(loader, upstream, &list);
    if (upstream->pool != NULL)
        groups_check(loader, node, &upstream->group, upstream->pool);
}

void upstreams_read(struct loader *loader, const struct node *document)
{
    struct node groups = reader_member(document, "upstreams", NODE_GROUP);

    for (size_t i = 0; i < groups.n; i++)
        if (groups.children[i].kind == NODE_GROUP)
            read_upstream(loader, &groups.children[i]);
}

static struct upstream *find_made(const struct storage *storage, const char *name)
{
    for (size_t i = 0; i < storage->n_upstreams; i++)
        if (!storage->upstreams[i]->written && strcasecmp(storage->upstreams[i]->name, name) == 0)
            return storage->upstreams[i];
    return NULL;
}

/* The name under which equal URLs meet: the port is added where it is missing. */
static const char *complete_name(struct loader *loader, const char *authority)
{
    const char *last = strrchr(authority, ':');
    bool has_port = last != NULL && strchr(last, ']') == NULL;

    if (has_port || authority[0] == '\0')
        return authority;
    return arena_printf(loader->scratch, "%s:80", authority);
}

const struct upstream *upstreams_of_url(struct loader *loader, struct place place, const char *authority)
{
    const char *name = complete_name(loader, authority);
    struct upstream *upstream = find_made(loader->storage, name);
    struct server_entry entry = {0};
    struct server_list list = {0};
    struct targets targets = {0};

    if (upstream != NULL)
        return upstream;
    upstream = add_upstream(loader, place, name);
    if (upstream == NULL)
        return NULL;
    targets.at[INTO_POOL] = &upstream->spec;
    targets.at[INTO_GROUP] = &upstream->group;
    targets.at[INTO_SERVER] = &entry;
    targets.at[INTO_CHECKS] = &upstream->checks;
    reader_defaults(loader, CONTEXT_UPSTREAM, &targets);
    reader_defaults(loader, CONTEXT_SERVER, &targets);
    groups_read(loader, NULL, &upstream->group);
    entry.spec.name = authority;
    servers_add(loader, place, &entry, &list);
    if (list.n > 0)
        make_group(loader, upstream, &list);
    return upstream;
}

struct pool *config_take_pool(struct config *config, size_t index)
{
    const struct storage *storage = config->memory;
    struct pool *pool = storage->upstreams[index]->pool;

    assert(pool != NULL);
    *storage->upstreams[index]->pool_slot = storage->upstreams[index]->pool = config->pools[index] = NULL;
    return pool;
}

void upstreams_publish(struct loader *loader)
{
    struct storage *storage = loader->storage;
    struct config *config = loader->config;

    config->pools = arena_alloc(loader->keep, storage->n_upstreams, sizeof(struct pool *));
    config->groups = arena_alloc(loader->keep, storage->n_upstreams, sizeof(struct group *));
    for (size_t i = 0; i < storage->n_upstreams; i++) {
        struct upstream *upstream = storage->upstreams[i];

        assert(upstream->pool != NULL);
        upstream->group.index = (uint32_t)config->n_groups;
        upstream->group.health = checks_are_wanted(&upstream->checks) ? &upstream->checks.spec : NULL;
        config->pools[config->n_groups] = upstream->pool;
        config->groups[config->n_groups++] = &upstream->group;
    }
}
