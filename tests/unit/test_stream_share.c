/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The promises of engine/stream.h about the buffers that streams share: the switch to bulk buffers and back,
 * the pause, starvation with four blocks, the heap that ends it, the queue for bulk buffers.
 */
#include "engine_fixture.h"

#define BLOCK   4096u
#define MANY    12u
#define RELAYED 100000u

static struct end *ends[MANY];
static int peers[MANY];

static void setup(void)
{
    struct worker_config config = engine_config();

    engine_begin(&config);
}

static void again(struct worker_config config)
{
    engine_end();
    engine_begin(&config);
}

/* As few of everything as there can be. */
static struct worker_config four_blocks(uint64_t heap_max)
{
    struct worker_config config = engine_config();

    config.ring.buffers.ring_entries = 4;
    config.ring.buffers.blocks_max = 4;
    config.ring.buffers.heap_max = heap_max;
    return config;
}

static void step_settle(struct step *step)
{
    stream_settle(&step->end->stream);
}

static void step_pause(struct step *step)
{
    stream_pause(&step->end->stream, step->flag);
}

static void open_many(unsigned n, bool holds)
{
    for (unsigned i = 0; i < n; i++) {
        struct pair pair = tcp_pair(false);

        peers[i] = pair.theirs;
        ends[i] = end_open(pair.ours, holds);
    }
}

static void close_peers(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        close(peers[i]);
}

/* One full block, consumed: the next receive is into a bulk buffer, or waits for one. */
static void make_bulky(unsigned i, const uint8_t *bytes)
{
    size_t had = see(ends[i]).n_bytes;

    send_all(peers[i], bytes, BLOCK);
    UNTIL(ends[i], it.n_bytes == had + BLOCK);
}

/* Bulk. */

START_TEST(a_full_block_makes_the_next_receive_a_large_one)
{
    uint8_t *bytes = pattern(BLOCK);

    open_many(1, false);
    make_bulky(0, bytes);
    UNTIL(ends[0], it.stream.receiving == RECEIVING_BULK && it.stream.bulk);
    ck_assert_uint_eq(see_worker().buffers.bulk_in_use, 1);
    free(bytes);
    close_peers(1);
}
END_TEST

START_TEST(a_large_body_comes_whole_and_in_order)
{
    const size_t total = 3000000;
    uint8_t *bytes = pattern(total);

    open_many(1, false);
    send_all(peers[0], bytes, total);
    UNTIL(ends[0], it.n_bytes == total);
    ck_assert_mem_eq(see(ends[0]).bytes, bytes, total);
    ck_assert_uint_gt(see_worker().buffers.counters.bulk, 0);
    free(bytes);
    close_peers(1);
}
END_TEST

START_TEST(settling_gives_the_bulk_buffer_back_and_receives_on)
{
    uint8_t *bytes = pattern(BLOCK);

    open_many(1, false);
    make_bulky(0, bytes);
    UNTIL(ends[0], it.stream.bulk);
    on_worker(step_settle, (struct step){.end = ends[0]});
    UNTIL_WORKER(it.buffers.bulk_in_use == 0);
    UNTIL(ends[0], it.stream.receiving == RECEIVING_BLOCKS);
    ck_assert(!see(ends[0]).stream.bulky);
    send_all(peers[0], "next", 4);
    UNTIL(ends[0], it.n_bytes == BLOCK + 4);
    ck_assert(!see(ends[0]).stream.end_of_input);
    free(bytes);
    close_peers(1);
}
END_TEST

START_TEST(bytes_that_come_while_it_settles_are_not_lost)
{
    uint8_t *bytes = pattern(2 * BLOCK);

    open_many(1, false);
    for (unsigned round = 0; round < 60; round++) {
        size_t had = see(ends[0]).n_bytes;
        unsigned late = round * 97 % BLOCK + 1;

        make_bulky(0, bytes);
        if (round % 2)
            send_all(peers[0], bytes + BLOCK, late);
        on_worker(step_settle, (struct step){.end = ends[0]});
        if (round % 2 == 0)
            send_all(peers[0], bytes + BLOCK, late);
        UNTIL(ends[0], it.n_bytes == had + BLOCK + late);
        ck_assert_mem_eq(see(ends[0]).bytes + had, bytes, BLOCK + late);
        on_worker(step_settle, (struct step){.end = ends[0]});
    }
    UNTIL_WORKER(it.buffers.bulk_in_use == 0);
    free(bytes);
    close_peers(1);
}
END_TEST

START_TEST(a_paused_stream_begins_no_large_receive_until_it_goes_on)
{
    uint8_t *bytes = pattern(BLOCK);

    open_many(1, false);
    on_worker(step_pause, (struct step){.end = ends[0], .flag = true});
    make_bulky(0, bytes);
    usleep(QUIET_MS * 1000);
    ck_assert_uint_eq(see_worker().buffers.bulk_in_use, 0);
    on_worker(step_pause, (struct step){.end = ends[0], .flag = false});
    UNTIL(ends[0], it.stream.bulk);
    make_bulky(0, bytes);
    free(bytes);
    close_peers(1);
}
END_TEST

START_TEST(a_paused_stream_that_gets_little_notices_its_peers_end)
{
    open_many(1, true);
    on_worker(step_pause, (struct step){.end = ends[0], .flag = true});
    send_all(peers[0], "little", 6);
    close_peers(1);
    UNTIL(ends[0], it.stream.end_of_input && it.stream.input_bytes == 6);
}
END_TEST

START_TEST(settling_ends_a_pause)
{
    open_many(1, true);
    on_worker(step_pause, (struct step){.end = ends[0], .flag = true});
    on_worker(step_settle, (struct step){.end = ends[0]});
    ck_assert(!see(ends[0]).stream.paused);
    close_peers(1);
}
END_TEST

START_TEST(streams_beyond_the_hot_ones_get_their_turn_though_all_are_stuck)
{
    uint8_t *bytes = pattern(BLOCK);

    open_many(MANY, false);
    for (unsigned i = 0; i < MANY; i++)
        make_bulky(i, bytes);
    /* Each has one and gets nothing to put into it: none comes back, so one more per turn is allowed. */
    for (unsigned i = 0; i < MANY; i++)
        UNTIL(ends[i], it.stream.bulk != NULL);
    UNTIL_WORKER(!it.someone_wants_bulk && it.buffers.bulk_in_use == MANY);
    for (unsigned i = 0; i < MANY; i++)
        make_bulky(i, bytes);
    free(bytes);
    close_peers(MANY);
}
END_TEST

START_TEST(without_a_bulk_buffer_it_goes_on_by_blocks)
{
    struct worker_config config = engine_config();
    uint8_t *bytes = pattern(20 * BLOCK);

    config.ring.buffers.bulk_max = 2;
    again(config);
    open_many(4, false);
    for (unsigned i = 0; i < 4; i++)
        make_bulky(i, bytes);
    for (unsigned i = 0; i < 4; i++) {
        send_all(peers[i], bytes + BLOCK, 19 * BLOCK);
        UNTIL(ends[i], it.n_bytes == 20 * BLOCK);
        ck_assert_mem_eq(see(ends[i]).bytes, bytes, 20 * BLOCK);
    }
    ck_assert_uint_gt(see_worker().buffers.counters.bulk_refused, 0);
    ck_assert_uint_le(see_worker().buffers.counters.bulk, 2);
    free(bytes);
    close_peers(4);
}
END_TEST

START_TEST(large_bodies_to_stuck_peers_leave_the_others_moving)
{
    uint8_t *bytes = pattern(RELAYED);
    struct end *out[MANY];
    int sinks[MANY];

    open_many(MANY, true);
    for (unsigned i = 0; i < MANY; i++) {
        struct pair pair = tcp_pair(true);

        sinks[i] = pair.theirs;
        out[i] = end_open(pair.ours, true);
        end_relay(ends[i], out[i]);
        send_all(peers[i], bytes, RELAYED);
    }
    /* All but the last never read until the last one has all. */
    expect_bytes(sinks[MANY - 1], bytes, RELAYED);
    for (unsigned i = 0; i < MANY - 1; i++)
        expect_bytes(sinks[i], bytes, RELAYED);
    for (unsigned i = 0; i < MANY; i++) {
        UNTIL(out[i], it.stream.n_pieces == 0);
        close(sinks[i]);
    }
    free(bytes);
    close_peers(MANY);
}
END_TEST

/* Starvation. */

/* Four streams sit on the four blocks, and a fifth finds none. */
static void hold_four_blocks(const uint8_t *bytes)
{
    open_many(5, true);
    for (unsigned i = 0; i < 4; i++) {
        send_all(peers[i], bytes, BLOCK - 1);
        UNTIL(ends[i], it.stream.input_bytes == BLOCK - 1);
    }
    send_all(peers[4], bytes, 3000);
}

START_TEST(with_all_blocks_held_a_starved_stream_gets_memory_of_its_own)
{
    uint8_t *bytes = pattern(BLOCK);

    again(four_blocks(1u << 20));
    hold_four_blocks(bytes);
    UNTIL(ends[4], it.stream.input_bytes == 3000);
    ck_assert_uint_eq(see(ends[4]).stream.input->kind, BUFFER_HEAP);
    ck_assert_uint_ge(see_worker().starvations, 1);
    for (unsigned i = 0; i < 5; i++)
        end_take(ends[i], SIZE_MAX);
    for (unsigned i = 0; i < 5; i++)
        ck_assert_mem_eq(see(ends[i]).bytes, bytes, see(ends[i]).n_bytes);
    free(bytes);
    close_peers(5);
}
END_TEST

START_TEST(without_that_memory_it_waits_for_the_first_block_that_comes_back)
{
    uint8_t *bytes = pattern(BLOCK);

    again(four_blocks(0));
    hold_four_blocks(bytes);
    UNTIL_WORKER(it.starvations >= 1);
    usleep(QUIET_MS * 1000);
    ck_assert_uint_eq(see(ends[4]).stream.input_bytes, 0);
    end_take(ends[2], SIZE_MAX);
    UNTIL(ends[4], it.stream.input_bytes == 3000);
    end_take(ends[4], SIZE_MAX);
    ck_assert_mem_eq(see(ends[4]).bytes, bytes, 3000);
    free(bytes);
    close_peers(5);
}
END_TEST

START_TEST(a_starved_stream_can_be_closed)
{
    uint8_t *bytes = pattern(BLOCK);

    again(four_blocks(0));
    hold_four_blocks(bytes);
    UNTIL_WORKER(it.starvations >= 1);
    end_close(ends[4], _i == 1);
    for (unsigned i = 0; i < 4; i++)
        end_close(ends[i], _i == 1);
    ck_assert(!see_worker().someone_starves);
    free(bytes);
    close_peers(5);
}
END_TEST

START_TEST(a_stream_that_waits_for_a_bulk_buffer_can_be_closed)
{
    uint8_t *bytes = pattern(BLOCK);

    open_many(MANY, false);
    for (unsigned i = 0; i < MANY; i++)
        send_all(peers[i], bytes, BLOCK);
    for (unsigned i = MANY; i-- > 0;)
        end_close(ends[i], _i == 1);
    ck_assert_uint_eq(see_worker().buffers.bulk_in_use, 0);
    free(bytes);
    close_peers(MANY);
}
END_TEST

START_TEST(with_four_blocks_everybody_gets_through)
{
    uint8_t *bytes = pattern(RELAYED);
    struct worker_config config = four_blocks(_i ? 0 : 1u << 20);
    size_t total = 0;

    config.ring.cq_entries = 64;
    config.ring.buffers.bulk_max = _i ? 1 : 16;
    again(config);
    open_many(MANY, false);
    for (size_t at = 0; at < RELAYED; at += RELAYED / 10)
        for (unsigned i = 0; i < MANY; i++)
            send_all(peers[i], bytes + at, RELAYED / 10);
    for (unsigned i = 0; i < MANY; i++) {
        UNTIL(ends[i], it.n_bytes == RELAYED);
        ck_assert_mem_eq(see(ends[i]).bytes, bytes, RELAYED);
        total += RELAYED;
    }
    ck_assert_uint_eq(total, MANY * RELAYED);
    free(bytes);
    close_peers(MANY);
}
END_TEST

START_TEST(writing_without_blocks_uses_the_heap_and_is_refused_without_both)
{
    uint8_t *bytes = pattern(BLOCK);

    again(four_blocks(1024 + 5000));
    hold_four_blocks(bytes);
    UNTIL(ends[4], it.stream.input_bytes == 3000);
    ck_assert(end_write(ends[0], "answer", 6));
    expect_bytes(peers[0], "answer", 6);
    ck_assert(!end_write(ends[1], bytes, 4000));
    ck_assert_uint_gt(see_worker().buffers.counters.blocks_refused, 0);
    ck_assert_uint_gt(see_worker().buffers.counters.heap_refused, 0);
    end_take(ends[2], SIZE_MAX);
    ck_assert_uint_eq(see(ends[1]).stream.n_pieces, 0);
    free(bytes);
    close_peers(5);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stream_share");
    TCase *tests = tcase_create("promises");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, setup, engine_end);
    tcase_add_test(tests, a_full_block_makes_the_next_receive_a_large_one);
    tcase_add_test(tests, a_large_body_comes_whole_and_in_order);
    tcase_add_test(tests, settling_gives_the_bulk_buffer_back_and_receives_on);
    tcase_add_test(tests, bytes_that_come_while_it_settles_are_not_lost);
    tcase_add_test(tests, a_paused_stream_begins_no_large_receive_until_it_goes_on);
    tcase_add_test(tests, a_paused_stream_that_gets_little_notices_its_peers_end);
    tcase_add_test(tests, settling_ends_a_pause);
    tcase_add_test(tests, streams_beyond_the_hot_ones_get_their_turn_though_all_are_stuck);
    tcase_add_test(tests, without_a_bulk_buffer_it_goes_on_by_blocks);
    tcase_add_test(tests, large_bodies_to_stuck_peers_leave_the_others_moving);
    tcase_add_test(tests, with_all_blocks_held_a_starved_stream_gets_memory_of_its_own);
    tcase_add_test(tests, without_that_memory_it_waits_for_the_first_block_that_comes_back);
    tcase_add_loop_test(tests, a_starved_stream_can_be_closed, 0, 2);
    tcase_add_loop_test(tests, a_stream_that_waits_for_a_bulk_buffer_can_be_closed, 0, 2);
    tcase_add_loop_test(tests, with_four_blocks_everybody_gets_through, 0, 2);
    tcase_add_test(tests, writing_without_blocks_uses_the_heap_and_is_refused_without_both);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
