/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Name servers; see resolver.h. */
#include "config/resolver.h"
#include "config/address.h"
#include "config/reader.h"

#define DNS_PORT 53u

static void read_server(struct loader *loader, const struct node *node, struct server_address *servers)
{
    struct resolver_settings *settings = &loader->config->resolver;
    struct addresses addresses;

    if (!address_parse(loader, node->place, node->string, DNS_PORT, &addresses))
        return;
    if (addresses.n == 0 || addresses.host == NULL)
        errors_add(loader->errors, node->place, "\"%s\" is no IP address, and a name server must be one",
                   node->string);
    else if (settings->n_servers == LOAD_RESOLVERS_MAX)
        errors_add(loader->errors, node->place, "more than %u name servers", LOAD_RESOLVERS_MAX);
    else
        servers[settings->n_servers++] = addresses.list[0];
}

void resolver_read(struct loader *loader, const struct node *document)
{
    struct node group = reader_member(document, "resolver", NODE_GROUP);
    const struct node *node = node_member(&group, "servers");
    struct resolver_settings *settings = &loader->config->resolver;
    struct server_address *servers = arena_alloc(loader->keep, LOAD_RESOLVERS_MAX, sizeof *servers);

    settings->servers = servers;
    if (settings->ttl_max_ms < settings->ttl_min_ms)
        errors_add(loader->errors, group.place, "\"ttl_max\" must not be less than \"ttl_min\"");
    if (node == NULL)
        return;
    const struct node *nodes = node->kind == NODE_LIST ? node->children : node;
    for (size_t i = 0; i < (node->kind == NODE_LIST ? node->n : 1); i++)
        if (nodes[i].kind == NODE_STRING)
            read_server(loader, &nodes[i], servers);
}
