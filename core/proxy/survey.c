/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the workers answer; see survey.h. */
#include "proxy/survey.h"

#include "engine/clock.h"
#include "engine/log.h"
#include "proxy/client.h"
#include "proxy/listening.h"
#include "proxy/exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TARGET_MAX 256u /* bytes of a request's target that are shown */

struct survey *survey_create(unsigned n_workers, bool sessions, int event_fd)
{
    struct survey *survey = calloc(1, sizeof(*survey) + n_workers * sizeof(survey->parts[0]));
    uint32_t each = n_workers < SURVEY_SESSIONS ? SURVEY_SESSIONS / n_workers : 1;

    if (!survey)
        return NULL;
    survey->n = n_workers;
    survey->event_fd = event_fd;
    survey->lines_each = sessions ? each : 0;
    for (unsigned i = 0; i < n_workers; i++) {
        survey->parts[i].survey = survey;
        survey->parts[i].text = sessions ? malloc((size_t)each * SURVEY_SESSION_BYTES) : NULL;
        if (sessions && !survey->parts[i].text) {
            survey_destroy(survey);
            return NULL;
        }
    }
    return survey;
}

void survey_destroy(struct survey *survey)
{
    if (!survey)
        return;
    for (unsigned i = 0; i < survey->n; i++)
        free(survey->parts[i].text);
    free(survey);
}

bool survey_is_over(const struct survey *survey)
{
    return atomic_load_explicit(&survey->unanswered, memory_order_acquire) == 0;
}

bool survey_has(const struct survey *survey, unsigned worker)
{
    return atomic_load_explicit(&survey->parts[worker].answered, memory_order_acquire);
}

/* ---- On the worker's thread ---- */

static void copy_counters(struct survey_part *part, const struct service *service)
{
    struct worker *worker = service->worker;
    const struct ring_counters *ring = ring_counters(worker->ring);
    const struct buffers_counters *buffers = &worker_buffers(worker)->counters;

    part->counters = service->counters;
    part->clients = service->n_clients;
    part->exchanges = service->exchanges.used;
    part->idle_links = service->links.n_idle;
    part->upstream_connections = service->links.opened;
    part->upstream_reused = service->links.reused;
    part->upstream_idle_closed = service->links.idle_closed;
    part->accept_failures = listenings_accept_failures(service);
    part->turns = worker->turns;
    part->enters = ring->enters;
    part->submitted = ring->submitted;
    part->completed = ring->completed;
    part->stale = ring->stale;
    part->sq_full = ring->sq_full;
    part->cq_overflow = ring->cq_overflow;
    part->enter_errors = ring->enter_errors;
    part->starvations = worker->starvations;
    part->blocks = buffers->blocks;
    part->bulk = buffers->bulk;
    part->buffers_refused = buffers->blocks_refused + buffers->bulk_refused + buffers->heap_refused;
}

/* "\tAWAITING\t12\tweb\t10.0.0.5:80\tGET /path": state, age in ms, pool, server, request. */
static int print_exchange(char *out, size_t size, const struct exchange *exchange, uint64_t now_ns)
{
    const struct server *server = exchange->attempt.tried_last;
    struct span method = exchange_text(exchange, exchange->request.method);
    struct span target = exchange_text(exchange, exchange->request.target);
    char text[TARGET_MAX + 32];
    size_t len = log_escape(text, 24, method.p, method.len);

    text[len++] = ' ';
    len += log_escape(text + len, TARGET_MAX, target.p, target.len);
    return snprintf(out, size, "\t%s\t%llu\t%s\t%s\t%.*s", exchange_state_name(exchange->state),
                    (unsigned long long)(now_ns - exchange->started_ns) / 1000000u,
                    exchange->pool ? pool_name(exchange->pool) : "-", server ? server->name : "-",
                    (int)len, text);
}

/* One line: address, listener, state, requests, bytes in, bytes out, and what it asks for, by tabs. Returns its length, or 0: it does not fit. */
static size_t print_client(char *out, size_t size, const struct client *client, uint64_t now_ns)
{
    int len = snprintf(out, size, "%.*s:%u\t%s\t%s\t%u\t%llu\t%llu", client->address_len, client->address, client->port,
                       client->listening->listen->name, client_state_name(client->state), client->requests,
                       (unsigned long long)client->stream.received, (unsigned long long)client->stream.sent);
    int more;

    if (len < 0 || (size_t)len >= size)
        return 0;
    more = client->exchange ? print_exchange(out + len, size - (size_t)len, client->exchange, now_ns)
                            : snprintf(out + len, size - (size_t)len, "\t-\t-\t-\t-\t-");
    if (more < 0 || (size_t)(len + more) + 1 >= size)
        return 0;
    out[len + more] = '\n';
    return (size_t)(len + more) + 1;
}

static void list_clients(struct survey_part *part, const struct service *service)
{
    uint64_t now_ns = clock_monotonic_ns();

    for (const struct client *client = service->first_client; client && part->n_lines < part->survey->lines_each; client = client->next) {
        size_t len = print_client(part->text + part->len, SURVEY_SESSION_BYTES, client, now_ns);

        part->n_lines += len > 0;
        part->len += len;
    }
}

static void answer(void *owner, void *argument)
{
    const struct worker *worker = owner;
    struct survey_part *part = argument;
    struct survey *survey = part->survey;
    int event_fd = survey->event_fd;
    uint64_t one = 1;

    copy_counters(part, worker->context);
    list_clients(part, worker->context);
    atomic_store_explicit(&part->answered, true, memory_order_release);
    /* From here on the survey may be gone. */
    if (atomic_fetch_sub_explicit(&survey->unanswered, 1, memory_order_acq_rel) == 1)
        (void)!write(event_fd, &one, sizeof(one));
}

/* ---- On the control thread ---- */

void survey_post(struct survey *survey, struct worker *const *workers)
{
    atomic_store_explicit(&survey->unanswered, survey->n, memory_order_relaxed); /* published by the letters */
    for (unsigned i = 0; i < survey->n; i++)
        if (mailbox_post(&workers[i]->mailbox, (struct letter){answer, &survey->parts[i]}) != 0)
            atomic_fetch_sub_explicit(&survey->unanswered, 1, memory_order_acq_rel);
}

static void add_sum(struct survey_sum *sums, size_t *n, const char *name, const char *sentence, bool gauge)
{
    sums[(*n)++] = (struct survey_sum){.name = name, .sentence = sentence, .gauge = gauge};
}

size_t survey_sums(const struct survey *survey, struct survey_sum *sums)
{
    size_t n = 0;

#define X(name, sentence) add_sum(sums, &n, #name, sentence, true);
    SURVEY_GAUGES(X)
#undef X
#define X(name, sentence) add_sum(sums, &n, #name, sentence, false);
    SERVICE_COUNTERS(X)
    SURVEY_COUNTERS(X)
#undef X
    for (unsigned i = 0; i < survey->n; i++) {
        const struct survey_part *part = &survey->parts[i];
        struct survey_sum *sum = sums;

        if (!survey_has(survey, i))
            continue;
#define X(name, sentence) sum++->value += part->name;
        SURVEY_GAUGES(X)
#undef X
#define X(name, sentence) sum++->value += part->counters.name;
        SERVICE_COUNTERS(X)
#undef X
#define X(name, sentence) sum++->value += part->name;
        SURVEY_COUNTERS(X)
#undef X
    }
    return n;
}

#define X(name, sentence) +1u
_Static_assert(0u SURVEY_GAUGES(X) SERVICE_COUNTERS(X) SURVEY_COUNTERS(X) <= SURVEY_SUMS_MAX, "survey_sums needs room for all");
#undef X
