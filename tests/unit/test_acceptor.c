/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The promises of engine/acceptor.h: handing out, backing off when descriptors run out, pausing, and the end.
 */
#include "engine_fixture.h"

#include "engine/acceptor.h"

#include <sys/resource.h>

#define TAKEN_MAX 64

/* The worker's. */
struct taker {
    struct acceptor acceptor;
    unsigned n_taken;
    int taken[TAKEN_MAX];
    bool pauses; /* itself, after each connection */
    unsigned n_stopped, taken_when_stopped;
};

static struct taker taker;
static struct sockaddr_in address;
static int listening;
static struct rlimit usual_limit;

static void take(struct acceptor *acceptor, int fd)
{
    struct taker *context = acceptor->context;

    ck_assert_uint_lt(context->n_taken, TAKEN_MAX);
    context->taken[context->n_taken++] = fd;
    if (context->pauses)
        acceptor_pause(acceptor, true);
}

static void note_stopped(struct acceptor *acceptor)
{
    struct taker *context = acceptor->context;

    context->n_stopped++;
    context->taken_when_stopped = context->n_taken;
}

static void step_start(struct step *step)
{
    taker = (struct taker){.acceptor = {.context = &taker, .on_accept = take, .on_stopped = note_stopped},
                           .pauses = step->n == 1};
    step->flag = acceptor_start(&taker.acceptor, engine, step->fd);
}

static void step_pause(struct step *step)
{
    acceptor_pause(&taker.acceptor, step->flag);
}

static void step_rearm(struct step *step)
{
    (void)step;
    acceptor_rearm(&taker.acceptor);
}

static void step_stop_accepting(struct step *step)
{
    (void)step;
    acceptor_stop(&taker.acceptor);
}

static void copy_taker(struct step *step)
{
    *(struct taker *)(uintptr_t)step->data = taker;
}

static struct taker see_taker(void)
{
    struct taker copy;

    on_worker(copy_taker, (struct step){.data = &copy});
    return copy;
}

static void start(bool multishot)
{
    struct worker_config config = engine_config();

    config.ring.multishot_accept = multishot;
    engine_begin(&config);
    listening = tcp_listen(&address);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &usual_limit), 0);
    ck_assert(on_worker(step_start, (struct step){.fd = listening}).flag);
}

static void setup(void)
{
    start(true);
}

static void teardown(void)
{
    struct taker last;

    on_worker(step_stop_accepting, (struct step){.n = 0});
    UNTIL_SEEN(see_taker(), !it.acceptor.armed && it.acceptor.actor.in_flight == 0);
    last = see_taker();
    for (unsigned i = 0; i < last.n_taken; i++)
        close(last.taken[i]);
    engine_end();
    close(listening);
}

static void allow_descriptors(rlim_t n)
{
    struct rlimit limit = usual_limit;

    limit.rlim_cur = n;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* An accept under way goes by the limit of its beginning: so it begins anew. */
static void take_descriptors_away(void)
{
    on_worker(step_pause, (struct step){.flag = true});
    UNTIL_SEEN(see_taker(), !it.acceptor.armed);
    allow_descriptors(3);
    on_worker(step_pause, (struct step){.flag = false});
}

static int call(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void call_many(int *fds, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        fds[i] = call();
}

static void hang_up(const int *fds, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        close(fds[i]);
}

START_TEST(every_connection_is_handed_out_once)
{
    int fds[20];

    if (_i) {
        teardown();
        start(false);
    }
    call_many(fds, 20);
    UNTIL_SEEN(see_taker(), it.n_taken == 20);
    ck_assert_uint_eq(see_taker().acceptor.accepted, 20);
    send_all(fds[3], "hello", 5);
    ck_assert_int_ne(fcntl(see_taker().taken[3], F_GETFD) & FD_CLOEXEC, 0);
    expect_bytes(see_taker().taken[3], "hello", 5);
    hang_up(fds, 20);
}
END_TEST

START_TEST(without_descriptors_it_backs_off_and_recovers_by_itself)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    take_descriptors_away();
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    UNTIL_SEEN(see_taker(), it.acceptor.failed >= 1);
    usleep(3 * ACCEPTOR_BACKOFF_MS * 1000);
    ck_assert_uint_le(see_taker().acceptor.failed, 6); /* not in a tight loop */
    ck_assert_uint_ge(see_taker().acceptor.failed, 2); /* but again and again */
    ck_assert_uint_eq(see_taker().n_taken, 0);
    allow_descriptors(usual_limit.rlim_cur);
    UNTIL_SEEN(see_taker(), it.n_taken == 1);
    close(fd);
}
END_TEST

START_TEST(it_can_be_stopped_and_paused_while_it_backs_off)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    take_descriptors_away();
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    UNTIL_SEEN(see_taker(), it.acceptor.failed >= 1);
    if (_i)
        on_worker(step_stop_accepting, (struct step){.n = 0});
    else
        on_worker(step_pause, (struct step){.flag = true});
    allow_descriptors(usual_limit.rlim_cur);
    usleep(2 * ACCEPTOR_BACKOFF_MS * 1000);
    ck_assert_uint_eq(see_taker().n_taken, 0);
    if (!_i) {
        on_worker(step_pause, (struct step){.flag = false});
        UNTIL_SEEN(see_taker(), it.n_taken == 1);
    }
    close(fd);
}
END_TEST

START_TEST(while_it_pauses_connections_wait_in_the_kernel)
{
    int fds[3];

    on_worker(step_pause, (struct step){.flag = true});
    UNTIL_SEEN(see_taker(), !it.acceptor.armed);
    call_many(fds, 3);
    usleep(QUIET_MS * 1000);
    ck_assert_uint_eq(see_taker().n_taken, 0);
    on_worker(step_pause, (struct step){.flag = false});
    UNTIL_SEEN(see_taker(), it.n_taken == 3);
    hang_up(fds, 3);
}
END_TEST

START_TEST(pausing_and_going_on_in_one_turn_loses_nothing)
{
    int fds[2];

    for (unsigned i = 0; i < 20; i++) {
        on_worker(step_pause, (struct step){.flag = true});
        on_worker(step_pause, (struct step){.flag = false});
    }
    call_many(fds, 2);
    UNTIL_SEEN(see_taker(), it.n_taken == 2);
    hang_up(fds, 2);
}
END_TEST

START_TEST(arming_anew_loses_nothing_and_goes_on)
{
    int fds[10];

    for (unsigned i = 0; i < 10; i++) {
        on_worker(step_rearm, (struct step){.n = 0});
        call_many(&fds[i], 1);
        on_worker(step_rearm, (struct step){.n = 0});
        UNTIL_SEEN(see_taker(), it.n_taken == i + 1);
    }
    UNTIL_SEEN(see_taker(), it.acceptor.armed && !it.acceptor.anew);
    hang_up(fds, 10);
}
END_TEST

START_TEST(an_owner_that_pauses_in_the_callback_still_gets_all)
{
    int fds[4];

    teardown();
    engine_begin(&(struct worker_config){.ring = engine_config().ring});
    listening = tcp_listen(&address);
    call_many(fds, 4);
    ck_assert(on_worker(step_start, (struct step){.fd = listening, .n = 1}).flag);
    for (unsigned i = 0; see_taker().n_taken < 4 && i < 1000; i++) {
        on_worker(step_pause, (struct step){.flag = false});
        usleep(1000);
    }
    ck_assert_uint_eq(see_taker().n_taken, 4);
    hang_up(fds, 4);
}
END_TEST

/* How many connections wait in the kernel's queue; they are taken out of it. */
static unsigned take_waiting(void)
{
    struct pollfd ready = {.fd = listening, .events = POLLIN};
    unsigned n = 0;

    while (poll(&ready, 1, 0) == 1) {
        close(accept(listening, NULL, NULL));
        n++;
    }
    return n;
}

START_TEST(after_a_stop_the_socket_is_left_to_others)
{
    int fd;

    on_worker(step_stop_accepting, (struct step){.n = 0});
    UNTIL_SEEN(see_taker(), it.n_stopped == 1);
    fd = call();
    usleep(QUIET_MS * 1000);
    ck_assert_uint_eq(see_taker().n_taken, 0);
    ck_assert_uint_eq(see_taker().acceptor.failed, 0);
    ck_assert_uint_eq(take_waiting(), 1);
    on_worker(step_stop_accepting, (struct step){.n = 0}); /* once more does no harm, and is not told again */
    on_worker(step_pause, (struct step){.flag = true});
    ck_assert_uint_eq(see_taker().n_stopped, 1);
    close(fd);
}
END_TEST

/* They come while the worker is busy, so that accept and cancellation meet in the kernel. */
static void step_call_and_stop(struct step *step)
{
    call_many((int *)(uintptr_t)step->data, (unsigned)step->n);
    acceptor_stop(&taker.acceptor);
}

START_TEST(a_stop_loses_no_connection_that_the_kernel_had_handed_out)
{
    int before[10], fds[20];
    struct taker last;

    if (_i % 2) {
        teardown();
        start(false);
    }
    if (_i / 2 == 0) {
        call_many(before, 10);
        on_worker(step_call_and_stop, (struct step){.data = fds, .n = 20});
    } else {
        on_worker(step_call_and_stop, (struct step){.data = before, .n = 10});
        call_many(fds, 20);
    }
    UNTIL_SEEN(see_taker(), it.n_stopped == 1);
    last = see_taker();
    ck_assert_uint_eq(last.taken_when_stopped, last.n_taken);
    ck_assert_uint_eq(last.n_taken + take_waiting(), 30);
    ck_assert_uint_eq(see_taker().n_taken, last.n_taken);
    hang_up(before, 10);
    hang_up(fds, 20);
}
END_TEST

START_TEST(a_descriptor_that_does_not_listen_makes_no_tight_loop)
{
    int deaf = socket(AF_INET, SOCK_STREAM, 0);

    teardown();
    engine_begin(&(struct worker_config){.ring = engine_config().ring});
    listening = deaf;
    ck_assert(on_worker(step_start, (struct step){.fd = deaf}).flag);
    UNTIL_SEEN(see_taker(), it.acceptor.failed >= 1);
    usleep(2 * ACCEPTOR_BACKOFF_MS * 1000);
    ck_assert_uint_le(see_taker().acceptor.failed, 5);
}
END_TEST

static bool flush_nothing(struct actor *actor)
{
    (void)actor;
    return true;
}

static void step_start_without_slots(struct step *step)
{
    static const struct actor_type type = {.flush = flush_nothing};
    static struct acceptor late;
    struct actor *actors = calloc(4096, sizeof(*actors));
    unsigned n = 0;

    while (ring_add(engine->ring, &actors[n], &type))
        n++;
    step->flag = acceptor_start(&late, engine, step->fd);
    while (n-- > 0)
        ring_remove(engine->ring, &actors[n]);
    free(actors);
}

START_TEST(without_a_slot_it_does_not_start)
{
    ck_assert(!on_worker(step_start_without_slots, (struct step){.fd = listening}).flag);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("acceptor");
    TCase *tests = tcase_create("promises");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, every_connection_is_handed_out_once, 0, 2);
    tcase_add_test(tests, without_descriptors_it_backs_off_and_recovers_by_itself);
    tcase_add_loop_test(tests, it_can_be_stopped_and_paused_while_it_backs_off, 0, 2);
    tcase_add_test(tests, while_it_pauses_connections_wait_in_the_kernel);
    tcase_add_test(tests, pausing_and_going_on_in_one_turn_loses_nothing);
    tcase_add_test(tests, arming_anew_loses_nothing_and_goes_on);
    tcase_add_test(tests, an_owner_that_pauses_in_the_callback_still_gets_all);
    tcase_add_test(tests, after_a_stop_the_socket_is_left_to_others);
    tcase_add_loop_test(tests, a_stop_loses_no_connection_that_the_kernel_had_handed_out, 0, 4);
    tcase_add_test(tests, a_descriptor_that_does_not_listen_makes_no_tight_loop);
    tcase_add_test(tests, without_a_slot_it_does_not_start);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
