/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The promises of h1_parse_response, table by table. The number in each row is the requirement of HTTP.md
 * that it keeps. Every row is also fed cut at every byte: the verdict must not depend on it. One thread, no
 * I/O.
 */
#include "http/h1.h"

#include <check.h>
#include <stdlib.h>

#define S(text)                                                                                              \
    {                                                                                                        \
        (text), sizeof(text) - 1                                                                             \
    }
#define OK "HTTP/1.1 200 OK\r\n"

static const struct h1_limits limits = {
    .head_max = 2048, .target_max = 64, .field_max = 400, .fields_max = 20, .reject_underscores = true};
static struct field fields[20];
static struct h1_response response;

/* Any prefix must say "more" or, of a refused head, the same error. */
static void check_every_split(struct span head, uint8_t method, int whole)
{
    static char exact[4096];
    for (size_t len = 0; len < head.len; len++) {
        char *cut = exact + sizeof(exact) - len;
        memcpy(cut, head.p, len);
        int rc = h1_parse_response(cut, len, &limits, method, &response, fields);
        if (whole > 0 && len >= (size_t)whole)
            ck_assert_msg(rc == whole, "%zu bytes of <%s>: %d", len, head.p, rc);
        else
            ck_assert_msg(rc == 0 || (whole < 0 && rc == whole), "%zu bytes of <%s>: %d", len, head.p, rc);
    }
}

struct accepted {
    int requirement;
    struct span head;
    uint8_t method;
    int status, body;
    bool close, has_length;
    uint64_t length;
};

static const struct accepted accepted[] = {
    {60, S(OK "Content-Length: 5\r\n\r\nhello"), METHOD_GET, 200, BODY_LENGTH, false, true, 5},
    {60, S("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"), METHOD_GET, 200, BODY_LENGTH, false, true, 0},
    {60, S("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"), METHOD_GET, 200, BODY_LENGTH, false, true, 0},
    {60, S("HTTP/1.9 599 a\tb \xe4\r\nContent-Length: 0\r\n\r\n"), METHOD_GET, 599, BODY_LENGTH, false, true,
     0},
    {35, S(OK "Content-Length \t: 7\r\n\r\n"), METHOD_GET, 200, BODY_LENGTH, false, true, 7},
    {37, S(OK "Content_Length: 7\r\n\r\n"), METHOD_GET, 200, BODY_CLOSE, true, false, 0},
    {32, S(OK "Host: a b\r\nHost: c\r\nContent-Length: 1\r\n\r\n"), METHOD_GET, 200, BODY_LENGTH, false, true,
     1},
    {41, S(OK "Transfer-Encoding: Chunked\r\n\r\n"), METHOD_GET, 200, BODY_CHUNKED, false, false, 0},
    {41, S(OK "\r\n"), METHOD_GET, 200, BODY_CLOSE, true, false, 0},
    {52, S(OK "Content-Length: 5\r\n\r\n"), METHOD_HEAD, 200, BODY_NONE, false, true, 5},
    {52, S(OK "\r\n"), METHOD_HEAD, 200, BODY_NONE, false, false, 0},
    {52, S(OK "Transfer-Encoding: chunked\r\n\r\n"), METHOD_HEAD, 200, BODY_NONE, false, false, 0},
    {52, S("HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n"), METHOD_GET, 304, BODY_NONE, false, true, 5},
    {52, S("HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\n"), METHOD_GET, 204, BODY_NONE, false, false, 5},
    {52, S("HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n"), METHOD_GET, 204, BODY_NONE, false, false,
     0},
    {52, S("HTTP/1.1 103 x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"), METHOD_GET, 103,
     BODY_NONE, false, false, 5},
    {18, S("HTTP/1.1 100 Continue\r\n\r\n" OK), METHOD_GET, 100, BODY_NONE, false, false, 0},
    {22, S("HTTP/1.1 101 x\r\nUpgrade: a\r\nConnection: upgrade\r\n\r\nraw"), METHOD_GET, 101, BODY_NONE,
     false, false, 0},
    {23, S(OK "Content-Length: 5\r\n\r\n"), METHOD_CONNECT, 200, BODY_NONE, false, false, 5},
    {23, S("HTTP/1.1 403 x\r\nContent-Length: 5\r\n\r\n"), METHOD_CONNECT, 403, BODY_LENGTH, false, true, 5},
    {54, S("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n"), METHOD_GET, 200, BODY_LENGTH, true, true, 1},
    {54, S("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\n"), METHOD_GET, 200,
     BODY_LENGTH, false, true, 1},
    {57, S(OK "Connection: close\r\nContent-Length: 1\r\n\r\n"), METHOD_GET, 200, BODY_LENGTH, true, true, 1},
};

START_TEST(valid_responses_are_framed_wherever_they_are_cut)
{
    for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++) {
        const struct accepted *row = &accepted[i];
        int whole = (int)(strstr(row->head.p, "\r\n\r\n") + 4 - row->head.p);
        check_every_split(row->head, row->method, whole);
        int rc = h1_parse_response(row->head.p, row->head.len, &limits, row->method, &response, fields);
        ck_assert_msg(rc == whole, "row %zu (%d): %d", i, row->requirement, rc);
        ck_assert_msg(response.status == row->status, "row %zu: status %d", i, response.status);
        ck_assert_msg(response.body == row->body, "row %zu: body %d", i, response.body);
        ck_assert_msg(response.close == row->close, "row %zu: close", i);
        ck_assert_msg(response.has_length == row->has_length, "row %zu: has_length", i);
        ck_assert_msg(response.content_length == row->length, "row %zu: length", i);
    }
}
END_TEST

struct rejected {
    int requirement;
    struct span head;
    uint8_t method;
    int error;
};

static const struct rejected rejected[] = {
    {60, S("\r\n" OK "\r\n"), METHOD_GET, H1_BAD_STATUS_LINE},
    {60, S("ICY 200 OK\r\n\r\n"), METHOD_GET, H1_BAD_STATUS_LINE},
    {60, S("HTTP/1.1  200 OK\r\n\r\n"), METHOD_GET, H1_BAD_STATUS_LINE},
    {60, S("HTTP/1.1\t200 OK\r\n\r\n"), METHOD_GET, H1_BAD_STATUS_LINE},
    {60, S("HTTP/1.1 20 OK\r\n\r\n"), METHOD_GET, H1_BAD_STATUS_LINE},
    {60, S("HTTP/1.1 2000 OK\r\n\r\n"), METHOD_GET, H1_BAD_STATUS_LINE},
    {60, S("HTTP/1.1 200OK\r\n\r\n"), METHOD_GET, H1_BAD_STATUS_LINE},
    {60, S("HTTP/1.1 099 x\r\n\r\n"), METHOD_GET, H1_BAD_STATUS_LINE},
    {60, S("HTTP/1.1 600 x\r\n\r\n"), METHOD_GET, H1_BAD_STATUS_LINE},
    {60, S("HTTP/1.1 +20 x\r\n\r\n"), METHOD_GET, H1_BAD_STATUS_LINE},
    {60, S("HTTP/1.1 200 O\0K\r\n\r\n"), METHOD_GET, H1_BAD_STATUS_LINE},
    {60, S("HTTP/1.1 200 O\x1bK\r\n\r\n"), METHOD_GET, H1_BAD_STATUS_LINE},
    {60, S("HTTP/1.1 200 O\rK\r\n\r\n"), METHOD_GET, H1_BAD_LINE_END},
    {60, S("HTTP/1.1 200 OK\n\r\n"), METHOD_GET, H1_BAD_LINE_END},
    {60, S("HTTP/1.1 200\n\r\n"), METHOD_GET, H1_BAD_LINE_END},
    {29, S("HTTP/2.0 200 OK\r\n\r\n"), METHOD_GET, H1_UNSUPPORTED_VERSION},
    {29, S("HTTP/1.10 200 OK\r\n\r\n"), METHOD_GET, H1_BAD_STATUS_LINE},
    {6, S(OK "X: a\0b\r\n\r\n"), METHOD_GET, H1_BAD_FIELD_VALUE},
    {60, S(OK "X: a\rSet-Cookie: b\r\n\r\n"), METHOD_GET, H1_BAD_LINE_END},
    {60, S(OK "X: a\nSet-Cookie: b\r\n\r\n"), METHOD_GET, H1_BAD_LINE_END},
    {35, S(OK "X: a\r\n b\r\n\r\n"), METHOD_GET, H1_OBS_FOLD},
    {28, S(OK " X: a\r\n\r\n"), METHOD_GET, H1_OBS_FOLD},
    {36, S(OK "X y: a\r\n\r\n"), METHOD_GET, H1_BAD_FIELD_NAME},
    {36, S(OK " : a\r\n\r\n"), METHOD_GET, H1_OBS_FOLD},
    {36, S(OK ": a\r\n\r\n"), METHOD_GET, H1_BAD_FIELD_NAME},
    {36, S(OK "nonsense\r\n\r\n"), METHOD_GET, H1_BAD_FIELD_NAME},
    {39, S(OK "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"), METHOD_GET, H1_LENGTH_AND_CODING},
    {39, S(OK "Transfer-Encoding: gzip\r\nContent-Length: 1\r\n\r\n"), METHOD_GET, H1_LENGTH_AND_CODING},
    {40, S("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), METHOD_GET, H1_CODING_IN_1_0},
    {41, S(OK "Transfer-Encoding: gzip\r\n\r\n"), METHOD_GET, H1_UNKNOWN_CODING},
    {41, S(OK "Transfer-Encoding: xyz\r\n\r\n"), METHOD_GET, H1_UNKNOWN_CODING},
    {41, S(OK "Transfer-Encoding: chunked, gzip\r\n\r\n"), METHOD_GET, H1_UNKNOWN_CODING},
    {42, S(OK "Transfer-Encoding: chunked, chunked\r\n\r\n"), METHOD_GET, H1_BAD_CODING},
    {42, S(OK "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"), METHOD_GET,
     H1_UNKNOWN_CODING},
    {42, S(OK "Transfer-Encoding: chunked;x\r\n\r\n"), METHOD_GET, H1_BAD_CODING},
    {42, S(OK "Transfer-Encoding:\r\n\r\n"), METHOD_GET, H1_BAD_CODING},
    {43, S(OK "Content-Length: 1\r\nContent-Length: 2\r\n\r\n"), METHOD_GET, H1_BAD_LENGTH},
    {43, S(OK "Content-Length: 1, 1\r\n\r\n"), METHOD_GET, H1_BAD_LENGTH},
    {44, S(OK "Content-Length: -1\r\n\r\n"), METHOD_GET, H1_BAD_LENGTH},
    {44, S(OK "Content-Length: 99999999999999999999\r\n\r\n"), METHOD_HEAD, H1_BAD_LENGTH},
    {60,
     S(OK "a:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:"
          "\r\n"
          "a:\r\na:\r\na:\r\na:\r\n\r\n"),
     METHOD_GET, H1_MANY_FIELDS},
};

START_TEST(malformed_responses_are_refused_wherever_they_are_cut)
{
    for (size_t i = 0; i < sizeof(rejected) / sizeof(rejected[0]); i++) {
        const struct rejected *row = &rejected[i];
        int rc = h1_parse_response(row->head.p, row->head.len, &limits, row->method, &response, fields);
        ck_assert_msg(rc == row->error, "row %zu (requirement %d) <%s>: got %d (%s), not %d", i,
                      row->requirement, row->head.p, rc, rc < 0 ? h1_error_text(rc) : "accepted", row->error);
        check_every_split(row->head, row->method, row->error);
    }
}
END_TEST

/* The fields that would be forwarded, one letter each: the first of their names. */
static const char *kept(const char *head, uint8_t method)
{
    static char letters[64];
    size_t n = 0;
    ck_assert_int_gt(h1_parse_response(head, strlen(head), &limits, method, &response, fields), 0);
    for (size_t i = 0; i < response.n_fields; i++) {
        if ((fields[i].flags & FIELD_HOP) == 0)
            letters[n++] = head[fields[i].name];
    }
    letters[n] = '\0';
    return letters;
}

START_TEST(hop_by_hop_fields_stay_behind) /* requirements 1, 2 and 5 */
{
    ck_assert_str_eq(
        kept(OK "Keep-Alive: 5\r\nUpgrade: h2c\r\nConnection: x, upgrade\r\nX: 1\r\nSet-Cookie: a\r\n"
                "set-cookie: b\r\nZ_z: c\r\nTransfer-Encoding: chunked\r\n\r\n",
             METHOD_GET),
        "SsZ");
}
END_TEST

START_TEST(framing_fields_are_taken_out_where_they_are_forbidden) /* requirements 23, 45 and 52 */
{
    ck_assert_str_eq(kept("HTTP/1.1 204 x\r\nContent-Length: 0\r\nA: b\r\n\r\n", METHOD_GET), "A");
    ck_assert_str_eq(kept("HTTP/1.1 103 x\r\nContent-Length: 0\r\nA: b\r\n\r\n", METHOD_GET), "A");
    ck_assert_str_eq(kept(OK "Content-Length: 0\r\nA: b\r\n\r\n", METHOD_CONNECT), "A");
    ck_assert_str_eq(kept(OK "Content-Length: 9\r\nA: b\r\n\r\n", METHOD_HEAD), "CA");
    ck_assert_str_eq(kept(OK "Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n", METHOD_HEAD), "");
    ck_assert_str_eq(kept("HTTP/1.1 304 x\r\nContent-Length: 9\r\n\r\n", METHOD_GET), "C");
}
END_TEST

START_TEST(reason_and_date_are_found) /* requirement 14 */
{
    const char *head = "HTTP/1.1 404 Not  Here\r\ndate: x\r\n\r\n";
    ck_assert_str_eq(kept(head, METHOD_GET), "d");
    ck_assert(response.has_date && response.minor == 1);
    ck_assert_uint_eq(response.reason.len, 9);
    ck_assert(memcmp(head + response.reason.at, "Not  Here", 9) == 0);
    kept(OK "\r\n", METHOD_GET);
    ck_assert(!response.has_date);
}
END_TEST

START_TEST(an_endless_head_is_refused) /* requirement 60 */
{
    static char head[4096];
    memset(head, 'a', sizeof(head));
    memcpy(head, "HTTP/1.1 200 ", 13);
    ck_assert_int_eq(h1_parse_response(head, 2047, &limits, METHOD_GET, &response, fields), 0);
    ck_assert_int_eq(h1_parse_response(head, 2048, &limits, METHOD_GET, &response, fields), H1_LARGE_HEAD);
    memcpy(head, OK, sizeof(OK) - 1);
    ck_assert_int_eq(h1_parse_response(head, 417, &limits, METHOD_GET, &response, fields), 0);
    ck_assert_int_eq(h1_parse_response(head, 418, &limits, METHOD_GET, &response, fields), H1_LONG_FIELD);
}
END_TEST

START_TEST(every_error_has_a_status_and_a_text)
{
    for (int error = H1_ERROR_BEFORE_FIRST + 1; error < H1_ERROR_END; error++) {
        ck_assert_int_ge(h1_error_status(error), 400);
        ck_assert_int_le(h1_error_status(error), 505);
        ck_assert_uint_gt(strlen(h1_error_text(error)), 0);
    }
    ck_assert_int_eq(h1_error_status(H1_LONG_TARGET), 414);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("h1_response");
    TCase *tcase = tcase_create("promises");
    tcase_add_test(tcase, valid_responses_are_framed_wherever_they_are_cut);
    tcase_add_test(tcase, malformed_responses_are_refused_wherever_they_are_cut);
    tcase_add_test(tcase, hop_by_hop_fields_stay_behind);
    tcase_add_test(tcase, framing_fields_are_taken_out_where_they_are_forbidden);
    tcase_add_test(tcase, reason_and_date_are_found);
    tcase_add_test(tcase, an_endless_head_is_refused);
    tcase_add_test(tcase, every_error_has_a_status_and_a_text);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
