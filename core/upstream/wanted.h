/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Wanted: which servers an answer of the resolver asks for, in which tier, and with which share. Pure.
 */
#ifndef FAIRLEAD_UPSTREAM_WANTED_H
#define FAIRLEAD_UPSTREAM_WANTED_H

#include "upstream/resolve.h"

#define PLACES_MAX 64u /* servers of one name, in each tier */

struct wanted {
    struct server_address address;
    uint32_t share; /* percent of the server's weight: server_spec.share */
    bool backup;
};

/* Those of the name's own tier, then those of the tier behind it, each sorted by address. */
struct wanted_list {
    size_t n_places, n_backup; /* the most that each tier may have */
    size_t n;
    size_t n_left_out;      /* because there were more */
    struct wanted *entries; /* n_places + n_backup; owned by whoever made the list */
};

/*
 * The records of the best priority belong to the name's own tier, all others to the tier behind it; where
 * that may have none at all, they are left aside, as in nginx. The first ones of each are taken, as many as
 * there may be. The answer did not fail.
 */
void wanted_of_answer(struct wanted_list *list, const struct resolve_answer *answer);
/* Of `had`, a list of the same size, adds what `list` has not, as far as there is room: after a partial
 * answer. */
void wanted_keep(struct wanted_list *list, const struct wanted_list *had);
/* The entry with that address in that tier, or NULL. */
const struct wanted *wanted_find(const struct wanted_list *list, const struct server_address *address,
                                 bool backup);

#endif
