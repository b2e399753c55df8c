/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tests of the passive check from one pool object to the next: ejections, trials and failures that were counted
 * before. The last test runs workers on the old pool object while the new one is committed.
 */
#include "succession_fixture.h"

static unsigned n_ejected(void)
{
    return atomic_load(&pool->state->n_ejected);
}

START_TEST(an_ejection_lasts_over_a_commit)
{
    begin(2);
    ck_assert(fail_server(one, 1, 1));
    succeed(2, 2);
    ck_assert_uint_eq(n_ejected(), 1);
    ck_assert_int_eq(share(one, 1, 3), 0);
    ck_assert_uint_eq(out_until(1), 1 + TIMEOUT_MS);
    end_old(0);
}
END_TEST

START_TEST(the_ejection_of_a_server_that_leaves_is_given_back)
{
    spec.max_ejected = 50;
    begin(3); /* one of them may be out */
    ck_assert(fail_server(one, 0, 1));
    ck_assert(!fail_server(one, 1, 1));
    servers[0] = servers[3];
    succeed(3, 1);
    ck_assert_uint_eq(n_ejected(), 0);
    end_old(1);
    ck_assert(fail_server(one, 1, 2));
    ck_assert_uint_eq(n_ejected(), 1);
}
END_TEST

/* The trial was picked before its server left, and ends after that. */
START_TEST(a_trial_that_ends_late_gives_nothing_back_twice)
{
    enum fairlead_outcome outcome = (enum fairlead_outcome)_i;
    struct picker *before;

    begin(3);
    before = one;
    ck_assert(fail_server(before, 0, 1));
    take_server(before, 0, 2 + TIMEOUT_MS); /* the trial */
    ck_assert_uint_eq(n_ejected(), 1);
    servers[0] = servers[3];
    succeed(3, 3 + TIMEOUT_MS);
    ck_assert_uint_eq(n_ejected(), 0);
    ck_assert_int_eq(end(before, 0, outcome, 4 + TIMEOUT_MS), PICKER_NO_NEWS);
    ck_assert_uint_eq(n_ejected(), 0);
    end_old(1);
}
END_TEST

START_TEST(a_server_that_left_is_never_taken_out)
{
    struct picker *before;

    begin(3);
    before = one;
    servers[0] = servers[3];
    succeed(3, 1);
    ck_assert(!fail_server(before, 0, 1));
    ck_assert_uint_eq(n_ejected(), 0);
    ck_assert_uint_eq(pool_server(old, 0)->state->out_until_ms, 0);
    end_old(1);
}
END_TEST

START_TEST(a_server_to_which_the_check_does_not_apply_any_more_is_back)
{
    begin(2);
    ck_assert(fail_server(one, 0, 1));
    if (_i == 0)
        servers[0].max_fails = 0;
    succeed(_i == 0 ? 2 : 1, 1); /* or it is the only one from now on */
    ck_assert_uint_eq(n_ejected(), 0);
    ck_assert_uint_eq(out_until(0), 0);
    end_old(_i == 0 ? 0 : 1);
}
END_TEST

START_TEST(failures_before_a_commit_count_after_it)
{
    static const uint32_t max_fails[][2] = {{3, 3}, {3, 5}, {5, 3}, {1000, 3}};
    uint32_t before = max_fails[_i][0], after = max_fails[_i][1];

    servers[0].max_fails = before;
    begin(2);
    for (uint64_t i = 0; i < 2; i++)
        ck_assert(!fail_server(one, 0, 10 + i));
    servers[0].max_fails = after;
    succeed(2, 20);
    for (uint32_t i = 3; i < after; i++)
        ck_assert(!fail_server(one, 0, 20));
    ck_assert(fail_server(one, 0, 20));
    end_old(0);
}
END_TEST

START_TEST(of_failures_before_a_commit_the_newest_are_kept)
{
    servers[0].max_fails = 4;
    begin(2);
    for (uint64_t i = 0; i < 3; i++)
        ck_assert(!fail_server(one, 0, 10 + 1000 * i));
    servers[0].max_fails = 3;
    succeed(2, 2020);
    /* 10 is too long ago at that time, 1010 is not. */
    ck_assert(fail_server(one, 0, 500 + TIMEOUT_MS));
    end_old(0);
}
END_TEST

/* Workers with the old pool object fail the servers that leave, while the new one is committed. */
static atomic_bool committed;

static void fail_until_committed(unsigned number)
{
    struct picker *picker = pool_picker(old, 2 + number);
    bool last;

    do {
        last = committed;
        for (uint64_t i = 1; i <= 50; i++) {
            int server = take(picker, i * TIMEOUT_MS * 20);

            if (server >= 0)
                end(picker, server, i % 3 == 0 ? FAIRLEAD_OK : FAIRLEAD_FAILED, i * TIMEOUT_MS * 20 + 1);
        }
    } while (!last);
}

static void fail_or_commit(unsigned number)
{
    if (number > 0) {
        fail_until_committed(number);
    } else {
        pool_commit(pool, old, 1);
        committed = true;
    }
}

START_TEST(failures_while_servers_leave_keep_no_place_of_max_ejected)
{
    begin(4);
    for (int round = 0; round < 100; round++) {
        size_t out = 0;

        committed = false;
        swap(0, 4);
        swap(1, 5);
        make_next(4);
        run_threads(4, fail_or_commit);
        for (size_t i = 0; i < 4; i++)
            out += out_until(i) != 0;
        ck_assert_uint_eq(n_ejected(), out);
        end_old(2);
    }
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, an_ejection_lasts_over_a_commit);
    tcase_add_test(tcase, the_ejection_of_a_server_that_leaves_is_given_back);
    tcase_add_loop_test(tcase, a_trial_that_ends_late_gives_nothing_back_twice, 0, 3);
    tcase_add_test(tcase, a_server_that_left_is_never_taken_out);
    tcase_add_loop_test(tcase, a_server_to_which_the_check_does_not_apply_any_more_is_back, 0, 2);
    tcase_add_loop_test(tcase, failures_before_a_commit_count_after_it, 0, 4);
    tcase_add_test(tcase, of_failures_before_a_commit_the_newest_are_kept);
    tcase_add_test(tcase, failures_while_servers_leave_keep_no_place_of_max_ejected);
}

int main(void)
{
    return fixture_main("succession_passive", add_tests);
}
