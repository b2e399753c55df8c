/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tests of the passive check with several workers on one pool: what is promised once comes once, limits hold.
 * For the thread sanitizer too. Time is injected, in milliseconds.
 */
#include "picker_fixture.h"

static atomic_uint n_trials, n_others;

static void try_once(unsigned number)
{
    struct picker *picker = picker_of_thread(number);
    int server = take(picker, 11000);

    atomic_fetch_add(server == 1 ? &n_trials : &n_others, 1);
    picker_release(picker, server);
}

START_TEST(one_worker_has_the_trial)
{
    servers[1].weight = 65535; /* everyone would have it */
    for (int round = 0; round < 50; round++) {
        n_trials = n_others = 0;
        start(2);
        ck_assert(fail_server(one, 1, 1000));
        run_threads(4, try_once);
        ck_assert_uint_eq(n_trials, 1);
        ck_assert_uint_eq(n_others, 3);
        teardown();
    }
}
END_TEST

static atomic_uint n_ejected;

static void fail_all(unsigned number)
{
    struct picker *picker = picker_of_thread(number);

    for (int i = 0; i < 100; i++) {
        int server = take(picker, 1000);

        if (end(picker, server, FAIRLEAD_FAILED, 1000) == PICKER_EJECTED)
            atomic_fetch_add(&n_ejected, 1);
    }
}

START_TEST(workers_together_take_out_no_more_than_max_ejected)
{
    spec.max_ejected = 50;
    for (int round = 0; round < 50; round++) {
        n_ejected = 0;
        start(9);
        run_threads(4, fail_all);
        ck_assert_uint_eq(count_out(), 4);
        ck_assert_uint_eq(n_ejected, 4);
        teardown();
    }
}
END_TEST

/* Workers that hurry: each with requests in flight, outcomes and time at random, so that servers go out and
 * come back all the time. */
#define N_REQUESTS 30000

static atomic_ullong storm_picked, storm_ejected, storm_returned, storm_began, storm_ended, storm_none;

static void serve_request(struct picker *picker, uint64_t *seed, uint64_t now_ms)
{
    struct tried tried = {0};
    bool began, ended;

    for (int attempt = 0; attempt < 3; attempt++) {
        int server = take_with(picker, PICKER_NONE, &tried, now_ms);
        enum fairlead_outcome outcome = next_random(seed) % 3;
        enum picker_news news;

        if (server < 0 || server == 2) { /* the one that is down */
            storm_none++;
            return;
        }
        news = end(picker, server, outcome, now_ms);
        picker_panic_news(picker, &began, &ended);
        storm_picked++;
        storm_ejected += news == PICKER_EJECTED;
        storm_returned += news == PICKER_RETURNED;
        storm_began += began;
        storm_ended += ended;
        if (outcome != FAIRLEAD_FAILED)
            return;
    }
}

static void storm(unsigned number)
{
    struct picker *picker = picker_of_thread(number);
    uint64_t seed = UINT64_C(0x9e3779b97f4a7c15) + number, now_ms = 1;

    for (int i = 0; i < N_REQUESTS; i++) {
        now_ms += next_random(&seed) % 2;
        serve_request(picker, &seed, now_ms);
    }
}

START_TEST(workers_share_a_pool_while_servers_go_out_and_come_back)
{
    uint64_t counted = 0;

    for (size_t i = 0; i < 6; i++)
        servers[i] = (struct server_spec){.name = "s:80",
                                          .weight = 1,
                                          .max_fails = 1 + i % 2,
                                          .fail_timeout_ms = 5,
                                          .backup = i >= 4,
                                          .down = i == 2};
    spec.max_eject_time_ms = 20;
    start(6);
    run_threads(4, storm);
    for (size_t i = 0; i < 6; i++)
        counted += pool_server(pool, i)->state->picked;
    ck_assert_uint_eq(storm_none, 0);
    ck_assert_uint_eq(storm_picked, counted);
    ck_assert_uint_gt(storm_ejected, 1000);
    ck_assert_uint_eq(storm_ejected - storm_returned, count_out()); /* each is told exactly once */
    ck_assert_uint_le(storm_began - storm_ended, 1);
    ck_assert_uint_eq(storm_began, pool_counters(pool)->panics);
}
END_TEST

/* Both servers are out; two workers ask for either at once, the first answer puts one back. */
static void ask_and_answer(unsigned number)
{
    struct picker *picker = picker_of_thread(number);

    for (uint64_t i = 0; i < 20000; i++) {
        int server = serve(picker, i % 3 ? FAIRLEAD_OK : FAIRLEAD_FAILED, 1000 + i);

        storm_none += server < 0;
    }
}

START_TEST(there_is_always_a_server_while_none_has_a_flag)
{
    servers[0].fail_timeout_ms = servers[1].fail_timeout_ms = 100000;
    start(2);
    run_threads(4, ask_and_answer);
    ck_assert_uint_eq(storm_none, 0);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, one_worker_has_the_trial);
    tcase_add_test(tcase, workers_together_take_out_no_more_than_max_ejected);
    tcase_add_test(tcase, workers_share_a_pool_while_servers_go_out_and_come_back);
    tcase_add_test(tcase, there_is_always_a_server_while_none_has_a_flag);
}

int main(void)
{
    return fixture_main("passive_threads", add_tests);
}
