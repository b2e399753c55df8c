/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How a server stands: its shared words, read once, and what they come to. The one place in core/control that knows where they are. Any thread, but
 * made for the control thread.
 */
#ifndef FAIRLEAD_CONTROL_STANDING_H
#define FAIRLEAD_CONTROL_STANDING_H

#include "upstream/pool.h"

struct standing {
    uint32_t flags;        /* enum server_flag */
    uint32_t share;        /* percent of its weight that an agent or a record leaves it */
    uint32_t in_flight;    /* requests being served, over all workers */
    uint64_t picked, failed, ejected; /* counters */
    uint64_t out_ms;       /* how much longer the passive check keeps it out; 0: it does not */
    const char *status;    /* in HAProxy's words where there is one: "UP", "DOWN", "MAINT", "DRAIN"; else "EJECTED" */
    bool serves;           /* it gets new requests */
    const char *check_status; /* of the last check, as "L7OK"; "": none has ended */
    uint32_t check_code;   /* its HTTP status; 0: none */
    uint32_t check_duration_ms;
    uint64_t check_failures, check_downs; /* counters */
    bool has_changed;      /* a check has changed its state, changed_ms ago */
    uint64_t changed_ms, down_ms; /* down_ms: in all, until now */
};

void standing_read(const struct server *server, uint64_t now_ms, struct standing *standing);

/* The servers of a pool together. */
struct pool_standing {
    struct standing sum;   /* of in_flight and the counters; its status is "UP", "DOWN", or "PANIC": all are out by the passive check, and
                              serve all the same */
    uint32_t active, backup; /* servers of each tier that serve */
    uint32_t n;            /* servers in all */
    uint64_t weight;       /* of the active ones */
};

void standing_of_pool(const struct pool *pool, uint64_t now_ms, struct pool_standing *standing);

#endif
