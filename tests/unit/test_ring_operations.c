/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The promises of engine/ring.h about each operation, with its usual ends, on a real io_uring. */
#include "ring_fixture.h"

/* Operations. */

START_TEST(a_multishot_receive_stays_and_a_single_one_does_not)
{
    want(&first, issue_recv, 1);
    turn(0);
    for (unsigned i = 1; i <= 3; i++) {
        ck_assert_int_eq(write(pair[1], "abc", 3), 3);
        until_noted(&first, i);
        expect_note(&first, i - 1, RING_RECV, 3);
        ck_assert(first.notes[i - 1].has_buffer && first.notes[i - 1].more);
    }
    ck_assert_uint_eq(first.actor.in_flight, 1);
    second.single = true;
    want(&second, issue_recv, 1);
    turn(0);
    ck_assert_int_eq(write(pair[0], "abc", 3), 3);
    until_noted(&second, 1);
    ck_assert(second.notes[0].has_buffer && !second.notes[0].more);
    ck_assert_uint_eq(second.actor.in_flight, 0);
}
END_TEST

START_TEST(the_knobs_make_every_operation_a_single_one)
{
    struct ring_config config = usual();

    config.multishot_recv = false;
    again(config);
    want(&first, issue_recv, 1);
    turn(0);
    ck_assert_int_eq(write(pair[1], "abc", 3), 3);
    until_noted(&first, 1);
    ck_assert(!first.notes[0].more);
}
END_TEST

START_TEST(received_bytes_are_in_the_block_that_the_completion_names)
{
    struct buffer *block;

    first.keeps = true;
    want(&first, issue_recv, 1);
    turn(0);
    ck_assert_int_eq(write(pair[1], "bytes", 5), 5);
    until_noted(&first, 1);
    block = buffers_taken(ring_buffers(ring), first.notes[0].buffer, 5);
    ck_assert_mem_eq(block->data, "bytes", 5);
    buffer_put(block);
}
END_TEST

START_TEST(a_receive_without_blocks_ends_with_ENOBUFS_and_works_again_afterwards)
{
    char flood[64 * 5] = {0};
    unsigned i;

    first.keeps = true;
    want(&first, issue_recv, 1);
    turn(0);
    ck_assert_int_eq(write(pair[1], flood, sizeof(flood)), sizeof(flood));
    until_noted(&first, 5);
    expect_note(&first, 4, RING_RECV, -ENOBUFS);
    ck_assert_uint_eq(first.actor.in_flight, 0);
    for (i = 0; i < 4; i++)
        buffer_put(buffers_taken(ring_buffers(ring), first.notes[i].buffer, 64));
    want(&first, issue_recv, 1);
    until_noted(&first, 6);
    expect_note(&first, 5, RING_RECV, 64);
    buffer_put(buffers_taken(ring_buffers(ring), first.notes[5].buffer, 64));
}
END_TEST

START_TEST(the_peers_end_is_a_result_of_zero)
{
    want(&first, issue_recv, 1);
    turn(0);
    shutdown(pair[1], SHUT_WR);
    until_noted(&first, 1);
    expect_note(&first, 0, RING_RECV, 0);
    ck_assert(!first.notes[0].more && !first.notes[0].has_buffer);
}
END_TEST

static bool issue_late_recv(struct witness *witness)
{
    return ring_recv(ring, &witness->actor, witness->fd, witness->single, true);
}

/* A TCP connection whose other end sent three bytes and was reset. */
static int reset_connection(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    socklen_t len = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0), other;

    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, len), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &len), 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, len), 0);
    other = accept(listener, NULL, NULL);
    ck_assert_int_eq(write(other, "abc", 3), 3);
    ck_assert_int_eq(setsockopt(other, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    close(other);
    close(listener);
    return fd;
}

START_TEST(a_reset_that_was_there_before_the_receive_comes_after_the_bytes)
{
    struct witness *witnesses[] = {&first, &second};

    for (int i = 0; i < 2; i++) {
        struct witness *witness = witnesses[i];

        witness->fd = reset_connection();
        witness->single = i == 1;
        want(witness, issue_late_recv, 1);
        until_noted(witness, witness->single ? 1 : 2);
        expect_note(witness, 0, RING_RECV, 3);
        if (witness->single) {
            want(witness, issue_late_recv, 1);
            until_noted(witness, 2);
        }
        expect_note(witness, 1, RING_RECV, -ECONNRESET);
        ck_assert(!witness->notes[1].more);
        close(witness->fd);
    }
}
END_TEST

START_TEST(gathered_sends_of_one_turn_do_not_disturb_each_other)
{
    char got[16 * 5];

    want(&first, issue_gathered, 5);
    until_noted(&first, 5);
    ck_assert_int_eq(recv(pair[1], got, sizeof(got), MSG_WAITALL), sizeof(got));
    for (unsigned i = 0; i < 5; i++) {
        ck_assert_int_eq(got[16 * i], 'a' + (int)i);
        ck_assert_mem_eq(got + 16 * i + 1, "bcdefghijklmnop", 15);
    }
}
END_TEST

START_TEST(a_send_to_nobody_is_an_error_and_no_signal)
{
    close(pair[1]);
    want(&first, issue_send, 1);
    until_noted(&first, 1);
    expect_note(&first, 0, RING_SEND, -EPIPE);
    pair[1] = socket(AF_UNIX, SOCK_STREAM, 0);
}
END_TEST

START_TEST(what_is_cancelled_and_the_cancellation_both_complete)
{
    want(&first, issue_recv, 1);
    turn(0);
    want(&first, issue_cancel_recv, 1);
    until_noted(&first, 2);
    ck_assert_uint_eq(first.actor.in_flight, 0);
    for (unsigned i = 0; i < 2; i++)
        if (first.notes[i].operation == RING_RECV)
            expect_note(&first, i, RING_RECV, -ECANCELED);
        else
            expect_note(&first, i, RING_CANCEL, 1);
}
END_TEST

START_TEST(a_cancellation_that_finds_nothing_completes_all_the_same)
{
    want(&first, issue_cancel_recv, 1);
    until_noted(&first, 1);
    ck_assert_uint_eq(first.actor.in_flight, 0);
    ck_assert_int_le(first.notes[0].result, 0);
}
END_TEST

START_TEST(a_cancellation_leaves_the_operations_of_others_alone)
{
    want(&first, issue_recv, 1);
    want(&second, issue_recv, 1);
    turn(0);
    want(&first, issue_cancel_recv, 1);
    until_noted(&first, 2);
    ck_assert_uint_eq(second.n_notes, 0);
    ck_assert_uint_eq(second.actor.in_flight, 1);
}
END_TEST

START_TEST(a_poll_tells_every_time)
{
    want(&first, issue_poll, 1);
    turn(0);
    for (unsigned i = 1; i <= 2; i++) {
        ck_assert_int_eq(write(pair[1], "x", 1), 1);
        until_noted(&first, i);
        ck_assert(first.notes[i - 1].more);
    }
}
END_TEST

START_TEST(connecting_and_accepting_meet)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(address);
    int listening = socket(AF_INET, SOCK_STREAM, 0), connecting = socket(AF_INET, SOCK_STREAM, 0);

    ck_assert_int_eq(bind(listening, (struct sockaddr *)&address, len), 0);
    ck_assert_int_eq(listen(listening, 8), 0);
    ck_assert_int_eq(getsockname(listening, (struct sockaddr *)&address, &len), 0);
    first.fd = listening;
    want(&first, issue_accept, 1);
    turn(0);
    ck_assert(ring_connect(ring, &second.actor, connecting, (struct sockaddr *)&address, len));
    until_noted(&second, 1);
    expect_note(&second, 0, RING_CONNECT, 0);
    until_noted(&first, 1);
    ck_assert_int_ge(first.notes[0].result, 0);
    ck_assert(first.notes[0].more);
    close(first.notes[0].result);
    close(connecting);
    close(listening);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ring_operations");
    TCase *tests = tcase_create("promises");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, setup, end);
    tcase_add_test(tests, a_multishot_receive_stays_and_a_single_one_does_not);
    tcase_add_test(tests, the_knobs_make_every_operation_a_single_one);
    tcase_add_test(tests, received_bytes_are_in_the_block_that_the_completion_names);
    tcase_add_test(tests, a_receive_without_blocks_ends_with_ENOBUFS_and_works_again_afterwards);
    tcase_add_test(tests, the_peers_end_is_a_result_of_zero);
    tcase_add_test(tests, a_reset_that_was_there_before_the_receive_comes_after_the_bytes);
    tcase_add_test(tests, gathered_sends_of_one_turn_do_not_disturb_each_other);
    tcase_add_test(tests, a_send_to_nobody_is_an_error_and_no_signal);
    tcase_add_test(tests, what_is_cancelled_and_the_cancellation_both_complete);
    tcase_add_test(tests, a_cancellation_that_finds_nothing_completes_all_the_same);
    tcase_add_test(tests, a_cancellation_leaves_the_operations_of_others_alone);
    tcase_add_test(tests, a_poll_tells_every_time);
    tcase_add_test(tests, connecting_and_accepting_meet);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
