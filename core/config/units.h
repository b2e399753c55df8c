/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Numbers with units: "250ms", "16k". Pure; any thread.
 */
#ifndef FAIRLEAD_CONFIG_UNITS_H
#define FAIRLEAD_CONFIG_UNITS_H

#include <stddef.h>
#include <stdint.h>

struct unit {
    const char *name; /* NULL ends a table; the largest stands first */
    int64_t factor;
};

extern const struct unit units_time[]; /* to ms */
extern const struct unit units_size[]; /* to bytes */

enum units_result { UNITS_OK, UNITS_NO_NUMBER, UNITS_NO_UNIT, UNITS_UNKNOWN_UNIT, UNITS_TOO_LARGE };

/* "0" needs no unit. */
enum units_result units_parse(const char *text, const struct unit *units, int64_t *value);

#define UNITS_TEXT_MAX 32
/* Writes the shortest text that gives the value again. Returns `text`. */
const char *units_format(int64_t value, const struct unit *units, char text[UNITS_TEXT_MAX]);

#endif
