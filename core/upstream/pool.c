/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Pools: from what the configuration says of an upstream group to servers, tiers and plans. Control thread,
 * all of it but the flags and shares at the end, which the health thread changes too: here may be allocated, blocked and failed. What
 * pool_create made is not written to again, save for the atomics.
 */
#include "upstream/hash.h"
#include "upstream/passive.h"
#include "upstream/tier.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WEIGHT_MAX      65535u
#define DEFAULT_BALANCE "round_robin"

/* Where the sentence about a failure goes. */
struct complaint {
    char *text;
    size_t size;
};

static int out_of_memory(const struct complaint *complaint)
{
    snprintf(complaint->text, complaint->size, "out of memory");
    return -ENOMEM;
}

static int check_spec(const struct pool_spec *spec, const struct complaint *complaint)
{
    size_t n_primaries = 0;

    if (spec->n_servers == 0 || spec->n_servers > POOL_SERVERS_MAX) {
        snprintf(complaint->text, complaint->size, "upstream \"%s\" has %zu servers, and may have 1 to %u",
                 spec->name, spec->n_servers, POOL_SERVERS_MAX);
        return -EINVAL;
    }
    for (size_t i = 0; i < spec->n_servers; i++) {
        const struct server_spec *server = &spec->servers[i];

        n_primaries += !server->backup;
        if (server->weight > WEIGHT_MAX || server->max_fails > POOL_FAILS_MAX) {
            snprintf(complaint->text, complaint->size,
                     "server \"%s\" of upstream \"%s\": weight %u is not in 0 to %u, or max_fails %u not in 0 to %u",
                     server->name, spec->name, server->weight, WEIGHT_MAX, server->max_fails, POOL_FAILS_MAX);
            return -EINVAL;
        }
    }
    if (n_primaries == 0) {
        snprintf(complaint->text, complaint->size, "upstream \"%s\" has only backup servers", spec->name);
        return -EINVAL;
    }
    return 0;
}

/* Strings are borrowed until here, and owned by the pool from here on. */
static int copy_settings(struct pool *pool, const struct pool_spec *spec)
{
    pool->settings = *spec;
    pool->settings.options = NULL;
    pool->settings.servers = NULL;
    pool->settings.name = strdup(spec->name);
    pool->settings.balance = strdup(spec->balance ? spec->balance : DEFAULT_BALANCE);
    pool->settings.balancers_dir = strdup(spec->balancers_dir);
    return pool->settings.name && pool->settings.balance && pool->settings.balancers_dir ? 0 : -ENOMEM;
}

static uint32_t configured_flags(const struct server_spec *spec)
{
    return (spec->down ? SERVER_DOWN : 0u) | (spec->drain ? SERVER_DRAIN : 0u) | (spec->absent ? SERVER_ABSENT : 0u);
}

static int copy_server(struct server *server, const struct server_spec *spec, uint32_t index)
{
    snprintf(server->name, sizeof server->name, "%s", spec->name);
    server->hash = hash_text(spec->name, strlen(spec->name), 0);
    server->address = spec->address;
    server->weight = spec->weight;
    server->max_conns = spec->max_conns;
    server->slow_start_ms = spec->slow_start_ms;
    server->max_fails = spec->max_fails;
    server->fail_timeout_ms = spec->fail_timeout_ms;
    server->backup = spec->backup;
    server->index = index;
    atomic_init(&server->flags, configured_flags(spec));
    atomic_init(&server->share, SHARE_WHOLE);
    if (spec->route && !(server->route = strdup(spec->route)))
        return -ENOMEM;
    if (spec->max_fails < 2)
        return 0;
    server->failed_at_ms = calloc(spec->max_fails - 1, sizeof *server->failed_at_ms);
    return server->failed_at_ms ? 0 : -ENOMEM;
}

static int copy_servers(struct pool *pool, const struct pool_spec *spec)
{
    size_t size = spec->n_servers * sizeof *pool->servers;

    pool->servers = aligned_alloc(_Alignof(struct server), size);
    pool->positions = calloc(spec->n_servers, sizeof *pool->positions);
    if (!pool->servers || !pool->positions)
        return -ENOMEM;
    memset(pool->servers, 0, size); /* the atomics too: every one of them may begin with 0 */
    pool->n_servers = spec->n_servers;
    for (size_t i = 0; i < spec->n_servers; i++) {
        pool->limited |= spec->servers[i].max_conns > 0;
        pool->n_present += !spec->servers[i].absent;
        if (copy_server(&pool->servers[i], &spec->servers[i], (uint32_t)i) != 0)
            return -ENOMEM;
    }
    return 0;
}

static size_t count_servers(const struct pool *pool, bool backup)
{
    size_t n = 0;

    for (size_t i = 0; i < pool->n_servers; i++)
        n += pool->servers[i].backup == backup;
    return n;
}

/* How many servers before this one in the tier have its name. */
static uint64_t count_namesakes(const struct tier *tier, uint32_t position)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < position; i++)
        n += strcmp(tier->names[i], tier->names[position]) == 0;
    return n;
}

static bool allocate_tier(struct tier *tier, size_t n)
{
    tier->servers = calloc(n, sizeof *tier->servers);
    tier->names = calloc(n, sizeof *tier->names);
    tier->indices = calloc(n, sizeof *tier->indices);
    tier->in_flight = aligned_alloc(64, (n * sizeof *tier->in_flight + 63) / 64 * 64);
    if (tier->in_flight)
        memset(tier->in_flight, 0, n * sizeof *tier->in_flight);
    return tier->servers && tier->names && tier->indices && tier->in_flight;
}

static int fill_tier(struct pool *pool, struct tier *tier, bool backup)
{
    size_t n = count_servers(pool, backup);
    uint32_t position = 0;

    if (n == 0)
        return 0;
    if (!allocate_tier(tier, n))
        return -ENOMEM;
    for (uint32_t i = 0; i < pool->n_servers; i++) {
        struct server *server = &pool->servers[i];

        if (server->backup != backup)
            continue;
        memcpy(tier->names[position], server->name, SERVER_NAME_MAX);
        tier->servers[position] = (struct fairlead_server){
            .name = tier->names[position],
            .hash = hash_text(server->name, strlen(server->name), count_namesakes(tier, position)),
            .weight = server->weight,
        };
        server->in_flight = &tier->in_flight[position];
        tier->indices[position] = i;
        pool->positions[i] = position++;
    }
    tier->set = (struct fairlead_set){.n_servers = n, .servers = tier->servers, .in_flight = tier->in_flight};
    return 0;
}

static size_t count_options(const struct fairlead_option *table)
{
    size_t n = 0;

    while (table && table[n].name)
        n++;
    return n;
}

/* The options as the strategy gets them: those given, or the fallbacks. Owned by the caller. */
static int make_options(const struct fairlead_option *table, const int64_t *given, int64_t **values,
                        const struct complaint *complaint)
{
    size_t n = count_options(table);

    *values = calloc(n + 1, sizeof **values);
    if (!*values)
        return out_of_memory(complaint);
    for (size_t i = 0; i < n; i++) {
        int64_t value = given ? given[i] : table[i].fallback;

        if (value < table[i].min || value > table[i].max) {
            snprintf(complaint->text, complaint->size,
                     "%s is %" PRId64 ", and must be from %" PRId64 " to %" PRId64, table[i].name, value,
                     table[i].min, table[i].max);
            free(*values);
            *values = NULL;
            return -EINVAL;
        }
        (*values)[i] = value;
    }
    return 0;
}

static int make_plans(struct pool *pool, const int64_t *given, const struct complaint *complaint)
{
    const struct fairlead_balancer *balancer = pool->strategy.balancer;
    int64_t *options;
    int result = make_options(balancer->options, given, &options, complaint);

    for (int i = 0; result == 0 && balancer->plan_create && i < N_TIERS; i++) {
        struct tier *tier = &pool->tiers[i];
        void *plan = NULL;

        if (tier->set.n_servers == 0)
            continue;
        if (balancer->plan_create(&tier->set, options, &plan, complaint->text, complaint->size) == 0)
            tier->plan = plan;
        else
            result = -EINVAL;
    }
    free(options);
    return result;
}

/* What all workers share with a strategy. Whole cache lines, at least one. */
static int make_shared(struct pool *pool)
{
    const struct fairlead_balancer *balancer = pool->strategy.balancer;

    for (int i = 0; balancer->shared_size && i < N_TIERS; i++) {
        struct tier *tier = &pool->tiers[i];

        if (tier->set.n_servers == 0)
            continue;
        size_t size = (balancer->shared_size(&tier->set, tier->plan) / 64 + 1) * 64;
        tier->shared = aligned_alloc(64, size);
        if (!tier->shared)
            return -ENOMEM;
        memset(tier->shared, 0, size);
        balancer->shared_init(tier->shared, &tier->set, tier->plan);
    }
    return 0;
}

static int build(struct pool *pool, const struct pool_spec *spec, const struct complaint *complaint)
{
    int result;

    if (copy_settings(pool, spec) != 0 || copy_servers(pool, spec) != 0)
        return out_of_memory(complaint);
    if (fill_tier(pool, &pool->tiers[TIER_PRIMARY], false) != 0 ||
        fill_tier(pool, &pool->tiers[TIER_BACKUP], true) != 0)
        return out_of_memory(complaint);
    result = strategy_load(spec->balancers_dir, pool->settings.balance, &pool->strategy, complaint->text,
                           complaint->size);
    if (result == 0)
        result = make_plans(pool, spec->options, complaint);
    if (result == 0 && make_shared(pool) != 0)
        return out_of_memory(complaint);
    return result;
}

int pool_create(const struct pool_spec *spec, struct pool **pool, char *error, size_t error_size)
{
    const struct complaint complaint = {error, error_size};
    int result = check_spec(spec, &complaint);

    *pool = NULL;
    if (result != 0)
        return result;
    struct pool *made = aligned_alloc(_Alignof(struct pool), sizeof *made);
    if (!made)
        return out_of_memory(&complaint);
    memset(made, 0, sizeof *made);
    /* A picker begins with version 0, so that its first pick looks at every server. */
    atomic_init(&made->version, 1);
    result = build(made, spec, &complaint);
    if (result != 0) {
        pool_destroy(made);
        return result;
    }
    *pool = made;
    return 0;
}

static void destroy_tier(const struct pool *pool, struct tier *tier)
{
    if (tier->plan)
        pool->strategy.balancer->plan_destroy(tier->plan);
    free(tier->shared);
    free(tier->servers);
    free(tier->names);
    free(tier->indices);
    free(tier->in_flight);
}

/* Also takes what pool_create had made before it failed: everything not made yet is zero. */
void pool_destroy(struct pool *pool)
{
    if (!pool)
        return;
    for (int i = 0; i < N_TIERS; i++)
        destroy_tier(pool, &pool->tiers[i]);
    strategy_unload(&pool->strategy);
    for (size_t i = 0; i < pool->n_servers; i++) {
        free((void *)(uintptr_t)pool->servers[i].route);
        free(pool->servers[i].failed_at_ms);
    }
    free(pool->servers);
    free(pool->positions);
    free((void *)(uintptr_t)pool->settings.name);
    free((void *)(uintptr_t)pool->settings.balance);
    free((void *)(uintptr_t)pool->settings.balancers_dir);
    free(pool);
}

const char *pool_name(const struct pool *pool)
{
    return pool->settings.name;
}

const char *pool_strategy(const struct pool *pool)
{
    return pool->settings.balance;
}

size_t pool_n_servers(const struct pool *pool)
{
    return pool->n_servers;
}

struct server *pool_server(const struct pool *pool, size_t index)
{
    assert(index < pool->n_servers);
    return &pool->servers[index];
}

const struct pool_spec *pool_settings(const struct pool *pool)
{
    return &pool->settings;
}

uint32_t pool_key_kind(const struct pool *pool)
{
    return pool->strategy.balancer->traits & (FAIRLEAD_KEYED | FAIRLEAD_ADDRESSED);
}

const struct pool_counters *pool_counters(const struct pool *pool)
{
    return &pool->counters;
}

/* What changes while the pool is used, by the control and the health thread. */

uint32_t server_flags(const struct server *server)
{
    return atomic_load_explicit(&server->flags, memory_order_acquire);
}

static void note_presence(struct pool *pool, uint32_t before, uint32_t after)
{
    if (before & ~after & SERVER_ABSENT)
        atomic_fetch_add_explicit(&pool->n_present, 1, memory_order_relaxed);
    else if (after & ~before & SERVER_ABSENT)
        atomic_fetch_sub_explicit(&pool->n_present, 1, memory_order_relaxed);
}

uint32_t pool_change_flags(struct pool *pool, struct server *server, uint32_t set, uint32_t clear, uint64_t now_ms)
{
    uint32_t before = atomic_load_explicit(&server->flags, memory_order_relaxed);
    uint32_t after;

    do {
        after = (before & ~clear) | set;
        if (after == before)
            return before;
        /* Ahead of the flags, so that nobody sees the server in service with its full weight first. */
        if (after == 0 && server->slow_start_ms > 0)
            atomic_store_explicit(&server->ramp_start_ms, now_ms, memory_order_relaxed);
        /* Release: pairs with server_flags, whose reader then finds the address of a server that came. */
    } while (!atomic_compare_exchange_weak_explicit(&server->flags, &before, after, memory_order_acq_rel,
                                                    memory_order_relaxed));
    note_presence(pool, before, after);
    pool_changed(pool);
    /* What brought it back knows more than failures of before. */
    if (after == 0)
        (void)passive_success(pool, server, true, now_ms);
    return before;
}

void pool_set_share(struct pool *pool, struct server *server, uint32_t percent)
{
    assert(percent >= 1 && percent <= SHARE_WHOLE);
    if (atomic_exchange_explicit(&server->share, percent, memory_order_relaxed) != percent)
        pool_changed(pool);
}

static bool is_without_primaries(const struct pool *pool)
{
    bool without = true;

    for (size_t i = 0; without && i < pool->n_servers; i++)
        without = pool->servers[i].backup || server_flags(&pool->servers[i]) != 0;
    return without;
}

/*
 * Another thread may change flags and store its own finding between our look and our store, which then would stay wrong for good. So it looks once more:
 * acquire and release, so that who stores last has seen the flags of who stored before. Ends when the flags rest.
 */
int pool_update_promotion(struct pool *pool)
{
    int edges = 0;
    bool promoted;

    do {
        promoted = is_without_primaries(pool);
        edges += (int)promoted - (int)atomic_exchange_explicit(&pool->promoted, promoted, memory_order_acq_rel);
    } while (is_without_primaries(pool) != promoted);
    return edges;
}

bool pool_backups_promoted(const struct pool *pool)
{
    return atomic_load_explicit(&pool->promoted, memory_order_relaxed);
}
