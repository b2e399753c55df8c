/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The timer wheel of one worker: many deadlines, nearly all of which are moved long before they pass. Moving
 * a deadline later touches only the timer itself; the wheel finds out when the old place comes round. One
 * thread; no allocation; no system call: the caller brings the time.
 */
#ifndef FAIRLEAD_ENGINE_TIMERS_H
#define FAIRLEAD_ENGINE_TIMERS_H

#include <stdbool.h>
#include <stdint.h>

#define TIMERS_TICK_MS 8u    /* a deadline is kept to within one tick, never early */
#define TIMERS_SLOTS   8192u /* a power of two; one round is 65.5 s, longer deadlines go round again */

struct timer {
    struct timer *next, *prev; /* in a slot; NULL while stopped */
    uint64_t deadline_ms;      /* CLOCK_MONOTONIC; may be later than its slot */
    uint32_t slot;
    void (*expire)(
        struct timer *timer); /* called once, with the timer stopped; may set it again, stop or free others */
};

struct timers {
    struct timer slots[TIMERS_SLOTS];     /* heads of circular lists */
    uint64_t occupied[TIMERS_SLOTS / 64]; /* a bit per slot that may hold timers */
    uint64_t now_tick;
    uint32_t count;
};

void timers_init(struct timers *timers, uint64_t now_ms);
/* The owner sets `expire` before. A deadline in the past expires at the next run. */
void timer_init(struct timer *timer, void (*expire)(struct timer *timer));
void timer_set(struct timers *timers, struct timer *timer, uint64_t deadline_ms);
void timer_stop(struct timers *timers, struct timer *timer);
bool timer_is_set(const struct timer *timer);
/* When timers_run next has something to look at: never later than the tick in which the earliest deadline
 * expires, that is less than TIMERS_TICK_MS after it; UINT64_MAX when nothing is set. */
uint64_t timers_next_ms(const struct timers *timers);
/* Expires all that is due at now_ms. Returns how many. A timer set to the past by an expiry waits for the
 * next run. */
unsigned timers_run(struct timers *timers, uint64_t now_ms);

#endif
