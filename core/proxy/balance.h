/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a request brings to the choice of a server: the key that a strategy hashes, and the server that a sticky cookie binds it to. The layer around
 * any strategy; worker thread.
 */
#ifndef FAIRLEAD_PROXY_BALANCE_H
#define FAIRLEAD_PROXY_BALANCE_H

#include "proxy/exchange.h"

/* The hash of the group's key, of the client's network, or 0, as the strategy wants it. */
uint64_t balance_key(struct exchange *exchange);
/* The server that the request's cookie names, or PICKER_NONE. */
int balance_bound_server(const struct exchange *exchange);

#endif
