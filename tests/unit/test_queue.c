/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The promises of proxy/queue.h: first come, first served over all workers, limits, time outs, and that no
 * freed place is left unused while a request waits. Three workers that do not run, and one server with two
 * places.
 */
#include "exchange_bench.h"

static const char configuration[] =
    "workers = 3;"
    "upstreams: { web: { queue: { size = 5; timeout = \"10s\"; };"
    "  servers = ( { address = \"127.0.0.1:9\"; max_conns = 2; } ); }; };"
    "sites = ( { locations = ( { path = \"/\"; proxy_pass = \"http://web\"; } ); } );";

static void occupy(void)
{
    struct pick_request request = {.bound = PICKER_NONE};

    ck_assert_int_eq(picker_pick(others, &request, 1), 0);
}

/* One of the test's own requests leaves, as seen by worker 0. */
static void leave_server(void)
{
    ck_assert_int_eq(picker_outcome(others, 0, FAIRLEAD_OK, 0, 1), PICKER_NO_NEWS);
    picker_release(others, 0);
    queue_place_freed(snapshot->lines[0]);
}

static void setup(void)
{
    exchanges_begin(configuration);
    occupy();
    occupy();
}

static struct client *expect_queued(unsigned worker)
{
    struct client *client = send_request(worker, GET("/"));

    read_letters();
    ck_assert_int_eq(state_of(client), EXCHANGE_QUEUED);
    return client;
}

/* Who waits at which worker, in the order of their coming. */
static const unsigned arrivals[][5] = {
    {0, 0, 0, 0, 0}, {0, 1, 2, 0, 1}, {2, 1, 0, 2, 1}, {1, 0, 0, 1, 2}, {2, 2, 1, 1, 0},
};

START_TEST(first_come_first_served_over_all_workers)
{
    struct client *clients[5];

    for (int i = 0; i < 5; i++)
        clients[i] = expect_queued(arrivals[_i][i]);
    leave_server();
    leave_server();
    read_letters();
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(state_of(clients[i]), i < 2 ? EXCHANGE_CONNECTING : EXCHANGE_QUEUED);
    for (int served = 2; served < 5; served++) {
        client_stop_now(clients[served - 2]); /* frees its place */
        read_letters();
        ck_assert_int_eq(state_of(clients[served]), EXCHANGE_CONNECTING);
        for (int i = served + 1; i < 5; i++)
            ck_assert_int_eq(state_of(clients[i]), EXCHANGE_QUEUED);
    }
    ck_assert(!queue_is_waited_in(clients[4]->exchange));
}
END_TEST

START_TEST(places_freed_at_once_all_are_used)
{
    struct client *first = expect_queued(1), *second = expect_queued(2);

    leave_server();
    leave_server(); /* worker 1 has a letter already */
    read_letters();
    ck_assert_int_eq(state_of(first), EXCHANGE_CONNECTING);
    ck_assert_int_eq(state_of(second), EXCHANGE_CONNECTING);
}
END_TEST

START_TEST(a_letter_that_comes_too_late_is_passed_on)
{
    struct client *first = expect_queued(1), *second = expect_queued(2);

    leave_server();
    client_stop_now(first); /* before the letter is read */
    read_letters();
    ck_assert_int_eq(state_of(second), EXCHANGE_CONNECTING);
}
END_TEST

START_TEST(a_place_freed_while_a_request_enters_is_found)
{
    struct client *client = send_request(1, GET("/"));

    ck_assert_int_eq(state_of(client), EXCHANGE_QUEUED);
    ck_assert_int_eq(picker_outcome(others, 0, FAIRLEAD_OK, 0, 1), PICKER_NO_NEWS);
    picker_release(others, 0); /* and who freed it saw nobody wait */
    read_letters();
    ck_assert_int_eq(state_of(client), EXCHANGE_CONNECTING);
}
END_TEST

START_TEST(who_comes_later_does_not_overtake)
{
    struct client *first = expect_queued(0), *second;

    leave_server();
    second = send_request(2, GET("/")); /* the place is free, and it is the first one's */
    ck_assert_int_eq(state_of(second), EXCHANGE_QUEUED);
    read_letters();
    ck_assert_int_eq(state_of(first), EXCHANGE_CONNECTING);
    ck_assert_int_eq(state_of(second), EXCHANGE_QUEUED);
}
END_TEST

START_TEST(a_full_queue_refuses_nobody_while_a_place_is_free)
{
    struct client *late;

    for (unsigned i = 0; i < 5; i++)
        expect_queued(i % 3);
    leave_server(); /* whose letter is on its way */
    late = send_request(1, GET("/"));
    ck_assert_int_eq(state_of(late), EXCHANGE_CONNECTING);
    ck_assert_uint_eq(services[1]->counters.queue_full, 0);
}
END_TEST

START_TEST(beyond_its_size_requests_are_answered_503)
{
    struct client *client;

    for (unsigned i = 0; i < 5; i++)
        expect_queued(i % 3);
    client = send_request(1, GET("/"));
    ck_assert_int_eq(answered(client), 503);
    ck_assert_int_eq(client->state, CLIENT_IDLE);
    ck_assert_uint_eq(services[1]->counters.queue_full, 1);
    ck_assert_uint_eq(services[0]->counters.queued, 2);
}
END_TEST

START_TEST(who_waits_too_long_is_answered_503)
{
    struct client *early = expect_queued(1), *late;

    bench_time(6000);
    late = expect_queued(1);
    bench_time(10999);
    ck_assert_int_eq(state_of(early), EXCHANGE_QUEUED);
    bench_time(11060); /* the queue is looked at every 50 ms */
    ck_assert_int_eq(answered(early), 503);
    ck_assert_int_eq(state_of(late), EXCHANGE_QUEUED);
    ck_assert_uint_eq(services[1]->counters.queue_timeouts, 1);
    leave_server();
    read_letters();
    ck_assert_int_eq(state_of(late), EXCHANGE_CONNECTING);
}
END_TEST

START_TEST(a_lost_letter_costs_a_moment)
{
    struct client *client = expect_queued(2);

    ck_assert_int_eq(picker_outcome(others, 0, FAIRLEAD_OK, 0, 1), PICKER_NO_NEWS);
    picker_release(others, 0); /* nobody is told */
    bench_time(1060);
    ck_assert_int_eq(state_of(client), EXCHANGE_CONNECTING);
}
END_TEST

START_TEST(clients_may_go_in_any_order)
{
    struct client *clients[5];

    for (int i = 0; i < 5; i++)
        clients[i] = expect_queued(0);
    client_stop_now(clients[2]); /* in the middle, first, last */
    client_stop_now(clients[0]);
    client_stop_now(clients[4]);
    leave_server();
    leave_server();
    read_letters();
    ck_assert_int_eq(state_of(clients[1]), EXCHANGE_CONNECTING);
    ck_assert_int_eq(state_of(clients[3]), EXCHANGE_CONNECTING);
    ck_assert(!queue_is_waited_in(clients[1]->exchange));
}
END_TEST

START_TEST(without_a_server_in_service_they_are_answered_503)
{
    struct client *client = expect_queued(0);

    pool_change_flags(snapshot->pools[0], pool_server(snapshot->pools[0], 0), SERVER_CHECK_DOWN, 0, 1);
    bench_time(1060);
    ck_assert_int_eq(answered(client), 503);
}
END_TEST

/* The same as before in other memory, or with a location in the way: as a reload reads it. */
static const char *const rereads[] = {
    NULL, configuration,
    "workers = 3; upstreams: { web: { queue: { size = 5; timeout = \"10s\"; };"
    "  servers = ( { address = \"127.0.0.1:9\"; max_conns = 2; } ); }; };"
    "sites = ( { locations = ( { path = \"/\"; respond: { }; }, { path = \"/x\"; proxy_pass = \"http://web\"; } ); } );"};

static struct loaded *reread(const char *text)
{
    struct loaded *loaded;

    if (!text)
        return loaded_get(snapshot->loaded);
    ck_assert_msg(fake_load(text) == 0, "%s", fake_findings);
    loaded = loaded_create(fake_config);
    fake_config = NULL;
    return loaded;
}

/* Another snapshot, with one server more in the pool. */
static struct snapshot *add_server(struct loaded *loaded)
{
    const struct pool_spec *had = pool_settings(snapshot->pools[0]);
    struct server_spec servers[2] = {had->servers[0], had->servers[0]};
    struct pool_spec spec = *had;
    struct pool *pool;
    struct snapshot_parts parts = {.loaded = loaded,
                                   .pools = &pool,
                                   .listeners = snapshot->listeners,
                                   .workers = bench_workers,
                                   .n_workers = n_services,
                                   .secret = (const uint8_t[SNAPSHOT_SECRET_SIZE]){1}};
    struct snapshot *next;
    char error[256];

    servers[1].name = "127.0.0.2:9";
    spec.servers = servers;
    spec.n_servers = 2;
    ck_assert_int_eq(pool_create(&spec, BENCH_WORKERS_MAX + 1, snapshot->pools[0], &pool, error, sizeof(error)), 0);
    ck_assert_int_eq(snapshot_create(&parts, snapshot, &next), 0);
    pool_commit(pool, snapshot->pools[0], 1000);
    for (unsigned i = 0; i < n_services; i++)
        service_follow(bench_workers[i], next);
    loaded_put(loaded);
    return next;
}

START_TEST(who_waits_is_served_by_a_server_that_is_added) /* while running, and by a reload */
{
    struct client *first = expect_queued(1), *second = expect_queued(2), *third = expect_queued(0);
    struct snapshot *before = snapshot;

    snapshot = add_server(reread(rereads[_i]));
    ck_assert(!snapshot_is_unused(before));
    bench_time(1000 + 60); /* each looks every 50 ms */
    read_letters();
    ck_assert_int_eq(state_of(first), EXCHANGE_CONNECTING);
    ck_assert_int_eq(state_of(second), EXCHANGE_CONNECTING);
    ck_assert_str_eq(second->exchange->attempt.tried_last->name, "127.0.0.2:9");
    ck_assert_int_eq(state_of(third), EXCHANGE_QUEUED); /* it has two places as well */
    ck_assert(snapshot_is_unused(before)); /* nobody holds the old one any more */
    ck_assert_ptr_null(snapshot_destroy(before));
}
END_TEST

START_TEST(who_waits_stays_with_its_server_where_the_location_is_another_one)
{
    struct client *client = expect_queued(1);
    struct snapshot *before = snapshot;

    snapshot = add_server(reread(rereads[2]));
    bench_time(1000 + 60);
    read_letters();
    ck_assert_int_eq(state_of(client), EXCHANGE_QUEUED);
    leave_server();
    read_letters();
    ck_assert_int_eq(state_of(client), EXCHANGE_CONNECTING);
    ck_assert_str_eq(client->exchange->attempt.tried_last->name, "127.0.0.1:9");
    ck_assert(!snapshot_is_unused(before));
    client_stop_now(client);
    ck_assert(snapshot_is_unused(before));
    read_letters();
    ck_assert_ptr_null(snapshot_destroy(before));
}
END_TEST

START_TEST(a_group_without_a_queue_answers_503_at_once)
{
    struct client *client;

    exchanges_end();
    exchanges_begin(
        "workers = 1; upstreams: { web: { servers = ( { address = \"127.0.0.1:9\"; max_conns = 1; } ); }; };"
        "sites = ( { locations = ( { path = \"/\"; proxy_pass = \"http://web\"; } ); } );");
    occupy();
    client = send_request(0, GET("/"));
    ck_assert_int_eq(answered(client), 503);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("queue");
    TCase *tests = tcase_create("promises");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, setup, exchanges_end);
    tcase_add_loop_test(tests, first_come_first_served_over_all_workers, 0, 5);
    tcase_add_test(tests, places_freed_at_once_all_are_used);
    tcase_add_test(tests, a_letter_that_comes_too_late_is_passed_on);
    tcase_add_test(tests, a_place_freed_while_a_request_enters_is_found);
    tcase_add_test(tests, who_comes_later_does_not_overtake);
    tcase_add_test(tests, a_full_queue_refuses_nobody_while_a_place_is_free);
    tcase_add_test(tests, beyond_its_size_requests_are_answered_503);
    tcase_add_test(tests, who_waits_too_long_is_answered_503);
    tcase_add_test(tests, a_lost_letter_costs_a_moment);
    tcase_add_test(tests, clients_may_go_in_any_order);
    tcase_add_test(tests, without_a_server_in_service_they_are_answered_503);
    tcase_add_loop_test(tests, who_waits_is_served_by_a_server_that_is_added, 0, 2);
    tcase_add_test(tests, who_waits_stays_with_its_server_where_the_location_is_another_one);
    tcase_add_test(tests, a_group_without_a_queue_answers_503_at_once);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
