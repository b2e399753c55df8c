/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From a request to its location: listener and host name give the site, the normalised path gives the location. The tables are
 * made once per snapshot and shared by all workers.
 */
#ifndef FAIRLEAD_PROXY_ROUTE_H
#define FAIRLEAD_PROXY_ROUTE_H

#include "config/config.h"

#define ROUTE_HOST_MAX 255u /* bytes of a host name that is looked up; a longer one is nobody's: the default site */

struct router;

/* Control thread. Returns 0 or -ENOMEM. The router borrows the snapshot. */
int router_create(const struct config *config, struct router **router) __attribute__((warn_unused_result));
void router_destroy(struct router *router);

/*
 * The site for a host (without port, any case, a trailing dot allowed; may be empty) among those of a listener: an exact name, then the longest
 * leading wildcard, then the longest trailing one, then the default. Never NULL. Any thread.
 */
const struct site *route_site(const struct router *router, const struct listen *listen, struct span host);

/*
 * The location for a normalised path, in nginx's order: exact; else the longest prefix, unless a regular expression matches
 * first (which "^~" prevents). NULL: none.
 */
const struct location *route_location(const struct site *site, struct pattern_scratch *scratch, struct span path);

#endif
