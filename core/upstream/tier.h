/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The inside of a pool, for the files of core/upstream only: its two tiers as a strategy sees them, and the words by which pickers learn what
 * has changed. Written by pool_create on the control thread; then immutable, but for the atomics here and in struct server.
 */
#ifndef FAIRLEAD_UPSTREAM_TIER_H
#define FAIRLEAD_UPSTREAM_TIER_H

#include "upstream/pool.h"
#include "upstream/strategy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIER_PRIMARY, TIER_BACKUP, N_TIERS };

/* Where the sentence about a failure goes. */
struct complaint {
    char *text;
    size_t size;
};

static inline int out_of_memory(const struct complaint *complaint)
{
    snprintf(complaint->text, complaint->size, "out of memory");
    return -ENOMEM;
}

/* Zeroed, in cache lines that nothing else has a part of; at least one. NULL when memory is short. To be freed by free. */
static inline void *allocate_lines(size_t size)
{
    size_t rounded = (size / 64 + 1) * 64;
    void *lines = aligned_alloc(64, rounded);

    return lines ? memset(lines, 0, rounded) : NULL;
}

/*
 * What a strategy has made of a tier's names and weights. Tiers of successive pool objects that have the same ones hold it together, so that
 * what was learnt is not forgotten.
 */
struct tier_plan {
    uint32_t refs; /* tiers; control thread only */
    size_t n_servers;
    struct fairlead_server *servers; /* owned */
    char (*names)[SERVER_NAME_MAX];  /* owned; what servers[].name points at */
    void *plan;                      /* owned, through plan_destroy; NULL where the strategy makes none */
    void *shared;                    /* owned; the strategy's, of all workers */
};

/* The servers that share the requests among them. A tier without servers has n_servers 0, no plan, and is never picked from. */
struct tier {
    struct fairlead_set set;
    struct tier_plan *plan;        /* holds a reference */
    const atomic_uint **in_flight; /* owned; what set.in_flight points at: the counts in the states, by position */
    uint32_t *indices;             /* owned; position in the tier -> index in the pool */
};

/* What outlives a pool object of the whole pool: shared by all that were made one from the other. */
struct pool_state {
    uint32_t refs; /* pools; control thread only */
    struct pool_counters counters;

    /* Moves with every change of a server's flags, share, out_until_ms or ramp. On a line of its own, with what changes as seldom: read with
     * every pick. */
    _Alignas(64) atomic_ullong version;
    atomic_ullong promotion; /* generation of the current pool object << 1 | no primary of it is in service: the backups serve */
    atomic_uint n_ejected;   /* servers of the current pool object that the passive check has out */
    atomic_bool panic;       /* all that could serve are out by the passive check: served as if none were */
};

struct pool {
    uint32_t refs;             /* control thread only */
    unsigned n_workers;
    struct pool_spec settings; /* owned, with all that it points at */
    struct strategy strategy;  /* holds a reference on the module */
    struct server *servers;    /* owned; n_servers, in the order of the configuration */
    uint32_t *positions;       /* owned; index in the pool -> position in the server's tier */
    size_t n_servers;
    struct tier tiers[N_TIERS];
    struct picker **pickers;   /* owned; n_workers */
    bool limited;              /* some server has max_conns */
    uint64_t generation;       /* one more than that of the pool it was made from */
    struct pool_state *state;  /* holds a reference */
};

/* After each change of a word that decides who may be picked. Release: whoever sees the new version (acquire) sees that change too. */
static inline void pool_changed(struct pool *pool)
{
    atomic_fetch_add_explicit(&pool->state->version, 1, memory_order_release);
}

/* spec.c: a deep copy, but for the options. Returns 0, or -ENOMEM with what there is of it in *copy, for pool_spec_free. */
int pool_spec_copy(struct pool_spec *copy, const struct pool_spec *spec) __attribute__((warn_unused_result));
/* Frees what it points at, its options too. */
void pool_spec_free(struct pool_spec *copy);
/* The options as the strategy gets them: those given, or its fallbacks. Owned by the caller. */
int pool_spec_options(const struct fairlead_option *table, const int64_t *given, int64_t **values, size_t *n,
                      const struct complaint *complaint) __attribute__((warn_unused_result));
/* Whether a copy, whose options are in force, is of what `spec` says. The table is that of both. */
bool pool_spec_equals(const struct pool_spec *copy, const struct pool_spec *spec, const struct fairlead_option *table);

/* state.c: gives every server of the pool its state, that of `previous` or a new one. What a pool has of it after a failure is put as usual. */
int states_adopt(struct pool *pool, struct pool *previous) __attribute__((warn_unused_result));
/* Puts the states of all servers; returns those without references. */
struct server_state *states_put(struct pool *pool);

/* plan.c: makes the tiers, with what `previous` has of them where that fits. */
int tiers_create(struct pool *pool, const struct pool *previous, size_t n_options, const struct complaint *complaint)
    __attribute__((warn_unused_result));
void tiers_destroy(struct pool *pool);

/* picker.c */
struct picker *picker_create(struct pool *pool, unsigned worker); /* NULL when memory is short; `worker` seeds the strategy */
void picker_destroy(struct picker *picker);

#endif
