/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A picker is one worker's view of a pool: the strategy's state, and which servers may be used now, with which weights. It knows flags, the
 * passive check, limits, slow start, what a request has tried and is bound to, and the backup tier; the strategy only orders what is left.
 * Made and freed with its pool (pool_picker). Worker thread that owns it; no lock, no allocation and no system call.
 */
#ifndef FAIRLEAD_UPSTREAM_PICKER_H
#define FAIRLEAD_UPSTREAM_PICKER_H

#include "upstream/pool.h"

#define PICKER_NONE (-1) /* every server is out of service or tried */
#define PICKER_FULL (-2) /* servers could serve, but all of them are at max_conns */

/* The servers already tried in one request: its owner zeroes it and passes it to every pick of that request. */
struct tried {
    uint64_t words[POOL_SERVERS_MAX / 64];
    uint32_t count;
};

/* What a request asks for. */
struct pick_request {
    uint64_t key;        /* hash of the key; see pool_key_kind */
    int bound;           /* the server that it is bound to (a sticky session), or PICKER_NONE; draining does not keep it off */
    struct tried *tried; /* NULL: none */
};

/*
 * Picks a server that is in service by its flags, is not taken out by the passive check, not tried and not at max_conns: the one that the request is bound to,
 * else the strategy's choice among the primaries, else among the backups. When a server's time out is over, one pick is let through as a
 * trial: others wait for its outcome or the next window. Where only the passive check stands in the way, it is passed over (panic).
 * Counts the server in flight, and marks it as tried. Returns an index for pool_server, PICKER_NONE or PICKER_FULL.
 */
int picker_pick(struct picker *picker, const struct pick_request *request, uint64_t now_ns)
    __attribute__((warn_unused_result));

/* What an outcome did: for the caller to log, once. */
enum picker_news {
    PICKER_NO_NEWS,
    PICKER_EJECTED,  /* the passive check took the server out */
    PICKER_STAYED_OUT, /* its trial failed: it stays out, for longer */
    PICKER_RETURNED, /* its trial, or a request during a panic, put the server back */
};

/*
 * The outcome of a pick, exactly once: feeds the strategy and the passive check. `elapsed_ns` is from the pick to the first byte with FAIRLEAD_OK, and to
 * now otherwise: what was sent before a server came back says nothing of what it is now.
 */
enum picker_news picker_outcome(struct picker *picker, int server, enum fairlead_outcome outcome, uint64_t elapsed_ns, uint64_t now_ns);
/* A failure after the outcome FAIRLEAD_OK was told: the response was cut. `elapsed_ns` is from the pick to now. */
enum picker_news picker_late_failure(struct picker *picker, int server, uint64_t elapsed_ns, uint64_t now_ns);
/* The request has left the server: counts it out of flight, exactly once per pick, after picker_outcome. */
void picker_release(struct picker *picker, int server);

/* How long the passive check keeps the server out now, in ms; for the log. */
uint64_t picker_time_out_ms(const struct server *server, uint64_t now_ns);
/* Whether the pool is served although all are out. `*began`: this picker's last pick found that, and it is to be logged; `*ended` likewise. */
void picker_panic_news(struct picker *picker, bool *began, bool *ended);

#endif
