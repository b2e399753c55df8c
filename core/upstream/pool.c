/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Pools: from what the configuration says of an upstream group to servers, tiers, plans and pickers, and from one pool object to the next. Control
 * thread, all of it but the flags and shares at the end, which the health thread changes too: here may be allocated, blocked and failed.
 * What pool_create made is not written to again, save for the atomics.
 */
#include "upstream/hash.h"
#include "upstream/passive.h"
#include "upstream/tier.h"

#include <assert.h>
#include <errno.h>

#define WEIGHT_MAX 65535u

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
        if (server->share > SHARE_WHOLE) {
            snprintf(complaint->text, complaint->size, "server \"%s\" of upstream \"%s\": share %u is above %u percent",
                     server->name, spec->name, server->share, SHARE_WHOLE);
            return -EINVAL;
        }
    }
    if (n_primaries == 0) {
        snprintf(complaint->text, complaint->size, "upstream \"%s\" has only backup servers", spec->name);
        return -EINVAL;
    }
    return 0;
}

static int copy_server(struct server *server, const struct server_spec *spec, uint32_t index)
{
    snprintf(server->name, sizeof server->name, "%s", spec->name);
    server->hash = hash_text(spec->name, strlen(spec->name), 0);
    server->address = spec->address;
    server->route = spec->route;
    server->weight = spec->weight;
    server->share = spec->share ? spec->share : SHARE_WHOLE;
    server->max_conns = spec->max_conns;
    server->slow_start_ms = spec->slow_start_ms;
    server->max_fails = spec->max_fails;
    server->fail_timeout_ms = spec->fail_timeout_ms;
    server->backup = spec->backup;
    server->index = index;
    if (spec->max_fails < 2)
        return 0;
    server->failed_at_ms = calloc(spec->max_fails - 1, sizeof *server->failed_at_ms);
    return server->failed_at_ms ? 0 : -ENOMEM;
}

static int make_servers(struct pool *pool)
{
    const struct pool_spec *settings = &pool->settings;

    pool->servers = calloc(settings->n_servers, sizeof *pool->servers); /* zero the atomics too: every one of them may begin with 0 */
    pool->positions = calloc(settings->n_servers, sizeof *pool->positions);
    if (!pool->servers || !pool->positions)
        return -ENOMEM;
    pool->n_servers = settings->n_servers;
    for (size_t i = 0; i < pool->n_servers; i++) {
        pool->limited |= settings->servers[i].max_conns > 0;
        if (copy_server(&pool->servers[i], &settings->servers[i], (uint32_t)i) != 0)
            return -ENOMEM;
    }
    return 0;
}

static int make_state(struct pool *pool, struct pool *previous)
{
    struct pool_state *state;

    if (previous) {
        pool->generation = previous->generation + 1;
        pool->state = previous->state;
        pool->state->refs++;
        return 0;
    }
    state = allocate_lines(sizeof *state);
    if (!state)
        return -ENOMEM;
    state->refs = 1;
    /* A picker begins with version 0, so that its first pick looks at every server. */
    atomic_init(&state->version, 1);
    atomic_init(&state->promotion, pool->generation << 1);
    pool->state = state;
    return 0;
}

static int make_pickers(struct pool *pool)
{
    pool->pickers = calloc(pool->n_workers + 1u, sizeof *pool->pickers);
    if (!pool->pickers)
        return -ENOMEM;
    for (unsigned i = 0; i < pool->n_workers; i++) {
        pool->pickers[i] = picker_create(pool, i);
        if (!pool->pickers[i])
            return -ENOMEM;
    }
    return 0;
}

/* Pickers come last: they look at the tiers. */
static int build(struct pool *pool, const struct pool_spec *spec, struct pool *previous, const struct complaint *complaint)
{
    int64_t *options;
    size_t n_options;
    int result;

    if (pool_spec_copy(&pool->settings, spec) != 0 || make_servers(pool) != 0 || make_state(pool, previous) != 0 ||
        states_adopt(pool, previous) != 0)
        return out_of_memory(complaint);
    result = strategy_load(spec->balancers_dir, pool->settings.balance, &pool->strategy, complaint->text,
                           complaint->size);
    if (result == 0)
        result = pool_spec_options(pool->strategy.balancer->options, spec->options, &options, &n_options, complaint);
    if (result != 0)
        return result;
    pool->settings.options = options;
    result = tiers_create(pool, previous, n_options, complaint);
    if (result == 0 && make_pickers(pool) != 0)
        return out_of_memory(complaint);
    return result;
}

/* Also takes what pool_create had made before it failed: everything not made yet is zero. */
static struct server_state *destroy(struct pool *pool)
{
    struct server_state *orphans = states_put(pool);

    for (unsigned i = 0; pool->pickers && i < pool->n_workers; i++)
        picker_destroy(pool->pickers[i]);
    free(pool->pickers);
    tiers_destroy(pool);
    strategy_unload(&pool->strategy);
    for (size_t i = 0; i < pool->n_servers; i++)
        free(pool->servers[i].failed_at_ms);
    free(pool->servers);
    free(pool->positions);
    if (pool->state && --pool->state->refs == 0)
        free(pool->state);
    pool_spec_free(&pool->settings);
    free(pool);
    return orphans;
}

int pool_create(const struct pool_spec *spec, unsigned n_workers, struct pool *previous, struct pool **pool, char *error,
                size_t error_size)
{
    const struct complaint complaint = {error, error_size};
    int result = check_spec(spec, &complaint);

    *pool = NULL;
    if (result != 0)
        return result;
    assert(!previous || strcmp(previous->settings.name, spec->name) == 0);
    struct pool *made = calloc(1, sizeof *made);
    if (!made)
        return out_of_memory(&complaint);
    made->refs = 1;
    made->n_workers = n_workers;
    made->generation = 1;
    result = build(made, spec, previous, &complaint);
    if (result != 0) {
        server_states_discard(destroy(made));
        return result;
    }
    *pool = made;
    return 0;
}

static bool has_state(const struct pool *pool, const struct server_state *state)
{
    for (size_t i = 0; i < pool->n_servers; i++)
        if (pool->servers[i].state == state)
            return true;
    return false;
}

/* What the passive check counts are the servers of the current pool. */
static void bid_farewell(struct pool *pool, const struct pool *previous)
{
    for (size_t i = 0; i < previous->n_servers; i++) {
        struct server_state *state = previous->servers[i].state;

        if (!has_state(pool, state))
            passive_leave(pool, state);
    }
}

/* One that the pool alone has is known to nobody else yet. */
static void greet(struct pool *pool, struct server *server, const struct pool *previous, uint64_t now_ms)
{
    const struct server_spec *spec = &pool->settings.servers[server->index];
    uint32_t flags = (spec->down ? SERVER_DOWN : 0u) | (spec->drain ? SERVER_DRAIN : 0u);

    (void)pool_change_flags(pool, server, flags, SERVER_CONFIGURED & ~flags, now_ms);
    if (!passive_applies(pool, server))
        passive_withdraw(pool, server->state);
    if (previous && server->slow_start_ms > 0 && server_is_in_service(server) && !has_state(previous, server->state))
        atomic_store_explicit(&server->state->ramp_start_ms, now_ms, memory_order_relaxed);
}

void pool_commit(struct pool *pool, struct pool *previous, uint64_t now_ms)
{
    unsigned long long promoted = pool_backups_promoted(pool);

    /* From here on findings about the old pool object are worth nothing. */
    if (previous)
        atomic_store_explicit(&pool->state->promotion, pool->generation << 1 | promoted, memory_order_release);
    if (previous)
        bid_farewell(pool, previous);
    for (size_t i = 0; i < pool->n_servers; i++)
        greet(pool, &pool->servers[i], previous, now_ms);
    (void)pool_update_promotion(pool);
    pool_changed(pool);
}

struct pool *pool_get(struct pool *pool)
{
    pool->refs++;
    return pool;
}

struct server_state *pool_put(struct pool *pool)
{
    return pool && --pool->refs == 0 ? destroy(pool) : NULL;
}

bool pool_is_made_of(const struct pool *pool, const struct pool_spec *spec)
{
    struct strategy strategy;
    char error[256];
    bool same;

    if (strategy_load(pool->settings.balancers_dir, pool->settings.balance, &strategy, error, sizeof error) != 0)
        return false;
    /* Another file may have another table of options: those of the spec are then not as many as ours. */
    same = strategy.balancer == pool->strategy.balancer &&
           pool_spec_equals(&pool->settings, spec, strategy.balancer->options);
    strategy_unload(&strategy);
    return same;
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

struct picker *pool_picker(const struct pool *pool, unsigned worker)
{
    assert(worker < pool->n_workers);
    return pool->pickers[worker];
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
    return &pool->state->counters;
}

/* What changes while the pool is used, by the control and the health thread. */

uint32_t server_flags(const struct server *server)
{
    return atomic_load_explicit(&server->state->flags, memory_order_acquire);
}

static bool is_in_service(uint32_t flags)
{
    return (flags & SERVER_OUT) == 0;
}

uint32_t pool_change_flags(struct pool *pool, struct server *server, uint32_t set, uint32_t clear, uint64_t now_ms)
{
    struct server_state *state = server->state;
    uint32_t before = atomic_load_explicit(&state->flags, memory_order_relaxed);
    uint32_t after;
    bool comes;

    do {
        after = (before & ~clear) | set;
        if (after == before)
            return before;
        comes = !is_in_service(before) && is_in_service(after);
        /* Ahead of the flags, so that nobody sees the server in service with its full weight first. */
        if (comes && server->slow_start_ms > 0)
            atomic_store_explicit(&state->ramp_start_ms, now_ms, memory_order_relaxed);
        /* Release: pairs with server_flags. */
    } while (!atomic_compare_exchange_weak_explicit(&state->flags, &before, after, memory_order_acq_rel,
                                                    memory_order_relaxed));
    pool_changed(pool);
    /* What brought it back knows more than failures of before. */
    if (comes)
        (void)passive_success(pool, server, true, now_ms);
    return before;
}

void pool_set_share(struct pool *pool, struct server *server, uint32_t percent)
{
    assert(percent >= 1 && percent <= SHARE_WHOLE);
    if (atomic_exchange_explicit(&server->state->share, percent, memory_order_relaxed) != percent)
        pool_changed(pool);
}

static bool is_without_primaries(const struct pool *pool)
{
    bool without = true;

    for (size_t i = 0; without && i < pool->n_servers; i++)
        without = pool->servers[i].backup || !server_is_in_service(&pool->servers[i]);
    return without;
}

/*
 * Another thread may change flags and store its own finding between our look and our store, which then would stay wrong for good. So it looks
 * once more: acquire and release, so that who stores last has seen the flags of who stored before. Ends when the flags rest. The word names the
 * pool object that it is about, so that a finding about an old one never replaces one about the current one.
 */
int pool_update_promotion(struct pool *pool)
{
    unsigned long long before = atomic_load_explicit(&pool->state->promotion, memory_order_acquire);
    int edges = 0;
    bool promoted;

    do {
        do {
            if (before >> 1 != pool->generation)
                return edges;
            promoted = is_without_primaries(pool);
        } while (!atomic_compare_exchange_weak_explicit(&pool->state->promotion, &before,
                                                        pool->generation << 1 | promoted, memory_order_acq_rel,
                                                        memory_order_acquire));
        edges += (int)promoted - (int)(before & 1);
        before = pool->generation << 1 | promoted;
    } while (is_without_primaries(pool) != promoted);
    return edges;
}

bool pool_backups_promoted(const struct pool *pool)
{
    return atomic_load_explicit(&pool->state->promotion, memory_order_relaxed) & 1;
}
