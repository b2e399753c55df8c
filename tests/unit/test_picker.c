/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tests of the picker: tiers, servers already tried, flags, limits, bound requests, the counters, and
 * what the strategy is told. Weights are in test_picker_weights.c, the passive check is in test_passive.c. Time is
 * injected, in milliseconds. The last tests run several workers on one pool.
 */
#include "picker_tally.h"

START_TEST(round_robin_gives_a_a_b_a_c_a_a_for_weights_5_1_1)
{
    static const int order[] = {0, 0, 1, 0, 2, 0, 0};

    servers[0].weight = 5;
    start(3);
    for (int i = 0; i < 21; i++)
        ck_assert_int_eq(serve(one, FAIRLEAD_OK, 1), order[i % 7]);
}
END_TEST

START_TEST(workers_take_turns_together)
{
    start(3);
    ck_assert_int_eq(serve(one, FAIRLEAD_OK, 1), 0);
    ck_assert_int_eq(serve(two, FAIRLEAD_OK, 1), 1);
}
END_TEST

START_TEST(a_down_server_is_never_picked)
{
    servers[1].down = true;
    start(3);
    ck_assert_int_eq(share(one, 1, 1), 0);
}
END_TEST

START_TEST(none_when_all_are_down)
{
    servers[0].down = servers[1].down = true;
    start(2);
    ck_assert_int_eq(take(one, 1), PICKER_NONE);
}
END_TEST

START_TEST(each_server_is_tried_once_in_a_request_then_the_backups)
{
    struct tried tried = {0};
    int seen[4] = {0};

    servers[0].backup = true;
    servers[2].down = true;
    start(4);
    for (int i = 0; i < 3; i++) {
        int server = take_with(one, PICKER_NONE, &tried, 1);
        ck_assert_int_ne(server, PICKER_NONE);
        ck_assert_int_eq(seen[server]++, 0);
        ck_assert_msg(i == 2 || server != 0, "the backup came before the primaries");
        end(one, server, FAIRLEAD_OK, 1);
    }
    ck_assert_uint_eq(tried.count, 3);
    ck_assert_int_eq(take_with(one, PICKER_NONE, &tried, 1), PICKER_NONE);
    ck_assert_uint_eq(tried.count, 3);
}
END_TEST

START_TEST(what_one_request_tried_is_open_to_the_next)
{
    start(2);
    for (int i = 0; i < 10; i++) {
        struct tried tried = {0};
        for (int k = 0; k < 2; k++)
            end(one, take_with(one, PICKER_NONE, &tried, 1), FAIRLEAD_OK, 1);
    }
}
END_TEST

START_TEST(pools_of_every_size_find_their_last_server)
{
    static const size_t sizes[] = {2, 63, 64, 65, 128, 1000, 1023, 1024};

    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        struct tried tried = {0};

        /* Backups and primaries take turns, so that a server's place in its tier is not its index. */
        for (size_t i = 0; i < sizes[s]; i++)
            servers[i].backup = i % 2 == 0;
        start(sizes[s]);
        for (size_t i = 0; i < sizes[s]; i++) {
            int server = take_with(one, PICKER_NONE, &tried, 1);
            ck_assert_int_ne(server, PICKER_NONE);
            ck_assert_int_eq(server % 2, i < sizes[s] / 2);
            end(one, server, FAIRLEAD_FAILED, 1);
        }
        ck_assert_int_eq(take_with(one, PICKER_NONE, &tried, 1), PICKER_NONE);
        teardown();
    }
}
END_TEST

START_TEST(requests_in_flight_and_picks_are_counted)
{
    start(1);
    int server = take(one, 1);
    ck_assert_int_eq(take(two, 1), server);
    ck_assert_uint_eq(in_flight(0), 2);
    end(one, server, FAIRLEAD_OK, 1);
    end(two, server, FAIRLEAD_FAILED, 1);
    ck_assert_uint_eq(in_flight(0), 0);
    ck_assert_uint_eq(pool_server(pool, 0)->state->picked, 2);
    ck_assert_uint_eq(pool_server(pool, 0)->state->failed, 1);
}
END_TEST

START_TEST(the_strategy_learns_the_outcome_of_every_pick)
{
    struct tally *tally = open_tally();
    struct pick_request request = {.key = 77, .bound = PICKER_NONE};

    start(2);
    ck_assert_uint_eq(tally->seeds, FIXTURE_WORKERS * (FIXTURE_WORKERS - 1) / 2); /* each worker its own */
    ck_assert_int_eq(picker_pick(one, &request, NS_PER_MS), 0);
    ck_assert_uint_eq(tally->last_key, 77);
    ck_assert_int_eq(picker_outcome(one, 0, FAIRLEAD_OK, 123, NS_PER_MS), PICKER_NO_NEWS);
    picker_release(one, 0);
    ck_assert_uint_eq(tally->last_latency_ns, 123);
    ck_assert_int_eq(picker_pick(one, &request, NS_PER_MS), 0);
    ck_assert_int_eq(picker_outcome(one, 0, FAIRLEAD_FAILED, 123, NS_PER_MS), PICKER_EJECTED);
    picker_release(one, 0);
    ck_assert_uint_eq(tally->last_latency_ns, 0);
    ck_assert_uint_eq(tally->outcomes[FAIRLEAD_OK], 1);
    ck_assert_uint_eq(tally->outcomes[FAIRLEAD_FAILED], 1);
    ck_assert_uint_eq(tally->outcomes[FAIRLEAD_CANCELLED], 0);
}
END_TEST

START_TEST(a_request_stays_in_flight_after_its_outcome_until_it_is_released)
{
    start(1);
    ck_assert_int_eq(take(one, 1), 0);
    ck_assert_int_eq(picker_outcome(one, 0, FAIRLEAD_OK, 1, NS_PER_MS), PICKER_NO_NEWS);
    ck_assert_uint_eq(in_flight(0), 1);
    picker_release(one, 0);
    ck_assert_uint_eq(in_flight(0), 0);
}
END_TEST

/* Flags and tiers. */

static const uint32_t out_flags[] = {SERVER_DOWN,       SERVER_DRAIN,       SERVER_CHECK_DOWN,
                                     SERVER_AGENT_DOWN, SERVER_AGENT_MAINT, SERVER_AGENT_DRAIN};
#define N_OUT_FLAGS ((int)(sizeof out_flags / sizeof out_flags[0]))

START_TEST(a_server_leaves_with_any_flag_and_returns_without_at_once)
{
    uint32_t flag = out_flags[_i];
    bool drains = flag & SERVER_DRAINS;

    start(2);
    ck_assert_int_eq(share(one, 1, 1), 50);
    ck_assert_uint_eq(pool_change_flags(pool, pool_server(pool, 1), flag, 0, 1), 0);
    ck_assert_int_eq(share(one, 1, 1), 0);
    ck_assert_int_eq(share(two, 1, 1), 0);
    int server = take_with(one, 1, NULL, 1); /* bound to it */
    ck_assert_int_eq(server, drains ? 1 : 0);
    end(one, server, FAIRLEAD_OK, 1);
    ck_assert_uint_eq(pool_change_flags(pool, pool_server(pool, 1), 0, flag, 1), flag);
    ck_assert_int_eq(share(one, 1, 1), 50);
    ck_assert_int_eq(share(two, 1, 1), 50);
}
END_TEST

START_TEST(a_first_verdict_changes_nothing_for_requests)
{
    servers[1].slow_start_ms = 1000;
    start(2);
    change(1, SERVER_CHECKED, 0, 1);
    ck_assert_int_eq(share(one, 1, 1), 50);
    ck_assert_uint_eq(state_of(1)->ramp_start_ms, 0);
    change(1, SERVER_CHECK_DOWN, 0, 1);
    ck_assert_int_eq(share(one, 1, 1), 0);
    change(1, 0, SERVER_CHECK_DOWN, 2);
    ck_assert_uint_eq(state_of(1)->ramp_start_ms, 2);
}
END_TEST

START_TEST(one_flag_of_several_keeps_a_server_out)
{
    start(2);
    change(1, SERVER_CHECK_DOWN | SERVER_AGENT_MAINT, 0, 1);
    change(1, 0, SERVER_CHECK_DOWN, 1);
    ck_assert_int_eq(share(one, 1, 1), 0);
    ck_assert_uint_eq(server_flags(pool_server(pool, 1)), SERVER_AGENT_MAINT);
    change(1, 0, SERVER_AGENT_MAINT, 1);
    ck_assert_int_eq(share(one, 1, 1), 50);
}
END_TEST

START_TEST(promotion_tells_its_edges_once)
{
    servers[2].backup = true;
    start(3);
    ck_assert_int_eq(pool_update_promotion(pool), 0);
    change(0, SERVER_CHECK_DOWN, 0, 1);
    ck_assert_int_eq(pool_update_promotion(pool), 0);
    change(1, SERVER_AGENT_DRAIN, 0, 1);
    ck_assert(!pool_backups_promoted(pool));
    ck_assert_int_eq(pool_update_promotion(pool), 1);
    ck_assert_int_eq(pool_update_promotion(pool), 0);
    ck_assert(pool_backups_promoted(pool));
    ck_assert_int_eq(share(one, 2, 1), 100);
    ck_assert_uint_eq(pool_counters(pool)->backup_picks, 100);
    change(2, SERVER_CHECK_DOWN, 0, 1);
    ck_assert_int_eq(pool_update_promotion(pool), 0); /* it is about the primaries */
    change(1, 0, SERVER_AGENT_DRAIN, 1);
    ck_assert_int_eq(pool_update_promotion(pool), -1);
    ck_assert_int_eq(pool_update_promotion(pool), 0);
    ck_assert_int_eq(share(one, 1, 1), 100);
}
END_TEST

/* Bound requests. */

enum obstacle { NOTHING, DOWN, DRAINING, FULL, TRIED, OUT, OUT_OVER };

static const struct {
    enum obstacle obstacle;
    bool gets_it;
} obstacles[] = {{NOTHING, true}, {DOWN, false}, {DRAINING, true}, {FULL, false},
                 {TRIED, false},  {OUT, false},  {OUT_OVER, true}};

START_TEST(a_bound_request_gets_its_server_or_the_strategys_choice)
{
    enum obstacle obstacle = obstacles[_i].obstacle;
    struct tried tried = {0};
    uint64_t now_ms = obstacle == OUT_OVER ? 11000 : 1000;

    servers[1].max_conns = obstacle == FULL ? 1 : 0;
    servers[1].down = obstacle == DOWN;
    servers[1].drain = obstacle == DRAINING;
    start(3);
    if (obstacle == FULL)
        take_server(one, 1, 1000);
    if (obstacle == OUT || obstacle == OUT_OVER)
        fail_server(one, 1, 1000);
    if (obstacle == TRIED) {
        ck_assert_int_eq(take_with(one, 1, &tried, 1000), 1);
        end(one, 1, FAIRLEAD_OK, 1000);
    }
    int server = take_with(two, 1, &tried, now_ms);
    ck_assert_int_ge(server, 0);
    ck_assert_int_eq(server == 1, obstacles[_i].gets_it);
    ck_assert_uint_eq(tried.count, obstacle == TRIED ? 2 : 1);
    ck_assert_int_eq(end(two, server, FAIRLEAD_OK, now_ms),
                     obstacle == OUT_OVER ? PICKER_RETURNED : PICKER_NO_NEWS);
    if (obstacle == FULL)
        end(one, 1, FAIRLEAD_OK, 1000);
}
END_TEST

START_TEST(the_strategy_is_told_of_bound_requests_too)
{
    struct tally *tally = open_tally();

    start(2);
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(take_with(one, 1, NULL, 1), 1);
        end(one, 1, FAIRLEAD_OK, 1);
    }
    ck_assert_uint_eq(tally->picks, 0);
    ck_assert_uint_eq(tally->outcomes[FAIRLEAD_OK], 10);
}
END_TEST

/* Limits. */

START_TEST(full_is_not_none)
{
    servers[0].max_conns = servers[1].max_conns = 1;
    servers[2].down = true;
    start(3);
    int first = take(one, 1), second = take(two, 1);
    ck_assert_int_eq(first + second, 1);
    ck_assert_int_eq(take(one, 1), PICKER_FULL);
    ck_assert_int_eq(take_with(one, 0, NULL, 1), PICKER_FULL);
    end(two, 1, FAIRLEAD_OK, 1);
    ck_assert_int_eq(take(one, 1), 1);
    end(one, 0, FAIRLEAD_OK, 1);
    end(one, 1, FAIRLEAD_OK, 1);
    change(0, SERVER_CHECK_DOWN, 0, 1);
    change(1, SERVER_CHECK_DOWN, 0, 1);
    ck_assert_int_eq(take(one, 1), PICKER_NONE);
}
END_TEST

START_TEST(backups_take_what_the_full_primaries_cannot)
{
    servers[0].max_conns = 2;
    servers[1].backup = true;
    servers[1].max_conns = 1;
    start(2);
    ck_assert_int_eq(take(one, 1), 0);
    ck_assert_int_eq(take(two, 1), 0);
    ck_assert_int_eq(take(one, 1), 1);
    ck_assert_int_eq(take(one, 1), PICKER_FULL);
    end(one, 0, FAIRLEAD_OK, 1);
    ck_assert_int_eq(take(two, 1), 0);
    end(one, 0, FAIRLEAD_OK, 1);
    end(two, 0, FAIRLEAD_OK, 1);
    end(one, 1, FAIRLEAD_OK, 1);
}
END_TEST

/* Each thread has up to eight requests at a time; what they count by themselves never exceeds the limits. */
#define N_ROUNDS 20000

static atomic_uint held[3], most_held[3], n_wrong, n_full;

static void hold(int server)
{
    unsigned n = atomic_fetch_add(&held[server], 1) + 1, most = most_held[server];

    while (n > most && !atomic_compare_exchange_weak(&most_held[server], &most, n))
        ;
    n_wrong += n > servers[server].max_conns;
}

static void hammer(unsigned number)
{
    struct picker *picker = picker_of_thread(number);
    int mine[8];
    uint64_t seed = 88172645463325252u + number;

    for (int i = 0; i < 8; i++)
        mine[i] = PICKER_NONE;
    for (int i = 0; i < N_ROUNDS + 8; i++) {
        int *server = &mine[i < N_ROUNDS ? next_random(&seed) % 8 : (uint64_t)i % 8];

        if (*server >= 0) {
            held[*server]--;
            end(picker, *server, FAIRLEAD_OK, 1);
            *server = PICKER_NONE;
        } else if (i < N_ROUNDS) {
            *server = take(picker, 1);
            n_full += *server == PICKER_FULL;
            n_wrong += *server == PICKER_NONE;
            if (*server >= 0)
                hold(*server);
        }
    }
}

START_TEST(max_conns_is_exact_over_all_workers)
{
    for (int round = 0; round < 5; round++) {
        for (unsigned i = 0; i < 3; i++) {
            servers[i].max_conns = i + 1;
            servers[i].backup = i == 2;
            held[i] = most_held[i] = 0;
        }
        start(3);
        run_threads(4, hammer);
        ck_assert_uint_eq(n_wrong, 0);
        ck_assert_uint_gt(n_full, 0);
        for (unsigned i = 0; i < 3; i++) {
            ck_assert_uint_eq(held[i], 0);
            ck_assert_uint_eq(most_held[i], i + 1);
        }
        teardown();
    }
}
END_TEST

/* Servers go out and come back, trials and last places are lost to other workers: the strategy's books
 * balance all the same. */
static void keep_books(unsigned number)
{
    struct picker *picker = picker_of_thread(number);
    uint64_t seed = 88172645463325252u + number, now_ms = 1;

    for (int i = 0; i < N_ROUNDS; i++) {
        now_ms += next_random(&seed) % 2;
        serve(picker, next_random(&seed) % 3, now_ms);
    }
}

START_TEST(every_pick_of_the_strategy_gets_one_outcome)
{
    struct tally *tally = open_tally();

    for (size_t i = 0; i < 4; i++) {
        servers[i].fail_timeout_ms = 5;
        servers[i].max_conns = 2;
    }
    start(4);
    run_threads(4, keep_books);
    ck_assert_uint_gt(tally->picks, N_ROUNDS);
    ck_assert_uint_eq(tally->picks, tally->outcomes[0] + tally->outcomes[1] + tally->outcomes[2]);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, round_robin_gives_a_a_b_a_c_a_a_for_weights_5_1_1);
    tcase_add_test(tcase, workers_take_turns_together);
    tcase_add_test(tcase, a_down_server_is_never_picked);
    tcase_add_test(tcase, none_when_all_are_down);
    tcase_add_test(tcase, each_server_is_tried_once_in_a_request_then_the_backups);
    tcase_add_test(tcase, what_one_request_tried_is_open_to_the_next);
    tcase_add_test(tcase, pools_of_every_size_find_their_last_server);
    tcase_add_test(tcase, requests_in_flight_and_picks_are_counted);
    tcase_add_test(tcase, the_strategy_learns_the_outcome_of_every_pick);
    tcase_add_test(tcase, a_request_stays_in_flight_after_its_outcome_until_it_is_released);
    tcase_add_loop_test(tcase, a_server_leaves_with_any_flag_and_returns_without_at_once, 0, N_OUT_FLAGS);
    tcase_add_test(tcase, a_first_verdict_changes_nothing_for_requests);
    tcase_add_test(tcase, one_flag_of_several_keeps_a_server_out);
    tcase_add_test(tcase, promotion_tells_its_edges_once);
    tcase_add_loop_test(tcase, a_bound_request_gets_its_server_or_the_strategys_choice, 0,
                        (int)(sizeof obstacles / sizeof *obstacles));
    tcase_add_test(tcase, the_strategy_is_told_of_bound_requests_too);
    tcase_add_test(tcase, full_is_not_none);
    tcase_add_test(tcase, backups_take_what_the_full_primaries_cannot);
    tcase_add_test(tcase, max_conns_is_exact_over_all_workers);
    tcase_add_test(tcase, every_pick_of_the_strategy_gets_one_outcome);
}

int main(void)
{
    return fixture_main("picker", add_tests);
}
