/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tests of what a host name at a server becomes: places for its addresses, filled at the start as far as there are addresses. Files and names
 * are fakes.
 */
#include "config_fake.h"

#include <check.h>

static void load(const char *text)
{
    ck_assert_msg(fake_load(text) == 0, "%s", fake_findings);
    ck_assert_str_eq(fake_findings, "");
}

static void expect_server(const struct pool *pool, size_t index, const char *name, uint32_t flags, uint32_t share)
{
    const struct server *server = pool_server(pool, index);

    ck_assert_str_eq(server->name, name);
    ck_assert_uint_eq(server_flags(server), flags);
    ck_assert_uint_eq(server->share, share);
}

START_TEST(a_name_has_as_many_places_as_it_may_have_addresses)
{
    load("upstreams: { web: { servers = ( { address = \"127.0.0.1:1\"; }, { address = \"two.test:8080\"; weight = 3; "
         "addresses = 3; } ); }; };");
    const struct pool *pool = fake_config->pools[0];
    ck_assert_uint_eq(pool_n_servers(pool), 4);
    expect_server(pool, 1, "127.0.0.1:8080", 0, 100);
    expect_server(pool, 2, "127.0.0.2:8080", 0, 100);
    expect_server(pool, 3, "two.test:8080#2", SERVER_ABSENT, 100);
    ck_assert_uint_eq(pool_server(pool, 2)->weight, 3);
    ck_assert_uint_eq(ntohs(pool_server(pool, 2)->address.in.sin_port), 8080);
    ck_assert_uint_eq(fake_config->n_named, 1);
    const struct named_server *named = &fake_config->named[0];
    ck_assert_ptr_eq(named->pool, pool);
    ck_assert_str_eq(named->host, "two.test");
    ck_assert_uint_eq(named->port, 8080);
    ck_assert_uint_eq(named->first, 1);
    ck_assert_uint_eq(named->found.n_places, 3);
    ck_assert_uint_eq(named->found.n_backup, 0);
    ck_assert_uint_eq(named->ttl_ms, 30000);
}
END_TEST

START_TEST(addresses_over_the_places_of_their_name_are_counted)
{
    load("upstreams: { web: { servers = ( { address = \"two.test\"; addresses = 1; } ); }; };");
    ck_assert_uint_eq(pool_n_servers(fake_config->pools[0]), 1);
    expect_server(fake_config->pools[0], 0, "127.0.0.1:80", 0, 100);
    ck_assert_uint_eq(fake_config->named[0].found.n_left_out, 1);
}
END_TEST

START_TEST(a_name_that_is_not_resolved_again_is_a_server_per_address)
{
    load("upstreams: { web: { servers = ( { address = \"two.test:8080\"; resolve = false; }, { address = "
         "\"localhost\"; resolve = false; } ); }; };");
    const struct pool *pool = fake_config->pools[0];
    ck_assert_uint_eq(pool_n_servers(pool), 3);
    expect_server(pool, 0, "127.0.0.1:8080", 0, 100);
    expect_server(pool, 1, "127.0.0.2:8080", 0, 100);
    expect_server(pool, 2, "localhost:80", 0, 100);
    ck_assert_uint_eq(fake_config->n_named, 0);
}
END_TEST

START_TEST(srv_records_behind_the_best_priority_are_backups)
{
    load("upstreams: { web: { servers = ( { address = \"_HTTP._tcp.test\"; addresses = 2; } ); }; };");
    const struct pool *pool = fake_config->pools[0];
    ck_assert_uint_eq(pool_n_servers(pool), 4);
    expect_server(pool, 0, "127.0.0.1:9001", 0, 100);
    expect_server(pool, 1, "127.0.0.1:9002", 0, 33);
    expect_server(pool, 2, "127.0.0.2:9003", 0, 100);
    expect_server(pool, 3, "_http._tcp.test#b1", SERVER_ABSENT, 100);
    ck_assert(!pool_server(pool, 1)->backup && pool_server(pool, 2)->backup);
    ck_assert(fake_config->named[0].srv);
    ck_assert_uint_eq(fake_config->named[0].first_backup, 2);
    ck_assert_uint_eq(fake_config->named[0].found.n_backup, 2);
}
END_TEST

START_TEST(srv_of_a_backup_takes_the_best_priority_only)
{
    load("upstreams: { web: { servers = ( { address = \"127.0.0.1\"; }, { address = \"_http._tcp.test\"; addresses = "
         "4; backup = true; } ); }; };");
    const struct pool *pool = fake_config->pools[0];
    ck_assert_uint_eq(pool_n_servers(pool), 5);
    expect_server(pool, 2, "127.0.0.1:9002", 0, 33);
    expect_server(pool, 3, "_http._tcp.test#2", SERVER_ABSENT, 100);
    ck_assert(pool_server(pool, 1)->backup);
    ck_assert_uint_eq(fake_config->named[0].found.n_left_out, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config_names");
    TCase *tests = tcase_create("all");

    tcase_add_checked_fixture(tests, NULL, fake_clear);
    tcase_add_test(tests, a_name_has_as_many_places_as_it_may_have_addresses);
    tcase_add_test(tests, addresses_over_the_places_of_their_name_are_counted);
    tcase_add_test(tests, a_name_that_is_not_resolved_again_is_a_server_per_address);
    tcase_add_test(tests, srv_records_behind_the_best_priority_are_backups);
    tcase_add_test(tests, srv_of_a_backup_takes_the_best_priority_only);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
