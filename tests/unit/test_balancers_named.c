/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What each strategy of the tree promises beyond the contract that all keep: the order of round_robin, the
 * ties of least_conn, the two choices of random, the memory of least_time, the few moves of the ring and of
 * maglev. Modules come from the directory FAIRLEAD_BALANCERS.
 */
#include "upstream/strategy.h"

#include <check.h>

#include "balancer_bench.h"
#include "modules.h"

#define MS       1000000u
#define N_KEYS   10000u
#define N_OPTION 8

static struct strategy strategy;
static struct bench bench;
static struct bench_worker worker;
static char error[256];

/* Starts a bench of servers that are named already; an option that is not named has its fallback. */
static int begin(const char *name, size_t n_servers, const char *option, int64_t value)
{
    int64_t values[N_OPTION] = {0};

    ck_assert_msg(strategy_load(modules_of_the_tree(), name, &strategy, error, sizeof error) == 0, "%s",
                  error);
    for (size_t i = 0; strategy.balancer->options && strategy.balancer->options[i].name; i++)
        values[i] = option && strcmp(strategy.balancer->options[i].name, option) == 0
                        ? value
                        : strategy.balancer->options[i].fallback;
    int result = bench_start(&bench, strategy.balancer, n_servers, values, error, sizeof error);
    if (result == 0) {
        bench_reset(&bench);
        bench_worker_start(&worker, &bench, 0);
    }
    return result;
}

static void end(void)
{
    bench_worker_stop(&worker);
    bench_stop(&bench);
    strategy_unload(&strategy);
}

static void name_three(uint32_t a, uint32_t b, uint32_t c)
{
    bench_name(&bench, 0, "a", a);
    bench_name(&bench, 1, "b", b);
    bench_name(&bench, 2, "c", c);
}

/* A whole request. Returns its server. */
static int serve(uint64_t latency_ns)
{
    int server = bench_pick(&worker, bench_random(&worker));

    bench_done(&worker, server, FAIRLEAD_OK, latency_ns);
    return server;
}

START_TEST(round_robin_weights_5_1_1_give_a_a_b_a_c_a_a)
{
    struct bench_worker other;

    name_three(5, 1, 1);
    ck_assert_int_eq(begin("round_robin", 3, NULL, 0), 0);
    bench_worker_start(&other, &bench, 1);
    /* Over two workers in any alternation. */
    for (const char *c = "aabacaaaabacaa"; *c; c++)
        ck_assert_int_eq(bench_pick(bench_random(&worker) % 2 ? &other : &worker, 0), *c - 'a');
    bench_worker_stop(&other);
    end();
}
END_TEST

START_TEST(least_conn_takes_the_one_with_least_for_its_weight)
{
    name_three(1, 2, 3);
    ck_assert_int_eq(begin("least_conn", 3, NULL, 0), 0);
    atomic_store(&bench.in_flight[0], 2);
    atomic_store(&bench.in_flight[1], 3);
    atomic_store(&bench.in_flight[2], 5);
    ck_assert_int_eq(bench_pick(&worker, 0), 1);
    ck_assert_int_eq(bench_pick(&worker, 0), 2);
    bench_set_effective(&bench, 0, FAIRLEAD_WEIGHT_ONE / 2);
    atomic_store(&bench.in_flight[0], 1);
    atomic_store(&bench.in_flight[1], 5);
    atomic_store(&bench.in_flight[2], 7);
    ck_assert_int_eq(bench_pick(&worker, 0), 0);
    end();
}
END_TEST

START_TEST(least_conn_ties_go_round_by_weight)
{
    name_three(5, 1, 1);
    ck_assert_int_eq(begin("least_conn", 3, NULL, 0), 0);
    for (const char *c = "aabacaaaabacaa"; *c; c++)
        ck_assert_int_eq(serve(MS), *c - 'a');
    /* Of those that are equal only. */
    atomic_store(&bench.in_flight[0], 5);
    unsigned counts[3] = {0};
    for (int i = 0; i < 100; i++)
        counts[serve(MS)]++;
    ck_assert_uint_eq(counts[0], 0);
    ck_assert_uint_eq(counts[1], 50);
    end();
}
END_TEST

/* Is any usable server less busy for its weight? */
static bool is_least_busy(int server)
{
    const struct fairlead_pick pick = {.usable = bench.usable};
    /* Without the request that it has just got. */
    uint64_t load = bench.in_flight[server] - 1, weight = bench.effective[server];

    for (size_t i = 0; i < bench.set.n_servers; i++) {
        if (fairlead_usable(&pick, i) && (int)i != server &&
            bench.in_flight[i] * weight < load * bench.effective[i])
            return false;
    }
    return true;
}

START_TEST(least_conn_never_passes_over_one_that_is_less_busy)
{
    bench_name_all(&bench, 300);
    ck_assert_int_eq(begin("least_conn", 300, NULL, 0), 0);
    for (int round = 0; round < 500; round++) {
        for (size_t i = 0; i < 300; i++) {
            atomic_store(&bench.in_flight[i], (unsigned)(bench_random(&worker) % 20) + 1);
            bench_set_usable(&bench, i, bench_random(&worker) % 4 != 0);
        }
        int server = bench_pick(&worker, 0);
        ck_assert_msg(is_least_busy(server), "round %d", round);
    }
    end();
}
END_TEST

/* The most that a server has, when a hundred servers got a hundred requests each and none has ended. */
static unsigned most_in_flight(int64_t choices)
{
    unsigned most = 0;

    for (size_t i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof name, "s%zu", i);
        bench_name(&bench, i, name, 1);
    }
    ck_assert_int_eq(begin("random", 100, "choices", choices), 0);
    for (int i = 0; i < 10000; i++)
        ck_assert_int_ne(bench_pick(&worker, 0), FAIRLEAD_NONE);
    for (size_t i = 0; i < 100; i++)
        most = bench.in_flight[i] > most ? bench.in_flight[i] : most;
    end();
    return most;
}

/* With one choice the fullest is some 2.5 standard deviations of 10 above the mean; with two it is above it
 * by about ln ln n / ln 2, however many requests there are. */
START_TEST(random_two_choices_beats_one)
{
    unsigned one = most_in_flight(1), two = most_in_flight(2);

    ck_assert_msg(one >= 115, "%u", one);
    ck_assert_msg(two <= 105, "%u", two);
}
END_TEST

START_TEST(random_workers_do_not_draw_alike)
{
    struct bench_worker other;
    unsigned alike = 0;

    bench_name_all(&bench, 100);
    ck_assert_int_eq(begin("random", 100, "choices", 1), 0);
    bench_worker_start(&other, &bench, 1);
    for (int i = 0; i < 1000; i++)
        alike += bench_pick(&worker, 0) == bench_pick(&other, 0);
    ck_assert_uint_le(alike, 50);
    bench_worker_stop(&other);
    end();
}
END_TEST

/* One request at a time, each server with a latency of its own; counts who served. */
static void serve_many(unsigned n, const uint64_t latencies[3], unsigned counts[3])
{
    memset(counts, 0, 3 * sizeof *counts);
    for (unsigned i = 0; i < n; i++) {
        int server = bench_pick(&worker, 0);
        bench_done(&worker, server, FAIRLEAD_OK, latencies[server]);
        counts[server]++;
    }
}

START_TEST(least_time_prefers_the_fast_one)
{
    unsigned counts[3];

    name_three(1, 1, 1);
    ck_assert_int_eq(begin("least_time", 3, NULL, 0), 0);
    serve_many(1000, (const uint64_t[]){20 * MS, 2 * MS, 20 * MS}, counts);
    ck_assert_uint_ge(counts[1], 990);
    ck_assert_uint_ge(counts[0], 1);
    ck_assert_uint_ge(counts[2], 1);
    /* Until it has so much to do that another would be faster. */
    atomic_store(&bench.in_flight[1], 15);
    ck_assert_int_ne(serve(20 * MS), 1);
    end();
}
END_TEST

START_TEST(least_time_a_peak_counts_at_once)
{
    unsigned counts[3];

    name_three(1, 1, 1);
    ck_assert_int_eq(begin("least_time", 3, NULL, 0), 0);
    serve_many(100, (const uint64_t[]){1 * MS, 2 * MS, 3 * MS}, counts);
    ck_assert_int_eq(serve(50 * MS), 0);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(serve(2 * MS), 1);
    end();
}
END_TEST

START_TEST(least_time_a_slow_one_is_tried_again_when_that_has_faded)
{
    unsigned counts[3];

    name_three(1, 1, 1);
    ck_assert_int_eq(begin("least_time", 3, "decay", 1000), 0);
    serve_many(3, (const uint64_t[]){1 * MS, 10 * MS, 4000 * MS}, counts);
    /* Ten seconds, in which the second has faded by a thousand and the first has been seen all the time. */
    serve_many(100000, (const uint64_t[]){1 * MS, 1 * MS / 2, 4000 * MS}, counts);
    ck_assert_uint_gt(counts[1], 1);
    ck_assert_uint_eq(counts[2], 0);
    end();
}
END_TEST

START_TEST(least_time_a_failure_counts_as_a_slow_answer)
{
    unsigned counts[3];

    name_three(1, 1, 1);
    ck_assert_int_eq(begin("least_time", 3, NULL, 0), 0);
    serve_many(100, (const uint64_t[]){1 * MS, 500 * MS, 500 * MS}, counts);
    int server = bench_pick(&worker, 0);
    ck_assert_int_eq(server, 0);
    bench_done(&worker, server, FAIRLEAD_FAILED, 0);
    serve_many(100, (const uint64_t[]){1 * MS, 500 * MS, 500 * MS}, counts);
    ck_assert_uint_eq(counts[0], 0);
    end();
}
END_TEST

/* What a failure counts as is thousands of times a fast answer; that must not keep a server away for hours. */
START_TEST(least_time_a_failure_is_forgotten_in_a_dozen_decays)
{
    unsigned counts[3];

    name_three(1, 1, 1);
    ck_assert_int_eq(begin("least_time", 3, "decay", 100), 0);
    serve_many(10, (const uint64_t[]){MS / 5, MS / 5, MS / 5}, counts);
    int server = bench_pick(&worker, 0);
    bench_done(&worker, server, FAIRLEAD_FAILED, 0);
    serve_many(5000, (const uint64_t[]){MS / 5, MS / 5, MS / 5}, counts);
    ck_assert_uint_eq(counts[server], 0);
    /* A second and a half more. */
    serve_many(15000, (const uint64_t[]){MS / 5, MS / 5, MS / 5}, counts);
    ck_assert_uint_ge(counts[server], 100);
    end();
}
END_TEST

START_TEST(least_time_tries_an_unknown_server_by_one_request_at_a_time)
{
    name_three(1, 1, 1);
    ck_assert_int_eq(begin("least_time", 3, NULL, 0), 0);
    bench_set_usable(&bench, 2, false);
    for (int i = 0; i < 10; i++)
        serve(MS);
    bench_set_usable(&bench, 2, true);
    ck_assert_int_eq(bench_pick(&worker, 0), 2);
    for (int i = 0; i < 10; i++)
        ck_assert_int_ne(bench_pick(&worker, 0), 2);
    /* That one tells nothing, so another may try. */
    bench_done(&worker, 2, FAIRLEAD_CANCELLED, 0);
    ck_assert_int_eq(bench_pick(&worker, 0), 2);
    ck_assert_int_ne(bench_pick(&worker, 0), 2);
    bench_done(&worker, 2, FAIRLEAD_OK, MS);
    ck_assert_int_eq(bench_pick(&worker, 0), 2);
    ck_assert_int_eq(bench_pick(&worker, 0), 2);
    end();
}
END_TEST

START_TEST(least_time_serves_many_while_nothing_is_known)
{
    unsigned counts[3] = {0};

    name_three(1, 1, 2);
    ck_assert_int_eq(begin("least_time", 3, NULL, 0), 0);
    for (int i = 0; i < 400; i++)
        counts[bench_pick(&worker, 0)]++;
    ck_assert_uint_ge(counts[0], 98);
    ck_assert_uint_ge(counts[1], 98);
    ck_assert_uint_ge(counts[2], 196);
    end();
}
END_TEST

START_TEST(least_time_equal_ones_take_turns)
{
    unsigned counts[3];

    name_three(1, 1, 1);
    ck_assert_int_eq(begin("least_time", 3, NULL, 0), 0);
    worker.now_ns = UINT64_C(1) << 40; /* all in one unit of the clock */
    serve_many(3, (const uint64_t[]){1 * MS, 1 * MS, 1 * MS}, counts);
    memset(counts, 0, sizeof counts);
    for (int i = 0; i < 6; i++)
        counts[serve(MS)]++;
    ck_assert(counts[0] == 2 && counts[1] == 2 && counts[2] == 2);
    end();
}
END_TEST

/* Which server, by the number in its name, has each key. */
static void map_keys(const char *name, const char *option, int64_t value, size_t n_servers, int *map)
{
    ck_assert_int_eq(begin(name, n_servers, option, value), 0);
    for (uint64_t k = 0; k < N_KEYS; k++) {
        map[k] = atoi(bench.names[bench_pick(&worker, fairlead_mix(k))] + 1);
        ck_assert_int_ge(map[k], 0);
    }
    end();
}

/* Names twenty servers, or all but one. */
static size_t name_without(int gone)
{
    size_t n = 0;

    for (int i = 0; i < 20; i++) {
        char name[16];
        snprintf(name, sizeof name, "s%d", i);
        if (i != gone)
            bench_name(&bench, n++, name, (uint32_t)i % 4 + 1);
    }
    return n;
}

/* In per mille of the keys of the others: how many move when a server leaves the configuration, of weight 1,
 * 2, 3, 4, or comes into it. */
static unsigned most_moved(const char *name, const char *option, int64_t value)
{
    static int all[N_KEYS], without[N_KEYS];
    unsigned most = 0;

    map_keys(name, option, value, name_without(-1), all);
    for (int gone = 8; gone < 12; gone++) {
        unsigned moved = 0, others = 0;

        map_keys(name, option, value, name_without(gone), without);
        for (size_t k = 0; k < N_KEYS; k++) {
            others += all[k] != gone;
            moved += all[k] != gone && all[k] != without[k];
        }
        most = moved * 1000 / others > most ? moved * 1000 / others : most;
    }
    return most;
}

START_TEST(hash_consistent_moves_few_keys)
{
    unsigned moved = most_moved("hash", "consistent", 1);

    ck_assert_msg(moved == 0, "%u per mille", moved);
}
END_TEST

START_TEST(hash_that_is_not_consistent_moves_many)
{
    ck_assert_uint_ge(most_moved("hash", "consistent", 0), 100);
}
END_TEST

START_TEST(maglev_moves_few_keys)
{
    unsigned moved = most_moved("maglev", NULL, 0);

    ck_assert_msg(moved <= 20, "%u per mille", moved);
}
END_TEST

START_TEST(maglev_refuses_a_table_size_that_is_no_prime)
{
    name_three(1, 1, 1);
    ck_assert_int_ne(begin("maglev", 3, "table_size", 65536), 0);
    ck_assert_str_eq(error, "table_size must be a prime: 65536 is not, 65537 is");
    strategy_unload(&strategy);
}
END_TEST

START_TEST(maglev_shares_are_almost_exact)
{
    unsigned counts[3] = {0};

    name_three(1, 2, 5);
    ck_assert_int_eq(begin("maglev", 3, NULL, 0), 0);
    /* fairlead_mix is what maglev does to a key; its inverse is not at hand, so many keys it is. */
    for (uint64_t k = 0; k < 800000; k++)
        counts[bench_pick(&worker, k)]++;
    ck_assert_uint_ge(counts[0], 98500);
    ck_assert_uint_le(counts[0], 101500);
    ck_assert_uint_ge(counts[2], 498000);
    ck_assert_uint_le(counts[2], 502000);
    end();
}
END_TEST

static const struct {
    const char *name, *option;
    int64_t value;
} keyed[] = {{"ip_hash", NULL, 0}, {"hash", "consistent", 0}, {"hash", "consistent", 1}, {"maglev", NULL, 0}};

START_TEST(keyed_ones_spread_the_keys_of_a_server_that_is_out)
{
    static int all[N_KEYS];
    unsigned counts[20] = {0}, orphans = 0;

    map_keys(keyed[_i].name, keyed[_i].option, keyed[_i].value, name_without(-1), all);
    ck_assert_int_eq(begin(keyed[_i].name, 20, keyed[_i].option, keyed[_i].value), 0);
    bench_set_usable(&bench, 11, false);
    for (uint64_t k = 0; k < N_KEYS; k++) {
        int server = bench_pick(&worker, fairlead_mix(k));
        ck_assert_int_ne(server, 11);
        if (all[k] != 11) {
            ck_assert_int_eq(server, all[k]);
            continue;
        }
        orphans++;
        counts[server]++;
    }
    for (size_t i = 0; i < 20; i++)
        ck_assert_msg(counts[i] * 3 < orphans, "%s: %u of %u to %zu", keyed[_i].name, counts[i], orphans, i);
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("balancers_named");
    TCase *tcase = tcase_create("named");

    tcase_add_test(tcase, round_robin_weights_5_1_1_give_a_a_b_a_c_a_a);
    tcase_add_test(tcase, least_conn_takes_the_one_with_least_for_its_weight);
    tcase_add_test(tcase, least_conn_ties_go_round_by_weight);
    tcase_add_test(tcase, least_conn_never_passes_over_one_that_is_less_busy);
    tcase_add_test(tcase, random_two_choices_beats_one);
    tcase_add_test(tcase, random_workers_do_not_draw_alike);
    tcase_add_test(tcase, least_time_prefers_the_fast_one);
    tcase_add_test(tcase, least_time_a_peak_counts_at_once);
    tcase_add_test(tcase, least_time_a_slow_one_is_tried_again_when_that_has_faded);
    tcase_add_test(tcase, least_time_a_failure_counts_as_a_slow_answer);
    tcase_add_test(tcase, least_time_a_failure_is_forgotten_in_a_dozen_decays);
    tcase_add_test(tcase, least_time_tries_an_unknown_server_by_one_request_at_a_time);
    tcase_add_test(tcase, least_time_serves_many_while_nothing_is_known);
    tcase_add_test(tcase, least_time_equal_ones_take_turns);
    tcase_add_test(tcase, hash_consistent_moves_few_keys);
    tcase_add_test(tcase, hash_that_is_not_consistent_moves_many);
    tcase_add_test(tcase, maglev_moves_few_keys);
    tcase_add_test(tcase, maglev_refuses_a_table_size_that_is_no_prime);
    tcase_add_test(tcase, maglev_shares_are_almost_exact);
    tcase_add_loop_test(tcase, keyed_ones_spread_the_keys_of_a_server_that_is_out, 0,
                        (int)(sizeof keyed / sizeof *keyed));
    suite_add_tcase(suite, tcase);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
