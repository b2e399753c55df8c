/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The promises of proxy/retry.h, and of attempt.h as to outcomes: which failures lead to another server, for
 * which requests, within which budget; and that each attempt's outcome and place are given once. Servers are
 * never reached: what becomes of an attempt is told by the test.
 */
#include "exchange_bench.h"

#include <stdio.h>

static struct client *client;

/* Three servers that three failures take out; `retry` is the inside of the group of that name. */
static void begin(const char *retry)
{
    static char text[2048];

    snprintf(text, sizeof(text),
             "workers = 1;"
             "upstreams: { web: { retry: { %s }; passive: { statuses = [ 503 ]; };"
             "  servers = ( { address = \"127.0.0.1:9\"; max_fails = 3; }, { address = \"127.0.0.1:10\"; "
             "max_fails = 3; },"
             "   { address = \"127.0.0.1:11\"; max_fails = 3; } ); }; };"
             "sites = ( { locations = ( { path = \"/\"; proxy_pass = \"http://web\"; } ); } );",
             retry);
    exchanges_begin(text);
}

static const struct server *server_of(size_t index)
{
    return pool_server(snapshot->pools[0], index);
}

static unsigned in_flight(void)
{
    unsigned n = 0;

    for (size_t i = 0; i < 3; i++)
        n += atomic_load(server_of(i)->state->in_flight);
    return n;
}

static uint64_t failures(void)
{
    uint64_t n = 0;

    for (size_t i = 0; i < 3; i++)
        n += server_of(i)->state->failed;
    return n;
}

/* As if it had been connected and the request sent. */
static void send_to_server(void)
{
    struct stream *link = &client->exchange->attempt.link->stream;

    ck_assert_int_eq(state_of(client), EXCHANGE_CONNECTING);
    link->type->on_connected(link, 0);
    bench_drain(link);
    ck_assert_int_eq(state_of(client), EXCHANGE_AWAITING);
}

/* What happens to a request after it was sent. Returns whether it is tried at another server. */
static bool fail_sent(enum retry_cause cause)
{
    unsigned count = client->exchange->attempt.count;

    send_to_server();
    attempt_failed(client->exchange, cause, 502, "test", 0);
    return client->exchange && client->exchange->attempt.count == count + 1;
}

#define POST "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
#define PUT  "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"

static const struct {
    const char *retry, *request;
    enum retry_cause cause;
    bool retried;
} rules[] = {
    {"", GET("/"), RETRY_ERROR, true},
    {"", GET("/"), RETRY_TIMEOUT, true},
    {"", GET("/"), RETRY_INVALID_HEADER, false},
    {"", POST, RETRY_ERROR, false},
    {"", PUT, RETRY_ERROR, true},
    {"body = \"4b\";", PUT, RETRY_ERROR, false}, /* longer than what is kept */
    {"body = \"5b\";", PUT, RETRY_ERROR, true},
    {"body = \"0\";", PUT, RETRY_ERROR, false},
    {"body = \"0\";", GET("/"), RETRY_ERROR, true},
    {"on = [ \"timeout\" ];", GET("/"), RETRY_ERROR, false},
    {"on = [ \"timeout\", \"invalid_header\" ];", GET("/"), RETRY_INVALID_HEADER, true},
    {"on = [ ];", GET("/"), RETRY_ERROR, false},
    {"on = [ \"error\", \"non_idempotent\" ];", POST, RETRY_ERROR, true},
    {"on = [ \"error\", \"non_idempotent\" ];", POST, RETRY_TIMEOUT, false},
    {"attempts = 1;", GET("/"), RETRY_ERROR, false},
    {"budget = 0;", GET("/"), RETRY_ERROR, false},
};

START_TEST(a_request_that_was_sent_is_tried_again_by_the_rules)
{
    begin(rules[_i].retry);
    client = send_request(0, rules[_i].request);
    ck_assert_int_eq(fail_sent(rules[_i].cause), rules[_i].retried);
    ck_assert_uint_eq(failures(), 1);
    ck_assert_uint_eq(in_flight(), rules[_i].retried);
    if (!rules[_i].retried)
        ck_assert_int_eq(answered(client), 502);
}
END_TEST

START_TEST(each_server_is_tried_once_up_to_attempts)
{
    begin(_i == 0 ? "" : _i == 1 ? "attempts = 2;" : "attempts = 7;");
    client = send_request(0, GET("/"));
    for (int left = _i == 1 ? 1 : 2; left > 0; left--)
        ck_assert(fail_sent(RETRY_ERROR));
    ck_assert(!fail_sent(RETRY_ERROR));
    ck_assert_int_eq(answered(client), 502);
    ck_assert_uint_eq(failures(), _i == 1 ? 2 : 3);
}
END_TEST

START_TEST(after_the_time_none_is_tried)
{
    begin("timeout = \"5s\";");
    client = send_request(0, GET("/"));
    bench_time(5999);
    ck_assert(fail_sent(RETRY_ERROR));
    bench_time(6000);
    ck_assert(!fail_sent(RETRY_ERROR));
}
END_TEST

/* A server that cannot be connected to has not got the request: neither method nor budget matter. */
START_TEST(a_refused_connection_always_leads_on)
{
    begin("on = [ ]; budget = 0; body = \"0\";");
    client = send_request(0, POST);
    for (int i = 0; i < 2; i++) {
        struct stream *link = &client->exchange->attempt.link->stream;

        link->type->on_connected(link, -ECONNREFUSED);
        ck_assert_int_eq(state_of(client), EXCHANGE_CONNECTING);
    }
    client->exchange->attempt.link->stream.type->on_connected(&client->exchange->attempt.link->stream,
                                                              -ECONNREFUSED);
    ck_assert_int_eq(answered(client), 502);
    ck_assert_uint_eq(failures(), 3);
    ck_assert_uint_eq(services[0]->counters.upstream_retries, 2);
}
END_TEST

START_TEST(the_budget_is_a_share_of_the_requests)
{
    int retried = 0;

    begin("budget = 20; attempts = 2;");
    for (int i = 0; i < 250;
         i++) { /* what was saved up, fifty, is used up on the way: 50 + 20 % of 250 would be 100 */
        client = send_request(0, GET("/"));
        retried += fail_sent(RETRY_ERROR);
        client_stop_now(client);
        bench_release(&client->stream);
    }
    ck_assert_int_eq(retried, 50 + 250 / 5 - 1); /* the first request found the budget full already */
    ck_assert_uint_eq(services[0]->counters.retry_budget_empty, 250 - (uint64_t)retried);
    ck_assert_uint_lt(*line_budget(services[0], snapshot->lines[0]), 100);
}
END_TEST

START_TEST(quiet_times_save_up_no_more_than_fifty)
{
    begin("budget = 100; attempts = 2;");
    for (int i = 0; i < 100; i++) {
        client = send_request(0, GET("/"));
        client_stop_now(client);
    }
    ck_assert_uint_eq(*line_budget(services[0], snapshot->lines[0]), 5000);
    retry_pay(send_request(0, GET("/"))->exchange);
    *line_budget(services[0], snapshot->lines[0]) = 99;
    retry_pay(services[0]->first_client->exchange); /* never below nothing */
    ck_assert_uint_eq(*line_budget(services[0], snapshot->lines[0]), 0);
}
END_TEST

/* Outcomes. */

START_TEST(an_attempt_gives_its_outcome_and_its_place_once)
{
    begin("");
    client = send_request(0, GET("/"));
    struct exchange *exchange = client->exchange;
    size_t server = (size_t)exchange->attempt.server;

    attempt_judge(exchange, FAIRLEAD_OK);
    ck_assert_uint_eq(in_flight(), 1);
    attempt_drop(exchange, FAIRLEAD_CANCELLED);
    attempt_drop(exchange, FAIRLEAD_FAILED);
    attempt_judge(exchange, FAIRLEAD_FAILED);
    ck_assert_uint_eq(in_flight(), 0);
    ck_assert_uint_eq(server_of(server)->state->failed, 0);
    ck_assert_ptr_null(exchange->attempt.link);
}
END_TEST

START_TEST(a_request_fails_once_though_its_response_is_cut_too)
{
    begin("");
    client = send_request(0, GET("/"));
    attempt_judge(client->exchange, FAIRLEAD_FAILED); /* its status counts */
    attempt_drop(client->exchange, FAIRLEAD_FAILED);  /* and then it ends early */
    ck_assert_uint_eq(failures(), 1);
    client_stop_now(client);
    client = send_request(0, GET("/"));
    attempt_judge(client->exchange, FAIRLEAD_OK);
    attempt_drop(client->exchange, FAIRLEAD_FAILED);
    ck_assert_uint_eq(failures(), 2);
}
END_TEST

START_TEST(a_client_that_goes_away_frees_the_place_and_blames_nobody)
{
    begin("");
    client = send_request(0, GET("/"));
    ck_assert_uint_eq(in_flight(), 1);
    client_stop_now(client);
    ck_assert_uint_eq(in_flight(), 0);
    ck_assert_uint_eq(failures(), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("retry");
    TCase *tests = tcase_create("promises");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, NULL, exchanges_end);
    tcase_add_loop_test(tests, a_request_that_was_sent_is_tried_again_by_the_rules, 0,
                        (int)(sizeof rules / sizeof *rules));
    tcase_add_loop_test(tests, each_server_is_tried_once_up_to_attempts, 0, 3);
    tcase_add_test(tests, after_the_time_none_is_tried);
    tcase_add_test(tests, a_refused_connection_always_leads_on);
    tcase_add_test(tests, the_budget_is_a_share_of_the_requests);
    tcase_add_test(tests, quiet_times_save_up_no_more_than_fifty);
    tcase_add_test(tests, an_attempt_gives_its_outcome_and_its_place_once);
    tcase_add_test(tests, a_request_fails_once_though_its_response_is_cut_too);
    tcase_add_test(tests, a_client_that_goes_away_frees_the_place_and_blames_nobody);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
