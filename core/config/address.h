/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Addresses as a person writes them: "host", "host:port", "[::1]:80", "unix:/path". Private to core/config.
 * Control thread; names are resolved by the loader's hook, which may block.
 */
#ifndef FAIRLEAD_CONFIG_ADDRESS_H
#define FAIRLEAD_CONFIG_ADDRESS_H

#include "config/load.h"

#define ADDRESS_PORT 80u /* of servers and listens that name none */

struct addresses {
    const char *name; /* as written, port added, lower case; in the snapshot's arena */
    uint16_t port;    /* 0 for unix sockets */
    bool has_port;    /* it was written */
    const char *host; /* lower case, without brackets; in the snapshot's arena; NULL for unix sockets */
    size_t n;
    struct server_address list[LOAD_ADDRESSES_MAX];
};

/* Reads without resolving: n is 0 for a host name. Returns false with the finding added. */
bool address_parse(struct loader *loader, struct place place, const char *text, uint16_t default_port,
                   struct addresses *addresses);
/* Fills in what a host name has now, by the system's own means. */
bool address_resolve(struct loader *loader, struct place place, const char *what, struct addresses *addresses);
/* Both, with port 80. `what` ends the sentence about a name that is not found: "host not found in WHAT". Returns false with the
 * finding added. */
bool address_read(struct loader *loader, struct place place, const char *text, const char *what,
                  struct addresses *addresses);

/* "127.0.0.1:80", "[::1]:80", "unix:/path"; in the snapshot's arena. */
const char *address_print(struct loader *loader, const struct server_address *address);

#endif
