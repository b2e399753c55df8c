/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tests of the group `health` of an upstream: what becomes of it, what is refused, and that it is printed as
 * it was read. */
#include "config_fake.h"

#include <check.h>
#include <stdio.h>

#define UPSTREAM(health) "upstreams: { a: { servers = ( { address = \"127.0.0.1:1\"; } ); " health " }; };"

static const struct health_spec *load_health(const char *members)
{
    char text[4096];

    snprintf(text, sizeof(text), UPSTREAM("health: { %s };"), members);
    ck_assert_msg(fake_load(text) == 0, "%s", fake_findings);
    ck_assert_str_eq(fake_findings, "");
    ck_assert_ptr_nonnull(fake_config->groups[0]->health);
    return fake_config->groups[0]->health;
}

START_TEST(without_the_group_nothing_is_checked)
{
    ck_assert_msg(
        fake_load(UPSTREAM(
            "") "sites = ( { locations = ( { path = \"/\"; proxy_pass = \"http://127.0.0.1\"; } ); } );") ==
            0,
        "%s", fake_findings);
    ck_assert_uint_eq(fake_config->n_groups, 2);
    ck_assert_ptr_null(fake_config->groups[0]->health);
    ck_assert_ptr_null(fake_config->groups[1]->health);
    ck_assert_uint_eq(fake_config->health_probes, 256);
}
END_TEST

START_TEST(an_empty_group_has_the_defaults)
{
    const struct health_spec *spec = load_health("");

    ck_assert_int_eq(spec->type, HEALTH_TCP);
    ck_assert_uint_eq(spec->interval_ms, 5000);
    ck_assert_uint_eq(spec->fast_interval_ms, 5000);
    ck_assert_uint_eq(spec->timeout_ms, 2000);
    ck_assert_uint_eq(spec->rise, 2);
    ck_assert_uint_eq(spec->fall, 3);
    ck_assert_uint_eq(spec->jitter, 5);
    ck_assert_uint_eq(spec->port, 0);
    ck_assert_int_eq(spec->initial, HEALTH_UP);
    ck_assert_uint_eq(spec->agent_port, 0);
    ck_assert_uint_eq(spec->agent_interval_ms, 5000);
}
END_TEST

START_TEST(a_request_has_its_defaults)
{
    const struct health_spec *spec = load_health("type = \"http\";");

    ck_assert_int_eq(spec->type, HEALTH_HTTP);
    ck_assert_str_eq(spec->method, "GET");
    ck_assert_str_eq(spec->path, "/");
    ck_assert_ptr_null(spec->host);
    ck_assert_str_eq(spec->headers, "");
    ck_assert_uint_eq(spec->n_expect, 1);
    ck_assert_uint_eq(spec->expect[0].from, 200);
    ck_assert_uint_eq(spec->expect[0].to, 399);
    ck_assert(spec->body_matches == NULL);
}
END_TEST

START_TEST(what_is_said_goes_where_it_belongs)
{
    const struct health_spec *spec = load_health(
        "type = \"http\"; method = \"HEAD\"; path = \"/up?x=1\"; host = \"h.example:81\"; headers = { X-A = "
        "\"1\"; X-B = \"$$2\"; };"
        "expect = [ \"200\", \"301-302\" ]; interval = \"10s\"; fast_interval = \"1s\"; timeout = \"500ms\"; "
        "rise = 4; fall = 5;"
        "jitter = 50; port = 65535; initial = \"fully-down\"; agent_port = 99; agent_interval = \"3s\";");

    ck_assert_str_eq(spec->method, "HEAD");
    ck_assert_str_eq(spec->path, "/up?x=1");
    ck_assert_str_eq(spec->host, "h.example:81");
    ck_assert_str_eq(spec->headers, "X-A: 1\r\nX-B: $2\r\n");
    ck_assert_uint_eq(spec->n_expect, 2);
    ck_assert_uint_eq(spec->expect[0].to, 200);
    ck_assert_uint_eq(spec->expect[1].from, 301);
    ck_assert_uint_eq(spec->expect[1].to, 302);
    ck_assert_uint_eq(spec->interval_ms + spec->fast_interval_ms + spec->timeout_ms + spec->agent_interval_ms,
                      14500);
    ck_assert_uint_eq(spec->rise * 10 + spec->fall, 45);
    ck_assert_uint_eq(spec->jitter, 50);
    ck_assert_uint_eq(spec->port, 65535);
    ck_assert_uint_eq(spec->agent_port, 99);
    ck_assert_int_eq(spec->initial, HEALTH_FULLY_DOWN);
}
END_TEST

START_TEST(statuses_may_be_numbers_or_ranges_or_one_of_them)
{
    static const char *const texts[] = {"expect = 204;", "expect = \"204\";", "expect = [ 204 ];",
                                        "expect = ( 204, \"200-599\" );"};

    for (size_t i = 0; i < 4; i++) {
        char text[128];
        const struct health_spec *spec;

        snprintf(text, sizeof(text), "type = \"http\"; %s", texts[i]);
        spec = load_health(text);
        ck_assert_uint_eq(spec->n_expect, i == 3 ? 2 : 1);
        ck_assert_uint_eq(spec->expect[0].from, 204);
        ck_assert_uint_eq(spec->expect[0].to, 204);
        fake_clear();
    }
}
END_TEST

START_TEST(bodies_are_tested_by_text_or_by_regex)
{
    static const struct {
        const char *test, *body;
        bool holds;
    } cases[] = {
        {"well", "all is well", true},
        {"well", "all is wel", false},
        {"WELL", "all is well", false},
        {"~ ^all.*l$", "all is well", true},
        {"~ ^is", "all is well", false},
        {"~* WELL", "all is well", true},
        {"~ WELL", "all is well", false},
        {"~x", "a ~x b", true},
        {"well", "", false},
        {"~ ^$", "", true},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[128];
        const struct health_spec *spec;

        snprintf(text, sizeof(text), "type = \"http\"; expect_body = \"%s\";", cases[i].test);
        spec = load_health(text);
        ck_assert_msg(spec->body_matches(spec->body_context, cases[i].body, strlen(cases[i].body)) ==
                          cases[i].holds,
                      "case %zu", i);
        fake_clear();
    }
}
END_TEST

START_TEST(only_an_agent_is_a_check_too_and_nothing_is_none)
{
    ck_assert_int_eq(load_health("type = \"none\"; agent_port = 1;")->type, HEALTH_NONE);
    fake_clear();
    ck_assert_int_eq(fake_load(UPSTREAM("health: { type = \"none\"; };")), 0);
    ck_assert_ptr_null(fake_config->groups[0]->health);
}
END_TEST

static const struct {
    const char *members, *finding;
} refusals[] = {
    {"type = \"htp\";", "did you mean \"http\"?"},
    {"type = \"tcp\"; path = \"/\";", "\"path\" is of use only with type = \"http\""},
    {"expect = [ 200 ];", "\"expect\" is of use only with type = \"http\""},
    {"type = \"none\"; expect_body = \"x\";", "\"expect_body\" is of use only with type = \"http\""},
    {"type = \"http\"; path = \"up\";", "must begin with '/'"},
    {"type = \"http\"; path = \"/a b\";", "have no blanks"},
    {"type = \"http\"; path = \"/a\\r\\nX: y\";", "have no blanks"},
    {"type = \"http\"; host = \"a b\";", "must be a host name"},
    {"type = \"http\"; method = \"G T\";", "must be a method"},
    {"type = \"http\"; method = \"CONNECT\";", "must be a method"},
    {"type = \"http\"; method = \"HEAD\"; expect_body = \"x\";", "HEAD gets none"},
    {"type = \"http\"; expect = [ \"2xx\" ];", "\"expect\" has \"2xx\""},
    {"type = \"http\"; expect = [ \"99\" ];", "\"expect\" has \"99\""},
    {"type = \"http\"; expect = [ 600 ];", "\"expect\" has \"600\""},
    {"type = \"http\"; expect = [ \"300-200\" ];", "\"expect\" has \"300-200\""},
    {"type = \"http\"; expect = [ \"200-\" ];", "\"expect\" has \"200-\""},
    {"type = \"http\"; expect = [ \"99999999999999999999\" ];", "wants statuses of 100 to 599"},
    {"type = \"http\"; expect = [ ];", "must have 1 to 64"},
    {"type = \"http\"; expect = true;", "a list of statuses or ranges"},
    {"type = \"http\"; expect = [ true ];", "a list of statuses or ranges"},
    {"type = \"http\"; expect_body = \"~ (\";", "regex that cannot be used"},
    {"type = \"http\"; expect_body = \"\";", "must not be empty"},
    {"type = \"http\"; headers = { Host = \"a\"; };", "its key \"host\""},
    {"type = \"http\"; headers = { Connection = \"a\"; };", "frames a message"},
    {"type = \"http\"; headers = { X = \"$host\"; };", "has a variable"},
    {"interval = \"9ms\";", "must be 10ms to 1d"},
    {"interval = 5;", "needs a unit"},
    {"timeout = 0;", "must be 1ms to 1h"},
    {"rise = 0;", "must be 1 to 1000"},
    {"fall = 1001;", "must be 1 to 1000"},
    {"jitter = 51;", "must be 0 to 50"},
    {"port = 65536;", "must be 0 to 65535"},
    {"agent_port = -1;", "must be 0 to 65535"},
    {"initial = \"dwn\";", "did you mean \"down\"?"},
    {"intervall = \"1s\";", "did you mean \"interval\"?"},
};

START_TEST(what_cannot_be_meant_is_refused)
{
    char text[512];

    snprintf(text, sizeof(text), UPSTREAM("\nhealth: {\n%s\n};"), refusals[_i].members);
    ck_assert_int_eq(fake_load(text), -EINVAL);
    ck_assert_msg(strstr(fake_findings, refusals[_i].finding) != NULL, "no \"%s\" in: %s",
                  refusals[_i].finding, fake_findings);
    ck_assert_msg(strstr(fake_findings, "etc/main.conf:3") != NULL, "%s", fake_findings);
}
END_TEST

START_TEST(a_request_has_a_length_that_fits)
{
    char text[8192], path[4000];

    memset(path, 'x', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    snprintf(text, sizeof(text), UPSTREAM("health: { type = \"http\"; path = \"/%s\"; };"), path);
    ck_assert_int_eq(fake_load(text), -EINVAL);
    ck_assert_ptr_nonnull(strstr(fake_findings, "longer than 3584 bytes together"));
}
END_TEST

START_TEST(what_is_printed_is_read_as_the_same)
{
    static const char *const groups[] = {"", "type = \"none\"; agent_port = 5;",
                                         "port = 5; initial = \"down\"; jitter = 0;",
                                         "type = \"http\"; expect = ( 200, \"300-302\" ); expect_body = \"~* "
                                         "a\\\\\\\"b\"; headers = { X = \"$$y\"; }; host = \"z\";"};

    for (size_t i = 0; i < 4; i++) {
        char text[1024], *first, *second;

        snprintf(text, sizeof(text), UPSTREAM("health: { %s };") "health_probes = 7;", groups[i]);
        ck_assert_msg(fake_load(text) == 0, "%s", fake_findings);
        first = fake_print(fake_config);
        ck_assert_ptr_nonnull(strstr(first, "health: {"));
        ck_assert_ptr_nonnull(strstr(first, "health_probes = 7;"));
        fake_clear();
        ck_assert_msg(fake_load(first) == 0, "%s in %s", fake_findings, first);
        second = fake_print(fake_config);
        ck_assert_str_eq(first, second);
        fake_clear();
        free(first);
        free(second);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config_checks");
    TCase *tests = tcase_create("promises");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, NULL, fake_clear);
    tcase_add_test(tests, without_the_group_nothing_is_checked);
    tcase_add_test(tests, an_empty_group_has_the_defaults);
    tcase_add_test(tests, a_request_has_its_defaults);
    tcase_add_test(tests, what_is_said_goes_where_it_belongs);
    tcase_add_test(tests, statuses_may_be_numbers_or_ranges_or_one_of_them);
    tcase_add_test(tests, bodies_are_tested_by_text_or_by_regex);
    tcase_add_test(tests, only_an_agent_is_a_check_too_and_nothing_is_none);
    tcase_add_loop_test(tests, what_cannot_be_meant_is_refused, 0, sizeof(refusals) / sizeof(refusals[0]));
    tcase_add_test(tests, a_request_has_a_length_that_fits);
    tcase_add_test(tests, what_is_printed_is_read_as_the_same);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
