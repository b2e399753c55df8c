/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The promises of engine/log.h about where lines go, above all when a place does not take them: a full disk,
 * a stuck stderr, and a syslog daemon, which a test socket stands in for, that hangs or restarts.
 */
#include "engine/log.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

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

START_TEST(a_path_that_cannot_be_opened_is_named)
{
    struct log_config config = config_of(access_path, "/nowhere/at/all");
    const char *path = NULL;

    ck_assert_int_eq(log_open(&config, &path), -ENOENT);
    ck_assert_str_eq(path, "/nowhere/at/all");
}
END_TEST

static int listen_syslog(void)
{
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    strcpy(address.sun_path, socket_path);
    unlink(socket_path);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    return fd;
}

static void expect_syslog(int fd, int priority, const char *message)
{
    char got[1024], expected[256];
    const ssize_t len = recv(fd, got, sizeof(got) - 1, 0);
    char *text;

    ck_assert_int_gt(len, 0);
    got[len] = '\0';
    snprintf(expected, sizeof(expected), "<%d>", priority);
    ck_assert_msg(strncmp(got, expected, strlen(expected)) == 0, "got %s", got);
    text = got + strlen(expected);
    ck_assert_msg(text[3] == ' ' && text[6] == ' ' && text[9] == ':' && text[12] == ':' && text[15] == ' ',
                  "got %s", got);
    snprintf(expected, sizeof(expected), "fairlead[%d]: %s", (int)getpid(), message);
    ck_assert_str_eq(text + 16, expected);
}

START_TEST(syslog_gets_both_logs_in_the_form_of_syslog_3)
{
    struct log_config config = config_of("syslog", error_path);
    const int fd = listen_syslog();

    config.sinks[LOG_SINK_ERROR].syslog = true;
    log_set_syslog_path(socket_path);
    start_log(config);
    log_write(LOG_WARNING, "server down name=b");
    ck_assert(put_line("GET / 200\n", 10));
    expect_syslog(fd, LOG_DAEMON | LOG_WARNING, "server down name=b");
    expect_syslog(fd, LOG_DAEMON | LOG_INFO, "GET / 200");
    end_log();
    ck_assert(file_contains(error_path, "server down name=b\n"));
    close(fd);
}
END_TEST

START_TEST(a_restarted_syslog_is_found_again)
{
    struct log_config config = config_of(NULL, "syslog");
    int fd = listen_syslog();

    log_set_syslog_path(socket_path);
    start_log(config);
    log_write(LOG_ERR, "first");
    expect_syslog(fd, LOG_DAEMON | LOG_ERR, "first");
    close(fd);
    fd = listen_syslog();
    log_write(LOG_ERR, "second");
    expect_syslog(fd, LOG_DAEMON | LOG_ERR, "second");
    end_log();
    close(fd);
}
END_TEST

START_TEST(a_hanging_syslog_stops_nothing_and_is_counted)
{
    struct log_config config = config_of(access_path, NULL);
    struct log_counters before, after;
    const int fd = listen_syslog();
    const uint64_t start = now_ms();

    config.sinks[LOG_SINK_ACCESS].syslog = true;
    log_set_syslog_path(socket_path);
    log_counters(&before);
    start_log(config);
    for (int i = 0; i < 2000; i++) {
        while (!put_line("a line of the access log\n", 25))
            sched_yield();
    }
    ck_assert(put_line("the end\n", 8));
    wait_for(access_path, "the end\n");
    ck_assert_uint_lt(now_ms() - start, PATIENCE_MS);
    end_log();
    log_counters(&after);
    ck_assert_uint_ge(after.write_errors - before.write_errors, 1000);
    ck_assert(file_contains(stderr_path, "log cannot be written path=/tmp/fairlead-log-"));
    close(fd);
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
START_TEST(a_line_written_in_part_does_not_swallow_the_next)
{
    struct rlimit old, tight;

    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
    tight = old;
    tight.rlim_cur = 15;
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

    ck_assert_str_eq(text, "0123456789\nabcd\nnext\n");
    free(text);
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
    tcase_add_test(sinks, a_path_that_cannot_be_opened_is_named);
    tcase_add_test(sinks, syslog_gets_both_logs_in_the_form_of_syslog_3);
    tcase_add_test(sinks, a_restarted_syslog_is_found_again);
    tcase_add_test(sinks, a_hanging_syslog_stops_nothing_and_is_counted);
    tcase_add_test(sinks, a_full_disk_is_counted_told_once_and_keeps_nothing_else_waiting);
    tcase_add_test(sinks, a_line_written_in_part_does_not_swallow_the_next);
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
