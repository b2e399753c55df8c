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

/* The queue of one group, of all workers. It outlives the snapshots that have a group of that name. */
struct line;

/* Control thread. NULL when memory is short. `workers` is borrowed, and filled in before they run. */
struct line *line_create(const struct group *group, struct worker *const *workers, unsigned n_workers);
struct line *line_get(struct line *line);
/* The last one: no request waits, and every letter about it has been read. NULL is allowed. */
void line_put(struct line *line);

/* Worker thread. What is left for retries of the group, on this worker. */
uint32_t *line_budget(const struct service *service, const struct line *line);
/* Whether anybody waits. Only a hint: it is ordered with nothing. */
bool line_is_waited_in(const struct line *line);
/* Whether requests for the group wait, at any worker, that one which comes now must not overtake. */
bool queue_is_waited_in(const struct exchange *exchange);
/* Begins to wait. False: the group has no queue, or it is full. */
bool queue_enter(struct exchange *exchange) __attribute__((warn_unused_result));
/* Ends it: a server was found, or the exchange ends (which calls it). */
void queue_leave(struct exchange *exchange);
/* A request has left a server of the group, which has a queue, or had one. */
void queue_place_freed(struct line *line);

#endif
