/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The promises of control/pid_file.h, in a directory of the test's own. One thread. */
#include "control/pid_file.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char home[64], path[128], other[128], error[512];

static void begin(void)
{
    strcpy(home, "/tmp/fairlead-pid-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(home));
    snprintf(path, sizeof(path), "%s/pid", home);
    snprintf(other, sizeof(other), "%s/other", home);
}

static void end(void)
{
    unlink(path);
    unlink(other);
    ck_assert_int_eq(rmdir(home), 0); /* nothing else was left behind */
}

static void put(const char *name, const char *text)
{
    FILE *file = fopen(name, "we");

    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

/* A process that waits; with our program's name, as a fork has it. */
static pid_t start_process(const char *name)
{
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (name)
            prctl(PR_SET_NAME, name);
        kill(getpid(), SIGSTOP);
        pause();
    }
    ck_assert_int_eq(waitpid(pid, NULL, WUNTRACED), pid);
    return pid;
}

static void put_process(pid_t pid)
{
    char text[32];

    snprintf(text, sizeof(text), "%d\n", (int)pid);
    put(path, text);
}

static void end_process(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

START_TEST(it_holds_the_id_and_goes_with_the_process)
{
    ck_assert_int_eq(pid_file_write(path, false, error, sizeof(error)), 0);
    ck_assert_int_eq(pid_file_read(path), getpid());
    pid_file_remove(path);
    ck_assert_int_eq(access(path, F_OK), -1);
    ck_assert_int_eq(pid_file_write(NULL, false, error, sizeof(error)), 0);
    pid_file_remove(NULL);
}
END_TEST

START_TEST(what_a_process_left_that_has_ended_is_overwritten)
{
    pid_t pid = start_process(NULL);

    end_process(pid);
    put_process(pid);
    ck_assert_int_eq(pid_file_write(path, false, error, sizeof(error)), 0);
    put(path, "no number\n");
    ck_assert_int_eq(pid_file_write(path, false, error, sizeof(error)), 0);
    ck_assert_int_eq(pid_file_read(path), getpid());
}
END_TEST

START_TEST(an_id_that_another_program_has_now_is_overwritten)
{
    pid_t pid = start_process("another");

    put_process(pid);
    ck_assert_int_eq(pid_file_write(path, false, error, sizeof(error)), 0);
    end_process(pid);
}
END_TEST

START_TEST(that_of_a_running_fairlead_is_overwritten_by_its_successor_only)
{
    pid_t pid = start_process(NULL);

    put_process(pid);
    ck_assert_int_eq(pid_file_write(path, false, error, sizeof(error)), -EEXIST);
    ck_assert_ptr_nonnull(strstr(error, path));
    ck_assert_int_eq(pid_file_read(path), pid);
    ck_assert_int_eq(pid_file_write(path, true, error, sizeof(error)), 0);
    ck_assert_int_eq(pid_file_read(path), getpid());
    end_process(pid);
}
END_TEST

START_TEST(the_file_of_a_successor_is_not_removed)
{
    put_process(1);
    pid_file_remove(path);
    ck_assert_int_eq(pid_file_read(path), 1);
}
END_TEST

START_TEST(a_link_is_replaced_and_not_followed)
{
    put(other, "precious");
    ck_assert_int_eq(symlink(other, path), 0);
    ck_assert_int_eq(pid_file_write(path, false, error, sizeof(error)), 0);
    ck_assert_int_eq(pid_file_read(path), getpid());
    ck_assert_int_eq(pid_file_read(other), 0);
}
END_TEST

START_TEST(what_is_no_file_is_left_alone)
{
    ck_assert_int_eq(mkfifo(path, 0644), 0);
    ck_assert_int_eq(pid_file_write(path, false, error, sizeof(error)), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error, "no file"));
}
END_TEST

START_TEST(a_directory_that_is_missing_is_named)
{
    char missing[256];

    snprintf(missing, sizeof(missing), "%s/none/pid", home);
    ck_assert_int_eq(pid_file_write(missing, false, error, sizeof(error)), -ENOENT);
    ck_assert_ptr_nonnull(strstr(error, missing));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pid_file");
    TCase *tests = tcase_create("promises");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, it_holds_the_id_and_goes_with_the_process);
    tcase_add_test(tests, what_a_process_left_that_has_ended_is_overwritten);
    tcase_add_test(tests, an_id_that_another_program_has_now_is_overwritten);
    tcase_add_test(tests, that_of_a_running_fairlead_is_overwritten_by_its_successor_only);
    tcase_add_test(tests, the_file_of_a_successor_is_not_removed);
    tcase_add_test(tests, a_link_is_replaced_and_not_followed);
    tcase_add_test(tests, what_is_no_file_is_left_alone);
    tcase_add_test(tests, a_directory_that_is_missing_is_named);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
