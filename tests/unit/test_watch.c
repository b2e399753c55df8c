/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The promises of ctl/sample.h and ctl/screen.h: numbers are read by their names, rates come from two samples, and a picture fits its screen. */
#include "ctl/screen.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADS "# svname,pxname,new,status,weight,act,bck,scur,slim,stot,failed,algo\n"

static struct sample now, before;
static struct screen screen;

static void set_up(void)
{
    now = before = (struct sample){0};
    screen = (struct screen){.width = 80, .height = 24};
}

static void tear_down(void)
{
    sample_fini(&now);
    sample_fini(&before);
    screen_fini(&screen);
}

static int parse(const char *text, uint64_t at_ms, struct sample *sample)
{
    return sample_parse(strdup(text), at_ms, sample);
}

static void load(uint64_t at_ms, unsigned total, unsigned pid, struct sample *sample)
{
    char text[2048];

    snprintf(text, sizeof(text),
             "version 1.2.3\npid %u\nuptime_ms 90061000\nrequests %u\nservers 3\nservers_serving 2\n\n" HEADS
             "a,web,x,UP,5,1,0,3,,%u,0,\n\"b,\"\"c\",web,x,EJECTED,1,0,1,0,,7,%u,\nBACKEND,web,x,UP,5,1,0,3,,%u,0,least_conn\n"
             "d,api,x,DOWN,1,1,0,0,,0,0,\nBACKEND,api,x,DOWN,0,0,0,0,,0,0,random\n",
             pid, total, total, total / 100, total);
    ck_assert_int_eq(parse(text, at_ms, sample), 0);
}

START_TEST(columns_are_found_by_their_names)
{
    load(1000, 500, 1, &now);
    ck_assert_uint_eq(now.n_rows, 5);
    ck_assert(now.rows[0].is_pool && strcmp(now.rows[0].pool, "web") == 0 && strcmp(now.rows[0].strategy, "least_conn") == 0);
    ck_assert(!now.rows[1].is_pool && strcmp(now.rows[1].name, "a") == 0 && now.rows[1].now == 3 && now.rows[1].total == 500);
    ck_assert(strcmp(now.rows[2].name, "b,\"c") == 0 && now.rows[2].is_backup && now.rows[2].failed == 5);
    ck_assert(now.rows[3].is_pool && strcmp(now.rows[3].pool, "api") == 0);
    ck_assert_str_eq(sample_text(&now, "version"), "1.2.3");
    ck_assert_str_eq(sample_text(&now, "nothing"), "");
    ck_assert_uint_eq(sample_number(&now, "requests"), 500);
}
END_TEST

static const char *const bad[] = {"", "\n", "hello\n\n" HEADS, "a 1\n\n", "a 1\n\n# pxname,svname\n", "a 1\n" HEADS, "a 1\n\npxname\n"};

START_TEST(what_is_no_sample_is_refused)
{
    int result = parse(bad[_i], 0, &now);

    ck_assert_int_eq(result, -EPROTO);
    ck_assert_ptr_null(now.text);
}
END_TEST

/* Two seconds after a sample with 500 requests of process 1. */
static void load_two(unsigned total, unsigned pid)
{
    load(1000, 500, 1, &before);
    load(3000, total, pid, &now);
    sample_compare(&now, &before);
}

START_TEST(rates_come_from_two_samples)
{
    load_two(1500, 1);
    ck_assert_double_eq(now.rows[0].rate, 500);
    ck_assert_double_eq(now.rows[2].failures, 5);
    ck_assert_double_eq(sample_rate(&now, &before, "requests"), 500);
}
END_TEST

START_TEST(another_process_has_no_rates_yet)
{
    load_two(1500, 2);
    ck_assert_double_lt(now.rows[0].rate, 0);
    ck_assert_double_lt(sample_rate(&now, &before, "requests"), 0);
}
END_TEST

START_TEST(a_counter_that_fell_has_no_rate)
{
    load_two(100, 1);
    ck_assert_double_lt(now.rows[0].rate, 0);
}
END_TEST

START_TEST(numbers_are_short)
{
    static const struct {
        double number;
        const char *text;
    } cases[] = {{-1, "-"}, {0, "0"}, {999, "999"}, {999.6, "1.00k"}, {1000, "1.00k"}, {12345, "12.3k"}, {999500, "1.00M"}, {123456789, "123M"}, {1e15, "1.00P"}};
    char text[SAMPLE_SHORT];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        ck_assert_str_eq(sample_short(cases[i].number, text), cases[i].text);
}
END_TEST

/* Lines, and the longest of them. */
static size_t measure(size_t *longest)
{
    size_t lines = 0;

    *longest = 0;
    for (const char *line = screen.text, *end; (end = strchr(line, '\n')); line = end + 1, lines++)
        if ((size_t)(end - line) > *longest)
            *longest = (size_t)(end - line);
    return lines;
}

START_TEST(a_picture_fits_its_screen)
{
    size_t longest;

    load(1000, 500, 1, &before);
    load(2000, 1500, 1, &now);
    sample_compare(&now, &before);
    for (screen.width = 80; screen.width <= 300; screen.width += 20)
        for (screen.height = 8; screen.height <= 60; screen.height += 13) {
            screen_draw(&screen, &now, &before);
            ck_assert_uint_eq(measure(&longest), (size_t)screen.height);
            ck_assert_uint_le(longest, (size_t)screen.width);
        }
}
END_TEST

START_TEST(what_is_in_trouble_stands_first)
{
    load(1000, 500, 1, &now);
    screen_draw(&screen, &now, &before);
    ck_assert(strstr(screen.text, "api ") < strstr(screen.text, "web "));
    ck_assert_ptr_nonnull(strstr(screen.text, "DOWN 0/1"));
    ck_assert_ptr_nonnull(strstr(screen.text, "UP 1/2"));
}
END_TEST

START_TEST(rows_that_do_not_fit_are_counted_and_scrolled_to)
{
    load(1000, 500, 1, &now);
    screen.height = 9;
    screen_draw(&screen, &now, &before);
    ck_assert_ptr_nonnull(strstr(screen.text, "3 more below"));
    screen.scroll = 100;
    screen_draw(&screen, &now, &before);
    ck_assert_uint_eq(screen.scroll, 3);
    ck_assert_ptr_null(strstr(screen.text, "more below"));
}
END_TEST

START_TEST(a_name_cannot_write_to_the_terminal)
{
    ck_assert_int_eq(parse("pid 1\n\n" HEADS "\033[2Jx,web,x,UP,5,1,0,3,,1,0,\nBACKEND,web,x,UP,5,1,0,3,,1,0,y\n", 0, &now), 0);
    screen_draw(&screen, &now, &before);
    ck_assert_ptr_null(strchr(screen.text, '\033'));
    ck_assert_ptr_nonnull(strstr(screen.text, "?[2Jx"));
}
END_TEST

START_TEST(colours_and_bars_are_there_when_asked_for)
{
    load(1000, 500, 1, &before);
    load(2000, 1500, 1, &now);
    sample_compare(&now, &before);
    screen.colours = screen.unicode = true;
    screen.width = 120;
    screen_draw(&screen, &now, &before);
    ck_assert_ptr_nonnull(strstr(screen.text, "\033[31m DOWN"));
    ck_assert_ptr_nonnull(strstr(screen.text, "\u2588\u2588"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("watch");
    TCase *tests = tcase_create("promises");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, columns_are_found_by_their_names);
    tcase_add_loop_test(tests, what_is_no_sample_is_refused, 0, (int)(sizeof(bad) / sizeof(bad[0])));
    tcase_add_test(tests, rates_come_from_two_samples);
    tcase_add_test(tests, another_process_has_no_rates_yet);
    tcase_add_test(tests, a_counter_that_fell_has_no_rate);
    tcase_add_test(tests, numbers_are_short);
    tcase_add_test(tests, a_picture_fits_its_screen);
    tcase_add_test(tests, what_is_in_trouble_stands_first);
    tcase_add_test(tests, rows_that_do_not_fit_are_counted_and_scrolled_to);
    tcase_add_test(tests, a_name_cannot_write_to_the_terminal);
    tcase_add_test(tests, colours_and_bars_are_there_when_asked_for);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
