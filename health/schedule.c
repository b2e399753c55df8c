/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * When probes run: each task has a timer; as many probes are in flight as the slab has places, and tasks that
 * are due wait in turn for one. Each task is in the queue at most once, so the queue is as long as there are
 * tasks. Allocates nothing but the slab's chunks.
 */
#include "health/watch.h"

#include "engine/log.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static struct log_limit not_made_limit; /* health thread */

/* xorshift128+ (Vigna 2017): servers need to be asked at different times, not at secret ones. */
static uint64_t draw(struct health *health)
{
    uint64_t a = health->random[0], b = health->random[1];

    health->random[0] = b;
    a ^= a << 23;
    health->random[1] = a ^ b ^ (a >> 18) ^ (b >> 5);
    return health->random[1] + b;
}

static struct health *health_of(const struct task *task)
{
    return task->subject->watch->health;
}

/* Due at or after at_ms, instead of what was due. */
static void set_timer(struct task *task, uint64_t at_ms)
{
    timer_set(&health_of(task)->worker->timers, &task->timer, at_ms);
}

/* From one start to the next; the next is never due while the last is in flight. */
static void set_next(struct task *task)
{
    const struct subject *subject = task->subject;
    const struct health_spec *spec = subject_spec(subject);
    const uint64_t random = draw(health_of(task));
    uint64_t delay = task->kind == PROBE_AGENT ? check_jitter(spec->agent_interval_ms, spec->jitter, random)
                                               : check_delay(&subject->check, spec, random);

    set_timer(task, task->started_ms + delay);
}

static void count_not_made(struct task *task, const char *reason)
{
    const struct subject *subject = task->subject;

    health_of(task)->not_made++;
    log_write_limited(&not_made_limit, 1, LOG_WARNING,
                      "a health check could not be made pool=%s server=%s reason=\"%s\"",
                      pool_name(subject->watch->pool), subject->place.name, reason);
}

static void on_result(struct probe *probe)
{
    struct task *task = probe->owner;

    task->probe = NULL;
    if (probe->outcome == PROBE_NOT_MADE)
        count_not_made(task, probe->reason);
    subject_judge(task, probe);
    set_next(task);
}

static void begin(struct task *task);

static void leave_queue(struct task *task)
{
    struct health *health = health_of(task);

    *task->link = task->next;
    if (task->next)
        task->next->link = task->link;
    else
        health->waiting_end = task->link;
    task->waiting = false;
}

/* The task may have gone before its probe: it is not looked at. */
static void on_gone(struct probe *probe)
{
    struct health *health = probe->stream.worker->context;

    slab_put(&health->probes, probe);
    while (health->waiting && health->probes.used < health->probes.limit) {
        struct task *first = health->waiting;

        leave_queue(first);
        begin(first);
    }
    if (health->stopping && health->probes.used == 0)
        worker_stop(health->worker);
}

static const struct probe_events events = {on_result, on_gone};

static void await_place(struct task *task)
{
    struct health *health = health_of(task);

    health->delayed++;
    task->waiting = true;
    task->next = NULL;
    task->link = health->waiting_end;
    *health->waiting_end = task;
    health->waiting_end = &task->next;
}

static void begin(struct task *task)
{
    struct health *health = health_of(task);
    const struct subject *subject = task->subject;
    struct probe *probe;
    int error = -ENOMEM;

    task->started_ms = health_now_ms(health);
    probe = slab_get(&health->probes);
    if (!probe && health->probes.used > 0) {
        await_place(task);
        return;
    }
    if (probe) {
        probe->events = &events;
        probe->owner = task;
        error = probe_start(probe, health->worker, &subject->watch->plan, task->kind, &subject->place);
    }
    if (error) {
        if (probe)
            slab_put(&health->probes, probe);
        count_not_made(task, strerror(-error));
        set_next(task);
        return;
    }
    task->probe = probe;
    task->probes++;
}

static void expire(struct timer *timer)
{
    struct task *task = (struct task *)((char *)timer - offsetof(struct task, timer));

    assert(!task->probe && !task->waiting);
    begin(task);
}

void task_init(struct task *task, struct subject *subject, enum probe_kind kind)
{
    *task = (struct task){.subject = subject, .kind = kind};
    timer_init(&task->timer, expire);
}

void task_stop(struct task *task)
{
    timer_stop(&health_of(task)->worker->timers, &task->timer);
    if (task->waiting)
        leave_queue(task);
    if (task->probe)
        probe_abandon(task->probe);
    task->probe = NULL;
}

static bool runs(const struct task *task)
{
    return timer_is_set(&task->timer) || task->waiting || task->probe;
}

static void start_task(struct task *task, bool wanted, uint64_t delay_ms)
{
    if (!wanted)
        task_stop(task);
    else if (!runs(task))
        set_timer(task, health_now_ms(health_of(task)) + delay_ms);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Servers that serve nobody whatever a check says are not asked. */
void subject_start(struct subject *subject, uint64_t place, uint64_t places, uint64_t most_ms)
{
    const struct health_spec *spec = subject_spec(subject);
    const bool changing = subject->check.state == CHECK_FALLING || subject->check.state == CHECK_RISING;
    const uint64_t interval_ms = changing ? spec->fast_interval_ms : spec->interval_ms;
    const bool asked = !(server_flags(subject->server) & SERVER_DOWN) && !subject->watch->health->stopping;

    start_task(&subject->check_task, asked && spec->type != HEALTH_NONE,
               check_first_delay(least(interval_ms, most_ms), place, places));
    start_task(&subject->agent_task, asked && subject_has_agent(subject),
               check_first_delay(least(spec->agent_interval_ms, most_ms), place, places));
}

void subject_stop(struct subject *subject)
{
    task_stop(&subject->check_task);
    task_stop(&subject->agent_task);
}
