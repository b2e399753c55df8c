/* SPDX-License-Identifier: GPL-3.0-or-later */
/* States of servers; see state.h. Control thread. */
#include "upstream/tier.h"

#include <assert.h>
#include <errno.h>

struct in_flight_cells {
    uint32_t refs; /* states whose counts these are */
    _Alignas(64) atomic_uint cells[];
};

static void put_cells(struct in_flight_cells *cells)
{
    if (--cells->refs == 0)
        free(cells);
}

static bool is_unused(const struct server_state *state)
{
    for (uint32_t i = 0; i < state->n_workers; i++)
        if (state->links[i].n_links > 0)
            return false;
    return atomic_load_explicit(state->in_flight, memory_order_relaxed) == 0;
}

static void release(struct server_state *state)
{
    assert(state->refs == 0);
    put_cells(state->cells);
    free(state->links);
    free(state);
}

void server_state_free(struct server_state *state)
{
    if (!state)
        return;
    assert(is_unused(state));
    release(state);
}

void server_states_discard(struct server_state *states)
{
    while (states) {
        struct server_state *next = states->next;

        release(states);
        states = next;
    }
}

static uint32_t configured_flags(const struct server_spec *spec)
{
    return (spec->down ? SERVER_DOWN : 0u) | (spec->drain ? SERVER_DRAIN : 0u);
}

static struct server_state *create_state(const struct pool *pool, const struct server *server, struct in_flight_cells *cells)
{
    struct server_state *state = aligned_alloc(_Alignof(struct server_state), sizeof *state);

    if (!state)
        return NULL;
    memset(state, 0, sizeof *state); /* the atomics too: every one of them may begin with 0 */
    state->links = allocate_lines(pool->n_workers * sizeof *state->links);
    if (!state->links) {
        free(state);
        return NULL;
    }
    state->refs = 1;
    state->n_workers = pool->n_workers;
    state->address = server->address;
    snprintf(state->name, sizeof state->name, "%s", server->name);
    state->cells = cells;
    state->in_flight = &cells->cells[cells->refs++];
    atomic_init(&state->flags, configured_flags(&pool->settings.servers[server->index]));
    atomic_init(&state->share, SHARE_WHOLE);
    return state;
}

/* Those of one tier stand side by side. Called for the servers that found no state to adopt. */
static int create_states(struct pool *pool, size_t n_new)
{
    struct in_flight_cells *cells;
    int result = 0;

    if (n_new == 0)
        return 0;
    cells = allocate_lines(sizeof *cells + n_new * sizeof cells->cells[0]);
    if (!cells)
        return -ENOMEM;
    cells->refs = 0;
    for (int tier = 0; result == 0 && tier < N_TIERS; tier++) {
        for (size_t i = 0; result == 0 && i < pool->n_servers; i++) {
            struct server *server = &pool->servers[i];

            if (server->state || server->backup != (tier == TIER_BACKUP))
                continue;
            server->state = create_state(pool, server, cells);
            result = server->state ? 0 : -ENOMEM;
        }
    }
    if (cells->refs == 0)
        free(cells);
    return result;
}

static bool is_same(const struct server *a, const struct server *b)
{
    return a->hash == b->hash && strcmp(a->name, b->name) == 0 && server_address_equals(&a->address, &b->address);
}

/* The newest of the failures that the window of the server before holds, as many as there is room for. Workers may be writing there: one
 * that they note just now may be lost. */
static void copy_failures(struct server *server, const struct server *before)
{
    uint32_t room = server->max_fails > 1 ? server->max_fails - 1 : 0;
    uint32_t had = before->max_fails > 1 ? before->max_fails - 1 : 0;
    uint32_t end = atomic_load_explicit(&before->fail_index, memory_order_relaxed);
    uint32_t n = room < had ? room : had;

    n = n < end ? n : end;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t time = atomic_load_explicit(&before->failed_at_ms[(end - n + i) % had], memory_order_relaxed);

        atomic_init(&server->failed_at_ms[i], time);
    }
    atomic_init(&server->fail_index, n);
}

static void adopt(struct server *server, const struct server *before)
{
    server->state = before->state;
    server->state->refs++;
    copy_failures(server, before);
}

/* Each state is adopted once; of servers with the same name and address, in their order. */
static size_t adopt_all(struct pool *pool, const struct pool *previous, bool *taken)
{
    size_t n_adopted = 0;

    for (size_t i = 0; i < pool->n_servers; i++) {
        for (size_t k = 0; k < previous->n_servers && !pool->servers[i].state; k++) {
            if (taken[k] || !is_same(&pool->servers[i], &previous->servers[k]))
                continue;
            taken[k] = true;
            adopt(&pool->servers[i], &previous->servers[k]);
            n_adopted++;
        }
    }
    return n_adopted;
}

int states_adopt(struct pool *pool, struct pool *previous)
{
    size_t n_adopted = 0;
    bool *taken;

    if (previous) {
        assert(previous->n_workers == pool->n_workers);
        taken = calloc(previous->n_servers, sizeof *taken);
        if (!taken)
            return -ENOMEM;
        n_adopted = adopt_all(pool, previous, taken);
        free(taken);
    }
    return create_states(pool, pool->n_servers - n_adopted);
}

struct server_state *states_put(struct pool *pool)
{
    struct server_state *orphans = NULL;

    for (size_t i = 0; i < pool->n_servers; i++) {
        struct server_state *state = pool->servers[i].state;

        pool->servers[i].state = NULL;
        if (!state || --state->refs > 0)
            continue;
        state->next = orphans;
        orphans = state;
    }
    return orphans;
}
