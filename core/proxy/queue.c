/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The queues of waiting requests; see queue.h. */
#include "proxy/queue.h"

#include "engine/bounded.h"
#include "engine/timers.h"
#include "proxy/attempt.h"
#include "proxy/client.h"
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
    struct service *service;
    const struct group *group;
    struct waiters fresh, again;
    struct timer timer;
    struct line *line;
};

/* What the workers share of one group. */
struct line {
    _Alignas(64) atomic_uint n_waiting; /* of either kind */
    atomic_uint n_fresh;
    atomic_ullong next_ticket;
    atomic_ullong *first;  /* owned; per worker, the ticket of its first fresh request, or NO_TICKET */
    atomic_bool *again;    /* owned; per worker: some that have tried a server wait there */
    atomic_bool *told;     /* owned; per worker: a letter is on its way */
};

struct queues {
    size_t n_lines;
    struct line *lines;    /* owned; per group */
    unsigned n_workers;
    struct worker *const *workers; /* borrowed */
};

static bool init_line(struct line *line, unsigned n_workers)
{
    line->first = calloc(n_workers, sizeof *line->first);
    line->again = calloc(n_workers, sizeof *line->again);
    line->told = calloc(n_workers, sizeof *line->told);
    for (unsigned i = 0; line->first && i < n_workers; i++)
        atomic_init(&line->first[i], NO_TICKET);
    return line->first && line->again && line->told;
}

struct queues *queues_create(const struct config *config, struct worker *const *workers)
{
    size_t n = config->n_pools ? config->n_pools : 1;
    struct queues *queues = calloc(1, sizeof *queues);

    if (!queues)
        return NULL;
    queues->n_workers = config->workers;
    queues->workers = workers;
    queues->lines = aligned_alloc(_Alignof(struct line), n * sizeof *queues->lines);
    if (!queues->lines) {
        free(queues);
        return NULL;
    }
    memset(queues->lines, 0, n * sizeof *queues->lines);
    for (queues->n_lines = 0; queues->n_lines < config->n_pools; queues->n_lines++) {
        if (!init_line(&queues->lines[queues->n_lines], queues->n_workers)) {
            queues->n_lines++;
            queues_destroy(queues);
            return NULL;
        }
    }
    return queues;
}

void queues_destroy(struct queues *queues)
{
    if (!queues)
        return;
    for (size_t i = 0; i < queues->n_lines; i++) {
        free(queues->lines[i].first);
        free(queues->lines[i].again);
        free(queues->lines[i].told);
    }
    free(queues->lines);
    free(queues);
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
static int first_in_line(const struct queues *queues, const struct line *line)
{
    uint64_t lowest = NO_TICKET;
    int first = -1;

    for (unsigned i = 0; i < queues->n_workers; i++) {
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
static void tell(const struct queue *queue, unsigned worker)
{
    struct line *line = queue->line;

    /* Release: pairs with serve_letter. */
    if (atomic_exchange_explicit(&line->told[worker], true, memory_order_acq_rel))
        return;
    if (mailbox_post(&queue->service->shared_queues->workers[worker]->mailbox,
                     (struct letter){serve_letter, (void *)(uintptr_t)queue->group->index}) != 0)
        atomic_store_explicit(&line->told[worker], false, memory_order_relaxed);
}

static void tell_first(const struct queue *queue)
{
    int first = first_in_line(queue->service->shared_queues, queue->line);

    if (first >= 0)
        tell(queue, (unsigned)first);
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
    while (queue->fresh.first && served && first_in_line(queue->service->shared_queues, queue->line) == number)
        served = attempt_leave_queue(queue->fresh.first);
    if (served)
        tell_first(queue);
    if (queue->fresh.first || queue->again.first)
        timer_set(&queue->service->worker->timers, &queue->timer, queue->service->worker->now_ms + QUEUE_LOOK_MS);
    else
        timer_stop(&queue->service->worker->timers, &queue->timer);
}

static void look(struct timer *timer)
{
    serve((struct queue *)((char *)timer - offsetof(struct queue, timer)));
}

int queues_attach(struct service *service, struct queues *queues)
{
    const struct config *config = service->config;

    service->shared_queues = queues;
    service->queues = calloc(config->n_pools ? config->n_pools : 1, sizeof *service->queues);
    if (!service->queues)
        return -ENOMEM;
    for (size_t i = 0; i < config->n_pools; i++) {
        service->queues[i] =
            (struct queue){.service = service, .group = config->groups[i], .line = &queues->lines[i]};
        timer_init(&service->queues[i].timer, look);
    }
    return 0;
}

void queues_detach(struct service *service)
{
    free(service->queues);
    service->queues = NULL;
}

bool queue_is_waited_in(const struct service *service, const struct group *group)
{
    return group->queue_size > 0 &&
           atomic_load_explicit(&service->queues[group->index].line->n_fresh, memory_order_relaxed) > 0;
}

bool queue_enter(struct exchange *exchange)
{
    const struct group *group = exchange->location->proxy.group;
    struct queue *queue = &exchange->service->queues[group->index];
    struct waiters *waiters = waiters_of(queue, exchange);
    struct waiting *waiting = &exchange->waiting;

    if (group->queue_size == 0 || !bounded_increment(&queue->line->n_waiting, group->queue_size))
        return false;
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
    queue_place_freed(exchange->service, group);
    if (!timer_is_set(&queue->timer))
        timer_set(&exchange->service->worker->timers, &queue->timer, exchange->service->worker->now_ms + QUEUE_LOOK_MS);
    return true;
}

void queue_leave(struct exchange *exchange)
{
    struct queue *queue = &exchange->service->queues[exchange->location->proxy.group->index];
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
}

/* Once per question about a server whose address has left its name: seldom enough to look at all that wait. */
uint32_t queue_count_tried(const struct service *service, const struct server *server)
{
    uint32_t count = 0;

    for (size_t i = 0; i < service->config->n_pools; i++)
        for (const struct exchange *waiting = service->queues[i].again.first; waiting; waiting = waiting->waiting.next)
            count += waiting->attempt.tried_last == server;
    return count;
}

static void serve_letter(void *owner, void *argument)
{
    struct service *service = ((struct worker *)owner)->context;
    struct queue *queue = &service->queues[(uintptr_t)argument];

    /* Acquire: who found the letter still on its way relies on it to find the place that it freed, so the picks must come after this. */
    (void)atomic_exchange_explicit(&queue->line->told[number_of(queue)], false, memory_order_acq_rel);
    serve(queue);
}

/*
 * Who frees a place writes in_flight, comes here, and reads the tickets; who enters writes its ticket, comes here, and in_flight is read again for the letter.
 * Both change the one word n_waiting (if only by 0), acquire and release: so one comes after the other, and sees what the other wrote. No request
 * waits beside a free place.
 */
void queue_place_freed(struct service *service, const struct group *group)
{
    const struct queue *queue = &service->queues[group->index];

    if (group->queue_size == 0 || atomic_fetch_add_explicit(&queue->line->n_waiting, 0, memory_order_acq_rel) == 0)
        return;
    tell_first(queue);
    for (unsigned i = 0; i < service->shared_queues->n_workers; i++)
        if (atomic_load_explicit(&queue->line->again[i], memory_order_relaxed))
            tell(queue, i);
}
