/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The promises of engine/mailbox.h, alone and with four writers; the race between posting and falling asleep
 * is run often enough that a lost wake-up shows as a poll that times out.
 */
#include "engine/mailbox.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define N_WRITERS         4
#define LETTERS_OF_WRITER 20000
#define LOST_MS           10000

static struct mailbox box;
static uint64_t last_of_writer[N_WRITERS];
static unsigned n_received;

static void setup(void)
{
    ck_assert_int_eq(mailbox_init(&box), 0);
    n_received = 0;
    for (int i = 0; i < N_WRITERS; i++)
        last_of_writer[i] = 0;
}

static void teardown(void)
{
    mailbox_fini(&box);
}

static void count_letter(void *owner, void *argument)
{
    *(uintptr_t *)owner += (uintptr_t)argument;
    n_received++;
}

static struct letter letter_of(uintptr_t number)
{
    return (struct letter){.run = count_letter, .argument = (void *)number};
}

static bool was_woken(int timeout_ms)
{
    struct pollfd ready = {.fd = box.event_fd, .events = POLLIN};
    uint64_t count;

    if (poll(&ready, 1, timeout_ms) != 1)
        return false;
    ck_assert_int_eq(read(box.event_fd, &count, sizeof(count)), sizeof(count));
    return true;
}

START_TEST(letters_run_in_order_with_owner_and_argument)
{
    uintptr_t sum = 0;

    for (uintptr_t i = 1; i <= 10; i++)
        ck_assert_int_eq(mailbox_post(&box, letter_of(i)), 0);
    ck_assert_uint_eq(mailbox_run(&box, &sum), 10);
    ck_assert_uint_eq(sum, 55);
    ck_assert_uint_eq(mailbox_run(&box, &sum), 0);
}
END_TEST

START_TEST(a_full_box_refuses_and_takes_again_after_a_run)
{
    uintptr_t sum = 0;

    for (int round = 0; round < 3; round++) {
        for (unsigned i = 0; i < MAILBOX_LETTERS; i++)
            ck_assert_int_eq(mailbox_post(&box, letter_of(1)), 0);
        ck_assert_int_eq(mailbox_post(&box, letter_of(1)), -EAGAIN);
        ck_assert_uint_eq(mailbox_run(&box, &sum), MAILBOX_LETTERS);
    }
    ck_assert_uint_eq(sum, 3 * MAILBOX_LETTERS);
}
END_TEST

START_TEST(an_awake_reader_costs_no_wake_up_and_a_sleeping_one_costs_one)
{
    uintptr_t sum = 0;

    ck_assert_int_eq(mailbox_post(&box, letter_of(1)), 0);
    ck_assert(!was_woken(0));
    ck_assert(!mailbox_prepare_sleep(&box));
    mailbox_run(&box, &sum);
    ck_assert(mailbox_prepare_sleep(&box));
    ck_assert_int_eq(mailbox_post(&box, letter_of(1)), 0);
    ck_assert_int_eq(mailbox_post(&box, letter_of(1)), 0);
    ck_assert(was_woken(0));
    ck_assert(!was_woken(0));
    mailbox_awake(&box);
    ck_assert_uint_eq(mailbox_run(&box, &sum), 2);
}
END_TEST

static void post_another(void *owner, void *argument)
{
    n_received++;
    ck_assert_int_eq(mailbox_post(&box, (struct letter){post_another, argument}), 0);
    (void)owner;
}

START_TEST(a_run_is_bounded_although_letters_post_letters)
{
    ck_assert_int_eq(mailbox_post(&box, (struct letter){post_another, NULL}), 0);
    ck_assert_uint_eq(mailbox_run(&box, NULL), MAILBOX_LETTERS);
}
END_TEST

/* An argument is the writer in the low bits and its count above. */
static void check_order(void *owner, void *argument)
{
    const uintptr_t value = (uintptr_t)argument;
    const uintptr_t writer = value % N_WRITERS;

    (void)owner;
    ck_assert_uint_eq(value / N_WRITERS, last_of_writer[writer] + 1);
    last_of_writer[writer]++;
    n_received++;
}

static void *write_letters(void *argument)
{
    const uintptr_t writer = (uintptr_t)argument;

    for (uintptr_t i = 1; i <= LETTERS_OF_WRITER; i++) {
        const struct letter letter = {check_order, (void *)(i * N_WRITERS + writer)};

        while (mailbox_post(&box, letter) == -EAGAIN)
            sched_yield();
        if (i % 64 == 0)
            sched_yield(); /* lets the reader come to its sleep often */
    }
    return NULL;
}

START_TEST(four_writers_lose_no_letter_and_no_wake_up)
{
    pthread_t threads[N_WRITERS];

    for (uintptr_t i = 0; i < N_WRITERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, write_letters, (void *)i), 0);
    while (n_received < N_WRITERS * LETTERS_OF_WRITER) {
        if (mailbox_run(&box, NULL) > 0 || !mailbox_prepare_sleep(&box))
            continue;
        ck_assert_msg(was_woken(LOST_MS), "a wake-up was lost after %u letters", n_received);
        mailbox_awake(&box);
    }
    for (int i = 0; i < N_WRITERS; i++)
        pthread_join(threads[i], NULL);
}
END_TEST

static void *write_one_by_one(void *argument)
{
    atomic_uint *n_seen = argument;

    for (unsigned i = 0; i < LETTERS_OF_WRITER; i++) {
        ck_assert_int_eq(mailbox_post(&box, letter_of(1)), 0);
        while (atomic_load(n_seen) == i)
            sched_yield();
    }
    return NULL;
}

/* Each letter is posted while the reader is on its way to sleep. */
START_TEST(a_letter_posted_while_falling_asleep_wakes)
{
    atomic_uint n_seen = 0;
    uintptr_t sum = 0;
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, write_one_by_one, &n_seen), 0);
    while (sum < LETTERS_OF_WRITER) {
        if (mailbox_prepare_sleep(&box))
            ck_assert_msg(was_woken(LOST_MS), "a wake-up was lost after %u letters", n_received);
        mailbox_awake(&box);
        mailbox_run(&box, &sum);
        atomic_store(&n_seen, (unsigned)sum);
    }
    pthread_join(thread, NULL);
}
END_TEST

static Suite *mailbox_suite(void)
{
    Suite *suite = suite_create("mailbox");
    TCase *tcase = tcase_create("mailbox");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, letters_run_in_order_with_owner_and_argument);
    tcase_add_test(tcase, a_full_box_refuses_and_takes_again_after_a_run);
    tcase_add_test(tcase, an_awake_reader_costs_no_wake_up_and_a_sleeping_one_costs_one);
    tcase_add_test(tcase, a_run_is_bounded_although_letters_post_letters);
    tcase_add_test(tcase, four_writers_lose_no_letter_and_no_wake_up);
    tcase_add_test(tcase, a_letter_posted_while_falling_asleep_wakes);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(mailbox_suite());

    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
