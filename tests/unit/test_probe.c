/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The promises of engine/probe.h: every refusal names who refused and what to do; a kernel that works says so
 * in one line. */
#include "engine/probe.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define RELEASE "5.10.0-test"

static const struct refusal {
    int error, disabled, seccomp;
    const char *who, *what; /* must stand in the text */
} refusals[] = {
    {-EPERM, 1, 0, "kernel.io_uring_disabled=1", "kernel.io_uring_group"},
    {-EPERM, 2, 0, "kernel.io_uring_disabled=2", "sysctl -w kernel.io_uring_disabled=0"},
    {-EPERM, 2, 2, "kernel.io_uring_disabled=2",
     "sysctl -w"}, /* the sysctl comes first: the filter may be innocent */
    {-EPERM, 0, 2, "seccomp", "--security-opt seccomp="},
    {-EPERM, -1, 2, "seccomp", "io_uring_setup"},
    {-ENOSYS, -1, 2, "seccomp", "profile"},
    {-ENOSYS, 0, 0, "no io_uring", "6.1 or newer"},
    {-ENOSYS, -1, -1, "no io_uring", "6.1 or newer"},
    {-ENOSYS, -1, 1, "no io_uring", "6.1 or newer"}, /* strict mode: not a filter */
    {-EINVAL, 0, 0, "as Fairlead needs it", "6.1 or newer"},
    {-EINVAL, 0, 2, "as Fairlead needs it", "6.1 or newer"},
    {-ENOMEM, 0, 0, "no memory", "memory limit"},
    {-EMFILE, 0, 0, "no file descriptor", "ulimit -n"},
    {-ENFILE, 0, 0, "no file descriptor", "limit of open files"},
    {-EPERM, 0, 0, "Operation not permitted", "cannot be used"},
    {-EPERM, -1, -1, "Operation not permitted", "cannot be used"},
    {-EIO, 0, 0, "Input/output error", "cannot be used"},
};
#define N_REFUSALS ((int)(sizeof(refusals) / sizeof(refusals[0])))

START_TEST(every_refusal_names_who_refused_and_what_to_do)
{
    const struct refusal *refusal = &refusals[_i];
    char text[512];

    probe_explain(refusal->error, refusal->disabled, refusal->seccomp, RELEASE, text, sizeof(text));
    ck_assert_msg(strstr(text, refusal->who) != NULL, "\"%s\" does not say \"%s\"", text, refusal->who);
    ck_assert_msg(strstr(text, refusal->what) != NULL, "\"%s\" does not say \"%s\"", text, refusal->what);
    ck_assert_msg(strstr(text, RELEASE) != NULL, "\"%s\" does not name the kernel", text);
    ck_assert_ptr_null(strchr(text, '\n'));
}
END_TEST

START_TEST(a_group_is_no_way_out_where_io_uring_is_off_for_all)
{
    char text[512];

    probe_explain(-EPERM, 2, 0, RELEASE, text, sizeof(text));
    ck_assert_ptr_null(strstr(text, "io_uring_group"));
}
END_TEST

START_TEST(a_text_that_does_not_fit_is_cut_and_ended)
{
    char text[16];

    memset(text, 'x', sizeof(text));
    probe_explain(refusals[_i].error, refusals[_i].disabled, refusals[_i].seccomp, RELEASE, text,
                  sizeof(text));
    ck_assert_uint_eq(strlen(text), sizeof(text) - 1);
}
END_TEST

START_TEST(this_kernel_is_told_in_one_line)
{
    struct probe probe;
    char refusal[512] = "";

    ck_assert_msg(probe_kernel(&probe, refusal, sizeof(refusal)) == 0, "%s", refusal);
    ck_assert(probe.multishot_accept);
    ck_assert_int_eq(strncmp(probe.line, "kernel=", 7), 0);
    ck_assert_ptr_nonnull(
        strstr(probe.line, probe.multishot_recv ? " multishot_recv=yes" : " multishot_recv=no"));
    ck_assert_ptr_null(strchr(probe.line, '\n'));
}
END_TEST

START_TEST(what_is_refused_here_is_explained)
{
    struct rlimit old, few;
    struct probe probe;
    char refusal[512];

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    few = old;
    few.rlim_cur = 0;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    ck_assert_int_eq(probe_kernel(&probe, refusal, sizeof(refusal)), -EMFILE);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
    ck_assert_ptr_nonnull(strstr(refusal, "ulimit -n"));
    ck_assert(!probe.multishot_accept && !probe.multishot_recv);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("probe");
    TCase *tests = tcase_create("promises");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_loop_test(tests, every_refusal_names_who_refused_and_what_to_do, 0, N_REFUSALS);
    tcase_add_test(tests, a_group_is_no_way_out_where_io_uring_is_off_for_all);
    tcase_add_loop_test(tests, a_text_that_does_not_fit_is_cut_and_ended, 0, N_REFUSALS);
    tcase_add_test(tests, this_kernel_is_told_in_one_line);
    tcase_add_test(tests, what_is_refused_here_is_explained);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
