/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The timer wheel. A linked timer stands in the slot of some tick between now and one round from now, at or
 * before its deadline; so the slot alone tells the tick. A deadline that moved later is found out when its
 * slot comes round, and is linked again then. Runs on the worker that owns the wheel. Never allocates, never
 * reads a clock.
 */
#include "engine/timers.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#define SLOT_MASK (TIMERS_SLOTS - 1)
#define SLOT_DUE  TIMERS_SLOTS /* not in the wheel but on the list of a run in progress */
#define N_WORDS   (TIMERS_SLOTS / 64)

_Static_assert((TIMERS_SLOTS & SLOT_MASK) == 0 && TIMERS_SLOTS % 64 == 0, "slots are counted in whole words");

/* Rounds up, which makes a timer late by less than a tick instead of early. */
static uint64_t tick_of_deadline(uint64_t deadline_ms)
{
    return deadline_ms / TIMERS_TICK_MS + (deadline_ms % TIMERS_TICK_MS != 0);
}

/* The tick at which the wheel is to look at this deadline: not in the past, and at most one round ahead. */
static uint64_t tick_to_look(const struct timers *timers, uint64_t deadline_ms)
{
    const uint64_t tick = tick_of_deadline(deadline_ms);

    if (tick < timers->now_tick)
        return timers->now_tick;
    if (tick - timers->now_tick > SLOT_MASK)
        return timers->now_tick + SLOT_MASK;
    return tick;
}

static bool is_occupied(const struct timers *timers, uint32_t slot)
{
    return (timers->occupied[slot / 64] >> (slot % 64)) & 1;
}

static void insert_before(struct timer *head, struct timer *timer)
{
    timer->next = head;
    timer->prev = head->prev;
    head->prev->next = timer;
    head->prev = timer;
}

/* The head of an unoccupied slot may hold anything, so that a new wheel does not touch 320 KiB. */
static void link_timer(struct timers *timers, struct timer *timer)
{
    const uint32_t slot = (uint32_t)tick_to_look(timers, timer->deadline_ms) & SLOT_MASK;
    struct timer *head = &timers->slots[slot];

    if (!is_occupied(timers, slot)) {
        head->next = head->prev = head;
        timers->occupied[slot / 64] |= UINT64_C(1) << (slot % 64);
    }
    timer->slot = slot;
    insert_before(head, timer);
}

static void unlink_timer(struct timers *timers, struct timer *timer)
{
    const bool last = timer->next == timer->prev;

    timer->prev->next = timer->next;
    timer->next->prev = timer->prev;
    timer->next = timer->prev = NULL;
    if (last && timer->slot != SLOT_DUE && timers->slots[timer->slot].next == &timers->slots[timer->slot])
        timers->occupied[timer->slot / 64] &= ~(UINT64_C(1) << (timer->slot % 64));
}

void timers_init(struct timers *timers, uint64_t now_ms)
{
    memset(timers->occupied, 0, sizeof(timers->occupied));
    timers->now_tick = now_ms / TIMERS_TICK_MS;
    timers->count = 0;
}

void timer_init(struct timer *timer, void (*expire)(struct timer *timer))
{
    assert(expire != NULL);
    *timer = (struct timer){.expire = expire};
}

bool timer_is_set(const struct timer *timer)
{
    return timer->next != NULL;
}

/* The hot path: a linked timer that moves later, or not before its slot, only gets its new deadline. */
void timer_set(struct timers *timers, struct timer *timer, uint64_t deadline_ms)
{
    assert(timer->expire != NULL);
    timer->deadline_ms = deadline_ms;
    if (timer_is_set(timer)) {
        const uint64_t ahead = (timer->slot - timers->now_tick) & SLOT_MASK;

        if (timer->slot != SLOT_DUE && tick_to_look(timers, deadline_ms) >= timers->now_tick + ahead)
            return;
        unlink_timer(timers, timer);
    } else {
        timers->count++;
    }
    link_timer(timers, timer);
}

void timer_stop(struct timers *timers, struct timer *timer)
{
    if (!timer_is_set(timer))
        return;
    assert(timers->count > 0);
    unlink_timer(timers, timer);
    timers->count--;
}

/* Looks from the slot of now to the end, then from the start up to it: each word once, the first one twice.
 */
uint64_t timers_next_ms(const struct timers *timers)
{
    const uint32_t now_slot = (uint32_t)timers->now_tick & SLOT_MASK;
    uint64_t word = timers->occupied[now_slot / 64] & (UINT64_MAX << (now_slot % 64));
    uint32_t index = now_slot / 64;

    if (timers->count == 0)
        return UINT64_MAX;
    for (unsigned i = 0; i < N_WORDS && word == 0; i++) {
        index = (index + 1) % N_WORDS;
        word = timers->occupied[index];
    }
    if (word == 0)
        return UINT64_MAX;
    const uint32_t slot = index * 64 + (uint32_t)__builtin_ctzll(word);

    return (timers->now_tick + ((slot - now_slot) & SLOT_MASK)) * TIMERS_TICK_MS;
}

/* Takes a slot apart: what is due goes to the list, what moved later goes to its new slot, which may be this
 * one. */
static void collect_slot(struct timers *timers, uint32_t slot, struct timer *due)
{
    struct timer *const head = &timers->slots[slot];
    struct timer *timer = head->next;

    timers->occupied[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
    head->prev->next = NULL;
    while (timer != NULL) {
        struct timer *next = timer->next;

        if (tick_of_deadline(timer->deadline_ms) > timers->now_tick) {
            link_timer(timers, timer);
        } else {
            timer->slot = SLOT_DUE;
            insert_before(due, timer);
        }
        timer = next;
    }
}

/* From the head of the list again each time, because an expiry may stop any other timer of it. */
static unsigned expire_all(struct timers *timers, struct timer *due)
{
    unsigned n_expired = 0;

    while (due->next != due) {
        struct timer *timer = due->next;

        unlink_timer(timers, timer);
        timers->count--;
        n_expired++;
        timer->expire(timer);
    }
    return n_expired;
}

/*
 * The current slot is always looked at, so that a deadline set in the past expires at the next run even
 * within the same tick. All that is due is taken out before the first expiry runs; what an expiry sets
 * therefore waits for the next run.
 */
unsigned timers_run(struct timers *timers, uint64_t now_ms)
{
    const uint64_t first = timers->now_tick;
    const uint64_t target = now_ms / TIMERS_TICK_MS > first ? now_ms / TIMERS_TICK_MS : first;
    const uint64_t n_slots = target - first > SLOT_MASK ? TIMERS_SLOTS : target - first + 1;
    struct timer due = {.next = &due, .prev = &due};

    timers->now_tick = target;
    if (timers->count == 0)
        return 0;
    for (uint64_t i = 0; i < n_slots; i++) {
        const uint32_t slot = (uint32_t)(first + i) & SLOT_MASK;

        if (slot % 64 == 0 && timers->occupied[slot / 64] == 0)
            i += 63; /* a whole word without timers; the bound above still holds */
        else if (is_occupied(timers, slot))
            collect_slot(timers, slot, &due);
    }
    return expire_all(timers, &due);
}
