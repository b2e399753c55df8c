/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * "Did you mean ...?": the known word nearest to one that is not known. Pure; any thread.
 */
#ifndef FAIRLEAD_CONFIG_NEAREST_H
#define FAIRLEAD_CONFIG_NEAREST_H

#include <stddef.h>

/* Zero-initialise with the word looked for, offer the known ones, then look at `best`. */
struct nearest {
    const char *word;
    const char *best; /* NULL: none is near enough to be worth a hint */
    size_t distance;
};

void nearest_offer(struct nearest *nearest, const char *known);

#endif
