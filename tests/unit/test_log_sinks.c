/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The promises of engine/log.h about where lines go, above all when a place does not take them: a full disk,
 * and a stuck stderr.
 */
#include "engine/log.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>

#include "tests/unit/log_fixture.h"

START_TEST(files_are_appended_to_and_not_for_everyone)
{
    struct stat status;

    umask(022);
    for (int i = 0; i < 2; i++) {
        start_log(config_of(access_path, NULL));
        ck_assert(put_line("line\n", 5));
        end_log();
    }
    size_t len;
    char *text = read_all(access_path, &len);

    ck_assert_str_eq(text, "line\nline\n");
    free(text);
    ck_assert_int_eq(stat(access_path, &status), 0);
    ck_assert_int_eq(status.st_mode & 0777, 0640);
}
END_TEST

/* Else the user that root becomes could have the next start append to any file. */
START_TEST(as_root_a_link_is_followed_only_when_it_is_roots)
{
    struct log_config config = config_of(access_path, NULL);
    const char *path = NULL;

    if (geteuid() != 0)
        return;
    ck_assert_int_eq(symlink(error_path, access_path), 0);
    ck_assert_int_eq(lchown(access_path, 1234, 1234), 0);
    ck_assert_int_eq(log_open(&config, &path), -ELOOP);
    ck_assert_str_eq(path, access_path);
    ck_assert_int_ne(access(error_path, F_OK), 0);
    ck_assert_int_eq(lchown(access_path, 0, 0), 0);
    start_log(config);
    ck_assert(put_line("line\n", 5));
    end_log();
    ck_assert(file_contains(error_path, "line\n"));
}
END_TEST

START_TEST(a_path_that_cannot_be_opened_is_named)
{
    struct log_config config = config_of(access_path, "/nowhere/at/all");
    const char *path = NULL;

    ck_assert_int_eq(log_open(&config, &path), -ENOENT);
    ck_assert_str_eq(path, "/nowhere/at/all");
}
END_TEST

START_TEST(a_full_disk_is_counted_told_once_and_keeps_nothing_else_waiting)
{
    struct log_counters before, after;

    log_counters(&before);
    start_log(config_of("/dev/full", error_path));
    for (int i = 0; i < 5; i++) {
        ck_assert(put_line("lost\n", 5));
        log_write(LOG_ERR, "written number=%d", i);
        sleep_ms(2 * LOG_DRAIN_MS);
    }
    end_log();
    log_counters(&after);
    ck_assert_uint_ge(after.write_errors - before.write_errors, 2);
    ck_assert_uint_eq(after.dropped - before.dropped, 5);
    ck_assert(file_contains(error_path, "written number=4\n"));
    size_t len;
    char *text = read_all(stderr_path, &len);
    char *first = strstr(text, "log cannot be written path=/dev/full error=\"No space left on device\"");

    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_null(strstr(first + 1, "log cannot be written"));
    free(text);
}
END_TEST

/* A limit on the file's size stands in for a disk that fills up within a line and is emptied again. */
START_TEST(a_line_written_in_part_is_completed_when_there_is_room_again)
{
    struct rlimit old, tight;

    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
    tight = old;
    tight.rlim_cur = 15;
    struct log_counters before, after;

    log_counters(&before);
    open_log(config_of(access_path, NULL));
    ck_assert(put_line("0123456789\n", 11));
    ck_assert(put_line("abcdefghij\n", 11));
    /* No assertion while the limit is on, because Check writes each one to a file of its own. */
    const int tightened = setrlimit(RLIMIT_FSIZE, &tight);
    const int started = log_start();

    sleep_ms(5 * LOG_DRAIN_MS);
    const bool put = put_line("also lost\n", 10);

    sleep_ms(5 * LOG_DRAIN_MS);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
    ck_assert(tightened == 0 && started == 0 && put);
    ck_assert(put_line("next\n", 5));
    end_log();
    size_t len;
    char *text = read_all(access_path, &len);

    ck_assert_str_eq(text, "0123456789\nabcdefghij\nnext\n");
    free(text);
    log_counters(&after);
    ck_assert_uint_eq(after.sink_dropped[LOG_SINK_ACCESS] - before.sink_dropped[LOG_SINK_ACCESS], 1);
    ck_assert_uint_eq(after.dropped - before.dropped, 1);
}
END_TEST

/* The file is left by a reopening while it holds the first half of a line: the other half is for no other
 * file. */
START_TEST(the_rest_of_a_cut_line_does_not_get_into_the_next_file)
{
    struct rlimit old, tight;
    int errors[LOG_SINKS];
    char moved[128];

    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
    tight = old;
    tight.rlim_cur = 4;
    snprintf(moved, sizeof(moved), "%s.0", access_path);
    open_log(config_of(access_path, NULL));
    ck_assert(put_line("abcdefghij\n", 11));
    const int tightened = setrlimit(RLIMIT_FSIZE, &tight);
    const int started = log_start();

    sleep_ms(5 * LOG_DRAIN_MS);
    const int renamed = rename(access_path, moved);

    const int reopened = log_reopen(errors);

    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
    ck_assert(tightened == 0 && started == 0 && renamed == 0 && reopened == 0);
    ck_assert(put_line("next\n", 5));
    end_log();
    size_t len;
    char *text = read_all(access_path, &len);

    ck_assert_str_eq(text, "next\n");
    free(text);
}
END_TEST

START_TEST(a_log_that_cannot_be_reopened_is_told_counted_and_goes_on)
{
    char within[96], moved[96], path[128], moved_path[128];
    struct log_counters before, after;
    int errors[LOG_SINKS];

    snprintf(within, sizeof(within), "%s/within", directory);
    snprintf(moved, sizeof(moved), "%s/moved", directory);
    snprintf(path, sizeof(path), "%s/access.log", within);
    snprintf(moved_path, sizeof(moved_path), "%s/access.log", moved);
    ck_assert_int_eq(mkdir(within, 0700), 0);
    start_log(config_of(path, error_path));
    log_counters(&before);
    ck_assert_int_eq(rename(within, moved), 0);
    ck_assert_int_eq(log_reopen(errors), 0);
    ck_assert_int_eq(errors[LOG_SINK_ACCESS], -ENOENT);
    ck_assert_int_eq(errors[LOG_SINK_ERROR], 0);
    wait_for(error_path, "/within/access.log error=\"No such file or directory\"\n");
    ck_assert(file_contains(error_path, "log cannot be opened anew, the old file goes on path="));
    log_counters(&after);
    ck_assert_uint_eq(after.write_errors - before.write_errors, 1);
    ck_assert(put_line("goes on\n", 8));
    wait_for(moved_path, "goes on\n");
    ck_assert_int_eq(mkdir(within, 0700), 0);
    ck_assert_int_eq(log_reopen(errors), 0);
    ck_assert_int_eq(errors[LOG_SINK_ACCESS], 0);
    ck_assert(put_line("anew\n", 5));
    wait_for(path, "anew\n");
    unlink(path);
    unlink(moved_path);
    rmdir(within);
    rmdir(moved);
}
END_TEST

/* A named pipe that nobody reads takes 64 KiB, and more when it is emptied. */
START_TEST(a_log_that_takes_lines_again_says_how_many_are_missing)
{
    static char got[65536];
    char wanted[96];
    struct log_counters before, after;

    log_counters(&before);
    ck_assert_int_eq(mkfifo(access_path, 0600), 0);
    const int reader = open(access_path, O_RDONLY | O_NONBLOCK);

    start_log(config_of(access_path, error_path));
    for (int i = 0; i < 20000; i++)
        while (!put_line("a line of the access log\n", 25))
            sched_yield();
    wait_for(error_path, "log takes no lines, they are dropped path=/tmp/fairlead-log-");
    for (const uint64_t end = now_ms() + PATIENCE_MS;
         !file_contains(error_path, "log can be written again");) {
        ck_assert(now_ms() < end);
        if (read(reader, got, sizeof(got)) <= 0)
            sleep_ms(5);
    }
    end_log();
    log_counters(&after);
    snprintf(
        wanted, sizeof(wanted), "dropped=%llu\n",
        (unsigned long long)(after.sink_dropped[LOG_SINK_ACCESS] - before.sink_dropped[LOG_SINK_ACCESS]));
    ck_assert_msg(file_contains(error_path, wanted), "%s", wanted);
    close(reader);
}
END_TEST

START_TEST(a_stuck_stderr_keeps_no_other_sink_waiting)
{
    static const char filler[4096];
    int ends[2];

    ck_assert_int_eq(pipe2(ends, O_NONBLOCK), 0);
    while (write(ends[1], filler, sizeof(filler)) > 0)
        ;
    fcntl(ends[1], F_SETFL, 0);
    ck_assert_int_ge(dup2(ends[1], STDERR_FILENO), 0);
    start_log(config_of(access_path, "stderr"));
    for (int i = 0; i < 6000; i++)
        log_write(LOG_ERR, "to nobody %0100d", i);
    while (!put_line("still here\n", 11))
        sleep_ms(1);
    wait_for(access_path, "still here\n");
    end_log();
    close(ends[0]);
    close(ends[1]);
}
END_TEST

static Suite *log_sinks_suite(void)
{
    Suite *suite = suite_create("log_sinks");
    TCase *sinks = new_case(suite, "sinks");

    tcase_add_test(sinks, files_are_appended_to_and_not_for_everyone);
    tcase_add_test(sinks, as_root_a_link_is_followed_only_when_it_is_roots);
    tcase_add_test(sinks, a_path_that_cannot_be_opened_is_named);
    tcase_add_test(sinks, a_full_disk_is_counted_told_once_and_keeps_nothing_else_waiting);
    tcase_add_test(sinks, a_line_written_in_part_is_completed_when_there_is_room_again);
    tcase_add_test(sinks, the_rest_of_a_cut_line_does_not_get_into_the_next_file);
    tcase_add_test(sinks, a_log_that_cannot_be_reopened_is_told_counted_and_goes_on);
    tcase_add_test(sinks, a_log_that_takes_lines_again_says_how_many_are_missing);
    tcase_add_test(sinks, a_stuck_stderr_keeps_no_other_sink_waiting);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(log_sinks_suite());

    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
