/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tests of regular expressions: found anywhere, case on demand, faults named, no subject without limits.
 */
#include "config/pattern.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

static struct pattern_scratch *scratch;
static char error[256];

static void setup(void)
{
    scratch = pattern_scratch_create();
    ck_assert_ptr_nonnull(scratch);
}

static void teardown(void)
{
    pattern_scratch_destroy(scratch);
}

static bool matches_bytes(const char *text, bool nocase, struct span subject)
{
    struct pattern *pattern;

    ck_assert_msg(pattern_compile(text, nocase, &pattern, error, sizeof error) == 0, "%s", error);
    ck_assert(pattern_is_nocase(pattern) == nocase);
    bool matches = pattern_matches(pattern, scratch, subject);
    pattern_destroy(pattern);
    return matches;
}

static bool matches(const char *text, bool nocase, const char *subject)
{
    return matches_bytes(text, nocase, (struct span){subject, strlen(subject)});
}

START_TEST(finds_anywhere_unless_anchored)
{
    ck_assert(matches("\\.php$", false, "/a/b.php"));
    ck_assert(!matches("\\.php$", false, "/a/b.php5"));
    ck_assert(matches("b", false, "/a/b.php"));
    ck_assert(!matches("^b", false, "/a/b.php"));
    ck_assert(matches("^/(one|two)/[0-9]{2,}$", false, "/two/123"));
}
END_TEST

START_TEST(minds_case_unless_told_otherwise)
{
    ck_assert(!matches("\\.php$", false, "/a.PHP"));
    ck_assert(matches("\\.php$", true, "/a.PHP"));
}
END_TEST

START_TEST(subjects_are_bytes_of_a_given_length)
{
    ck_assert(matches_bytes("^ab$", false, (struct span){"abc", 2}));
    ck_assert(matches_bytes("^$", false, (struct span){NULL, 0}));
    ck_assert(matches_bytes("^/.b$", false,
                            (struct span){"/\xff"
                                          "b",
                                          3}));
    ck_assert(matches_bytes("b$", false, (struct span){"a\0b", 3}));
}
END_TEST

START_TEST(a_fault_is_named_with_its_offset)
{
    struct pattern *pattern;

    ck_assert_int_eq(pattern_compile("a(b", false, &pattern, error, sizeof error), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error, "parenthesis"));
    ck_assert_ptr_nonnull(strstr(error, "at offset 3"));
}
END_TEST

START_TEST(a_pattern_that_backtracks_without_end_does_not_match)
{
    struct timespec before, after;

    clock_gettime(CLOCK_MONOTONIC, &before);
    ck_assert(!matches("^(a+)+(a+)+(a+)+$", false,
                       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"));
    clock_gettime(CLOCK_MONOTONIC, &after);
    ck_assert_int_le(after.tv_sec - before.tv_sec, 2);
}
END_TEST

START_TEST(one_pattern_serves_several_threads_scratches)
{
    struct pattern *pattern;
    struct pattern_scratch *other = pattern_scratch_create();

    ck_assert_int_eq(pattern_compile("^/a", false, &pattern, error, sizeof error), 0);
    ck_assert(pattern_matches(pattern, scratch, SPAN_LITERAL("/abc")));
    ck_assert(pattern_matches(pattern, other, SPAN_LITERAL("/ab")));
    ck_assert(!pattern_matches(pattern, scratch, SPAN_LITERAL("/b")));
    pattern_destroy(pattern);
    pattern_scratch_destroy(other);
}
END_TEST

START_TEST(nothing_is_destroyed_quietly)
{
    pattern_destroy(NULL);
    pattern_scratch_destroy(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pattern");
    TCase *tests = tcase_create("all");
    SRunner *runner = srunner_create(suite);

    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, finds_anywhere_unless_anchored);
    tcase_add_test(tests, minds_case_unless_told_otherwise);
    tcase_add_test(tests, subjects_are_bytes_of_a_given_length);
    tcase_add_test(tests, a_fault_is_named_with_its_offset);
    tcase_add_test(tests, a_pattern_that_backtracks_without_end_does_not_match);
    tcase_add_test(tests, one_pattern_serves_several_threads_scratches);
    tcase_add_test(tests, nothing_is_destroyed_quietly);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
