/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The passive check; see passive.h. Worker threads, and none of them owns a word: each decision is one compare-and-swap. */
#include "upstream/passive.h"

#include "engine/bounded.h"

#include <assert.h>

#define DOUBLINGS_MAX 20u

bool passive_applies(const struct pool *pool, const struct server *server)
{
    return pool->n_servers > 1 && server->max_fails > 0;
}

bool passive_allows(const struct server *server, uint64_t now_ms)
{
    return atomic_load_explicit(&server->state->out_until_ms, memory_order_relaxed) <= now_ms;
}

/* How long it goes out for the (n + 1)th time in a row. */
static uint64_t time_out_ms(const struct pool *pool, const struct server *server, uint32_t n)
{
    uint64_t time = (uint64_t)server->fail_timeout_ms << (n < DOUBLINGS_MAX ? n : DOUBLINGS_MAX);
    uint64_t most = pool->settings.max_eject_time_ms;

    if (most < server->fail_timeout_ms)
        most = server->fail_timeout_ms;
    return time < most ? time : most;
}

static uint64_t current_time_out_ms(const struct pool *pool, const struct server *server)
{
    uint32_t ejections = atomic_load_explicit(&server->state->ejections, memory_order_relaxed);

    return time_out_ms(pool, server, ejections > 0 ? ejections - 1 : 0);
}

bool passive_claim(struct pool *pool, struct server *server, uint64_t now_ms, uint64_t *trial)
{
    unsigned long long out_until = atomic_load_explicit(&server->state->out_until_ms, memory_order_relaxed);
    uint64_t until;

    *trial = 0;
    if (out_until == 0)
        return true;
    if (out_until > now_ms)
        return false;
    until = now_ms + current_time_out_ms(pool, server);
    if (!atomic_compare_exchange_strong_explicit(&server->state->out_until_ms, &out_until, until, memory_order_relaxed,
                                                 memory_order_relaxed))
        return false;
    pool_changed(pool);
    *trial = until;
    return true;
}

/* Moves a trial's own deadline; one that is no longer in place was overtaken by a later trial or by a return. */
static bool end_trial(struct pool *pool, struct server *server, unsigned long long trial, uint64_t out_until)
{
    if (out_until == 0) /* no deadline, but "in service" */
        out_until = 1;
    if (!atomic_compare_exchange_strong_explicit(&server->state->out_until_ms, &trial, out_until, memory_order_relaxed,
                                                 memory_order_relaxed))
        return false;
    pool_changed(pool);
    return true;
}

void passive_forget_trial(struct pool *pool, struct server *server, uint64_t trial, uint64_t now_ms)
{
    if (trial != 0)
        (void)end_trial(pool, server, trial, now_ms);
}

/*
 * Whether max_fails failures, this one included, lie within the window. The times of the last max_fails - 1 are kept in turn, so the place that
 * this one takes holds the one that matters.
 */
static bool is_too_many(struct server *server, uint64_t now_ms)
{
    uint32_t places = server->max_fails - 1;
    uint64_t first;

    if (places == 0)
        return true;
    uint32_t index = atomic_fetch_add_explicit(&server->fail_index, 1, memory_order_relaxed) % places;
    first = atomic_exchange_explicit(&server->failed_at_ms[index], now_ms, memory_order_relaxed);
    /* Each worker has the time of its own turn of the loop: `first` may lie ahead of it. */
    return first != 0 && now_ms < first + server->fail_timeout_ms &&
           first > atomic_load_explicit(&server->state->forgiven_ms, memory_order_relaxed);
}

/* Takes one of the places that max_ejected leaves. Down servers and backups count, as in nginx. */
static bool take_place(struct pool *pool)
{
    return bounded_increment(&pool->state->n_ejected, (uint64_t)pool->n_servers * pool->settings.max_ejected / 100);
}

static void leave_place(struct pool *pool)
{
    /* Release: who finds nobody out sees what has changed with that (pick_in_panic). */
    unsigned before = atomic_fetch_sub_explicit(&pool->state->n_ejected, 1, memory_order_release);

    assert(before > 0);
}

/* In a row: when it was in service for less than it was out before. */
static uint32_t count_in_a_row(const struct pool *pool, const struct server *server, uint64_t now_ms)
{
    uint32_t ejections = atomic_load_explicit(&server->state->ejections, memory_order_relaxed);
    uint64_t back = atomic_load_explicit(&server->state->forgiven_ms, memory_order_relaxed);

    return ejections > 0 && now_ms <= back + time_out_ms(pool, server, ejections - 1) ? ejections : 0;
}

/* Release: pairs with eject. */
void passive_withdraw(struct pool *pool, struct server_state *state)
{
    if (atomic_exchange_explicit(&state->out_until_ms, 0, memory_order_release) != 0)
        leave_place(pool);
}

void passive_leave(struct pool *pool, struct server_state *state)
{
    atomic_store_explicit(&state->left, true, memory_order_relaxed);
    passive_withdraw(pool, state);
}

void passive_resume(struct pool *pool, struct server *server, uint64_t out_until_ms)
{
    passive_withdraw(pool, server->state);
    if (out_until_ms == 0 || !passive_applies(pool, server) || !take_place(pool))
        return;
    atomic_store_explicit(&server->state->out_until_ms, out_until_ms, memory_order_relaxed);
}

static bool eject(struct pool *pool, struct server *server, uint64_t now_ms)
{
    uint32_t ejections = count_in_a_row(pool, server, now_ms);
    unsigned long long in_service = 0;

    if (!take_place(pool))
        return false;
    if (!atomic_compare_exchange_strong_explicit(&server->state->out_until_ms, &in_service,
                                                 now_ms + time_out_ms(pool, server, ejections),
                                                 memory_order_acquire, memory_order_relaxed)) {
        leave_place(pool);
        return false;
    }
    /* Its last requests fail when it has gone. Either we see here that it went, or who withdraws it sees that it is out. */
    if (atomic_load_explicit(&server->state->left, memory_order_relaxed)) {
        passive_withdraw(pool, server->state);
        return false;
    }
    atomic_store_explicit(&server->state->ejections, ejections + 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&server->state->ejected, 1, memory_order_relaxed);
    pool_changed(pool);
    return true;
}

bool passive_failure(struct pool *pool, struct server *server, uint64_t trial, uint64_t picked_ms, uint64_t now_ms)
{
    uint32_t ejections;

    if (!passive_applies(pool, server))
        return false;
    if (trial != 0) {
        ejections = atomic_load_explicit(&server->state->ejections, memory_order_relaxed);
        if (!end_trial(pool, server, trial, now_ms + time_out_ms(pool, server, ejections)))
            return false;
        atomic_store_explicit(&server->state->ejections, ejections + 1, memory_order_relaxed);
        return true;
    }
    /* A request from before the server went out says nothing new, however late its time out comes. Acquire: who sees the server back in service
     * sees since when. */
    if (atomic_load_explicit(&server->state->out_until_ms, memory_order_acquire) != 0 ||
        picked_ms < atomic_load_explicit(&server->state->forgiven_ms, memory_order_relaxed))
        return false;
    return is_too_many(server, now_ms) && eject(pool, server, now_ms);
}

bool passive_success(struct pool *pool, struct server *server, bool forgive, uint64_t now_ms)
{
    /* As in nginx, a success within the window does not forgive its failures; only that of a trial does. */
    if (!forgive || atomic_load_explicit(&server->state->out_until_ms, memory_order_relaxed) == 0)
        return false;
    atomic_store_explicit(&server->state->forgiven_ms, now_ms, memory_order_relaxed);
    if (server->slow_start_ms > 0)
        atomic_store_explicit(&server->state->ramp_start_ms, now_ms, memory_order_relaxed);
    /* Release: pairs with passive_failure. */
    if (atomic_exchange_explicit(&server->state->out_until_ms, 0, memory_order_release) == 0)
        return false;
    pool_changed(pool);
    leave_place(pool);
    return true;
}
