/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How the schema's keys are written into a page of the manual: one style per kind of page. Used by
 * test_manual, which also makes the pages, and by test_config_examples. Pure but for the FILE that is written
 * to; one thread.
 */
#ifndef FAIRLEAD_TESTS_MANUAL_H
#define FAIRLEAD_TESTS_MANUAL_H

#include "config/schema.h"

#include <stdio.h>

#define MANUAL_EXAMPLE_MAX 512

struct manual_style {
    const char *begin, *close,
        *end; /* what stands around the name of a table, and behind the table; close ends a line */
    bool (*has_keys)(enum context context); /* such a table must be on the page, once */
    void (*put_keys)(enum context context, FILE *out);
    void (*put_variables)(FILE *out);
    void (*put_log_variables)(FILE *out); /* those of access_format */
};

extern const struct manual_style manual_markdown; /* doc/configuration.md: a table per context */
extern const struct manual_style
    manual_man; /* doc/man/fairlead.conf.5: a paragraph per key, at its outermost context */

/* Words about a key; `mark` stands around what a person would type. */
void manual_put_type(const struct key *key, const char *mark, FILE *out);
void manual_put_range(const struct key *key, FILE *out);
void manual_put_fallback(const struct key *key, enum context context, const char *mark, FILE *out);

/* An example of a value: the row's own, else the fallback, or of a bool its contrary. False when there is
 * none. */
bool manual_example(const struct key *key, char example[MANUAL_EXAMPLE_MAX]);

#endif
