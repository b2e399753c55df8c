/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Addresses of servers; see server_address.h. */
#include "upstream/server_address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static int compare_ports(in_port_t a, in_port_t b)
{
    return (int)ntohs(a) - (int)ntohs(b);
}

int server_address_compare(const struct server_address *a, const struct server_address *b)
{
    int order = (a->sa.sa_family > b->sa.sa_family) - (a->sa.sa_family < b->sa.sa_family);

    if (order != 0)
        return order;
    if (a->sa.sa_family == AF_UNIX)
        return strncmp(a->un.sun_path, b->un.sun_path, sizeof(a->un.sun_path));
    if (a->sa.sa_family == AF_INET) {
        order = memcmp(&a->in.sin_addr, &b->in.sin_addr, sizeof(a->in.sin_addr));
        return order != 0 ? order : compare_ports(a->in.sin_port, b->in.sin_port);
    }
    order = memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof(a->in6.sin6_addr));
    if (order == 0)
        order = compare_ports(a->in6.sin6_port, b->in6.sin6_port);
    if (order == 0)
        order = (a->in6.sin6_scope_id > b->in6.sin6_scope_id) - (a->in6.sin6_scope_id < b->in6.sin6_scope_id);
    return order;
}

bool server_address_equals(const struct server_address *a, const struct server_address *b)
{
    return server_address_compare(a, b) == 0;
}

const char *server_address_print(const struct server_address *address, char *text, size_t size)
{
    char host[INET6_ADDRSTRLEN];

    if (address->sa.sa_family == AF_UNIX) {
        snprintf(text, size, "unix:%.*s", (int)sizeof(address->un.sun_path), address->un.sun_path);
    } else if (address->sa.sa_family == AF_INET) {
        inet_ntop(AF_INET, &address->in.sin_addr, host, sizeof(host));
        snprintf(text, size, "%s:%u", host, (unsigned)ntohs(address->in.sin_port));
    } else {
        inet_ntop(AF_INET6, &address->in6.sin6_addr, host, sizeof(host));
        snprintf(text, size, "[%s]:%u", host, (unsigned)ntohs(address->in6.sin6_port));
    }
    return text;
}
