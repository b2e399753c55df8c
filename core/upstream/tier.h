/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The inside of a pool, for the files of core/upstream only: its two tiers as a strategy sees them, and the words by which pickers learn what
 * has changed. Written by pool_create on the control thread; then immutable, but for the atomics here and in struct server.
 */
#ifndef FAIRLEAD_UPSTREAM_TIER_H
#define FAIRLEAD_UPSTREAM_TIER_H

#include "upstream/pool.h"
#include "upstream/strategy.h"

enum { TIER_PRIMARY, TIER_BACKUP, N_TIERS };

/* The servers that share the requests among them. A tier without servers has n_servers 0, no plan, and is never picked from. */
struct tier {
    struct fairlead_set set;
    struct fairlead_server *servers; /* owned; what set.servers points at */
    char (*names)[SERVER_NAME_MAX];  /* owned; what servers[].name points at: the name of a place, whatever address it has */
    atomic_uint *in_flight;          /* owned; by position */
    uint32_t *indices;               /* owned; position in the tier -> index in the pool */
    void *plan;                      /* owned, through plan_destroy; NULL where the strategy makes none */
    void *shared;                    /* owned; the strategy's, of all workers */
};

struct pool {
    struct pool_spec settings; /* name, balance and balancers_dir owned; options and servers NULL */
    struct strategy strategy;  /* holds a reference on the module */
    struct server *servers;    /* owned; n_servers, in the order of the configuration */
    uint32_t *positions;       /* owned; index in the pool -> position in the server's tier */
    size_t n_servers;
    struct tier tiers[N_TIERS];
    bool limited;   /* some server has max_conns */
    struct pool_counters counters;

    /* Moves with every change of a server's flags, share, out_until_ms or ramp. On a line of its own, with what changes as seldom: read with
     * every pick. */
    _Alignas(64) atomic_ullong version;
    atomic_uint n_ejected;  /* servers that the passive check has out */
    atomic_uint n_present;  /* servers that are not ABSENT */
    atomic_bool promoted;   /* no primary is in service: the backups serve */
    atomic_bool panic;      /* all that could serve are out by the passive check: served as if none were */
};

/* After each change of a word that decides who may be picked. Release: whoever sees the new version (acquire) sees that change too. */
static inline void pool_changed(struct pool *pool)
{
    atomic_fetch_add_explicit(&pool->version, 1, memory_order_release);
}

#endif
