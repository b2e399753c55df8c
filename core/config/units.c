/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tables of units, and the two ways through them. Pure; any thread.
 */
#include "config/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const struct unit units_time[] = {
    {"d", 24 * 3600 * 1000}, {"h", 3600 * 1000}, {"m", 60 * 1000}, {"s", 1000}, {"ms", 1}, {NULL, 0},
};

/* As in nginx, sizes may be written with capitals; times may not ("M" is a month there). */
const struct unit units_size[] = {
    {"g", 1 << 30}, {"G", 1 << 30}, {"m", 1 << 20}, {"M", 1 << 20},
    {"k", 1 << 10}, {"K", 1 << 10}, {"b", 1},       {NULL, 0},
};

enum units_result units_parse(const char *text, const struct unit *units, int64_t *value)
{
    int64_t number = 0;
    const char *p = text;

    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(number, 10, &number) || __builtin_add_overflow(number, *p - '0', &number))
            return UNITS_TOO_LARGE;
    if (p == text)
        return UNITS_NO_NUMBER;
    if (*p == '\0') {
        *value = 0;
        return number == 0 ? UNITS_OK : UNITS_NO_UNIT;
    }
    for (const struct unit *unit = units; unit->name != NULL; unit++)
        if (strcmp(unit->name, p) == 0)
            return __builtin_mul_overflow(number, unit->factor, value) ? UNITS_TOO_LARGE : UNITS_OK;
    return UNITS_UNKNOWN_UNIT;
}

const char *units_format(int64_t value, const struct unit *units, char text[UNITS_TEXT_MAX])
{
    const struct unit *unit = units;

    if (value == 0) {
        memcpy(text, "0", 2);
        return text;
    }
    while (value % unit->factor != 0)
        unit++;
    snprintf(text, UNITS_TEXT_MAX, "%" PRId64 "%s", value / unit->factor, unit->name);
    return text;
}
