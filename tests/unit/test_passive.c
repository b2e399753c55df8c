/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tests of the passive check, through pickers: what takes a server out, for how long, what lets it back, and
 * what happens when all are out. Time is injected, in milliseconds. Several workers at once are in
 * test_passive_threads.c.
 */
#include "picker_fixture.h"

START_TEST(one_failure_takes_a_server_out_for_all_workers)
{
    start(3);
    ck_assert_int_gt(share(two, 1, 1000), 0);
    ck_assert(fail_server(one, 1, 1000));
    ck_assert_int_eq(share(one, 1, 1000), 0);
    ck_assert_int_eq(share(two, 1, 10999), 0);
    ck_assert_uint_eq(pool_server(pool, 1)->state->failed, 1);
}
END_TEST

START_TEST(a_single_server_is_never_taken_out)
{
    start(1);
    for (uint64_t i = 0; i < 10; i++)
        ck_assert(!fail_server(one, 0, 1000 + i));
    ck_assert_uint_eq(out_until(0), 0);
}
END_TEST

START_TEST(a_server_beside_a_down_one_is_not_single)
{
    servers[1].down = true;
    start(2);
    ck_assert(fail_server(one, 0, 1000));
    ck_assert_uint_eq(out_until(0), 11000);
}
END_TEST

START_TEST(a_client_that_goes_away_says_nothing_about_the_server)
{
    start(2);
    take_server(one, 1, 1000);
    ck_assert_int_eq(end(one, 1, FAIRLEAD_CANCELLED, 1000), PICKER_NO_NEWS);
    ck_assert_int_eq(share(one, 1, 1000), 50);
    ck_assert_uint_eq(pool_server(pool, 1)->state->failed, 0);
}
END_TEST

START_TEST(old_failures_of_a_server_that_is_out_neither_prolong_nor_log)
{
    start(2);
    for (int i = 0; i < 3; i++)
        take_server(one, 1, 1000);
    ck_assert_int_eq(end(one, 1, FAIRLEAD_FAILED, 1000), PICKER_EJECTED);
    ck_assert_int_eq(end(one, 1, FAIRLEAD_FAILED, 5000), PICKER_NO_NEWS);
    ck_assert_uint_eq(out_until(1), 11000);
    ck_assert_int_eq(end(one, 1, FAIRLEAD_OK, 6000),
                     PICKER_NO_NEWS); /* nor does an old success put it back */
    ck_assert_uint_eq(out_until(1), 11000);
    ck_assert_uint_eq(pool_server(pool, 1)->state->failed, 2);
}
END_TEST

START_TEST(one_trial_is_let_through_when_the_time_is_over)
{
    start(2);
    ck_assert(fail_server(one, 1, 1000));
    ck_assert_int_eq(share(one, 1, 10999), 0);
    take_server(two, 1, 11000);
    ck_assert_int_eq(share(one, 1, 11000), 0);
    ck_assert_int_eq(share(two, 1, 20999), 0);
    ck_assert_int_eq(end(two, 1, FAIRLEAD_OK, 20999), PICKER_RETURNED);
    ck_assert_int_eq(share(one, 1, 20999), 50);
    ck_assert_uint_eq(out_until(1), 0);
}
END_TEST

START_TEST(a_failed_trial_keeps_the_server_out)
{
    start(2);
    ck_assert(fail_server(one, 1, 1000));
    take_server(one, 1, 12000);
    ck_assert_int_eq(end(one, 1, FAIRLEAD_FAILED, 13000), PICKER_STAYED_OUT);
    ck_assert_uint_eq(out_until(1), 33000); /* twice as long as before */
    ck_assert_int_eq(share(one, 1, 32999), 0);
    ck_assert_int_gt(share(one, 1, 33000), 0);
}
END_TEST

START_TEST(a_cancelled_trial_makes_way_for_the_next)
{
    start(2);
    ck_assert(fail_server(one, 1, 1000));
    take_server(one, 1, 12000);
    ck_assert_int_eq(share(two, 1, 12500), 0);
    end(one, 1, FAIRLEAD_CANCELLED, 12500);
    ck_assert_int_gt(share(two, 1, 12500), 0);
    ck_assert_uint_eq(out_until(1), 0);
}
END_TEST

START_TEST(a_trial_without_outcome_gives_way_after_a_window)
{
    start(2);
    ck_assert(fail_server(one, 1, 1000));
    take_server(one, 1, 11000);
    take_server(two, 1, 21000);
    ck_assert_int_eq(end(one, 1, FAIRLEAD_FAILED, 22000),
                     PICKER_NO_NEWS); /* overtaken: the other's deadline stays */
    ck_assert_uint_eq(out_until(1), 31000);
    end(two, 1, FAIRLEAD_OK, 23000);
    ck_assert_uint_eq(out_until(1), 0);
}
END_TEST

START_TEST(after_a_successful_trial_failures_count_anew)
{
    servers[1].max_fails = 2;
    start(2);
    ck_assert(!fail_server(one, 1, 1000));
    ck_assert(fail_server(one, 1, 1000));
    take_server(one, 1, 11000);
    end(one, 1, FAIRLEAD_OK, 11000);
    ck_assert(!fail_server(one, 1, 11001));
    ck_assert(fail_server(one, 1, 11001));
}
END_TEST

START_TEST(backups_serve_only_while_all_primaries_are_out)
{
    servers[2].backup = servers[3].backup = true;
    start(4);
    ck_assert(fail_server(one, 0, 1000));
    ck_assert_int_eq(share(one, 1, 1000), 100);
    ck_assert(fail_server(one, 1, 2000));
    ck_assert_int_eq(share(one, 2, 2000), 50);
    ck_assert_int_eq(share(two, 3, 2000), 50);
    ck_assert_int_eq(serve(two, FAIRLEAD_OK, 11000), 0); /* the first trial, and it is back */
    ck_assert_int_eq(share(one, 0, 11000), 100);
}
END_TEST

/* What takes a server out. */

/* Failures at these seconds; the one that must take it out, by its number from 1, or 0. */
static const struct window {
    uint32_t max_fails, timeout_s;
    unsigned at_s[8];
    int ejects;
} windows[] = {
    {1, 10, {0}, 1},
    {3, 10, {0, 4, 9}, 3},
    {3, 10, {0, 6, 11}, 0},
    {3, 10, {0, 5, 10}, 0}, /* the window's end is not in it */
    {3, 10, {0, 6, 11, 15}, 4},
    {3, 10, {0, 9, 17, 18}, 4},
    {2, 10, {0, 9}, 2},
    {2, 10, {0, 10, 20, 30, 40, 49}, 6},
    {3, 8, {0, 5, 10, 15, 20, 25, 30, 35}, 0}, /* nginx bans it (nginx/nginx#599) */
    {5, 10, {0, 0, 0, 0, 9}, 5},
    {5, 10, {0, 0, 0, 0, 10, 11, 12, 13}, 0},
    {0, 10, {0, 0, 0, 0}, 0},
};

START_TEST(max_fails_within_any_fail_timeout_take_a_server_out)
{
    const struct window *window = &windows[_i];

    servers[1].max_fails = window->max_fails;
    servers[1].fail_timeout_ms = window->timeout_s * 1000;
    start(2);
    for (int i = 0; i < 8 && (i == 0 || window->at_s[i] > 0 || window->at_s[i - 1] == 0); i++) {
        uint64_t now_ms = 100000 + window->at_s[i] * 1000;
        bool out = fail_server(i % 2 ? one : two, 1, now_ms);

        ck_assert_msg(out == (window->ejects == i + 1), "failure %d", i + 1);
        ck_assert_int_eq(share(one, 1, now_ms) == 0, out); /* successes in between forgive nothing */
        if (out)
            break;
        ck_assert_uint_eq(out_until(1), 0);
    }
}
END_TEST

START_TEST(the_window_counts_as_a_plain_list_of_failures_would)
{
    uint64_t seed = UINT64_C(88172645463325252) + (uint64_t)_i, times[200], now_ms = 1000;
    uint32_t max_fails = 2 + (uint32_t)_i % 7;

    servers[1].max_fails = max_fails;
    start(2);
    for (uint32_t n = 0; n < 200; n++) {
        bool wanted;

        now_ms += next_random(&seed) % (2 * TIMEOUT_MS / max_fails + 1500);
        times[n] = now_ms;
        wanted = n + 1 >= max_fails && now_ms - times[n + 1 - max_fails] < TIMEOUT_MS;
        ck_assert_int_eq(fail_server(next_random(&seed) % 2 ? one : two, 1, now_ms), wanted);
        if (wanted)
            return;
    }
}
END_TEST

START_TEST(workers_whose_clocks_differ_a_little_count_together)
{
    servers[1].max_fails = 2;
    start(2);
    ck_assert(!fail_server(two, 1, 100002));
    ck_assert(fail_server(one, 1, 100000)); /* this worker's turn of the loop began earlier */
    take_server(one, 1, 110000);
    ck_assert_int_eq(end(one, 1, FAIRLEAD_OK, 110000), PICKER_RETURNED);
    ck_assert(!fail_server(two, 1, 110003));
    ck_assert(fail_server(two, 1, 110001));
    ck_assert_uint_eq(out_until(1), 130001); /* still in a row */
}
END_TEST

START_TEST(a_failure_after_the_outcome_counts)
{
    servers[1].max_fails = 2;
    start(2);
    take_server(one, 1, 1000);
    ck_assert_int_eq(picker_outcome(one, 1, FAIRLEAD_OK, 1, 1000 * NS_PER_MS), PICKER_NO_NEWS);
    ck_assert_int_eq(picker_late_failure(one, 1, 1000 * NS_PER_MS, 2000 * NS_PER_MS), PICKER_NO_NEWS);
    picker_release(one, 1);
    ck_assert_uint_eq(pool_server(pool, 1)->state->failed, 1);
    take_server(two, 1, 3000);
    ck_assert_int_eq(picker_outcome(two, 1, FAIRLEAD_OK, 1, 3000 * NS_PER_MS), PICKER_NO_NEWS);
    ck_assert_int_eq(picker_late_failure(two, 1, 1000 * NS_PER_MS, 4000 * NS_PER_MS), PICKER_EJECTED);
    picker_release(two, 1);
    ck_assert_uint_eq(out_until(1), 14000);
}
END_TEST

/* A request that was picked at picked_ms fails. */
static enum picker_news fail_old(struct picker *picker, uint64_t picked_ms, uint64_t now_ms)
{
    enum picker_news news =
        picker_outcome(picker, 1, FAIRLEAD_FAILED, (now_ms - picked_ms) * NS_PER_MS, now_ms * NS_PER_MS);

    picker_release(picker, 1);
    return news;
}

/* A server that hung: its first requests time out, it recovers, and the others time out one after the other
 * for a long time yet. */
START_TEST(failures_from_before_the_return_do_not_count)
{
    start(2);
    for (int i = 0; i < 4; i++)
        take_server(i % 2 ? two : one, 1, 1000);
    ck_assert_int_eq(fail_old(one, 1000, 5000), PICKER_EJECTED);
    ck_assert_int_eq(fail_old(two, 1000, 6000), PICKER_NO_NEWS);
    take_server(two, 1, 15000);
    ck_assert_int_eq(end(two, 1, FAIRLEAD_OK, 15001), PICKER_RETURNED);
    ck_assert_int_eq(fail_old(one, 1000, 16000), PICKER_NO_NEWS);
    take_server(one, 1, 16000);
    ck_assert_int_eq(picker_outcome(one, 1, FAIRLEAD_OK, 0, 16000 * NS_PER_MS), PICKER_NO_NEWS);
    ck_assert_int_eq(picker_late_failure(two, 1, 16000 * NS_PER_MS, 17000 * NS_PER_MS), PICKER_NO_NEWS);
    picker_release(two, 1);
    ck_assert_uint_eq(out_until(1), 0);
    ck_assert_int_eq(picker_late_failure(one, 1, 1000 * NS_PER_MS, 17000 * NS_PER_MS), PICKER_EJECTED);
    picker_release(one, 1);
}
END_TEST

START_TEST(an_older_request_is_not_taken_for_the_trial)
{
    start(2);
    take_server(one, 1, 1000);
    take_server(one, 1, 1000);
    take_server(one, 1, 1000);
    ck_assert_int_eq(fail_old(one, 1000, 1000), PICKER_EJECTED);
    take_server(one, 1, 11000);
    ck_assert_int_eq(fail_old(one, 1000, 11500), PICKER_NO_NEWS);
    ck_assert_int_eq(picker_outcome(one, 1, FAIRLEAD_CANCELLED, 10500 * NS_PER_MS, 11500 * NS_PER_MS),
                     PICKER_NO_NEWS);
    picker_release(one, 1);
    ck_assert_uint_eq(out_until(1), 21000);
    ck_assert_int_eq(end(one, 1, FAIRLEAD_OK, 12000), PICKER_RETURNED);
}
END_TEST

/* For how long. */

/* Fails its trial at the moment that it may have one. Returns how long it is then out. */
static uint64_t fail_trial(void)
{
    uint64_t now_ms = out_until(1);

    take_server(one, 1, now_ms);
    ck_assert_int_eq(end(one, 1, FAIRLEAD_FAILED, now_ms), PICKER_STAYED_OUT);
    return out_until(1) - now_ms;
}

static const struct growth {
    uint32_t timeout_ms, max_time_ms;
    uint64_t out_ms[6]; /* first, second, ... in a row */
} growths[] = {
    {10000, 300000, {10000, 20000, 40000, 80000, 160000, 300000}},
    {10000, 300001, {10000, 20000, 40000, 80000, 160000, 300001}},
    {10000, 10000, {10000, 10000, 10000, 10000, 10000, 10000}},
    {10000, 1, {10000, 10000, 10000, 10000, 10000, 10000}}, /* never less than fail_timeout */
    {1, 6, {1, 2, 4, 6, 6, 6}},
    {86400000, 86400000, {86400000, 86400000, 86400000, 86400000, 86400000, 86400000}},
};

START_TEST(each_time_in_a_row_is_twice_as_long_up_to_max_time)
{
    const struct growth *growth = &growths[_i];

    servers[1].fail_timeout_ms = growth->timeout_ms;
    spec.max_eject_time_ms = growth->max_time_ms;
    start(2);
    ck_assert(fail_server(one, 1, 1000));
    ck_assert_uint_eq(out_until(1) - 1000, growth->out_ms[0]);
    for (int i = 1; i < 6; i++)
        ck_assert_uint_eq(fail_trial(), growth->out_ms[i]);
    for (int i = 0; i < 100; i++) /* nothing overflows */
        ck_assert_uint_eq(fail_trial(), growth->out_ms[5]);
}
END_TEST

START_TEST(the_row_is_forgotten_after_more_time_in_service_than_out)
{
    start(2);
    ck_assert(fail_server(one, 1, 1000)); /* 10 s */
    ck_assert_int_eq(serve(one, FAIRLEAD_OK, 11000), 0);
    ck_assert_int_eq(serve(one, FAIRLEAD_OK, 11000), 1); /* back at 11 s */
    ck_assert(fail_server(one, 1, 21000));               /* no longer in service than it was out: 20 s */
    ck_assert_uint_eq(out_until(1), 41000);
    take_server(one, 1, 41000);
    ck_assert_int_eq(end(one, 1, FAIRLEAD_OK, 41000), PICKER_RETURNED);
    ck_assert(fail_server(one, 1, 61001)); /* longer */
    ck_assert_uint_eq(out_until(1), 71001);
    ck_assert_uint_eq(pool_server(pool, 1)->state->ejected, 3);
    ck_assert_uint_eq(picker_time_out_ms(pool_server(pool, 1), 61001 * NS_PER_MS), 10000);
    ck_assert_uint_eq(picker_time_out_ms(pool_server(pool, 1), 71001 * NS_PER_MS), 0);
}
END_TEST

/* How many. */

static const struct {
    size_t n_servers;
    uint32_t max_ejected, most;
} limits[] = {{2, 100, 2}, {2, 99, 1},  {2, 50, 1}, {2, 49, 0},   {3, 34, 1},
              {3, 33, 0},  {10, 30, 3}, {10, 0, 0}, {1000, 1, 10}};

START_TEST(never_more_than_max_ejected_are_out)
{
    spec.max_ejected = limits[_i].max_ejected;
    start(limits[_i].n_servers);
    for (int i = 0; i < 3000; i++)
        ck_assert_int_ge(serve(i % 2 ? one : two, FAIRLEAD_FAILED, 1000), 0);
    ck_assert_uint_eq(count_out(), limits[_i].most);
}
END_TEST

START_TEST(a_place_is_free_again_when_a_server_returns)
{
    spec.max_ejected = 50;
    start(2);
    ck_assert(fail_server(one, 1, 1000));
    ck_assert(!fail_server(one, 0, 1000));
    take_server(one, 1, 11000);
    ck_assert_int_eq(end(one, 1, FAIRLEAD_OK, 11000), PICKER_RETURNED);
    ck_assert(fail_server(one, 0, 11001));
}
END_TEST

/* All are out. */

static void expect_panic(struct picker *picker, bool began, bool ended)
{
    bool has_begun, has_ended;

    picker_panic_news(picker, &has_begun, &has_ended);
    ck_assert_int_eq(has_begun, began);
    ck_assert_int_eq(has_ended, ended);
}

START_TEST(when_all_are_out_they_are_served_as_if_none_were)
{
    int seen[4] = {0};

    servers[1].down = true;
    start(4);
    for (int i = 0; i < 3; i++)
        serve(one, FAIRLEAD_FAILED, 1000);
    ck_assert_uint_eq(count_out(), 3);
    for (int i = 0; i < 30; i++)
        seen[serve(i % 2 ? one : two, FAIRLEAD_FAILED, 1000)]++;
    ck_assert_int_eq(seen[1], 0); /* down is not out */
    for (int i = 0; i < 4; i++)
        ck_assert(i == 1 || seen[i] == 10);
    for (int i = 0; i < 4; i++) /* those failures neither prolong nor double */
        ck_assert_uint_eq(out_until((size_t)i), i == 1 ? 0 : 11000);
    ck_assert_uint_eq(pool_counters(pool)->panics, 1);
}
END_TEST

START_TEST(in_a_panic_the_first_that_answers_is_back_alone)
{
    servers[2].backup = true;
    start(3);
    for (int i = 0; i < 3; i++)
        serve(one, FAIRLEAD_FAILED, 1000);
    ck_assert_uint_eq(count_out(), 3);
    int server = take(two, 1001);
    ck_assert(server == 0 || server == 1); /* the backup is still one */
    ck_assert_int_eq(end(two, server, FAIRLEAD_OK, 1001), PICKER_RETURNED);
    ck_assert_int_eq(share(one, server, 1001), 100);
    ck_assert_uint_eq(count_out(), 2);
}
END_TEST

START_TEST(a_panic_is_told_once_when_it_begins_and_once_when_it_ends)
{
    start(2);
    serve(one, FAIRLEAD_FAILED, 1000);
    expect_panic(one, false, false);
    serve(one, FAIRLEAD_FAILED, 1000);
    expect_panic(one, false, false);
    serve(two, FAIRLEAD_FAILED, 1001);
    expect_panic(two, true, false);
    serve(one, FAIRLEAD_FAILED, 1001);
    serve(two, FAIRLEAD_FAILED, 1001);
    expect_panic(one, false, false);
    expect_panic(two, false, false);
    int server = serve(one, FAIRLEAD_OK, 1002);
    expect_panic(one, false, false);
    ck_assert_int_eq(serve(one, FAIRLEAD_OK, 1002), server);
    expect_panic(one, false, true);
    ck_assert_int_eq(serve(two, FAIRLEAD_OK, 1002), server);
    expect_panic(two, false, false);
    ck_assert_uint_eq(pool_counters(pool)->panics, 1);
}
END_TEST

START_TEST(a_request_that_tried_all_others_gets_one_that_is_out)
{
    struct tried tried = {0};

    start(2);
    ck_assert(fail_server(two, 1, 1000));
    int first = take_with(one, PICKER_NONE, &tried, 2000);
    ck_assert_int_eq(first, 0);
    ck_assert_int_eq(end(one, first, FAIRLEAD_FAILED, 2000), PICKER_EJECTED);
    ck_assert_int_eq(take_with(one, PICKER_NONE, &tried, 2000), 1);
    end(one, 1, FAIRLEAD_OK, 2000);
    ck_assert_uint_eq(out_until(0), 12000);
    ck_assert_int_eq(take_with(one, PICKER_NONE, &tried, 2000), PICKER_NONE);
}
END_TEST

START_TEST(in_a_panic_max_conns_still_holds)
{
    servers[0].max_conns = servers[1].max_conns = 1;
    start(2);
    for (int i = 0; i < 2; i++)
        serve(one, FAIRLEAD_FAILED, 1000);
    ck_assert_uint_eq(count_out(), 2);
    int first = take(one, 1000), second = take(two, 1000);
    ck_assert_int_eq(first + second, 1);
    ck_assert_int_eq(take(one, 1000), PICKER_FULL);
    end(one, first, FAIRLEAD_CANCELLED, 1000);
    end(two, second, FAIRLEAD_CANCELLED, 1000);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, one_failure_takes_a_server_out_for_all_workers);
    tcase_add_test(tcase, a_single_server_is_never_taken_out);
    tcase_add_test(tcase, a_server_beside_a_down_one_is_not_single);
    tcase_add_test(tcase, a_client_that_goes_away_says_nothing_about_the_server);
    tcase_add_test(tcase, old_failures_of_a_server_that_is_out_neither_prolong_nor_log);
    tcase_add_test(tcase, one_trial_is_let_through_when_the_time_is_over);
    tcase_add_test(tcase, a_failed_trial_keeps_the_server_out);
    tcase_add_test(tcase, a_cancelled_trial_makes_way_for_the_next);
    tcase_add_test(tcase, a_trial_without_outcome_gives_way_after_a_window);
    tcase_add_test(tcase, after_a_successful_trial_failures_count_anew);
    tcase_add_test(tcase, backups_serve_only_while_all_primaries_are_out);
    tcase_add_loop_test(tcase, max_fails_within_any_fail_timeout_take_a_server_out, 0,
                        (int)(sizeof windows / sizeof *windows));
    tcase_add_loop_test(tcase, the_window_counts_as_a_plain_list_of_failures_would, 0, 200);
    tcase_add_test(tcase, workers_whose_clocks_differ_a_little_count_together);
    tcase_add_test(tcase, a_failure_after_the_outcome_counts);
    tcase_add_test(tcase, failures_from_before_the_return_do_not_count);
    tcase_add_test(tcase, an_older_request_is_not_taken_for_the_trial);
    tcase_add_loop_test(tcase, each_time_in_a_row_is_twice_as_long_up_to_max_time, 0,
                        (int)(sizeof growths / sizeof *growths));
    tcase_add_test(tcase, the_row_is_forgotten_after_more_time_in_service_than_out);
    tcase_add_loop_test(tcase, never_more_than_max_ejected_are_out, 0, (int)(sizeof limits / sizeof *limits));
    tcase_add_test(tcase, a_place_is_free_again_when_a_server_returns);
    tcase_add_test(tcase, when_all_are_out_they_are_served_as_if_none_were);
    tcase_add_test(tcase, in_a_panic_the_first_that_answers_is_back_alone);
    tcase_add_test(tcase, a_panic_is_told_once_when_it_begins_and_once_when_it_ends);
    tcase_add_test(tcase, a_request_that_tried_all_others_gets_one_that_is_out);
    tcase_add_test(tcase, in_a_panic_max_conns_still_holds);
}

int main(void)
{
    return fixture_main("passive", add_tests);
}
