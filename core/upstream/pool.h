/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A pool: the servers of one upstream group, the strategy that orders them, and the shared words about each server.
 * Made and destroyed by the control thread as a part of a configuration snapshot; workers read it, and change nothing but the
 * atomics marked so. A pool never does I/O.
 */
#ifndef FAIRLEAD_UPSTREAM_POOL_H
#define FAIRLEAD_UPSTREAM_POOL_H

#include <fairlead/balancer.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <netinet/in.h>

#define POOL_SERVERS_MAX 1024u /* servers of one pool, both tiers together */

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
    struct server_address address; /* resolved */
    uint32_t weight;               /* 1 to 65535, default 1 */
    bool down;                     /* configured out of service */
    bool backup;                   /* serves only when no primary can */
    uint32_t max_fails;            /* failures within fail_timeout_ms that take it out; 0: never */
    uint32_t fail_timeout_ms;      /* the window, and how long it stays out */
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
};

/* One server. Owned by its pool. Words on a cache line of their own, since all workers write them. */
struct server {
    const char *name;
    struct server_address address;
    uint32_t weight;
    uint32_t max_fails, fail_timeout_ms;
    bool down, backup;
    uint32_t index; /* in pool->servers */
    uint32_t id;    /* dense over all pools of one snapshot, for per-worker tables; set by the snapshot's builder */

    /* Shared by all workers; every access is in pool.c or picker.c and listed in doc/threads.md. */
    _Alignas(64) atomic_uint in_flight;      /* attempts being served */
    atomic_uint fails;                       /* failures in the current window */
    atomic_ullong window_start_ms;           /* of the first of them, CLOCK_MONOTONIC */
    atomic_ullong out_until_ms;              /* passive check: not used before; 0: in service */
    atomic_ullong picked, failed;            /* counters since start */
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
/* The keep-alive settings of the spec. */
const struct pool_spec *pool_settings(const struct pool *pool);
/* True when the strategy wants a key hash (FAIRLEAD_KEYED). */
bool pool_is_keyed(const struct pool *pool);

#endif
