/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tests of the picker: tiers, servers already tried, the passive check with its trial and its recovery, the
 * counters, and what the strategy is told. Time is injected, in milliseconds. The last test runs several
 * workers on one pool, for the thread sanitizer.
 */
#include "upstream/picker.h"

#include <check.h>
#include <dlfcn.h>
#include <pthread.h>

#include "modules.h"

#define NS_PER_MS  UINT64_C(1000000)
#define TIMEOUT_MS 10000u

static struct server_spec servers[POOL_SERVERS_MAX];
static struct pool_spec spec;
static struct pool *pool;
static struct picker *one, *two; /* two workers */

/* Servers of weight 1, taken out by one failure for ten seconds; the test changes what it wants and calls
 * start. */
static void setup(void)
{
    for (size_t i = 0; i < POOL_SERVERS_MAX; i++)
        servers[i] =
            (struct server_spec){.name = "s:80", .weight = 1, .max_fails = 1, .fail_timeout_ms = TIMEOUT_MS};
    spec = (struct pool_spec){.name = "site", .balancers_dir = modules_of_the_tree(), .servers = servers};
}

static void start(size_t n_servers)
{
    char error[512];

    spec.n_servers = n_servers;
    int result = pool_create(&spec, &pool, error, sizeof error);
    ck_assert_msg(result == 0, "%s", error);
    one = picker_create(pool, 0);
    two = picker_create(pool, 1);
    ck_assert(one && two);
}

static void teardown(void)
{
    for (size_t i = 0; pool && i < pool_n_servers(pool); i++)
        ck_assert_uint_eq(pool_server(pool, i)->in_flight, 0);
    picker_destroy(one);
    picker_destroy(two);
    pool_destroy(pool);
    pool = NULL;
    one = two = NULL;
}

static int take(struct picker *picker, uint64_t now_ms)
{
    return picker_pick(picker, NULL, 0, now_ms * NS_PER_MS);
}

static bool end(struct picker *picker, int server, enum fairlead_outcome outcome, uint64_t now_ms)
{
    return picker_done(picker, server, outcome, 1, now_ms * NS_PER_MS);
}

/* One request from begin to end. */
static int serve(struct picker *picker, enum fairlead_outcome outcome, uint64_t now_ms)
{
    int server = take(picker, now_ms);

    if (server != PICKER_NONE)
        end(picker, server, outcome, now_ms);
    return server;
}

/* Picks until the wanted server comes; the others answer well. It is left in flight. */
static void take_server(struct picker *picker, int wanted, uint64_t now_ms)
{
    for (int i = 0; i < 2 * (int)pool_n_servers(pool) + 2; i++) {
        int server = take(picker, now_ms);
        ck_assert_int_ne(server, PICKER_NONE);
        if (server == wanted)
            return;
        end(picker, server, FAIRLEAD_OK, now_ms);
    }
    ck_abort_msg("server %d was not picked", wanted);
}

static bool fail_server(struct picker *picker, int wanted, uint64_t now_ms)
{
    take_server(picker, wanted, now_ms);
    return end(picker, wanted, FAIRLEAD_FAILED, now_ms);
}

/* How many of a hundred requests the server gets. */
static int share(struct picker *picker, int wanted, uint64_t now_ms)
{
    int n = 0;

    for (int i = 0; i < 100; i++)
        n += serve(picker, FAIRLEAD_OK, now_ms) == wanted;
    return n;
}

static uint64_t out_until(size_t server)
{
    return pool_server(pool, server)->out_until_ms;
}

START_TEST(round_robin_gives_a_a_b_a_c_a_a_for_weights_5_1_1)
{
    static const int order[] = {0, 0, 1, 0, 2, 0, 0};

    servers[0].weight = 5;
    start(3);
    for (int i = 0; i < 21; i++)
        ck_assert_int_eq(serve(one, FAIRLEAD_OK, 1), order[i % 7]);
}
END_TEST

START_TEST(workers_start_at_different_servers)
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
        int server = picker_pick(one, &tried, 0, 1);
        ck_assert_int_ne(server, PICKER_NONE);
        ck_assert_int_eq(seen[server]++, 0);
        ck_assert_msg(i == 2 || server != 0, "the backup came before the primaries");
        end(one, server, FAIRLEAD_OK, 1);
    }
    ck_assert_uint_eq(tried.count, 3);
    ck_assert_int_eq(picker_pick(one, &tried, 0, 1), PICKER_NONE);
    ck_assert_uint_eq(tried.count, 3);
}
END_TEST

START_TEST(what_one_request_tried_is_open_to_the_next)
{
    start(2);
    for (int i = 0; i < 10; i++) {
        struct tried tried = {0};
        for (int k = 0; k < 2; k++)
            end(one, picker_pick(one, &tried, 0, 1), FAIRLEAD_OK, 1);
    }
}
END_TEST

START_TEST(one_failure_takes_a_server_out_for_all_workers)
{
    start(3);
    ck_assert_int_gt(share(two, 1, 1000), 0);
    ck_assert(fail_server(one, 1, 1000));
    ck_assert_int_eq(share(one, 1, 1000), 0);
    ck_assert_int_eq(share(two, 1, 10999), 0);
    ck_assert_uint_eq(pool_server(pool, 1)->failed, 1);
}
END_TEST

START_TEST(max_fails_counts_within_the_window_only)
{
    servers[1].max_fails = 3;
    start(2);
    ck_assert(!fail_server(one, 1, 1000));
    ck_assert(!fail_server(two, 1, 10999));
    ck_assert(!fail_server(one, 1, 11000)); /* the first of a new window */
    ck_assert(!fail_server(two, 1, 12000));
    ck_assert_int_gt(share(one, 1, 12000), 0); /* successes in the window forgive nothing */
    ck_assert(fail_server(one, 1, 20999));
    ck_assert_int_eq(share(two, 1, 21000), 0);
}
END_TEST

START_TEST(max_fails_0_and_fail_timeout_0_never_take_a_server_out)
{
    servers[0].max_fails = 0;
    servers[1].fail_timeout_ms = 0;
    start(2);
    for (int i = 0; i < 50; i++) {
        ck_assert(!fail_server(one, 0, 1000));
        ck_assert(!fail_server(one, 1, 1000));
    }
}
END_TEST

START_TEST(a_single_server_is_never_taken_out)
{
    start(1);
    for (int i = 0; i < 10; i++)
        ck_assert(!fail_server(one, 0, 1000));
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
    ck_assert(!end(one, 1, FAIRLEAD_CANCELLED, 1000));
    ck_assert_int_eq(share(one, 1, 1000), 50);
    ck_assert_uint_eq(pool_server(pool, 1)->failed, 0);
}
END_TEST

START_TEST(old_failures_of_a_server_that_is_out_neither_prolong_nor_log)
{
    start(2);
    for (int i = 0; i < 3; i++)
        take_server(one, 1, 1000);
    ck_assert(end(one, 1, FAIRLEAD_FAILED, 1000));
    ck_assert(!end(one, 1, FAIRLEAD_FAILED, 5000));
    ck_assert_uint_eq(out_until(1), 11000);
    ck_assert(!end(one, 1, FAIRLEAD_OK, 6000)); /* nor does an old success put it back */
    ck_assert_uint_eq(out_until(1), 11000);
    ck_assert_uint_eq(pool_server(pool, 1)->failed, 2);
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
    ck_assert(!end(two, 1, FAIRLEAD_OK, 20999));
    ck_assert_int_eq(share(one, 1, 20999), 50);
    ck_assert_uint_eq(out_until(1), 0);
    ck_assert_uint_eq(pool_server(pool, 1)->fails, 0);
}
END_TEST

START_TEST(a_failed_trial_keeps_the_server_out)
{
    start(2);
    ck_assert(fail_server(one, 1, 1000));
    take_server(one, 1, 12000);
    ck_assert(!end(one, 1, FAIRLEAD_FAILED, 13000));
    ck_assert_uint_eq(out_until(1), 23000);
    ck_assert_int_eq(share(one, 1, 22999), 0);
    ck_assert_int_gt(share(one, 1, 23000), 0);
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
    ck_assert(!end(one, 1, FAIRLEAD_FAILED, 22000)); /* overtaken: it does not move the other's deadline */
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
    ck_assert(!fail_server(one, 1, 11000));
    ck_assert(fail_server(one, 1, 11000));
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

START_TEST(when_everything_has_failed_everything_comes_back)
{
    servers[1].backup = true;
    servers[3].down = true;
    start(4);
    ck_assert(fail_server(one, 0, 1000));
    ck_assert(fail_server(one, 2, 1000));
    ck_assert_int_eq(serve(one, FAIRLEAD_FAILED, 1000), 1);
    ck_assert_uint_ne(out_until(0), 0);
    int server = serve(two, FAIRLEAD_OK, 1001);
    ck_assert(server == 0 || server == 2);
    for (size_t i = 0; i < 4; i++)
        ck_assert_uint_eq(out_until(i), 0);
    ck_assert_int_eq(share(one, 0, 1001), 50);
    ck_assert_int_eq(share(one, 3, 1001), 0);
}
END_TEST

START_TEST(the_recovery_leaves_out_what_the_request_has_tried)
{
    struct tried tried = {0};

    start(2);
    ck_assert(fail_server(two, 1, 1000));
    int first = picker_pick(one, &tried, 0, 2000 * NS_PER_MS);
    ck_assert_int_eq(first, 0);
    ck_assert(end(one, first, FAIRLEAD_FAILED, 2000));
    ck_assert_int_eq(picker_pick(one, &tried, 0, 2000 * NS_PER_MS), 1);
    ck_assert_uint_eq(out_until(0), 12000);
    end(one, 1, FAIRLEAD_OK, 2000);
    ck_assert_int_eq(picker_pick(one, &tried, 0, 2000 * NS_PER_MS), PICKER_NONE);
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
            int server = picker_pick(one, &tried, 0, 1);
            ck_assert_int_ne(server, PICKER_NONE);
            ck_assert_int_eq(server % 2, i < sizes[s] / 2);
            end(one, server, FAIRLEAD_FAILED, 1);
        }
        ck_assert_int_eq(picker_pick(one, &tried, 0, 1), PICKER_NONE);
        teardown();
    }
}
END_TEST

START_TEST(requests_in_flight_and_picks_are_counted)
{
    start(1);
    int server = take(one, 1);
    ck_assert_int_eq(take(two, 1), server);
    ck_assert_uint_eq(pool_server(pool, 0)->in_flight, 2);
    end(one, server, FAIRLEAD_OK, 1);
    end(two, server, FAIRLEAD_FAILED, 1);
    ck_assert_uint_eq(pool_server(pool, 0)->in_flight, 0);
    ck_assert_uint_eq(pool_server(pool, 0)->picked, 2);
    ck_assert_uint_eq(pool_server(pool, 0)->failed, 1);
}
END_TEST

/* As in tests/strategies/tally.c. */
struct tally {
    atomic_ullong picks, outcomes[3], last_latency_ns, last_key, seeds;
};

static struct tally *open_tally(void)
{
    char path[MODULES_PATH_MAX + 16];

    snprintf(path, sizeof path, "%s/tally.so", modules_dir);
    void *handle = dlopen(path, RTLD_NOW);
    ck_assert_ptr_nonnull(handle);
    spec.balance = "tally";
    spec.balancers_dir = modules_dir;
    return dlsym(handle, "tally");
}

START_TEST(the_strategy_learns_the_outcome_of_every_pick)
{
    struct tally *tally = open_tally();

    start(2);
    ck_assert_uint_eq(tally->seeds, 1);
    ck_assert_int_eq(picker_pick(one, NULL, 77, NS_PER_MS), 0);
    ck_assert_uint_eq(tally->last_key, 77);
    picker_done(one, 0, FAIRLEAD_OK, 123, NS_PER_MS);
    ck_assert_uint_eq(tally->last_latency_ns, 123);
    ck_assert_int_eq(picker_pick(one, NULL, 77, NS_PER_MS), 0);
    picker_done(one, 0, FAIRLEAD_FAILED, 123, NS_PER_MS);
    ck_assert_uint_eq(tally->last_latency_ns, 0);
    ck_assert_uint_eq(tally->outcomes[FAIRLEAD_OK], 1);
    ck_assert_uint_eq(tally->outcomes[FAIRLEAD_FAILED], 1);
    ck_assert_uint_eq(tally->outcomes[FAIRLEAD_CANCELLED], 0);
}
END_TEST

/* Workers that hurry: each with requests in flight, outcomes and time at random, so that servers go out and
 * come back all the time. */
#define N_WORKERS  3
#define N_REQUESTS 30000

struct worker {
    pthread_t thread;
    unsigned number;
    uint64_t picked, taken_out;
};

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

static void serve_request(struct worker *self, struct picker *picker, uint64_t *seed, uint64_t now_ms)
{
    struct tried tried = {0};

    for (int attempt = 0; attempt < 3; attempt++) {
        int server = picker_pick(picker, &tried, 0, now_ms * NS_PER_MS);
        enum fairlead_outcome outcome = next_random(seed) % 3;

        ck_assert_int_ne(server, PICKER_NONE);
        ck_assert_int_ne(server, 2); /* the one that is down */
        self->picked++;
        self->taken_out += picker_done(picker, server, outcome, 1, now_ms * NS_PER_MS);
        if (outcome != FAIRLEAD_FAILED)
            return;
    }
}

static void *run_worker(void *argument)
{
    struct worker *self = argument;
    struct picker *picker = picker_create(pool, self->number);
    uint64_t seed = 0x9e3779b97f4a7c15u + self->number, now_ms = 1;

    for (int i = 0; i < N_REQUESTS; i++) {
        now_ms += next_random(&seed) % 2;
        serve_request(self, picker, &seed, now_ms);
    }
    picker_destroy(picker);
    return NULL;
}

START_TEST(workers_share_a_pool_while_servers_go_out_and_come_back)
{
    struct worker workers[N_WORKERS];
    uint64_t picked = 0, taken_out = 0, counted = 0;
    struct tally *tally = _i == 1 ? open_tally() : NULL;

    for (size_t i = 0; i < 6; i++)
        servers[i] = (struct server_spec){.name = "s:80",
                                          .weight = 1,
                                          .max_fails = 1 + i % 2,
                                          .fail_timeout_ms = 5,
                                          .backup = i >= 4,
                                          .down = i == 2};
    start(6);
    for (unsigned i = 0; i < N_WORKERS; i++) {
        workers[i] = (struct worker){.number = i};
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, run_worker, &workers[i]), 0);
    }
    for (unsigned i = 0; i < N_WORKERS; i++) {
        pthread_join(workers[i].thread, NULL);
        picked += workers[i].picked;
        taken_out += workers[i].taken_out;
    }
    for (size_t i = 0; i < 6; i++)
        counted += pool_server(pool, i)->picked;
    ck_assert_uint_eq(picked, counted);
    ck_assert_uint_gt(taken_out, 1000);
    /* Picks that lost their trial to another worker were cancelled, so the strategy's books balance. */
    if (tally)
        ck_assert_uint_eq(tally->picks, tally->outcomes[0] + tally->outcomes[1] + tally->outcomes[2]);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, round_robin_gives_a_a_b_a_c_a_a_for_weights_5_1_1);
    tcase_add_test(tcase, workers_start_at_different_servers);
    tcase_add_test(tcase, a_down_server_is_never_picked);
    tcase_add_test(tcase, none_when_all_are_down);
    tcase_add_test(tcase, each_server_is_tried_once_in_a_request_then_the_backups);
    tcase_add_test(tcase, what_one_request_tried_is_open_to_the_next);
    tcase_add_test(tcase, one_failure_takes_a_server_out_for_all_workers);
    tcase_add_test(tcase, max_fails_counts_within_the_window_only);
    tcase_add_test(tcase, max_fails_0_and_fail_timeout_0_never_take_a_server_out);
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
    tcase_add_test(tcase, when_everything_has_failed_everything_comes_back);
    tcase_add_test(tcase, the_recovery_leaves_out_what_the_request_has_tried);
    tcase_add_test(tcase, pools_of_every_size_find_their_last_server);
    tcase_add_test(tcase, requests_in_flight_and_picks_are_counted);
    tcase_add_test(tcase, the_strategy_learns_the_outcome_of_every_pick);
    tcase_add_loop_test(tcase, workers_share_a_pool_while_servers_go_out_and_come_back, 0, 2);
}

int main(void)
{
    Suite *suite = suite_create("picker");
    TCase *tcase = tcase_create("picker");

    if (modules_build() != 0)
        return 1;
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    add_tests(tcase);
    suite_add_tcase(suite, tcase);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    modules_remove();
    return failed != 0;
}
