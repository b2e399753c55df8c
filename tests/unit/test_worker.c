/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The promises of engine/worker.h: starting, letters, stopping, and what a failing start leaves behind. */
#include "engine_fixture.h"

#include <sched.h>
#include <signal.h>
#include <sys/resource.h>

static struct worker *worker;
static struct log_config nowhere = {.level = LOG_DEBUG, .queue_size = 4 * LOG_LINE_MAX};

/* What the worker did, in order; read after it was joined. */
static struct {
    unsigned n_starts, n_finishes, n_letters;
    uint64_t turns_at_start;
    pthread_t start_thread, letter_thread, finish_thread;
    uintptr_t letters[MAILBOX_LETTERS + 8];
    sigset_t blocked;
    cpu_set_t cpus;
    char name[16];
    int start_result;
} did;

static int start(struct worker *self)
{
    did.n_starts++;
    did.turns_at_start = self->turns;
    did.start_thread = pthread_self();
    pthread_sigmask(SIG_SETMASK, NULL, &did.blocked);
    pthread_getname_np(pthread_self(), did.name, sizeof(did.name));
    sched_getaffinity(0, sizeof(did.cpus), &did.cpus);
    return did.start_result;
}

static void finish(struct worker *self)
{
    (void)self;
    did.n_finishes++;
    did.finish_thread = pthread_self();
}

static void note_letter(void *owner, void *argument)
{
    ck_assert_ptr_eq(owner, worker);
    did.letter_thread = pthread_self();
    did.letters[did.n_letters++] = (uintptr_t)argument;
}

static void stop_letter(void *owner, void *argument)
{
    (void)argument;
    worker_stop(owner);
}

static void post(void (*run)(void *owner, void *argument), uintptr_t argument)
{
    ck_assert_int_eq(mailbox_post(&worker->mailbox, (struct letter){run, (void *)argument}), 0);
}

static void create(struct worker_config config)
{
    ck_assert_int_eq(worker_create(&config, &worker), 0);
    worker->start = start;
    worker->finish = finish;
}

static void setup(void)
{
    const char *path;

    ck_assert_int_eq(log_open(&nowhere, &path), 0);
    ck_assert_int_eq(log_start(), 0);
    create(engine_config());
}

static void teardown(void)
{
    worker_destroy(worker);
    log_stop();
}

START_TEST(it_starts_runs_letters_in_order_and_finishes_on_its_own_thread)
{
    ck_assert_int_eq(worker_run(worker), 0);
    ck_assert(!worker_has_ended(worker));
    for (uintptr_t i = 0; i < 100; i++)
        post(note_letter, i);
    post(stop_letter, 0);
    ck_assert_int_eq(worker_join(worker), 0);
    ck_assert(worker_has_ended(worker));
    ck_assert_uint_eq(did.n_starts, 1);
    ck_assert_uint_eq(did.n_finishes, 1);
    ck_assert_uint_eq(did.turns_at_start, 0);
    ck_assert_uint_eq(did.n_letters, 100);
    for (uintptr_t i = 0; i < 100; i++)
        ck_assert_uint_eq(did.letters[i], i);
    ck_assert(pthread_equal(did.start_thread, did.letter_thread));
    ck_assert(pthread_equal(did.start_thread, did.finish_thread));
    ck_assert(!pthread_equal(did.start_thread, pthread_self()));
}
END_TEST

START_TEST(letters_posted_before_it_runs_are_not_lost)
{
    post(note_letter, 1);
    post(stop_letter, 0);
    ck_assert_int_eq(worker_run(worker), 0);
    ck_assert_int_eq(worker_join(worker), 0);
    ck_assert_uint_eq(did.n_letters, 1);
}
END_TEST

static void answer(void *owner, void *argument)
{
    (void)owner;
    sem_post(argument);
}

START_TEST(a_letter_wakes_a_sleeping_worker_at_once)
{
    sem_t answered;
    uint64_t slowest_ns = 0;

    ck_assert_int_eq(sem_init(&answered, 0, 0), 0);
    ck_assert_int_eq(worker_run(worker), 0);
    for (unsigned i = 0; i < 20; i++) {
        uint64_t begin_ns, took_ns;

        usleep(i * 300);
        begin_ns = clock_monotonic_ns();
        post(answer, (uintptr_t)&answered);
        ck_assert_int_eq(sem_wait(&answered), 0);
        took_ns = clock_monotonic_ns() - begin_ns;
        slowest_ns = took_ns > slowest_ns ? took_ns : slowest_ns;
    }
    ck_assert_uint_lt(slowest_ns, 900000000); /* a turn comes once a second anyway */
    post(stop_letter, 0);
    ck_assert_int_eq(worker_join(worker), 0);
}
END_TEST

static void block(void *owner, void *argument)
{
    (void)owner;
    ck_assert_int_eq(sem_wait(argument), 0);
}

START_TEST(a_full_mailbox_refuses_and_loses_nothing)
{
    sem_t released;
    unsigned n = 0;

    ck_assert_int_eq(sem_init(&released, 0, 0), 0);
    ck_assert_int_eq(worker_run(worker), 0);
    post(block, (uintptr_t)&released);
    while (n < 2 * MAILBOX_LETTERS &&
           mailbox_post(&worker->mailbox, (struct letter){note_letter, (void *)(uintptr_t)n}) == 0)
        n++;
    ck_assert_uint_ge(n, MAILBOX_LETTERS - 1);
    ck_assert_uint_le(n, MAILBOX_LETTERS);
    ck_assert_int_eq(sem_post(&released), 0);
    while (mailbox_post(&worker->mailbox, (struct letter){stop_letter, NULL}) != 0)
        usleep(100);
    ck_assert_int_eq(worker_join(worker), 0);
    ck_assert_uint_eq(did.n_letters, n);
}
END_TEST

START_TEST(a_start_that_fails_ends_it_with_that_error)
{
    did.start_result = -EADDRINUSE;
    ck_assert_int_eq(worker_run(worker), 0);
    ck_assert_int_eq(worker_join(worker), -EADDRINUSE);
    ck_assert(worker_has_ended(worker));
    ck_assert_uint_eq(did.n_finishes, 1);
    ck_assert_uint_eq(worker->turns, 0);
}
END_TEST

START_TEST(without_start_and_finish_it_runs_all_the_same)
{
    worker->start = NULL;
    worker->finish = NULL;
    ck_assert_int_eq(worker_run(worker), 0);
    post(stop_letter, 0);
    ck_assert_int_eq(worker_join(worker), 0);
}
END_TEST

START_TEST(its_thread_takes_no_signals_and_leaves_ours_alone)
{
    sigset_t before, after;

    pthread_sigmask(SIG_SETMASK, NULL, &before);
    ck_assert_int_eq(worker_run(worker), 0);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    post(stop_letter, 0);
    ck_assert_int_eq(worker_join(worker), 0);
    for (int i = 1; i < 32; i++) {
        if (i != SIGKILL && i != SIGSTOP)
            ck_assert_msg(sigismember(&did.blocked, i) == 1, "signal %d is not blocked", i);
        ck_assert_int_eq(sigismember(&before, i), sigismember(&after, i));
    }
}
END_TEST

START_TEST(it_is_named_by_its_number_and_pinned_to_one_core)
{
    struct worker_config config = engine_config();

    worker_destroy(worker);
    config.number = 123;
    config.pin = true;
    create(config);
    ck_assert_int_eq(worker_run(worker), 0);
    post(stop_letter, 0);
    ck_assert_int_eq(worker_join(worker), 0);
    ck_assert_str_eq(did.name, "worker-123");
    ck_assert_int_eq(CPU_COUNT(&did.cpus), 1);
}
END_TEST

START_TEST(an_idle_worker_turns_seldom)
{
    uint64_t turns;

    ck_assert_int_eq(worker_run(worker), 0);
    usleep(300000);
    post(stop_letter, 0);
    ck_assert_int_eq(worker_join(worker), 0);
    turns = worker->turns;
    ck_assert_uint_le(turns, 8);
}
END_TEST

START_TEST(a_worker_that_never_ran_can_be_destroyed)
{
    ck_assert(!worker_has_ended(worker));
    worker_destroy(NULL);
}
END_TEST

START_TEST(one_that_cannot_be_made_leaves_nothing_behind)
{
    struct worker_config config = engine_config();
    struct worker *none;
    struct rlimit old, few;

    config.ring.sq_entries = 0;
    ck_assert_int_eq(worker_create(&config, &none), -EINVAL);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    few = old;
    few.rlim_cur = 1;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    config = engine_config();
    ck_assert_int_eq(worker_create(&config, &none), -EMFILE);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
}
END_TEST

START_TEST(a_broken_ring_ends_it_with_an_error)
{
    /* Enabled by another thread than the worker's: it may not use it. */
    ck_assert_int_eq(ring_enable(worker->ring), 0);
    ck_assert_int_eq(worker_run(worker), 0);
    ck_assert_int_lt(worker_join(worker), 0);
    ck_assert(worker_has_ended(worker));
    ck_assert_uint_eq(did.n_starts, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("worker");
    TCase *tests = tcase_create("promises");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, it_starts_runs_letters_in_order_and_finishes_on_its_own_thread);
    tcase_add_test(tests, letters_posted_before_it_runs_are_not_lost);
    tcase_add_test(tests, a_letter_wakes_a_sleeping_worker_at_once);
    tcase_add_test(tests, a_full_mailbox_refuses_and_loses_nothing);
    tcase_add_test(tests, a_start_that_fails_ends_it_with_that_error);
    tcase_add_test(tests, without_start_and_finish_it_runs_all_the_same);
    tcase_add_test(tests, its_thread_takes_no_signals_and_leaves_ours_alone);
    tcase_add_test(tests, it_is_named_by_its_number_and_pinned_to_one_core);
    tcase_add_test(tests, an_idle_worker_turns_seldom);
    tcase_add_test(tests, a_worker_that_never_ran_can_be_destroyed);
    tcase_add_test(tests, one_that_cannot_be_made_leaves_nothing_behind);
    tcase_add_test(tests, a_broken_ring_ends_it_with_an_error);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
