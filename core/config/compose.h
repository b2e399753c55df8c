/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The servers of a group as they are now: those that the files give an address, and one for each address that its names have. Control thread.
 */
#ifndef FAIRLEAD_CONFIG_COMPOSE_H
#define FAIRLEAD_CONFIG_COMPOSE_H

#include "config/config.h"

struct composition {
    struct pool_spec spec; /* its servers are below; other strings are the group's */
    size_t room;           /* servers that there is memory for */
    struct server_spec *servers;    /* owned */
    char (*names)[SERVER_NAME_MAX]; /* owned; of servers that come from a name, by position */
};

/*
 * `lists` is parallel to the members of the group, for those that are named; a NULL in it, or NULL itself, stands for what was found when the files
 * were read. `spare` is room for servers that the caller adds. Returns 0 or -ENOMEM; to be ended by compose_fini in both cases.
 */
int compose(const struct group *group, const struct wanted_list *const *lists, size_t spare, struct composition *result)
    __attribute__((warn_unused_result));
void compose_fini(struct composition *composition);

#endif
