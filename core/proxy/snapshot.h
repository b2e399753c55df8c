/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A snapshot: everything that a request is answered by, as of one moment: the configuration, its routes, a pool for each group. Immutable once it is
 * published. A reload, a runtime change and a DNS answer each publish a new one; an exchange stays with the one that it began with, but that one which waits
 * for a server may change over (exchange_renew). Each worker counts who still uses it in a view of its own, and says when nobody does; the control thread
 * makes and frees it.
 */
#ifndef FAIRLEAD_PROXY_SNAPSHOT_H
#define FAIRLEAD_PROXY_SNAPSHOT_H

#include "config/config.h"
#include "proxy/route.h"
#include "upstream/picker.h"

#include <stdatomic.h>

#define SNAPSHOT_SECRET_SIZE 32u /* bytes of the key of sticky cookies whose group names none */

struct field;
struct line;
struct listening;
struct service;
struct sticky_values;
struct worker;

/* One worker's side. The worker's own once the snapshot is published. */
struct view {
    _Alignas(64) struct snapshot *snapshot;
    uint32_t refs;       /* exchanges, and listeners that are being closed */
    bool current;        /* new requests begin with it */
    struct field *fields; /* scratch for one head; owned by the snapshot */
    struct listening *fresh; /* for listeners that the snapshot before had not; the worker takes them */
};

/* The sockets of one config->listens. */
struct snapshot_listener {
    const void *identity; /* equal in two snapshots: the same sockets */
    atomic_uint *users;   /* acceptors that may use the sockets: counted up here, and down (release) by their workers */
    const int *fds;       /* as many as workers, or more, or fewer */
    unsigned n_fds;
};

/* Which of its sockets a worker accepts from: every socket has a worker, and every worker a socket. */
static inline bool snapshot_listener_is_for(unsigned n_fds, unsigned k, unsigned worker, unsigned n_workers)
{
    return k % n_workers == worker || k == worker % n_fds;
}

struct snapshot {
    const struct config *config;
    const struct router *router;
    const struct sticky_values *sticky;
    size_t n_groups;
    struct pool **pools; /* by group; a reference each */
    struct line **lines; /* likewise (proxy/queue.h) */
    size_t n_listeners;
    struct snapshot_listener *listeners; /* by config->listens; what they point at is the control thread's */
    unsigned n_workers;
    struct view *views;
    atomic_uint users;   /* workers that still use it; each takes itself away, once */
    atomic_uint farewells; /* letters of farewell that have not been read */
    struct loaded *loaded; /* what snapshots of one configuration share */
};

/* A configuration and its routes; counted by the control thread. */
struct loaded;
/* Takes the configuration over, also when it fails: NULL, memory is short. */
struct loaded *loaded_create(struct config *config);
struct loaded *loaded_get(struct loaded *loaded);
/* NULL is allowed. */
void loaded_put(struct loaded *loaded);
struct config *loaded_config(const struct loaded *loaded);

struct snapshot_parts {
    struct loaded *loaded;   /* a reference is taken */
    struct pool *const *pools; /* by group; the caller's references become the snapshot's, when it is made */
    const struct snapshot_listener *listeners; /* copied */
    struct worker *const *workers; /* borrowed for good; filled in before the first snapshot is published */
    unsigned n_workers;
    const uint8_t *secret;   /* SNAPSHOT_SECRET_SIZE bytes */
};

/*
 * Control thread. `previous` is the snapshot that serves now, or NULL: lines of groups of the same name are handed on, and listeners that it has need
 * nothing new. Returns 0, -ENOMEM or -EINVAL (sticky values could not be made).
 */
int snapshot_create(const struct snapshot_parts *parts, const struct snapshot *previous, struct snapshot **snapshot)
    __attribute__((warn_unused_result));
/* Control thread: nobody uses it any more, and both rounds of farewells are over (or no worker runs). Returns the states that no pool has any more. */
struct server_state *snapshot_destroy(struct snapshot *snapshot);
/* All workers have let go of it. Acquire: what they did with it happened before. */
bool snapshot_is_unused(const struct snapshot *snapshot);
/*
 * Asks every worker to say that it has read all letters from before: those about lines of the snapshot were sent by workers that have let go of it since, or that were just
 * reading such a letter; for the sake of the latter a second round follows the first. To be asked once it is unused. False: a mailbox is full, ask again; `*next` (0 at the
 * beginning of a round) remembers where.
 */
bool snapshot_say_farewell(struct snapshot *snapshot, struct worker *const *workers, unsigned *next);
bool snapshot_is_left(const struct snapshot *snapshot);

/* The number of the group of that name, or n_groups. `hint`: its likely number, for most reloads change little. */
size_t snapshot_find_group(const struct snapshot *snapshot, const char *name, size_t hint);
/* The number of the listener with these sockets, or n_listeners. */
size_t snapshot_find_listener(const struct snapshot *snapshot, const void *identity);

/* Worker thread. */
static inline void view_get(struct view *view)
{
    view->refs++;
}

void view_put(struct view *view);
/* Another one is current from now on. */
void view_retire(struct view *view);

static inline const struct config *view_config(const struct view *view)
{
    return view->snapshot->config;
}

#endif
