/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The promises of proxy/body.h: from every framing into every other one, with the bytes split at every point;
 * limits, trailers, room, memory; what follows a body stays where it is; and what went out can go out again.
 */
#include "proxy/body.h"

#include "stream_bench.h"

#include <stdio.h>

#define HEAP_MAX   (8u << 20)
#define FIELDS_MAX 8u
#define FOLLOWING  "GET /next HTTP/1.1\r\n"
#define CONTENT    2700u /* bytes: more than STREAM_COPY, so that one chunk goes by reference */

static struct stream from, to;
static struct body body;
static struct field fields[FIELDS_MAX];
static const struct h1_limits limits = {
    .head_max = 512, .target_max = 512, .field_max = 256, .fields_max = FIELDS_MAX};
static char content[CONTENT], wire[2 * CONTENT];
static size_t wire_len;

static void renew(void)
{
    bench_renew(&from);
    bench_renew(&to);
    bench_output_len = 0;
}

static void setup(void)
{
    bench_begin(HEAP_MAX);
    for (size_t i = 0; i < CONTENT; i++)
        content[i] = (char)('a' + i % 23);
    memcpy(content + 100, "\r\n0\r\n\r\n", 7); /* framing in the content is content */
    bench_open(&from);
    bench_open(&to);
}

static void teardown(void)
{
    bench_release(&from);
    bench_release(&to);
    bench_end();
}

static enum body_result relay(void)
{
    return body_relay(&body, &from, body.to == BODY_NONE ? NULL : &to, &limits, fields);
}

static void put_wire(const char *data, size_t len)
{
    memcpy(wire + wire_len, data, len);
    wire_len += len;
}

#define TRAILERS "X-Sum: 1234\r\nContent-Length: 5\r\nServer: s\r\n"

/* The content as it comes in a framing. Chunks of 5, 2500 and the rest; every way to write a size. */
static void write_wire(enum body_kind kind, const char *trailers)
{
    wire_len = 0;
    if (kind != BODY_CHUNKED) {
        put_wire(content, CONTENT);
        return;
    }
    put_wire("5\r\n", 3);
    put_wire(content, 5);
    put_wire("\r\n9C4;name=value;quoted=\"a;\\\"b\"\r\n", 33);
    put_wire(content + 5, 2500);
    put_wire("\r\n000c3\r\n", 9);
    put_wire(content + 2505, CONTENT - 2505);
    put_wire("\r\n00;x\r\n", 8);
    put_wire(trailers, strlen(trailers));
    put_wire("\r\n", 2);
}

/* Takes the framing off what was put out; returns the bytes of content, which must be ours, and where the
 * rest begins. */
static size_t check_output(enum body_kind kind, const char **rest)
{
    const char *at = bench_output;
    size_t n = 0;

    *rest = bench_output + bench_output_len;
    if (kind == BODY_NONE)
        return bench_output_len;
    if (kind != BODY_CHUNKED) {
        ck_assert_uint_le(bench_output_len, CONTENT);
        ck_assert_mem_eq(bench_output, content, bench_output_len);
        return bench_output_len;
    }
    for (;;) {
        char *end;
        size_t size = strtoul(at, &end, 16);

        ck_assert_ptr_ne(at, end);
        ck_assert_mem_eq(end, "\r\n", 2);
        at = end + 2;
        if (size == 0)
            break;
        ck_assert_uint_le(n + size, CONTENT);
        ck_assert_mem_eq(at, content + n, size);
        ck_assert_mem_eq(at + size, "\r\n", 2);
        at += size + 2;
        n += size;
    }
    *rest = at;
    return n;
}

static void begin_body(enum body_kind kind_from, enum body_kind kind_to)
{
    body_init(&body, kind_from, kind_to, CONTENT);
    body.relay_trailers = true;
}

/* Loops. */
static const enum body_kind froms[] = {BODY_LENGTH, BODY_CHUNKED, BODY_CLOSE};
static const enum body_kind tos[] = {BODY_NONE, BODY_LENGTH, BODY_CHUNKED, BODY_CLOSE};
#define N_PAIRS 12
#define FROM(i) froms[(i) / 4]
#define TO(i)   tos[(i) % 4]

/* A known length is passed on as one: relaying it as chunks is a programmer's error, and asserted. */
static bool is_unused(enum body_kind kind_from, enum body_kind kind_to)
{
    return kind_from == BODY_LENGTH && kind_to == BODY_CHUNKED;
}

static void check_whole(enum body_kind kind_from, enum body_kind kind_to, size_t split)
{
    const char *rest;
    size_t n = check_output(kind_to, &rest), left;

    ck_assert_msg(n == (kind_to == BODY_NONE ? 0 : CONTENT), "%zu bytes came, split at %zu", n, split);
    ck_assert_uint_eq(body.moved, CONTENT);
    ck_assert(body.done);
    if (kind_to == BODY_CHUNKED)
        ck_assert_str_eq(rest, kind_from == BODY_CHUNKED ? "X-Sum: 1234\r\nServer: s\r\n\r\n" : "\r\n");
    if (kind_from != BODY_CLOSE) {
        ck_assert_int_eq(relay(), BODY_DONE); /* and does not touch what follows */
        ck_assert_msg(from.input_bytes == strlen(FOLLOWING), "split at %zu", split);
        ck_assert_mem_eq(stream_peek(&from, &left), FOLLOWING, strlen(FOLLOWING));
    }
}

START_TEST(every_framing_becomes_every_other_wherever_the_bytes_are_split)
{
    enum body_kind kind_from = FROM(_i), kind_to = TO(_i);

    if (is_unused(kind_from, kind_to))
        return;
    write_wire(kind_from, TRAILERS);
    for (size_t split = 0; split <= wire_len; split++) {
        renew();
        begin_body(kind_from, kind_to);
        bench_feed(&from, wire, split);
        if (split < wire_len) {
            ck_assert_int_eq(relay(), BODY_WANTS_INPUT);
            bench_drain(&to);
        }
        bench_feed(&from, wire + split, wire_len - split);
        if (kind_from == BODY_CLOSE) {
            ck_assert_int_eq(relay(), BODY_WANTS_INPUT);
            from.end_of_input = true;
        } else {
            bench_feed(&from, FOLLOWING, strlen(FOLLOWING));
        }
        ck_assert_int_eq(relay(), BODY_DONE);
        bench_drain(&to);
        check_whole(kind_from, kind_to, split);
    }
}
END_TEST

START_TEST(single_bytes_are_relayed_too)
{
    enum body_kind kind_from = FROM(_i), kind_to = TO(_i);

    if (is_unused(kind_from, kind_to))
        return;
    write_wire(kind_from, TRAILERS);
    begin_body(kind_from, kind_to);
    for (size_t i = 0; i < wire_len; i++) {
        bench_feed(&from, wire + i, 1);
        ck_assert_int_eq(relay(), i + 1 < wire_len || kind_from == BODY_CLOSE ? BODY_WANTS_INPUT : BODY_DONE);
        bench_drain(&to);
    }
    from.end_of_input = true;
    ck_assert_int_eq(relay(), BODY_DONE);
    bench_drain(&to);
    bench_feed(&from, FOLLOWING, strlen(FOLLOWING));
    check_whole(kind_from, kind_to, 1);
}
END_TEST

START_TEST(an_end_in_the_middle_is_a_cut)
{
    enum body_kind kind_from = froms[_i / 4 % 2], kind_to = TO(_i);

    if (is_unused(kind_from, kind_to))
        return;
    write_wire(kind_from, TRAILERS);
    for (size_t end = 0; end<wire_len; end += end> 40 && end + 80 < wire_len ? 37 : 1) {
        renew();
        begin_body(kind_from, kind_to);
        bench_feed(&from, wire, end);
        from.end_of_input = true;
        ck_assert_int_eq(relay(), BODY_CUT);
        ck_assert(!body.done);
        bench_drain(&to);
        /* What was sent must not look complete. */
        if (kind_to == BODY_CHUNKED)
            ck_assert_ptr_null(memmem(bench_output + (bench_output_len > 7 ? bench_output_len - 7 : 0),
                                      bench_output_len > 7 ? 7 : bench_output_len, "\r\n0\r\n", 5));
    }
}
END_TEST

START_TEST(a_reset_does_not_end_a_body_that_the_close_delimits)
{
    write_wire(BODY_CLOSE, "");
    begin_body(BODY_CLOSE, TO(_i));
    bench_feed(&from, wire, wire_len);
    from.end_of_input = true;
    from.input_error = -104;
    ck_assert_int_eq(relay(), BODY_CUT);
}
END_TEST

START_TEST(a_body_of_nothing_is_done_at_once)
{
    body_init(&body, BODY_NONE, BODY_NONE, 0);
    ck_assert_int_eq(relay(), BODY_DONE);
    body_init(&body, BODY_LENGTH, BODY_LENGTH, 0);
    ck_assert_int_eq(relay(), BODY_DONE);
    bench_feed(&from, "0\r\n\r\n", 5);
    body_init(&body, BODY_CHUNKED, BODY_CHUNKED, 0);
    ck_assert_int_eq(relay(), BODY_DONE);
    bench_drain(&to);
    ck_assert_str_eq(bench_output, "0\r\n\r\n");
    from.end_of_input = true;
    body_init(&body, BODY_CLOSE, BODY_CLOSE, 0);
    ck_assert_int_eq(relay(), BODY_DONE);
}
END_TEST

/* Limits. */

START_TEST(content_up_to_the_limit_passes_and_a_byte_more_does_not)
{
    write_wire(BODY_CHUNKED, "");
    for (unsigned less = 0; less < 2; less++) {
        renew();
        begin_body(BODY_CHUNKED, TO(_i));
        body.limit = CONTENT - less;
        bench_feed(&from, wire, wire_len);
        ck_assert_int_eq(relay(), less ? BODY_TOO_LARGE : BODY_DONE);
        ck_assert_uint_le(body.moved, body.limit);
    }
}
END_TEST

START_TEST(a_chunk_that_announces_too_much_is_refused_before_it_comes)
{
    begin_body(BODY_CHUNKED, BODY_CHUNKED);
    body.limit = 100;
    bench_feed(&from, "64\r\n", 4);
    ck_assert_int_eq(relay(), BODY_WANTS_INPUT);
    renew();
    begin_body(BODY_CHUNKED, BODY_CHUNKED);
    body.limit = 100;
    bench_feed(&from, "65\r\n", 4);
    ck_assert_int_eq(relay(), BODY_TOO_LARGE);
    renew();
    begin_body(BODY_CHUNKED, BODY_CHUNKED);
    body.limit = 100;
    bench_feed(&from, "ffffffffffffffff\r\n", 18);
    ck_assert_int_eq(relay(), BODY_TOO_LARGE);
}
END_TEST

/* What is broken. */

static const struct {
    const char *wire;
    int error;
} broken[] = {
    {"x\r\n", H1_BAD_CHUNK_SIZE},
    {"5\nhello", H1_BAD_CHUNK_SIZE},
    {"-1\r\n", H1_BAD_CHUNK_SIZE},
    {"11111111111111111\r\n", H1_BAD_CHUNK_SIZE},
    {"5\r\nhelloX\r\n", H1_BAD_CHUNK_END},
    {"5\r\nhello\n0\r\n\r\n", H1_BAD_CHUNK_END},
    {"0\r\nX-Bad : 1\r\n\r\n", H1_SPACE_BEFORE_COLON},
    {"0\r\nX-Bad\r\n\r\n", H1_BAD_FIELD_NAME},
    {"0\r\nA: 1\r\nB: 1\r\nC: 1\r\nD: 1\r\nE: 1\r\nF: 1\r\nG: 1\r\nH: 1\r\nI: 1\r\n\r\n", H1_MANY_FIELDS},
};
#define N_BROKEN ((int)(sizeof(broken) / sizeof(broken[0])))

START_TEST(broken_framing_is_told_and_not_passed_on)
{
    begin_body(BODY_CHUNKED, BODY_CHUNKED);
    bench_feed(&from, broken[_i].wire, strlen(broken[_i].wire));
    ck_assert_int_eq(relay(), BODY_BAD);
    ck_assert_msg(body.error < 0, "%s", broken[_i].wire);
    /* Which of two neighbouring reasons it is does not matter to anybody; that it is a refusal does. */
    if (broken[_i].error == H1_MANY_FIELDS || broken[_i].error == H1_BAD_CHUNK_END)
        ck_assert_str_eq(h1_error_text(body.error), h1_error_text(broken[_i].error));
    bench_drain(&to);
    ck_assert_ptr_null(strstr(bench_output_len ? bench_output : "", "\r\n0\r\n"));
}
END_TEST

START_TEST(trailers_over_their_limit_are_refused)
{
    char line[600];

    memset(line, 'v', sizeof(line));
    memcpy(line, "0\r\nX-Long: ", 11);
    begin_body(BODY_CHUNKED, TO(_i));
    bench_feed(&from, line, sizeof(line));
    ck_assert_int_eq(relay(), BODY_BAD);
    ck_assert_int_eq(h1_error_status(body.error), 431);
}
END_TEST

START_TEST(trailers_stay_behind_where_they_are_not_wanted)
{
    write_wire(BODY_CHUNKED, TRAILERS);
    begin_body(BODY_CHUNKED, BODY_CHUNKED);
    body.relay_trailers = false;
    bench_feed(&from, wire, wire_len);
    ck_assert_int_eq(relay(), BODY_DONE);
    bench_drain(&to);
    ck_assert_ptr_null(strstr(bench_output, "X-Sum"));
    ck_assert_str_eq(bench_output + bench_output_len - 7, "\r\n0\r\n\r\n");
}
END_TEST

/* Room and memory. */

START_TEST(a_receiver_that_does_not_take_stops_the_relay_within_its_bounds)
{
    enum { RUN = 30000, RUNS = 20 };
    static char run[RUN + 16];
    unsigned n_stops = 0;
    size_t head = FROM(_i) == BODY_CHUNKED ? (size_t)snprintf(run, sizeof(run), "%x\r\n", RUN) : 0;
    enum body_result result;

    if (is_unused(FROM(_i), TO(_i)))
        return;
    memset(run + head, 'r', RUN);
    memcpy(run + head + RUN, "\r\n", 2);
    body_init(&body, FROM(_i), TO(_i), (uint64_t)RUN * RUNS);
    for (unsigned i = 0; i < RUNS; i++)
        bench_feed(&from, run, head + RUN + (head ? 2 : 0));
    if (head)
        bench_feed(&from, "0\r\n\r\n", 5);
    from.end_of_input = true;
    while ((result = relay()) == BODY_WANTS_ROOM) {
        ck_assert_int_eq(relay(), BODY_WANTS_ROOM);
        ck_assert_uint_ge(to.output_bytes, 1);
        ck_assert_uint_lt(to.output_bytes, STREAM_OUTPUT + 65536 + 64);
        bench_drain(&to);
        ck_assert_uint_lt(n_stops++, 100);
    }
    ck_assert_int_eq(result, BODY_DONE);
    ck_assert_uint_eq(body.moved, (uint64_t)RUN * RUNS);
    ck_assert_msg(n_stops > 0 || TO(_i) == BODY_NONE, "it never stopped");
    bench_drain(&to);
}
END_TEST

START_TEST(without_memory_for_a_frame_it_says_so)
{
    struct buffer *held[64];
    unsigned n = 0;

    write_wire(BODY_CHUNKED, "");
    begin_body(BODY_CHUNKED, BODY_CHUNKED);
    bench_feed(&from, wire, wire_len);
    while ((held[n] = buffers_block(worker_buffers(bench_worker))) != NULL)
        n++;
    worker_buffers(bench_worker)->config.heap_max = 0;
    ck_assert_int_eq(relay(), BODY_NO_MEMORY);
    while (n-- > 0)
        buffer_put(held[n]);
}
END_TEST

START_TEST(without_memory_for_trailers_in_pieces_it_says_so)
{
    begin_body(BODY_CHUNKED, BODY_NONE);
    bench_feed(&from, "0\r\nX-Pa", 7);
    worker_buffers(bench_worker)->config.heap_max = 0;
    ck_assert_int_eq(relay(), BODY_NO_MEMORY);
}
END_TEST

/* Records: what went to one receiver goes to another one. */

static struct stream second;

/* All that the stream has to send, and nothing else. */
static size_t take_output(struct stream *stream, char *out)
{
    bench_output_len = 0;
    bench_drain(stream);
    memcpy(out, bench_output, bench_output_len);
    return bench_output_len;
}

static void expect_same(const char *a, size_t a_len, const char *b, size_t b_len, size_t split)
{
    ck_assert_msg(a_len == b_len && memcmp(a, b, a_len) == 0, "split at %zu: %zu and %zu bytes", split, a_len,
                  b_len);
}

/* The receiver is lost after `split` bytes of the wire; a second one gets all, and a third one all of it once
 * more. */
static void replay_after(enum body_kind kind, size_t split)
{
    static char first[3 * CONTENT], all[3 * CONTENT], again[3 * CONTENT];
    size_t first_len, all_len, again_len;
    const char *rest;

    begin_body(kind, kind);
    body_keep(&body, 3 * CONTENT);
    bench_feed(&from, wire, split);
    ck_assert_int_eq(relay(), split < wire_len ? BODY_WANTS_INPUT : BODY_DONE);
    first_len = take_output(&to, first);
    ck_assert(body_can_replay(&body));
    ck_assert(body_replay(&body, &second));
    bench_feed(&from, wire + split, wire_len - split);
    ck_assert_int_eq(body_relay(&body, &from, &second, &limits, fields), BODY_DONE);
    all_len = take_output(&second, all);
    expect_same(first, first_len, all, first_len, split);
    ck_assert_uint_eq(check_output(kind, &rest), CONTENT);
    if (kind == BODY_CHUNKED)
        ck_assert_ptr_nonnull(strstr(rest, "X-Sum: 1234\r\n"));
    ck_assert(body_replay(&body, &to));
    again_len = take_output(&to, again);
    expect_same(all, all_len, again, again_len, split);
    body_forget(&body);
    bench_renew(&from);
}

START_TEST(a_record_goes_out_as_the_body_did_wherever_the_receiver_was_lost)
{
    bench_open(&second);
    write_wire(_i == 0 ? BODY_LENGTH : BODY_CHUNKED, TRAILERS);
    for (size_t split = 0; split <= wire_len; split += split < 60 || split + 60 > wire_len ? 1 : 37)
        replay_after(_i == 0 ? BODY_LENGTH : BODY_CHUNKED, split);
    bench_release(&second);
}
END_TEST

START_TEST(what_waits_to_be_sent_stays_valid_while_the_record_grows)
{
    static char all[3 * CONTENT];

    bench_open(&second);
    write_wire(BODY_LENGTH, "");
    begin_body(BODY_LENGTH, BODY_LENGTH);
    body_keep(&body, CONTENT);
    for (size_t at = 0; at < CONTENT; at += 90) { /* from 1 KiB on it grows; every time it is queued anew */
        bench_feed(&from, wire + at, 90);
        ck_assert_int_eq(relay(), at + 90 < CONTENT ? BODY_WANTS_INPUT : BODY_DONE);
        bench_drain(&to);
        bench_release(&second);
        ck_assert(body_replay(&body, &second));
        if (at % 3 == 0)
            continue;
        ck_assert_uint_eq(take_output(&second, all), at + 90);
        ck_assert_mem_eq(all, content, at + 90);
    }
    body_forget(&body);
    ck_assert_uint_eq(take_output(&second, all), CONTENT); /* queued before the record was forgotten */
    ck_assert_mem_eq(all, content, CONTENT);
    bench_release(&second);
}
END_TEST

/* The most that is kept, and whether what goes out of CONTENT bytes can go out again. */
static const struct {
    uint32_t max;
    bool kept;
} keeps[] = {{0, false},      {1, false},          {CONTENT - 1, false},
             {CONTENT, true}, {CONTENT + 1, true}, {1u << 20, true}};

START_TEST(more_than_may_be_kept_is_not)
{
    write_wire(BODY_LENGTH, "");
    begin_body(BODY_LENGTH, BODY_LENGTH);
    body_keep(&body, keeps[_i].max);
    ck_assert(body_can_replay(&body)); /* nothing has gone out yet */
    ck_assert(body_replay(&body, &to));
    ck_assert_uint_eq(to.n_pieces, 0);
    bench_feed(&from, wire, CONTENT - 10);
    ck_assert_int_eq(relay(), BODY_WANTS_INPUT);
    bench_feed(&from, wire + CONTENT - 10, 10);
    ck_assert_int_eq(relay(), BODY_DONE);
    ck_assert_int_eq(body_can_replay(&body), keeps[_i].kept);
    ck_assert((body.record != NULL) == keeps[_i].kept);
    bench_output_len = 0;
    bench_drain(&to);
    ck_assert_uint_eq(bench_output_len, CONTENT); /* and goes out all the same */
    ck_assert_mem_eq(bench_output, content, CONTENT);
    body_forget(&body);
}
END_TEST

START_TEST(without_memory_for_the_record_the_body_goes_on)
{
    write_wire(BODY_LENGTH, "");
    begin_body(BODY_LENGTH, BODY_LENGTH);
    body_keep(&body, CONTENT);
    bench_feed(&from, wire, wire_len);
    worker_buffers(bench_worker)->config.heap_max = worker_buffers(bench_worker)->counters.heap_bytes;
    ck_assert_int_eq(relay(), BODY_DONE);
    ck_assert(!body_can_replay(&body));
    bench_drain(&to);
    ck_assert_mem_eq(bench_output, content, CONTENT);
}
END_TEST

START_TEST(the_framing_counts_towards_what_is_kept)
{
    write_wire(BODY_CHUNKED, "");
    begin_body(BODY_CHUNKED, BODY_CHUNKED);
    body_keep(&body, CONTENT);
    bench_feed(&from, wire, wire_len);
    ck_assert_int_eq(relay(), BODY_DONE);
    ck_assert(!body_can_replay(&body));
    body_forget(&body);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("body");
    TCase *tests = tcase_create("promises");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, every_framing_becomes_every_other_wherever_the_bytes_are_split, 0, N_PAIRS);
    tcase_add_loop_test(tests, single_bytes_are_relayed_too, 0, N_PAIRS);
    tcase_add_loop_test(tests, an_end_in_the_middle_is_a_cut, 0, 8);
    tcase_add_loop_test(tests, a_reset_does_not_end_a_body_that_the_close_delimits, 0, 4);
    tcase_add_test(tests, a_body_of_nothing_is_done_at_once);
    tcase_add_loop_test(tests, content_up_to_the_limit_passes_and_a_byte_more_does_not, 0, 4);
    tcase_add_test(tests, a_chunk_that_announces_too_much_is_refused_before_it_comes);
    tcase_add_loop_test(tests, broken_framing_is_told_and_not_passed_on, 0, N_BROKEN);
    tcase_add_loop_test(tests, trailers_over_their_limit_are_refused, 0, 4);
    tcase_add_test(tests, trailers_stay_behind_where_they_are_not_wanted);
    tcase_add_loop_test(tests, a_receiver_that_does_not_take_stops_the_relay_within_its_bounds, 0, N_PAIRS);
    tcase_add_test(tests, without_memory_for_a_frame_it_says_so);
    tcase_add_test(tests, without_memory_for_trailers_in_pieces_it_says_so);
    tcase_add_loop_test(tests, a_record_goes_out_as_the_body_did_wherever_the_receiver_was_lost, 0, 2);
    tcase_add_test(tests, what_waits_to_be_sent_stays_valid_while_the_record_grows);
    tcase_add_loop_test(tests, more_than_may_be_kept_is_not, 0, 6);
    tcase_add_test(tests, without_memory_for_the_record_the_body_goes_on);
    tcase_add_test(tests, the_framing_counts_towards_what_is_kept);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
