/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The log thread's loop and how it is woken. Owns the table of queues. The functions for writers run on any
 * thread and make a system call only when they wake; the rest runs on the log thread. Never spins: each round
 * either found lines or is followed by a wait.
 *
 * Why no wake-up is lost: a writer publishes its line (the head of its queue) and then reads `state`; the log
 * thread writes `state` and then reads the heads. All four are sequentially consistent, so in their one order
 * at least one side sees what the other did: the writer finds the thread waiting and wakes it, or the thread
 * finds the line and does not wait. The same holds for what stops, reopens and switches, and for the table:
 * whoever misses a new queue wrote `state` before that queue's first line was published. FUTEX_WAIT itself
 * compares `state` again, so a wake-up between the check and the wait is not lost either.
 */
#include "engine/log_thread.h"

#include <assert.h>
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "engine/clock.h"
#include "engine/log_line.h"
#include "engine/log_output.h"

#define STOP_DRAIN_MS 2000u

enum {
    AWAKE,   /* looks at every queue before it waits */
    WAITING, /* until the next round; a queue that is half full wakes it */
    ASLEEP,  /* until somebody wakes it */
};

/* On a line of its own: every writer reads it after every line, and it changes a hundred times a second at
 * most. */
static _Alignas(64) atomic_uint state;
static _Alignas(64) atomic_bool stop_wanted;
static atomic_uint n_reopens_wanted;
static atomic_uint n_reopens_done;         /* the number of the last one that was wanted; a futex */
static atomic_int reopen_errors[LOG_SINKS]; /* of that one */
static _Atomic(struct log_pending *) switch_wanted; /* with those before it that were not taken yet */
static atomic_uint n_switched;                      /* a futex */
static atomic_bool running;
static atomic_uint n_slots; /* no queue is at or after it; only grows */
static _Atomic(struct log_queue *) queues[LOG_QUEUES];
static pthread_t thread;

bool log_thread_is_running(void)
{
    return atomic_load_explicit(&running, memory_order_acquire);
}

/* Only the first of several wakers makes the system call. */
static void wake(void)
{
    if (atomic_exchange(&state, AWAKE) != AWAKE)
        syscall(SYS_futex, &state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void log_thread_notify(struct log_queue *queue)
{
    const unsigned now = atomic_load(&state);

    if (now == AWAKE)
        return;
    if (now == WAITING && !log_queue_is_half_full(queue))
        return;
    wake();
}

/* Until the futex is not `before` any more, or LOG_SWITCH_MS. Returns whether it came to that. */
static bool await_change(atomic_uint *futex, unsigned before)
{
    const uint64_t end_ms = clock_monotonic_ns() / 1000000 + LOG_SWITCH_MS;
    const struct timespec step = {.tv_nsec = LOG_SWITCH_MS * 1000000l};

    while (atomic_load(futex) == before && clock_monotonic_ns() / 1000000 < end_ms)
        syscall(SYS_futex, futex, FUTEX_WAIT_PRIVATE, before, &step, NULL, 0);
    return atomic_load(futex) != before;
}

static void change(atomic_uint *futex, unsigned number)
{
    atomic_store(futex, number);
    syscall(SYS_futex, futex, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* One that an earlier caller has not waited for may end first, and is not the one that was asked for. */
int log_thread_reopen(int errors[LOG_SINKS])
{
    const unsigned number = atomic_fetch_add(&n_reopens_wanted, 1) + 1;
    unsigned done = atomic_load(&n_reopens_done);

    memset(errors, 0, LOG_SINKS * sizeof(*errors));
    if (!log_thread_is_running())
        return 0;
    if (atomic_load(&state) != AWAKE)
        wake();
    while (done != number) {
        if (!await_change(&n_reopens_done, done))
            return -ETIMEDOUT;
        done = atomic_load(&n_reopens_done);
    }
    for (int sink = 0; sink < LOG_SINKS; sink++)
        errors[sink] = atomic_load(&reopen_errors[sink]);
    return 0;
}

/* n_switched is read before the object is given away, so that the change cannot be missed. */
void log_thread_switch(struct log_pending *pending)
{
    const unsigned before = atomic_load(&n_switched);

    if (!log_thread_is_running()) {
        log_output_switch(pending);
        return;
    }
    log_pending_precede(pending, atomic_exchange(&switch_wanted, NULL));
    atomic_store(&switch_wanted, pending);
    if (atomic_load(&state) != AWAKE)
        wake();
    (void)await_change(&n_switched, before);
}

/* The exchange publishes the queue's fields, its number included; it pairs with the acquire in queue_at. */
int log_thread_add(struct log_queue *queue)
{
    for (unsigned i = 0; i < LOG_QUEUES; i++) {
        struct log_queue *expected = NULL;
        unsigned known = atomic_load(&n_slots);

        if (atomic_load_explicit(&queues[i], memory_order_relaxed) != NULL)
            continue;
        queue->id = i;
        if (!atomic_compare_exchange_strong(&queues[i], &expected, queue))
            continue;
        while (known <= i && !atomic_compare_exchange_weak(&n_slots, &known, i + 1))
            ;
        return 0;
    }
    return -ENOMEM;
}

static struct log_queue *queue_at(unsigned i)
{
    return atomic_load(&queues[i]);
}

static void free_queue(struct log_queue *queue)
{
    atomic_store_explicit(&queues[queue->id], NULL, memory_order_release);
    log_queue_destroy(queue);
}

void log_thread_remove(struct log_queue *queue)
{
    if (!log_thread_is_running()) {
        free_queue(queue);
        return;
    }
    atomic_store(&queue->closed, true);
    if (atomic_load(&state) == ASLEEP)
        wake();
}

/* Told at once, and then once a second at most, so that a flood of lines does not become a flood of reports.
 */
static void tell_dropped(struct log_queue *queue, int64_t second, bool last)
{
    const uint64_t dropped = atomic_load_explicit(&queue->dropped, memory_order_relaxed);

    log_tally_add(&log_output_tally()->dropped, dropped - queue->counted_dropped);
    queue->counted_dropped = dropped;
    if (dropped == queue->told_dropped || (second == queue->told_second && !last))
        return;
    log_output_message(LOG_WARNING, "log lines dropped, queue full count=%llu thread=%u",
                       (unsigned long long)(dropped - queue->told_dropped), queue->id);
    queue->told_dropped = dropped;
    queue->told_second = second;
}

/* At most one ring's worth, so that a busy writer does not keep the others waiting. Gives space back on the
 * way. */
static size_t drain(struct log_queue *queue)
{
    const size_t start = queue->read_at;
    size_t released = start;
    struct log_record record;
    const char *payload;

    while (queue->read_at - start < queue->size && (payload = log_queue_read(queue, &record)) != NULL) {
        log_output_record(&record, payload, queue->id);
        if (queue->read_at - released >= queue->size / 8) {
            log_queue_release(queue);
            released = queue->read_at;
        }
    }
    if (queue->read_at != released)
        log_queue_release(queue);
    return queue->read_at - start;
}

/* Returns whether there was anything. `closed` is read before the drain: after it, that queue has no more
 * lines. */
static bool drain_all(bool stopping)
{
    const unsigned n = atomic_load(&n_slots);
    const int64_t second = log_second();
    bool found = false;

    log_output_begin();
    for (unsigned i = 0; i < n; i++) {
        struct log_queue *queue = queue_at(i);

        if (queue == NULL)
            continue;
        const bool closed = atomic_load(&queue->closed);
        const size_t drained = drain(queue);

        found = found || drained > 0;
        tell_dropped(queue, second, stopping || closed);
        if (closed && log_queue_waiting(queue) == 0)
            free_queue(queue);
    }
    return found;
}

static bool is_reopen_wanted(void)
{
    return atomic_load(&n_reopens_wanted) != atomic_load(&n_reopens_done);
}

/* After `state` says that we wait: is there a reason not to? */
static bool is_wanted(unsigned now)
{
    const unsigned n = atomic_load(&n_slots);

    if (atomic_load(&stop_wanted) || is_reopen_wanted() || atomic_load(&switch_wanted) != NULL)
        return true;
    for (unsigned i = 0; i < n; i++) {
        struct log_queue *queue = queue_at(i);

        if (queue == NULL)
            continue;
        if (atomic_load(&queue->closed) || log_queue_waiting(queue) > (now == ASLEEP ? 0 : queue->size / 2))
            return true;
    }
    return false;
}

/* `most_ms` UINT32_MAX: until woken. */
static void wait_as(unsigned new_state, uint32_t most_ms, bool stopping)
{
    const struct timespec round = {.tv_sec = most_ms / 1000, .tv_nsec = most_ms % 1000 * 1000000l};

    atomic_store(&state, new_state);
    if (stopping || !is_wanted(new_state))
        syscall(SYS_futex, &state, FUTEX_WAIT_PRIVATE, new_state, most_ms == UINT32_MAX ? NULL : &round, NULL,
                0);
    atomic_store(&state, AWAKE);
}

static void wait_for_lines(bool lines_come)
{
    const uint32_t due_ms = log_output_wait_ms();

    if (lines_come)
        wait_as(WAITING, due_ms < LOG_DRAIN_MS ? due_ms : LOG_DRAIN_MS, false);
    else
        wait_as(ASLEEP, due_ms, false);
}

/* All that was logged before the switch was wanted goes to the old targets. */
static void switch_targets(bool stopping)
{
    struct log_pending *pending = atomic_exchange(&switch_wanted, NULL);

    if (pending == NULL)
        return;
    drain_all(stopping);
    log_output_switch(pending);
    change(&n_switched, atomic_load(&n_switched) + 1);
}

/* Several that were wanted are one. The errors stand there before the number that they belong to. */
static void reopen(void)
{
    const unsigned number = atomic_load(&n_reopens_wanted);
    int errors[LOG_SINKS];

    if (number == atomic_load(&n_reopens_done))
        return;
    log_output_reopen(errors);
    for (int sink = 0; sink < LOG_SINKS; sink++)
        atomic_store(&reopen_errors[sink], errors[sink]);
    change(&n_reopens_done, number);
}

static void *run(void *unused)
{
    uint64_t last_line_ms = clock_monotonic_ns() / 1000000;
    uint64_t stop_at_ms = UINT64_MAX;

    (void)unused;
    for (;;) {
        const bool stopping = atomic_load(&stop_wanted);

        switch_targets(stopping);
        reopen();
        const bool found = drain_all(stopping);
        const bool flushed = log_output_flush();
        const uint64_t now_ms = clock_monotonic_ns() / 1000000;

        if (found)
            last_line_ms = now_ms;
        if (stopping && stop_at_ms == UINT64_MAX)
            stop_at_ms = now_ms + STOP_DRAIN_MS;
        if (stopping && ((!found && flushed) || now_ms >= stop_at_ms))
            return NULL;
        if (!stopping)
            wait_for_lines(now_ms - last_line_ms < LOG_AWAKE_MS);
        else if (!flushed)
            wait_as(WAITING, LOG_DRAIN_MS, true);
    }
}

/* The thread inherits the mask of its creator, and signals are for the control thread. */
int log_thread_start(void)
{
    sigset_t all, before;
    int error;

    assert(!log_thread_is_running());
    sigfillset(&all);
    atomic_store(&stop_wanted, false);
    atomic_store(&state, AWAKE);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&thread, NULL, run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0)
        return -error;
    pthread_setname_np(thread, "log");
    atomic_store_explicit(&running, true, memory_order_release);
    return 0;
}

void log_thread_stop(void)
{
    if (!log_thread_is_running())
        return;
    atomic_store(&stop_wanted, true);
    if (atomic_load(&state) != AWAKE)
        wake();
    pthread_join(thread, NULL);
    atomic_store_explicit(&running, false, memory_order_release);
    struct log_pending *pending = atomic_exchange(&switch_wanted, NULL);

    if (pending != NULL)
        log_output_switch(pending);
}
