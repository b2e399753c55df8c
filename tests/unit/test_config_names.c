/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tests of what a host name at a server becomes: a server for each address that it has. Files and names are fakes.
 */
#include "config_bench.h"

#include "config/compose.h"

static void expect_server(const struct pool *pool, size_t index, const char *name, uint32_t share)
{
    const struct server *server = pool_server(pool, index);

    ck_assert_str_eq(server->name, name);
    ck_assert_uint_eq(server->share, share);
}

static const struct named_server *named_member(size_t index)
{
    ck_assert_uint_lt(index, fake_config->groups[0]->n_members);
    return fake_config->groups[0]->members[index].named;
}

START_TEST(a_name_is_as_many_servers_as_it_has_addresses)
{
    load("upstreams: { web: { servers = ( { address = \"127.0.0.1:1\"; }, { address = \"two.test:8080\"; weight = 3; "
         "addresses = 3; } ); }; };");
    const struct pool *pool = fake_config->pools[0];
    ck_assert_uint_eq(pool_n_servers(pool), 3);
    expect_server(pool, 1, "127.0.0.1:8080", 100);
    expect_server(pool, 2, "127.0.0.2:8080", 100);
    ck_assert_uint_eq(pool_server(pool, 2)->weight, 3);
    ck_assert_uint_eq(ntohs(pool_server(pool, 2)->address.in.sin_port), 8080);
    ck_assert_ptr_null(named_member(0));
    const struct named_server *named = named_member(1);
    ck_assert_str_eq(named->host, "two.test");
    ck_assert_uint_eq(named->port, 8080);
    ck_assert_uint_eq(named->found.n_places, 3);
    ck_assert_uint_eq(named->found.n_backup, 0);
    ck_assert_uint_eq(named->ttl_ms, 30000);
}
END_TEST

START_TEST(addresses_over_the_limit_of_their_name_are_counted)
{
    load("upstreams: { web: { servers = ( { address = \"two.test\"; addresses = 1; } ); }; };");
    ck_assert_uint_eq(pool_n_servers(fake_config->pools[0]), 1);
    expect_server(fake_config->pools[0], 0, "127.0.0.1:80", 100);
    ck_assert_uint_eq(named_member(0)->found.n_left_out, 1);
}
END_TEST

START_TEST(a_name_that_is_not_resolved_again_is_a_server_per_address)
{
    load("upstreams: { web: { servers = ( { address = \"two.test:8080\"; resolve = false; }, { address = "
         "\"localhost\"; resolve = false; } ); }; };");
    const struct pool *pool = fake_config->pools[0];
    ck_assert_uint_eq(pool_n_servers(pool), 3);
    expect_server(pool, 0, "127.0.0.1:8080", 100);
    expect_server(pool, 1, "127.0.0.2:8080", 100);
    expect_server(pool, 2, "localhost:80", 100);
    for (size_t i = 0; i < 3; i++)
        ck_assert_ptr_null(named_member(i));
}
END_TEST

START_TEST(srv_records_behind_the_best_priority_are_backups)
{
    load("upstreams: { web: { servers = ( { address = \"_HTTP._tcp.test\"; addresses = 2; } ); }; };");
    const struct pool *pool = fake_config->pools[0];
    ck_assert_uint_eq(pool_n_servers(pool), 3);
    expect_server(pool, 0, "127.0.0.1:9001", 100);
    expect_server(pool, 1, "127.0.0.1:9002", 33);
    expect_server(pool, 2, "127.0.0.2:9003", 100);
    ck_assert(!pool_server(pool, 1)->backup && pool_server(pool, 2)->backup);
    ck_assert(named_member(0)->srv);
    ck_assert_uint_eq(named_member(0)->found.n_backup, 2);
}
END_TEST

START_TEST(srv_of_a_backup_takes_the_best_priority_only)
{
    load("upstreams: { web: { servers = ( { address = \"127.0.0.1\"; }, { address = \"_http._tcp.test\"; addresses = "
         "4; backup = true; } ); }; };");
    const struct pool *pool = fake_config->pools[0];
    ck_assert_uint_eq(pool_n_servers(pool), 3);
    expect_server(pool, 2, "127.0.0.1:9002", 33);
    ck_assert(pool_server(pool, 1)->backup);
    ck_assert_uint_eq(named_member(1)->found.n_left_out, 0);
}
END_TEST

START_TEST(srv_records_may_be_read_once_and_for_all)
{
    load("upstreams: { web: { servers = ( { address = \"_http._tcp.test\"; addresses = 2; resolve = false; } ); }; };");
    const struct pool *pool = fake_config->pools[0];
    ck_assert_uint_eq(pool_n_servers(pool), 3);
    expect_server(pool, 1, "127.0.0.1:9002", 33);
    ck_assert(pool_server(pool, 2)->backup);
    ck_assert_ptr_null(named_member(0));
}
END_TEST

START_TEST(a_group_follows_the_addresses_that_its_names_have_now)
{
    struct composition now;
    struct wanted entry = {.share = 50};
    struct wanted_list list = {.n = 1, .n_places = 3, .entries = &entry};
    const struct wanted_list *lists[2] = {NULL, &list};

    load("upstreams: { web: { servers = ( { address = \"127.0.0.1:1\"; }, { address = \"two.test:8080\"; weight = 3; } ); }; };");
    entry.address = pool_server(fake_config->pools[0], 0)->address;
    ck_assert_int_eq(compose(fake_config->groups[0], lists, 1, &now), 0);
    ck_assert_uint_eq(now.spec.n_servers, 2);
    ck_assert_uint_eq(now.room, 3);
    ck_assert_str_eq(now.spec.servers[1].name, "127.0.0.1:1");
    ck_assert_uint_eq(now.spec.servers[1].weight, 3);
    ck_assert_uint_eq(now.spec.servers[1].share, 50);
    ck_assert_str_eq(now.spec.name, "web");
    compose_fini(&now);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config_names");
    TCase *tests = tcase_create("all");

    tcase_add_checked_fixture(tests, NULL, fake_clear);
    tcase_add_test(tests, a_name_is_as_many_servers_as_it_has_addresses);
    tcase_add_test(tests, addresses_over_the_limit_of_their_name_are_counted);
    tcase_add_test(tests, a_name_that_is_not_resolved_again_is_a_server_per_address);
    tcase_add_test(tests, srv_records_behind_the_best_priority_are_backups);
    tcase_add_test(tests, srv_of_a_backup_takes_the_best_priority_only);
    tcase_add_test(tests, srv_records_may_be_read_once_and_for_all);
    tcase_add_test(tests, a_group_follows_the_addresses_that_its_names_have_now);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
