/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What of a group of servers is more than single values: reasons to retry, statuses, the key. Private to core/config. Control thread. */
#ifndef FAIRLEAD_CONFIG_GROUPS_H
#define FAIRLEAD_CONFIG_GROUPS_H

#include "config/document.h"
#include "config/load.h"

/* `node`: the upstream's group; NULL: only what stands when nothing is written. */
void groups_read(struct loader *loader, const struct node *node, struct group *group);
/* What belongs together; the pool has been made. */
void groups_check(struct loader *loader, const struct node *node, const struct group *group, const struct pool *pool);
/* "on = [ ... ];" and "statuses = [ ... ];", each with its line's end. */
void groups_print_causes(const struct group *group, FILE *out);
void groups_print_statuses(const struct group *group, FILE *out);

#endif
