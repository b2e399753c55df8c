/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Pools: from what the configuration says of an upstream group to servers, tiers and plans. Control thread,
 * all of it: here may be allocated, blocked and failed. What pool_create made is not written to again, save
 * for the atomics in struct server and the version, which picker.c changes.
 */
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
        if (server->weight < 1 || server->weight > WEIGHT_MAX) {
            snprintf(complaint->text, complaint->size,
                     "server \"%s\" of upstream \"%s\": weight %u is not in 1 to %u", server->name,
                     spec->name, server->weight, WEIGHT_MAX);
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

static int copy_server(struct server *server, const struct server_spec *spec, uint32_t index)
{
    server->name = strdup(spec->name);
    server->address = spec->address;
    server->weight = spec->weight;
    server->max_fails = spec->max_fails;
    server->fail_timeout_ms = spec->fail_timeout_ms;
    server->down = spec->down;
    server->backup = spec->backup;
    server->index = index;
    atomic_init(&server->in_flight, 0);
    atomic_init(&server->fails, 0);
    atomic_init(&server->window_start_ms, 0);
    atomic_init(&server->out_until_ms, 0);
    atomic_init(&server->picked, 0);
    atomic_init(&server->failed, 0);
    return server->name ? 0 : -ENOMEM;
}

static int copy_servers(struct pool *pool, const struct pool_spec *spec)
{
    size_t size = spec->n_servers * sizeof *pool->servers;

    pool->servers = aligned_alloc(_Alignof(struct server), size);
    pool->positions = calloc(spec->n_servers, sizeof *pool->positions);
    if (!pool->servers || !pool->positions)
        return -ENOMEM;
    memset(pool->servers, 0, size);
    pool->n_servers = spec->n_servers;
    pool->single = spec->n_servers == 1;
    for (size_t i = 0; i < spec->n_servers; i++) {
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

static int fill_tier(struct pool *pool, struct tier *tier, bool backup)
{
    size_t n = count_servers(pool, backup);
    uint32_t position = 0;

    if (n == 0)
        return 0;
    tier->servers = calloc(n, sizeof *tier->servers);
    tier->weights = calloc(n, sizeof *tier->weights);
    tier->indices = calloc(n, sizeof *tier->indices);
    if (!tier->servers || !tier->weights || !tier->indices)
        return -ENOMEM;
    for (uint32_t i = 0; i < pool->n_servers; i++) {
        const struct server *server = &pool->servers[i];

        if (server->backup != backup)
            continue;
        tier->servers[position] = (struct fairlead_server){
            .name = server->name, .weight = server->weight, .in_flight = &server->in_flight};
        tier->weights[position] = server->weight;
        tier->indices[position] = i;
        pool->positions[i] = position++;
    }
    tier->set = (struct fairlead_set){.n_servers = n, .servers = tier->servers};
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
    return result == 0 ? make_plans(pool, spec->options, complaint) : result;
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
    free(tier->servers);
    free(tier->weights);
    free(tier->indices);
}

/* Also takes what pool_create had made before it failed: everything not made yet is zero. */
void pool_destroy(struct pool *pool)
{
    if (!pool)
        return;
    for (int i = 0; i < N_TIERS; i++)
        destroy_tier(pool, &pool->tiers[i]);
    strategy_unload(&pool->strategy);
    for (size_t i = 0; i < pool->n_servers; i++)
        free((void *)(uintptr_t)pool->servers[i].name);
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

bool pool_is_keyed(const struct pool *pool)
{
    return pool->strategy.balancer->traits & FAIRLEAD_KEYED;
}
