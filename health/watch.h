/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the health thread keeps: its pools, their servers, and for each server the probes that come round.
 * Private to health/. Made by the control thread, and the health thread's from health_start to health_stop.
 */
#ifndef FAIRLEAD_HEALTH_WATCH_H
#define FAIRLEAD_HEALTH_WATCH_H

#include "engine/slab.h"
#include "health/health.h"
#include "health/probe.h"
#include "health/state.h"

struct subject;

/* A probe that comes round: the check, or the agent. */
struct task {
    struct timer timer; /* when the next one is due */
    struct task *next;  /* in the queue of those that are due and wait for a place */
    struct subject *subject;
    struct probe *probe;       /* in flight; NULL: none */
    uint64_t started_ms;       /* the last one */
    uint64_t probes, failures; /* counters */
    enum probe_kind kind;
    bool waiting; /* in that queue */
};

/* One server. */
struct subject {
    struct watch *watch;
    struct server *server;    /* borrowed from the pool */
    struct probe_place place; /* the server's, as of when it came */
    struct task check_task, agent_task;
    struct check check;
    enum agent_mode mode;       /* what the agent said last; AGENT_READY before */
    enum agent_service service; /* likewise; AGENT_UP before */
    uint32_t share;             /* likewise; percent, 0: it drains */
    bool agent_silent;          /* its last probe failed */
    bool agent_odd;             /* it said a word that means nothing */
    uint64_t mode_since_ms, service_since_ms;
    uint64_t transitions; /* counter: of the check and of the agent */
};

/* Who serves a pool, as far as its servers' flags tell. */
enum pool_service { BY_PRIMARIES, BY_BACKUPS, BY_NONE };

/* One pool. */
struct watch {
    struct health *health;
    struct pool *pool; /* borrowed */
    struct probe_plan plan;
    size_t n_subjects;
    struct subject *subjects; /* owned; in the order of the pool */
    enum pool_service service;
};

struct health {
    struct worker *worker; /* owned */
    size_t n_watches;
    struct watch *watches; /* owned */
    struct slab probes;    /* its limit bounds what is in flight */
    struct task *waiting, **waiting_end;
    uint64_t random[2];
    uint64_t delayed;  /* counter: probes that waited for a place */
    uint64_t not_made; /* counter: probes that failed for want of something of ours */
    bool running;      /* control thread: the thread was started, and is to be joined */
    bool stopping;
};

static inline uint64_t health_now_ms(const struct health *health)
{
    return health->worker->now_ms;
}

static inline const struct health_spec *subject_spec(const struct subject *subject)
{
    return subject->watch->plan.spec;
}

/* schedule.c: when probes run. */

void task_init(struct task *task, struct subject *subject, enum probe_kind kind);
/* Due at or after at_ms, instead of what was due. */
void task_set(struct task *task, uint64_t at_ms);
/* Nothing is due any more, and what is in flight is abandoned. */
void task_stop(struct task *task);
/* Sets the tasks that the subject has, each after its share of an interval: place of places. */
void subject_start(struct subject *subject, uint64_t place, uint64_t places);

/* verdict.c: what results mean. */

/* What a server is taken for before its first check, in its flags too. */
void subject_reset(struct subject *subject, uint64_t now_ms);
/* A check's or an agent's result. */
void subject_judge(struct subject *subject, const struct probe *probe);
/* Sees to the flag of the pool after changes of its servers' flags; tells who serves it now. */
void watch_update(struct watch *watch);
/* Who does, without a word. */
enum pool_service watch_look(const struct watch *watch);

#endif
