/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tests of the resolver against a name server in a thread of this program. Nothing leaves the loopback.
 */
#include "upstream/server_address.h"
#include "upstream/resolve.h"
#include "upstream/resolve_records.h"

#include <check.h>
#include <errno.h>
#include <poll.h>

#include "dns_fake.h"

#define NAMES_MAX 200

static struct server_address server;
static struct resolver_settings settings;
static struct resolve_answer answer;

static void start(void)
{
    dns_fake_start();
    server = (struct server_address){.len = sizeof server.in, .in = dns_fake.address};
    settings = (struct resolver_settings){.n_servers = 1,
                                          .servers = &server,
                                          .timeout_ms = 100,
                                          .tries = 2,
                                          .ttl_min_ms = 1000,
                                          .ttl_max_ms = 3600000};
}

static void put_a(const char *name, const char *address, uint32_t ttl)
{
    dns_fake_put((struct dns_fake_record){
        .name = name, .type = strchr(address, ':') ? DNS_AAAA : DNS_A, .ttl = ttl, .address = address});
}

static void put_srv(const char *name, uint16_t priority, uint16_t weight, uint16_t port, const char *target)
{
    dns_fake_put((struct dns_fake_record){
        .name = name, .type = DNS_SRV, .ttl = 60, .srv = {priority, weight, port}, .target = target});
}

static void put_failure(const char *name, int type, enum dns_kind kind)
{
    dns_fake_put((struct dns_fake_record){.name = name, .type = type, .kind = kind});
}

static void resolve(const char *host, bool srv)
{
    ck_assert_int_eq(resolve_now(&settings, host, 8080, srv, &answer), 0);
}

static void expect_record(size_t index, const char *address)
{
    char text[SERVER_NAME_MAX];

    ck_assert_uint_lt(index, answer.n);
    ck_assert_str_eq(server_address_print(&answer.records[index].address, text, sizeof text), address);
}

static void expect_failure(const char *part)
{
    ck_assert_ptr_nonnull(answer.failure);
    ck_assert_uint_eq(answer.n, 0);
    ck_assert_msg(strstr(answer.failure, part) != NULL, "%s", answer.failure);
}

START_TEST(all_addresses_of_both_families_come_sorted_and_once)
{
    put_a("app.test", "127.0.0.9", 300);
    put_a("app.test", "127.0.0.2", 300);
    put_a("app.test", "127.0.0.9", 300);
    put_a("app.test", "127.0.0.10", 300);
    resolve("app.test", false);
    ck_assert_ptr_null(answer.failure);
    ck_assert_uint_eq(answer.n, 3);
    expect_record(0, "127.0.0.2:8080");
    expect_record(1, "127.0.0.9:8080");
    expect_record(2, "127.0.0.10:8080");
    ck_assert(!answer.partial);
}
END_TEST

static bool has_ipv6(void)
{
    int fd = socket(AF_INET6, SOCK_DGRAM, 0);
    struct sockaddr_in6 address = {
        .sin6_family = AF_INET6, .sin6_port = htons(9), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool has = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0;

    if (fd >= 0)
        close(fd);
    return has;
}

START_TEST(addresses_without_a_way_to_them_are_left_out)
{
    put_a("app.test", "::1", 300);
    put_a("app.test", "127.0.0.1", 300);
    resolve("app.test", false);
    ck_assert_uint_eq(answer.n, has_ipv6() ? 2 : 1);
    expect_record(0, "127.0.0.1:8080");
}
END_TEST

START_TEST(addresses_without_a_way_to_them_stay_when_there_are_no_others)
{
    put_a("app.test", "2001:db8::1", 300);
    resolve("app.test", false);
    ck_assert_uint_eq(answer.n, 1);
    expect_record(0, "[2001:db8::1]:8080");
}
END_TEST

START_TEST(the_smallest_ttl_counts_within_its_bounds)
{
    put_a("app.test", "127.0.0.1", 300);
    put_a("app.test", "127.0.0.2", 20);
    resolve("app.test", false);
    ck_assert_uint_eq(answer.ttl_ms, 20000);
    put_a("app.test", "127.0.0.3", 0);
    resolve("app.test", false);
    ck_assert_uint_eq(answer.ttl_ms, 1000);
    dns_fake_clear();
    put_a("app.test", "127.0.0.1", 86400);
    resolve("app.test", false);
    ck_assert_uint_eq(answer.ttl_ms, 3600000);
}
END_TEST

START_TEST(a_name_that_is_not_there_says_so)
{
    resolve("app.test", false);
    expect_failure("not found");
    put_srv("app.test", 0, 0, 1, "x.test");
    resolve("app.test", false);
    expect_failure("no data");
}
END_TEST

START_TEST(a_failing_server_is_not_a_name_that_is_not_there)
{
    put_failure("app.test", DNS_A, DNS_SERVFAIL);
    put_failure("app.test", DNS_AAAA, DNS_SERVFAIL);
    resolve("app.test", false);
    expect_failure("server"); /* which words exactly depends on the library's version */
    ck_assert(answer.partial);
}
END_TEST

START_TEST(a_silent_server_is_a_timeout)
{
    put_failure("app.test", DNS_A, DNS_SILENT);
    put_failure("app.test", DNS_AAAA, DNS_SILENT);
    resolve("app.test", false);
    expect_failure("imeout");
    ck_assert_uint_ge(dns_fake.asked, 4);
}
END_TEST

START_TEST(one_family_without_an_answer_makes_it_partial)
{
    put_a("app.test", "127.0.0.1", 300);
    put_failure("app.test", DNS_AAAA, DNS_SERVFAIL);
    resolve("app.test", false);
    ck_assert_ptr_null(answer.failure);
    ck_assert_uint_eq(answer.n, 1);
    ck_assert(answer.partial);
}
END_TEST

START_TEST(localhost_is_known_without_a_server)
{
    resolve("localhost", false);
    ck_assert_ptr_null(answer.failure);
    expect_record(0, "127.0.0.1:8080");
    ck_assert_uint_eq(answer.ttl_ms, RESOLVE_HOSTS_MS);
    ck_assert_uint_eq(dns_fake.asked, 0);
}
END_TEST

START_TEST(srv_gives_ports_priorities_and_weights)
{
    put_srv("_http._tcp.test", 20, 0, 9003, "c.test");
    put_srv("_http._tcp.test", 10, 5, 9002, "b.test");
    put_srv("_http._tcp.test", 10, 1, 9001, "a.test");
    put_a("a.test", "127.0.0.1", 300);
    put_a("b.test", "127.0.0.2", 30);
    put_a("b.test", "127.0.0.3", 30);
    put_a("c.test", "127.0.0.4", 300);
    resolve("_http._tcp.test", true);
    ck_assert_ptr_null(answer.failure);
    ck_assert_uint_eq(answer.n, 4);
    expect_record(0, "127.0.0.1:9001");
    expect_record(1, "127.0.0.2:9002");
    expect_record(2, "127.0.0.3:9002");
    expect_record(3, "127.0.0.4:9003");
    ck_assert_uint_eq(answer.records[1].weight, 5);
    ck_assert_uint_eq(answer.records[2].priority, 10);
    ck_assert_uint_eq(answer.records[3].priority, 20);
    ck_assert_uint_eq(answer.ttl_ms, 30000);
}
END_TEST

START_TEST(srv_has_a_ttl_of_its_own)
{
    dns_fake_put((struct dns_fake_record){
        .name = "_x._tcp.test", .type = DNS_SRV, .ttl = 7, .srv = {0, 0, 9001}, .target = "a.test"});
    put_a("a.test", "127.0.0.1", 300);
    resolve("_x._tcp.test", true);
    ck_assert_uint_eq(answer.ttl_ms, 7000);
}
END_TEST

START_TEST(srv_targets_that_are_not_there_are_left_out)
{
    put_srv("_http._tcp.test", 1, 0, 9001, "gone.test");
    put_srv("_http._tcp.test", 1, 0, 9002, "a.test");
    put_a("a.test", "127.0.0.1", 300);
    resolve("_http._tcp.test", true);
    ck_assert_uint_eq(answer.n, 1);
    ck_assert(!answer.partial);
    expect_record(0, "127.0.0.1:9002");
}
END_TEST

START_TEST(srv_that_says_there_is_no_such_service_is_a_failure)
{
    put_srv("_http._tcp.test", 0, 0, 0, "");
    resolve("_http._tcp.test", true);
    expect_failure("no server");
    dns_fake_clear();
    resolve("_http._tcp.test", true);
    expect_failure("not found");
}
END_TEST

/* Many at once, more than are under way at a time. */

struct asked {
    struct resolve_query query;
    char host[32];
    unsigned answers;
    size_t n;
};

static void on_answer(struct resolve_query *query, const struct resolve_answer *given)
{
    struct asked *asked = query->context;

    asked->answers++;
    asked->n = given->n;
}

START_TEST(many_questions_are_all_answered_once)
{
    static struct asked asked[NAMES_MAX];
    struct resolver *resolver;
    unsigned answered = 0;

    put_a("known.test", "127.0.0.1", 300);
    ck_assert_int_eq(resolver_create(&settings, &resolver), 0);
    ck_assert_int_eq(resolver_timeout_ms(resolver), -1);
    for (unsigned i = 0; i < NAMES_MAX; i++) {
        snprintf(asked[i].host, sizeof asked[i].host, i % 2 ? "known.test" : "unknown-%u.test", i);
        asked[i].query = (struct resolve_query){
            .host = asked[i].host, .port = 80, .done = on_answer, .context = &asked[i]};
        ck_assert_int_eq(resolver_ask(resolver, &asked[i].query), 0);
    }
    while (answered < NAMES_MAX) {
        struct pollfd ready = {.fd = resolver_fd(resolver), .events = POLLIN};

        (void)poll(&ready, 1, resolver_timeout_ms(resolver));
        resolver_run(resolver);
        answered = 0;
        for (unsigned i = 0; i < NAMES_MAX; i++)
            answered += asked[i].answers;
    }
    for (unsigned i = 0; i < NAMES_MAX; i++) {
        ck_assert_uint_eq(asked[i].answers, 1);
        ck_assert_uint_eq(asked[i].n, i % 2);
    }
    ck_assert_int_eq(resolver_timeout_ms(resolver), -1);
    resolver_destroy(resolver);
}
END_TEST

START_TEST(a_resolver_may_go_while_questions_are_open)
{
    static struct asked asked[NAMES_MAX];
    struct resolver *resolver;

    put_failure("silent.test", DNS_A, DNS_SILENT);
    put_failure("silent.test", DNS_AAAA, DNS_SILENT);
    ck_assert_int_eq(resolver_create(&settings, &resolver), 0);
    for (unsigned i = 0; i < NAMES_MAX; i++) {
        asked[i].query = (struct resolve_query){
            .host = "silent.test", .port = 80, .done = on_answer, .context = &asked[i]};
        ck_assert_int_eq(resolver_ask(resolver, &asked[i].query), 0);
    }
    resolver_run(resolver);
    ck_assert_int_ge(resolver_timeout_ms(resolver), 0);
    resolver_destroy(resolver);
    ck_assert_uint_eq(asked[0].answers, 0);
}
END_TEST

START_TEST(a_name_that_is_too_long_is_refused)
{
    char host[400];

    memset(host, 'a', sizeof host - 1);
    host[sizeof host - 1] = '\0';
    ck_assert_int_eq(resolve_now(&settings, host, 80, false, &answer), -ENAMETOOLONG);
}
END_TEST

START_TEST(a_message_that_ends_early_has_the_ttls_before_its_end)
{
    static const unsigned char message[] = {0, 1,    0x81, 0x80, 0,    1,  0, 2,  0, 0, 0, 0, 1, 'a', 0,
                                            0, 33,   0,    1,    0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 9,   0,
                                            0, 0xc0, 12,   0,    33,   0,  1, 0,  0, 0, 5, 0, 0};

    for (size_t len = 0; len < sizeof message; len++) {
        unsigned char *copy = malloc(len + 1); /* of the right size, for AddressSanitizer */

        memcpy(copy, message, len);
        ck_assert_uint_eq(resolve_least_ttl(copy, len), len < 31 ? UINT32_MAX : 9);
        free(copy);
    }
    ck_assert_uint_eq(resolve_least_ttl(message, sizeof message), 5);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, all_addresses_of_both_families_come_sorted_and_once);
    tcase_add_test(tests, addresses_without_a_way_to_them_are_left_out);
    tcase_add_test(tests, addresses_without_a_way_to_them_stay_when_there_are_no_others);
    tcase_add_test(tests, the_smallest_ttl_counts_within_its_bounds);
    tcase_add_test(tests, a_name_that_is_not_there_says_so);
    tcase_add_test(tests, a_failing_server_is_not_a_name_that_is_not_there);
    tcase_add_test(tests, a_silent_server_is_a_timeout);
    tcase_add_test(tests, one_family_without_an_answer_makes_it_partial);
    tcase_add_test(tests, localhost_is_known_without_a_server);
    tcase_add_test(tests, srv_gives_ports_priorities_and_weights);
    tcase_add_test(tests, srv_has_a_ttl_of_its_own);
    tcase_add_test(tests, srv_targets_that_are_not_there_are_left_out);
    tcase_add_test(tests, srv_that_says_there_is_no_such_service_is_a_failure);
    tcase_add_test(tests, many_questions_are_all_answered_once);
    tcase_add_test(tests, a_resolver_may_go_while_questions_are_open);
    tcase_add_test(tests, a_name_that_is_too_long_is_refused);
    tcase_add_test(tests, a_message_that_ends_early_has_the_ttls_before_its_end);
}

int main(void)
{
    Suite *suite = suite_create("resolve");
    TCase *tests = tcase_create("all");
    SRunner *runner = srunner_create(suite);

    suite_add_tcase(suite, tests);
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, start, dns_fake_stop);
    add_tests(tests);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
