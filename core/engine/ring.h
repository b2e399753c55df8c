/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One io_uring instance, and the actors that have operations on it. Created disabled by the control thread, enabled by the
 * worker, and from then on used by that worker only, for the operations below and no others (ring_restrictions.h). `user_data` of every operation is the actor's slot and generation and
 * the operation's kind, never a pointer, so a completion that comes too late is found out, counted, and dropped.
 *
 * An actor asks for a flush (ring_mark); at the end of the turn its flush function issues what it wants. When the submission queue
 * is full it stays marked and gets its turn after the next submit: no operation is ever lost.
 */
#ifndef FAIRLEAD_ENGINE_RING_H
#define FAIRLEAD_ENGINE_RING_H

#include "engine/buffers.h"

#include <sys/socket.h>

#define RING_IOV_MAX 16 /* pieces of one gathered send */

enum ring_operation { RING_ACCEPT, RING_RECV, RING_SEND, RING_CONNECT, RING_POLL, RING_CANCEL };

struct completion {
    int32_t result;        /* >= 0, or -errno */
    uint8_t operation;     /* enum ring_operation */
    bool more;             /* further completions of the same operation follow */
    bool has_buffer;       /* a block of the provided ring was used */
    uint16_t buffer;       /* its number */
};

struct actor;

struct actor_type {
    void (*complete)(struct actor *actor, const struct completion *completion);
    /* Issues what the actor wants. Returns false when the submission queue was full: it is called again. */
    bool (*flush)(struct actor *actor);
};

struct actor {
    const struct actor_type *type;
    struct actor *next_marked;
    uint32_t slot;
    uint32_t in_flight;   /* operations whose last completion has not come */
    uint16_t generation;
    bool marked;
};

struct ring_config {
    uint32_t sq_entries, cq_entries;
    uint32_t actors_max;  /* at most 2^24 */
    bool multishot_accept, multishot_recv; /* test knobs: false makes every operation a single one */
    struct buffers_config buffers;
};

struct ring_counters {
    uint64_t enters, submitted, completed;
    uint64_t stale;          /* completions for an actor that is gone: always a defect */
    uint64_t sq_full;        /* a submission queue entry was not to be had */
    uint64_t cq_overflow;    /* turns that found the completion queue overflowed */
    uint64_t enter_errors;
};

struct ring;

/* Returns 0 and *ring, or -errno of io_uring_setup or of the buffer ring. Control thread. */
int ring_create(const struct ring_config *config, struct ring **ring) __attribute__((warn_unused_result));
void ring_destroy(struct ring *ring);
/* The worker that calls it becomes the only one that may use the ring. Returns 0 or -errno. */
int ring_enable(struct ring *ring) __attribute__((warn_unused_result));

struct buffers *ring_buffers(struct ring *ring);
const struct ring_counters *ring_counters(const struct ring *ring);

/* Gives the actor a slot. False: none is left. The actor must stay where it is until ring_remove. */
bool ring_add(struct ring *ring, struct actor *actor, const struct actor_type *type) __attribute__((warn_unused_result));
/* The actor has nothing in flight any more, and is not marked. */
void ring_remove(struct ring *ring, struct actor *actor);
void ring_mark(struct ring *ring, struct actor *actor);

/* Operations: each counts as one in flight. False: the submission queue is full (call again from flush). */
bool ring_accept(struct ring *ring, struct actor *actor, int fd);
/* Into a block of the provided ring; multishot unless `single`. `poll_first`: a single one does not even try before data is there. */
bool ring_recv(struct ring *ring, struct actor *actor, int fd, bool single, bool poll_first);
bool ring_recv_into(struct ring *ring, struct actor *actor, int fd, void *data, size_t len);
/* The iovec array is copied; the bytes must stay until the completion. */
bool ring_send(struct ring *ring, struct actor *actor, int fd, const struct iovec *iov, unsigned n);
bool ring_connect(struct ring *ring, struct actor *actor, int fd, const struct sockaddr *address, socklen_t len);
bool ring_poll(struct ring *ring, struct actor *actor, int fd); /* readable; multishot */
/* Cancels the actor's operations of one kind; each ends with its own last completion, and so does the cancellation. */
bool ring_cancel(struct ring *ring, struct actor *actor, enum ring_operation operation);

/*
 * One turn: flushes marked actors, provides buffers, submits, waits until something completes or `wait_ns` have passed (0: only looks).
 * Returns 0, or -errno when the ring is broken for good.
 */
int ring_wait(struct ring *ring, uint64_t wait_ns) __attribute__((warn_unused_result));
/* Runs the completions that are there (bounded). Returns how many. */
unsigned ring_dispatch(struct ring *ring);

#endif
