/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Letters there and back; see pulse.h. */
#include "control/pulse.h"

static void answer(void *worker, void *argument)
{
    struct pulse *pulse = argument;

    (void)worker;
    atomic_fetch_sub_explicit(&pulse->unanswered, 1, memory_order_release);
}

/* A worker that has ended reads no letter: a graceful stop may take longer than the watchdog waits, and each worker ends when it is done. */
bool pulse_is_there(const struct pulse *pulse, const struct threads *threads)
{
    return atomic_load_explicit(&pulse->unanswered, memory_order_acquire) <= threads_n_ended(threads);
}

void pulse_take(struct pulse *pulse, struct threads *threads)
{
    if (!pulse_is_there(pulse, threads))
        return;
    atomic_store_explicit(&pulse->unanswered, threads->n_running, memory_order_relaxed); /* the letters publish it */
    (void)threads_tell(threads, answer, pulse);
}
