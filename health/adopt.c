/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How the health thread goes from one snapshot's pools to the next one's. A server that stays takes its
 * subject along, timers and probe in flight and all, in exchange for the one that the plan has made for it;
 * what is left over then stands in the old set, and goes back with it. Health thread; allocates and frees
 * nothing, and takes as many steps as there are servers in both sets, plus the probes that it abandons.
 *
 * Who may still arrive: the last completions of abandoned probes, which use the probe and the health thread's
 * own struct alone (schedule.c).
 */
#include "health/watch.h"

#include <string.h>

/* What is to be seen to for each server of a pool that stays. */
struct difference {
    const struct health_spec *before;
    bool of_check, of_agent;
    uint64_t now_ms;
};

static void keep_on(struct task *task, const struct probe_plan *plan)
{
    if (task->probe)
        probe_use_plan(task->probe, plan);
}

/* The probe in flight asks what the old spec says: where that is another one now, it is given up. */
static void subject_follow(struct subject *subject, const struct difference *between)
{
    if (between->of_check) {
        task_stop(&subject->check_task);
        subject_change_check(subject, between->before, between->now_ms);
    }
    if (between->of_agent) {
        task_stop(&subject->agent_task);
        subject_change_agent(subject, between->before, between->now_ms);
    }
    keep_on(&subject->check_task, &subject->watch->plan);
    keep_on(&subject->agent_task, &subject->watch->plan);
}

static void take_over(struct watch *watch, struct subject **made, struct subject **running)
{
    struct subject *subject = *running;

    subject->watch = watch;
    subject->server = (*made)->server;
    *running = *made;
    *made = subject;
}

static void subject_leave(struct watch *watch, struct subject *subject)
{
    subject_stop(subject);
    tally_add(&watch->left, subject);
}

static uintptr_t key_of(const struct subject *subject)
{
    return (uintptr_t)subject->server->state;
}

/* Both rows are in the order of the states' addresses. */
static void follow_servers(struct watch *watch, struct watch *old, const struct difference *between)
{
    size_t o = 0;

    for (size_t i = 0; i < watch->n_subjects; i++) {
        const uintptr_t key = key_of(watch->subjects[i]);

        while (o < old->n_subjects && key_of(old->subjects[o]) < key)
            subject_leave(watch, old->subjects[o++]);
        if (o < old->n_subjects && key_of(old->subjects[o]) == key) {
            take_over(watch, &watch->subjects[i], &old->subjects[o++]);
            subject_follow(watch->subjects[i], between);
        } else {
            subject_meet(watch->subjects[i], between->now_ms);
        }
    }
    while (o < old->n_subjects)
        subject_leave(watch, old->subjects[o++]);
}

static void start_servers(struct watch *watch)
{
    for (size_t i = 0; i < watch->n_subjects; i++)
        subject_start(watch->subjects[i], i, watch->n_subjects, SOON_MS);
}

static void follow_pool(struct watch *watch, struct watch *old, uint64_t now_ms)
{
    const struct health_spec *before = old->plan.spec, *spec = watch->plan.spec;
    const struct difference between = {.before = before,
                                       .of_check = !health_spec_same_check(before, spec),
                                       .of_agent = !health_spec_same_agent(before, spec),
                                       .now_ms = now_ms};

    watch->health = old->health;
    watch->service = old->service;
    watch->left = old->left;
    follow_servers(watch, old, &between);
    watch_update(watch);
    start_servers(watch);
}

static void meet_pool(struct watch *watch, struct health *health)
{
    watch_begin(watch, health, health_now_ms(health));
    start_servers(watch);
}

/* Its servers' states may yet be in use by what began before; their flags stay as they are. */
static void leave_pool(struct watch *old)
{
    for (size_t i = 0; i < old->n_subjects; i++)
        subject_stop(old->subjects[i]);
    watch_report(old);
}

static void follow_set(struct health *health, struct watch_set *new, struct watch_set *old)
{
    size_t o = 0;

    for (size_t w = 0; w < new->n_watches; w++) {
        struct watch *watch = &new->watches[w];
        const char *name = pool_name(watch->pool);

        while (o < old->n_watches && strcmp(pool_name(old->watches[o].pool), name) < 0)
            leave_pool(&old->watches[o++]);
        if (o < old->n_watches && strcmp(pool_name(old->watches[o].pool), name) == 0)
            follow_pool(watch, &old->watches[o++], health_now_ms(health));
        else
            meet_pool(watch, health);
    }
    while (o < old->n_watches)
        leave_pool(&old->watches[o++]);
}

void health_adopt(void *owner, void *argument)
{
    struct worker *worker = owner;
    struct health *health = worker->context;
    struct health_plan *plan = argument;
    const struct watch_set old = health->set;

    follow_set(health, &plan->set, &health->set);
    health->set = plan->set;
    plan->set = old;
    /* Release: pairs with health_plan_is_adopted, whose caller then frees what is in the plan. */
    atomic_store_explicit(&plan->adopted, true, memory_order_release);
}
