/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What core/engine/log_escape.c makes of text from outside: tables for both forms, every byte at every place
 * of its fast path, and every size of the room it is given.
 */
#include "engine/log.h"

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct escape_case {
    const char *text;
    size_t len;
    const char *hex, *json;
};

#define CASE(text, hex, json)                                                                                \
    {                                                                                                        \
        text, sizeof(text) - 1, hex, json                                                                    \
    }

static const struct escape_case escape_cases[] = {
    CASE("", "", ""),
    CASE("Mozilla/5.0 (X11; Linux) ~", "Mozilla/5.0 (X11; Linux) ~", "Mozilla/5.0 (X11; Linux) ~"),
    CASE("a\"b\\c", "a\\x22b\\x5cc", "a\\\"b\\\\c"),
    CASE("12345678\"12345678", "12345678\\x2212345678", "12345678\\\"12345678"),
    CASE("\0\n\r\t\x1f \x7f", "\\x00\\x0a\\x0d\\x09\\x1f \\x7f", "\\u0000\\u000a\\u000d\\u0009\\u001f \x7f"),
    CASE("caf\xc3\xa9", "caf\\xc3\\xa9", "caf\xc3\xa9"),
    CASE("\xe2\x82\xac", "\\xe2\\x82\\xac", "\xe2\x82\xac"),
    CASE("\xf0\x9f\x98\x80", "\\xf0\\x9f\\x98\\x80", "\xf0\x9f\x98\x80"),
    CASE("\xf4\x8f\xbf\xbf", "\\xf4\\x8f\\xbf\\xbf", "\xf4\x8f\xbf\xbf"),
    CASE("\xc3", "\\xc3", "\\ufffd"),
    CASE("\xc0\xaf", "\\xc0\\xaf", "\\ufffd\\ufffd"),
    CASE("\xe0\x9f\xbf", "\\xe0\\x9f\\xbf", "\\ufffd\\ufffd\\ufffd"),
    CASE("\xed\xa0\x80", "\\xed\\xa0\\x80", "\\ufffd\\ufffd\\ufffd"),
    CASE("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80", "\\ufffd\\ufffd\\ufffd\\ufffd"),
    CASE("\xf0\x8f\xbf\xbf", "\\xf0\\x8f\\xbf\\xbf", "\\ufffd\\ufffd\\ufffd\\ufffd"),
    CASE("\x80\xff"
         "a",
         "\\x80\\xffa", "\\ufffd\\ufffda"),
    CASE("\xe2\x82\x41", "\\xe2\\x82A", "\\ufffd\\ufffdA"),
};

/* In every size, in a buffer of just that size for AddressSanitizer; a smaller result is a prefix of the
 * whole one. */
static void check_escape(size_t (*escape)(char *, size_t, const char *, size_t),
                         const struct escape_case *entry, const char *expected)
{
    const size_t expected_len = strlen(expected);
    char *text = malloc(entry->len + 1);

    memcpy(text, entry->text, entry->len);
    text = realloc(text, entry->len > 0 ? entry->len : 1);
    for (size_t size = 0; size <= expected_len + 9; size++) {
        char *out = malloc(size > 0 ? size : 1);
        const size_t len = escape(out, size, text, entry->len);

        ck_assert_uint_le(len, size);
        ck_assert_int_eq(memcmp(out, expected, len), 0);
        if (size >= expected_len)
            ck_assert_uint_eq(len, expected_len);
        ck_assert(len == expected_len || expected_len - len > 0);
        ck_assert(len + 6 > size || len == expected_len);
        free(out);
    }
    free(text);
}

START_TEST(escapes_are_as_the_tables_say_and_never_cut)
{
    check_escape(log_escape, &escape_cases[_i], escape_cases[_i].hex);
    check_escape(log_escape_json, &escape_cases[_i], escape_cases[_i].json);
}
END_TEST

/* Each byte at each of the places that the eight-at-a-time path has. */
START_TEST(every_byte_is_escaped_wherever_it_stands)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        for (size_t place = 0; place < 24; place++) {
            char text[24], out[64], expected[64];
            const bool plain = byte >= 0x20 && byte <= 0x7e && byte != '"' && byte != '\\';

            memset(text, 'p', sizeof(text));
            text[place] = (char)byte;
            memset(expected, 'p', sizeof(expected));
            if (plain)
                expected[place] = (char)byte;
            else
                snprintf(expected + place, 5, "\\x%02x", byte);
            if (!plain)
                expected[place + 4] = 'p';
            ck_assert_uint_eq(log_escape(out, sizeof(out), text, sizeof(text)), plain ? 24 : 27);
            ck_assert_int_eq(memcmp(out, expected, plain ? 24 : 27), 0);
        }
    }
}
END_TEST

static Suite *log_escape_suite(void)
{
    Suite *suite = suite_create("log_escape");
    TCase *tcase = tcase_create("log_escape");

    tcase_add_loop_test(tcase, escapes_are_as_the_tables_say_and_never_cut, 0,
                        (int)(sizeof(escape_cases) / sizeof(escape_cases[0])));
    tcase_add_test(tcase, every_byte_is_escaped_wherever_it_stands);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(log_escape_suite());

    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
