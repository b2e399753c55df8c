/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A picker is one worker's view of a pool: the strategy's state, and the bitmap of servers that may be used now. It knows up, down,
 * failed, tried, and the backup tier; the strategy only orders what is left. Worker thread that owns it; no lock, no
 * allocation and no system call after picker_create.
 */
#ifndef FAIRLEAD_UPSTREAM_PICKER_H
#define FAIRLEAD_UPSTREAM_PICKER_H

#include "upstream/pool.h"

#define PICKER_NONE (-1)

struct picker;

/* The servers already tried in one request: its owner zeroes it and passes it to every pick of that request. */
struct tried {
    uint64_t words[POOL_SERVERS_MAX / 64];
    uint32_t count;
};

/* `worker` is the worker's number from 0; it seeds the strategy. Returns NULL when memory is short. */
struct picker *picker_create(struct pool *pool, unsigned worker);
void picker_destroy(struct picker *picker);

/*
 * Picks a server that is not down, not taken out by the passive check and not in `tried` (NULL: none tried): first among the
 * primaries, then among the backups. A pool with a single server (as nginx counts: no other address, backups included) is never
 * taken out by the passive check. When a server's time out is over, one pick is let through as a trial: the first that gets it sets the window anew (others wait
 * for its outcome or the next window). Marks the server in `tried`, counts it in flight. Returns an index for pool_server, or PICKER_NONE.
 * When only the passive check stands in the way, it puts back all that the request has not tried: PICKER_NONE means that every server is
 * down or tried.
 */
int picker_pick(struct picker *picker, struct tried *tried, uint64_t key, uint64_t now_ns)
    __attribute__((warn_unused_result));

/*
 * Ends what picker_pick began, exactly once per pick: counts the server out of flight, feeds the passive check and the strategy.
 * `latency_ns` is from pick to the first byte; used with FAIRLEAD_OK only. Returns true when this outcome took the server out of
 * service (for the caller to log once).
 */
bool picker_done(struct picker *picker, int server, enum fairlead_outcome outcome, uint64_t latency_ns, uint64_t now_ns);

#endif
