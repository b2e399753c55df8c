/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A client: one downstream connection speaking HTTP/1, with at most one live exchange. While it is idle it holds this struct and nothing else.
 * Everything that an exchange tells its client goes through the functions below: the seam where another codec (HTTP/2) fits. Worker thread.
 */
#ifndef FAIRLEAD_PROXY_CLIENT_H
#define FAIRLEAD_PROXY_CLIENT_H

#include "engine/stream.h"
#include "proxy/listening.h"
#include "proxy/service.h"

/* X(state, sentence); the edges are in client.c and in doc/client.dot. */
#define CLIENT_STATES(X)                                                                                     \
    X(IDLE, "between requests, nothing of the next one has come")                                           \
    X(HEAD, "a part of a request head has come")                                                             \
    X(BUSY, "an exchange is live")                                                                           \
    X(FLUSHING, "the last response is being sent")                                                           \
    X(LINGERING, "our direction is closed, what still comes is thrown away (RFC 9112 9.6)")                 \
    X(CLOSED, "waiting for the last completion")

enum client_state {
#define X(state, sentence) CLIENT_##state,
    CLIENT_STATES(X)
#undef X
    CLIENT_N_STATES
};

#define CLIENT_ADDRESS_MAX 46u /* INET6_ADDRSTRLEN */

struct exchange;

struct client {
    struct stream stream;     /* first */
    struct service *service;
    struct listening *listening; /* that it came by; outlives it */
    struct exchange *exchange; /* owned; NULL unless BUSY */
    struct client *next, *prev;
    uint64_t window_ms;       /* start of the minimum-rate window */
    uint64_t window_bytes;    /* what had moved by then */
    uint64_t number;          /* different for each connection of the process */
    uint64_t head_ns;         /* when the first byte of a head came that was not complete; 0: none */
    uint32_t requests;
    uint32_t seen;            /* bytes of an incomplete head that were parsed in vain */
    uint32_t lingered;        /* bytes thrown away */
    enum client_state state;
    bool pumping;
    uint16_t port;            /* the peer's; 0 for a unix socket */
    uint8_t address_len;
    char address[CLIENT_ADDRESS_MAX]; /* the peer's, as text, not NUL-terminated; "unix:" for a unix socket */
};

/* Takes over the descriptor. */
void client_accept(struct listening *listening, int fd);
/* Of the clients that came by this socket each is answered one more request; who asks nothing is let go of after shutdown_idle_timeout. */
void clients_drain(struct service *service, const struct listening *listening);
void client_stop_now(struct client *client);

/* For the exchange: it is over (freed by now); the connection goes on, or ends after what is queued. */
void client_exchange_over(struct client *client, bool close);
/* The exchange is over and the response was cut: the client must see that. */
void client_cut(struct client *client);

const char *client_state_name(enum client_state state);
bool client_edge_allowed(enum client_state from, enum client_state to);

/* What its next request begins with. */
static inline const struct config *client_config(const struct client *client)
{
    return view_config(client->listening->view);
}

/* Its next response is its last. */
static inline bool client_is_draining(const struct client *client)
{
    return client->listening->closing;
}

static inline struct span client_address(const struct client *client)
{
    return (struct span){client->address, client->address_len};
}

#endif
