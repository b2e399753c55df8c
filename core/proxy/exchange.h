/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An exchange: one request and its response, from the parsed head to the log line. It knows the location that answers, and either
 * answers by itself or has one attempt after another (attempt.h) fetch the answer. It lives in one slab object, the request's head copied
 * into it, so that nothing of the connection's buffers is held while a server thinks. Worker thread.
 */
#ifndef FAIRLEAD_PROXY_EXCHANGE_H
#define FAIRLEAD_PROXY_EXCHANGE_H

#include "proxy/body.h"
#include "proxy/service.h"

#define EXCHANGE_SIZE    4096u /* bytes of one slab object, the usual head included */
#define EXCHANGE_INTERIM 16u   /* interim (1xx) responses passed on for one request */

/* X(state, sentence). The allowed edges are in exchange.c and in doc/exchange.dot. */
#define EXCHANGE_STATES(X)                                                                                   \
    X(ROUTING, "the location is being chosen")                                                               \
    X(QUEUED, "all servers are at max_conns")                                                                \
    X(CONNECTING, "an attempt is connecting")                                                                \
    X(AWAITING, "the request is on its way, no final response head has come")                                \
    X(RELAYING, "the response body is on its way")                                                           \
    X(DONE, "the response is complete, or cut")

enum exchange_state {
#define X(state, sentence) EXCHANGE_##state,
    EXCHANGE_STATES(X)
#undef X
    EXCHANGE_N_STATES
};

/* One try at one server. */
struct attempt {
    struct link *link;       /* NULL: none */
    uint64_t key;            /* what a strategy hashes */
    int bound;               /* the server that a cookie names, or PICKER_NONE */
    int server;              /* picked and not yet given back, or PICKER_NONE */
    bool judged, failed;     /* its outcome was told; it was a failure */
    const struct server *tried_last; /* borrowed; NULL: no attempt was made */
    bool fresh;              /* on a new connection, not on a reused one */
    bool retried_stale;      /* the one extra try after a stale idle connection was made */
    bool link_closes;        /* the response ends the connection to the server */
    unsigned count;          /* attempts begun for this exchange */
    uint64_t started_ns;     /* of the pick */
    uint64_t sent_before;    /* bytes that the link had sent before this request */
    uint64_t progress_ms;    /* when bytes last moved in either direction */
    struct tried tried;
};

/* Its place in a queue (queue.h). */
struct waiting {
    struct exchange *next, *prev;
    uint64_t ticket, deadline_ms;
    uint64_t since_ns;
};

struct exchange {
    struct client *client;   /* owner */
    struct service *service;
    struct view *view;       /* of the snapshot that it began with, or that came while it waited (exchange_renew); a reference */
    const struct listen *listen;
    const struct site *site;
    const struct location *location; /* NULL: none matched, or refused before routing */
    enum exchange_state state;

    struct h1_request request;
    const char *head;        /* its bytes: behind this struct, or `head_memory` */
    struct field *fields;
    char *head_memory;       /* owned; NULL unless the head was too long for the slab object */
    struct span path;        /* normalised; inside the head's memory */
    struct span host;        /* without port, as sent */

    struct body upload, download;
    struct pool *pool;       /* of the location's group; NULL: no server is asked. Borrowed from the snapshot, like the next two */
    struct picker *picker;
    struct line *line;
    struct attempt attempt;
    struct waiting waiting;

    int status;              /* of the response sent, 0 before; 499: the client went away first */
    bool head_sent;          /* the final response head is queued for the client */
    bool close_client;       /* the client's connection ends after this response */
    bool own_answer;         /* made here, not by a server */
    unsigned n_interim;
    uint64_t started_ns, connected_ns, first_byte_ns; /* CLOCK_MONOTONIC; 0: did not happen */
    uint64_t head_ns;        /* when the first byte of the request's head came */
    uint64_t queued_ns;      /* how long it has been in queues */
    uint64_t sent_before;    /* bytes that the client had been given before */
    char ended[2];           /* termination.h; 0: nothing was noted */
    uint64_t answer_bytes;   /* content of an own answer */
    const char *why;         /* for the log: what went wrong, constant text; NULL: nothing */
    uint64_t id[2];          /* request id, made when first wanted; {0,0} before */
};

/*
 * Begins an exchange with a parsed request whose head is data[0..len); both are copied. Returns NULL when no memory is there.
 */
struct exchange *exchange_create(struct client *client, const struct h1_request *request, const char *data, size_t len);
/* Routes and starts. The exchange may be over, and freed, when this returns. */
void exchange_start(struct exchange *exchange);
/*
 * One that waits and has tried no server goes on with the current snapshot, if its routes lead to the same line: servers that were added while it waits, or that are given other
 * limits, are there for it, too. True: it has another pool, and its key and what it is bound to must be looked for anew.
 */
bool exchange_renew(struct exchange *exchange);
/* The client's stream has input, has ended, or has sent: moves what can be moved. The exchange may be over afterwards. */
void exchange_client_moved(struct exchange *exchange);
/* The client is gone or is to be: lets go of the server's side, logs, frees. The client must not use it again. */
void exchange_abort(struct exchange *exchange, int status, const char *why);

/* For attempt.c and answer.c. */
void exchange_set_state(struct exchange *exchange, enum exchange_state state);
const char *exchange_state_name(enum exchange_state state);
bool exchange_edge_allowed(enum exchange_state from, enum exchange_state to);
/* The response is complete and queued: logs, frees, tells the client. */
void exchange_finish(struct exchange *exchange);
/* The response cannot be completed any more: an error answer while its head has not been sent, a cut connection afterwards. */
void exchange_fail(struct exchange *exchange, int status, const char *why);
/* What is left of the request's body is not wanted: what is here already is thrown away, else the client's connection ends. */
void exchange_discard_upload(struct exchange *exchange);
/* Whether the request's body goes on when the client sends: it owes bytes, we take them, and no 100 (Continue) is due to it. */
bool exchange_awaits_body(const struct exchange *exchange);
/* Whether Connection names fields of its own choice, which then must not pass as trailers either (RFC 9110 7.6.1). */
bool exchange_names_fields(const char *head, const struct field *fields, uint16_t n_fields);
/* Moves the request's body. Returns false when the exchange is over. */
bool exchange_upload(struct exchange *exchange);
void exchange_limits(const struct exchange *exchange, struct h1_limits *limits);
static inline const struct config *exchange_config(const struct exchange *exchange)
{
    return view_config(exchange->view);
}
/* Of an exchange whose location has one. */
static inline const struct group *exchange_group(const struct exchange *exchange)
{
    return exchange->location->proxy.group;
}
static inline struct line *exchange_line(const struct exchange *exchange)
{
    return exchange->line;
}
static inline struct span exchange_text(const struct exchange *exchange, struct h1_range range)
{
    return (struct span){exchange->head + range.at, range.len};
}
/* The value of the first field of that name, p NULL when there is none. */
struct span exchange_field(const struct exchange *exchange, enum field_id id);
struct span exchange_field_named(const struct exchange *exchange, struct span name);
const uint64_t *exchange_id(struct exchange *exchange);

#endif
