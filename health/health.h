/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Active checks: the health thread, a worker of the engine with a ring of its own that serves no client. It
 * probes every server of every pool that has a check, and writes what it finds as flags of the server
 * (upstream/pool.h), which the workers only read, and as `server_state.checks`, for the status. It logs each
 * change of a state once, counts it, and keeps each pool's "backups are promoted" flag. It knows no strategy.
 *
 * It follows snapshots by plans: a plan names the pools of the next one, and comes by letter. What is known
 * of a server goes on as long as its `server_state` does, in a pool of the same name.
 */
#ifndef FAIRLEAD_HEALTH_HEALTH_H
#define FAIRLEAD_HEALTH_HEALTH_H

#include "engine/worker.h"
#include "health/result.h"
#include "health/spec.h"
#include "upstream/pool.h"

struct health_config {
    const struct health_pool *pools; /* all of the snapshot. The row is borrowed for the call; its pools and
                                        specs until the first plan has been adopted, or health_destroy */
    size_t n_pools;                  /* may be 0 */
    uint32_t probes_max;             /* in flight at a time, of all pools together */
    struct worker_config worker;     /* pin false; actors_max is set here, as many as the probes need */
};

struct health;
struct health_plan;

/* Control thread: sets the first states (before any worker sees the pools), makes the ring. Returns 0 or
 * -errno. */
int health_create(const struct health_config *config, struct health **health)
    __attribute__((warn_unused_result));
/* Starts its thread. Returns 0 or -errno. */
int health_start(struct health *health) __attribute__((warn_unused_result));
/* Control thread: ends the thread, and waits for it. Returns 0, or -errno why it had ended before. */
int health_stop(struct health *health);
void health_destroy(struct health *health);
/* The worker behind it, for letters: a letter is run on the health thread with that worker as its owner. */
struct worker *health_worker(struct health *health);

/*
 * Control thread: a plan for a new snapshot, with all that the change needs, so that nothing can fail later.
 * `pools` names all of its pools, each name once, those without a check too (spec NULL); the row is borrowed
 * for the call, its pools and specs until the plan that follows this one has been adopted. Returns 0,
 * -ENOMEM, or -EMSGSIZE for a request longer than HEALTH_REQUEST_MAX.
 */
int health_plan_create(const struct health_pool *pools, size_t n_pools, struct health_plan **plan)
    __attribute__((warn_unused_result));
/*
 * A letter to health_worker; `plan` is the argument. From here on the thread looks at these pools, and uses
 * nothing of those before. Bounded by the number of servers before and after. Of a server:
 *
 * - that stays, asked as before: all goes on, timers and a probe in flight too;
 * - that is asked another way now: it stays UP or DOWN, the probe in flight is given up, another is soon;
 * - that is new: as the spec's `initial` has it, or, where SERVER_CHECKED says that an earlier process knew
 *   it, as its flags are. The first probe is soon;
 * - that is SERVER_DOWN: not asked until a plan finds it without that flag; what was known stays;
 * - that left: not asked any more, its flags stay as they are;
 * - that has no check any more: its flags are cleared, and the log says so.
 *
 * First states are in the flags once the plan has been adopted: wait for that before workers see the pools.
 */
void health_adopt(void *worker, void *plan);
/* Control thread; acquire. Never becomes true where the thread ends first (worker_has_ended). */
bool health_plan_is_adopted(const struct health_plan *plan);
/* Control thread: the plan has been adopted, and what the thread has handed back goes with it; or it was
 * never posted; or the thread has been joined. NULL is allowed. */
void health_plan_destroy(struct health_plan *plan);

#endif
