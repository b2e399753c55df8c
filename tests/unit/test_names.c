/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The promises of names.h: the character classes against the sets that the RFCs write down, known names in
 * any case, and dates against the C library's. One thread, no I/O.
 */
#include "http/names.h"

#include <check.h>
#include <ctype.h>
#include <stdlib.h>

START_TEST(tokens_and_values_have_the_bytes_that_rfc_9110_gives_them) /* requirements 6 and 36 */
{
    const char *symbols = "!#$%&'*+-.^_`|~";
    for (int byte = 0; byte < 256; byte++) {
        char c = (char)byte;
        bool alnum = byte < 128 && isalnum(byte);
        bool token = alnum || (byte != 0 && strchr(symbols, byte) != NULL);
        bool value = byte == '\t' || (byte >= 0x20 && byte != 0x7f);
        ck_assert_msg(http_is_token((struct span){&c, 1}) == token, "token %02x", (unsigned)byte);
        ck_assert_msg(http_is_field_value((struct span){&c, 1}) == value, "value %02x", (unsigned)byte);
    }
    ck_assert(!http_is_token(SPAN_LITERAL("")));
    ck_assert(!http_is_token(SPAN_LITERAL("a b")));
    ck_assert(http_is_field_value(SPAN_LITERAL("")));
    ck_assert(!http_is_field_value(SPAN_LITERAL("a\r\nb")));
}
END_TEST

static const struct {
    struct span name;
    enum field_id id;
} known[] = {
    {{"host", 4}, FIELD_HOST},
    {{"connection", 10}, FIELD_CONNECTION},
    {{"proxy-connection", 16}, FIELD_PROXY_CONNECTION},
    {{"keep-alive", 10}, FIELD_KEEP_ALIVE},
    {{"te", 2}, FIELD_TE},
    {{"trailer", 7}, FIELD_TRAILER},
    {{"transfer-encoding", 17}, FIELD_TRANSFER_ENCODING},
    {{"content-length", 14}, FIELD_CONTENT_LENGTH},
    {{"upgrade", 7}, FIELD_UPGRADE},
    {{"expect", 6}, FIELD_EXPECT},
    {{"max-forwards", 12}, FIELD_MAX_FORWARDS},
    {{"proxy-authorization", 19}, FIELD_PROXY_AUTHORIZATION},
    {{"proxy-authenticate", 18}, FIELD_PROXY_AUTHENTICATE},
    {{"via", 3}, FIELD_VIA},
    {{"date", 4}, FIELD_DATE},
    {{"server", 6}, FIELD_SERVER},
    {{"x-real-ip", 9}, FIELD_X_REAL_IP},
    {{"x-forwarded-for", 15}, FIELD_X_FORWARDED_FOR},
    {{"x-forwarded-proto", 17}, FIELD_X_FORWARDED_PROTO},
    {{"user-agent", 10}, FIELD_USER_AGENT},
    {{"referer", 7}, FIELD_REFERER},
    {{"cookie", 6}, FIELD_COOKIE},
};

START_TEST(known_fields_are_recognised_in_any_case_and_nothing_else_is)
{
    ck_assert_uint_eq(sizeof(known) / sizeof(known[0]), FIELD_IDS - 1);
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        char name[32];
        size_t len = known[i].name.len;
        for (size_t at = 0; at < len; at++) {
            memcpy(name, known[i].name.p, len);
            name[at] = (char)toupper(name[at]);
            ck_assert_uint_eq(http_field_id((struct span){name, len}), known[i].id);
            name[at] = known[i].name.p[at] == '-' ? '_' : '-';
            ck_assert_msg(http_field_id((struct span){name, len}) == FIELD_OTHER, "%.*s", (int)len, name);
            name[at] = (char)(known[i].name.p[at] ^ 1);
            ck_assert_msg(http_field_id((struct span){name, len}) == FIELD_OTHER, "%.*s", (int)len, name);
        }
        ck_assert_uint_eq(http_field_id((struct span){known[i].name.p, len - 1}), FIELD_OTHER);
    }
    ck_assert_uint_eq(http_field_id(SPAN_LITERAL("")), FIELD_OTHER);
}
END_TEST

START_TEST(methods_are_case_sensitive)
{
    ck_assert_uint_eq(http_method_id(SPAN_LITERAL("GET")), METHOD_GET);
    ck_assert_uint_eq(http_method_id(SPAN_LITERAL("PUT")), METHOD_PUT);
    ck_assert_uint_eq(http_method_id(SPAN_LITERAL("HEAD")), METHOD_HEAD);
    ck_assert_uint_eq(http_method_id(SPAN_LITERAL("POST")), METHOD_POST);
    ck_assert_uint_eq(http_method_id(SPAN_LITERAL("TRACE")), METHOD_TRACE);
    ck_assert_uint_eq(http_method_id(SPAN_LITERAL("PATCH")), METHOD_PATCH);
    ck_assert_uint_eq(http_method_id(SPAN_LITERAL("DELETE")), METHOD_DELETE);
    ck_assert_uint_eq(http_method_id(SPAN_LITERAL("CONNECT")), METHOD_CONNECT);
    ck_assert_uint_eq(http_method_id(SPAN_LITERAL("OPTIONS")), METHOD_OPTIONS);
    ck_assert_uint_eq(http_method_id(SPAN_LITERAL("get")), METHOD_OTHER);
    ck_assert_uint_eq(http_method_id(SPAN_LITERAL("")), METHOD_OTHER);
    ck_assert_uint_eq(http_method_id(SPAN_LITERAL("PROPFIND")), METHOD_OTHER);
}
END_TEST

START_TEST(only_methods_that_may_be_repeated_are_idempotent) /* requirement 15 */
{
    ck_assert(http_method_is_idempotent(METHOD_GET) && http_method_is_idempotent(METHOD_HEAD));
    ck_assert(http_method_is_idempotent(METHOD_PUT) && http_method_is_idempotent(METHOD_DELETE));
    ck_assert(http_method_is_idempotent(METHOD_OPTIONS) && http_method_is_idempotent(METHOD_TRACE));
    ck_assert(!http_method_is_idempotent(METHOD_POST) && !http_method_is_idempotent(METHOD_PATCH));
    ck_assert(!http_method_is_idempotent(METHOD_CONNECT) && !http_method_is_idempotent(METHOD_OTHER));
}
END_TEST

START_TEST(statuses_have_their_phrases) /* requirement 16 */
{
    ck_assert_str_eq(http_reason(200), "OK");
    ck_assert_str_eq(http_reason(502), "Bad Gateway");
    ck_assert_str_eq(http_reason(599), "Unknown");
}
END_TEST

START_TEST(dates_agree_with_the_c_library) /* requirement 14 */
{
    static const time_t hard[] = {0,         951782399,  951782400,  951868800,
                                  784111777, 4107542399, 4107542400, 253402300799};
    char ours[HTTP_DATE_LEN + 1], theirs[64];
    struct tm tm;
    for (time_t i = 0; i < 20000; i++) {
        time_t when = i < 8 ? hard[i] : i * 7654321;
        http_date(when, ours);
        strftime(theirs, sizeof(theirs), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&when, &tm));
        ck_assert_str_eq(ours, theirs);
    }
    http_date(784111777, ours);
    ck_assert_str_eq(ours, "Sun, 06 Nov 1994 08:49:37 GMT");
    http_date(-1, ours);
    ck_assert_str_eq(ours, "Thu, 01 Jan 1970 00:00:00 GMT");
    http_date(INT64_MAX, ours);
    ck_assert_str_eq(ours, "Fri, 31 Dec 9999 23:59:59 GMT");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("names");
    TCase *tcase = tcase_create("promises");
    tcase_add_test(tcase, tokens_and_values_have_the_bytes_that_rfc_9110_gives_them);
    tcase_add_test(tcase, known_fields_are_recognised_in_any_case_and_nothing_else_is);
    tcase_add_test(tcase, methods_are_case_sensitive);
    tcase_add_test(tcase, only_methods_that_may_be_repeated_are_idempotent);
    tcase_add_test(tcase, statuses_have_their_phrases);
    tcase_add_test(tcase, dates_agree_with_the_c_library);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
