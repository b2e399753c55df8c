/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The inside of a pool, for pool.c and picker.c only: its two tiers as a strategy sees them, and the one word
 * by which pickers learn that a server went out or came back. Written by pool_create on the control thread;
 * then immutable, but for `version` and the atomics of struct server.
 */
#ifndef FAIRLEAD_UPSTREAM_TIER_H
#define FAIRLEAD_UPSTREAM_TIER_H

#include "upstream/pool.h"
#include "upstream/strategy.h"

enum { TIER_PRIMARY, TIER_BACKUP, N_TIERS };

/* The servers that share the requests among them. A tier without servers has n_servers 0, no plan, and is
 * never picked from. */
struct tier {
    struct fairlead_set set;
    struct fairlead_server *servers; /* owned; what set.servers points at */
    uint32_t *weights; /* owned; the effective weights given with every pick: those of the configuration */
    uint32_t *indices; /* owned; position in the tier -> index in the pool */
    void *plan;        /* owned, through plan_destroy; NULL where the strategy makes none */
};

struct pool {
    struct pool_spec settings; /* name, balance and balancers_dir owned; options and servers NULL */
    struct strategy strategy;  /* holds a reference on the module */
    struct server *servers;    /* owned; n_servers, in the order of the configuration */
    uint32_t *positions;       /* owned; index in the pool -> position in the server's tier */
    size_t n_servers;
    struct tier tiers[N_TIERS];
    bool single; /* nginx's rule: the only address, down ones and backups counted, is never taken out */

    /* Changes after every change of a server's out_until_ms. On a line of its own: read with every pick,
     * seldom written. */
    _Alignas(64) atomic_ullong version;
};

#endif
