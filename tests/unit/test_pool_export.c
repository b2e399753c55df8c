/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tests of what a process hands on of its servers (pool_export, pool_import): everything comes over, keyed by pool, name and address, and a
 * text that is not well-formed changes nothing. The text is always in memory of its own size, so that a read beyond it is found out.
 */
#include "upstream/tier.h"

#include "picker_fixture.h"

static char exported[65536], again[65536];

static void give_addresses(void)
{
    for (size_t i = 0; i < 4; i++) {
        servers[i].address.len = sizeof servers[i].address.in;
        servers[i].address.in.sin_family = AF_INET;
        servers[i].address.in.sin_port = htons(80);
        servers[i].address.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)i);
    }
}

/* Another process: nothing of the pool before is known to it. */
static void start_anew(size_t n_servers)
{
    free_states(pool_put(pool));
    start(n_servers);
}

static bool import_bytes(const char *text, size_t size)
{
    char *own = malloc(size);
    bool good;

    ck_assert(own || size == 0);
    memcpy(own, text, size);
    good = pool_import(pool, own, size);
    free(own);
    return good;
}

static bool import(const char *text)
{
    return import_bytes(text, strlen(text));
}

static const char *export_to(char *text)
{
    ck_assert_uint_lt(pool_export(pool, text, sizeof exported), sizeof exported);
    return text;
}

/* A value of its own in each word. */
static void fill_state(size_t server, unsigned base)
{
    struct server_state *state = state_of(server);

    state->picked = base + 1;
    state->failed = base + 2;
    state->ejected = base + 3;
    state->flags = SERVER_CHECKED | SERVER_AGENT_DRAIN;
    state->share = 40;
    state->ramp_start_ms = base + 4;
    state->forgiven_ms = base + 5;
    state->ejections = base + 6;
    state->checks.last = base + 7;
    state->checks.duration_ms = base + 8;
    state->checks.changed_ms = base + 9;
    state->checks.failures = base + 10;
    state->checks.downs = base + 11;
    state->checks.down_ms = base + 12;
}

START_TEST(every_word_comes_over)
{
    give_addresses();
    start(3);
    ck_assert(fail_server(one, 1, 1));
    for (unsigned i = 0; i < 3; i++)
        fill_state(i, 100 * i);
    export_to(exported);
    ck_assert_ptr_nonnull(strstr(exported, "server site s:80 127.0.0.2:80 68 40 104 10001 105 106 101 102 103 107 108 109 110 111 112\n"));
    start_anew(3);
    ck_assert_str_ne(export_to(again), exported);
    ck_assert(import(exported));
    ck_assert_str_eq(export_to(again), exported);
    ck_assert_uint_eq(pool->state->n_ejected, 1);
    ck_assert_uint_eq(out_until(1), 1 + TIMEOUT_MS);
}
END_TEST

START_TEST(counters_of_the_pool_come_over)
{
    servers[1].backup = servers[0].down = true;
    start(2);
    ck_assert_int_eq(share(one, 1, 1), 100);
    export_to(exported);
    start_anew(2);
    ck_assert(import(exported));
    ck_assert_uint_eq(pool_counters(pool)->backup_picks, 100);
}
END_TEST

START_TEST(flags_of_the_configuration_are_those_of_the_next_one)
{
    give_addresses();
    servers[0].down = true;
    start(2);
    pool_change_flags(pool, pool_server(pool, 0), SERVER_CHECK_DOWN, 0, 1);
    export_to(exported);
    servers[0].down = false;
    servers[0].drain = servers[1].down = true;
    start_anew(2);
    ck_assert(import(exported));
    ck_assert_uint_eq(server_flags(pool_server(pool, 0)), SERVER_DRAIN | SERVER_CHECK_DOWN);
    ck_assert_uint_eq(server_flags(pool_server(pool, 1)), SERVER_DOWN);
}
END_TEST

START_TEST(pickers_and_promotion_know_what_came_over)
{
    give_addresses();
    servers[2].backup = true;
    start(3);
    for (size_t i = 0; i < 2; i++)
        pool_change_flags(pool, pool_server(pool, i), SERVER_CHECK_DOWN, 0, 1);
    export_to(exported);
    start_anew(3);
    ck_assert_int_eq(share(one, 2, 1), 0);
    ck_assert(import(exported));
    ck_assert(pool_backups_promoted(pool));
    ck_assert_int_eq(share(one, 2, 1), 100);
}
END_TEST

START_TEST(lines_of_other_pools_and_servers_are_left_aside)
{
    give_addresses();
    start(2);
    export_to(exported);
    ck_assert(import("server other s:80 127.0.0.1:80 8 40 0 0 0 0 0 0 0 0 0 0 0 0 0\n"));
    ck_assert(import("server site t:80 127.0.0.1:80 8 40 0 0 0 0 0 0 0 0 0 0 0 0 0\n"));
    ck_assert(import("server site s:80 127.0.0.1:81 8 40 0 0 0 0 0 0 0 0 0 0 0 0 0\n"));
    ck_assert(import("pool other 9 9\n"));
    ck_assert(import(""));
    ck_assert_str_eq(export_to(again), exported);
}
END_TEST

START_TEST(servers_that_are_alike_get_their_lines_in_turn)
{
    start(3); /* all of them s:80 without an address */
    for (unsigned i = 0; i < 3; i++)
        fill_state(i, 100 * i);
    export_to(exported);
    start_anew(3);
    ck_assert(import(exported));
    ck_assert_str_eq(export_to(again), exported);
}
END_TEST

START_TEST(names_may_have_any_byte)
{
    spec.name = "a b%\n\x7f\xff";
    servers[0].name = "unix:/tmp/a b%20\n";
    servers[0].address.un = (struct sockaddr_un){.sun_family = AF_UNIX, .sun_path = "/tmp/a b%20\n"};
    servers[0].address.len = sizeof servers[0].address.un;
    start(1);
    fill_state(0, 5);
    export_to(exported);
    ck_assert_ptr_nonnull(strstr(exported, "server a%20b%25%0A%7F%FF unix:/tmp/a%20b%2520%0A unix:/tmp/a%20b%2520%0A 68 "));
    start_anew(1);
    ck_assert(import(exported));
    ck_assert_str_eq(export_to(again), exported);
}
END_TEST

START_TEST(no_more_come_over_as_out_than_may_be_out)
{
    give_addresses();
    start(4);
    for (int i = 0; i < 3; i++)
        ck_assert(fail_server(one, i, 1));
    export_to(exported);
    spec.max_ejected = 50;
    start_anew(4);
    ck_assert(import(exported));
    ck_assert_uint_eq(pool->state->n_ejected, 2);
    ck_assert_uint_eq(count_out(), 2);
    ck_assert(import(exported)); /* once more counts nobody twice */
    ck_assert_uint_eq(pool->state->n_ejected, 2);
    start_anew(1);
    ck_assert(import(exported));
    ck_assert_uint_eq(pool->state->n_ejected, 0);
}
END_TEST

START_TEST(what_has_no_room_is_left_out_by_whole_lines)
{
    give_addresses();
    start(3);
    export_to(exported);
    size_t len = strlen(exported);

    for (size_t size = 0; size <= len + 1; size++) {
        char *text = malloc(size);

        ck_assert(text || size == 0);
        ck_assert_uint_eq(pool_export(pool, text, size), len);
        if (size > 0) {
            size_t kept = strlen(text);

            ck_assert_uint_lt(kept, size);
            ck_assert(strncmp(text, exported, kept) == 0);
            ck_assert(kept == 0 || text[kept - 1] == '\n');
            ck_assert(kept == len || strchr(exported + kept, '\n') + 1 - exported >= (ptrdiff_t)size);
        }
        free(text);
    }
}
END_TEST

#define GOOD "server site s:80 127.0.0.1:80 8 40 1 2 3 4 5 6 7 8 9 10 11 12 13"

/* Each stands behind a line that is well-formed, which must have no effect either. */
static const char *const malformed[] = {
    GOOD,                                                                                /* no end of the line */
    GOOD "\n\n",                                                                         /* an empty line */
    GOOD " \n",                                                                          /* a space at the end */
    " " GOOD "\n",                                                                       /* a space before */
    GOOD " 14\n",                                                                        /* a number too many */
    "server site s:80 127.0.0.1:80 8 40 1 2 3 4 5 6 7 8 9 10 11 12\n",                    /* one too few */
    "server site s:80 127.0.0.1:80 8  40 1 2 3 4 5 6 7 8 9 10 11 12 13\n",                /* two spaces */
    "server site s:80 127.0.0.1:80 1 40 1 2 3 4 5 6 7 8 9 10 11 12 13\n",                 /* a flag of the configuration */
    "server site s:80 127.0.0.1:80 128 40 1 2 3 4 5 6 7 8 9 10 11 12 13\n",               /* no flag at all */
    "server site s:80 127.0.0.1:80 8 0 1 2 3 4 5 6 7 8 9 10 11 12 13\n",                  /* no share */
    "server site s:80 127.0.0.1:80 8 101 1 2 3 4 5 6 7 8 9 10 11 12 13\n",                /* too much share */
    "server site s:80 127.0.0.1:80 8 40 9223372036854775808 2 3 4 5 6 7 8 9 10 11 12 13\n", /* beyond all times */
    "server site s:80 127.0.0.1:80 8 40 1 2 3 4294967296 5 6 7 8 9 10 11 12 13\n",        /* more than 32 bits */
    "server site s:80 127.0.0.1:80 8 40 1 2 3 4 18446744073709551616 6 7 8 9 10 11 12 13\n", /* more than 64 bits */
    "server site s:80 127.0.0.1:80 8 40 -1 2 3 4 5 6 7 8 9 10 11 12 13\n",
    "server site s:80 127.0.0.1:80 8 40 1x 2 3 4 5 6 7 8 9 10 11 12 13\n",
    "server site s%:80 127.0.0.1:80 8 40 1 2 3 4 5 6 7 8 9 10 11 12 13\n",
    "server site s%4 127.0.0.1:80 8 40 1 2 3 4 5 6 7 8 9 10 11 12 13\n",
    "server site s%4g 127.0.0.1:80 8 40 1 2 3 4 5 6 7 8 9 10 11 12 13\n",
    "server site s\t 127.0.0.1:80 8 40 1 2 3 4 5 6 7 8 9 10 11 12 13\n",
    "servers site s:80 127.0.0.1:80 8 40 1 2 3 4 5 6 7 8 9 10 11 12 13\n",
    "server\n",
    "server other\n",
    "pool\n",
    "pool site 1\n",
    "pool site 1 2 3\n",
    "pool other 1 x\n",
    "\n",
};
#define N_MALFORMED ((int)(sizeof malformed / sizeof malformed[0]))

START_TEST(a_line_that_is_not_well_formed_changes_nothing)
{
    char text[1024];

    give_addresses();
    start(2);
    export_to(exported);
    snprintf(text, sizeof text, "%s\n%s", GOOD, malformed[_i]);
    ck_assert(!import(text));
    ck_assert_str_eq(export_to(again), exported);
    ck_assert(import(GOOD "\n"));
    ck_assert_str_ne(export_to(again), exported);
}
END_TEST

/* Whatever is changed in a text, it is taken as a whole or not at all; and what is taken counts right. */
START_TEST(a_text_with_errors_in_it_is_taken_or_refused)
{
    uint64_t random = 88172645463325252u;
    char text[sizeof exported];

    give_addresses();
    start(4);
    for (unsigned i = 0; i < 4; i++)
        fill_state(i, 100 * i);
    export_to(exported);
    for (int round = 0; round < 20000; round++) {
        size_t size = strlen(exported);

        memcpy(text, exported, size);
        for (uint64_t changes = next_random(&random) % 4; changes > 0; changes--) {
            static const char bytes[] = "0123456789 \n%sp\0x";

            text[next_random(&random) % size] = bytes[next_random(&random) % (sizeof bytes - 1)];
        }
        if (next_random(&random) % 4 == 0)
            size = next_random(&random) % size;
        (void)import_bytes(text, size);
        ck_assert_uint_eq(pool->state->n_ejected, count_out());
        for (size_t i = 0; i < 4; i++) {
            ck_assert_uint_ge(state_of(i)->share, 1);
            ck_assert_uint_le(state_of(i)->share, SHARE_WHOLE);
        }
    }
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, every_word_comes_over);
    tcase_add_test(tcase, counters_of_the_pool_come_over);
    tcase_add_test(tcase, flags_of_the_configuration_are_those_of_the_next_one);
    tcase_add_test(tcase, pickers_and_promotion_know_what_came_over);
    tcase_add_test(tcase, lines_of_other_pools_and_servers_are_left_aside);
    tcase_add_test(tcase, servers_that_are_alike_get_their_lines_in_turn);
    tcase_add_test(tcase, names_may_have_any_byte);
    tcase_add_test(tcase, no_more_come_over_as_out_than_may_be_out);
    tcase_add_test(tcase, what_has_no_room_is_left_out_by_whole_lines);
    tcase_add_loop_test(tcase, a_line_that_is_not_well_formed_changes_nothing, 0, N_MALFORMED);
    tcase_add_test(tcase, a_text_with_errors_in_it_is_taken_or_refused);
}

int main(void)
{
    return fixture_main("pool_export", add_tests);
}
