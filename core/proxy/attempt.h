/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An attempt: one try of an exchange at one server. Pick, connect or reuse, send the head, read the response head; its outcome goes to the picker
 * exactly once. A server that cannot be connected to is followed by the next one; once the request was sent there is no other try,
 * save for one on an idle link that proved stale, and only where that is safe (RFC 9110 9.2.2, 9112 9.3.1). Worker thread.
 */
#ifndef FAIRLEAD_PROXY_ATTEMPT_H
#define FAIRLEAD_PROXY_ATTEMPT_H

#include "proxy/exchange.h"

/* Begins the first attempt. The exchange may be over when it returns. */
void attempt_start(struct exchange *exchange);
/* Goes on with the response body: the client has room again. The exchange may be over when it returns. */
void attempt_download(struct exchange *exchange);
/* Lets go of the server: closes the link, gives the outcome. Does nothing when there is no attempt. */
void attempt_drop(struct exchange *exchange, enum fairlead_outcome outcome);

#endif
