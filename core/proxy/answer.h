/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Answers that are made here: `respond`, `redirect`, and error pages. Worker thread; each ends the exchange. */
#ifndef FAIRLEAD_PROXY_ANSWER_H
#define FAIRLEAD_PROXY_ANSWER_H

#include "proxy/exchange.h"

void answer_location(struct exchange *exchange);              /* ACTION_RESPOND or ACTION_REDIRECT of its location */
void answer_error(struct exchange *exchange, int status);     /* the site's error page, or a short one */
void answer_options(struct exchange *exchange);               /* OPTIONS with Max-Forwards: 0 (RFC 9110 7.6.2) */

#endif
