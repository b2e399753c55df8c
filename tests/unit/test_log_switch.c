/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The promises of log_prepare and log_switch (engine/log.h): which lines go to which targets, what stays
 * open, and that a failure changes nothing.
 */
#include "engine/log.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>

#include "engine/log_targets.h"
#include "tests/unit/log_fixture.h"

static void switch_to(struct log_config config)
{
    struct log_pending *pending;
    const char *path;

    ck_assert_int_eq(log_prepare(&config, &pending, &path), 0);
    log_switch(pending);
}

static void expect_file(const char *path, const char *expected)
{
    size_t len;
    char *text = read_all(path, &len);

    ck_assert_str_eq(text, expected);
    free(text);
}

START_TEST(lines_before_a_switch_go_to_the_old_file_and_later_ones_to_the_new)
{
    for (int running = 0; running < 2; running++) {
        open_log(config_of(access_path, NULL));
        if (running)
            ck_assert_int_eq(log_start(), 0);
        ck_assert(put_line("old\n", 4));
        if (!running)
            ck_assert_int_eq(log_start(), 0);
        switch_to(config_of(error_path, NULL));
        ck_assert(put_line("new\n", 4));
        end_log();
        expect_file(access_path, "old\n");
        expect_file(error_path, "new\n");
        unlink(access_path);
        unlink(error_path);
    }
}
END_TEST

/* The file that is open is moved away; a switch that opened its path again would make another. */
START_TEST(a_path_that_stays_is_not_opened_again)
{
    char moved[128];

    snprintf(moved, sizeof(moved), "%s.0", access_path);
    start_log(config_of(access_path, "stderr"));
    ck_assert_int_eq(rename(access_path, moved), 0);
    for (int i = 0; i < 3; i++) {
        ck_assert(put_line("line\n", 5));
        switch_to(config_of(access_path, error_path));
    }
    end_log();
    expect_file(moved, "line\nline\nline\n");
    ck_assert_int_ne(access(access_path, F_OK), 0);
}
END_TEST

START_TEST(a_path_that_cannot_be_opened_changes_nothing)
{
    struct log_config config = config_of(error_path, "/nowhere/at/all");
    struct log_pending *pending;
    const char *path;

    start_log(config_of(access_path, NULL));
    ck_assert_int_eq(log_prepare(&config, &pending, &path), -ENOENT);
    ck_assert_str_eq(path, "/nowhere/at/all");
    ck_assert(put_line("line\n", 5));
    end_log();
    expect_file(access_path, "line\n");
}
END_TEST

START_TEST(what_is_discarded_changes_nothing)
{
    struct log_config config = config_of(error_path, NULL);
    struct log_pending *pending;
    const char *path;

    start_log(config_of(access_path, NULL));
    ck_assert_int_eq(log_prepare(&config, &pending, &path), 0);
    log_discard(pending);
    ck_assert(put_line("line\n", 5));
    switch_to(config_of(access_path, NULL));
    ck_assert(put_line("line\n", 5));
    end_log();
    expect_file(access_path, "line\nline\n");
    expect_file(error_path, "");
}
END_TEST

START_TEST(the_level_changes_with_the_targets)
{
    struct log_config config = config_of(NULL, error_path);

    start_log(config);
    ck_assert(log_enabled(LOG_INFO));
    config.level = LOG_ERR;
    switch_to(config);
    ck_assert(!log_enabled(LOG_WARNING));
    log_write(LOG_WARNING, "not kept");
    log_write(LOG_ERR, "kept");
    config.level = LOG_DEBUG;
    switch_to(config);
    log_write(LOG_DEBUG, "kept too");
    end_log();
    ck_assert(!file_contains(error_path, "not kept"));
    ck_assert(file_contains(error_path, "#0: kept\n"));
    ck_assert(file_contains(error_path, "kept too\n"));
}
END_TEST

/* Each keeps the file of the one before it, though none of them is in use yet. */
START_TEST(switches_that_pile_up_are_made_in_their_order)
{
    struct log_targets targets = LOG_TARGETS_NONE;
    struct log_pending *last = NULL;
    const struct log_config config = config_of(access_path, NULL);
    const char *path;

    for (int i = 0; i < 3; i++) {
        struct log_pending *pending;

        ck_assert_int_eq(log_pending_create(&config, &pending, &path), 0);
        ck_assert_int_eq(log_pending_commit(pending), LOG_INFO);
        log_pending_precede(pending, last);
        last = pending;
    }
    log_targets_replace(&targets, last);
    ck_assert_str_eq(targets.files[LOG_SINK_ACCESS].path, access_path);
    ck_assert_int_ge(targets.files[LOG_SINK_ACCESS].fd, 0);
    log_targets_close(&targets);
    log_targets_forget();
}
END_TEST

#define N_LINES 20000u

static void *write_numbers(void *unused)
{
    char line[32];

    ck_assert_int_eq(log_attach(), 0);
    for (unsigned i = 0; i < N_LINES; i++) {
        const int len = snprintf(line, sizeof(line), "%u\n", i);

        while (!put_line(line, (size_t)len))
            sleep_ms(1);
        if (i % 100 == 99)
            sleep_ms(1);
    }
    log_detach();
    return unused;
}

static void count_numbers(const char *path, unsigned *seen)
{
    size_t len;
    char *text = read_all(path, &len);

    for (char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        const unsigned number = (unsigned)strtoul(line, NULL, 10);

        ck_assert_uint_lt(number, N_LINES);
        seen[number]++;
    }
    free(text);
}

START_TEST(switching_under_load_loses_no_line_and_doubles_none)
{
    static unsigned seen[N_LINES];
    pthread_t thread;

    start_log(config_of(access_path, NULL));
    ck_assert_int_eq(pthread_create(&thread, NULL, write_numbers, NULL), 0);
    for (int i = 0; i < 40; i++) {
        sleep_ms(4);
        switch_to(config_of(i % 2 == 0 ? error_path : access_path, NULL));
    }
    pthread_join(thread, NULL);
    end_log();
    count_numbers(access_path, seen);
    count_numbers(error_path, seen);
    for (unsigned i = 0; i < N_LINES; i++)
        ck_assert_msg(seen[i] == 1, "line %u stands %u times", i, seen[i]);
}
END_TEST

static Suite *log_switch_suite(void)
{
    Suite *suite = suite_create("log_switch");
    TCase *switches = new_case(suite, "switches");

    tcase_add_test(switches, lines_before_a_switch_go_to_the_old_file_and_later_ones_to_the_new);
    tcase_add_test(switches, a_path_that_stays_is_not_opened_again);
    tcase_add_test(switches, a_path_that_cannot_be_opened_changes_nothing);
    tcase_add_test(switches, what_is_discarded_changes_nothing);
    tcase_add_test(switches, the_level_changes_with_the_targets);
    tcase_add_test(switches, switches_that_pile_up_are_made_in_their_order);
    tcase_add_test(switches, switching_under_load_loses_no_line_and_doubles_none);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(log_switch_suite());

    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
