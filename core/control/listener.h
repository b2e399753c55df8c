/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Listening sockets, one per address and worker (SO_REUSEPORT), so that the kernel spreads connections and no accept queue is shared; a unix
 * socket is shared by all workers. The set outlives configurations: an address that the next one has too keeps its sockets, and
 * with them the connections that wait in their queues. Sockets may also come from outside, by an upgrade or from systemd.
 *
 * Control thread only; workers get numbers of descriptors, which are valid as long as the control thread holds a reference.
 *
 * How an address is given up without losing a connection: listener_hush; the workers go on accepting for LISTENING_HUSH_MS and until the queue is empty
 * (proxy/listening.h); they stop and take themselves out of `users`; listener_put.
 */
#ifndef FAIRLEAD_CONTROL_LISTENER_H
#define FAIRLEAD_CONTROL_LISTENER_H

#include "config/config.h"

#include <stdatomic.h>
#include <sys/types.h>

#define LISTENER_NAME_MAX  128u
#define LISTENER_FDS_MAX   65536u /* sockets of one set */

struct listeners;

struct listener {
    struct listener *next;
    struct listeners *set;         /* borrowed */
    char name[LISTENER_NAME_MAX];  /* "0.0.0.0:80", "[::]:80", "unix:/path" */
    struct server_address address;
    unsigned n_fds;
    int *fds;                      /* owned */
    unsigned refs;                 /* 0: came from outside, and no configuration has asked for it yet */
    bool hushed;
    atomic_uint users;             /* acceptors of workers; each takes itself away when its last completion has come */
    bool file_is_ours;             /* unix: we made the socket's file, and remove it while it is this one: */
    dev_t file_dev;
    ino_t file_ino;
};

int listeners_create(struct listeners **listeners) __attribute__((warn_unused_result)); /* 0 or -ENOMEM */
/* Closes what is still open, references or not, and removes the files of unix sockets that are ours. NULL is allowed. */
void listeners_destroy(struct listeners *listeners);

/*
 * Takes a socket from outside; it must listen. Afterwards it belongs to the set, and CLOEXEC is set; on error it is still the caller's. `file_is_ours`:
 * the file of a unix socket was made by the process that gave it, and is to be removed in the end. Returns 0, or -errno with a sentence.
 */
int listeners_inherit(struct listeners *listeners, int fd, bool file_is_ours, char *error, size_t size)
    __attribute__((warn_unused_result));

/*
 * For each listen of the configuration out[i] gets the listener of its address, with a reference for the caller: one that is open, or
 * that came from outside, or a new one. One that was hushed is heard again; the backlog is the configuration's from now on. On error nothing has changed,
 * and error[0..size) has a sentence ("bind() to 0.0.0.0:80 failed (98: Address already in use)"). Returns 0 or -errno.
 */
int listeners_open(struct listeners *listeners, const struct config *config, unsigned n_workers, struct listener **out,
                   char *error, size_t size) __attribute__((warn_unused_result));
void listener_get(struct listener *listener);
/* The last one closes the sockets and removes the unix socket's file, if it is ours. */
void listener_put(struct listener *listener);

/*
 * Lets no new connection in, and loses none that has begun: a first segment (SYN) is dropped, so the client's kernel sends it again after a second and finds
 * who listens then, or nobody; what completes a handshake passes. The file of a unix socket is removed, and who has connected is in the queue.
 * Never for sockets that a new process goes on with after an upgrade: filters belong to the socket, not to the process.
 */
void listener_hush(struct listener *listener);

/* The user that the sockets belong to from now on. Only sockets of one user share a port: so before privileges are dropped. */
void listeners_give_to(struct listeners *listeners, uid_t user);
/* An upgrade: another process goes on with all sockets. From now on closing one removes no file. */
void listeners_give_away(struct listeners *listeners);
/* Closes sockets from outside that no configuration asked for. `hush`: those of an upgrade, which the old process still serves; it gets no more. Returns how many addresses. */
unsigned listeners_drop_unclaimed(struct listeners *listeners, bool hush);
/* Takes the unix socket of that path out of the set, if no configuration has asked for it: returns its descriptor, the caller's now, or -1. */
int listeners_take_unix(struct listeners *listeners, const char *path);
/* All of them, the newest first; NULL: none. */
const struct listener *listeners_first(const struct listeners *listeners);

#endif
