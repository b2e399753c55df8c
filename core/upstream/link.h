/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Links: connections to servers, and the idle ones that one worker keeps for reuse, per server, last in first out. An idle link keeps
 * receiving, so that a server that closes or speaks out of turn is noticed before the link is used again (RFC 9112 9.2:
 * bytes that answer no request are discarded with the connection). Worker thread that owns the links.
 */
#ifndef FAIRLEAD_UPSTREAM_LINK_H
#define FAIRLEAD_UPSTREAM_LINK_H

#include "engine/slab.h"
#include "engine/stream.h"
#include "upstream/pool.h"

#define LINK_SMALL_RESPONSES 8u /* in a row after which a link receives by multishot again */

struct link {
    struct stream stream;    /* first */
    struct links *links;     /* owner */
    struct server *server;   /* borrowed from the snapshot */
    const struct pool_spec *settings;
    void *user;              /* of whoever uses the link now; NULL while idle or closing */
    struct link *next, *prev; /* in the server's idle list */
    uint64_t created_ms;
    uint32_t requests;       /* begun over this link */
    uint32_t small_responses; /* in a row: none of them filled a buffer */
    bool idle;
};

struct idle_list {
    struct link *first, *last; /* first: used last */
    uint32_t count;
    uint32_t n_links; /* of this server in all: idle, in use, and those whose last completion has not come */
};

struct links {
    struct worker *worker;
    struct slab slab;
    struct idle_list *idle;  /* by server id; owned */
    uint32_t n_servers;
    uint32_t n_idle, idle_max; /* of all servers together: those that are busy must always find room */
    uint64_t opened, reused, idle_closed;
};

/* Returns 0 or -ENOMEM. `limit`: links of this worker, busy and idle. */
int links_init(struct links *links, struct worker *worker, uint32_t n_servers, uint32_t limit)
    __attribute__((warn_unused_result));
/* After the worker's last turn. */
void links_fini(struct links *links);

/* The idle link to this server that was used last, or NULL; the caller becomes its user and gets its events by `type`, whose on_gone must
 * be link_gone. */
struct link *link_take(struct links *links, struct server *server, const struct stream_type *type, void *user);
/* Begins a new connection. NULL: none can be made now, *error says why (-errno). */
struct link *link_open(struct links *links, const struct pool *pool, struct server *server,
                       const struct stream_type *type, void *user, int *error);
/* The response is complete, nothing is left to send or to read: keeps the link, or closes it where it is too old or too many are kept. */
void link_release(struct link *link);
void link_close(struct link *link, bool reset);
void link_gone(struct stream *stream);
/* Closes the idle links to the server of that id. Returns how many links to it are left, those that are being closed included. */
uint32_t links_close_server(struct links *links, uint32_t id);
/* Closes all idle links. */
void links_close_idle(struct links *links);

#endif
