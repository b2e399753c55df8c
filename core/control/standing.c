/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading a server's shared words; see standing.h. All are relaxed: a counter that is one request old is as good as any. */
#include "control/standing.h"

#include "health/result.h"

static uint64_t read_counter(const atomic_ullong *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* The gravest comes first. */
static const char *name_status(const struct standing *standing)
{
    if (standing->flags & SERVER_DOWN)
        return "MAINT";
    if (standing->flags & SERVER_AGENT_MAINT)
        return "MAINT (agent)";
    if (standing->flags & SERVER_CHECK_DOWN)
        return "DOWN";
    if (standing->flags & SERVER_AGENT_DOWN)
        return "DOWN (agent)";
    if (standing->flags & SERVER_DRAIN)
        return "DRAIN";
    if (standing->flags & SERVER_AGENT_DRAIN)
        return "DRAIN (agent)";
    return standing->out_ms > 0 ? "EJECTED" : "UP";
}

static void read_checks(const struct server_checks *checks, uint64_t now_ms, struct standing *standing)
{
    unsigned last = atomic_load_explicit(&checks->last, memory_order_relaxed);
    uint64_t changed_at_ms = read_counter(&checks->changed_ms);

    standing->check_status = (last & 0xff) == RESULT_UNK ? "" : health_result_name(last & 0xff);
    standing->check_code = last >> 8;
    standing->check_duration_ms = atomic_load_explicit(&checks->duration_ms, memory_order_relaxed);
    standing->check_failures = read_counter(&checks->failures);
    standing->check_downs = read_counter(&checks->downs);
    standing->has_changed = changed_at_ms > 0;
    standing->changed_ms = now_ms > changed_at_ms ? now_ms - changed_at_ms : 0;
    standing->down_ms = read_counter(&checks->down_ms);
    if (standing->has_changed && (standing->flags & SERVER_CHECK_DOWN))
        standing->down_ms += standing->changed_ms;
}

void standing_read(const struct server *server, uint64_t now_ms, struct standing *standing)
{
    const struct server_state *state = server->state;
    uint64_t out_until_ms = read_counter(&state->out_until_ms);

    *standing = (struct standing){
        .flags = server_flags(server),
        .share = atomic_load_explicit(&state->share, memory_order_relaxed),
        .in_flight = atomic_load_explicit(state->in_flight, memory_order_relaxed),
        .picked = read_counter(&state->picked),
        .failed = read_counter(&state->failed),
        .ejected = read_counter(&state->ejected),
        .out_ms = out_until_ms > now_ms ? out_until_ms - now_ms : 0,
    };
    read_checks(&server->state->checks, now_ms, standing);
    standing->status = name_status(standing);
    standing->serves = (standing->flags & SERVER_OUT) == 0 && standing->out_ms == 0;
}

void standing_of_pool(const struct pool *pool, uint64_t now_ms, struct pool_standing *standing)
{
    bool only_ejected = false; /* some are, and would serve otherwise */

    *standing = (struct pool_standing){0};
    for (size_t i = 0; i < pool_n_servers(pool); i++) {
        const struct server *server = pool_server(pool, i);
        struct standing one;

        standing_read(server, now_ms, &one);
        only_ejected |= (one.flags & SERVER_OUT) == 0;
        standing->n++;
        standing->active += one.serves && !server->backup;
        standing->backup += one.serves && server->backup;
        standing->weight += one.serves && !server->backup ? server->weight : 0;
        standing->sum.in_flight += one.in_flight;
        standing->sum.picked += one.picked;
        standing->sum.failed += one.failed;
        standing->sum.ejected += one.ejected;
        standing->sum.check_failures += one.check_failures;
        standing->sum.check_downs += one.check_downs;
    }
    standing->sum.serves = standing->active + standing->backup > 0;
    standing->sum.check_status = "";
    standing->sum.status = standing->sum.serves ? "UP" : only_ejected ? "PANIC" : "DOWN";
}
