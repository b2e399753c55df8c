/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The promises of h1_parse_request and h1_parse_trailers, table by table. The number in each row is the
 * requirement of HTTP.md that it keeps. Every row is also fed cut at every byte: the verdict must not depend
 * on it. One thread, no I/O.
 */
#include "http/h1.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define S(text)                                                                                              \
    {                                                                                                        \
        (text), sizeof(text) - 1                                                                             \
    }
#define H   "Host: a\r\n"
#define GET "GET / HTTP/1.1\r\n"

static const struct h1_limits limits = {
    .head_max = 2048, .target_max = 64, .field_max = 400, .fields_max = 40, .reject_underscores = true};
static struct field fields[40];
static struct h1_request request;

/* Any prefix must say "more" or, of a refused head, the same error. */
static void check_every_split(struct span head, int whole)
{
    static char exact[4096];
    for (size_t len = 0; len < head.len; len++) {
        /* At the end of the array, so that reading behind the prefix is seen by the sanitizer. */
        char *cut = exact + sizeof(exact) - len;
        memcpy(cut, head.p, len);
        int rc = h1_parse_request(cut, len, &limits, &request, fields);
        if (whole > 0 && len >= (size_t)whole)
            ck_assert_msg(rc == whole, "%zu bytes of <%s>: %d", len, head.p, rc);
        else
            ck_assert_msg(rc == 0 || (whole < 0 && rc == whole), "%zu bytes of <%s>: %d", len, head.p, rc);
    }
}

static bool range_is(struct span head, struct h1_range range, const char *expected)
{
    return span_equals((struct span){head.p + range.at, range.len},
                       (struct span){expected, strlen(expected)});
}

struct accepted {
    int requirement;
    struct span head;
    const char *path, *host, *authority;
    int form, body;
    uint64_t length;
};

static const struct accepted accepted[] = {
    {33, S(GET H "\r\n"), "/", "a", "a", TARGET_ORIGIN, BODY_NONE, 0},
    {28, S("\r\n" GET H "\r\n"), "/", "a", "a", TARGET_ORIGIN, BODY_NONE, 0},
    {11, S("GET //x/%2e/?q=//%zz HTTP/1.1\r\n" H "\r\n"), "//x/%2e/?q=//%zz", "a", "a", 0, BODY_NONE, 0},
    {30, S("GET /\"<>\\^`{|}[] HTTP/1.1\r\n" H "\r\n"), "/\"<>\\^`{|}[]", "a", "a", 0, BODY_NONE, 0},
    {29, S("GET / HTTP/1.2\r\n" H "\r\n"), "/", "a", "a", 0, BODY_NONE, 0},
    {32, S("GET / HTTP/1.0\r\n\r\n"), "/", "", "", 0, BODY_NONE, 0},
    {32, S(GET "Host:\r\n\r\n"), "/", "", "", 0, BODY_NONE, 0},
    {32, S(GET "HOST: \t a.b:80 \t\r\n\r\n"), "/", "a.b", "a.b:80", 0, BODY_NONE, 0},
    {32, S(GET "Host: [::1]:8080\r\n\r\n"), "/", "[::1]", "[::1]:8080", 0, BODY_NONE, 0},
    {33, S("GET http://b:81/x?y HTTP/1.1\r\n" H "\r\n"), "/x?y", "b", "b:81", TARGET_ABSOLUTE, BODY_NONE, 0},
    {33, S("GET hTTps://b HTTP/1.1\r\n" H "\r\n"), "", "b", "b", TARGET_ABSOLUTE, BODY_NONE, 0},
    {33, S("GET http://b?q HTTP/1.1\r\n" H "\r\n"), "?q", "b", "b", TARGET_ABSOLUTE, BODY_NONE, 0},
    {34, S("OPTIONS * HTTP/1.1\r\n" H "\r\n"), "*", "a", "a", TARGET_ASTERISK, BODY_NONE, 0},
    {34, S("OPTIONS http://b HTTP/1.1\r\n" H "\r\n"), "", "b", "b", TARGET_ABSOLUTE, BODY_NONE, 0},
    {23, S("CONNECT b:443 HTTP/1.1\r\n" H "\r\n"), "", "b", "b:443", TARGET_AUTHORITY, BODY_NONE, 0},
    {23, S("CONNECT [::1]:010 HTTP/1.1\r\n" H "\r\n"), "", "[::1]", "[::1]:010", 2, BODY_NONE, 0},
    {23, S("CONNECT b:1 HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n"), "", "b", "b:1", 2, BODY_LENGTH, 0},
    {44, S("PUT / HTTP/1.1\r\n" H "content-length: 0\r\n\r\n"), "/", "a", "a", 0, BODY_LENGTH, 0},
    {44, S(GET H "Content-Length:42\r\n\r\nbody"), "/", "a", "a", 0, BODY_LENGTH, 42},
    {44, S(GET H "Content-Length: 9223372036854775807\r\n\r\n"), "/", "a", "a", 0, BODY_LENGTH, INT64_MAX},
    {42, S(GET H "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), "/", "a", "a", 0, BODY_CHUNKED, 0},
    {42, S(GET H "tRANSFER-eNCODING:\tChUnKeD \r\n\r\n"), "/", "a", "a", 0, BODY_CHUNKED, 0},
    {36, S(GET H "!#$%&'*+-.^`|~09azAZ: \x80\xff\r\n\r\n"), "/", "a", "a", 0, BODY_NONE, 0},
    {6, S(GET H "A: b\tc \t\r\nEmpty: \t\r\nNone:\r\n\r\n"), "/", "a", "a", 0, BODY_NONE, 0},
    {7, S(GET H "Connection: ,, close ,,\r\nConnection:\r\n\r\n"), "/", "a", "a", 0, BODY_NONE, 0},
};

START_TEST(valid_requests_are_parsed_wherever_they_are_cut)
{
    for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++) {
        const struct accepted *row = &accepted[i];
        const char *end = strstr(row->head.p + 2, "\r\n\r\n");
        int whole = (int)(end + 4 - row->head.p);
        check_every_split(row->head, whole);
        int rc = h1_parse_request(row->head.p, row->head.len, &limits, &request, fields);
        ck_assert_msg(rc == whole, "row %zu (%d): %d", i, row->requirement, rc);
        ck_assert_msg(range_is(row->head, request.path, row->path), "row %zu: path", i);
        ck_assert_msg(range_is(row->head, request.host, row->host), "row %zu: host", i);
        ck_assert_msg(range_is(row->head, request.authority, row->authority), "row %zu: authority", i);
        ck_assert_msg(request.form == row->form && request.body == row->body, "row %zu: form, body", i);
        ck_assert_msg(request.content_length == row->length, "row %zu: length", i);
    }
}
END_TEST

struct rejected {
    int requirement;
    struct span head;
    int error;
};

static const struct rejected rejected[] = {
    {28, S(" " GET H "\r\n"), H1_BAD_METHOD},
    {28, S("\x16\x03\x01 garbage"), H1_BAD_METHOD},
    {28, S("\r\n\r\n" GET), H1_BAD_REQUEST_LINE},
    {28, S(GET " x: y\r\n\r\n"), H1_OBS_FOLD},
    {27, S("\n" GET H "\r\n"), H1_BAD_LINE_END},
    {27, S("\r" GET H "\r\n"), H1_BAD_LINE_END},
    {27, S("GET / HTTP/1.1\n" H "\r\n"), H1_BAD_LINE_END},
    {27, S("GET / HTTP/1.1\r" H "\r\n"), H1_BAD_LINE_END},
    {27, S(GET "Host: a\n\r\n"), H1_BAD_LINE_END},
    {27, S(GET "Host: a\rb\r\n\r\n"), H1_BAD_LINE_END},
    {27, S(GET H "\n"), H1_BAD_LINE_END},
    {27, S(GET H "\rx"), H1_BAD_LINE_END},
    {27, S(GET H "x\ny: z\r\n\r\n"), H1_BAD_LINE_END},
    {29, S("GET /\r\n"), H1_BAD_REQUEST_LINE},
    {29, S("GET\r\n"), H1_BAD_REQUEST_LINE},
    {29, S("GET / HTTP/0.9\r\n\r\n"), H1_UNSUPPORTED_VERSION},
    {29, S("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), H1_UNSUPPORTED_VERSION},
    {29, S("GET / HTTP/3.0\r\n\r\n"), H1_UNSUPPORTED_VERSION},
    {29, S("GET / HTTP/10.0\r\n\r\n"), H1_BAD_VERSION},
    {29, S("GET / HTTP/1.11\r\n\r\n"), H1_BAD_VERSION},
    {29, S("GET / HTTP/1\r\n\r\n"), H1_BAD_VERSION},
    {29, S("GET / http/1.1\r\n\r\n"), H1_BAD_VERSION},
    {29, S("GET / HTTP/1,1\r\n\r\n"), H1_BAD_VERSION},
    {30, S("GET  / HTTP/1.1\r\n"), H1_BAD_REQUEST_LINE},
    {30, S("GET /  HTTP/1.1\r\n"), H1_BAD_VERSION},
    {30, S("GET / HTTP/1.1 \r\n"), H1_BAD_REQUEST_LINE},
    {30, S("GET\t/ HTTP/1.1\r\n"), H1_BAD_METHOD},
    {30, S("GET /\tHTTP/1.1\r\n"), H1_BAD_TARGET},
    {30, S("GET /a b HTTP/1.1\r\n"), H1_BAD_VERSION},
    {30, S("GET /a#b HTTP/1.1\r\n"), H1_BAD_TARGET},
    {30, S("GET /a\0b HTTP/1.1\r\n"), H1_BAD_TARGET},
    {30, S("GET /a\x7f HTTP/1.1\r\n"), H1_BAD_TARGET},
    {30, S("GET /\xc3\xa4 HTTP/1.1\r\n"), H1_BAD_TARGET},
    {30, S("G(T / HTTP/1.1\r\n"), H1_BAD_METHOD},
    {31, S("ABCDEFGHIJKLMNOPQRSTUVWXYZ1234567"), H1_LONG_METHOD},
    {31, S("GET /3456789012345678901234567890123456789012345678901234567890123456"), H1_LONG_TARGET},
    {32, S(GET "\r\n"), H1_NO_HOST},
    {32, S(GET H H "\r\n"), H1_MANY_HOSTS},
    {32, S(GET H "Host: b\r\n\r\n"), H1_MANY_HOSTS},
    {32, S("GET / HTTP/1.0\r\n" H H "\r\n"), H1_MANY_HOSTS},
    {32, S(GET "Host: a,b\r\n\r\n"), H1_BAD_HOST},
    {32, S(GET "Host: u@a\r\n\r\n"), H1_BAD_HOST},
    {32, S(GET "Host: a/b\r\n\r\n"), H1_BAD_HOST},
    {32, S(GET "Host: a b\r\n\r\n"), H1_BAD_HOST},
    {32, S(GET "Host: a:b\r\n\r\n"), H1_BAD_HOST},
    {32, S(GET "Host: a:65536\r\n\r\n"), H1_BAD_HOST},
    {32, S(GET "Host: :80\r\n\r\n"), H1_BAD_HOST},
    {32, S(GET "Host: a\xff\r\n\r\n"), H1_BAD_HOST},
    {32, S("GET http://b/ HTTP/1.1\r\nHost:\r\n\r\n"), H1_BAD_HOST},
    {32, S("GET http://b/ HTTP/1.1\r\n\r\n"), H1_NO_HOST},
    {33, S("GET http:///x HTTP/1.1\r\n" H "\r\n"), H1_BAD_TARGET},
    {33, S("GET http://:80/x HTTP/1.1\r\n" H "\r\n"), H1_BAD_TARGET},
    {33, S("GET http://u@b/ HTTP/1.1\r\n" H "\r\n"), H1_BAD_TARGET},
    {33, S("GET http://b,c/ HTTP/1.1\r\n" H "\r\n"), H1_BAD_TARGET},
    {33, S("GET http:/b HTTP/1.1\r\n" H "\r\n"), H1_BAD_TARGET},
    {33, S("GET ftp://b/ HTTP/1.1\r\n" H "\r\n"), H1_BAD_TARGET},
    {34, S("GET b:80 HTTP/1.1\r\n" H "\r\n"), H1_BAD_TARGET},
    {34, S("GET * HTTP/1.1\r\n" H "\r\n"), H1_BAD_TARGET},
    {34, S("OPTIONS *x HTTP/1.1\r\n" H "\r\n"), H1_BAD_TARGET},
    {34, S("GET x HTTP/1.1\r\n" H "\r\n"), H1_BAD_TARGET},
    {23, S("CONNECT b HTTP/1.1\r\n" H "\r\n"), H1_BAD_TARGET},
    {23, S("CONNECT b: HTTP/1.1\r\n" H "\r\n"), H1_BAD_TARGET},
    {23, S("CONNECT b:00 HTTP/1.1\r\n" H "\r\n"), H1_BAD_TARGET},
    {23, S("CONNECT :443 HTTP/1.1\r\n" H "\r\n"), H1_BAD_TARGET},
    {23, S("CONNECT / HTTP/1.1\r\n" H "\r\n"), H1_BAD_TARGET},
    {23, S("CONNECT http://b:80 HTTP/1.1\r\n" H "\r\n"), H1_BAD_TARGET},
    {23, S("CONNECT b:1 HTTP/1.1\r\n" H "Content-Length: 1\r\n\r\n"), H1_CONNECT_BODY},
    {23, S("CONNECT b:1 HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"), H1_CONNECT_BODY},
    {35, S(GET "Host : a\r\n\r\n"), H1_SPACE_BEFORE_COLON},
    {35, S(GET H "Content-Length\t: 1\r\n\r\n"), H1_SPACE_BEFORE_COLON},
    {35, S(GET H "X: a\r\n b\r\n\r\n"), H1_OBS_FOLD},
    {35, S(GET H "Transfer-Encoding: chunked\r\n\t\r\n\r\n"), H1_OBS_FOLD},
    {36, S(GET H ": x\r\n\r\n"), H1_BAD_FIELD_NAME},
    {36, S(GET H "x\r\n\r\n"), H1_BAD_FIELD_NAME},
    {36, S(GET H "x y: z\r\n\r\n"), H1_BAD_FIELD_NAME},
    {36, S(GET H "x[y]: z\r\n\r\n"), H1_BAD_FIELD_NAME},
    {36, S(GET H "x\xe4: z\r\n\r\n"), H1_BAD_FIELD_NAME},
    {36, S(GET H "x\0: z\r\n\r\n"), H1_BAD_FIELD_NAME},
    {37, S(GET H "Content_Length: 3\r\n\r\n"), H1_UNDERSCORE},
    {37, S(GET H "_: 3\r\n\r\n"), H1_UNDERSCORE},
    {6, S(GET H "x: a\0b\r\n\r\n"), H1_BAD_FIELD_VALUE},
    {6, S(GET H "x: 12345678\x01\r\n\r\n"), H1_BAD_FIELD_VALUE},
    {6, S(GET H "x: \x7f\r\n\r\n"), H1_BAD_FIELD_VALUE},
    {39, S(GET H "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"), H1_LENGTH_AND_CODING},
    {39, S(GET H "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n"), H1_LENGTH_AND_CODING},
    {40, S("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), H1_CODING_IN_1_0},
    {41, S(GET H "Transfer-Encoding: chunked, gzip\r\n\r\n"), H1_BAD_CODING},
    {41, S(GET H "Transfer-Encoding: gzip\r\n\r\n"), H1_BAD_CODING},
    {41, S(GET H "Transfer-Encoding: identity\r\n\r\n"), H1_BAD_CODING},
    {41, S(GET H "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n"), H1_BAD_CODING},
    {42, S(GET H "Transfer-Encoding: xchunked\r\n\r\n"), H1_UNKNOWN_CODING},
    {42, S(GET H "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"), H1_UNKNOWN_CODING},
    {42, S(GET H "Transfer-Encoding: chunked, chunked\r\n\r\n"), H1_BAD_CODING},
    {42, S(GET H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"), H1_BAD_CODING},
    {42, S(GET H "Transfer-Encoding: chunked;a=b\r\n\r\n"), H1_BAD_CODING},
    {42, S(GET H "Transfer-Encoding:\r\n\r\n"), H1_BAD_CODING},
    {42, S(GET H "Transfer-Encoding: ,chunked\r\n\r\n"), H1_BAD_CODING},
    {42, S(GET H "Transfer-Encoding: \"chunked\"\r\n\r\n"), H1_BAD_CODING},
    {42,
     S(GET H "Transfer-Encoding: \x0b"
             "chunked\r\n\r\n"),
     H1_BAD_FIELD_VALUE},
    {43, S(GET H "Content-Length: 4\r\nContent-Length: 5\r\n\r\n"), H1_BAD_LENGTH},
    {43, S(GET H "Content-Length: 4\r\nContent-Length: 4\r\n\r\n"), H1_BAD_LENGTH},
    {43, S(GET H "Content-Length: 42, 42\r\n\r\n"), H1_BAD_LENGTH},
    {44, S(GET H "Content-Length:\r\n\r\n"), H1_BAD_LENGTH},
    {44, S(GET H "Content-Length: +4\r\n\r\n"), H1_BAD_LENGTH},
    {44, S(GET H "Content-Length: -4\r\n\r\n"), H1_BAD_LENGTH},
    {44, S(GET H "Content-Length: 0x4\r\n\r\n"), H1_BAD_LENGTH},
    {44, S(GET H "Content-Length: 1_0\r\n\r\n"), H1_BAD_LENGTH},
    {44, S(GET H "Content-Length: 1 0\r\n\r\n"), H1_BAD_LENGTH},
    {44, S(GET H "Content-Length: 4x\r\n\r\n"), H1_BAD_LENGTH},
    {44, S(GET H "Content-Length: 04\r\n\r\n"), H1_BAD_LENGTH},
    {44, S(GET H "Content-Length: 00\r\n\r\n"), H1_BAD_LENGTH},
    {44, S(GET H "Content-Length: 9223372036854775808\r\n\r\n"), H1_BAD_LENGTH},
    {44, S(GET H "Content-Length: 18446744073709551617\r\n\r\n"), H1_BAD_LENGTH},
    {1, S(GET H "Connection: close; x\r\n\r\n"), H1_BAD_CONNECTION},
    {1, S(GET H "Connection: a b\r\n\r\n"), H1_BAD_CONNECTION},
    {7, S(GET H "Connection: ,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,\r\n\r\n"), H1_BAD_CONNECTION},
    {7,
     S(GET H "Connection: a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a\r\n"
             "Connection: a\r\n\r\n"),
     H1_BAD_CONNECTION},
    {19, S(GET H "Expect: 200-ok\r\n\r\n"), H1_BAD_EXPECT},
    {19, S(GET H "Expect: 100-continue, x\r\n\r\n"), H1_BAD_EXPECT},
};

START_TEST(malformed_requests_are_refused_wherever_they_are_cut)
{
    for (size_t i = 0; i < sizeof(rejected) / sizeof(rejected[0]); i++) {
        const struct rejected *row = &rejected[i];
        int rc = h1_parse_request(row->head.p, row->head.len, &limits, &request, fields);
        ck_assert_msg(rc == row->error, "row %zu (requirement %d) <%s>: got %d (%s), not %d", i,
                      row->requirement, row->head.p, rc, rc < 0 ? h1_error_text(rc) : "accepted", row->error);
        check_every_split(row->head, row->error);
    }
}
END_TEST

static int parse(const char *head)
{
    return h1_parse_request(head, strlen(head), &limits, &request, fields);
}

/* The fields that would be forwarded, one letter each: the first of their names. */
static const char *kept(const char *head)
{
    static char letters[64];
    size_t n = 0;
    ck_assert_int_gt(parse(head), 0);
    for (size_t i = 0; i < request.n_fields; i++) {
        if ((fields[i].flags & FIELD_HOP) == 0)
            letters[n++] = head[fields[i].name];
    }
    letters[n] = '\0';
    return letters;
}

START_TEST(connection_takes_out_what_it_names) /* requirement 1 */
{
    ck_assert_str_eq(
        kept(GET H "a: 1\r\nBB: 2\r\nConnection: A, close\r\nConnection: bb\r\na: 3\r\nc: 4\r\n\r\n"), "Hc");
    ck_assert(request.close && !request.keep_alive);
    ck_assert_str_eq(
        kept(GET H "x-forwarded-for: 1\r\ncookie: 2\r\nConnection: X-Forwarded-For, cookie\r\n\r\n"), "H");
}
END_TEST

START_TEST(hop_by_hop_fields_stay_behind_unnamed) /* requirements 2 and 12 */
{
    ck_assert_str_eq(
        kept(GET H "Proxy-Connection: x\r\nKeep-Alive: x\r\nTE: x\r\nUpgrade: x\r\nAuthorization: x\r\n"
                   "Proxy-Authorization: x\r\nTransfer-Encoding: chunked\r\nWww-Authenticate: x\r\n\r\n"),
        "HAW");
}
END_TEST

START_TEST(connection_cannot_take_out_framing_or_routing) /* requirement 3 */
{
    ck_assert_str_eq(
        kept(GET H "Content-Length: 3\r\nConnection: content-length, host, transfer-encoding\r\n\r\n"), "HC");
    ck_assert(request.body == BODY_LENGTH && request.content_length == 3);
}
END_TEST

START_TEST(te_counts_only_if_connection_names_it) /* requirement 4 */
{
    ck_assert_int_gt(parse(GET H "TE: trailers\r\n\r\n"), 0);
    ck_assert(!request.te_trailers);
    ck_assert_int_gt(parse(GET H "Connection: te\r\nTE: gzip;q=0.5, Trailers\r\n\r\n"), 0);
    ck_assert(request.te_trailers);
    ck_assert_int_gt(parse(GET H "Connection: te\r\nTE: gzip\r\n\r\n"), 0);
    ck_assert(!request.te_trailers);
}
END_TEST

START_TEST(upgrade_needs_both_fields_and_http_1_1) /* requirement 20 */
{
    ck_assert_int_gt(parse(GET H "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"), 0);
    ck_assert(request.upgrade);
    ck_assert_int_gt(parse(GET H "Connection: Upgrade\r\nUpgrade:\r\n\r\n"), 0);
    ck_assert(!request.upgrade);
    ck_assert_int_gt(parse(GET H "Upgrade: websocket\r\n\r\n"), 0);
    ck_assert(!request.upgrade);
    ck_assert_int_gt(parse("GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"), 0);
    ck_assert(!request.upgrade);
}
END_TEST

START_TEST(expect_is_seen_on_1_1_and_dropped_on_1_0) /* requirement 19 */
{
    ck_assert_str_eq(kept(GET H "Expect: 100-Continue\r\n\r\n"), "HE");
    ck_assert(request.expect_100);
    ck_assert_str_eq(kept("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n"), "");
    ck_assert(!request.expect_100);
    ck_assert_str_eq(kept("GET / HTTP/1.0\r\nExpect: else\r\n\r\n"), "");
}
END_TEST

START_TEST(persistence_follows_version_and_connection) /* requirements 54 and 57 */
{
    ck_assert_int_gt(parse(GET H "\r\n"), 0);
    ck_assert(!request.close && request.minor == 1);
    ck_assert_int_gt(parse("GET / HTTP/1.0\r\n\r\n"), 0);
    ck_assert(request.close && request.minor == 0);
    ck_assert_int_gt(parse("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), 0);
    ck_assert(!request.close && request.keep_alive);
    ck_assert_int_gt(parse(GET H "Connection: keep-alive, close\r\n\r\n"), 0);
    ck_assert(request.close);
}
END_TEST

START_TEST(underscored_names_are_dropped_if_not_refused) /* requirement 37 */
{
    struct h1_limits lenient = limits;
    lenient.reject_underscores = false;
    const char *head = GET H "X_Forwarded_For: 1\r\n\r\n";
    ck_assert_int_gt(h1_parse_request(head, strlen(head), &lenient, &request, fields), 0);
    ck_assert(fields[0].flags == 0 && fields[1].flags == FIELD_HOP);
}
END_TEST

START_TEST(limits_are_reported_as_soon_as_they_are_passed) /* requirement 31 */
{
    static char head[4096];
    struct h1_limits small = {.head_max = 64, .target_max = 8, .field_max = 10, .fields_max = 2};
    memset(head, 'a', sizeof(head));
    memcpy(head, "GET /", 5);
    ck_assert_int_eq(h1_parse_request(head, 12, &small, &request, fields), 0);
    ck_assert_int_eq(h1_parse_request(head, 13, &small, &request, fields), H1_LONG_TARGET);
    memcpy(head, GET "Host: abcd", 26);
    ck_assert_int_eq(h1_parse_request(head, 26, &small, &request, fields), 0);
    ck_assert_int_eq(h1_parse_request(head, 27, &small, &request, fields), H1_LONG_FIELD);
    memcpy(head, GET "Host:    \t", 26);
    head[26] = ' ';
    ck_assert_int_eq(h1_parse_request(head, 27, &small, &request, fields), H1_LONG_FIELD);
    memcpy(head, GET "a:\r\nb:\r\nc", 25);
    ck_assert_int_eq(h1_parse_request(head, 24, &small, &request, fields), 0);
    ck_assert_int_eq(h1_parse_request(head, 25, &small, &request, fields), H1_MANY_FIELDS);
    small.target_max = 4000;
    memset(head + 5, 'a', sizeof(head) - 5);
    ck_assert_int_eq(h1_parse_request(head, 63, &small, &request, fields), 0);
    ck_assert_int_eq(h1_parse_request(head, 64, &small, &request, fields), H1_LARGE_HEAD);
    ck_assert_int_eq(h1_parse_request(head, 65, &small, &request, fields), H1_LARGE_HEAD);
}
END_TEST

START_TEST(a_head_of_exactly_the_limit_is_accepted) /* requirement 31 */
{
    static const char head[] = GET "Host: abcd\r\n\r\nGET";
    struct h1_limits small = {.head_max = 30, .target_max = 1, .field_max = 10, .fields_max = 1};
    ck_assert_int_eq(h1_parse_request(head, sizeof(head) - 1, &small, &request, fields), 30);
    small.head_max = 29;
    ck_assert_int_eq(h1_parse_request(head, sizeof(head) - 1, &small, &request, fields), H1_LARGE_HEAD);
}
END_TEST

START_TEST(a_long_name_is_not_cut) /* names over 255 bytes */
{
    static char head[512] = GET H;
    size_t at = strlen(head);
    memset(head + at, 'n', 300);
    memcpy(head + at + 300, ":v\r\n\r\n", 7);
    ck_assert_int_gt(parse(head), 0);
    ck_assert(fields[1].name_len == 300 && fields[1].value_len == 1 && head[fields[1].value] == 'v');
}
END_TEST

START_TEST(trailers_that_frame_route_or_authenticate_stay_behind) /* requirement 49 */
{
    static const char section[] =
        "Content-Length: 1\r\nHost: a, b\r\nTransfer-Encoding: x\r\nAuthorization: x\r\n"
        "Set-Cookie: x\r\nConnection: ;\r\nx-sum: 1\r\nGrpc-Status: 0\r\n\r\nGET";
    uint16_t n_fields;
    int whole = (int)sizeof(section) - 1 - 3;
    for (int len = 0; len < whole; len++)
        ck_assert_int_eq(h1_parse_trailers(section, (size_t)len, &limits, fields, &n_fields), 0);
    ck_assert_int_eq(h1_parse_trailers(section, sizeof(section) - 1, &limits, fields, &n_fields), whole);
    ck_assert_uint_eq(n_fields, 8);
    for (size_t i = 0; i < 8; i++)
        ck_assert_uint_eq(fields[i].flags, i < 6 ? FIELD_HOP : 0);
    ck_assert_int_eq(h1_parse_trailers("\r\n", 2, &limits, fields, &n_fields), 2);
    ck_assert_int_eq(h1_parse_trailers(" x: y\r\n", 7, &limits, fields, &n_fields), H1_OBS_FOLD);
    ck_assert_int_eq(h1_parse_trailers("a : y\r\n", 7, &limits, fields, &n_fields), H1_SPACE_BEFORE_COLON);
    ck_assert_int_eq(h1_parse_trailers("\n", 1, &limits, fields, &n_fields), H1_BAD_LINE_END);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("h1_request");
    TCase *tcase = tcase_create("promises");
    tcase_add_test(tcase, valid_requests_are_parsed_wherever_they_are_cut);
    tcase_add_test(tcase, malformed_requests_are_refused_wherever_they_are_cut);
    tcase_add_test(tcase, connection_takes_out_what_it_names);
    tcase_add_test(tcase, hop_by_hop_fields_stay_behind_unnamed);
    tcase_add_test(tcase, connection_cannot_take_out_framing_or_routing);
    tcase_add_test(tcase, te_counts_only_if_connection_names_it);
    tcase_add_test(tcase, upgrade_needs_both_fields_and_http_1_1);
    tcase_add_test(tcase, expect_is_seen_on_1_1_and_dropped_on_1_0);
    tcase_add_test(tcase, persistence_follows_version_and_connection);
    tcase_add_test(tcase, underscored_names_are_dropped_if_not_refused);
    tcase_add_test(tcase, limits_are_reported_as_soon_as_they_are_passed);
    tcase_add_test(tcase, a_head_of_exactly_the_limit_is_accepted);
    tcase_add_test(tcase, a_long_name_is_not_cut);
    tcase_add_test(tcase, trailers_that_frame_route_or_authenticate_stay_behind);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
