/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The promises of engine/buffers.h: limits, the reserve, turns for bulk buffers, and what each refusal
 * counts. */
#include "engine/buffers.h"

#include <check.h>
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>

#define MANY 64

/* Asking for more memory than there is must be refused, not end the program. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static struct buffers buffers;
static struct buffer *held[MANY];

static const struct buffers_config usual = {.ring_entries = 8,
                                            .blocks_max = 40,
                                            .block_size = 512,
                                            .bulk_max = 12,
                                            .bulk_size = 4096,
                                            .heap_max = 8192};

static void begin(struct buffers_config config)
{
    ck_assert_int_eq(buffers_init(&buffers, &config), 0);
    memset(held, 0, sizeof(held));
}

static void setup(void)
{
    begin(usual);
}

static void teardown(void)
{
    buffers_fini(&buffers);
}

/* Takes blocks until there are no more, and returns how many there were. */
static unsigned take_all_blocks(void)
{
    unsigned n = 0;

    while (n < MANY && (held[n] = buffers_block(&buffers)) != NULL)
        n++;
    return n;
}

static void put_held(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        buffer_put(held[i]);
}

START_TEST(a_new_buffer_is_empty_and_has_one_reference)
{
    struct buffer *kinds[] = {buffers_block(&buffers), buffers_bulk(&buffers), buffers_heap(&buffers, 100)};
    const uint32_t sizes[] = {512, 4096, 100};

    for (unsigned i = 0; i < 3; i++) {
        ck_assert_uint_eq(kinds[i]->kind, i);
        ck_assert_uint_eq(kinds[i]->size, sizes[i]);
        ck_assert_uint_eq(kinds[i]->refs, 1);
        ck_assert_uint_eq(kinds[i]->to, 0);
        memset(kinds[i]->data, 0xa5, kinds[i]->size);
        buffer_put(kinds[i]);
    }
}
END_TEST

START_TEST(nothing_is_allocated_before_it_is_wanted)
{
    ck_assert_uint_eq(buffers.counters.blocks, 0);
    ck_assert_uint_eq(buffers.counters.bulk, 0);
    ck_assert_uint_eq(buffers.counters.heap_bytes, 0);
}
END_TEST

START_TEST(blocks_end_at_their_limit_and_the_refusal_is_counted)
{
    unsigned n = take_all_blocks();

    ck_assert_uint_eq(n, usual.blocks_max);
    ck_assert_uint_eq(buffers.counters.blocks_refused, 1);
    for (unsigned i = 0; i < n; i++) {
        ck_assert_uint_eq(held[i]->id, (uint16_t)(held[i] - buffers.blocks));
        memset(held[i]->data, (int)i, held[i]->size);
    }
    for (unsigned i = 0; i < n; i++)
        ck_assert_uint_eq(held[i]->data[held[i]->size - 1], i);
    put_held(n);
    ck_assert_uint_eq(take_all_blocks(), n);
    put_held(n);
}
END_TEST

START_TEST(what_was_given_back_last_is_used_first)
{
    struct buffer *first = buffers_block(&buffers), *second = buffers_block(&buffers);

    buffer_put(first);
    buffer_put(second);
    ck_assert_ptr_eq(buffers_block(&buffers), second);
    ck_assert_ptr_eq(buffers_block(&buffers), first);
    buffer_put(first);
    buffer_put(second);
}
END_TEST

START_TEST(only_the_last_reference_gives_a_buffer_back)
{
    struct buffer *bulk = buffers_bulk(&buffers);

    buffer_get(bulk);
    buffer_put(bulk);
    ck_assert_uint_eq(buffers.bulk_in_use, 1);
    buffer_put(bulk);
    ck_assert_uint_eq(buffers.bulk_in_use, 0);
}
END_TEST

START_TEST(the_ring_is_filled_and_what_the_kernel_took_is_filled_in_again)
{
    struct buffer *taken;

    ck_assert(buffers_provide(&buffers));
    ck_assert_uint_eq(buffers.in_ring, usual.ring_entries);
    ck_assert(buffers_provide(&buffers));
    ck_assert_uint_eq(buffers.ring->tail, usual.ring_entries);
    taken = buffers_taken(&buffers, buffers.ring->bufs[0].bid, 77);
    ck_assert_ptr_eq(taken->data, (uint8_t *)(uintptr_t)buffers.ring->bufs[0].addr);
    ck_assert_uint_eq(taken->to, 77);
    ck_assert_uint_eq(taken->refs, 1);
    ck_assert_uint_eq(buffers.in_ring, usual.ring_entries - 1);
    ck_assert(buffers_provide(&buffers));
    ck_assert_uint_eq(buffers.in_ring, usual.ring_entries);
    buffer_put(taken);
}
END_TEST

START_TEST(no_block_is_in_the_ring_twice)
{
    bool seen[MANY] = {false};

    ck_assert(buffers_provide(&buffers));
    for (unsigned i = 0; i < usual.ring_entries; i++) {
        unsigned id = buffers.ring->bufs[i].bid;

        ck_assert_uint_lt(id, usual.blocks_max);
        ck_assert(!seen[id]);
        ck_assert_uint_eq(buffers.ring->bufs[i].len, usual.block_size);
        seen[id] = true;
    }
}
END_TEST

START_TEST(a_flood_of_input_leaves_the_last_eighth_for_what_we_write)
{
    struct buffers_config config = usual;
    unsigned n_input = 0;

    buffers_fini(&buffers);
    config.ring_entries = 64;
    config.blocks_max = 256;
    begin(config);
    if (_i) /* also after writers have used every block once */
        put_held(take_all_blocks());
    while (buffers_provide(&buffers)) {
        (void)buffers_taken(&buffers, buffers.ring->bufs[n_input++ % config.ring_entries].bid, 1);
        ck_assert_uint_le(n_input, config.blocks_max - config.blocks_max / 8);
    }
    ck_assert_uint_eq(n_input, config.blocks_max - config.blocks_max / 8);
    ck_assert_uint_eq(take_all_blocks(), config.blocks_max / 8);
}
END_TEST

START_TEST(an_empty_ring_with_no_block_left_is_said)
{
    unsigned n = take_all_blocks();

    ck_assert(!buffers_provide(&buffers));
    put_held(usual.blocks_max / 8); /* the writers' reserve */
    ck_assert(!buffers_provide(&buffers));
    buffer_put(held[usual.blocks_max / 8]);
    ck_assert(buffers_provide(&buffers));
    ck_assert_uint_eq(buffers.in_ring, 1);
    for (unsigned i = usual.blocks_max / 8 + 1; i < n; i++)
        buffer_put(held[i]);
}
END_TEST

START_TEST(bulk_buffers_end_at_their_limit_and_the_refusal_is_counted)
{
    unsigned n = 0;

    while (n < MANY && (held[n] = buffers_bulk(&buffers)) != NULL)
        n++;
    ck_assert_uint_eq(n, usual.bulk_max);
    ck_assert_uint_eq(buffers.counters.bulk_refused, 1);
    put_held(n);
    ck_assert_uint_eq(buffers.bulk_in_use, 0);
    ck_assert_uint_eq(buffers.counters.bulk, usual.bulk_max);
}
END_TEST

START_TEST(at_first_as_many_bulk_buffers_are_allowed_as_stay_hot)
{
    ck_assert_uint_eq(buffers_allow_bulk(&buffers), BUFFERS_BULK_HOT);
    held[0] = buffers_bulk(&buffers);
    ck_assert_uint_eq(buffers_allow_bulk(&buffers), BUFFERS_BULK_HOT - 1);
    put_held(1);
}
END_TEST

START_TEST(stuck_bulk_buffers_let_one_more_through_per_turn)
{
    for (unsigned i = 0; i < BUFFERS_BULK_HOT; i++)
        held[i] = buffers_bulk(&buffers);
    ck_assert_uint_eq(buffers_allow_bulk(&buffers), 1);
    ck_assert_uint_eq(buffers_allow_bulk(&buffers), 1);
    held[BUFFERS_BULK_HOT] = buffers_bulk(&buffers);
    ck_assert_uint_eq(buffers_allow_bulk(&buffers), 1);
    put_held(BUFFERS_BULK_HOT + 1);
    for (unsigned i = 0; i < 10; i++)
        (void)buffers_allow_bulk(&buffers);
    ck_assert_uint_eq(buffers.bulk_allowed, BUFFERS_BULK_HOT);
}
END_TEST

START_TEST(while_bulk_buffers_come_back_no_more_are_allowed)
{
    for (unsigned i = 0; i < BUFFERS_BULK_HOT; i++)
        held[i] = buffers_bulk(&buffers);
    buffer_put(held[0]);
    held[0] = buffers_bulk(&buffers);
    ck_assert_uint_eq(buffers_allow_bulk(&buffers), 0);
    ck_assert_uint_eq(buffers_allow_bulk(&buffers), 1);
    put_held(BUFFERS_BULK_HOT);
}
END_TEST

START_TEST(heap_buffers_end_at_their_limit_in_bytes_and_the_refusal_is_counted)
{
    held[0] = buffers_heap(&buffers, 5000);
    held[1] = buffers_heap(&buffers, 3192);
    ck_assert_ptr_nonnull(held[1]);
    ck_assert_uint_eq(buffers.counters.heap_bytes, usual.heap_max);
    ck_assert_ptr_null(buffers_heap(&buffers, 1));
    ck_assert_uint_eq(buffers.counters.heap_refused, 1);
    buffer_put(held[0]);
    ck_assert_uint_eq(buffers.counters.heap_bytes, 3192);
    held[0] = buffers_heap(&buffers, 1);
    ck_assert_ptr_nonnull(held[0]);
    put_held(2);
    ck_assert_uint_eq(buffers.counters.heap_bytes, 0);
}
END_TEST

START_TEST(heap_buffers_are_given_back_in_any_order)
{
    static const unsigned order[] = {1, 3, 0, 2};

    for (unsigned i = 0; i < 4; i++)
        held[i] = buffers_heap(&buffers, 10 + i);
    for (unsigned i = 0; i < 4; i++)
        buffer_put(held[order[i]]);
    ck_assert_ptr_null(buffers.heap);
}
END_TEST

START_TEST(the_end_frees_what_is_still_held)
{
    ck_assert(buffers_provide(&buffers));
    ck_assert_ptr_nonnull(buffers_block(&buffers));
    ck_assert_ptr_nonnull(buffers_bulk(&buffers));
    ck_assert_ptr_nonnull(buffers_heap(&buffers, 100));
    /* teardown frees; the leak checker is the judge */
}
END_TEST

START_TEST(memory_that_cannot_be_had_is_an_error_that_leaves_nothing_behind)
{
    struct buffers_config config = usual;
    struct buffers none;

    config.ring_entries = 1u << 30;
    config.blocks_max = UINT32_MAX;
    config.bulk_max = UINT32_MAX;
    ck_assert_int_eq(buffers_init(&none, &config), -ENOMEM);
    ck_assert_ptr_null(none.blocks);
    ck_assert_ptr_null(none.ring);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("buffers");
    TCase *tests = tcase_create("promises");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_new_buffer_is_empty_and_has_one_reference);
    tcase_add_test(tests, nothing_is_allocated_before_it_is_wanted);
    tcase_add_test(tests, blocks_end_at_their_limit_and_the_refusal_is_counted);
    tcase_add_test(tests, what_was_given_back_last_is_used_first);
    tcase_add_test(tests, only_the_last_reference_gives_a_buffer_back);
    tcase_add_test(tests, the_ring_is_filled_and_what_the_kernel_took_is_filled_in_again);
    tcase_add_test(tests, no_block_is_in_the_ring_twice);
    tcase_add_loop_test(tests, a_flood_of_input_leaves_the_last_eighth_for_what_we_write, 0, 2);
    tcase_add_test(tests, an_empty_ring_with_no_block_left_is_said);
    tcase_add_test(tests, bulk_buffers_end_at_their_limit_and_the_refusal_is_counted);
    tcase_add_test(tests, at_first_as_many_bulk_buffers_are_allowed_as_stay_hot);
    tcase_add_test(tests, stuck_bulk_buffers_let_one_more_through_per_turn);
    tcase_add_test(tests, while_bulk_buffers_come_back_no_more_are_allowed);
    tcase_add_test(tests, heap_buffers_end_at_their_limit_in_bytes_and_the_refusal_is_counted);
    tcase_add_test(tests, heap_buffers_are_given_back_in_any_order);
    tcase_add_test(tests, the_end_frees_what_is_still_held);
    tcase_add_test(tests, memory_that_cannot_be_had_is_an_error_that_leaves_nothing_behind);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
