/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A pool: the servers of one upstream group, and the strategy that orders them. Immutable: another configuration, or other addresses of a
 * name, make another pool object, which adopts the states of the servers that stay (state.h), while requests that began with the old one
 * go on with it. Made, committed and put by the control thread, whose alone the plain counts of references are; workers, the health thread
 * and the control thread change nothing but atomics, each in the functions below or in picker.c. A pool never does I/O.
 */
#ifndef FAIRLEAD_UPSTREAM_POOL_H
#define FAIRLEAD_UPSTREAM_POOL_H

#include "upstream/state.h"

#include <fairlead/balancer.h>

#define POOL_SERVERS_MAX 1024u /* servers of one pool, both tiers together */
#define POOL_FAILS_MAX   1000u /* of max_fails: the times of so many failures are kept per server */

/* What the configuration says of a server. Strings are copied by pool_create. */
struct server_spec {
    const char *name;              /* "host:port" or "unix:/path" as written, with the port added: logs and hashing */
    const char *route;             /* what a sticky route calls it; NULL: nothing */
    struct server_address address; /* resolved */
    uint32_t weight;               /* 0 to 65535, default 1; 0 takes no new requests */
    uint32_t share;                /* percent that a DNS record leaves of it, up to SHARE_WHOLE; 0: the whole */
    uint32_t max_conns;            /* requests at a time, over all workers; 0: any number */
    uint32_t slow_start_ms;        /* how long it takes to its full weight once it is back; 0: it has it at once */
    uint32_t max_fails;            /* failures within fail_timeout_ms that take it out, up to POOL_FAILS_MAX; 0: never */
    uint32_t fail_timeout_ms;      /* the window, and how long it stays out at first */
    bool down;                     /* configured out of service */
    bool drain;                    /* only requests that are bound to it */
    bool backup;                   /* serves only when no primary can */
};

struct pool_spec {
    const char *name;         /* copied */
    const char *balance;      /* strategy name; NULL: "round_robin" */
    const char *balancers_dir;/* where NAME.so is looked for */
    const int64_t *options;   /* one per entry of the strategy's option table; NULL: its fallbacks */
    size_t n_servers;
    const struct server_spec *servers;
    uint32_t keepalive;            /* idle connections kept per server and worker; 0: none */
    uint32_t keepalive_timeout_ms; /* how long one may be idle */
    uint32_t keepalive_time_ms;    /* how old one may become */
    uint32_t keepalive_requests;   /* requests over one connection */
    uint32_t max_ejected;          /* percent of the servers that the passive check may have out at a time */
    uint32_t max_eject_time_ms;    /* the longest that it keeps one out: each time in a row is twice as long as the last */
};

/* What is to be known before a request goes to a server: bits of one word. Each bit has one writer. */
enum server_flag {
    SERVER_DOWN = 1,         /* control: configured */
    SERVER_DRAIN = 2,        /* control: configured */
    SERVER_CHECKED = 4,      /* health thread: a first verdict exists; does not keep it from serving */
    SERVER_CHECK_DOWN = 8,   /* health thread: the probe failed */
    SERVER_AGENT_DOWN = 16,  /* health thread: the agent said down, fail or stopped */
    SERVER_AGENT_MAINT = 32, /* health thread: the agent said maint */
    SERVER_AGENT_DRAIN = 64  /* health thread: the agent said drain, or 0% */
};
#define SERVER_CONFIGURED (SERVER_DOWN | SERVER_DRAIN) /* those of the control thread */
#define SERVER_DRAINS     (SERVER_DRAIN | SERVER_AGENT_DRAIN) /* what those that are bound to the server may pass */
/* With any of these it takes no new requests. */
#define SERVER_OUT                                                                                                      \
    (SERVER_DOWN | SERVER_DRAIN | SERVER_CHECK_DOWN | SERVER_AGENT_DOWN | SERVER_AGENT_MAINT | SERVER_AGENT_DRAIN)

/* One server. Owned by its pool, and constant but for the window of its failures. */
struct server {
    char name[SERVER_NAME_MAX];
    struct server_address address;
    const char *route;  /* NULL: none; in the pool's settings */
    uint64_t hash;      /* of its name: what a sticky cookie calls it */
    uint32_t weight, share, max_conns, slow_start_ms; /* share: percent of the weight that a DNS record leaves */
    uint32_t max_fails, fail_timeout_ms;
    bool backup;
    uint32_t index;     /* in its pool */
    struct server_state *state; /* holds a reference */

    /* Shared; every access is in passive.c, or in pool_create before anybody else knows the pool. */
    atomic_ullong *failed_at_ms; /* owned; times of the last max_fails - 1 failures, in turn; NULL for max_fails 0 and 1 */
    atomic_uint fail_index;      /* where in failed_at_ms the next one goes */
};

struct pool;
struct picker;

/*
 * Makes a pool with one reference: loads the strategy (see strategy.h), checks and copies the spec, builds the plan of each tier, and a picker
 * for each of `n_workers` workers. `previous`: the pool of the same name before it, or NULL; then it adopts the state of each server that
 * has the same name and address there (the first that is not taken yet, whatever its tier), and where strategy, options and a tier's names and
 * weights are the same, what the strategy has learnt in it. Writes no word that `previous` uses: until pool_commit it may be put again.
 * Control thread; may block on reading the module. Returns 0 and *pool, or -EINVAL, -ENOENT, -ENOMEM with a sentence in
 * error[0..error_size).
 */
int pool_create(const struct pool_spec *spec, unsigned n_workers, struct pool *previous, struct pool **pool, char *error,
                size_t error_size) __attribute__((warn_unused_result));
/*
 * The pool is the current one of its name from now on. `previous` is what pool_create got; requests that began with it may go on. Writes the
 * flags of the configuration, as pool_change_flags does; gives back the ejections of servers that `previous` alone has, or that cannot be
 * ejected any more; servers that are new beside `previous` begin their slow start; promotes the backups, or ends that. Control thread,
 * exactly once, before any worker picks.
 */
void pool_commit(struct pool *pool, struct pool *previous, uint64_t now_ms);
/* Whether a pool made of `spec` would be the same in everything, down to the module file of its strategy. Control thread; may block. */
bool pool_is_made_of(const struct pool *pool, const struct pool_spec *spec);

/* Takes one more reference, and returns the pool. Control thread. */
struct pool *pool_get(struct pool *pool);
/*
 * Gives one back. With the last the pool and its pickers are freed, which nobody may be using then; what is returned, linked by `next`, are
 * the states that no pool has any more. Workers may still have idle links to them: see farewell.h, and server_state_free. NULL is
 * allowed. Control thread.
 */
struct server_state *pool_put(struct pool *pool) __attribute__((warn_unused_result));

const char *pool_name(const struct pool *pool);
const char *pool_strategy(const struct pool *pool);
size_t pool_n_servers(const struct pool *pool);
struct server *pool_server(const struct pool *pool, size_t index); /* borrowed; index < pool_n_servers */
/* The picker of a worker, by its number; that worker's own. See picker.h. */
struct picker *pool_picker(const struct pool *pool, unsigned worker);
/* A copy of the spec, with its servers; options are those in force, defaults filled in, and balance is never NULL. */
const struct pool_spec *pool_settings(const struct pool *pool);
/* What kind of key the strategy wants: FAIRLEAD_KEYED, FAIRLEAD_ADDRESSED, or 0. */
uint32_t pool_key_kind(const struct pool *pool);

/* Any thread. What a server's flags are now: acquire, so that who sees a server in service sees its slow start. */
uint32_t server_flags(const struct server *server);
/* Whether it takes new requests, by its flags. Any thread. */
static inline bool server_is_in_service(const struct server *server)
{
    return (server_flags(server) & SERVER_OUT) == 0;
}
/*
 * Sets and clears flags that belong to the caller's thread, and tells the workers, those with other pool objects of this name too. A server
 * that thereby comes into service begins its slow start at now_ms (CLOCK_MONOTONIC), and is not out by the passive check any more. Returns
 * the flags before. Control or health thread.
 */
uint32_t pool_change_flags(struct pool *pool, struct server *server, uint32_t set, uint32_t clear, uint64_t now_ms);
/* How much of its weight a server has, 1 to SHARE_WHOLE percent, as an agent says; beside what a DNS record leaves. Health thread. */
void pool_set_share(struct pool *pool, struct server *server, uint32_t percent);
/*
 * The flag of the whole pool: no primary is in service (by its flags), the backups are promoted. Looks at all primaries, and returns +1 when
 * the flag thereby rose, -1 when it fell, 0 when nothing changed. Control or health thread, after changes of flags; also at the start.
 */
int pool_update_promotion(struct pool *pool);
bool pool_backups_promoted(const struct pool *pool);

/* Counters of the pool, over all workers, and over all pool objects of this name. */
struct pool_counters {
    atomic_ullong panics;    /* times that all were out by the passive check, and were served all the same */
    atomic_ullong backup_picks;
};
const struct pool_counters *pool_counters(const struct pool *pool);

/*
 * For the upgrade in place, where the next process takes over what this one knows of its servers: lines of text, one per server and one for
 * the pool. Writes as many whole lines as text[0..size) holds, NUL-terminated where size > 0; returns the length of all of them. Control thread.
 */
size_t pool_export(const struct pool *pool, char *text, size_t size);
/*
 * Reads what pool_export wrote, of any number of pools; lines of other pools and of servers that this one has not are left aside. The pool
 * is committed, and no worker or health thread runs yet. Returns false, and changes nothing, where a line is not well-formed. Control thread.
 */
bool pool_import(struct pool *pool, const char *text, size_t size) __attribute__((warn_unused_result));

#endif
