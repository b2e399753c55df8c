/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An acceptor: one listening socket on one worker's ring. Accepting backs off when descriptors or memory run out, and pauses
 * while its owner says so. Worker thread only.
 */
#ifndef FAIRLEAD_ENGINE_ACCEPTOR_H
#define FAIRLEAD_ENGINE_ACCEPTOR_H

#include "engine/worker.h"

#define ACCEPTOR_BACKOFF_MS 100u

struct acceptor {
    struct actor actor;      /* first */
    struct worker *worker;
    struct timer backoff;
    int fd;                  /* borrowed: the listening socket belongs to the control thread */
    bool paused, armed, cancelling, stopped;
    bool anew;               /* what is armed is to be armed again */
    uint64_t accepted, failed; /* failed: EMFILE, ENFILE, ENOBUFS, ENOMEM */
    void *context;           /* of the owner */
    void (*on_accept)(struct acceptor *acceptor, int fd); /* owns fd */
    void (*on_stopped)(struct acceptor *acceptor); /* may be NULL; after the last completion: the owner may free it, and close fd */
};

/* Returns false when no slot is left. The owner keeps the object until on_stopped, or until the worker has ended. */
bool acceptor_start(struct acceptor *acceptor, struct worker *worker, int fd) __attribute__((warn_unused_result));
/* Connections wait in the kernel's queue meanwhile. One that was accepted already is still handed out. */
void acceptor_pause(struct acceptor *acceptor, bool paused);
/*
 * Looks into the socket's queue once more. Who accepts from one socket with others must do so after one of them has stopped: of those that wait the kernel wakes one, which
 * may be the one that was being cancelled, and then the connection would wait for the next one to come.
 */
void acceptor_rearm(struct acceptor *acceptor);
/*
 * For good. The socket goes on listening, for others may accept from it, too (a new process, another worker): who owns it sees to it that
 * nobody waits in its queue when it is closed. What the kernel has handed out already comes to on_accept, before on_stopped.
 */
void acceptor_stop(struct acceptor *acceptor);

#endif
