/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The access log: one line per exchange, written into the worker's log queue. Worker thread; no system call. */
#ifndef FAIRLEAD_PROXY_ACCESS_LOG_H
#define FAIRLEAD_PROXY_ACCESS_LOG_H

#include "proxy/exchange.h"

void access_log_write(struct exchange *exchange);

#endif
