/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tests of the state machine of a server's checks: counts, initial states, times, and when the next check is
 * due. */
#include "health/state.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* Checks in order: '+' good, '-' failed. After each stands the state's first letter, in capitals where the
 * server thereby changed sides. */
struct story {
    enum health_initial initial;
    uint32_t rise, fall;
    const char *checks, *states;
};

static const struct story stories[] = {
    {HEALTH_FULLY_UP, 2, 3, "---", "ffD"},
    {HEALTH_FULLY_UP, 2, 3, "--+--+", "ffuffu"},
    {HEALTH_FULLY_UP, 2, 3, "---++", "ffDrU"},
    {HEALTH_FULLY_UP, 2, 3, "---+-++", "ffDrdrU"},
    {HEALTH_FULLY_UP, 1, 1, "-+-+", "DUDU"},
    {HEALTH_FULLY_UP, 1, 3, "+--+---+", "uffuffDU"},
    {HEALTH_FULLY_UP, 3, 1, "-++-+++", "DrrdrrU"},
    {HEALTH_UP, 2, 3, "-", "D"},
    {HEALTH_UP, 2, 3, "+---", "uffD"},
    {HEALTH_UP, 2, 1, "-", "D"},
    {HEALTH_UP, 2, 1, "+-", "uD"},
    {HEALTH_DOWN, 2, 3, "+", "U"},
    {HEALTH_DOWN, 2, 3, "-+", "dr"},
    {HEALTH_DOWN, 2, 3, "-++", "drU"},
    {HEALTH_DOWN, 1, 3, "+", "U"},
    {HEALTH_DOWN, 1, 3, "-+", "dU"},
    {HEALTH_FULLY_DOWN, 2, 3, "++", "rU"},
    {HEALTH_FULLY_DOWN, 3, 3, "++-+++", "rrdrrU"},
    {HEALTH_FULLY_DOWN, 1, 1, "-+", "dU"},
    {HEALTH_FULLY_DOWN, 1000, 1, "+-", "rd"},
};

static struct health_spec spec_of(const struct story *story)
{
    return (struct health_spec){.type = HEALTH_TCP,
                                .interval_ms = 5000,
                                .fast_interval_ms = 1000,
                                .rise = story->rise,
                                .fall = story->fall,
                                .initial = story->initial};
}

static char letter_of(const struct check *check, enum check_news news)
{
    static const char letters[CHECK_N_STATES] = {
        [CHECK_UP] = 'u', [CHECK_FALLING] = 'f', [CHECK_DOWN] = 'd', [CHECK_RISING] = 'r'};
    const char letter = letters[check->state];

    ck_assert_int_eq(check_in_service(check), letter == 'u' || letter == 'f');
    return news == CHECK_SAME ? letter : (char)(letter - 'a' + 'A');
}

START_TEST(rise_and_fall_count_checks_in_a_row)
{
    const struct story *story = &stories[_i];
    const struct health_spec spec = spec_of(story);
    struct check check;
    uint64_t lasted_ms;

    ck_assert_uint_eq(strlen(story->checks), strlen(story->states));
    check_init(&check, &spec, 1000);
    ck_assert_int_eq(check_in_service(&check),
                     story->initial == HEALTH_UP || story->initial == HEALTH_FULLY_UP);
    for (size_t i = 0; story->checks[i] != '\0'; i++) {
        const enum check_news news = check_count(&check, &spec, story->checks[i] == '+', 1000, &lasted_ms);

        ck_assert_msg(letter_of(&check, news) == story->states[i], "story %d, check %zu: %s", _i, i,
                      check_state_name(check.state));
        ck_assert(news != CHECK_WENT_UP || check.state == CHECK_UP);
        ck_assert(news != CHECK_WENT_DOWN || check.state == CHECK_DOWN);
    }
}
END_TEST

START_TEST(a_large_count_is_counted_to_its_end)
{
    const struct story story = {HEALTH_FULLY_UP, 1000, 1000, NULL, NULL};
    const struct health_spec spec = spec_of(&story);
    struct check check;
    uint64_t lasted_ms;

    check_init(&check, &spec, 0);
    for (unsigned round = 0; round < 4; round++) {
        const bool good = round % 2 == 1;

        for (unsigned i = 0; i < 999; i++)
            ck_assert_int_eq(check_count(&check, &spec, good, i, &lasted_ms), CHECK_SAME);
        ck_assert_int_eq(check_count(&check, &spec, good, 999, &lasted_ms),
                         good ? CHECK_WENT_UP : CHECK_WENT_DOWN);
    }
}
END_TEST

START_TEST(it_says_how_long_the_server_was_on_the_other_side)
{
    const struct story story = {HEALTH_FULLY_UP, 2, 2, NULL, NULL};
    const struct health_spec spec = spec_of(&story);
    struct check check;
    uint64_t lasted_ms = 77;

    check_init(&check, &spec, 1000);
    ck_assert_int_eq(check_count(&check, &spec, false, 2000, &lasted_ms), CHECK_SAME);
    ck_assert_int_eq(check_count(&check, &spec, true, 3000, &lasted_ms), CHECK_SAME);
    ck_assert_int_eq(check_count(&check, &spec, false, 4000, &lasted_ms), CHECK_SAME);
    ck_assert_uint_eq(lasted_ms, 77);
    ck_assert_int_eq(check_count(&check, &spec, false, 5000, &lasted_ms), CHECK_WENT_DOWN);
    ck_assert_uint_eq(lasted_ms, 4000);
    ck_assert_int_eq(check_count(&check, &spec, true, 6000, &lasted_ms), CHECK_SAME);
    ck_assert_int_eq(check_count(&check, &spec, true, 7500, &lasted_ms), CHECK_WENT_UP);
    ck_assert_uint_eq(lasted_ms, 2500);
}
END_TEST

START_TEST(checks_are_faster_while_a_state_is_changing)
{
    const struct story story = {HEALTH_FULLY_UP, 2, 2, NULL, NULL};
    const struct health_spec spec = spec_of(&story);
    struct check check;
    uint64_t lasted_ms;
    static const struct {
        bool good;
        uint64_t delay_ms;
    } steps[] = {{true, 5000}, {false, 1000}, {false, 5000}, {false, 5000}, {true, 1000}, {true, 5000}};

    check_init(&check, &spec, 0);
    ck_assert_uint_eq(check_delay(&check, &spec, 12345), 5000);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        (void)check_count(&check, &spec, steps[i].good, 0, &lasted_ms);
        ck_assert_uint_eq(check_delay(&check, &spec, 12345), steps[i].delay_ms);
    }
}
END_TEST

START_TEST(jitter_stays_within_its_percentage_and_reaches_both_ends)
{
    static const struct {
        uint64_t interval_ms;
        uint32_t percent;
        uint64_t least, most;
    } cases[] = {{1000, 10, 900, 1100}, {1000, 0, 1000, 1000},
                 {1000, 50, 500, 1500}, {10, 5, 10, 10},
                 {20, 5, 19, 21},       {1, 50, 1, 1},
                 {2, 50, 1, 3},         {86400000, 50, 43200000, 129600000}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const uint64_t span = cases[i].most - cases[i].least;

        ck_assert_uint_eq(check_jitter(cases[i].interval_ms, cases[i].percent, 0), cases[i].least);
        ck_assert_uint_eq(check_jitter(cases[i].interval_ms, cases[i].percent, span), cases[i].most);
        for (uint64_t random = 1; random < UINT64_MAX / 7; random = random * 7 + 3) {
            const uint64_t delay = check_jitter(cases[i].interval_ms, cases[i].percent, random);

            ck_assert_uint_ge(delay, cases[i].least);
            ck_assert_uint_le(delay, cases[i].most);
        }
    }
}
END_TEST

START_TEST(first_checks_are_spread_over_one_interval)
{
    uint64_t last = 0;

    ck_assert_uint_eq(check_first_delay(5000, 0, 1), 0);
    for (uint64_t place = 0; place < 10000; place++) {
        const uint64_t delay = check_first_delay(5000, place, 10000);

        ck_assert_uint_ge(delay, last);
        ck_assert_uint_le(delay - last, 1);
        ck_assert_uint_lt(delay, 5000);
        last = delay;
    }
    ck_assert_uint_ge(last, 4998);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("health_state");
    TCase *tests = tcase_create("promises");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_loop_test(tests, rise_and_fall_count_checks_in_a_row, 0, sizeof(stories) / sizeof(stories[0]));
    tcase_add_test(tests, a_large_count_is_counted_to_its_end);
    tcase_add_test(tests, it_says_how_long_the_server_was_on_the_other_side);
    tcase_add_test(tests, checks_are_faster_while_a_state_is_changing);
    tcase_add_test(tests, jitter_stays_within_its_percentage_and_reaches_both_ends);
    tcase_add_test(tests, first_checks_are_spread_over_one_interval);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
