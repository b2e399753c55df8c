/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Active checks: the health thread, a worker of the engine with a ring of its own that serves no client. It
 * probes every server of every pool that has a check, and writes what it finds as flags of the server
 * (upstream/pool.h), which the workers only read. It logs each change of a state once, counts it, and keeps
 * each pool's "backups are promoted" flag. It knows no strategy.
 */
#ifndef FAIRLEAD_HEALTH_HEALTH_H
#define FAIRLEAD_HEALTH_HEALTH_H

#include "engine/worker.h"
#include "health/spec.h"
#include "upstream/pool.h"

struct health_config {
    const struct health_pool *pools; /* borrowed while the health thread runs */
    size_t n_pools;
    uint32_t probes_max;         /* in flight at a time, of all pools together */
    struct worker_config worker; /* pin false; actors_max is set here, as many as the probes need */
};

struct health;

/* Control thread: sets the initial states (before any worker runs), makes the ring. Returns 0 or -errno. */
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
 * A letter (argument: struct server *): it came or went (SERVER_ABSENT). What was found out about it is
 * forgotten; one that is there begins as before its first check. Only here and in health_create are the
 * server's address and name read, and not while it is ABSENT: so a server that went may be given another
 * address once the letter about that has been run, and then come.
 */
void health_server_changed(void *worker, void *argument);

#endif
