/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The service: what one worker needs to proxy, hung at worker->context. It accepts, keeps the worker's clients and links and its
 * counters. Everything in it belongs to the worker's thread; the control thread reads the counters after the worker has ended.
 */
#ifndef FAIRLEAD_PROXY_SERVICE_H
#define FAIRLEAD_PROXY_SERVICE_H

#include "config/config.h"
#include "engine/slab.h"
#include "http/h1.h"
#include "http/names.h"
#include "proxy/snapshot.h"
#include "upstream/link.h"

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
struct listening;

struct service {
    struct worker *worker;       /* borrowed */
    struct view *view;           /* of the snapshot that new requests begin with */
    struct counters counters;
    struct links links;
    struct slab clients, exchanges;
    struct client *first_client; /* all that are open */
    uint32_t n_clients, clients_max;
    struct listening *listenings; /* owned; those that close too */
    struct pattern_scratch *patterns;
    uint64_t random[2];          /* state of the request ids */
    time_t date_at;              /* second of the texts below */
    char date[HTTP_DATE_LEN + 1];
    char log_time[32];           /* "23/Nov/2026:05:14:01 +0000" */
    char iso_time[32];           /* "2026-11-23T05:14:01+00:00" */
    uint64_t accept_failures;    /* of sockets that are closed */
    bool stopping;
};

/*
 * Control thread: makes the service of a worker that has not run yet; the worker begins with the snapshot, which it lets go of like any other.
 * Returns 0 or -errno.
 */
int service_create(struct worker *worker, struct snapshot *snapshot, struct service **service)
    __attribute__((warn_unused_result));
/* Control thread, after the worker has ended and before worker_destroy and the end of its snapshots. */
void service_destroy(struct service *service);

/* Letters to a worker (mailbox). */

/* Argument: struct snapshot *. New requests begin with it, also on connections that are open; sockets come and go as it says. */
void service_follow(void *worker, void *argument);
/*
 * Ends gracefully, argument: NULL. Sockets accept a moment longer (they are hushed), and as long as connections wait in their queues; each client is answered one more request, at
 * most; those that ask nothing are let go of after shutdown_idle_timeout. The worker ends with the last of them.
 */
void service_stop(void *worker, void *argument);
/* The same where another process has the sockets, too, and takes what waits in their queues. */
void service_stop_shared(void *worker, void *argument);
/* Another process has stopped to accept from the same sockets, argument unused: nobody shall wait in their queues for that. */
void service_rearm(void *worker, void *argument);
/* Ends now, argument unused. */
void service_stop_now(void *worker, void *argument);
/* Argument: struct state_question *, about a server that no pool has any more: closes its idle links, and answers. */
void service_leave_server(void *worker, void *argument);

/* Worker thread. A client has come, or is gone: accepting may pause or go on, a graceful stop may be complete. */
void service_client_came(struct service *service);
void service_client_gone(struct service *service);
/* A socket has been closed for good. */
void service_listening_gone(struct service *service);
bool service_is_full(const struct service *service);
/* The texts of the current second. */
void service_read_date(struct service *service);
uint64_t service_random(struct service *service);

static inline const struct config *service_config(const struct service *service)
{
    return view_config(service->view);
}

#endif
