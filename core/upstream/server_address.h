/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Addresses of servers and of listeners: internet addresses with their ports, and paths of unix sockets. Pure. */
#ifndef FAIRLEAD_UPSTREAM_SERVER_ADDRESS_H
#define FAIRLEAD_UPSTREAM_SERVER_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

struct server_address {
    socklen_t len;
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    };
};

/* Negative, 0 or positive, as strcmp: by family, address or path, port, and scope. */
int server_address_compare(const struct server_address *a, const struct server_address *b);
bool server_address_equals(const struct server_address *a, const struct server_address *b);
/* "127.0.0.1:80", "[::1]:80", "unix:/path"; returns `text`. SERVER_NAME_MAX bytes are enough. */
const char *server_address_print(const struct server_address *address, char *text, size_t size);

#endif
