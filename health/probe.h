/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One probe: a connection to a server, what it is asked, and what the answer says. Three kinds: TCP (it
 * accepts a connection), HTTP (a request, the status, perhaps the body), and the agent (a line of words, see
 * agent.h). A probe knows no counts, no intervals and no flags. Every probe ends by a reset, so that neither
 * side keeps it in TIME_WAIT. Health thread.
 *
 * Life: the owner fills `events` and `owner`, probe_start -> on_result once (not after probe_abandon) ->
 * on_gone, where the memory may go.
 */
#ifndef FAIRLEAD_HEALTH_PROBE_H
#define FAIRLEAD_HEALTH_PROBE_H

#include "engine/stream.h"
#include "health/agent.h"
#include "health/result.h"
#include "health/spec.h"
#include "http/chunked.h"
#include "upstream/pool.h"

#define PROBE_REASON_MAX 160u /* bytes of a reason, its NUL included; longer ones are cut */

enum probe_kind { PROBE_TCP, PROBE_HTTP, PROBE_AGENT };

enum probe_outcome {
    PROBE_GOOD,
    PROBE_BAD,
    PROBE_NOT_MADE /* for want of something of ours (a port, a descriptor, memory): says nothing of the server
                    */
};

/* X(phase, what the peer has not done when the time is up). They only go forward. */
#define PROBE_PHASES(X)                                                                                      \
    X(CONNECTING, "connect timed out")                                                                       \
    X(HEAD, "response timed out")                                                                            \
    X(BODY, "response timed out in its body")                                                                \
    X(LINE, "agent timed out")                                                                               \
    X(OVER, "")

enum probe_phase {
#define X(phase, text) PROBE_##phase,
    PROBE_PHASES(X)
#undef X
        PROBE_N_PHASES
};

/* What all probes of a pool have in common. Made by the control thread, constant. */
struct probe_plan {
    const struct health_spec *spec; /* borrowed */
    char *before, *after;           /* of an HTTP request: up to the host, and behind it; owned */
    size_t before_len, after_len;
    uint8_t method_id; /* enum h1_method */
};

/* Where a server is. A copy of the health thread's own, which outlives the pools that the server is in. */
struct probe_place {
    struct server_address address;
    char name[SERVER_NAME_MAX];
};

struct probe;

struct probe_events {
    void (*on_result)(struct probe *probe); /* result, outcome, reason, and of an agent's good answer `report`
                                               are there, up to on_gone */
    void (*on_gone)(struct probe *probe);   /* nothing refers to it any more; `owner` may be gone by then */
};

struct probe {
    struct stream stream; /* first */
    const struct probe_events *events;
    void *owner;
    const struct probe_plan *plan; /* borrowed until the result, or probe_abandon */
    enum probe_kind kind;
    enum probe_phase phase;
    enum check_result result;
    enum probe_outcome outcome;
    uint8_t interims;   /* 1xx heads so far */
    uint8_t body_kind;  /* enum body_kind */
    uint16_t status;    /* of the HTTP response; 0: none came */
    uint32_t body_len;  /* bytes in `body` */
    uint64_t body_left; /* of BODY_LENGTH */
    struct chunked chunked;
    struct agent_report report;      /* its spans point into `body` */
    const struct probe_place *place; /* borrowed until the result, or probe_abandon */
    struct server_address address;   /* with the port of the spec */
    char reason[PROBE_REASON_MAX];   /* printable, without '"' */
    char body[HEALTH_BODY_MAX];      /* of a response, when the spec tests it; or an agent's line */
};

/* Control thread. Returns 0 or -ENOMEM; -EMSGSIZE for a request longer than HEALTH_REQUEST_MAX. */
int probe_plan_init(struct probe_plan *plan, const struct health_spec *spec)
    __attribute__((warn_unused_result));
void probe_plan_fini(struct probe_plan *plan);

/* Begins. Returns 0, or -errno when it could not be begun for want of something of ours; then no event comes.
 */
int probe_start(struct probe *probe, struct worker *worker, const struct probe_plan *plan,
                enum probe_kind kind, const struct probe_place *place) __attribute__((warn_unused_result));
/* The plan that it goes by makes way for another, which says the same. */
void probe_use_plan(struct probe *probe, const struct probe_plan *plan);
/* Nobody wants the result any more: of plan, place and owner nothing is used from here on. on_gone comes all
 * the same. */
void probe_abandon(struct probe *probe);

/* For probe_http.c only. */

/* Ends the probe; printf-like. A reason's text may come from the peer: it is escaped. */
void probe_end(struct probe *probe, enum check_result result, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void probe_set_phase(struct probe *probe, enum probe_phase phase);
/* The peer has ended the connection too early: `where` unless it broke. */
void probe_end_of_input(struct probe *probe, const char *where);
void probe_http_begin(struct probe *probe);
void probe_http_input(struct probe *probe);

#endif
