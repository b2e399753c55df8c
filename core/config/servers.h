/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The servers of a group: from entries of the file to members, names looked up. Private to
 * core/config. Control thread; blocks on name resolution.
 */
#ifndef FAIRLEAD_CONFIG_SERVERS_H
#define FAIRLEAD_CONFIG_SERVERS_H

#include "config/document.h"
#include "config/load.h"

/* What the entries of one group come to; in the scratch arena. */
struct server_list {
    size_t n, room;
    struct member *members;
    size_t entries_room;
};

/* Reads the `servers` of a group into the list and upstream->entries. Findings are added. */
void servers_read(struct loader *loader, const struct node *group, struct upstream *upstream,
                  struct server_list *list);
/* Adds one server, as it stands in upstream->entries or in a URL. */
void servers_add(struct loader *loader, struct place place, struct server_entry *entry,
                 struct server_list *list);

#endif
