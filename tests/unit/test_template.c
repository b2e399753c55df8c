/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tests of strings with variables: what they become, what is refused, and that no byte is written beyond the
 * room given.
 */
#include "config/template.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static char error[256];

/* "<number of the variable>", or "<field name>" of $http_NAME. */
static struct span resolve(void *context, int variable, struct span field)
{
    static char texts[64][64];
    int *calls = context;
    char *text = texts[(*calls)++ % 64];

    if (variable == VAR_HTTP_FIELD)
        snprintf(text, 64, "<%.*s>", (int)field.len, field.p);
    else
        snprintf(text, 64, "<%d>", variable);
    return (struct span){text, strlen(text)};
}

static void expect(const char *source, const char *expansion)
{
    struct template *template;
    int calls = 0;
    size_t len = strlen(expansion);

    ck_assert_msg(template_compile(source, &template, error, sizeof error) == 0, "%s: %s", source, error);
    ck_assert_uint_eq(template->source.len, strlen(source));
    ck_assert_str_eq(template->source.p, source);
    /* A block of just that size, so that the sanitizer sees a byte too many. */
    char *out = malloc(len + 1);
    ck_assert_int_eq(template_expand(template, resolve, &calls, out, len), (ssize_t)len);
    ck_assert_int_eq(memcmp(out, expansion, len), 0);
    if (len > 0)
        ck_assert_int_eq(template_expand(template, resolve, &calls, out, len - 1), -1);
    free(out);
    template_destroy(template);
}

static void expect_refused(const char *source, const char *part)
{
    struct template *template;

    ck_assert_int_eq(template_compile(source, &template, error, sizeof error), -EINVAL);
    ck_assert_msg(strstr(error, part) != NULL, "no \"%s\" in: %s", part, error);
}

START_TEST(literals_stay_as_they_are)
{
    expect("", "");
    expect("plain {text} %d \xc3\xa9", "plain {text} %d \xc3\xa9");
    expect("$$", "$");
    expect("a$$b$$$$c", "a$b$$c");
}
END_TEST

START_TEST(variables_are_filled_in_with_and_without_braces)
{
    char text[16];

    snprintf(text, sizeof text, "<%d>", VAR_HOST);
    expect("$host", text);
    expect("${host}", text);
    expect("$host$$x", "<0>$x");
    expect("a${host}b$host-c", "a<0>b<0>-c");
    expect("$remote_addr:$remote_port", "<2>:<3>");
    expect("$uri$uri", "<10><10>");
}
END_TEST

START_TEST(fields_of_the_request_are_lower_case_with_dashes)
{
    expect("$http_X_Forwarded_For", "<x-forwarded-for>");
    expect("${http_cookie};$http_a", "<cookie>;<a>");
    expect("$http_host", "<1>");
    expect("$http_hosts", "<hosts>");
}
END_TEST

START_TEST(literals_run_together_and_variables_do_not)
{
    struct template *template;

    ck_assert_int_eq(template_compile("a$$b${host}c", &template, error, sizeof error), 0);
    ck_assert_uint_eq(template->n_parts, 3);
    ck_assert(span_equals(template->parts[0].literal, SPAN_LITERAL("a$b")));
    ck_assert_int_eq(template->parts[1].variable, VAR_HOST);
    ck_assert(span_equals(template->parts[2].literal, SPAN_LITERAL("c")));
    template_destroy(template);
}
END_TEST

START_TEST(what_is_not_a_variable_is_refused_with_a_hint)
{
    expect_refused("$hots", "did you mean \"$host\"?");
    expect_refused("$remote_adr", "did you mean \"$remote_addr\"?");
    expect_refused("$frobnicate", "unknown variable \"$frobnicate\"");
    expect_refused("$http_", "unknown variable");
    expect_refused("5 $", "\"$$\"");
    expect_refused("$ x", "\"$$\"");
    expect_refused("${}", "\"$$\"");
    expect_refused("${host", "no closing brace");
    expect_refused("${ho st}", "no closing brace");
}
END_TEST

START_TEST(line_ends_are_for_bodies_only)
{
    struct template *template;

    expect_refused("a\nb", "line end");
    expect_refused("a\rb", "line end");
    ck_assert_int_eq(template_compile_text("a\r\n$host\n", &template, error, sizeof error), 0);
    ck_assert_uint_eq(template->n_parts, 3);
    template_destroy(template);
}
END_TEST

START_TEST(every_variable_of_the_table_is_known)
{
    struct template *template;
    int variable = 0;

#define X(id, name, sentence)                                                                                \
    ck_assert_int_eq(template_compile("$" name, &template, error, sizeof error), 0);                         \
    ck_assert_int_eq(template->parts[0].variable, variable++);                                               \
    template_destroy(template);
    TEMPLATE_VARIABLES(X)
#undef X
    ck_assert_int_eq(variable, VAR_HTTP_FIELD);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("template");
    TCase *tests = tcase_create("all");
    SRunner *runner = srunner_create(suite);

    suite_add_tcase(suite, tests);
    tcase_add_test(tests, literals_stay_as_they_are);
    tcase_add_test(tests, variables_are_filled_in_with_and_without_braces);
    tcase_add_test(tests, fields_of_the_request_are_lower_case_with_dashes);
    tcase_add_test(tests, literals_run_together_and_variables_do_not);
    tcase_add_test(tests, what_is_not_a_variable_is_refused_with_a_hint);
    tcase_add_test(tests, line_ends_are_for_bodies_only);
    tcase_add_test(tests, every_variable_of_the_table_is_known);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
