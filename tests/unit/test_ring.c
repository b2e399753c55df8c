/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The promises of engine/ring.h on a real io_uring: slots and generations, late completions, a full
 * submission queue, an overflowing completion queue. Each operation by itself is in test_ring_operations.c.
 */
#include "ring_fixture.h"

/* Slots. */

START_TEST(every_actor_has_a_slot_of_its_own_until_none_is_left)
{
    struct actor *actors = calloc(SLOTS, sizeof(*actors));
    bool *seen = calloc(SLOTS, sizeof(*seen));
    unsigned n = 2;

    seen[first.actor.slot] = seen[second.actor.slot] = true;
    for (; n < SLOTS; n++) {
        ck_assert(ring_add(ring, &actors[n], &witness_type));
        ck_assert(!seen[actors[n].slot]);
        seen[actors[n].slot] = true;
    }
    ck_assert(!ring_add(ring, &actors[0], &witness_type));
    ring_remove(ring, &actors[7]);
    ck_assert(ring_add(ring, &actors[0], &witness_type));
    ck_assert_uint_eq(actors[0].slot, actors[7].slot);
    free(actors);
    free(seen);
}
END_TEST

START_TEST(a_slot_that_is_used_again_has_another_generation)
{
    struct actor actor;
    uint16_t last;

    ck_assert(ring_add(ring, &actor, &witness_type));
    for (unsigned i = 0; i < 70000; i++) {
        last = actor.generation;
        ring_remove(ring, &actor);
        ck_assert(ring_add(ring, &actor, &witness_type));
        ck_assert_uint_eq(actor.generation, (uint16_t)(last + 1));
    }
}
END_TEST

START_TEST(more_slots_than_one_chunk_are_there)
{
    struct ring_config config = usual();
    struct actor *actors = calloc(2 * SLOTS, sizeof(*actors));

    config.actors_max = 2 * SLOTS;
    again(config);
    for (unsigned i = 2; i < 2 * SLOTS; i++)
        ck_assert(ring_add(ring, &actors[i], &witness_type));
    ck_assert(!ring_add(ring, &actors[0], &witness_type));
    free(actors);
}
END_TEST

/* Forgets an operation in flight, as no actor should. */
static void forget(struct witness *witness)
{
    ck_assert_uint_eq(witness->actor.in_flight, 1);
    witness->actor.in_flight = 0;
    ring_remove(ring, &witness->actor);
}

START_TEST(a_completion_that_comes_too_late_is_counted_and_its_block_comes_back)
{
    want(&first, issue_recv, 1);
    turn(0);
    forget(&first);
    ck_assert_int_eq(write(pair[1], "late", 4), 4);
    turn(SECOND_NS);
    ck_assert_uint_eq(first.n_notes, 0);
    ck_assert_uint_eq(ring_counters(ring)->stale, 1);
    ck_assert(buffers_provide(ring_buffers(ring)));
    ck_assert_uint_eq(ring_buffers(ring)->in_ring, 4);
}
END_TEST

START_TEST(a_late_completion_does_not_reach_the_next_owner_of_the_slot)
{
    static struct witness heir;

    want(&first, issue_recv_into, 1);
    turn(0);
    forget(&first);
    witness_start(&heir, pair[0]);
    ck_assert_uint_eq(heir.actor.slot, first.actor.slot);
    ck_assert_int_eq(write(pair[1], "late", 4), 4);
    turn(SECOND_NS);
    ck_assert_uint_eq(heir.n_notes, 0);
    ck_assert_uint_eq(heir.actor.in_flight, 0);
    ck_assert_uint_eq(ring_counters(ring)->stale, 1);
}
END_TEST

/* Queues. */

START_TEST(an_actor_that_is_marked_twice_is_flushed_once)
{
    ring_mark(ring, &first.actor);
    ring_mark(ring, &second.actor);
    ring_mark(ring, &first.actor);
    turn(0);
    ck_assert_uint_eq(first.n_flushes, 1);
    ck_assert_uint_eq(second.n_flushes, 1);
    turn(0);
    ck_assert_uint_eq(first.n_flushes, 1);
}
END_TEST

START_TEST(a_full_submission_queue_loses_nothing_and_keeps_the_order)
{
    char got[100];

    want(&first, issue_send, 100);
    want(&second, issue_send, 3);
    until_noted(&first, 100);
    until_noted(&second, 3);
    ck_assert_uint_gt(ring_counters(ring)->sq_full, 0);
    ck_assert_int_eq(recv(pair[1], got, sizeof(got), MSG_WAITALL), 100);
    for (unsigned i = 0; i < 100; i++)
        ck_assert_int_eq(got[i], 'a' + (int)(i % 26));
    ck_assert_uint_eq(first.actor.in_flight, 0);
    ck_assert_uint_eq(ring_counters(ring)->submitted, 103);
    ck_assert_uint_eq(ring_counters(ring)->completed, 103);
}
END_TEST

START_TEST(with_work_left_over_the_wait_is_short)
{
    uint64_t begin_ns;

    /* A receive that nothing comes for fills the queue, so the ninth operation stays marked. */
    want(&first, issue_recv_into, 9);
    begin_ns = clock_monotonic_ns();
    ck_assert_int_eq(ring_wait(ring, 5ull * SECOND_NS), 0);
    ck_assert_uint_lt(clock_monotonic_ns() - begin_ns, SECOND_NS);
    ck_assert_uint_eq(first.issued, 8);
    turn(0);
    ck_assert_uint_eq(first.issued, 9);
}
END_TEST

START_TEST(an_overflowing_completion_queue_of_64_loses_nothing)
{
    for (unsigned i = 0; i < 25; i++) {
        want(&first, issue_send, 8);
        ck_assert_int_eq(ring_wait(ring, 0), 0);
    }
    ck_assert_uint_gt(ring_counters(ring)->cq_overflow, 0);
    until_noted(&first, 200);
    for (unsigned i = 0; i < 200; i++)
        expect_note(&first, i, RING_SEND, 1);
    ck_assert_uint_eq(ring_counters(ring)->enter_errors, 0);
}
END_TEST

START_TEST(blocks_of_overflowed_completions_are_not_lost)
{
    struct ring_config config = usual();

    config.cq_entries = 16;
    config.buffers.ring_entries = 64;
    config.buffers.blocks_max = 128;
    again(config);
    want(&first, issue_recv, 1);
    turn(0);
    for (unsigned i = 0; i < 60; i++) {
        ck_assert_int_eq(write(pair[1], "x", 1), 1);
        ck_assert_int_eq(ring_wait(ring, 0), 0);
    }
    for (unsigned i = 0; i < 20; i++)
        turn(0);
    ck_assert_uint_ge(first.n_notes, 1);
    ck_assert(buffers_provide(ring_buffers(ring)));
    ck_assert_uint_eq(ring_buffers(ring)->in_ring, 64);
}
END_TEST

START_TEST(one_dispatch_runs_no_more_than_four_queue_lengths)
{
    for (unsigned i = 0; i < 5; i++) {
        want(&first, issue_send, 8);
        ck_assert_int_eq(ring_wait(ring, 0), 0);
    }
    ck_assert_uint_eq(ring_dispatch(ring), 32);
    ck_assert_uint_eq(ring_dispatch(ring), 8);
    ck_assert_uint_eq(ring_dispatch(ring), 0);
}
END_TEST

START_TEST(a_wait_without_completions_ends_in_time)
{
    uint64_t begin_ns = clock_monotonic_ns();

    ck_assert_int_eq(ring_wait(ring, 20000000), 0);
    ck_assert_uint_ge(clock_monotonic_ns() - begin_ns, 19000000);
    ck_assert_uint_eq(ring_dispatch(ring), 0);
}
END_TEST

/* What can fail. */

START_TEST(a_ring_that_cannot_be_made_is_an_error_that_leaves_nothing_behind)
{
    struct ring_config config = usual();
    struct ring *none;
    struct rlimit old, few;

    config.sq_entries = 0;
    ck_assert_int_eq(ring_create(&config, &none), -EINVAL);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    few = old;
    few.rlim_cur = 3;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    config = usual();
    ck_assert_int_eq(ring_create(&config, &none), -EMFILE);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
}
END_TEST

START_TEST(a_ring_is_not_usable_before_it_is_enabled_nor_enabled_twice)
{
    struct ring_config config = usual();
    struct ring *other;

    ck_assert_int_eq(ring_enable(ring), -EACCES);
    ck_assert_int_eq(ring_create(&config, &other), 0);
    ck_assert_int_lt(ring_wait(other, 0), 0);
    ck_assert_uint_eq(ring_counters(other)->enter_errors, 1);
    ring_destroy(other);
    ring_destroy(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ring");
    TCase *tests = tcase_create("promises");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, setup, end);
    tcase_add_test(tests, every_actor_has_a_slot_of_its_own_until_none_is_left);
    tcase_add_test(tests, a_slot_that_is_used_again_has_another_generation);
    tcase_add_test(tests, more_slots_than_one_chunk_are_there);
    tcase_add_test(tests, a_completion_that_comes_too_late_is_counted_and_its_block_comes_back);
    tcase_add_test(tests, a_late_completion_does_not_reach_the_next_owner_of_the_slot);
    tcase_add_test(tests, an_actor_that_is_marked_twice_is_flushed_once);
    tcase_add_test(tests, a_full_submission_queue_loses_nothing_and_keeps_the_order);
    tcase_add_test(tests, with_work_left_over_the_wait_is_short);
    tcase_add_test(tests, an_overflowing_completion_queue_of_64_loses_nothing);
    tcase_add_test(tests, blocks_of_overflowed_completions_are_not_lost);
    tcase_add_test(tests, one_dispatch_runs_no_more_than_four_queue_lengths);
    tcase_add_test(tests, a_wait_without_completions_ends_in_time);
    tcase_add_test(tests, a_ring_that_cannot_be_made_is_an_error_that_leaves_nothing_behind);
    tcase_add_test(tests, a_ring_is_not_usable_before_it_is_enabled_nor_enabled_twice);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
