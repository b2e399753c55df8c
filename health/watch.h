/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the health thread keeps: the pools, their servers, and for each server the probes that come round.
 * Private to health/. Made by the control thread, as a whole set for each snapshot; the health thread's from
 * health_start, or from health_adopt, until it has handed a set back.
 */
#ifndef FAIRLEAD_HEALTH_WATCH_H
#define FAIRLEAD_HEALTH_WATCH_H

#include "engine/slab.h"
#include "health/health.h"
#include "health/probe.h"
#include "health/state.h"

#include <stdatomic.h>

#define SOON_MS 1000u /* within which a pool's servers that came by a plan have their first probes */

struct subject;

/* A probe that comes round: the check, or the agent. */
struct task {
    struct timer timer;        /* when the next one is due */
    struct task *next, **link; /* in the queue of those that are due and wait for a place: the next one, and
                                  what points here */
    struct subject *subject;
    struct probe *probe;       /* in flight; NULL: none */
    uint64_t started_ms;       /* the last one */
    uint64_t probes, failures; /* counters */
    enum probe_kind kind;
    bool waiting; /* in that queue */
};

/* One server. It goes from set to set, for as long as the server's state stays. */
struct subject {
    struct watch *watch;      /* of the set that it stands in */
    struct server *server;    /* borrowed from that watch's pool */
    struct probe_place place; /* the server's */
    struct task check_task, agent_task;
    struct check check;
    enum agent_mode mode;       /* what the agent said last; AGENT_READY before */
    enum agent_service service; /* likewise; AGENT_UP before */
    uint32_t share;             /* likewise; percent, 0: it drains */
    bool drain_is_guessed;      /* it drained before we knew it: by a word or by a share, nobody knows */
    bool agent_silent;          /* its last probe failed */
    bool agent_odd;             /* it said a word that means nothing */
    bool is_out;                /* by its check or its agent */
    uint64_t out_since_ms;      /* since when that is so, or is not */
    uint64_t mode_since_ms, service_since_ms;
    uint64_t transitions; /* counter: of the check and of the agent */
};

/* Who serves a pool, as far as its servers' flags tell. */
enum pool_service { BY_PRIMARIES, BY_BACKUPS, BY_NONE };

/* Counters of several servers together. */
struct tally {
    uint64_t probes, failures, transitions, agent_probes, agent_failures;
};

/* One pool. */
struct watch {
    struct health *health; /* NULL before the set is the thread's */
    struct pool *pool;     /* borrowed */
    struct probe_plan plan;
    size_t n_subjects;
    struct subject **subjects; /* owned, they and the row; in the order of their states' addresses */
    struct tally left;         /* of servers that are there no more */
    enum pool_service service;
};

/* All pools of a snapshot. */
struct watch_set {
    size_t n_watches;
    struct watch *watches; /* owned; in the order of the pools' names */
};

/* A set on its way: there the one that is to be, and back the one that was. */
struct health_plan {
    struct watch_set set;
    atomic_bool adopted;
};

struct health {
    struct worker *worker; /* owned */
    struct watch_set set;
    struct slab probes; /* its limit bounds what is in flight */
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

/* Unix sockets have none. */
static inline bool subject_has_agent(const struct subject *subject)
{
    return subject_spec(subject)->agent_port != 0 && subject->place.address.sa.sa_family != AF_UNIX;
}

static inline enum probe_kind check_kind(const struct health_spec *spec)
{
    return spec->type == HEALTH_HTTP ? PROBE_HTTP : PROBE_TCP;
}

/* plan.c: sets, made and ended by the control thread. */

/* Returns 0, or -errno with nothing made. */
int watch_set_init(struct watch_set *set, const struct health_pool *pools, size_t n_pools)
    __attribute__((warn_unused_result));
void watch_set_fini(struct watch_set *set);

/* schedule.c: when probes run. */

void task_init(struct task *task, struct subject *subject, enum probe_kind kind);
/* Nothing is due any more, and what is in flight is abandoned. */
void task_stop(struct task *task);
/*
 * Sets those tasks that the subject ought to have and that do not run yet, each after its share of an
 * interval, or of most_ms where that is shorter: place of places. Stops those that it ought not to have.
 */
void subject_start(struct subject *subject, uint64_t place, uint64_t places, uint64_t most_ms);
void subject_stop(struct subject *subject);

/* verdict.c: what results mean. */

/* What a server is taken for that was not looked at before: for what its flags say where they come from an
 * earlier process, else for what the spec says. Into its flags too. */
void subject_meet(struct subject *subject, uint64_t now_ms);
/* The check, or the agent, is another one from now on; `before` it was so. Its task has been stopped. */
void subject_change_check(struct subject *subject, const struct health_spec *before, uint64_t now_ms);
void subject_change_agent(struct subject *subject, const struct health_spec *before, uint64_t now_ms);
/* A check's or an agent's result: what it says of the server, unless it could not be made, and for who looks
 * from outside. */
void subject_judge(struct task *task, const struct probe *probe);
/* Sees to the flag of the pool after changes of its servers' flags; tells who serves it now. */
void watch_update(struct watch *watch);
/* A new watch: its servers are met, and who serves it is seen, without a word. */
void watch_begin(struct watch *watch, struct health *health, uint64_t now_ms);

/* health.c */

/* The line with its counters, where it is or was checked. */
void watch_report(const struct watch *watch);
/* Adds the counters of one subject. */
void tally_add(struct tally *tally, const struct subject *subject);

#endif
