/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The servers of a group: from entries of the file to servers of a pool, names looked up. Private to
 * core/config. Control thread; blocks on name resolution.
 */
#ifndef FAIRLEAD_CONFIG_SERVERS_H
#define FAIRLEAD_CONFIG_SERVERS_H

#include "config/document.h"
#include "config/load.h"

/* A name, and what its places get once there is a pool. */
struct found_name {
    struct named_server named;
    bool resolve; /* again and again */
};

/* What the entries of one group come to; in the scratch arena. */
struct server_list {
    size_t n, room;
    struct server_spec *servers;
    size_t n_names, names_room;
    struct found_name *names;
    size_t entries_room;
};

/* Reads the `servers` of a group into the list and upstream->entries. Findings are added. */
void servers_read(struct loader *loader, const struct node *group, struct upstream *upstream,
                  struct server_list *list);
/* Adds one server, as it stands in upstream->entries or in a URL. */
void servers_add(struct loader *loader, struct place place, struct server_entry *entry,
                 struct server_list *list);
/* Gives the places of all names their first addresses, and keeps what is to be asked for again in the
 * snapshot's arena. */
void servers_place(struct loader *loader, struct upstream *upstream, const struct server_list *list);

#endif
