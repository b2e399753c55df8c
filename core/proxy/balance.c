/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Keys and sticky cookies; see balance.h. */
#include "proxy/balance.h"

#include "proxy/client.h"
#include "proxy/message.h"
#include "proxy/sticky.h"
#include "upstream/hash.h"

#define KEY_MAX 4096u /* bytes of a key */

/* nginx's classes: the first three octets of an IPv4 address, the whole of any other. */
static uint64_t hash_of_client(const struct client *client)
{
    struct span address = client_address(client);
    const char *dot = memchr(address.p, '.', address.len) ? memrchr(address.p, '.', address.len) : NULL;

    return hash_text(address.p, dot ? (size_t)(dot - address.p) : address.len, 0);
}

static uint64_t hash_of_key(struct exchange *exchange, const struct template *key)
{
    struct variables variables;
    char text[KEY_MAX];
    ssize_t len;

    variables_init(&variables, exchange);
    len = template_expand(key, variables_resolve, &variables, text, sizeof(text));
    if (len < 0) { /* longer than any key should be: the target still tells requests apart */
        struct span target = exchange_text(exchange, exchange->request.target);

        return hash_text(target.p, target.len, 0);
    }
    return hash_text(text, (size_t)len, 0);
}

uint64_t balance_key(struct exchange *exchange)
{
    const struct group *group = exchange_group(exchange);

    switch (pool_key_kind(exchange->pool)) {
    case FAIRLEAD_KEYED:
        return group->key ? hash_of_key(exchange, group->key) : 0;
    case FAIRLEAD_ADDRESSED:
        return hash_of_client(exchange->client);
    default:
        return 0;
    }
}

int balance_bound_server(const struct exchange *exchange)
{
    const struct group *group = exchange_group(exchange);

    return group->sticky.kind == STICKY_OFF ? PICKER_NONE : sticky_server(exchange, group);
}
