/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Links: connections to servers, and the idle ones that one worker keeps for reuse, per server, last in first out. A server is
 * known by its state (state.h), so that links outlive the pool object that they were opened for. An idle link keeps
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
    struct server_state *state; /* borrowed: it stays while there are links to it */
    void *user;              /* of whoever uses the link now; NULL while idle or closing */
    struct link *next, *prev;   /* in the server's idle list */
    struct link *older, *newer; /* in the list of all idle links of the worker */
    uint32_t keepalive, keepalive_timeout_ms, keepalive_time_ms, keepalive_requests; /* of the pool that used it last */
    uint64_t created_ms;
    uint32_t requests;       /* begun over this link */
    uint32_t small_responses; /* in a row: none of them filled a buffer */
    bool idle;
};

struct links {
    struct worker *worker;
    struct slab slab;
    struct link *oldest, *newest; /* idle, by when they became so */
    uint32_t n_idle, idle_max; /* of all servers together: those that are busy must always find room */
    uint64_t opened, reused, idle_closed;
};

/* `limit`: links of this worker, busy and idle. The worker's number is that of its lists in the states of servers. */
void links_init(struct links *links, struct worker *worker, uint32_t limit);
/* After the worker's last turn. */
void links_fini(struct links *links);

/* The idle link to this server that was used last, or NULL; the caller becomes its user and gets its events by `type`, whose on_gone must
 * be link_gone. From now on it is kept as `pool` says. */
struct link *link_take(struct links *links, const struct pool *pool, struct server *server, const struct stream_type *type, void *user);
/* Begins a new connection. NULL: none can be made now, *error says why (-errno). */
struct link *link_open(struct links *links, const struct pool *pool, struct server *server,
                       const struct stream_type *type, void *user, int *error);
/* The response is complete, nothing is left to send or to read: keeps the link, or closes it where it is too old or too many are kept. */
void link_release(struct link *link);
void link_close(struct link *link, bool reset);
void link_gone(struct stream *stream);
/* Closes the idle links to the server. Returns how many links to it are left, those that are being closed included. */
uint32_t links_close_state(struct links *links, struct server_state *state);
/* Closes the idle links to servers that their pools have no more. */
void links_close_left(struct links *links);
/* Closes all idle links. */
void links_close_idle(struct links *links);

#endif
