/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Summing up counters; see report.h. */
#include "control/report.h"

#include "engine/log.h"
#include "proxy/listening.h"

#include <stdio.h>

#define LINE_MAX_BYTES 2048u
#define SERVER_LINES   200u /* of all pools together */

static void add(char *line, size_t *len, const char *name, uint64_t value)
{
    int n = snprintf(line + *len, LINE_MAX_BYTES - *len, " %s=%llu", name, (unsigned long long)value);

    if (n > 0 && *len + (size_t)n < LINE_MAX_BYTES)
        *len += (size_t)n;
}

static void report_service(struct service *const *services, unsigned n)
{
    struct counters sum = {0};
    uint64_t opened = 0, reused = 0, idle_closed = 0, accept_failures = 0;
    char line[LINE_MAX_BYTES] = "";
    size_t len = 0;

    for (unsigned i = 0; i < n; i++) {
#define X(name, sentence) sum.name += services[i]->counters.name;
        SERVICE_COUNTERS(X)
#undef X
        opened += services[i]->links.opened;
        reused += services[i]->links.reused;
        idle_closed += services[i]->links.idle_closed;
        accept_failures += listenings_accept_failures(services[i]);
    }
#define X(name, sentence) add(line, &len, #name, sum.name);
    SERVICE_COUNTERS(X)
#undef X
    add(line, &len, "upstream_connections", opened);
    add(line, &len, "upstream_reused", reused);
    add(line, &len, "upstream_idle_closed", idle_closed);
    add(line, &len, "accept_failures", accept_failures);
    log_write(LOG_NOTICE, "counters%s", line);
}

static void report_rings(struct worker *const *workers, unsigned n)
{
    struct ring_counters sum = {0};
    struct log_counters log;
    uint64_t starvations = 0, blocks = 0, bulk = 0, refused = 0;
    char line[LINE_MAX_BYTES] = "";
    size_t len = 0;

    for (unsigned i = 0; i < n; i++) {
        const struct ring_counters *ring = ring_counters(workers[i]->ring);
        const struct buffers_counters *buffers = &ring_buffers(workers[i]->ring)->counters;

        sum.enters += ring->enters;
        sum.submitted += ring->submitted;
        sum.completed += ring->completed;
        sum.stale += ring->stale;
        sum.sq_full += ring->sq_full;
        sum.cq_overflow += ring->cq_overflow;
        sum.enter_errors += ring->enter_errors;
        starvations += workers[i]->starvations;
        blocks += buffers->blocks;
        bulk += buffers->bulk;
        refused += buffers->blocks_refused + buffers->bulk_refused + buffers->heap_refused;
    }
    add(line, &len, "enters", sum.enters);
    add(line, &len, "submitted", sum.submitted);
    add(line, &len, "completed", sum.completed);
    add(line, &len, "stale", sum.stale);
    add(line, &len, "sq_full", sum.sq_full);
    add(line, &len, "cq_overflow", sum.cq_overflow);
    add(line, &len, "enter_errors", sum.enter_errors);
    add(line, &len, "starvations", starvations);
    add(line, &len, "blocks", blocks);
    add(line, &len, "bulk", bulk);
    add(line, &len, "buffers_refused", refused);
    log_counters(&log);
    add(line, &len, "log_lines", log.lines);
    add(line, &len, "log_dropped", log.dropped);
    add(line, &len, "log_dropped_access", log.sink_dropped[LOG_SINK_ACCESS]);
    add(line, &len, "log_dropped_error", log.sink_dropped[LOG_SINK_ERROR]);
    add(line, &len, "log_write_errors", log.write_errors);
    add(line, &len, "syslog_lines", log.syslog_lines);
    add(line, &len, "syslog_dropped", log.syslog_dropped);
    log_write(LOG_NOTICE, "ring%s", line);
}

static unsigned long long read_counter(const atomic_ullong *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void report_pools(const struct snapshot *snapshot)
{
    unsigned lines = 0;

    for (size_t i = 0; i < snapshot->n_groups; i++) {
        const struct pool_counters *counters = pool_counters(snapshot->pools[i]);

        if (pool_n_servers(snapshot->pools[i]) > 1)
            log_write(LOG_NOTICE, "pool name=%s balance=%s panics=%llu backup_picks=%llu", pool_name(snapshot->pools[i]),
                      pool_strategy(snapshot->pools[i]), read_counter(&counters->panics), read_counter(&counters->backup_picks));
        for (size_t k = 0; k < pool_n_servers(snapshot->pools[i]) && lines < SERVER_LINES; k++) {
            const struct server *server = pool_server(snapshot->pools[i], k);

            if (read_counter(&server->state->picked) == 0)
                continue;
            lines++;
            log_write(LOG_NOTICE, "server pool=%s name=%s picked=%llu failed=%llu ejected=%llu", pool_name(snapshot->pools[i]),
                      server->name, read_counter(&server->state->picked), read_counter(&server->state->failed), read_counter(&server->state->ejected));
        }
    }
}

void report_counters(struct worker *const *workers, struct service *const *services, unsigned n, const struct snapshot *snapshot)
{
    report_service(services, n);
    report_rings(workers, n);
    report_pools(snapshot);
}
