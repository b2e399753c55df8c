/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tests of what an answer of the resolver asks for, of addresses, and of the question whether anybody still has links to a server. No
 * thread but the test's own.
 */
#include "upstream/farewell.h"
#include "upstream/wanted.h"

#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <string.h>

static struct resolve_answer answer;
static struct wanted entries[2 * PLACES_MAX];
static struct wanted_list wanted;

static void add_record(const char *address, uint16_t port, uint16_t priority, uint16_t weight)
{
    struct resolve_record *record = &answer.records[answer.n++];

    *record = (struct resolve_record){.priority = priority, .weight = weight};
    record->address.len = sizeof record->address.in;
    record->address.in.sin_family = AF_INET;
    record->address.in.sin_port = htons(port);
    inet_pton(AF_INET, address, &record->address.in.sin_addr);
}

static void list_of(size_t n_places, size_t n_backup)
{
    wanted = (struct wanted_list){.n_places = n_places, .n_backup = n_backup, .entries = entries};
    wanted_of_answer(&wanted, &answer);
}

static void expect_wanted(size_t index, const char *address, uint32_t share, bool backup)
{
    char text[SERVER_NAME_MAX];

    ck_assert_uint_lt(index, wanted.n);
    ck_assert_str_eq(server_address_print(&entries[index].address, text, sizeof text), address);
    ck_assert_uint_eq(entries[index].share, share);
    ck_assert(entries[index].backup == backup);
}

START_TEST(weights_are_shares_of_the_largest_of_their_tier)
{
    answer.n = 0;
    add_record("127.0.0.1", 81, 1, 300);
    add_record("127.0.0.2", 82, 1, 100);
    add_record("127.0.0.3", 83, 1, 0);
    add_record("127.0.0.4", 84, 2, 0);
    add_record("127.0.0.5", 85, 3, 0);
    list_of(4, 4);
    ck_assert_uint_eq(wanted.n, 5);
    expect_wanted(0, "127.0.0.1:81", 100, false);
    expect_wanted(1, "127.0.0.2:82", 33, false);
    expect_wanted(2, "127.0.0.3:83", 1, false);
    expect_wanted(3, "127.0.0.4:84", 100, true);
    expect_wanted(4, "127.0.0.5:85", 100, true);
    list_of(4, 0);
    ck_assert_uint_eq(wanted.n, 3);
    ck_assert_uint_eq(wanted.n_left_out, 0);
    list_of(2, 1);
    ck_assert_uint_eq(wanted.n, 3);
    ck_assert_uint_eq(wanted.n_left_out, 2);
    expect_wanted(2, "127.0.0.4:84", 100, true);
}
END_TEST

START_TEST(a_partial_answer_takes_nothing_away)
{
    struct wanted had_entries[3];
    struct wanted_list had = {.n_places = 3, .entries = had_entries};

    answer.n = 0;
    add_record("127.0.0.1", 80, 0, 0);
    add_record("127.0.0.3", 80, 0, 0);
    wanted_of_answer(&had, &answer);
    answer.n = 0;
    add_record("127.0.0.2", 80, 0, 0);
    add_record("127.0.0.3", 80, 0, 0);
    list_of(3, 0);
    wanted_keep(&wanted, &had);
    ck_assert_uint_eq(wanted.n, 3);
    expect_wanted(0, "127.0.0.1:80", 100, false);
    expect_wanted(2, "127.0.0.3:80", 100, false);
    list_of(2, 0);
    wanted_keep(&wanted, &had);
    ck_assert_uint_eq(wanted.n, 2);
    ck_assert_uint_eq(wanted.n_left_out, 1);
}
END_TEST

/* Each sorts before the next. */
static struct server_address address_of(int which)
{
    static const char *const paths[] = {"/a", "/b"};
    static const char *const v4[] = {"10.0.0.1", "10.0.0.1", "10.0.0.2"}, *const v6[] = {"::1", "::1", "::2", "::2"};
    struct server_address address = {0};

    if (which < 2) {
        address.len = sizeof address.un;
        address.un.sun_family = AF_UNIX;
        snprintf(address.un.sun_path, sizeof address.un.sun_path, "%s", paths[which]);
    } else if (which < 5) {
        address.len = sizeof address.in;
        address.in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(which == 2 ? 255 : 256)};
        inet_pton(AF_INET, v4[which - 2], &address.in.sin_addr);
    } else {
        address.len = sizeof address.in6;
        address.in6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(which == 5 ? 80 : 81)};
        inet_pton(AF_INET6, v6[which - 5], &address.in6.sin6_addr);
        address.in6.sin6_scope_id = which == 8 ? 3 : 2;
    }
    return address;
}
#define N_ADDRESSES 9

START_TEST(addresses_are_the_same_where_nothing_differs)
{
    for (int i = 0; i < N_ADDRESSES; i++) {
        for (int k = 0; k < N_ADDRESSES; k++) {
            struct server_address a = address_of(i), b = address_of(k);
            int order = server_address_compare(&a, &b);

            ck_assert_int_eq((order > 0) - (order < 0), (i > k) - (i < k));
            ck_assert_int_eq(server_address_equals(&a, &b), i == k);
        }
    }
}
END_TEST

START_TEST(a_path_may_fill_its_field)
{
    struct server_address a = {.len = sizeof a.un, .un = {.sun_family = AF_UNIX}}, b;
    char text[SERVER_NAME_MAX];

    memset(a.un.sun_path, 'p', sizeof a.un.sun_path);
    b = a;
    ck_assert_int_eq(server_address_compare(&a, &b), 0);
    b.un.sun_path[sizeof b.un.sun_path - 1] = 'q';
    ck_assert_int_lt(server_address_compare(&a, &b), 0);
    ck_assert_uint_eq(strlen(server_address_print(&a, text, sizeof text)), strlen("unix:") + sizeof a.un.sun_path);
    struct server_address short_one = address_of(0);
    ck_assert_str_eq(server_address_print(&short_one, text, sizeof text), "unix:/a");
}
END_TEST

START_TEST(a_state_is_free_when_all_have_answered_and_nobody_uses_it)
{
    atomic_uint count = 0;
    struct server_state state = {.in_flight = &count};
    struct state_question question = {0};

    ck_assert(state_is_answered(&question));
    state_ask(&question, &state, 2);
    state_answer(&question, 0);
    ck_assert(!state_is_answered(&question));
    state_answer(&question, 3);
    ck_assert(state_is_answered(&question));
    ck_assert(!state_is_free(&question));
    state_ask(&question, &state, 2);
    state_answer(&question, 0);
    state_answer(&question, 0);
    count = 1;
    ck_assert(state_is_answered(&question) && !state_is_free(&question));
    count = 0;
    ck_assert(state_is_free(&question));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wanted");
    TCase *tests = tcase_create("all");

    tcase_add_test(tests, weights_are_shares_of_the_largest_of_their_tier);
    tcase_add_test(tests, a_partial_answer_takes_nothing_away);
    tcase_add_test(tests, addresses_are_the_same_where_nothing_differs);
    tcase_add_test(tests, a_path_may_fill_its_field);
    tcase_add_test(tests, a_state_is_free_when_all_have_answered_and_nobody_uses_it);
    suite_add_tcase(suite, tests);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
