/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The threads that serve: one worker per core, and the one of the health checks. Control thread. */
#ifndef FAIRLEAD_CONTROL_THREADS_H
#define FAIRLEAD_CONTROL_THREADS_H

#include "engine/probe.h"
#include "health/health.h"
#include "proxy/service.h"

struct threads {
    const struct config *settings; /* what workers and rings were made by; borrowed from the caller, for good */
    struct probe probe;            /* what the kernel can do */
    struct worker **workers;       /* owned; n, each NULL until it is made */
    struct service **services;     /* owned */
    unsigned n, n_created, n_running;
    struct health *health; /* owned; NULL: nothing has been checked so far */
};

/* Room for the workers, so that others may borrow `workers`. Returns 0 or -ENOMEM. */
int threads_init(struct threads *threads, const struct config *config) __attribute__((warn_unused_result));
/* Makes and starts the workers, which begin with the snapshot. Returns 0 or -errno. */
int threads_start(struct threads *threads, struct snapshot *snapshot) __attribute__((warn_unused_result));
/* Makes the health thread and lets it write the first states; it does not run yet. Returns 0 or -errno. */
int threads_create_health(struct threads *threads, const struct health_pool *pools, size_t n) __attribute__((warn_unused_result));

/* Starts it, or takes it back where that fails. Returns 0 or -errno. */
int threads_start_health(struct threads *threads) __attribute__((warn_unused_result));

/* To each worker that runs, or to the health thread. Waits for room in a mailbox; false: a worker did not read its letters for some seconds. */
bool threads_tell(struct threads *threads, void (*what)(void *worker, void *argument), void *argument);
bool threads_tell_health(struct threads *threads, void (*what)(void *worker, void *argument), void *argument);

bool threads_have_ended(const struct threads *threads); /* all workers */
unsigned threads_n_ended(const struct threads *threads); /* workers */
bool threads_any_ended(const struct threads *threads);  /* a worker or the health thread */
/* Waits for them all. Returns 0, or -1: one of them had ended with an error, which was logged. */
int threads_join(struct threads *threads);
/* After threads_join. */
void threads_fini(struct threads *threads);

#endif
