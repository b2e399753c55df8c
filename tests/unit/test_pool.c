/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tests of pools: what pool_create takes, refuses and copies, and that a failure halfway leaves nothing
 * behind (the sanitizers watch that). The modules come from the tree and from tests/strategies.
 */
#include "upstream/pool.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>

#include "modules.h"

#define N_WORKERS 2

static struct server_spec servers[POOL_SERVERS_MAX + 1];
static struct pool_spec spec;
static struct pool *pool;
static char error[512];

/* Three servers: a, b, and c as a backup. */
static void setup(void)
{
    static const char *const names[] = {"a:80", "b:80", "c:80"};

    for (size_t i = 0; i < POOL_SERVERS_MAX + 1; i++)
        servers[i] = (struct server_spec){
            .name = names[i < 3 ? i : 0], .weight = 1, .max_fails = 1, .fail_timeout_ms = 10000};
    servers[2].backup = true;
    spec = (struct pool_spec){.name = "site",
                              .balancers_dir = modules_of_the_tree(),
                              .n_servers = 3,
                              .servers = servers,
                              .keepalive = 7};
}

static void expect_refused(int result, const char *part)
{
    int got = pool_create(&spec, N_WORKERS, NULL, &pool, error, sizeof error);

    ck_assert_msg(got == result, "%d instead of %d: %s", got, result, error);
    ck_assert_msg(strstr(error, part) != NULL, "no \"%s\" in: %s", part, error);
    ck_assert_ptr_null(pool);
}

static void create(void)
{
    int result = pool_create(&spec, N_WORKERS, NULL, &pool, error, sizeof error);
    ck_assert_msg(result == 0, "%s", error);
}

static void destroy(void)
{
    struct server_state *states = pool_put(pool);

    while (states) {
        struct server_state *next = states->next;

        server_state_free(states);
        states = next;
    }
}

START_TEST(balances_by_round_robin_unless_told_otherwise)
{
    create();
    ck_assert_str_eq(pool_strategy(pool), "round_robin");
    ck_assert_uint_eq(pool_key_kind(pool), 0);
    destroy();
    spec.balance = "rendezvous";
    spec.balancers_dir = modules_dir;
    create();
    ck_assert_str_eq(pool_strategy(pool), "rendezvous");
    ck_assert_uint_eq(pool_key_kind(pool), FAIRLEAD_KEYED);
    destroy();
}
END_TEST

START_TEST(copies_everything_it_keeps)
{
    char pool_name_text[] = "site", server_name[] = "a:80", route[] = "r";

    spec.name = pool_name_text;
    servers[0].name = server_name;
    servers[0].weight = 5;
    servers[0].route = route;
    servers[0].down = servers[0].drain = true;
    servers[0].max_conns = 9;
    servers[0].slow_start_ms = 30;
    servers[0].max_fails = 3;
    servers[0].address.len = 7;
    create();
    memset(pool_name_text, 'x', 4);
    memset(server_name, 'x', 4);
    memset(route, 'x', 1);
    memset(servers, 0xff, sizeof servers);
    ck_assert_str_eq(pool_name(pool), "site");
    ck_assert_uint_eq(pool_n_servers(pool), 3);
    ck_assert_uint_eq(pool_settings(pool)->keepalive, 7);
    const struct server *server = pool_server(pool, 0);
    ck_assert_str_eq(server->name, "a:80");
    ck_assert_uint_eq(server->weight, 5);
    ck_assert_uint_eq(server->max_fails, 3);
    ck_assert_uint_eq(server->fail_timeout_ms, 10000);
    ck_assert_uint_eq(server->address.len, 7);
    ck_assert_uint_eq(server->max_conns, 9);
    ck_assert_uint_eq(server->slow_start_ms, 30);
    ck_assert_str_eq(server->route, "r");
    ck_assert_uint_eq(server_flags(server), SERVER_DOWN | SERVER_DRAIN);
    ck_assert(!server->backup);
    destroy();
}
END_TEST

START_TEST(keeps_the_order_of_the_configuration_over_both_tiers)
{
    servers[0].backup = true;
    create();
    ck_assert_str_eq(pool_server(pool, 0)->name, "a:80");
    ck_assert_str_eq(pool_server(pool, 1)->name, "b:80");
    ck_assert_str_eq(pool_server(pool, 2)->name, "c:80");
    for (uint32_t i = 0; i < 3; i++)
        ck_assert_uint_eq(pool_server(pool, i)->index, i);
    ck_assert(pool_server(pool, 0)->backup && !pool_server(pool, 1)->backup);
    destroy();
}
END_TEST

START_TEST(gives_the_words_of_each_server_lines_of_their_own)
{
    create();
    for (size_t i = 0; i < 3; i++) {
        const struct server_state *state = pool_server(pool, i)->state;

        ck_assert_uint_eq((uintptr_t)state % 64, 0);
        ck_assert_uint_eq((uintptr_t)&state->picked % 64, 0); /* written with every request */
        ck_assert_uint_eq((uintptr_t)&state->flags % 64, 0);  /* read with every request, seldom written */
        ck_assert_uint_ge((uintptr_t)&state->flags - (uintptr_t)&state->picked, 64);
        for (size_t worker = 0; worker < N_WORKERS; worker++)
            ck_assert_uint_eq((uintptr_t)&state->links[worker] % 64, 0); /* written by one worker */
        ck_assert_uint_eq((uintptr_t)pool_server(pool, 0)->state->in_flight % 64, 0);
        ck_assert_ptr_eq(state->in_flight, pool_server(pool, 0)->state->in_flight + i); /* side by side */
    }
    destroy();
}
END_TEST

START_TEST(refuses_too_few_and_too_many_servers)
{
    spec.n_servers = 0;
    expect_refused(-EINVAL, "has 0 servers");
    spec.n_servers = POOL_SERVERS_MAX + 1;
    expect_refused(-EINVAL, "1 to 1024");
    spec.n_servers = POOL_SERVERS_MAX;
    create();
    destroy();
}
END_TEST

START_TEST(refuses_a_weight_out_of_range)
{
    servers[1].weight = 65536;
    expect_refused(-EINVAL, "\"b:80\"");
    expect_refused(-EINVAL, "65536 is not in 0 to 65535");
    servers[1].weight = 0;
    create();
    destroy();
    servers[1].weight = 65535;
    create();
    destroy();
}
END_TEST

START_TEST(refuses_a_share_above_the_whole)
{
    servers[1].share = 101;
    expect_refused(-EINVAL, "share 101 is above 100 percent");
    servers[1].share = 100;
    create();
    ck_assert_uint_eq(pool_server(pool, 0)->share, SHARE_WHOLE);
    ck_assert_uint_eq(pool_server(pool, 1)->share, SHARE_WHOLE);
    destroy();
}
END_TEST

START_TEST(refuses_more_failures_than_it_can_remember)
{
    servers[1].max_fails = POOL_FAILS_MAX + 1;
    expect_refused(-EINVAL, "max_fails 1001 not in 0 to 1000");
    servers[1].max_fails = POOL_FAILS_MAX;
    create();
    destroy();
}
END_TEST

START_TEST(refuses_a_pool_of_backups_only)
{
    servers[0].backup = servers[1].backup = true;
    expect_refused(-EINVAL, "only backup servers");
}
END_TEST

START_TEST(accepts_a_pool_whose_servers_are_all_down)
{
    servers[0].down = servers[1].down = servers[2].down = true;
    create();
    destroy();
}
END_TEST

START_TEST(passes_on_what_the_loader_says)
{
    spec.balance = "nonexistent";
    expect_refused(-ENOENT, "no strategy \"nonexistent\"");
    spec.balance = "wrong_version";
    spec.balancers_dir = modules_broken;
    expect_refused(-EINVAL, "compile it anew");
}
END_TEST

START_TEST(passes_on_what_the_strategy_says_and_destroys_the_other_plan)
{
    spec.balance = "bad_plan";
    spec.balancers_dir = modules_broken;
    expect_refused(-EINVAL, "one tier is enough");
    expect_refused(-EINVAL, "one tier is enough");
    spec.n_servers = 2;
    create();
    destroy();
}
END_TEST

START_TEST(holds_options_to_their_range)
{
    int64_t limit = 0;

    spec.balance = "first_free";
    spec.balancers_dir = modules_dir;
    spec.options = &limit;
    expect_refused(-EINVAL, "first_free_limit is 0, and must be from 1 to 65535");
    limit = 65536;
    expect_refused(-EINVAL, "first_free_limit is 65536");
    limit = 65535;
    create();
    destroy();
}
END_TEST

/* As the control and the health thread do, each with a flag of its own: out and in again, as close together
 * as can be. */
#define N_ROUNDS 5000

static atomic_int change_sum; /* of all edges that pool_update_promotion told */
static atomic_uint n_arrived, n_wrong;

static void meet(unsigned meeting)
{
    n_arrived++;
    while (n_arrived < 2 * meeting)
        sched_yield();
}

static void *go_out_and_in(void *argument)
{
    uint32_t flag = *(const uint32_t *)argument;

    for (unsigned round = 0; round < N_ROUNDS; round++) {
        for (size_t server = 0; server < 2; server++)
            pool_change_flags(pool, pool_server(pool, server), flag, 0, 1);
        change_sum += pool_update_promotion(pool);
        meet(3 * round + 1);
        for (size_t server = 0; server < 2; server++)
            pool_change_flags(pool, pool_server(pool, server), 0, flag, 1);
        change_sum += pool_update_promotion(pool);
        meet(3 * round + 2);
        n_wrong += change_sum != 0 || pool_backups_promoted(pool);
        meet(3 * round + 3);
    }
    return NULL;
}

START_TEST(threads_that_change_flags_together_leave_the_right_promotion)
{
    uint32_t flags[] = {SERVER_DOWN, SERVER_CHECK_DOWN};
    pthread_t threads[2];

    create();
    for (size_t i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, go_out_and_in, &flags[i]), 0);
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(n_wrong, 0);
    destroy();
}
END_TEST

START_TEST(has_a_picker_for_each_worker)
{
    create();
    ck_assert_ptr_nonnull(pool_picker(pool, 0));
    ck_assert_ptr_nonnull(pool_picker(pool, 1));
    ck_assert_ptr_ne(pool_picker(pool, 0), pool_picker(pool, 1));
    destroy();
}
END_TEST

START_TEST(may_put_nothing)
{
    ck_assert_ptr_null(pool_put(NULL));
    server_state_free(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pool");
    TCase *tcase = tcase_create("pool");

    if (modules_build() != 0)
        return 1;
    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, balances_by_round_robin_unless_told_otherwise);
    tcase_add_test(tcase, copies_everything_it_keeps);
    tcase_add_test(tcase, keeps_the_order_of_the_configuration_over_both_tiers);
    tcase_add_test(tcase, gives_the_words_of_each_server_lines_of_their_own);
    tcase_add_test(tcase, refuses_too_few_and_too_many_servers);
    tcase_add_test(tcase, refuses_a_weight_out_of_range);
    tcase_add_test(tcase, refuses_a_share_above_the_whole);
    tcase_add_test(tcase, refuses_more_failures_than_it_can_remember);
    tcase_add_test(tcase, refuses_a_pool_of_backups_only);
    tcase_add_test(tcase, accepts_a_pool_whose_servers_are_all_down);
    tcase_add_test(tcase, passes_on_what_the_loader_says);
    tcase_add_test(tcase, passes_on_what_the_strategy_says_and_destroys_the_other_plan);
    tcase_add_test(tcase, holds_options_to_their_range);
    tcase_add_test(tcase, threads_that_change_flags_together_leave_the_right_promotion);
    tcase_add_test(tcase, has_a_picker_for_each_worker);
    tcase_add_test(tcase, may_put_nothing);
    suite_add_tcase(suite, tcase);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    modules_remove();
    return failed != 0;
}
