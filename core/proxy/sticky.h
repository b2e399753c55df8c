/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sticky sessions: a cookie that names a server. `insert`: a cookie of ours, "SERVER.MAC", both hexadecimal: the hash of the server's name, and a MAC
 * of it and the group's name, so that no client can choose its server. `route`: a cookie of the servers, whose value is a route or ends in
 * ".ROUTE". The texts are made once; a request only compares. Strategies know nothing of it.
 */
#ifndef FAIRLEAD_PROXY_STICKY_H
#define FAIRLEAD_PROXY_STICKY_H

#include "proxy/exchange.h"
#include "proxy/text.h"

#define STICKY_VALUE_LEN 49u /* 16 digits, a dot, 32 digits */

/* The cookies of all groups, constant while the workers run. */
struct sticky_values;

/*
 * Control thread. `pools` are those of the groups, `secret` (SNAPSHOT_SECRET_SIZE bytes) is for groups that have none. Returns 0, -ENOMEM, or -EINVAL when
 * the library refuses.
 */
int sticky_create(const struct config *config, struct pool *const *pools, const uint8_t *secret, struct sticky_values **values)
    __attribute__((warn_unused_result));
void sticky_destroy(struct sticky_values *values);

/* The index of the server that the request's cookie names, or PICKER_NONE. */
int sticky_server(const struct exchange *exchange, const struct group *group);
/* The Set-Cookie line of a response, where the client has no cookie for the server that answers. */
void sticky_put(struct text *text, const struct exchange *exchange);

#endif
