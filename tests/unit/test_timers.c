/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The promises of engine/timers.h, with time as a number in the test, and the wheel beside a naive model that
 * searches all timers.
 */
#include "engine/timers.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define N_TIMERS 200
#define ROUND_MS ((uint64_t)TIMERS_SLOTS * TIMERS_TICK_MS)

struct item {
    struct timer timer; /* first, so that an expiry finds its item */
    unsigned n_expired;
    bool model_set;
    uint64_t model_deadline_ms;
};

static struct timers *wheel;
static struct item items[N_TIMERS];

static void count_expiry(struct timer *timer)
{
    struct item *item = (struct item *)timer;

    ck_assert(!timer_is_set(timer));
    item->n_expired++;
}

/* The wheel starts as garbage, so that every byte that is read was written first. */
static void setup(void)
{
    wheel = malloc(sizeof(*wheel));
    memset(wheel, 0xa5, sizeof(*wheel));
    timers_init(wheel, 1000);
    memset(items, 0, sizeof(items));
    for (int i = 0; i < N_TIMERS; i++)
        timer_init(&items[i].timer, count_expiry);
}

static void teardown(void)
{
    free(wheel);
}

START_TEST(a_deadline_is_kept_within_a_tick_and_never_early)
{
    for (uint64_t delay = 0; delay < 40; delay++) {
        const uint64_t start = 1000 + delay * 1000;
        uint64_t now = start;

        timers_run(wheel, start);
        items[0].n_expired = 0;
        timer_set(wheel, &items[0].timer, start + delay);
        for (; items[0].n_expired == 0; now++)
            timers_run(wheel, now);
        ck_assert_uint_ge(now - 1, start + delay);
        ck_assert_uint_lt(now - 1, start + delay + TIMERS_TICK_MS);
    }
}
END_TEST

START_TEST(a_deadline_in_the_past_expires_at_the_next_run_even_in_the_same_tick)
{
    timer_set(wheel, &items[0].timer, 3);
    ck_assert_uint_le(timers_next_ms(wheel), 1000);
    ck_assert_uint_eq(timers_run(wheel, 1000), 1);
    timer_set(wheel, &items[0].timer, 0);
    ck_assert_uint_eq(timers_run(wheel, 1000), 1);
    ck_assert_uint_eq(timers_run(wheel, 1000), 0);
    ck_assert_uint_eq(timers_next_ms(wheel), UINT64_MAX);
}
END_TEST

START_TEST(nothing_set_means_no_next)
{
    ck_assert_uint_eq(timers_next_ms(wheel), UINT64_MAX);
    timer_set(wheel, &items[0].timer, 2000);
    timer_stop(wheel, &items[0].timer);
    timer_stop(wheel, &items[0].timer);
    ck_assert_uint_eq(timers_next_ms(wheel), UINT64_MAX);
    ck_assert_uint_eq(timers_run(wheel, 5000), 0);
}
END_TEST

START_TEST(moving_later_touches_no_slot_and_expires_at_the_new_deadline_only)
{
    timer_set(wheel, &items[0].timer, 2000);
    const uint32_t slot = items[0].timer.slot;

    timer_set(wheel, &items[0].timer, 9000);
    ck_assert_uint_eq(items[0].timer.slot, slot);
    ck_assert_uint_eq(timers_run(wheel, 8999), 0);
    ck_assert_uint_gt(timers_next_ms(wheel), 8999);
    ck_assert_uint_eq(timers_run(wheel, 9000), 1);
}
END_TEST

START_TEST(moving_earlier_expires_at_the_earlier_deadline)
{
    timer_set(wheel, &items[0].timer, 9000);
    timer_set(wheel, &items[0].timer, 2000);
    ck_assert_uint_eq(timers_next_ms(wheel), 2000);
    ck_assert_uint_eq(timers_run(wheel, 2000), 1);
    ck_assert_uint_eq(wheel->count, 0);
}
END_TEST

START_TEST(a_deadline_beyond_a_round_goes_round_again)
{
    const uint64_t deadline = 1000 + 5 * ROUND_MS + 123;

    timer_set(wheel, &items[0].timer, deadline);
    for (uint64_t now = 1000; now < deadline; now += 777)
        ck_assert_uint_eq(timers_run(wheel, now), 0);
    ck_assert_uint_eq(timers_run(wheel, deadline + TIMERS_TICK_MS), 1);
    timer_set(wheel, &items[0].timer, UINT64_MAX);
    ck_assert_uint_eq(timers_run(wheel, deadline + 3 * ROUND_MS), 0);
    ck_assert(timer_is_set(&items[0].timer));
}
END_TEST

START_TEST(a_long_sleep_expires_all_that_came_due)
{
    for (int i = 0; i < N_TIMERS; i++)
        timer_set(wheel, &items[i].timer, 1000 + (uint64_t)i * 1013);
    ck_assert_uint_eq(timers_run(wheel, 1000 + 100 * ROUND_MS), N_TIMERS);
    for (int i = 0; i < N_TIMERS; i++)
        ck_assert_uint_eq(items[i].n_expired, 1);
}
END_TEST

static void stop_the_next_and_free_it(struct timer *timer)
{
    (void)timer;
    for (int i = 1; i < 4; i++) {
        timer_stop(wheel, &items[i].timer);
        memset(&items[i].timer, 0xee, sizeof(items[i].timer));
    }
}

START_TEST(an_expiry_may_stop_and_free_others_of_the_same_run)
{
    timer_init(&items[0].timer, stop_the_next_and_free_it);
    for (int i = 0; i < 5; i++)
        timer_set(wheel, &items[i].timer, 2000 + (uint64_t)i % 2 * 16);
    ck_assert_uint_eq(timers_run(wheel, 3000), 2);
    ck_assert_uint_eq(items[4].n_expired, 1);
    ck_assert_uint_eq(wheel->count, 0);
}
END_TEST

static void set_all_to_the_past(struct timer *timer)
{
    count_expiry(timer);
    for (int i = 0; i < 4; i++)
        timer_set(wheel, &items[i].timer, 5);
}

START_TEST(what_an_expiry_sets_to_the_past_waits_for_the_next_run)
{
    for (int i = 0; i < 4; i++)
        timer_init(&items[i].timer, set_all_to_the_past);
    timer_set(wheel, &items[0].timer, 2000);
    timer_set(wheel, &items[1].timer, 2008);
    for (unsigned run = 1; run < 5; run++) {
        ck_assert_uint_eq(timers_run(wheel, 3000), 1);
        ck_assert_uint_eq(wheel->count, 4);
    }
}
END_TEST

/* splitmix64, public domain arithmetic; the seeds are fixed so that a failure repeats. */
static uint64_t next_random(uint64_t *seed)
{
    uint64_t z = (*seed += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static unsigned model_count_due(uint64_t now)
{
    unsigned n_due = 0;

    for (int i = 0; i < N_TIMERS; i++) {
        if (items[i].model_set &&
            (items[i].model_deadline_ms + TIMERS_TICK_MS - 1) / TIMERS_TICK_MS <= now / TIMERS_TICK_MS) {
            items[i].model_set = false;
            n_due++;
        }
    }
    return n_due;
}

static void check_next(uint64_t now)
{
    uint64_t earliest = UINT64_MAX;
    unsigned n_different = 0; /* counted first, because each assertion is slow */

    for (int i = 0; i < N_TIMERS; i++) {
        n_different += items[i].model_set != timer_is_set(&items[i].timer);
        if (items[i].model_set && items[i].model_deadline_ms < earliest)
            earliest = items[i].model_deadline_ms;
    }
    ck_assert_uint_eq(n_different, 0);
    const uint64_t next = timers_next_ms(wheel);

    if (earliest == UINT64_MAX)
        ck_assert_uint_eq(next, UINT64_MAX);
    else
        ck_assert_uint_lt(next, (earliest > now ? earliest : now) + TIMERS_TICK_MS);
}

static void run_against_model(uint64_t seed)
{
    static const uint64_t spans[] = {20, 600, ROUND_MS, 4 * ROUND_MS};
    uint64_t now = 1000;

    for (int step = 0; step < 20000; step++) {
        const uint64_t dice = next_random(&seed) % 100;
        struct item *item = &items[next_random(&seed) % N_TIMERS];
        const uint64_t span = spans[next_random(&seed) % 4];

        if (dice < 50) {
            item->model_deadline_ms = now - 20 + next_random(&seed) % span;
            item->model_set = true;
            timer_set(wheel, &item->timer, item->model_deadline_ms);
        } else if (dice < 70) {
            item->model_set = false;
            timer_stop(wheel, &item->timer);
        } else {
            now += next_random(&seed) % (dice == 99 ? 2 * ROUND_MS : 200);
            ck_assert_uint_eq(timers_run(wheel, now), model_count_due(now));
            check_next(now);
        }
    }
}

START_TEST(the_wheel_agrees_with_a_naive_model)
{
    run_against_model((uint64_t)_i + 1);
}
END_TEST

static Suite *timers_suite(void)
{
    Suite *suite = suite_create("timers");
    TCase *tcase = tcase_create("timers");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_deadline_is_kept_within_a_tick_and_never_early);
    tcase_add_test(tcase, a_deadline_in_the_past_expires_at_the_next_run_even_in_the_same_tick);
    tcase_add_test(tcase, nothing_set_means_no_next);
    tcase_add_test(tcase, moving_later_touches_no_slot_and_expires_at_the_new_deadline_only);
    tcase_add_test(tcase, moving_earlier_expires_at_the_earlier_deadline);
    tcase_add_test(tcase, a_deadline_beyond_a_round_goes_round_again);
    tcase_add_test(tcase, a_long_sleep_expires_all_that_came_due);
    tcase_add_test(tcase, an_expiry_may_stop_and_free_others_of_the_same_run);
    tcase_add_test(tcase, what_an_expiry_sets_to_the_past_waits_for_the_next_run);
    tcase_add_loop_test(tcase, the_wheel_agrees_with_a_naive_model, 0, 8);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(timers_suite());

    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
