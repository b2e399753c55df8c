/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * When a request may be tried at another server. Never once a byte of a response went to the client. A server that could not be connected to
 * always is a reason; once the request was sent, only the causes of the group are, for idempotent methods (RFC 9110 9.2.2) unless told otherwise,
 * with a body that was kept, and within the budget: a share of the requests, so that a group that fails is not given more to do.
 * Worker thread; the budget is each worker's own.
 */
#ifndef FAIRLEAD_PROXY_RETRY_H
#define FAIRLEAD_PROXY_RETRY_H

#include "proxy/exchange.h"

/* A request for the group has come: pays into the budget, and sees to its body's being kept. */
void retry_begin(struct exchange *exchange);
/* Nothing was sent to the server that failed: whether another may be tried. */
bool retry_may_connect(const struct exchange *exchange);
/* The request was sent: whether it may be sent to another server. `cause` 0: the status is the cause, and has been looked at. */
bool retry_may_resend(const struct exchange *exchange, enum retry_cause cause);
/* It will be. */
void retry_pay(struct exchange *exchange);
/* What a worker's budget for the group holds at first. */
uint32_t retry_initial_budget(const struct group *group);

#endif
