/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A pool: the servers of one upstream group, the strategy that orders them, and the shared words about each server. Made and destroyed by
 * the control thread as a part of a configuration snapshot; workers, the health thread and the control thread change nothing but the
 * atomics, each in the functions below or in picker.c. A pool never does I/O.
 */
#ifndef FAIRLEAD_UPSTREAM_POOL_H
#define FAIRLEAD_UPSTREAM_POOL_H

#include <fairlead/balancer.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#define POOL_SERVERS_MAX 1024u /* servers of one pool, both tiers together */
#define POOL_FAILS_MAX   1000u /* of max_fails: the times of so many failures are kept per server */
#define SERVER_NAME_MAX  128u  /* bytes of a server's name, its NUL included; longer ones are cut */
#define SHARE_WHOLE      100u  /* percent */

struct server_address {
    socklen_t len;
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    };
};

/* What the configuration says of a server. Strings are copied by pool_create. */
struct server_spec {
    const char *name;              /* "host:port" or "unix:/path" as written, with the port added: logs and hashing */
    const char *route;             /* what a sticky route calls it; NULL: nothing */
    struct server_address address; /* resolved; len 0 where `absent` */
    uint32_t weight;               /* 0 to 65535, default 1; 0 takes no new requests */
    uint32_t max_conns;            /* requests at a time, over all workers; 0: any number */
    uint32_t slow_start_ms;        /* how long it takes to its full weight once it is back; 0: it has it at once */
    uint32_t max_fails;            /* failures within fail_timeout_ms that take it out, up to POOL_FAILS_MAX; 0: never */
    uint32_t fail_timeout_ms;      /* the window, and how long it stays out at first */
    bool down;                     /* configured out of service */
    bool drain;                    /* only requests that are bound to it */
    bool backup;                   /* serves only when no primary can */
    bool absent;                   /* a place for an address that a name may come to have */
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

/* Why a server takes no new requests: bits of one word. Each bit has one writer. */
enum server_flag {
    SERVER_DOWN = 1,         /* configured; constant */
    SERVER_DRAIN = 2,        /* configured; constant */
    SERVER_ABSENT = 4,       /* control: the name has no address for this place now */
    SERVER_CHECK_DOWN = 8,   /* health thread: the probe failed */
    SERVER_AGENT_DOWN = 16,  /* health thread: the agent said down, fail or stopped */
    SERVER_AGENT_MAINT = 32, /* health thread: the agent said maint */
    SERVER_AGENT_DRAIN = 64  /* health thread: the agent said drain, or 0% */
};
#define SERVER_DRAINS (SERVER_DRAIN | SERVER_AGENT_DRAIN) /* what those that are bound to the server may pass */

/* One server. Owned by its pool. */
struct server {
    char name[SERVER_NAME_MAX]; /* this and `address` change only while it is ABSENT and nobody can be using it (pool_place) */
    struct server_address address;
    const char *route;  /* NULL: none */
    uint64_t hash;      /* of its name: what a sticky cookie calls it */
    uint32_t weight, max_conns, slow_start_ms;
    uint32_t max_fails, fail_timeout_ms;
    bool backup;
    uint32_t index;     /* in its pool */
    uint32_t id;        /* dense over all pools of one snapshot, for per-worker tables; set by the snapshot's builder */

    /* Shared; every access is in pool.c or picker.c and listed in doc/threads.md. The words that every request touches are apart from those
     * that seldom change. */
    atomic_uint *in_flight;      /* attempts being served; in a table of the tier, which strategies read as one */
    atomic_ullong *failed_at_ms; /* owned; times of the last max_fails - 1 failures, in turn; NULL for max_fails 0 and 1 */
    _Alignas(64) atomic_ullong picked, failed; /* counters since start */
    _Alignas(64) atomic_uint flags;   /* enum server_flag */
    atomic_uint share;                /* percent of its weight that an agent or a name's record leaves it */
    atomic_ullong ramp_start_ms;      /* slow start: when it came back; 0: long ago */
    atomic_ullong out_until_ms;       /* passive check: not used before; 0: in service */
    atomic_ullong forgiven_ms;        /* failures up to here do not count */
    atomic_uint fail_index;           /* where in failed_at_ms the next one goes */
    atomic_uint ejections;            /* in a row: each doubles the time */
    atomic_ullong ejected;            /* counter: times that the passive check took it out */
};

struct pool;

/*
 * Makes a pool: loads the strategy (see strategy.h), checks and copies the spec, builds the plan of each tier. Control thread; may
 * block on reading the module. Returns 0 and *pool, or -EINVAL, -ENOENT, -ENOMEM with a sentence in error[0..error_size).
 */
int pool_create(const struct pool_spec *spec, struct pool **pool, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* Control thread, when no picker uses it any more. NULL is allowed. */
void pool_destroy(struct pool *pool);

const char *pool_name(const struct pool *pool);
const char *pool_strategy(const struct pool *pool);
size_t pool_n_servers(const struct pool *pool);
struct server *pool_server(const struct pool *pool, size_t index); /* borrowed; index < pool_n_servers */
/* The settings of the spec. */
const struct pool_spec *pool_settings(const struct pool *pool);
/* What kind of key the strategy wants: FAIRLEAD_KEYED, FAIRLEAD_ADDRESSED, or 0. */
uint32_t pool_key_kind(const struct pool *pool);

/* Any thread. What a server's flags are now: acquire, so that who sees a server present sees its address. */
uint32_t server_flags(const struct server *server);
/*
 * Sets and clears flags that belong to the caller's thread, and tells the workers. A server that thereby comes into service begins its slow
 * start at now_ms (CLOCK_MONOTONIC), and is not out by the passive check any more. Returns the flags before. Control or health thread.
 */
uint32_t pool_change_flags(struct pool *pool, struct server *server, uint32_t set, uint32_t clear, uint64_t now_ms);
/* How much of its weight a server has, 1 to SHARE_WHOLE percent, as an agent or a record says. Control or health thread. */
void pool_set_share(struct pool *pool, struct server *server, uint32_t percent);
/*
 * The flag of the whole pool: no primary is in service (by its flags), the backups are promoted. Looks at all primaries, and returns +1 when
 * the flag thereby rose, -1 when it fell, 0 when nothing changed. Control or health thread, after changes of flags; also at the start.
 */
int pool_update_promotion(struct pool *pool);
bool pool_backups_promoted(const struct pool *pool);

/* Counters of the pool, over all workers. */
struct pool_counters {
    atomic_ullong panics;    /* times that all were out by the passive check, and were served all the same */
    atomic_ullong backup_picks;
};
const struct pool_counters *pool_counters(const struct pool *pool);

#endif
