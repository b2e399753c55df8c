/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The promises of proxy/sticky.h and tls/mac.h: which cookies bind a request to which server, that none which
 * was not signed here does, what a response sets; and HMAC-SHA256 against the vectors of RFC 4231.
 */
#include "exchange_bench.h"

#include "proxy/message.h"
#include "tls/mac.h"

#include <stdio.h>

#define SERVERS(route_a, route_b)                                                                            \
    "servers = ( { address = \"127.0.0.1:9\"; " route_a " }, { address = \"127.0.0.1:10\"; " route_b " } );"

/* Group 0 and 1 differ in the name alone, 2 in the secret, 3 has routes. */
static const char configuration[] =
    "workers = 1; upstreams: {"
    " web: { sticky: { type = \"insert\"; secret = \"s1\"; }; " SERVERS(
        "", "") " };"
                " web2: { sticky: { type = \"insert\"; secret = \"s1\"; }; " SERVERS(
                    "",
                    "") " };"
                        " other: { sticky: { type = \"insert\"; secret = \"s2\"; cookie = \"srv\"; path = "
                        "\"/other\"; max_age = 60; secure = true; }; " SERVERS(
                            "",
                            "") " };"
                                " routes: { sticky: { type = \"route\"; cookie = \"JSESSIONID\"; }; " SERVERS(
                                    "route = \"a\";",
                                    "route = \"x.b\";") " };"
                                                        " random: { sticky: { type = \"insert\"; }; " SERVERS(
                                                            "",
                                                            "") " }; };"
                                                                "sites = ( { locations = ( { path = \"/\"; "
                                                                "proxy_pass = \"http://web\"; }, { path = "
                                                                "\"/web2\"; proxy_pass = \"http://web2\"; },"
                                                                " { path = \"/other\"; proxy_pass = "
                                                                "\"http://other\"; }, { path = \"/routes\"; "
                                                                "proxy_pass = \"http://routes\"; },"
                                                                " { path = \"/random\"; proxy_pass = "
                                                                "\"http://random\"; } ); } );";

static void setup(void)
{
    exchanges_begin(configuration);
}

/* A request with these Cookie fields. The exchange waits for its server. */
static struct exchange *ask(const char *path, const char *cookies)
{
    static char text[4096];
    struct client *client;

    snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n", path, cookies);
    client = send_request(0, text);
    ck_assert_int_eq(state_of(client), EXCHANGE_CONNECTING);
    return client->exchange;
}

static int bound(const char *path, const char *cookies)
{
    return ask(path, cookies)->attempt.bound;
}

/* What the response of the exchange's server sets. "": nothing. */
static const char *set_cookie(struct exchange *exchange)
{
    static char line[512];
    struct text text = {.at = line, .end = line + sizeof(line) - 1};

    memset(line, 0, sizeof(line));
    sticky_put(&text, exchange);
    return line;
}

/* The value that binds a request to the server that this exchange got. */
static const char *value_of(struct exchange *exchange)
{
    static char value[STICKY_VALUE_LEN + 1];
    const char *line = set_cookie(exchange);

    ck_assert_msg(strlen(line) > 0, "no cookie is set");
    memcpy(value, strchr(line, '=') + 1, STICKY_VALUE_LEN);
    return value;
}

static const char *cookie(const char *format, const char *value)
{
    static char line[1024];

    snprintf(line, sizeof(line), format, value);
    return line;
}

START_TEST(a_cookie_that_was_set_binds_to_its_server)
{
    for (int i = 0; i < 4; i++) {
        struct exchange *exchange = ask("/", "");
        int server = exchange->attempt.server;
        const char *value = value_of(exchange);

        ck_assert_int_eq(exchange->attempt.bound, PICKER_NONE);
        exchange = ask("/", cookie("Cookie: fairlead=%s\r\n", value));
        ck_assert_int_eq(exchange->attempt.bound, server);
        ck_assert_int_eq(exchange->attempt.server, server);
        ck_assert_str_eq(set_cookie(exchange), ""); /* the client has it */
    }
}
END_TEST

static const struct {
    const char *format;
    bool found;
} forms[] = {
    {"Cookie: a=b; fairlead=%s\r\n", true},
    {"Cookie: a=b;fairlead=%s;c=d\r\n", true},
    {"Cookie: a; =x; fairlead=%s\r\n", true},
    {"cookie: a=b\r\nX: y\r\nCOOKIE: fairlead=%s\r\n", true},
    {"Cookie: fairlead=no; fairlead=%s\r\n", true},
    {"Cookie: fairlead; fairlead=; fairlead=%s\r\n", true},
    {"Cookie: ;;; ; fairlead=%s\r\n", true},
    {"Cookie: xfairlead=%s\r\n", false},
    {"Cookie: Fairlead=%s\r\n", false}, /* names of cookies have a case */
    {"Cookie: fairlead=x%s\r\n", false},
    {"Cookie: fairlead=%sx\r\n", false},
    {"Cookie: fairlead==%s\r\n", false},
    {"X-Cookie: fairlead=%s\r\n", false},
    {"Cookie: \r\n", false},
    {"Cookie: fairlead\r\n", false},
    {"Cookie: fairlead=\r\n", false},
    {"Cookie: =\r\n", false},
};

START_TEST(the_cookie_is_found_wherever_it_stands)
{
    struct exchange *exchange = ask("/", "");
    int server = exchange->attempt.server;

    ck_assert_int_eq(bound("/", cookie(forms[_i].format, value_of(exchange))),
                     forms[_i].found ? server : PICKER_NONE);
}
END_TEST

START_TEST(a_forged_value_binds_to_nothing)
{
    char value[STICKY_VALUE_LEN + 1];

    memcpy(value, value_of(ask("/", "")), sizeof(value));
    for (size_t i = 0; i < STICKY_VALUE_LEN; i++) {
        char was = value[i];

        for (int bit = 0; bit < 7; bit++) {
            value[i] = (char)(was ^ 1 << bit);
            if (value[i] <= ' ' || value[i] == ';' || value[i] == 127)
                continue;
            struct exchange *exchange = ask("/", cookie("Cookie: fairlead=%s\r\n", value));
            ck_assert_msg(exchange->attempt.bound == PICKER_NONE, "%s", value);
            client_stop_now(exchange->client);
        }
        value[i] = '\0'; /* cut off */
        struct exchange *exchange = ask("/", cookie("Cookie: fairlead=%s\r\n", value));
        ck_assert_int_eq(exchange->attempt.bound, PICKER_NONE);
        client_stop_now(exchange->client);
        value[i] = was;
    }
}
END_TEST

START_TEST(the_value_of_another_group_or_secret_binds_to_nothing)
{
    const char *value = value_of(ask("/", ""));

    ck_assert_int_eq(bound("/web2", cookie("Cookie: fairlead=%s\r\n", value)), PICKER_NONE);
    ck_assert_int_eq(bound("/other", cookie("Cookie: srv=%s\r\n", value)), PICKER_NONE);
    ck_assert_int_eq(bound("/random", cookie("Cookie: fairlead=%s\r\n", value)), PICKER_NONE);
    ck_assert_int_eq(bound("/other", cookie("Cookie: fairlead=%s\r\n", value_of(ask("/other", "")))),
                     PICKER_NONE);
    value = value_of(ask("/random", ""));
    ck_assert_int_ne(bound("/random", cookie("Cookie: fairlead=%s\r\n", value)), PICKER_NONE);
}
END_TEST

START_TEST(a_secret_that_is_given_makes_the_same_values_everywhere)
{
    char value[STICKY_VALUE_LEN + 1], random[STICKY_VALUE_LEN + 1];
    struct exchange *exchange = ask("/", "");
    int server = exchange->attempt.server;

    memcpy(value, value_of(exchange), sizeof(value));
    memcpy(random, value_of(ask("/random", "")), sizeof(random));
    exchanges_end();
    exchanges_begin(configuration);
    ck_assert_int_eq(bound("/", cookie("Cookie: fairlead=%s\r\n", value)), server);
    ck_assert_int_eq(bound("/random", cookie("Cookie: fairlead=%s\r\n", random)), PICKER_NONE);
}
END_TEST

START_TEST(the_cookie_has_its_attributes)
{
    struct exchange *exchange = ask("/", "");
    const char *line = set_cookie(exchange);

    ck_assert_int_eq(strncmp(line, "Set-Cookie: fairlead=", 21), 0);
    ck_assert_str_eq(line + 21 + STICKY_VALUE_LEN, "; Path=/; HttpOnly; SameSite=Lax\r\n");
    line = set_cookie(ask("/other", ""));
    ck_assert_int_eq(strncmp(line, "Set-Cookie: srv=", 16), 0);
    ck_assert_str_eq(line + 16 + STICKY_VALUE_LEN,
                     "; Path=/other; Max-Age=60; HttpOnly; SameSite=Lax; Secure\r\n");
    ck_assert_str_eq(set_cookie(ask("/routes", "")), "");
}
END_TEST

START_TEST(another_server_than_the_bound_one_sets_its_own)
{
    struct exchange *exchange = ask("/", "");
    char value[STICKY_VALUE_LEN + 1];
    int server = exchange->attempt.server;

    memcpy(value, value_of(exchange), sizeof(value));
    pool_change_flags(snapshot->pools[0], pool_server(snapshot->pools[0], (size_t)server),
                      SERVER_CHECK_DOWN, 0, 1);
    exchange = ask("/", cookie("Cookie: fairlead=%s\r\n", value));
    ck_assert_int_eq(exchange->attempt.bound, server);
    ck_assert_int_eq(exchange->attempt.server, 1 - server);
    ck_assert_str_ne(value_of(exchange), value);
}
END_TEST

static const struct {
    const char *value;
    int server;
} routes[] = {
    {"a", 0},
    {"x.b", 1},
    {"0123.a", 0},
    {"0123.x.b", 1},
    {"1.2.3.a", 0},
    {"", PICKER_NONE},
    {".", PICKER_NONE},
    {".a", 0},
    {"b", PICKER_NONE},
    {"0123.b", PICKER_NONE},
    {"0123a", PICKER_NONE},
    {"a.", PICKER_NONE},
    {"0123.A", PICKER_NONE},
    {"yx.b", PICKER_NONE},
};

START_TEST(a_route_is_the_value_or_its_end_behind_a_dot)
{
    ck_assert_int_eq(bound("/routes", cookie("Cookie: JSESSIONID=%s\r\n", routes[_i].value)),
                     routes[_i].server);
}
END_TEST

/* RFC 4231, section 4: test cases 1, 2, 3, 6, 7. */
static const struct {
    const char *key;
    size_t key_len;
    const char *data;
    size_t data_len;
    const char *mac;
} vectors[] = {
    {"\x0b", 20, "Hi There", 8, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    {"Jefe", 4, "what do ya want for nothing?", 28,
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {"\xaa", 20, "\xdd", 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
    {"\xaa", 131, "Test Using Larger Than Block-Size Key - Hash Key First", 54,
     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    {"\xaa", 131,
     "This is a test using a larger than block-size key and a larger than block-size data. The key needs to "
     "be hashed before being "
     "used by the HMAC algorithm.",
     152, "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
};

/* A single byte stands for as many of it as the length says. */
static const char *fill(char *out, const char *text, size_t len)
{
    if (strlen(text) == 1)
        memset(out, text[0], len);
    else
        memcpy(out, text, len);
    return out;
}

START_TEST(the_mac_is_that_of_rfc_4231_however_it_is_cut)
{
    char key[256], data[256], hex[2 * MAC_SIZE + 1];
    uint8_t mac[MAC_SIZE];

    fill(key, vectors[_i].key, vectors[_i].key_len);
    fill(data, vectors[_i].data, vectors[_i].data_len);
    for (size_t cut = 0; cut <= vectors[_i].data_len; cut++) {
        struct mac_part parts[] = {{data, cut}, {data + cut, vectors[_i].data_len - cut}};

        ck_assert_int_eq(mac_make(key, vectors[_i].key_len, parts, 2, mac), 0);
        for (size_t i = 0; i < MAC_SIZE; i++)
            snprintf(hex + 2 * i, 3, "%02x", mac[i]);
        ck_assert_str_eq(hex, vectors[_i].mac);
    }
}
END_TEST

START_TEST(equal_is_equal_in_every_byte)
{
    char a[] = "0123456789", b[] = "0123456789";

    ck_assert(mac_equals(a, b, 10) && mac_equals(a, b, 0));
    for (size_t i = 0; i < 10; i++) {
        b[i] ^= 1;
        ck_assert(!mac_equals(a, b, 10));
        ck_assert(mac_equals(a, b, i));
        b[i] ^= 1;
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sticky");
    TCase *tests = tcase_create("promises");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, setup, exchanges_end);
    tcase_add_test(tests, a_cookie_that_was_set_binds_to_its_server);
    tcase_add_loop_test(tests, the_cookie_is_found_wherever_it_stands, 0,
                        (int)(sizeof forms / sizeof *forms));
    tcase_add_test(tests, a_forged_value_binds_to_nothing);
    tcase_add_test(tests, the_value_of_another_group_or_secret_binds_to_nothing);
    tcase_add_test(tests, a_secret_that_is_given_makes_the_same_values_everywhere);
    tcase_add_test(tests, the_cookie_has_its_attributes);
    tcase_add_test(tests, another_server_than_the_bound_one_sets_its_own);
    tcase_add_loop_test(tests, a_route_is_the_value_or_its_end_behind_a_dot, 0,
                        (int)(sizeof routes / sizeof *routes));
    tcase_add_loop_test(tests, the_mac_is_that_of_rfc_4231_however_it_is_cut, 0,
                        (int)(sizeof vectors / sizeof *vectors));
    tcase_add_test(tests, equal_is_equal_in_every_byte);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
