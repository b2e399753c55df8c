/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * States: what outlives a pool object. A pool is immutable; when the configuration or a name's addresses change, another pool object takes
 * its place and adopts the states of the servers that stay, so that requests in flight, counters, the passive check, the slow start and
 * what the health thread found go on. Made and freed by the control thread, which alone touches the plain counts of references; every
 * other word is an atomic (doc/threads.md), but for `links`, each of which belongs to one worker.
 */
#ifndef FAIRLEAD_UPSTREAM_STATE_H
#define FAIRLEAD_UPSTREAM_STATE_H

#include "upstream/server_address.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SERVER_NAME_MAX 128u /* bytes of a server's name, its NUL included; longer ones are cut */
#define SHARE_WHOLE     100u /* percent */

/* What the health thread found out about a server: written by it alone, relaxed; read by whoever shows it. */
struct server_checks {
    atomic_uint last;        /* enum check_result of the last check in the low 8 bits, HTTP status << 8; 0: none yet */
    atomic_uint duration_ms; /* of the last check */
    atomic_ullong changed_ms; /* CLOCK_MONOTONIC of the last change of state; 0: none */
    atomic_ullong failures, downs; /* counters: failed checks, times it went down */
    atomic_ullong down_ms;         /* in all, of the times that are over */
};

struct link;

/* The links of one worker to one server: see link.h. On a cache line of that worker's own. */
struct server_links {
    _Alignas(64) struct link *first; /* idle; used last */
    struct link *last;
    uint32_t n_idle;
    uint32_t n_links; /* idle, in use, and those whose last completion has not come */
};

/* The in-flight counts of the servers that one pool_create made new, side by side: a strategy looks at many of them with every pick. */
struct in_flight_cells;

struct server_state {
    uint32_t refs;             /* pools that have the server; control thread only */
    uint32_t n_workers;        /* constant */
    struct server_state *next; /* in the list that pool_put returns */
    struct server_address address; /* constant */
    struct in_flight_cells *cells; /* holds a reference */
    atomic_uint *in_flight;        /* attempts being served, over all pools; in `cells` */
    struct server_links *links;    /* owned; n_workers */
    struct server_checks checks;

    /* The words that every request touches are apart from those that seldom change. */
    _Alignas(64) atomic_ullong picked, failed; /* counters since start */
    _Alignas(64) atomic_uint flags; /* enum server_flag (pool.h) */
    atomic_uint share;              /* percent of its weight that an agent leaves it */
    atomic_ullong ramp_start_ms;    /* slow start: when it came back; 0: long ago */
    atomic_ullong out_until_ms;     /* passive check: not used before; 0: in service */
    atomic_ullong forgiven_ms;      /* failures up to here do not count */
    atomic_uint ejections;          /* in a row: each doubles the time */
    atomic_bool left;               /* the current pool has it no more: the passive check does not count it */
    atomic_ullong ejected;          /* counter: times that the passive check took it out */
    char name[SERVER_NAME_MAX];     /* constant */
};

/*
 * Frees a state that no pool has any more (of the list that pool_put returned), after every worker has said that it has no link to it. NULL
 * is allowed. Control thread.
 */
void server_state_free(struct server_state *state);
/* Frees a list that pool_put returned, whatever was in flight: when every worker was joined, or where none has ever run. NULL is allowed. Control
 * thread. */
void server_states_discard(struct server_state *states);

#endif
