/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the configuration says of the checks of one pool. Filled by the configuration reader, constant, and
 * borrowed by the health thread from one plan to the next (health.h). Strings live as long as the snapshot.
 * Times are milliseconds.
 */
#ifndef FAIRLEAD_HEALTH_SPEC_H
#define FAIRLEAD_HEALTH_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEALTH_BODY_MAX 4096u  /* bytes of a response's body that are looked at */
#define HEALTH_HEAD_MAX 16384u /* bytes of a response's head */
#define HEALTH_REQUEST_MAX                                                                                   \
    3584u /* bytes of method, path, host and headers of a probe together; the rest of its request is short   \
           */
#define HEALTH_INTERIMS_MAX 8u /* 1xx heads before the response */

struct pool;

enum health_type { HEALTH_NONE, HEALTH_TCP, HEALTH_HTTP };

/* What a server is taken for until its first checks have said otherwise, as HAProxy's init-state has it. */
enum health_initial {
    HEALTH_UP,         /* in service; the first failed check takes it out */
    HEALTH_FULLY_UP,   /* in service; `fall` failed checks take it out */
    HEALTH_DOWN,       /* out; the first good check brings it in */
    HEALTH_FULLY_DOWN, /* out; `rise` good checks bring it in */
};

struct health_range {
    uint16_t from, to; /* statuses, both included */
};

struct health_spec {
    enum health_type type;             /* HEALTH_NONE: there is only an agent */
    const char *method, *path, *host;  /* of an HTTP probe; host NULL: the server's name */
    const char *headers;               /* further field lines, each with CR LF; may be empty, or NULL */
    const struct health_range *expect; /* statuses that are good */
    size_t n_expect;
    /* What the body must hold: NULL, or a test of its first HEALTH_BODY_MAX bytes with `body_context`. Health
     * thread only. */
    bool (*body_matches)(const void *body_context, const char *body, size_t len);
    const void *body_context;
    const char *body;     /* what that test was made from, as written: texts that are equal test the same */
    uint32_t interval_ms; /* between the starts of two checks */
    uint32_t
        fast_interval_ms; /* the same while a state is changing (some checks of `rise` or `fall` are in) */
    uint32_t timeout_ms;  /* of one check, from connect to its result */
    uint32_t jitter;      /* percent of the interval by which it is moved at random, both ways, 0 to 50 */
    uint32_t rise, fall;  /* checks in a row, 1 to 1000 */
    uint16_t port;        /* 0: the server's own; ignored for unix sockets */
    enum health_initial initial;
    uint16_t agent_port; /* 0: no agent; ignored for unix sockets, which have none */
    uint32_t agent_interval_ms;
};

/*
 * One pool, and how it is checked. spec NULL: neither checked nor asked after; it is named so that its
 * servers come back that a check had taken out before, in this process or the one before it.
 */
struct health_pool {
    struct pool *pool;
    const struct health_spec *spec;
};

/* Whether the same is asked of servers, at the same times, and expected of their answers: `initial` is no
 * matter then, since there has been a state already. Any thread. */
bool health_spec_same_check(const struct health_spec *a, const struct health_spec *b);
/* The same of the agent. */
bool health_spec_same_agent(const struct health_spec *a, const struct health_spec *b);

#endif
