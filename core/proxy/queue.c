/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The queues of waiting requests; see queue.h. */
#include "proxy/queue.h"

#include "engine/bounded.h"
#include "engine/timers.h"
#include "proxy/attempt.h"
#include "proxy/client.h"
#include "proxy/retry.h"
#include "proxy/termination.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define QUEUE_LOOK_MS   50u
#define QUEUE_AGAIN_MAX 8u /* requests that have tried a server, and are looked at in vain for a free place */
#define NO_TICKET       UINT64_MAX

struct waiters {
    struct exchange *first, *last;
};

/*
 * One worker's requests for one group. Those that have tried a server may not go to it again: a place that is free there is none for them, but
 * is one for all others. So they stand in no line; each free place is offered to them first, for they have waited before.
 */
struct queue {
    _Alignas(64) struct line *line;
    struct service *service; /* NULL until one of its requests waits first */
    struct waiters fresh, again;
    struct timer timer;      /* set only while some wait */
    uint32_t budget;         /* what is left for retries (retry.c) */
};

struct line {
    _Alignas(64) atomic_uint n_waiting; /* of either kind */
    atomic_uint n_fresh;
    atomic_ullong next_ticket;
    atomic_ullong *first;  /* owned; per worker, the ticket of its first fresh request, or NO_TICKET */
    atomic_bool *again;    /* owned; per worker: some that have tried a server wait there */
    atomic_bool *told;     /* owned; per worker: a letter is on its way */
    struct queue *queues;  /* owned; per worker, and its own */
    struct worker *const *workers; /* borrowed */
    unsigned n_workers;
    unsigned refs;         /* of snapshots; control thread */
};

static void look(struct timer *timer);

static int init_line(struct line *line)
{
    unsigned n = line->n_workers;

    line->first = calloc(n, sizeof *line->first);
    line->again = calloc(n, sizeof *line->again);
    line->told = calloc(n, sizeof *line->told);
    line->queues = aligned_alloc(_Alignof(struct queue), n * sizeof *line->queues);
    if (!line->first || !line->again || !line->told || !line->queues)
        return -ENOMEM;
    memset(line->queues, 0, n * sizeof *line->queues);
    for (unsigned i = 0; i < n; i++) {
        atomic_init(&line->first[i], NO_TICKET);
        line->queues[i].line = line;
        timer_init(&line->queues[i].timer, look);
    }
    return 0;
}

struct line *line_create(const struct group *group, struct worker *const *workers, unsigned n_workers)
{
    struct line *line = aligned_alloc(_Alignof(struct line), sizeof *line);

    if (!line)
        return NULL;
    memset(line, 0, sizeof *line);
    line->refs = 1;
    line->workers = workers;
    line->n_workers = n_workers;
    if (init_line(line) != 0) {
        line_put(line);
        return NULL;
    }
    for (unsigned i = 0; i < n_workers; i++)
        line->queues[i].budget = retry_initial_budget(group);
    return line;
}

struct line *line_get(struct line *line)
{
    line->refs++;
    return line;
}

void line_put(struct line *line)
{
    if (!line || --line->refs > 0)
        return;
    free(line->first);
    free(line->again);
    free(line->told);
    free(line->queues);
    free(line);
}

static struct queue *queue_of(const struct service *service, const struct line *line)
{
    return &line->queues[service->worker->config.number];
}

uint32_t *line_budget(const struct service *service, const struct line *line)
{
    return &queue_of(service, line)->budget;
}

static unsigned number_of(const struct queue *queue)
{
    return queue->service->worker->config.number;
}

/* Relaxed: n_waiting publishes it (queue_place_freed); a ticket read late costs one more letter. */
static void publish(struct queue *queue)
{
    uint64_t ticket = queue->fresh.first ? queue->fresh.first->waiting.ticket : NO_TICKET;

    atomic_store_explicit(&queue->line->first[number_of(queue)], ticket, memory_order_relaxed);
    atomic_store_explicit(&queue->line->again[number_of(queue)], queue->again.first != NULL, memory_order_relaxed);
}

static struct waiters *waiters_of(struct queue *queue, const struct exchange *exchange)
{
    return exchange->attempt.count > 0 ? &queue->again : &queue->fresh;
}

static void fail_overdue(struct queue *queue, const struct waiters *waiters)
{
    uint64_t now_ms = queue->service->worker->now_ms;

    while (waiters->first && waiters->first->waiting.deadline_ms <= now_ms) {
        queue->service->counters.queue_timeouts++;
        termination_note(waiters->first, TERMINATION_SERVER_TIMEOUT);
        exchange_fail(waiters->first, 503, "queue timeout"); /* its end takes it out of the queue */
    }
}

/* The worker that has waited longest; -1: none waits. */
static int first_in_line(const struct line *line)
{
    uint64_t lowest = NO_TICKET;
    int first = -1;

    for (unsigned i = 0; i < line->n_workers; i++) {
        uint64_t ticket = atomic_load_explicit(&line->first[i], memory_order_relaxed);

        if (ticket < lowest) {
            lowest = ticket;
            first = (int)i;
        }
    }
    return first;
}

static void serve_letter(void *owner, void *argument);

/* By letter to the own worker too: it is read in this very turn, and the exchange that ends now must not run another one inside of itself. */
static void tell(struct line *line, unsigned worker)
{
    /* Release: pairs with serve_letter. */
    if (atomic_exchange_explicit(&line->told[worker], true, memory_order_acq_rel))
        return;
    if (mailbox_post(&line->workers[worker]->mailbox, (struct letter){serve_letter, &line->queues[worker]}) != 0)
        atomic_store_explicit(&line->told[worker], false, memory_order_relaxed);
}

static void tell_first(struct line *line)
{
    int first = first_in_line(line);

    if (first >= 0)
        tell(line, (unsigned)first);
}

static void serve_again(struct queue *queue)
{
    struct exchange *exchange = queue->again.first, *next;

    for (unsigned in_vain = 0; exchange && in_vain < QUEUE_AGAIN_MAX; exchange = next) {
        next = exchange->waiting.next; /* no other exchange of the queue ends by this one's going on */
        in_vain += !attempt_leave_queue(exchange);
    }
}

/*
 * Gives servers to those at the front, as far as there are places and as long as they are the first of all; then it is another worker's turn.
 * Bounded: each round takes one request out, and those that enter meanwhile have later tickets.
 */
static void serve(struct queue *queue)
{
    int number = (int)number_of(queue);
    bool served = true;

    fail_overdue(queue, &queue->again);
    fail_overdue(queue, &queue->fresh);
    serve_again(queue);
    while (queue->fresh.first && served && first_in_line(queue->line) == number)
        served = attempt_leave_queue(queue->fresh.first);
    if (served)
        tell_first(queue->line);
    if (queue->fresh.first || queue->again.first)
        timer_set(&queue->service->worker->timers, &queue->timer, queue->service->worker->now_ms + QUEUE_LOOK_MS);
    else
        timer_stop(&queue->service->worker->timers, &queue->timer);
}

static void look(struct timer *timer)
{
    serve((struct queue *)((char *)timer - offsetof(struct queue, timer)));
}

bool line_is_waited_in(const struct line *line)
{
    return atomic_load_explicit(&line->n_waiting, memory_order_relaxed) > 0;
}

bool queue_is_waited_in(const struct exchange *exchange)
{
    return exchange_group(exchange)->queue_size > 0 &&
           atomic_load_explicit(&exchange_line(exchange)->n_fresh, memory_order_relaxed) > 0;
}

bool queue_enter(struct exchange *exchange)
{
    const struct group *group = exchange_group(exchange);
    struct queue *queue = queue_of(exchange->service, exchange_line(exchange));
    struct waiters *waiters = waiters_of(queue, exchange);
    struct waiting *waiting = &exchange->waiting;

    if (group->queue_size == 0 || !bounded_increment(&queue->line->n_waiting, group->queue_size))
        return false;
    queue->service = exchange->service;
    exchange_set_state(exchange, EXCHANGE_QUEUED);
    exchange->service->counters.queued++;
    waiting->ticket = atomic_fetch_add_explicit(&queue->line->next_ticket, 1, memory_order_relaxed);
    waiting->deadline_ms = exchange->service->worker->now_ms + group->queue_timeout_ms;
    waiting->since_ns = exchange->service->worker->now_ns;
    waiting->next = NULL;
    waiting->prev = waiters->last;
    *(waiters->last ? &waiters->last->waiting.next : &waiters->first) = exchange;
    waiters->last = exchange;
    if (waiters == &queue->fresh)
        atomic_fetch_add_explicit(&queue->line->n_fresh, 1, memory_order_relaxed);
    publish(queue);
    /* A place may have been freed since the pick. */
    queue_place_freed(queue->line);
    if (!timer_is_set(&queue->timer))
        timer_set(&exchange->service->worker->timers, &queue->timer, exchange->service->worker->now_ms + QUEUE_LOOK_MS);
    return true;
}

void queue_leave(struct exchange *exchange)
{
    struct queue *queue = queue_of(exchange->service, exchange_line(exchange));
    struct waiters *waiters = waiters_of(queue, exchange);
    struct waiting *waiting = &exchange->waiting;
    unsigned before;

    assert(exchange->state == EXCHANGE_QUEUED);
    exchange->queued_ns += exchange->service->worker->now_ns - waiting->since_ns;
    *(waiting->prev ? &waiting->prev->waiting.next : &waiters->first) = waiting->next;
    *(waiting->next ? &waiting->next->waiting.prev : &waiters->last) = waiting->prev;
    waiting->next = waiting->prev = NULL;
    if (waiters == &queue->fresh)
        atomic_fetch_sub_explicit(&queue->line->n_fresh, 1, memory_order_relaxed);
    before = atomic_fetch_sub_explicit(&queue->line->n_waiting, 1, memory_order_relaxed);
    assert(before > 0);
    publish(queue);
    if (!queue->fresh.first && !queue->again.first) /* the line may outlive its last request by less than the timer's time */
        timer_stop(&queue->service->worker->timers, &queue->timer);
}

static void serve_letter(void *owner, void *argument)
{
    struct queue *queue = argument;

    queue->service = ((struct worker *)owner)->context;

    /* Acquire: who found the letter still on its way relies on it to find the place that it freed, so the picks must come after this. */
    (void)atomic_exchange_explicit(&queue->line->told[number_of(queue)], false, memory_order_acq_rel);
    serve(queue);
}

/*
 * Who frees a place writes in_flight, comes here, and reads the tickets; who enters writes its ticket, comes here, and in_flight is read again for the letter.
 * Both change the one word n_waiting (if only by 0), acquire and release: so one comes after the other, and sees what the other wrote. No request
 * waits beside a free place.
 */
void queue_place_freed(struct line *line)
{
    if (atomic_fetch_add_explicit(&line->n_waiting, 0, memory_order_acq_rel) == 0)
        return;
    tell_first(line);
    for (unsigned i = 0; i < line->n_workers; i++)
        if (atomic_load_explicit(&line->again[i], memory_order_relaxed))
            tell(line, i);
}
