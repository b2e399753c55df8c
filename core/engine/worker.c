/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The worker's thread and loop; see worker.h. One turn: flush and submit, wait once, drain the completions, then timers,
 * letters, and what became free.
 */
#include "engine/worker.h"

#include "engine/clock.h"
#include "engine/log.h"
#include "engine/stream.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define BULK_WAIT_NS 1000000u /* streams wait for bulk buffers that slow peers may hold: looked at again soon */
#define WAIT_MAX_NS 1000000000u /* a turn at least once a second: the safety net for whatever was forgotten */

static bool waker_flush(struct actor *actor)
{
    struct worker *worker = (struct worker *)((char *)actor - offsetof(struct worker, waker));

    return actor->in_flight > 0 || ring_poll(worker->ring, actor, worker->mailbox.event_fd);
}

/* The letters are read in every turn; the completion only had to end the wait. */
static void waker_complete(struct actor *actor, const struct completion *completion)
{
    struct worker *worker = (struct worker *)((char *)actor - offsetof(struct worker, waker));

    if (!completion->more)
        ring_mark(worker->ring, actor);
}

static const struct actor_type waker_type = {waker_complete, waker_flush};

int worker_create(const struct worker_config *config, struct worker **result)
{
    struct worker *worker = aligned_alloc(64, (sizeof(*worker) + 63) / 64 * 64);
    int error;

    if (!worker)
        return -ENOMEM;
    memset(worker, 0, sizeof(*worker));
    worker->config = *config;
    worker->starved.end = &worker->starved.first;
    worker->bulk_queue.end = &worker->bulk_queue.first;
    error = mailbox_init(&worker->mailbox);
    if (error)
        goto free_worker;
    error = ring_create(&config->ring, &worker->ring);
    if (error)
        goto fini_mailbox;
    *result = worker;
    return 0;

fini_mailbox:
    mailbox_fini(&worker->mailbox);
free_worker:
    free(worker);
    return error;
}

void worker_destroy(struct worker *worker)
{
    if (!worker)
        return;
    ring_destroy(worker->ring);
    mailbox_fini(&worker->mailbox);
    free(worker);
}

/* Pins to the number-th core that this process may use. Not being allowed to is no reason to stop. */
static void pin(unsigned number)
{
    cpu_set_t allowed, one;
    unsigned count, seen = 0;

    if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
        return;
    count = (unsigned)CPU_COUNT(&allowed);
    for (unsigned cpu = 0; cpu < CPU_SETSIZE && count > 0; cpu++) {
        if (!CPU_ISSET(cpu, &allowed) || seen++ != number % count)
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        if (pthread_setaffinity_np(pthread_self(), sizeof(one), &one) != 0)
            log_write(LOG_NOTICE, "worker is not pinned worker=%u cpu=%u", number, cpu);
        return;
    }
}

static void read_clock(struct worker *worker)
{
    worker->now_ns = clock_monotonic_ns();
    worker->now_ms = worker->now_ns / 1000000u;
}

static uint64_t wait_time(struct worker *worker)
{
    uint64_t next_ms = timers_next_ms(&worker->timers);
    uint64_t wait_ms;

    if (worker->stopping || worker->reap_soon || next_ms <= worker->now_ms || !mailbox_prepare_sleep(&worker->mailbox))
        return 0;
    wait_ms = next_ms - worker->now_ms;
    if (worker->bulk_queue.first)
        return BULK_WAIT_NS;
    return wait_ms > WAIT_MAX_NS / 1000000u ? WAIT_MAX_NS : wait_ms * 1000000u;
}

static int turn(struct worker *worker)
{
    int error = ring_wait(worker->ring, wait_time(worker));

    mailbox_awake(&worker->mailbox);
    worker->turns++;
    read_clock(worker);
    if (error)
        return error;
    ring_dispatch(worker->ring);
    timers_run(&worker->timers, worker->now_ms);
    mailbox_run(&worker->mailbox, worker);
    streams_feed(worker);
    streams_reap(worker);
    return 0;
}

static int run(struct worker *worker)
{
    int error;

    if (worker->config.pin)
        pin(worker->config.number);
    error = ring_enable(worker->ring);
    if (error)
        return error;
    read_clock(worker);
    timers_init(&worker->timers, worker->now_ms);
    if (!ring_add(worker->ring, &worker->waker, &waker_type))
        return -ENOMEM;
    ring_mark(worker->ring, &worker->waker);
    error = worker->start ? worker->start(worker) : 0;
    while (!error && !worker->stopping)
        error = turn(worker);
    if (worker->finish)
        worker->finish(worker);
    return error;
}

static void *thread_main(void *argument)
{
    struct worker *worker = argument;
    char name[16] = "worker-";
    int error = log_attach();

    name[7] = (char)('0' + worker->config.number / 100 % 10);
    name[8] = (char)('0' + worker->config.number / 10 % 10);
    name[9] = (char)('0' + worker->config.number % 10);
    (void)pthread_setname_np(pthread_self(), name);
    worker->status = error ? error : run(worker);
    if (worker->status)
        log_write(LOG_ALERT, "worker ended worker=%u error=\"%s\"", worker->config.number,
                  strerror(-worker->status));
    if (!error)
        log_detach();
    atomic_store_explicit(&worker->ended, true, memory_order_release);
    return NULL;
}

int worker_run(struct worker *worker)
{
    sigset_t all, old;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    error = pthread_create(&worker->thread, NULL, thread_main, worker);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return -error;
}

int worker_join(struct worker *worker)
{
    pthread_join(worker->thread, NULL);
    return worker->status;
}

bool worker_has_ended(const struct worker *worker)
{
    return atomic_load_explicit(&worker->ended, memory_order_acquire);
}

void worker_stop(struct worker *worker)
{
    worker->stopping = true;
}
