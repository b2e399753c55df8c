/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Requests that wait while all servers of their group are at max_conns: first come, first served, over all workers. Each worker keeps the
 * requests of its own clients, in order, and publishes the ticket of the first one; who frees a place tells the worker whose ticket is the
 * lowest, which serves while that is so, and then tells the next. A place may go to a worker that was quicker (max_conns stays exact; the
 * order then is off by one). Should a letter be lost, each
 * worker looks again every QUEUE_LOOK_MS.
 */
#ifndef FAIRLEAD_PROXY_QUEUE_H
#define FAIRLEAD_PROXY_QUEUE_H

#include "proxy/exchange.h"

/* What all workers share; one per snapshot. */
struct queues;

/* Control thread, before the workers run. NULL when memory is short. `workers` is borrowed, and filled in before they run. */
struct queues *queues_create(const struct config *config, struct worker *const *workers);
/* After they have ended. NULL is allowed. */
void queues_destroy(struct queues *queues);

/* Control thread: the worker's own part. Returns 0 or -ENOMEM. */
int queues_attach(struct service *service, struct queues *queues) __attribute__((warn_unused_result));
void queues_detach(struct service *service);

/* Worker thread. Whether requests for the group wait, at any worker, that one which comes now must not overtake. */
bool queue_is_waited_in(const struct service *service, const struct group *group);
/* Begins to wait. False: the group has no queue, or it is full. */
bool queue_enter(struct exchange *exchange) __attribute__((warn_unused_result));
/* Ends it: a server was found, or the exchange ends (which calls it). */
void queue_leave(struct exchange *exchange);
/* How many of this worker's requests wait that were with the server last: their lines in the log will name it. */
uint32_t queue_count_tried(const struct service *service, const struct server *server);
/* A request has left a server of the group. */
void queue_place_freed(struct service *service, const struct group *group);

#endif
