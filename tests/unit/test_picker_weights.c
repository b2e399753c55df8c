/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tests of the weights that a picker gives to its strategy: slow start, and the shares of records and of agents. Time
 * is injected, in milliseconds.
 */
#include "picker_tally.h"

START_TEST(shares_of_a_record_and_of_an_agent_multiply)
{
    for (size_t i = 0; i < 2; i++)
        servers[i].weight = 100;
    servers[1].share = 50;
    start(2);
    ck_assert_int_eq(share(one, 1, 1), 33);
    pool_set_share(pool, pool_server(pool, 1), 50);
    ck_assert_int_eq(share(one, 1, 1), 20);
}
END_TEST

START_TEST(weight_0_gets_only_what_is_bound_to_it)
{
    servers[1].weight = 0;
    start(2);
    ck_assert_int_eq(share(one, 1, 1), 0);
    ck_assert_int_eq(take_with(one, 1, NULL, 1), 1);
    end(one, 1, FAIRLEAD_OK, 1);
    change(0, SERVER_CHECK_DOWN, 0, 1);
    ck_assert_int_eq(take(one, 1), PICKER_NONE);
}
END_TEST

static void expect_weights(struct tally *tally, uint64_t now_ms, unsigned first, unsigned second)
{
    serve(one, FAIRLEAD_OK, now_ms);
    ck_assert_msg(tally->effective[0] == first && tally->effective[1] == second,
                  "at %u ms: %u, %u instead of %u, %u", (unsigned)now_ms, tally->effective[0],
                  tally->effective[1], first, second);
    ck_assert_int_eq(tally->full_weights,
                     first == servers[0].weight * 256 && second == servers[1].weight * 256);
}

START_TEST(a_server_that_returns_comes_to_its_weight_slowly)
{
    static const struct {
        uint64_t at_ms;
        unsigned weight;
    } ramp[] = {{1000, 1},   {1100, 51},  {1250, 128}, {1500, 256},
                {1750, 384}, {1999, 512}, {2000, 512}, {9000, 512}};
    struct tally *tally = open_tally();

    servers[1].weight = 2;
    servers[1].slow_start_ms = 1000;
    start(2);
    expect_weights(tally, 1, 256, 512); /* not at the start of the process */
    change(1, SERVER_CHECK_DOWN, 0, 500);
    change(1, 0, SERVER_CHECK_DOWN, 1000);
    for (size_t i = 0; i < sizeof ramp / sizeof *ramp; i++)
        expect_weights(tally, ramp[i].at_ms, 256, ramp[i].weight);
}
END_TEST

START_TEST(the_ramp_goes_up_step_by_step)
{
    struct tally *tally = open_tally();
    unsigned before = 0;

    servers[1].weight = 100;
    servers[1].slow_start_ms = 60000;
    start(2);
    change(1, SERVER_DOWN, 0, 1);
    change(1, 0, SERVER_DOWN, 1000);
    for (uint64_t now_ms = 1000; now_ms <= 62000; now_ms += 7) {
        uint64_t passed = now_ms - 1000, ideal = passed < 60000 ? 25600 * passed / 60000 : 25600;

        serve(one, FAIRLEAD_OK, now_ms);
        ck_assert_uint_ge(tally->effective[1], before);
        ck_assert_uint_le(tally->effective[1], ideal + 2);
        ck_assert_uint_ge(tally->effective[1] + 260,
                          ideal); /* a hundredth, and what lies between two looks */
        before = tally->effective[1];
    }
    ck_assert_uint_eq(before, 25600);
}
END_TEST

START_TEST(a_pool_that_all_is_in_its_slow_start_has_full_weights)
{
    struct tally *tally = open_tally();

    servers[0].slow_start_ms = servers[1].slow_start_ms = 1000;
    start(2);
    change(0, SERVER_CHECK_DOWN, 0, 1);
    change(1, SERVER_CHECK_DOWN, 0, 1);
    change(0, 0, SERVER_CHECK_DOWN, 1000);
    change(1, 0, SERVER_CHECK_DOWN, 1000);
    expect_weights(tally, 1000, 256, 256);
    expect_weights(tally, 1500, 256, 256);
    change(1, SERVER_CHECK_DOWN, 0, 1500);
    change(1, 0, SERVER_CHECK_DOWN, 1600);
    expect_weights(tally, 1799, 256, 64); /* 0.8 and 0.2: one to four */
    expect_weights(tally, 2600, 256, 256);
}
END_TEST

START_TEST(a_trial_that_succeeds_begins_a_slow_start)
{
    servers[1].slow_start_ms = 10000;
    start(2);
    ck_assert(fail_server(one, 1, 1000));
    take_server(one, 1, 11000);
    ck_assert_int_eq(end(one, 1, FAIRLEAD_OK, 11000), PICKER_RETURNED);
    ck_assert_int_le(share(one, 1, 11001), 2);
    ck_assert_int_eq(share(two, 1, 21000), 50);
}
END_TEST

START_TEST(an_agents_share_is_a_part_of_the_weight)
{
    struct tally *tally = open_tally();

    servers[1].weight = 4;
    servers[1].slow_start_ms = 1000;
    start(2);
    pool_set_share(pool, pool_server(pool, 1), 50);
    expect_weights(tally, 1, 256, 512);
    pool_set_share(pool, pool_server(pool, 1), 1);
    expect_weights(tally, 1, 256, 10);
    pool_set_share(pool, pool_server(pool, 1), 50);
    change(1, SERVER_CHECK_DOWN, 0, 2);
    change(1, 0, SERVER_CHECK_DOWN, 1000);
    expect_weights(tally, 1499, 256, 256); /* half of it, half way up */
    pool_set_share(pool, pool_server(pool, 0), 50);
    expect_weights(tally, 3000, 256, 1024); /* all have as much of theirs */
    pool_set_share(pool, pool_server(pool, 0), 100);
    pool_set_share(pool, pool_server(pool, 1), 100);
    expect_weights(tally, 3000, 256, 1024);
}
END_TEST

START_TEST(effective_weights_are_0_to_weight_times_one)
{
    struct tally *tally = open_tally();

    servers[1].weight = 0;
    start(2);
    expect_weights(tally, 1, 256, 0);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, shares_of_a_record_and_of_an_agent_multiply);
    tcase_add_test(tcase, weight_0_gets_only_what_is_bound_to_it);
    tcase_add_test(tcase, a_server_that_returns_comes_to_its_weight_slowly);
    tcase_add_test(tcase, the_ramp_goes_up_step_by_step);
    tcase_add_test(tcase, a_pool_that_all_is_in_its_slow_start_has_full_weights);
    tcase_add_test(tcase, a_trial_that_succeeds_begins_a_slow_start);
    tcase_add_test(tcase, an_agents_share_is_a_part_of_the_weight);
    tcase_add_test(tcase, effective_weights_are_0_to_weight_times_one);
}

int main(void)
{
    return fixture_main("picker_weights", add_tests);
}
