/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The main of test programs whose tests all have one setup and one teardown. Included by one file per program. */
#ifndef FAIRLEAD_TESTS_SUITE_H
#define FAIRLEAD_TESTS_SUITE_H

#include <check.h>
#include <stdlib.h>

struct suite {
    const char *name;
    double timeout_s; /* of each test */
    void (*setup)(void), (*teardown)(void); /* NULL: none */
    void (*add_tests)(TCase *tests);
};

/* Returns what main does. */
static inline int suite_run(const struct suite *wanted)
{
    Suite *suite = suite_create(wanted->name);
    TCase *tests = tcase_create("promises");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tests, wanted->timeout_s);
    tcase_add_checked_fixture(tests, wanted->setup, wanted->teardown);
    wanted->add_tests(tests);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
