/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A file with its includes in place, as one text, and the way back from a line of it to file and line.
 * Includes are resolved here and not by libconfig, so that they are relative to the file that names them,
 * bounded, and known by file and line. Private to core/config. Control thread.
 */
#ifndef FAIRLEAD_CONFIG_SOURCE_H
#define FAIRLEAD_CONFIG_SOURCE_H

#include "config/errors.h"
#include "http/span.h"

struct loader;

struct source {
    struct span text; /* NUL-terminated; in the scratch arena */
    size_t n_runs;
    struct source_run *runs;
};

/* Reads `path`. Returns 0, or -ENOENT (it could not be read) or -EINVAL with the findings added. */
int source_read(struct loader *loader, const char *path, struct source *source)
    __attribute__((warn_unused_result));

/* Where line `line` (from 1) of the text comes from. */
struct place source_place(const struct source *source, unsigned line);

#endif
