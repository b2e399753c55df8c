/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Regular expressions of locations (PCRE2), compiled when the configuration is read, matched by workers without allocation. A pattern is
 * immutable and shared; each thread brings its own scratch.
 */
#ifndef FAIRLEAD_CONFIG_PATTERN_H
#define FAIRLEAD_CONFIG_PATTERN_H

#include "http/span.h"

struct pattern;
struct pattern_scratch; /* one per thread */

/* Returns 0, or -EINVAL with PCRE2's sentence and the offset. Control thread. JIT where available; match and depth limits set. */
int pattern_compile(const char *text, bool nocase, struct pattern **pattern, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* What was given to pattern_compile. */
bool pattern_is_nocase(const struct pattern *pattern);
void pattern_destroy(struct pattern *pattern);

struct pattern_scratch *pattern_scratch_create(void); /* NULL when memory is short */
void pattern_scratch_destroy(struct pattern_scratch *scratch);

/* True when the pattern is found anywhere in the subject. A subject that exceeds the limits does not match. */
bool pattern_matches(const struct pattern *pattern, struct pattern_scratch *scratch, struct span subject);

#endif
