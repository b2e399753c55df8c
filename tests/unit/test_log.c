/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The promises of engine/log.h, kept with real files, a real log thread and a test socket in place of the
 * syslog daemon. The last case prints what an access line costs the thread that writes it; it asserts
 * nothing, since machines differ.
 */
#include "engine/log.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "engine/log_queue.h"
#include "engine/log_thread.h"
#include "tests/unit/log_fixture.h"

START_TEST(an_error_line_has_local_time_priority_process_and_thread)
{
    char expected[64], also_good[64];
    time_t before, after;
    struct tm tm;

    setenv("TZ", "XYZ-5:45", 1);
    start_log(config_of(NULL, error_path));
    before = time(NULL);
    log_write(LOG_WARNING, "upstream slow name=%s ms=%d", "a", 7);
    after = time(NULL);
    log_stop();
    strftime(expected, sizeof(expected), "%Y/%m/%d %H:%M:%S [warn] ", localtime_r(&before, &tm));
    strftime(also_good, sizeof(also_good), "%Y/%m/%d %H:%M:%S [warn] ", localtime_r(&after, &tm));
    size_t len;
    char *text = read_all(error_path, &len);
    char rest[96];

    snprintf(rest, sizeof(rest), "%d#0: upstream slow name=a ms=7\n", (int)getpid());
    ck_assert(strncmp(text, expected, strlen(expected)) == 0 ||
              strncmp(text, also_good, strlen(also_good)) == 0);
    ck_assert_str_eq(text + strlen(expected), rest);
    free(text);
    log_detach();
    unsetenv("TZ");
    tzset();
}
END_TEST

START_TEST(less_severe_than_the_level_is_not_kept)
{
    start_log(config_of(NULL, error_path));
    ck_assert(log_enabled(LOG_INFO));
    ck_assert(!log_enabled(LOG_DEBUG));
    log_write(LOG_DEBUG, "whisper");
    log_write(LOG_EMERG, "shout");
    end_log();
    ck_assert(file_contains(error_path, "[emerg]"));
    ck_assert(!file_contains(error_path, "whisper"));
}
END_TEST

START_TEST(without_a_log_thread_a_message_goes_to_stderr)
{
    open_log(config_of(NULL, error_path));
    log_write(LOG_ERR, "early name=%s", "x\ny");
    ck_assert(file_contains(stderr_path, "[error] "));
    ck_assert(file_contains(stderr_path, ": early name=x\\x0ay\n"));
    ck_assert_int_eq(log_start(), 0);
    log_stop();
    log_write(LOG_ERR, "late");
    ck_assert(file_contains(stderr_path, ": late\n"));
}
END_TEST

START_TEST(a_message_cannot_forge_a_line)
{
    size_t len, n_lines = 0;
    char *text;

    start_log(config_of(NULL, error_path));
    log_write(LOG_ERR, "bad uri=%s", "/\r\n2026/11/23 05:14:01 [emerg] 1#1: all is lost\x1b[2J\x7f\xc2\x85");
    end_log();
    text = read_all(error_path, &len);
    for (size_t i = 0; i < len; i++)
        n_lines += text[i] == '\n';
    ck_assert_uint_eq(n_lines, 1);
    ck_assert_ptr_nonnull(strstr(text, "/\\x0d\\x0a2026/11/23"));
    ck_assert_ptr_nonnull(strstr(text, "\\x1b[2J\\x7f\\xc2\\x85\n"));
    free(text);
}
END_TEST

/* Both too long as it is, and too long only after escaping; in the latter the cut may fall anywhere in an
 * escape. */
START_TEST(a_line_too_long_is_cut_and_says_so)
{
    static char filler[20000];
    size_t len;

    memset(filler, 'x', sizeof(filler) - 1);
    for (int shift = 0; shift < 6; shift++) {
        start_log(config_of(NULL, error_path));
        if (shift > 0)
            memset(filler, '\n', 3000);
        filler[shift == 0 ? sizeof(filler) - 1 : 3000] = '\0';
        log_write(LOG_ERR, "%.*s%s", shift, "abcdef", filler);
        end_log();
        char *text = read_all(error_path, &len);

        ck_assert_uint_le(len, LOG_LINE_MAX);
        ck_assert_uint_gt(len, LOG_LINE_MAX - 150);
        ck_assert_str_eq(text + len - 4, "...\n");
        ck_assert_str_eq(text + len - 5, shift == 0 ? "x...\n" : "a...\n");
        free(text);
        unlink(error_path);
    }
}
END_TEST

START_TEST(a_limited_message_is_kept_burst_times_and_the_rest_is_told)
{
    struct log_limit limit = {0};

    start_log(config_of(NULL, error_path));
    while (clock_realtime_ms() % 1000 > 500)
        sleep_ms(20);
    for (int i = 0; i < 10; i++)
        log_write_limited(&limit, 3, LOG_ERR, "number=%d", i);
    sleep_ms(1000);
    log_write_limited(&limit, 3, LOG_ERR, "number=%d", 10);
    end_log();
    ck_assert(file_contains(error_path, "number=2\n"));
    ck_assert(!file_contains(error_path, "number=3"));
    ck_assert(file_contains(error_path, "number=10 left_out=7\n"));
}
END_TEST

START_TEST(a_full_queue_drops_counts_and_reports)
{
    struct log_counters before, after;
    char line[100], report[64];
    unsigned n_kept = 0, n_dropped = 0;

    memset(line, 'l', sizeof(line));
    line[99] = '\n';
    log_counters(&before);
    open_log(config_of(access_path, error_path));
    for (int i = 0; i < 1000; i++)
        (*(put_line(line, sizeof(line)) ? &n_kept : &n_dropped))++;
    ck_assert_uint_gt(n_dropped, 0);
    ck_assert_uint_gt(n_kept, QUEUE_BYTES / 120);
    ck_assert_int_eq(log_start(), 0);
    end_log();
    log_counters(&after);
    ck_assert_uint_eq(after.dropped - before.dropped, n_dropped);
    ck_assert_uint_eq(after.lines - before.lines, n_kept);
    snprintf(report, sizeof(report), "count=%u thread=0\n", n_dropped);
    ck_assert(file_contains(error_path, report));
}
END_TEST

START_TEST(a_reservation_taken_back_leaves_nothing)
{
    start_log(config_of(access_path, NULL));
    for (int i = 0; i < 1000; i++) {
        char *room = log_reserve(LOG_SINK_ACCESS, LOG_LINE_MAX);

        ck_assert_ptr_nonnull(room);
        memset(room, 'x', LOG_LINE_MAX);
        log_commit(0);
    }
    ck_assert(put_line("kept\n", 5));
    end_log();
    size_t len;
    char *text = read_all(access_path, &len);

    ck_assert_str_eq(text, "kept\n");
    free(text);
}
END_TEST

#define N_THREADS       3
#define LINES_OF_THREAD 30000

/* Lines of many lengths, so that the ring wraps everywhere; a full queue is tried again, which keeps the
 * sequence whole. */
static void *write_sequence(void *argument)
{
    const unsigned writer = (unsigned)(uintptr_t)argument;
    char line[700];

    ck_assert_int_eq(log_attach(), 0);
    for (unsigned i = 0; i < LINES_OF_THREAD; i++) {
        const int len =
            snprintf(line, sizeof(line), "%u %u %.*s\n", writer, i, (int)(i * 7919 % 600),
                     "................................................................................");

        while (!put_line(line, (size_t)len))
            sched_yield();
        if (i % 5000 == 0)
            sleep_ms(30);
    }
    log_detach();
    return NULL;
}

/* Checks the numbers of each writer in the text, from `next` on. */
static void check_sequences(const char *path, unsigned *next)
{
    size_t len;
    char *text = read_all(path, &len);

    for (char *line = text; line < text + len;) {
        char *end = strchr(line, '\n');
        unsigned writer, number;

        ck_assert_ptr_nonnull(end);
        ck_assert_int_eq(sscanf(line, "%u %u ", &writer, &number), 2);
        ck_assert_uint_lt(writer, N_THREADS);
        ck_assert_uint_eq(number, next[writer]);
        next[writer]++;
        line = end + 1;
    }
    free(text);
}

START_TEST(lines_keep_their_order_and_none_is_lost_when_there_is_room)
{
    unsigned next[N_THREADS] = {0};
    pthread_t threads[N_THREADS];

    start_log(config_of(access_path, NULL));
    for (uintptr_t i = 0; i < N_THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, write_sequence, (void *)i), 0);
    for (int i = 0; i < N_THREADS; i++)
        pthread_join(threads[i], NULL);
    end_log();
    check_sequences(access_path, next);
    for (int i = 0; i < N_THREADS; i++)
        ck_assert_uint_eq(next[i], LINES_OF_THREAD);
}
END_TEST

START_TEST(reopening_after_a_rename_loses_no_line)
{
    unsigned next[N_THREADS] = {0};
    int errors[LOG_SINKS];
    char path[160];
    pthread_t thread;

    start_log(config_of(access_path, NULL));
    ck_assert_int_eq(pthread_create(&thread, NULL, write_sequence, NULL), 0);
    for (int i = 0; i < 5; i++) {
        sleep_ms(25);
        snprintf(path, sizeof(path), "%s.%d", access_path, i);
        ck_assert_int_eq(rename(access_path, path), 0);
        ck_assert_int_eq(log_reopen(errors), 0);
        ck_assert_int_eq(access(access_path, F_OK), 0);
    }
    pthread_join(thread, NULL);
    end_log();
    for (int i = 0; i < 5; i++) {
        snprintf(path, sizeof(path), "%s.%d", access_path, i);
        check_sequences(path, next);
    }
    check_sequences(access_path, next);
    ck_assert_uint_eq(next[0], LINES_OF_THREAD);
}
END_TEST

static uint64_t used_cpu_ms(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
}

START_TEST(an_idle_log_sleeps_and_one_line_wakes_it)
{
    start_log(config_of(access_path, NULL));
    for (int i = 0; i < 2; i++) {
        char line[16];

        sleep_ms(LOG_AWAKE_MS + 300);
        const uint64_t cpu = used_cpu_ms();
        struct rusage before, after;

        getrusage(RUSAGE_SELF, &before);
        sleep_ms(300);
        getrusage(RUSAGE_SELF, &after);
        ck_assert_uint_lt(used_cpu_ms() - cpu, 30);
        /* An awake log would wait 15 times; ThreadSanitizer has a thread that waits too. */
        ck_assert_int_le(after.ru_nvcsw - before.ru_nvcsw, 12);
        snprintf(line, sizeof(line), "wake %d\n", i);
        ck_assert(put_line(line, 7));
        wait_for(access_path, line);
    }
    end_log();
}
END_TEST

/* The shortest of many tries, because the machine may be busy. */
START_TEST(a_queue_more_than_half_full_is_not_left_for_the_whole_wait)
{
    uint64_t shortest_ns = UINT64_MAX;
    char line[1000];

    memset(line, 'l', sizeof(line));
    line[999] = '\n';
    start_log(config_of("/dev/null", NULL));
    for (int try = 0; try < 30; try++) {
        struct log_counters before, now;

        sleep_ms((long)(3 * LOG_DRAIN_MS) + try % 7);
        log_counters(&before);
        const uint64_t start = clock_monotonic_ns();

        for (int i = 0; i < 20; i++)
            ck_assert(put_line(line, sizeof(line)));
        do
            log_counters(&now);
        while (now.lines - before.lines < 17);
        if (clock_monotonic_ns() - start < shortest_ns)
            shortest_ns = clock_monotonic_ns() - start;
    }
    end_log();
    ck_assert_uint_lt(shortest_ns, 2000000);
}
END_TEST

START_TEST(there_are_numbers_for_1024_threads_and_they_are_used_again)
{
    static struct log_queue *queues[LOG_QUEUES + 1];

    for (unsigned i = 0; i <= LOG_QUEUES; i++) {
        queues[i] = log_queue_create(QUEUE_BYTES);
        ck_assert_int_eq(log_thread_add(queues[i]), i < LOG_QUEUES ? 0 : -ENOMEM);
    }
    log_thread_remove(queues[7]);
    ck_assert_int_eq(log_thread_add(queues[LOG_QUEUES]), 0);
    ck_assert_uint_eq(queues[LOG_QUEUES]->id, 7);
    queues[7] = queues[LOG_QUEUES];
    for (unsigned i = 0; i < LOG_QUEUES; i++)
        log_thread_remove(queues[i]);
}
END_TEST

#define MEASURED_LINES 200000
/* Lines between two pauses, as a worker has them; without pauses the full queue would be measured. */
#define BURST_LINES 100

START_TEST(what_an_access_line_costs_is_printed)
{
    static const char line[] =
        "127.0.0.1 - - [23/Nov/2026:05:14:01 +0000] \"GET /index.html HTTP/1.1\" 200 612 \"-\" "
        "\"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\" rt=0.001\n";
    struct log_config config = config_of(access_path, NULL);
    unsigned n_dropped = 0;
    uint64_t spent_ns = 0, cpu_ms;

    config.queue_size = 1u << 20;
    start_log(config);
    cpu_ms = used_cpu_ms();
    for (int i = 0; i < MEASURED_LINES; i += BURST_LINES) {
        const uint64_t start = clock_monotonic_ns();

        for (int n = 0; n < BURST_LINES; n++)
            n_dropped += !put_line(line, sizeof(line) - 1);
        spent_ns += clock_monotonic_ns() - start;
        const struct timespec pause = {.tv_nsec = 1000000};

        nanosleep(&pause, NULL);
    }
    log_stop();
    cpu_ms = used_cpu_ms() - cpu_ms;
    log_detach();
    printf("log: %zu-byte access line: %.0f ns for its writer, %.0f ns of processor time in all (dropped %u "
           "of %d)\n",
           sizeof(line) - 1, (double)spent_ns / MEASURED_LINES, (double)cpu_ms * 1e6 / MEASURED_LINES,
           n_dropped, MEASURED_LINES);
}
END_TEST

static Suite *log_suite(void)
{
    Suite *suite = suite_create("log");
    TCase *lines = new_case(suite, "lines"), *thread = new_case(suite, "thread");

    tcase_add_test(lines, an_error_line_has_local_time_priority_process_and_thread);
    tcase_add_test(lines, less_severe_than_the_level_is_not_kept);
    tcase_add_test(lines, without_a_log_thread_a_message_goes_to_stderr);
    tcase_add_test(lines, a_message_cannot_forge_a_line);
    tcase_add_test(lines, a_line_too_long_is_cut_and_says_so);
    tcase_add_test(lines, a_limited_message_is_kept_burst_times_and_the_rest_is_told);
    tcase_add_test(thread, reopening_after_a_rename_loses_no_line);
    tcase_add_test(thread, a_full_queue_drops_counts_and_reports);
    tcase_add_test(thread, a_reservation_taken_back_leaves_nothing);
    tcase_add_test(thread, lines_keep_their_order_and_none_is_lost_when_there_is_room);
    tcase_add_test(thread, an_idle_log_sleeps_and_one_line_wakes_it);
    tcase_add_test(thread, a_queue_more_than_half_full_is_not_left_for_the_whole_wait);
    tcase_add_test(thread, there_are_numbers_for_1024_threads_and_they_are_used_again);
    tcase_add_test(thread, what_an_access_line_costs_is_printed);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(log_suite());

    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
