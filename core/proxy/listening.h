/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Listening: one socket in the hand of one worker, from the snapshot that has it first to the last client that came by it. A reload gives it another
 * view; one whose address is configured no longer stays open for a moment, and as long as connections wait in its queue (which may be long at
 * worker_connections), so that whoever has connected is accepted, and is then closed.
 * Made by the control thread, the worker's from then on.
 */
#ifndef FAIRLEAD_PROXY_LISTENING_H
#define FAIRLEAD_PROXY_LISTENING_H

#include "engine/acceptor.h"
#include "proxy/snapshot.h"

/* How long a socket that is to be closed still accepts: handshakes that had begun are complete by then (a round trip), and no new ones
 * begin (control/listener.h). */
#define LISTENING_HUSH_MS 1000u
#define LISTENING_LOOK_MS 50u /* how often it is looked whether the last one has gone */

struct listening {
    struct acceptor acceptor;
    struct service *service; /* NULL until the worker has it */
    struct view *view;       /* what new requests of its clients begin with; a reference once it closes */
    const struct listen *listen; /* of that view's configuration */
    const void *identity;    /* of the sockets, for all workers */
    uint32_t n_clients;
    bool closing;            /* its clients answer one more request each */
    bool accepting;          /* the acceptor is on the ring */
    bool shared;             /* closing: another process takes what waits in the queue */
    atomic_uint *users;      /* of the sockets; borrowed from the control thread, which waits for our part in it */
    struct timer timer;      /* of the closing */
    struct listening *next;
};

/* Control thread. NULL: memory is short. `fd` is borrowed. */
struct listening *listening_create(struct view *view, const struct listen *listen, const struct snapshot_listener *listener, int fd);
/* A whole list; control thread, those that no worker has, or after the worker has ended. NULL is allowed. */
void listenings_destroy(struct listening *first);

/* Worker thread. Takes the sockets that a new snapshot brings: 0, or -ENOBUFS when the ring has no slot. */
int listenings_start(struct service *service, struct view *view) __attribute__((warn_unused_result));
/* Those that are open, from now on with the new view; those that it does not have close. */
void listenings_follow(struct service *service, struct view *view);
/* All of them close. `shared`: another process has the sockets, too. */
void listenings_close(struct service *service, bool shared);
/* Another process has stopped to accept from the same sockets, see acceptor_rearm. */
void listenings_rearm(struct service *service);
void listenings_pause(struct service *service, bool paused);
/* Times that accepting failed for want of descriptors or memory, on all sockets. */
uint64_t listenings_accept_failures(const struct service *service);
/* A client that came by it is gone. */
void listening_client_gone(struct listening *listening);

#endif
