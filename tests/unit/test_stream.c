/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The promises of engine/stream.h about bytes: their order, however they are cut; what is copied and what is
 * referred to; bringing together; the hold limit; the deadline. How streams end is in test_stream_close.c,
 * how they share buffers in test_stream_share.c.
 */
#include "engine_fixture.h"

#include <sys/ioctl.h>

static void setup(void)
{
    struct worker_config config = engine_config();

    engine_begin(&config);
}

static void step_gather(struct step *step)
{
    step->flag = stream_gather(&step->end->stream, (uint32_t)step->n);
}

static bool end_gather(struct end *end, uint32_t room)
{
    return on_worker(step_gather, (struct step){.end = end, .n = room}).flag;
}

/* Bytes of n from `end` to `other`, whatever there is. */
static void step_move(struct step *step)
{
    step->n = stream_move(&step->end->stream, &step->other->stream, step->n);
}

static size_t end_move(struct end *from, struct end *to, size_t n)
{
    return on_worker(step_move, (struct step){.end = from, .other = to, .n = n}).n;
}

static void step_room(struct step *step)
{
    step->n = stream_room(&step->end->stream);
}

static size_t end_room(struct end *end)
{
    return on_worker(step_room, (struct step){.end = end}).n;
}

/* Input. */

START_TEST(bytes_come_in_order_however_they_were_sent)
{
    const size_t total = 300000;
    uint8_t *bytes = pattern(total);
    struct pair pair = tcp_pair(false);
    struct end *end = end_open(pair.ours, false);

    for (size_t at = 0, run = 1; at < total; at += run, run = run * 3 % 20011 + 1)
        send_all(pair.theirs, bytes + at, run < total - at ? run : total - at);
    UNTIL(end, it.n_bytes == total);
    ck_assert_mem_eq(see(end).bytes, bytes, total);
    ck_assert_uint_eq(see(end).stream.received, total);
    close(pair.theirs);
    UNTIL(end, it.stream.end_of_input);
    ck_assert_int_eq(see(end).stream.input_error, 0);
    free(bytes);
}
END_TEST

START_TEST(a_sender_of_single_bytes_holds_one_block)
{
    struct pair pair = unix_pair();
    struct end *end = end_open(pair.ours, true);

    for (unsigned i = 0; i < 100; i++) {
        send_all(pair.theirs, "x", 1);
        UNTIL(end, it.stream.input_bytes == i + 1);
    }
    ck_assert_ptr_eq(see(end).stream.input, see(end).stream.input_end);
    close(pair.theirs);
}
END_TEST

START_TEST(a_stream_that_is_not_read_stops_at_its_hold_limit)
{
    const size_t total = STREAM_HOLD * 4;
    uint8_t *bytes = pattern(total);
    struct pair pair = tcp_pair(false);
    struct end *end;
    uint32_t held;

    send_all(pair.theirs, bytes, total);
    end = end_open(pair.ours, true);
    UNTIL(end, it.stream.input_bytes >= 4096);
    usleep(QUIET_MS * 1000);
    held = see(end).stream.input_bytes;
    ck_assert_uint_le(held, STREAM_HOLD + 65536);
    usleep(QUIET_MS * 1000);
    ck_assert_uint_eq(see(end).stream.input_bytes, held);
    free(bytes);
    close(pair.theirs);
}
END_TEST

START_TEST(short_runs_stop_at_the_hold_limit_too)
{
    enum { RUN = 4095, RUNS = 40 };
    uint8_t *bytes = pattern(RUN);
    struct pair pair = tcp_pair(false);
    struct end *end = end_open(pair.ours, true);

    for (unsigned i = 0; i < RUNS; i++) {
        ck_assert_int_eq(send(pair.theirs, bytes, RUN, 0), RUN);
        usleep(3000);
    }
    ck_assert_uint_le(see(end).stream.input_bytes, STREAM_HOLD + 4 * RUN);
    close(pair.theirs);
    free(bytes);
}
END_TEST

START_TEST(consuming_makes_a_full_stream_receive_again)
{
    const size_t total = STREAM_HOLD * 4;
    uint8_t *bytes = pattern(total);
    struct pair pair = tcp_pair(false);
    struct end *end;

    send_all(pair.theirs, bytes, total);
    end = end_open(pair.ours, true);
    for (size_t taken = 0; taken < total; taken = see(end).n_bytes) {
        UNTIL(end, it.stream.input_bytes > 0);
        end_take(end, 7777);
    }
    ck_assert_mem_eq(see(end).bytes, bytes, total);
    free(bytes);
    close(pair.theirs);
}
END_TEST

START_TEST(a_head_in_pieces_is_gathered_apart_from_the_blocks)
{
    uint8_t *bytes = pattern(6000);
    struct pair pair = unix_pair();
    struct end *end = end_open(pair.ours, true), seen;

    send_all(pair.theirs, bytes, 3000);
    UNTIL(end, it.stream.input_bytes == 3000);
    ck_assert(end_gather(end, 3000));
    seen = see(end);
    ck_assert_uint_eq(seen.stream.input->kind, BUFFER_HEAP);
    ck_assert_uint_eq(seen.stream.input->size, 6000);
    send_all(pair.theirs, bytes + 3000, 3000);
    UNTIL(end, it.stream.input_bytes == 6000);
    ck_assert_ptr_eq(see(end).stream.input, seen.stream.input);
    ck_assert_ptr_null(see(end).stream.input->next);
    end_take(end, SIZE_MAX);
    ck_assert_mem_eq(see(end).bytes, bytes, 6000);
    ck_assert_uint_eq(see_worker().buffers.counters.heap_bytes, 0);
    free(bytes);
    close(pair.theirs);
}
END_TEST

START_TEST(gathering_what_is_gathered_does_nothing_while_there_is_room)
{
    struct pair pair = unix_pair();
    struct end *end = end_open(pair.ours, true);
    struct buffer *first;

    ck_assert(end_gather(end, 100));
    ck_assert_ptr_null(see(end).stream.input);
    send_all(pair.theirs, "0123456789", 10);
    UNTIL(end, it.stream.input_bytes == 10);
    ck_assert(end_gather(end, 10));
    first = see(end).stream.input;
    ck_assert(end_gather(end, 10));
    ck_assert(end_gather(end, 0));
    ck_assert_ptr_eq(see(end).stream.input, first);
    send_all(pair.theirs, "0123456789", 10);
    UNTIL(end, it.stream.input_bytes == 20);
    ck_assert(end_gather(end, 10));
    ck_assert_uint_eq(see(end).stream.input->size, 30);
    close(pair.theirs);
}
END_TEST

START_TEST(gathering_keeps_what_came_when_memory_is_short)
{
    struct pair pair = unix_pair();
    struct end *end = end_open(pair.ours, true);

    send_all(pair.theirs, "precious", 8);
    UNTIL(end, it.stream.input_bytes == 8);
    ck_assert(!end_gather(end, 1u << 20));
    ck_assert_uint_eq(see_worker().buffers.counters.heap_refused, 1);
    end_take(end, SIZE_MAX);
    ck_assert_mem_eq(see(end).bytes, "precious", 8);
    close(pair.theirs);
}
END_TEST

/* Output. */

START_TEST(pieces_go_out_in_the_order_of_the_calls)
{
    static const uint8_t constant[3 * STREAM_COPY] = {'s', 't'};
    uint8_t *bytes = pattern(5000);
    struct pair to = unix_pair(), from = unix_pair();
    struct end *out = end_open(to.ours, true), *in = end_open(from.ours, true);

    send_all(from.theirs, bytes, 4000);
    UNTIL(in, it.stream.input_bytes == 4000);
    ck_assert(end_write(out, "one", 3));
    ck_assert(end_write_static(out, constant, sizeof(constant)));
    ck_assert(end_write_static(out, "two", 3));
    ck_assert_uint_eq(end_move(in, out, 3000), 3000);
    ck_assert_uint_eq(end_move(in, out, 1000), 1000);
    ck_assert(end_write(out, "end", 3));
    expect_bytes(to.theirs, "one", 3);
    expect_bytes(to.theirs, constant, sizeof(constant));
    expect_bytes(to.theirs, "two", 3);
    expect_bytes(to.theirs, bytes, 4000);
    expect_bytes(to.theirs, "end", 3);
    UNTIL(out, it.stream.n_pieces == 0 && !it.stream.sending);
    ck_assert_uint_eq(see(out).stream.sent, 9 + sizeof(constant) + 4000);
    close(to.theirs);
    close(from.theirs);
    free(bytes);
}
END_TEST

/* In one letter, so that nothing is sent in between; what is queued is counted in `result`. */
static void step_copy_and_refer(struct step *step)
{
    struct stream *in = &step->other->stream, *out = &step->end->stream;

    ck_assert(stream_write(out, "head", 4));
    ck_assert(stream_write(out, "head", 4));
    ck_assert_uint_eq(out->n_pieces, 1);
    ck_assert_uint_eq(stream_move(in, out, STREAM_COPY), STREAM_COPY);
    ck_assert_uint_eq(out->n_pieces, 1);
    ck_assert_uint_eq(out->block->refs, 2);
    ck_assert_uint_eq(stream_move(in, out, STREAM_COPY + 1), STREAM_COPY + 1);
    ck_assert_uint_eq(out->n_pieces, 2);
    ck_assert_uint_eq(out->pieces[1].buffer->id != out->block->id, 1);
    ck_assert(stream_write(out, "tail", 4));
    ck_assert_uint_eq(out->n_pieces, 3);
    ck_assert_uint_eq(in->input_bytes, 0);
    ck_assert_uint_eq(out->output_bytes, 8 + 2 * STREAM_COPY + 1 + 4);
}

START_TEST(short_runs_are_copied_behind_each_other_and_long_ones_are_referred_to)
{
    struct worker_config config = engine_config();
    uint8_t *bytes = pattern(2 * STREAM_COPY + 1);
    struct pair to, from;
    struct end *out, *in;

    engine_end();
    config.ring.buffers.block_size = 8192;
    engine_begin(&config);
    to = unix_pair();
    from = unix_pair();
    out = end_open(to.ours, true);
    in = end_open(from.ours, true);
    send_all(from.theirs, bytes, 2 * STREAM_COPY + 1);
    UNTIL(in, it.stream.input_bytes == 2 * STREAM_COPY + 1);
    on_worker(step_copy_and_refer, (struct step){.end = out, .other = in});
    expect_bytes(to.theirs, "headhead", 8);
    expect_bytes(to.theirs, bytes, 2 * STREAM_COPY + 1);
    expect_bytes(to.theirs, "tail", 4);
    UNTIL(out, it.stream.n_pieces == 0 && !it.stream.block);
    close(to.theirs);
    close(from.theirs);
    free(bytes);
}
END_TEST

START_TEST(short_sends_lose_and_repeat_nothing)
{
    const size_t total = 2000000;
    uint8_t *bytes = pattern(total);
    struct pair from = tcp_pair(false), to = tcp_pair(true);
    struct end *in = end_open(from.ours, true), *out = end_open(to.ours, true);
    size_t sent = 0, checked = 0;

    end_relay(in, out);
    fcntl(from.theirs, F_SETFL, O_NONBLOCK);
    fcntl(to.theirs, F_SETFL, O_NONBLOCK);
    while (checked < total) {
        uint8_t chunk[1500];
        ssize_t n = send(from.theirs, bytes + sent, total - sent, MSG_NOSIGNAL);

        sent += n > 0 ? (size_t)n : 0;
        if (n <= 0 && !readable(to.theirs, 1000))
            ck_abort_msg("stuck at %zu of %zu bytes", checked, sent);
        n = recv(to.theirs, chunk, sizeof(chunk), 0);
        if (n <= 0)
            continue;
        ck_assert_mem_eq(chunk, bytes + checked, (size_t)n);
        checked += (size_t)n;
    }
    UNTIL(out, it.stream.sent == total && it.stream.n_pieces == 0);
    ck_assert_uint_gt(see(out).n_sent, total / 300000);
    free(bytes);
    close(from.theirs);
    close(to.theirs);
}
END_TEST

/* Fills the queue; `n` counts what went in. */
static void step_fill(struct step *step)
{
    step->n = 0;
    while (stream_room(&step->end->stream) > 0) {
        ck_assert(stream_write_static(&step->end->stream, step->data, STREAM_COPY + 1));
        step->n++;
    }
    for (step->fd = 0; stream_write_static(&step->end->stream, step->data, STREAM_COPY + 1);)
        step->fd++;
    step->flag = stream_write(&step->end->stream, "x", 1);
}

START_TEST(a_full_queue_refuses_and_has_room_for_frames_before_that)
{
    uint8_t *bytes = pattern(STREAM_COPY + 1);
    struct pair pair = tcp_pair(true);
    struct end *end = end_open(pair.ours, true);
    struct step filled;

    ck_assert_uint_gt(end_room(end), 0);
    filled = on_worker(step_fill, (struct step){.end = end, .data = bytes});
    ck_assert_uint_eq(filled.n + (size_t)filled.fd, STREAM_PIECES);
    ck_assert_int_ge(filled.fd, 5); /* a chunk's two frames, a last chunk, its trailers, its end */
    ck_assert(!filled.flag);
    ck_assert_uint_eq(end_room(end), 0);
    for (unsigned i = 0; i < STREAM_PIECES; i++)
        expect_bytes(pair.theirs, bytes, STREAM_COPY + 1);
    ck_assert_uint_gt(end_room(end), 0);
    free(bytes);
    close(pair.theirs);
}
END_TEST

START_TEST(more_than_the_output_limit_is_not_asked_for)
{
    static const uint8_t large[STREAM_OUTPUT];
    struct pair pair = tcp_pair(true);
    struct end *end = end_open(pair.ours, true);

    ck_assert(end_write_static(end, large, sizeof(large)));
    ck_assert(end_write_static(end, large, sizeof(large)));
    ck_assert_uint_eq(end_room(end), 0);
    expect_bytes(pair.theirs, large, sizeof(large));
    expect_bytes(pair.theirs, large, sizeof(large));
    UNTIL(end, it.stream.n_pieces == 0);
    ck_assert_uint_gt(end_room(end), 0);
    close(pair.theirs);
}
END_TEST

static void step_reserve(struct step *step)
{
    char *room = stream_reserve(&step->end->stream, step->n);

    step->flag = room != NULL;
    if (!room)
        return;
    memset(room, 'r', step->n);
    stream_commit(&step->end->stream, (size_t)step->fd);
}

START_TEST(what_was_reserved_in_vain_is_not_sent)
{
    struct pair pair = unix_pair();
    struct end *end = end_open(pair.ours, true);

    ck_assert(on_worker(step_reserve, (struct step){.end = end, .n = 100, .fd = 0}).flag);
    ck_assert_uint_eq(see(end).stream.n_pieces, 0);
    ck_assert(on_worker(step_reserve, (struct step){.end = end, .n = 100, .fd = 2}).flag);
    ck_assert(end_write(end, "end", 3));
    expect_bytes(pair.theirs, "rrend", 5);
    ck_assert(!readable(pair.theirs, QUIET_MS));
    close(pair.theirs);
}
END_TEST

START_TEST(a_head_longer_than_a_block_goes_through_the_heap_and_too_long_a_one_is_refused)
{
    uint8_t expected[10000];
    struct pair pair = unix_pair();
    struct end *end = end_open(pair.ours, true);

    memset(expected, 'r', sizeof(expected));
    ck_assert(on_worker(step_reserve, (struct step){.end = end, .n = 10000, .fd = 10000}).flag);
    expect_bytes(pair.theirs, expected, sizeof(expected));
    UNTIL(end, it.stream.n_pieces == 0);
    ck_assert(!on_worker(step_reserve, (struct step){.end = end, .n = (1u << 20) + 1, .fd = 1}).flag);
    ck_assert(end_write(end, "still works", 11));
    expect_bytes(pair.theirs, "still works", 11);
    UNTIL(end, !it.stream.block);
    ck_assert_uint_eq(see_worker().buffers.counters.heap_bytes, 0);
    close(pair.theirs);
}
END_TEST

START_TEST(half_a_connection_goes_on_in_the_other_direction)
{
    struct pair pair = tcp_pair(false);
    struct end *end = end_open(pair.ours, false);

    shutdown(pair.theirs, SHUT_WR);
    UNTIL(end, it.stream.end_of_input);
    ck_assert(end_write(end, "answer", 6));
    expect_bytes(pair.theirs, "answer", 6);
    close(pair.theirs);
}
END_TEST

static void step_shutdown(struct step *step)
{
    stream_shutdown(&step->end->stream);
}

START_TEST(a_shutdown_ends_our_direction_only)
{
    struct pair pair = tcp_pair(false);
    struct end *end = end_open(pair.ours, false);

    on_worker(step_shutdown, (struct step){.end = end});
    on_worker(step_shutdown, (struct step){.end = end});
    ck_assert_int_eq(expect_end(pair.theirs), 0);
    send_all(pair.theirs, "more", 4);
    UNTIL(end, it.n_bytes == 4);
    close(pair.theirs);
}
END_TEST

static void step_acknowledged(struct step *step)
{
    step->n = stream_acknowledged(&step->end->stream);
}

START_TEST(what_the_peer_has_not_read_into_its_kernel_is_not_acknowledged)
{
    static const uint8_t large[STREAM_OUTPUT * 4];
    struct pair pair = tcp_pair(false);
    struct end *end;
    int one = 1;
    size_t acknowledged;

    ck_assert_int_eq(setsockopt(pair.theirs, SOL_SOCKET, SO_RCVBUF, &one, sizeof(one)), 0);
    end = end_open(pair.ours, true);
    ck_assert(end_write_static(end, large, sizeof(large)));
    UNTIL(end, it.stream.sent > 0);
    usleep(QUIET_MS * 1000);
    acknowledged = on_worker(step_acknowledged, (struct step){.end = end}).n;
    ck_assert_uint_le(acknowledged, see(end).stream.sent);
    expect_bytes(pair.theirs, large, sizeof(large));
    for (unsigned i = 0; acknowledged < sizeof(large) && i < 1000; i++, usleep(2000))
        acknowledged = on_worker(step_acknowledged, (struct step){.end = end}).n;
    ck_assert_uint_eq(acknowledged, sizeof(large));
    close(pair.theirs);
}
END_TEST

/* The deadline. */

START_TEST(a_deadline_comes_once_and_not_early)
{
    struct pair pair = unix_pair();
    struct end *end = end_open(pair.ours, true);
    uint64_t begin_ns = clock_monotonic_ns();

    end_deadline(end, 40);
    UNTIL(end, it.n_timer == 1);
    ck_assert_uint_ge(clock_monotonic_ns() - begin_ns, 38000000);
    usleep(QUIET_MS * 1000);
    ck_assert_uint_eq(see(end).n_timer, 1);
    end_deadline(end, 0);
    UNTIL(end, it.n_timer == 2);
    close(pair.theirs);
}
END_TEST

START_TEST(a_deadline_can_be_moved_and_taken_back)
{
    struct pair pair = unix_pair();
    struct end *end = end_open(pair.ours, true);

    end_deadline(end, 30);
    end_deadline(end, 60000);
    usleep(QUIET_MS * 1000);
    ck_assert_uint_eq(see(end).n_timer, 0);
    end_deadline(end, 30);
    end_deadline(end, SIZE_MAX);
    usleep(QUIET_MS * 1000);
    ck_assert_uint_eq(see(end).n_timer, 0);
    close(pair.theirs);
}
END_TEST

/* Knobs. */

START_TEST(single_receives_and_a_small_submission_queue_carry_the_same_bytes)
{
    const size_t total = 200000;
    uint8_t *bytes = pattern(total);
    struct worker_config config = engine_config();
    struct pair from, to;
    struct end *in, *out;

    engine_end();
    config.ring.multishot_recv = _i & 1;
    config.ring.sq_entries = 2;
    config.ring.cq_entries = 64;
    config.ring.buffers.ring_entries = 4;
    config.ring.buffers.blocks_max = 16;
    config.ring.buffers.block_size = _i & 2 ? 64 : 4096;
    engine_begin(&config);
    from = tcp_pair(false);
    to = tcp_pair(false);
    in = end_open(from.ours, true);
    out = end_open(to.ours, true);
    end_relay(in, out);
    for (size_t at = 0; at < total; at += 20000) {
        send_all(from.theirs, bytes + at, 20000);
        expect_bytes(to.theirs, bytes + at, 20000);
    }
    free(bytes);
    close(from.theirs);
    close(to.theirs);
}
END_TEST

static void add_output(TCase *tests)
{
    tcase_add_test(tests, pieces_go_out_in_the_order_of_the_calls);
    tcase_add_test(tests, short_runs_are_copied_behind_each_other_and_long_ones_are_referred_to);
    tcase_add_test(tests, short_sends_lose_and_repeat_nothing);
    tcase_add_test(tests, a_full_queue_refuses_and_has_room_for_frames_before_that);
    tcase_add_test(tests, more_than_the_output_limit_is_not_asked_for);
    tcase_add_test(tests, what_was_reserved_in_vain_is_not_sent);
    tcase_add_test(tests, a_head_longer_than_a_block_goes_through_the_heap_and_too_long_a_one_is_refused);
    tcase_add_test(tests, half_a_connection_goes_on_in_the_other_direction);
    tcase_add_test(tests, a_shutdown_ends_our_direction_only);
    tcase_add_test(tests, what_the_peer_has_not_read_into_its_kernel_is_not_acknowledged);
}

int main(void)
{
    Suite *suite = suite_create("stream");
    TCase *tests = tcase_create("promises");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, setup, engine_end);
    tcase_add_test(tests, bytes_come_in_order_however_they_were_sent);
    tcase_add_test(tests, a_sender_of_single_bytes_holds_one_block);
    tcase_add_test(tests, a_stream_that_is_not_read_stops_at_its_hold_limit);
    tcase_add_test(tests, short_runs_stop_at_the_hold_limit_too);
    tcase_add_test(tests, consuming_makes_a_full_stream_receive_again);
    tcase_add_test(tests, a_head_in_pieces_is_gathered_apart_from_the_blocks);
    tcase_add_test(tests, gathering_what_is_gathered_does_nothing_while_there_is_room);
    tcase_add_test(tests, gathering_keeps_what_came_when_memory_is_short);
    add_output(tests);
    tcase_add_test(tests, a_deadline_comes_once_and_not_early);
    tcase_add_test(tests, a_deadline_can_be_moved_and_taken_back);
    tcase_add_loop_test(tests, single_receives_and_a_small_submission_queue_carry_the_same_bytes, 0, 4);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
