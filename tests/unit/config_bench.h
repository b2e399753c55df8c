/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the tests of whole configurations share: a text that is loaded or refused, and what it has become. Included
 * by one file per program.
 */
#ifndef FAIRLEAD_TESTS_CONFIG_BENCH_H
#define FAIRLEAD_TESTS_CONFIG_BENCH_H

#include "config_fake.h"
#include "suite.h"

#include <check.h>

static inline void load(const char *text)
{
    ck_assert_msg(fake_load(text) == 0, "%s", fake_findings);
    ck_assert_str_eq(fake_findings, "");
}

/* The text is refused, and `part` stands in what is said about it. */
static inline void expect_refused(const char *text, const char *part)
{
    ck_assert_int_eq(fake_load(text), -EINVAL);
    ck_assert_ptr_null(fake_config);
    ck_assert_msg(strstr(fake_findings, part) != NULL, "no \"%s\" in: %s", part, fake_findings);
}

static inline const struct location *location(size_t site, size_t index)
{
    return &fake_config->sites[site].locations[index];
}

/* Runs the tests, each with an empty world, beside the modules of tests/strategies. Returns what main does. */
static inline int bench_main(const char *name, void (*add_tests)(TCase *tests))
{
    int result;

    if (modules_build() != 0)
        return EXIT_FAILURE;
    result = suite_run(&(struct suite){name, 30, NULL, fake_clear, add_tests});
    modules_remove();
    return result;
}

#endif
