/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A worker: one thread pinned to one core, one ring, one timer wheel, one mailbox, and the loop that turns them. It knows nothing of HTTP; what it
 * serves hangs at `context`. Everything in here belongs to the worker's thread, except what is said to be for the control thread.
 */
#ifndef FAIRLEAD_ENGINE_WORKER_H
#define FAIRLEAD_ENGINE_WORKER_H

#include "engine/mailbox.h"
#include "engine/ring.h"
#include "engine/timers.h"

#include <pthread.h>

struct stream;

/* First come, first served. */
struct stream_queue {
    struct stream *first, **end;
};

struct worker_config {
    unsigned number;          /* from 0; also the core, among those that the process may use */
    bool pin;
    uint32_t socket_send_buffer; /* SO_SNDBUF of outgoing connections; 0: leave it to the kernel */
    struct ring_config ring;
};

struct worker {
    struct worker_config config;
    struct ring *ring;        /* owned */
    struct timers timers;
    struct mailbox mailbox;
    struct actor waker;       /* watches the mailbox's eventfd */
    uint64_t now_ns, now_ms;  /* CLOCK_MONOTONIC, as of this turn */
    struct stream *closing;   /* streams that wait for their last completion */
    struct stream_queue starved;  /* streams that found no block to receive into */
    struct stream_queue bulk_queue; /* streams that wait for their turn with a bulk buffer */
    uint64_t turns;
    uint64_t starvations;     /* times a stream had to wait for a block */
    bool reap_soon;           /* a closed stream waits for nothing but the next turn */
    bool stopping;
    void *context;            /* borrowed; of the layer above */
    int (*start)(struct worker *worker);  /* on the worker's thread, before the first turn; 0 or -errno */
    void (*finish)(struct worker *worker); /* on the worker's thread, after the last turn */
    pthread_t thread;
    atomic_bool ended;        /* written by the worker, read by the control thread */
    int status;               /* 0, or -errno why it ended; for the control thread after worker_join */
};

/* Control thread. Makes the ring, disabled. Returns 0 and *worker, or -errno. */
int worker_create(const struct worker_config *config, struct worker **worker) __attribute__((warn_unused_result));
/* Control thread; the thread must have been joined, or never started. NULL is allowed. */
void worker_destroy(struct worker *worker);
/* Control thread. Starts the thread with all signals blocked. Returns 0 or -errno. */
int worker_run(struct worker *worker) __attribute__((warn_unused_result));
/* Control thread. Waits for the end of the thread; returns its status. */
int worker_join(struct worker *worker);

/* Control thread: the thread is over, or about to be; worker_join will not wait. */
bool worker_has_ended(const struct worker *worker);

/* Worker thread: the loop ends after this turn. */
void worker_stop(struct worker *worker);

static inline struct buffers *worker_buffers(struct worker *worker)
{
    return ring_buffers(worker->ring);
}

#endif
