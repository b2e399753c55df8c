/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names: asks again for the servers that are given by name, when what was found does not hold any longer, and tells whose addresses have changed. A name
 * that cannot be resolved keeps what it had. Every change and every failure is logged once. Control thread; it never waits.
 */
#ifndef FAIRLEAD_CONTROL_NAMES_H
#define FAIRLEAD_CONTROL_NAMES_H

#include "config/config.h"

#define NAMES_PAUSE_MAX_MS 30000u /* between two tries of a name that cannot be resolved */

struct names;

/*
 * `config` is borrowed. `changed` is called from names_run when a member of a group has other addresses; it returns false where they cannot be put to use: then the
 * member keeps those that it had. Returns 0 with *names NULL where the configuration has no names, or -errno.
 */
int names_create(const struct config *config, bool (*changed)(void *context, size_t group), void *context, struct names **names)
    __attribute__((warn_unused_result));
/* NULL is allowed. */
void names_destroy(struct names *names);
/* What the members of a group have now, parallel to group->members; NULL: as the configuration has it. Borrowed until the next names_run. `names` may be NULL. */
const struct wanted_list *const *names_lists(const struct names *names, size_t group);

/* To be polled for POLLIN. */
int names_fd(const struct names *names);
/* In how many milliseconds names_run wants to be called though nothing is readable; at most `most_ms`. */
int names_timeout_ms(const struct names *names, int most_ms);
void names_run(struct names *names);

#endif
