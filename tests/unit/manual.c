/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What both styles say of a key. */
#include "manual.h"

#include "config/units.h"

#include <inttypes.h>
#include <string.h>

static bool is_inherited(const struct key *key, enum context context)
{
    return (context == CONTEXT_SITE || context == CONTEXT_LOCATION) && schema_stands_in(key, CONTEXT_MAIN);
}

static bool is_number(const struct key *key)
{
    return key->type == KEY_INT && key->words == NULL;
}

static void put_words(const struct key *key, const char *mark, FILE *out)
{
    for (const struct word *word = key->words; word != NULL && word->name != NULL; word++)
        fprintf(out, "%s%s\"%s\"%s", word == key->words ? "" : ", ", mark, word->name, mark);
}

void manual_put_type(const struct key *key, const char *mark, FILE *out)
{
    static const char *const names[] = {[KEY_INT] = "number",
                                        [KEY_TIME] = "time",
                                        [KEY_SIZE] = "size",
                                        [KEY_PATH] = "path",
                                        [KEY_TEMPLATE] = "string with variables",
                                        [KEY_GROUP] = "group",
                                        [KEY_NAMED] = "group of named groups",
                                        [KEY_LIST] = "list of groups",
                                        [KEY_STRINGS] = "string, or list of strings",
                                        [KEY_STATUSES] = "number, or list of numbers",
                                        [KEY_RANGES] = "number, range, or list of them",
                                        [KEY_HEADERS] = "group, or list of groups"};

    if (key->type == KEY_WORD) {
        put_words(key, mark, out);
        return;
    }
    if (key->type == KEY_BOOL)
        fprintf(out, "%strue%s or %sfalse%s", mark, mark, mark, mark);
    else
        fputs(names[key->type] != NULL ? names[key->type] : "string", out);
    if (key->unit != NULL)
        fprintf(out, ", %s", key->unit);
    if (key->type == KEY_INT && key->words != NULL) {
        fputs(", or ", out);
        put_words(key, mark, out);
    }
    if (key->flags & KEY_POWER_OF_TWO)
        fputs(", a power of two", out);
}

void manual_put_range(const struct key *key, FILE *out)
{
    const struct unit *units = key->type == KEY_TIME ? units_time : units_size;
    char text[UNITS_TEXT_MAX];

    if (key->type == KEY_INT || key->type == KEY_STATUSES || key->type == KEY_RANGES) {
        fprintf(out, "%" PRId64 " to %" PRId64, key->min, key->max);
    } else if (key->type == KEY_TIME || key->type == KEY_SIZE) {
        fprintf(out, "%s to ", units_format(key->min, units, text));
        fputs(units_format(key->max, units, text), out);
    }
}

void manual_put_fallback(const struct key *key, enum context context, const char *mark, FILE *out)
{
    const char *quote = key->type == KEY_BOOL || is_number(key) ? "" : "\"";

    if (key->flags & KEY_REQUIRED)
        fputs("required", out);
    else if (is_inherited(key, context))
        fputs("as outside", out);
    else if (key->fallback == NULL)
        fputs("none", out);
    else
        fprintf(out, "%s%s%s%s%s", mark, quote, key->fallback, quote, mark);
}

bool manual_example(const struct key *key, char example[MANUAL_EXAMPLE_MAX])
{
    const char *quote = key->type == KEY_BOOL || is_number(key) ? "" : "\"";
    const char *value = key->fallback;

    if (key->example == NULL && key->type == KEY_BOOL)
        value = strcmp(value, "true") == 0 ? "false" : "true";
    if (key->example != NULL)
        snprintf(example, MANUAL_EXAMPLE_MAX, "%s", key->example);
    else if (value != NULL)
        snprintf(example, MANUAL_EXAMPLE_MAX, "%s%s%s", quote, value, quote);
    return key->example != NULL || value != NULL;
}
