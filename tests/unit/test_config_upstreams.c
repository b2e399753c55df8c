/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tests of the upstreams that a configuration becomes: the pools of URLs and of upstreams, their servers, defaults,
 * and strategies with their options. Files and names are fakes.
 */
#include "config_bench.h"

START_TEST(a_url_finds_its_upstream_and_its_uri)
{
    load("upstreams: { web: { servers = ( { address = \"127.0.0.1\"; } ); }; };"
         "sites = ( { locations = ( { path = \"/a\"; proxy_pass = \"http://web\"; },"
         " { path = \"/b\"; proxy_pass = \"http://WEB/\"; }, { path = \"/c\"; proxy_pass = "
         "\"http://web/x?y\"; } ); } );");
    ck_assert_uint_eq(fake_config->n_groups, 1);
    for (size_t i = 0; i < 3; i++)
        ck_assert_ptr_eq(location(0, i)->proxy.group, fake_config->groups[0]);
    ck_assert(!location(0, 0)->proxy.has_uri);
    ck_assert(location(0, 1)->proxy.has_uri);
    ck_assert(span_equals(location(0, 1)->proxy.uri, SPAN_LITERAL("/")));
    ck_assert(span_equals(location(0, 2)->proxy.uri, SPAN_LITERAL("/x?y")));
    ck_assert_str_eq(location(0, 2)->proxy.url, "http://web/x?y");
}
END_TEST

START_TEST(equal_urls_share_a_pool)
{
    load("sites = ( { locations = ( { path = \"/a\"; proxy_pass = \"http://localhost\"; },"
         " { path = \"/b\"; proxy_pass = \"http://LOCALHOST:80/x\"; }, { path = \"/c\"; proxy_pass = "
         "\"http://localhost:81\"; },"
         " { path = \"/d\"; proxy_pass = \"http://unix:s:/x\"; }, { path = \"/e\"; proxy_pass = "
         "\"http://unix:s\"; } ); } );");
    ck_assert_uint_eq(fake_config->n_groups, 3);
    ck_assert_ptr_eq(location(0, 0)->proxy.group, location(0, 1)->proxy.group);
    ck_assert_ptr_ne(location(0, 0)->proxy.group, location(0, 2)->proxy.group);
    ck_assert_ptr_eq(location(0, 3)->proxy.group, location(0, 4)->proxy.group);
    ck_assert_str_eq(location(0, 0)->proxy.group->spec.name, "localhost:80");
    ck_assert_uint_eq(location(0, 0)->proxy.group->spec.keepalive, 128);
    ck_assert(span_equals(location(0, 3)->proxy.uri, SPAN_LITERAL("/x")));
}
END_TEST

/* One that was written, and one that a URL made. */
START_TEST(groups_have_their_defaults)
{
    load("upstreams: { web: { servers = ( { address = \"127.0.0.1\"; } ); }; };"
         "sites = ( { locations = ( { path = \"/\"; proxy_pass = \"http://127.0.0.1:3\"; } ); } );");
    ck_assert_uint_eq(fake_config->n_groups, 2);
    for (uint32_t i = 0; i < 2; i++) {
        const struct group *group = fake_config->groups[i];
        const struct server *server = pool_server(fake_config->pools[i], 0);

        ck_assert_uint_eq(group->index, i);
        ck_assert_ptr_null(group->key);
        ck_assert_uint_eq(group->retry.causes, RETRY_ERROR | RETRY_TIMEOUT);
        ck_assert_uint_eq(group->retry.attempts + group->retry.timeout_ms, 0);
        ck_assert_uint_eq(group->retry.budget, 20);
        ck_assert_uint_eq(group->retry.body, 65536);
        for (int status = 100; status < 600; status++)
            ck_assert(!status_set_has(&group->retry.statuses, status) &&
                      !status_set_has(&group->fail_statuses, status));
        ck_assert_uint_eq(group->queue_size, 0);
        ck_assert_uint_eq(group->queue_timeout_ms, 60000);
        ck_assert_int_eq(group->sticky.kind, STICKY_OFF);
        ck_assert_str_eq(group->sticky.cookie, "fairlead");
        ck_assert_uint_eq(pool_settings(fake_config->pools[i])->max_ejected, 100);
        ck_assert_uint_eq(pool_settings(fake_config->pools[i])->max_eject_time_ms, 300000);
        ck_assert_uint_eq(server->weight, 1);
        ck_assert_uint_eq(server->max_conns + server->slow_start_ms + server_flags(server), 0);
        ck_assert_uint_eq(server->max_fails, 1);
    }
}
END_TEST

START_TEST(words_and_statuses_of_retry_and_passive_are_told_apart)
{
    load("upstreams: { web: { retry: { on = [ \"http_503\", \"invalid_header\" ]; };"
         " passive: { statuses = [ 500, 599, 100 ]; }; servers = ( { address = \"127.0.0.1\"; } ); }; };");
    const struct group *group = fake_config->groups[0];

    ck_assert_uint_eq(group->retry.causes, RETRY_INVALID_HEADER);
    for (int status = 0; status < 700; status++) {
        ck_assert_int_eq(status_set_has(&group->retry.statuses, status), status == 503);
        ck_assert_int_eq(status_set_has(&group->fail_statuses, status),
                         status == 500 || status == 599 || status == 100);
    }
}
END_TEST

START_TEST(addresses_of_all_kinds_become_servers)
{
    load("upstreams: { a: { servers = ( { address = \"127.0.0.1:1\"; }, { address = \"[::1]:2\"; } ); };"
         "             b: { servers = ( { address = \"unix:/run/x\"; } ); }; };"
         "sites = ( { locations = ( { path = \"/\"; proxy_pass = \"http://127.0.0.1:3\"; } ); } );");
    ck_assert_uint_eq(fake_config->n_groups, 3);
    ck_assert_uint_eq(pool_n_servers(fake_config->pools[0]), 2);
    ck_assert_int_eq(pool_server(fake_config->pools[0], 1)->address.sa.sa_family, AF_INET6);
    ck_assert_str_eq(pool_server(fake_config->pools[1], 0)->address.un.sun_path, "/run/x");
    ck_assert_str_eq(pool_server(fake_config->pools[1], 0)->name, "unix:/run/x");
}
END_TEST

START_TEST(an_unknown_strategy_is_refused_with_those_that_are_there)
{
    expect_refused("upstreams: { a: {\n balance = \"round_robbin\"; whatever = 1;\n servers = ( { address = "
                   "\"127.0.0.1\"; } ); }; };",
                   "round_robin");
    ck_assert_ptr_nonnull(strstr(fake_findings, "in etc/main.conf:2\n"));
    ck_assert_msg(strstr(fake_findings, "whatever") == NULL, "its options cannot be known: %s",
                  fake_findings);
    expect_refused("upstreams: { a: { balance = \"../x\"; servers = ( { address = \"127.0.0.1\"; } ); }; };",
                   "x");
}
END_TEST

/* An upstream with the strategy of tests/strategies that has an option. */
static const char *with_option(const char *option)
{
    static char text[256];

    snprintf(
        text, sizeof text,
        "upstreams: { a: { balance = \"first_free\"; %s servers = ( { address = \"127.0.0.1\"; } ); }; };",
        option);
    return text;
}

static void expect_option(const char *option, const char *printed)
{
    load(with_option(option));
    char *text = fake_print(fake_config);
    ck_assert_msg(strstr(text, printed) != NULL, "no \"%s\" in: %s", printed, text);
    fake_clear();
    load(text);
    free(text);
    fake_clear();
}

START_TEST(options_of_a_strategy_are_keys_of_its_upstream)
{
    setenv("FAIRLEAD_BALANCERS", modules_dir, 1);
    expect_option("", "first_free_limit = 8;");
    expect_option("first_free_limit = 99;", "first_free_limit = 99;");
    expect_refused(with_option("first_free_limit = 0;"), "\"first_free_limit\" is 0, but must be 1 to 65535");
    expect_refused(with_option("first_free_limit = \"1\";"), "\"first_free_limit\" must be a number");
    expect_refused(with_option("first_fre_limit = 1;"), "did you mean \"first_free_limit\"?");
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, a_url_finds_its_upstream_and_its_uri);
    tcase_add_test(tests, equal_urls_share_a_pool);
    tcase_add_test(tests, groups_have_their_defaults);
    tcase_add_test(tests, words_and_statuses_of_retry_and_passive_are_told_apart);
    tcase_add_test(tests, addresses_of_all_kinds_become_servers);
    tcase_add_test(tests, an_unknown_strategy_is_refused_with_those_that_are_there);
    tcase_add_test(tests, options_of_a_strategy_are_keys_of_its_upstream);
}

int main(void)
{
    return bench_main("config_upstreams", add_tests);
}
