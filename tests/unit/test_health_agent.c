/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tests of the parser of an agent's line: its words, its reason, garbage, limits, and every place where a
 * line can be split. */
#include "health/agent.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

#define NO_SHARE 1000u

struct line {
    const char *text;
    enum agent_mode mode;
    enum agent_service service;
    uint32_t share;
    const char *word, *reason;
    uint32_t n_unknown;
    const char *unknown;
};

static const struct line lines[] = {
    {"up\n", AGENT_MODE_SAME, AGENT_UP, NO_SHARE, "up", "", 0, ""},
    {"down\n", AGENT_MODE_SAME, AGENT_DOWN, NO_SHARE, "down", "", 0, ""},
    {"DOWN\r\n", AGENT_MODE_SAME, AGENT_DOWN, NO_SHARE, "DOWN", "", 0, ""},
    {"fail\n", AGENT_MODE_SAME, AGENT_DOWN, NO_SHARE, "fail", "", 0, ""},
    {"failed\n", AGENT_MODE_SAME, AGENT_DOWN, NO_SHARE, "failed", "", 0, ""},
    {"Stopped\n", AGENT_MODE_SAME, AGENT_DOWN, NO_SHARE, "Stopped", "", 0, ""},
    {"ready\n", AGENT_READY, AGENT_SERVICE_SAME, NO_SHARE, "", "", 0, ""},
    {"drain\n", AGENT_DRAIN, AGENT_SERVICE_SAME, NO_SHARE, "", "", 0, ""},
    {"maint\n", AGENT_MAINT, AGENT_SERVICE_SAME, NO_SHARE, "", "", 0, ""},
    {"75%\n", AGENT_MODE_SAME, AGENT_SERVICE_SAME, 75, "", "", 0, ""},
    {"0%\n", AGENT_MODE_SAME, AGENT_SERVICE_SAME, 0, "", "", 0, ""},
    {"100%\n", AGENT_MODE_SAME, AGENT_SERVICE_SAME, 100, "", "", 0, ""},
    {"250%\n", AGENT_MODE_SAME, AGENT_SERVICE_SAME, 100, "", "", 0, ""},
    {"000000001%\n", AGENT_MODE_SAME, AGENT_SERVICE_SAME, 1, "", "", 0, ""},
    {"ready up 50%\n", AGENT_READY, AGENT_UP, 50, "up", "", 0, ""},
    {"ready,up,50%\n", AGENT_READY, AGENT_UP, 50, "up", "", 0, ""},
    {" \t,ready ,, up\t50% , \n", AGENT_READY, AGENT_UP, 50, "up", "", 0, ""},
    {"up down\n", AGENT_MODE_SAME, AGENT_DOWN, NO_SHARE, "down", "", 0, ""},
    {"drain ready 10% 20%\n", AGENT_READY, AGENT_SERVICE_SAME, 20, "", "", 0, ""},
    {"down #disk full\n", AGENT_MODE_SAME, AGENT_DOWN, NO_SHARE, "down", "disk full", 0, ""},
    {"stopped#going home, up 10% \r\n", AGENT_MODE_SAME, AGENT_DOWN, NO_SHARE, "stopped",
     "going home, up 10%", 0, ""},
    {"fail # # a\n", AGENT_MODE_SAME, AGENT_DOWN, NO_SHARE, "fail", "# a", 0, ""},
    {"#up\n", AGENT_MODE_SAME, AGENT_SERVICE_SAME, NO_SHARE, "", "up", 0, ""},
    {"down#\n", AGENT_MODE_SAME, AGENT_DOWN, NO_SHARE, "down", "", 0, ""},
    {"down\rup\n", AGENT_MODE_SAME, AGENT_DOWN, NO_SHARE, "down", "", 0, ""},
    {"\n", AGENT_MODE_SAME, AGENT_SERVICE_SAME, NO_SHARE, "", "", 0, ""},
    {"upp\n", AGENT_MODE_SAME, AGENT_SERVICE_SAME, NO_SHARE, "", "", 1, "upp"},
    {"hello up you\n", AGENT_MODE_SAME, AGENT_UP, NO_SHARE, "up", "", 2, "hello"},
    {"%\n", AGENT_MODE_SAME, AGENT_SERVICE_SAME, NO_SHARE, "", "", 1, "%"},
    {"75\n", AGENT_MODE_SAME, AGENT_SERVICE_SAME, NO_SHARE, "", "", 1, "75"},
    {"-5%\n", AGENT_MODE_SAME, AGENT_SERVICE_SAME, NO_SHARE, "", "", 1, "-5%"},
    {"7.5%\n", AGENT_MODE_SAME, AGENT_SERVICE_SAME, NO_SHARE, "", "", 1, "7.5%"},
    {"75%%\n", AGENT_MODE_SAME, AGENT_SERVICE_SAME, NO_SHARE, "", "", 1, "75%%"},
    {"99999999999999999999%\n", AGENT_MODE_SAME, AGENT_SERVICE_SAME, NO_SHARE, "", "", 1,
     "99999999999999999999%"},
    {"maxconn:30 up\n", AGENT_MODE_SAME, AGENT_UP, NO_SHARE, "up", "", 1, "maxconn:30"},
    {"\x01\xff\x7f down\n", AGENT_MODE_SAME, AGENT_DOWN, NO_SHARE, "down", "", 1, "\x01\xff\x7f"},
};
#define N_LINES ((int)(sizeof(lines) / sizeof(lines[0])))

static void expect_span(struct span span, const char *text)
{
    ck_assert_msg(span.len == strlen(text) && (span.len == 0 || memcmp(span.p, text, span.len) == 0),
                  "\"%.*s\" is not \"%s\"", (int)span.len, span.len > 0 ? span.p : "", text);
}

static void expect_report(const struct agent_report *report, const struct line *line)
{
    ck_assert_int_eq(report->mode, line->mode);
    ck_assert_int_eq(report->service, line->service);
    ck_assert_int_eq(report->has_share, line->share != NO_SHARE);
    if (report->has_share)
        ck_assert_uint_eq(report->share, line->share);
    expect_span(report->word, line->word);
    expect_span(report->reason, line->reason);
    ck_assert_uint_eq(report->n_unknown, line->n_unknown);
    expect_span(report->unknown, line->unknown);
}

/* A copy of exactly n bytes on the heap, so that AddressSanitizer sees a read behind it. The caller frees. */
static char *copy_of(const char *text, size_t n)
{
    char *copy = malloc(n > 0 ? n : 1);

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, text, n);
    return copy;
}

START_TEST(a_line_is_understood_once_its_end_has_come)
{
    const struct line *line = &lines[_i];
    const size_t whole = strcspn(line->text, "\r\n");
    struct agent_report report;

    for (size_t n = 0; n <= strlen(line->text); n++) {
        char *copy = copy_of(line->text, n);
        const int consumed = agent_parse(copy, n, false, &report);

        if (n <= whole) {
            ck_assert_int_eq(consumed, -EAGAIN);
        } else {
            ck_assert_int_gt(consumed, (int)whole);
            ck_assert_int_le(consumed, (int)n);
            expect_report(&report, line);
        }
        free(copy);
    }
}
END_TEST

START_TEST(the_end_of_the_connection_ends_a_line)
{
    const struct line *line = &lines[_i];
    const size_t whole = strcspn(line->text, "\r\n");
    char *copy = copy_of(line->text, whole);
    struct agent_report report;

    ck_assert_int_eq(agent_parse(copy, whole, true, &report), (int)whole);
    expect_report(&report, line);
    free(copy);
}
END_TEST

START_TEST(a_line_may_be_so_long_and_no_longer)
{
    char text[AGENT_LINE_MAX + 2];
    struct agent_report report;

    memset(text, 'x', sizeof(text));
    ck_assert_int_eq(agent_parse(text, AGENT_LINE_MAX, false, &report), -EAGAIN);
    ck_assert_int_eq(agent_parse(text, AGENT_LINE_MAX, true, &report), (int)AGENT_LINE_MAX);
    ck_assert_int_eq(agent_parse(text, AGENT_LINE_MAX + 1, false, &report), -EMSGSIZE);
    ck_assert_int_eq(agent_parse(text, AGENT_LINE_MAX + 1, true, &report), -EMSGSIZE);
    text[AGENT_LINE_MAX] = '\n';
    ck_assert_int_eq(agent_parse(text, sizeof(text), false, &report), (int)AGENT_LINE_MAX + 1);
    ck_assert_uint_eq(report.n_unknown, 1);
    ck_assert_uint_eq(report.unknown.len, AGENT_LINE_MAX);
}
END_TEST

START_TEST(a_nul_is_a_byte_like_any_other)
{
    static const char text[] = "up\0down ready\n";
    struct agent_report report;

    ck_assert_int_eq(agent_parse(text, sizeof(text) - 1, false, &report), (int)sizeof(text) - 1);
    ck_assert_int_eq(report.mode, AGENT_READY);
    ck_assert_int_eq(report.service, AGENT_SERVICE_SAME);
    ck_assert_uint_eq(report.n_unknown, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("health_agent");
    TCase *tests = tcase_create("promises");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_loop_test(tests, a_line_is_understood_once_its_end_has_come, 0, N_LINES);
    tcase_add_loop_test(tests, the_end_of_the_connection_ends_a_line, 0, N_LINES);
    tcase_add_test(tests, a_line_may_be_so_long_and_no_longer);
    tcase_add_test(tests, a_nul_is_a_byte_like_any_other);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
