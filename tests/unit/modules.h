/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * For tests that load strategies: where the ones of the tree are, and the ones of tests/strategies, built as
 * anyone outside of the tree would build them, against a directory that holds the installed headers and
 * nothing else. Included by one file per program.
 *
 * Environment: FAIRLEAD_BALANCERS, the directory of the tree's modules (default "balancers"); srcdir, the top
 * of the source tree (default "."), as automake sets it.
 */
#ifndef FAIRLEAD_TESTS_MODULES_H
#define FAIRLEAD_TESTS_MODULES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODULES_PATH_MAX 1024

/* After modules_build: the directory of the good ones, with a directory `broken` in it. */
static char modules_dir[MODULES_PATH_MAX];
static char modules_broken[MODULES_PATH_MAX + 16];

static inline const char *modules_of_the_tree(void)
{
    const char *dir = getenv("FAIRLEAD_BALANCERS");

    return dir ? dir : "balancers";
}

static inline int modules_run(const char *format, const char *top, const char *dir)
{
    char command[4 * MODULES_PATH_MAX];

    snprintf(command, sizeof command, format, top, dir);
    return system(command);
}

static inline void modules_remove(void)
{
    (void)!modules_run("%.0srm -rf '%s'", "", modules_dir);
}

/* Builds them all. Returns 0, or -1 after a line on stderr. */
static inline int modules_build(void)
{
    const char *top = getenv("srcdir") ? getenv("srcdir") : ".";
    const char *tmp = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";

    snprintf(modules_dir, sizeof modules_dir, "%s/fairlead-modules-XXXXXX", tmp);
    if (!mkdtemp(modules_dir)) {
        perror(modules_dir);
        return -1;
    }
    snprintf(modules_broken, sizeof modules_broken, "%s/broken", modules_dir);
    /* The outer make's flags (-j, -n, its job server) are not for this one. */
    if (modules_run("T='%s' D='%s'; mkdir -p \"$D/include/fairlead\" &&"
                    " install -m 644 \"$T\"/core/upstream/fairlead/*.h \"$D/include/fairlead\"",
                    top, modules_dir) != 0 ||
        modules_run("T='%s' D='%s'; env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS -u CFLAGS make -s -f "
                    "\"$T/tests/strategies/Makefile\""
                    " includedir=\"$D/include\" outdir=\"$D\"",
                    top, modules_dir) != 0) {
        fprintf(stderr, "the strategies of %s/tests/strategies cannot be built\n", top);
        modules_remove();
        return -1;
    }
    return 0;
}

#endif
