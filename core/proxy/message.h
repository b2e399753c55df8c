/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Writing heads: the request for a server, the response for the client. Both are made anew from what was parsed; nothing of the
 * received framing is copied (requirements 1 to 14, 45, 52, 54 of doc/http.md). Worker thread.
 */
#ifndef FAIRLEAD_PROXY_MESSAGE_H
#define FAIRLEAD_PROXY_MESSAGE_H

#include "proxy/exchange.h"
#include "proxy/text.h"

/* A received response head, as far as it is passed on. */
struct received {
    const struct h1_response *response;
    const char *data;
    size_t len;
    const struct field *fields;
};

/* Queues the request head on the link. Returns false when memory is short or the head is too long. */
bool message_write_request(struct exchange *exchange, struct stream *link);
/* Queues an interim response (1xx) for the client. */
bool message_write_interim(struct exchange *exchange, const struct received *received);
/* Queues the final head; `body` is how the body will be framed towards the client. */
bool message_write_response(struct exchange *exchange, const struct received *received, enum body_kind body);

/* A head made here. `extra` is NULL or whole field lines, each with CR LF. */
struct own_head {
    int status;
    const char *content_type; /* NULL: none */
    uint64_t content_length;
    struct span location;     /* Location; p NULL: none */
    const char *extra;
};
bool message_write_own(struct exchange *exchange, const struct own_head *head);

/* How a response body is framed towards this client. */
enum body_kind message_client_framing(const struct exchange *exchange, const struct h1_response *response);

/* The value of a variable (template_resolver); context is a struct variables. */
#define VARIABLES_SCRATCH 16384u
struct variables {
    struct exchange *exchange;
    size_t used;
    char scratch[VARIABLES_SCRATCH]; /* for values that are not in the head already */
};
/* The scratch stays as it is: clearing it would cost more than all the values. */
static inline void variables_init(struct variables *variables, struct exchange *exchange)
{
    variables->exchange = exchange;
    variables->used = 0;
}
/* The request's id: 32 hexadecimal digits, made when first wanted. */
void variables_put_request_id(struct text *text, struct exchange *exchange);
/* The X-Forwarded-For lines that came, joined, and the client's address behind them. */
void variables_put_forwarded_for(struct text *text, const struct exchange *exchange);
struct span variables_resolve(void *context, int variable, struct span field);

#endif
