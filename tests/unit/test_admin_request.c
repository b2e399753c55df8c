/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The promises of control/reply.h, and of the request reader of control/admin_private.h. */
#include "control/admin_private.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct reply reply;
static struct request request;
static char line[CTL_REQUEST_MAX];

static void set_up(void)
{
    reply_init(&reply, 1u << 16);
}

static void tear_down(void)
{
    reply_fini(&reply);
}

static bool parse(const char *text, size_t len)
{
    memcpy(line, text, len);
    return request_parse(line, len, &request, &reply);
}

static void expect_text(const char *text)
{
    ck_assert_uint_eq(reply.len, strlen(text));
    ck_assert_mem_eq(reply.data, text, reply.len);
}

START_TEST(words_and_flags_come_in_any_order)
{
    const char text[] = "  server --persist web/10.0.0.1:80   down \r";

    ck_assert(parse(text, sizeof(text) - 1));
    ck_assert_uint_eq(request.n, 3);
    ck_assert_str_eq(request.words[0], "server");
    ck_assert_str_eq(request.words[1], "web/10.0.0.1:80");
    ck_assert_str_eq(request.words[2], "down");
    ck_assert_uint_eq(request.flags, REQUEST_PERSIST);
    ck_assert_ptr_nonnull(request_command(&request, &reply));
}
END_TEST

static const struct {
    const char *text, *answer;
} bad[] = {
    {"", "error the request is empty; try \"help\"\n"},
    {"   ", "error the request is empty; try \"help\"\n"},
    {"--json", "error the request is empty; try \"help\"\n"},
    {"status\t", "error a request is one line of words; try \"help\"\n"},
    {"sta\033tus", "error a request is one line of words; try \"help\"\n"},
    {"status --perisst", "error there is no \"--perisst\"; did you mean \"--persist\"?\n"},
    {"status --frobnicate", "error there is no \"--frobnicate\"; there are --json, --csv and --persist\n"},
    {"a b c d e f g h i j k l m n o p q", "error a request has at most 16 words\n"},
    {"serverz", "error there is no command \"serverz\"; did you mean \"servers\"?\n"},
    {"frobnicate", "error there is no command \"frobnicate\"; try \"help\"\n"},
    {"status now", "error usage: status [--json]\n"},
    {"reload --json", "error usage: reload\n"},
    {"server", "error usage: server POOL/NAME up|down|drain|weight N [--persist]\n"},
    {"server remove a/b c", "error usage: server remove POOL/NAME [--persist]\n"},
    {"server add a/b weight=1 max_conns=1 backup backup", "error usage: server add POOL/ADDRESS [weight=N] [max_conns=N] [backup] [--persist]\n"},
    {"servers --csv --json", "error it is either --json or --csv\n"},
};

START_TEST(what_is_wrong_is_told_with_what_would_be_right)
{
    bool good = parse(bad[_i].text, strlen(bad[_i].text)) && request_command(&request, &reply);

    ck_assert(!good);
    ck_assert(reply.failed);
    expect_text(bad[_i].answer);
}
END_TEST

START_TEST(each_command_takes_what_its_usage_says)
{
    for (const struct command *command = admin_commands; command->name; command++) {
        ck_assert_msg(command->least >= 1 && command->least <= command->most && command->most <= CTL_WORDS_MAX, "%s", command->name);
        ck_assert_msg((command->flags & REQUEST_JSON) == 0 || strstr(command->arguments, "--json"), "%s", command->name);
        ck_assert_msg((command->flags & REQUEST_CSV) == 0 || strstr(command->arguments, "--csv"), "%s", command->name);
        ck_assert_msg((command->flags & REQUEST_PERSIST) == 0 || strstr(command->arguments, "--persist"), "%s", command->name);
    }
}
END_TEST

START_TEST(json_is_well_formed)
{
    reply_open(&reply, NULL, '{');
    reply_number(&reply, "n", 18446744073709551615u);
    reply_string(&reply, "s", "a\"\\\n\xff", 5);
    reply_open(&reply, "l", '[');
    reply_open(&reply, NULL, '{');
    reply_close(&reply, '}');
    reply_flag(&reply, NULL, true);
    reply_close(&reply, ']');
    reply_open(&reply, "e", '[');
    reply_close(&reply, ']');
    reply_close(&reply, '}');
    expect_text("ok\n{\n  \"n\": 18446744073709551615,\n  \"s\": \"a\\\"\\\\\\u000a\\ufffd\",\n  \"l\": [\n    {},\n    true\n  ],\n  \"e\": []\n}\n");
}
END_TEST

START_TEST(an_error_takes_back_what_was_said_and_ends_it)
{
    reply_print(&reply, "half of an answer");
    reply_fail(&reply, "no\nmore of %d", 7);
    reply_print(&reply, "more");
    reply_fail(&reply, "another");
    expect_text("error no\nmore of 7\n");
}
END_TEST

START_TEST(an_answer_that_is_too_long_is_an_error)
{
    for (int i = 0; i < 20000; i++)
        reply_print(&reply, "0123456789");
    expect_text("error the answer would be longer than 65536 bytes: ask for less\n");
    ck_assert_uint_le(reply.size, 65536);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("admin_request");
    TCase *tests = tcase_create("promises");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, words_and_flags_come_in_any_order);
    tcase_add_loop_test(tests, what_is_wrong_is_told_with_what_would_be_right, 0, (int)(sizeof(bad) / sizeof(bad[0])));
    tcase_add_test(tests, each_command_takes_what_its_usage_says);
    tcase_add_test(tests, json_is_well_formed);
    tcase_add_test(tests, an_error_takes_back_what_was_said_and_ends_it);
    tcase_add_test(tests, an_answer_that_is_too_long_is_an_error);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
