/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names: asks again for the servers that are given by name, when what was found does not hold any longer, and
 * lets their places follow. A name that cannot be resolved keeps what it had. Every change and every failure
 * is logged once. Control thread; it never waits.
 */
#ifndef FAIRLEAD_CONTROL_NAMES_H
#define FAIRLEAD_CONTROL_NAMES_H

#include "control/places.h"

#define NAMES_PAUSE_MAX_MS 30000u /* between two tries of a name that cannot be resolved */

struct names;

/* After the workers have begun. `config` and what `users` points at are borrowed. Returns 0 or -errno. */
int names_create(const struct config *config, const struct place_users *users, struct names **names)
    __attribute__((warn_unused_result));
/* After the threads that use servers have ended: letters to them point into it. NULL is allowed. */
void names_destroy(struct names *names);

/* To be polled for POLLIN. */
int names_fd(const struct names *names);
/* In how many milliseconds names_run wants to be called though nothing is readable; at most `most_ms`. */
int names_timeout_ms(const struct names *names, int most_ms);
void names_run(struct names *names);

#endif
