/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An attempt: one try of an exchange at one server. Pick, connect or reuse, send the head, read the response head; its outcome goes to the picker
 * exactly once, and its place at the server is given back exactly once, when the response has come whole. What follows a failure is decided in
 * retry.h; the response is read in response.c. Worker thread.
 */
#ifndef FAIRLEAD_PROXY_ATTEMPT_H
#define FAIRLEAD_PROXY_ATTEMPT_H

#include "proxy/exchange.h"

/* Begins the first attempt. The exchange may be over when it returns. */
void attempt_start(struct exchange *exchange);
/* Lets go of the server: closes the link, gives the outcome (unless it was given), and the place. Does nothing when there is no attempt. */
void attempt_drop(struct exchange *exchange, enum fairlead_outcome outcome);

/*
 * The server did not do what it should: it is logged, and the request tried at another server where that is allowed, else answered with `status`. The
 * exchange may be over when it returns.
 */
void attempt_failed(struct exchange *exchange, enum retry_cause cause, int status, const char *what, int error);
/* A status that the group retries has come. Returns true when the request went to another server. */
bool attempt_retry_status(struct exchange *exchange, int status);
/* Tells the outcome, once; the place at the server stays taken. */
void attempt_judge(struct exchange *exchange, enum fairlead_outcome outcome);
/* A reused connection had been closed before the server read the request: once more on a new one, where that is safe. */
bool attempt_retry_stale(struct exchange *exchange);

/* From queue.c: tries again to get a server for an exchange that waits. False: all are still full. The exchange may be over otherwise. */
bool attempt_leave_queue(struct exchange *exchange) __attribute__((warn_unused_result));

/* response.c: goes on with the response body: the client has room again. The exchange may be over when it returns. */
void attempt_download(struct exchange *exchange);
/* response.c: bytes of the response have come, or its end. */
void response_input(struct exchange *exchange);

#endif
