/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The passive check (outlier detection): what the outcomes of requests do to a server. All state is in the atomics of struct server,
 * struct server_state and struct pool_state; workers call this, no lock. For picker.c.
 *
 * max_fails failures within any fail_timeout (a sliding window) take a server out. It stays out for fail_timeout, and each time in a row twice as
 * long, up to max_eject_time. Then one request is let through as a trial: its success puts the server back. Never more than max_ejected
 * percent of a pool are out, and never the only server (nginx's rule).
 */
#ifndef FAIRLEAD_UPSTREAM_PASSIVE_H
#define FAIRLEAD_UPSTREAM_PASSIVE_H

#include "upstream/tier.h"

/* Whether a pick may go to it at now_ms: it is in service, or its time is over. */
bool passive_allows(const struct server *server, uint64_t now_ms);
/*
 * The chosen server, at the moment of the pick. False: it is out, or another worker was quicker with its trial. Where this pick is the trial,
 * *trial is the deadline that it has set, for passive_end_trial; else 0.
 */
bool passive_claim(struct pool *pool, struct server *server, uint64_t now_ms, uint64_t *trial);
/* A failure of a request that was picked at picked_ms. `trial`: of the pick. True when it took the server out, or was a trial and keeps it out. */
bool passive_failure(struct pool *pool, struct server *server, uint64_t trial, uint64_t picked_ms, uint64_t now_ms);
/* A success. `forgive`: it was a trial, or served although out. True when it put the server back. */
bool passive_success(struct pool *pool, struct server *server, bool forgive, uint64_t now_ms);
/* A trial ended without saying anything: the next request may be one. */
void passive_forget_trial(struct pool *pool, struct server *server, uint64_t trial, uint64_t now_ms);
/* Whether it can take the server out: never the only one, and only where failures count. */
bool passive_applies(const struct pool *pool, const struct server *server);
/* The server is not out any more, and not one of those that max_ejected counts. */
void passive_withdraw(struct pool *pool, struct server_state *state);
/* The server is out until then (0: it is not), as it was in the process before. Before any worker picks. */
void passive_resume(struct pool *pool, struct server *server, uint64_t out_until_ms);
/* The current pool has the server no more: it is not one of those that max_ejected counts, whatever requests of older pool objects tell. Control
 * thread. */
void passive_leave(struct pool *pool, struct server_state *state);

#endif
