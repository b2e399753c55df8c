/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The promises of the chunked decoder, table by table. The number in each row is the requirement of HTTP.md
 * that it keeps. Every row is fed whole, cut in two at every byte, and byte by byte: body and verdict must be
 * the same. One thread, no I/O.
 */
#include "http/chunked.h"

#include <check.h>
#include <stdlib.h>

#define S(text)                                                                                              \
    {                                                                                                        \
        (text), sizeof(text) - 1                                                                             \
    }

struct decoded {
    char body[256];
    size_t body_len;
    size_t consumed;
    int verdict; /* CHUNKED_MORE, CHUNKED_TRAILERS or an enum h1_error */
};

/* Feeds one piece until the decoder wants more or has ended. */
static void feed(struct chunked *chunked, struct span piece, struct decoded *decoded)
{
    size_t at = 0;
    do {
        size_t consumed = SIZE_MAX;
        struct span data;
        decoded->verdict = chunked_next(chunked, piece.p + at, piece.len - at, &consumed, &data);
        ck_assert_uint_le(consumed, piece.len - at);
        ck_assert((data.len > 0) == (decoded->verdict == CHUNKED_DATA));
        if (data.len > 0)
            memcpy(decoded->body + decoded->body_len, data.p, data.len);
        decoded->body_len += data.len;
        at += consumed;
        decoded->consumed += consumed;
    } while (decoded->verdict == CHUNKED_DATA);
    if (decoded->verdict == CHUNKED_MORE)
        ck_assert_uint_eq(at, piece.len);
}

/* Feeds `input` in pieces: the first of `first` bytes, the others of `step`. */
static struct decoded decode(struct span input, size_t first, size_t step)
{
    struct chunked chunked;
    struct decoded decoded = {.verdict = CHUNKED_MORE};
    chunked_init(&chunked);
    size_t len = first;
    for (size_t at = 0; at < input.len && decoded.verdict == CHUNKED_MORE; len = step) {
        if (len > input.len - at)
            len = input.len - at;
        feed(&chunked, (struct span){input.p + at, len}, &decoded);
        at += len;
    }
    return decoded;
}

static void check_every_split(struct span input, const struct decoded *whole)
{
    for (size_t first = 0; first <= input.len; first++) {
        struct decoded cut = decode(input, first, first == 0 ? 1 : input.len);
        ck_assert_msg(cut.verdict == whole->verdict && cut.consumed == whole->consumed &&
                          cut.body_len == whole->body_len && memcmp(cut.body, whole->body, cut.body_len) == 0,
                      "<%s> cut at %zu: %d", input.p, first, cut.verdict);
    }
}

struct row {
    int requirement;
    struct span input;
    int verdict;
    const char *body;
};

static const struct row accepted[] = {
    {46, S("5\r\nhello\r\n0\r\n\r\n"), CHUNKED_TRAILERS, "hello"},
    {46, S("1\r\na\r\n1\r\nb\r\n00\r\n"), CHUNKED_TRAILERS, "ab"},
    {46, S("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n"), CHUNKED_TRAILERS, "01234567890123456789"},
    {46, S("000000000000000000005\r\nhello\r\n0\r\n"), CHUNKED_TRAILERS, "hello"},
    {46, S("ffffffffffffffff\r\nab"), CHUNKED_MORE, "ab"},
    {46, S("100000005\r\nhello"), CHUNKED_MORE, "hello"},
    {46, S("0\r\nX: y\r\n\r\n"), CHUNKED_TRAILERS, ""},
    {48, S("4\r\n\r\n\r\n\r\n0\r\n"), CHUNKED_TRAILERS, "\r\n\r\n"},
    {47, S("3;a\r\nabc\r\n0;b=c\r\n"), CHUNKED_TRAILERS, "abc"},
    {47, S("3; a = b ; c = \"d;\\\"e\\\\\" ;f\r\nabc\r\n0\r\n"), CHUNKED_TRAILERS, "abc"},
    {47, S("3;a=\"\xe4\t \"\r\nabc\r\n0\r\n"), CHUNKED_TRAILERS, "abc"},
    {47, S("3;a_b;c\r\nabc\r\n0\r\n"), CHUNKED_TRAILERS, "abc"},
    {50, S("5\r\nhel"), CHUNKED_MORE, "hel"},
    {50, S("5\r\nhello\r\n"), CHUNKED_MORE, "hello"},
    {50, S("5\r\nhello\r\n0"), CHUNKED_MORE, "hello"},
};

static const struct row rejected[] = {
    {46, S("\r\nhello"), H1_BAD_CHUNK_SIZE, ""},
    {46, S(";a\r\nhello"), H1_BAD_CHUNK_SIZE, ""},
    {46, S("+5\r\nhello"), H1_BAD_CHUNK_SIZE, ""},
    {46, S("-5\r\nhello"), H1_BAD_CHUNK_SIZE, ""},
    {46, S("0x5\r\nhello"), H1_BAD_CHUNK_SIZE, ""},
    {46, S("1_0\r\nhello"), H1_BAD_CHUNK_SIZE, ""},
    {46, S(" 5\r\nhello"), H1_BAD_CHUNK_SIZE, ""},
    {46, S("5 \r\nhello"), H1_BAD_CHUNK_SIZE, ""},
    {46, S("5 ;a\r\nhello"), H1_BAD_CHUNK_SIZE, ""},
    {46, S("5\t\r\nhello"), H1_BAD_CHUNK_SIZE, ""},
    {46, S("5g\r\nhello"), H1_BAD_CHUNK_SIZE, ""},
    {46, S("5\0\r\nhello"), H1_BAD_CHUNK_SIZE, ""},
    {46, S("10000000000000000\r\n"), H1_BAD_CHUNK_SIZE, ""},
    {46, S("00010000000000000005\r\nhello"), H1_BAD_CHUNK_SIZE, ""},
    {46, S("00000000000000000000000000000000000000000000000000000000000000000"), H1_BAD_CHUNK_SIZE, ""},
    {46, S("2\r\nab\r\n\r\n"), H1_BAD_CHUNK_SIZE, "ab"},
    {48, S("5\nhello"), H1_BAD_LINE_END, ""},
    {48, S("5\rhello"), H1_BAD_LINE_END, ""},
    {48, S("5\r\r\nhello"), H1_BAD_LINE_END, ""},
    {48, S("0\n\n"), H1_BAD_LINE_END, ""},
    {48, S("5;a\nhello"), H1_BAD_LINE_END, ""},
    {48, S("5;a\rb\nhello"), H1_BAD_LINE_END, ""},
    {47, S("5;\r\nhello"), H1_BAD_CHUNK_EXTENSION, ""},
    {47, S("5;;a\r\nhello"), H1_BAD_CHUNK_EXTENSION, ""},
    {47, S("5;a;\r\nhello"), H1_BAD_CHUNK_EXTENSION, ""},
    {47, S("5;a=\r\nhello"), H1_BAD_CHUNK_EXTENSION, ""},
    {47, S("5;=b\r\nhello"), H1_BAD_CHUNK_EXTENSION, ""},
    {47, S("5;a b\r\nhello"), H1_BAD_CHUNK_EXTENSION, ""},
    {47, S("5;a \r\nhello"), H1_BAD_CHUNK_EXTENSION, ""},
    {47, S("5;a=b \r\nhello"), H1_BAD_CHUNK_EXTENSION, ""},
    {47, S("5;a\0\r\nhello"), H1_BAD_CHUNK_EXTENSION, ""},
    {47, S("5;a=\"b\0\"\r\nhello"), H1_BAD_CHUNK_EXTENSION, ""},
    {47, S("5;a=\"\r\n\"\r\nhello"), H1_BAD_CHUNK_EXTENSION, ""},
    {47, S("5;a=\"\\\r\n\"\r\nhello"), H1_BAD_CHUNK_EXTENSION, ""},
    {47, S("5;a=\"\n\"\r\nhello"), H1_BAD_LINE_END, ""},
    {47, S("5;a=\"b\"c\r\nhello"), H1_BAD_CHUNK_EXTENSION, ""},
    {47, S("5;\xe4\r\nhello"), H1_BAD_CHUNK_EXTENSION, ""},
    {48, S("5\r\nhello\n0\r\n"), H1_BAD_CHUNK_END, "hello"},
    {48, S("5\r\nhello\r0\r\n"), H1_BAD_CHUNK_END, "hello"},
    {48, S("5\r\nhello0\r\n"), H1_BAD_CHUNK_END, "hello"},
    {48, S("4\r\nhello\r\n0\r\n"), H1_BAD_CHUNK_END, "hell"},
};

static void check_rows(const struct row *rows, size_t n_rows)
{
    for (size_t i = 0; i < n_rows; i++) {
        const struct row *row = &rows[i];
        struct decoded whole = decode(row->input, row->input.len, 1);
        ck_assert_msg(whole.verdict == row->verdict, "row %zu (requirement %d) <%s>: %d, not %d", i,
                      row->requirement, row->input.p, whole.verdict, row->verdict);
        ck_assert_msg(whole.body_len == strlen(row->body) &&
                          memcmp(whole.body, row->body, whole.body_len) == 0,
                      "row %zu: body", i);
        check_every_split(row->input, &whole);
    }
}

START_TEST(valid_bodies_are_decoded_wherever_they_are_cut)
{
    check_rows(accepted, sizeof(accepted) / sizeof(accepted[0]));
}
END_TEST

START_TEST(malformed_bodies_are_refused_wherever_they_are_cut)
{
    check_rows(rejected, sizeof(rejected) / sizeof(rejected[0]));
}
END_TEST

START_TEST(trailers_are_left_to_their_parser) /* requirement 49 */
{
    struct span input = S("1\r\na\r\n0;x\r\nA: b\r\n\r\n");
    ck_assert_uint_eq(decode(input, input.len, 1).consumed, 11);
}
END_TEST

START_TEST(extensions_are_bounded_over_the_whole_message) /* requirement 47 */
{
    static const char chunk[] = "1;abcdefghijklmno\r\nx\r\n"; /* 16 bytes of extension */
    struct chunked chunked;
    struct decoded decoded = {0};
    chunked_init(&chunked);
    for (unsigned i = 0; i < CHUNKED_EXTENSIONS_MAX / 16; i++) {
        decoded.body_len = 0;
        feed(&chunked, (struct span){chunk, sizeof(chunk) - 1}, &decoded);
        ck_assert_int_eq(decoded.verdict, CHUNKED_MORE);
    }
    feed(&chunked, (struct span)S("1;a"), &decoded);
    ck_assert_int_eq(decoded.verdict, H1_LONG_CHUNK_EXTENSIONS);
}
END_TEST

START_TEST(no_input_is_no_event)
{
    struct chunked chunked;
    size_t consumed;
    struct span data;
    chunked_init(&chunked);
    ck_assert_int_eq(chunked_next(&chunked, "", 0, &consumed, &data), CHUNKED_MORE);
    ck_assert_uint_eq(consumed, 0);
    ck_assert_uint_eq(data.len, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("chunked");
    TCase *tcase = tcase_create("promises");
    tcase_add_test(tcase, valid_bodies_are_decoded_wherever_they_are_cut);
    tcase_add_test(tcase, malformed_bodies_are_refused_wherever_they_are_cut);
    tcase_add_test(tcase, trailers_are_left_to_their_parser);
    tcase_add_test(tcase, extensions_are_bounded_over_the_whole_message);
    tcase_add_test(tcase, no_input_is_no_event);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
