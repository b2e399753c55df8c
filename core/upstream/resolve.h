/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The resolver: asks /etc/hosts and the DNS which addresses a name has (A, AAAA, and SRV with its targets),
 * without blocking. Its owner, the control thread, polls one descriptor. It knows neither pools nor the
 * configuration file, and it logs nothing.
 */
#ifndef FAIRLEAD_UPSTREAM_RESOLVE_H
#define FAIRLEAD_UPSTREAM_RESOLVE_H

#include "upstream/pool.h"

#define RESOLVE_HOST_MAX    254u   /* bytes of a name, its NUL included (RFC 1035 2.3.4, as text) */
#define RESOLVE_RECORDS_MAX 128u   /* of one answer; more are dropped */
#define RESOLVE_TARGETS_MAX 64u    /* SRV records of one name; more are dropped */
#define RESOLVE_FLYING_MAX  64u    /* names that are being asked for at a time; more wait */
#define RESOLVE_HOSTS_MS    10000u /* how long an entry of /etc/hosts is taken to hold: it has no TTL */

/* Where and how is asked. Part of the configuration; times are milliseconds. */
struct resolver_settings {
    size_t n_servers;                     /* 0: those of /etc/resolv.conf, and its search domains */
    const struct server_address *servers; /* of the DNS, ports set; borrowed */
    uint32_t timeout_ms;             /* of the first try; the library waits longer with each further one */
    uint32_t tries;                  /* per server */
    uint32_t ttl_min_ms, ttl_max_ms; /* what an answer holds at least and at most */
};

/* One address behind a name. */
struct resolve_record {
    struct server_address address; /* its port is set */
    uint16_t priority, weight;     /* of SRV (RFC 2782); else 0 */
};

struct resolve_answer {
    const char *failure; /* NULL: the records hold; else why there are none, for a person; a constant */
    /* Something of what was asked for stayed unanswered: what is not among the records may exist all the
     * same. */
    bool partial;
    uint32_t ttl_ms; /* how long it holds, within the settings' bounds */
    size_t n;        /* at least 1 unless it failed */
    /* By priority, then address, then port, each once. Addresses of a family that this machine has no way to
     * are left out, unless there are no others. */
    struct resolve_record records[RESOLVE_RECORDS_MAX];
};

/* A question. Owned by the caller, who leaves it alone from resolver_ask until `done`. */
struct resolve_query {
    const char *host;
    uint16_t port; /* of A and AAAA; SRV has its own */
    bool srv;
    /* From resolver_run, never from resolver_ask. The answer lives until it returns; it may ask again. */
    void (*done)(struct resolve_query *query, const struct resolve_answer *answer);
    void *context;
};

struct resolver;

/* Reads /etc/resolv.conf unless servers are given. Returns 0 or -errno. `settings` is borrowed. */
int resolver_create(const struct resolver_settings *settings, struct resolver **resolver)
    __attribute__((warn_unused_result));
/* Questions without an answer get none. NULL is allowed. */
void resolver_destroy(struct resolver *resolver);

/* Returns 0, or -ENOMEM, or -ENAMETOOLONG: then the question was not taken. */
int resolver_ask(struct resolver *resolver, struct resolve_query *query) __attribute__((warn_unused_result));
/* To be polled for POLLIN. */
int resolver_fd(const struct resolver *resolver);
/* In how many milliseconds resolver_run wants to be called though nothing is readable; -1: never. */
int resolver_timeout_ms(const struct resolver *resolver);
/* Does what there is to do without waiting, and gives answers to their owners. */
void resolver_run(struct resolver *resolver);

/*
 * Asks and waits for the answer, as long as timeouts and tries allow: for the time before anybody is served.
 * Returns 0 or -errno; not being found is no error, but answer->failure.
 */
int resolve_now(const struct resolver_settings *settings, const char *host, uint16_t port, bool srv,
                struct resolve_answer *answer) __attribute__((warn_unused_result));

#endif
