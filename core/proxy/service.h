/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The service: what one worker needs to proxy, hung at worker->context. It accepts, keeps the worker's clients and links, its pickers, its
 * counters. Everything in it belongs to the worker's thread; the control thread reads the counters after the worker has ended.
 */
#ifndef FAIRLEAD_PROXY_SERVICE_H
#define FAIRLEAD_PROXY_SERVICE_H

#include "config/config.h"
#include "engine/acceptor.h"
#include "engine/slab.h"
#include "http/h1.h"
#include "http/names.h"
#include "proxy/route.h"
#include "upstream/link.h"
#include "upstream/picker.h"
#include "upstream/place.h"

/* X(name, sentence): what is counted, per worker. Names are stable: they go to the log and later to the metrics. */
#define SERVICE_COUNTERS(X)                                                                                  \
    X(connections, "client connections accepted")                                                           \
    X(connections_refused, "connections closed at once: at worker_connections, out of memory, or stopping")  \
    X(accept_pauses, "times that accepting was paused at worker_connections")                               \
    X(requests, "requests with a head that was understood")                                                 \
    X(requests_bad, "request heads that were refused")                                                      \
    X(responses, "responses that were completed")                                                           \
    X(responses_cut, "responses that ended early")                                                          \
    X(client_aborts, "clients that went away before their response was complete")                           \
    X(timeout_client_header, "client_header_timeout")                                                       \
    X(timeout_client_body, "client_body_timeout")                                                           \
    X(timeout_send, "send_timeout")                                                                         \
    X(timeout_keepalive, "keepalive_timeout")                                                               \
    X(timeout_connect, "proxy_connect_timeout")                                                             \
    X(timeout_upstream_send, "proxy_send_timeout")                                                          \
    X(timeout_upstream_read, "proxy_read_timeout")                                                          \
    X(limit_head, "request heads over a limit (414, 431)")                                                  \
    X(limit_body, "request bodies over client_max_body_size")                                               \
    X(limit_requests, "connections ended by keepalive_requests")                                            \
    X(upstream_failures, "attempts that failed")                                                            \
    X(upstream_retries, "attempts after the first one of a request")                                        \
    X(retry_budget_empty, "requests that were not tried again for want of budget")                          \
    X(queued, "requests that waited for max_conns")                                                         \
    X(queue_full, "requests that found all servers at max_conns and no place to wait")                      \
    X(queue_timeouts, "requests that waited in vain")                                                       \
    X(no_upstream, "requests for which no server was left")                                                 \
    X(out_of_memory, "requests or connections that found no memory or buffer")

struct counters {
#define X(name, sentence) uint64_t name;
    SERVICE_COUNTERS(X)
#undef X
};

struct client;
struct queue;
struct queues;
struct sticky_values;

struct listening {
    struct acceptor acceptor;
    struct service *service;
    const struct listen *listen;
};

struct service {
    struct worker *worker;       /* borrowed */
    const struct config *config; /* borrowed: the snapshot that new requests begin with */
    const struct router *router; /* borrowed; shared by all workers */
    struct counters counters;
    struct links links;
    struct picker **pickers;     /* by index of config->pools; owned */
    uint32_t *budgets;           /* likewise: what is left for retries (retry.c); owned */
    struct queue *queues;        /* likewise: who waits for max_conns (queue.h); owned */
    struct queues *shared_queues; /* borrowed; of all workers */
    const struct sticky_values *sticky; /* borrowed; of all workers */
    struct slab clients, exchanges;
    struct client *first_client; /* all that are open */
    uint32_t n_clients;
    struct listening *listening; /* one per config->listens; owned */
    struct field *fields;        /* scratch for one head; owned */
    struct pattern_scratch *patterns;
    uint64_t random[2];          /* state of the request ids */
    time_t date_at;              /* second of the texts below */
    char date[HTTP_DATE_LEN + 1];
    char log_time[32];           /* "23/Nov/2026:05:14:01 +0000" */
    char iso_time[32];           /* "2026-11-23T05:14:01+00:00" */
    bool stopping;
};

/* What the services of all workers share; made before them, and constant but for the queues. */
struct shared {
    const struct config *config;
    const struct router *router;
    struct queues *queues;
    const struct sticky_values *sticky;
};

/*
 * Control thread: makes the service of a worker that has not run yet. `fds` has one listening socket per config->listens, borrowed. Returns
 * 0 or -errno.
 */
int service_create(struct worker *worker, const struct shared *shared, const int *fds, struct service **service)
    __attribute__((warn_unused_result));
/* Control thread, after the worker has ended and before worker_destroy. */
void service_destroy(struct service *service);

/* Letters to a worker (mailbox), argument unused: end gracefully, end now. */
void service_stop(void *worker, void *argument);
void service_stop_now(void *worker, void *argument);
/* A letter about a server that is ABSENT, argument struct place_question *: closes its idle links, and answers. */
void service_leave_server(void *worker, void *argument);

/* Worker thread. A client is gone: accepting may go on, a graceful stop may be complete. */
void service_client_gone(struct service *service);
/* The texts of the current second. */
void service_read_date(struct service *service);
uint64_t service_random(struct service *service);

#endif
