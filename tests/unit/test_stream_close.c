/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How streams begin and end: connecting and its failures; closing with and without a reset, and a peer's
 * reset, in every state that a stream can be in; closing from inside of each callback. Every test ends with
 * the balance of engine_end.
 */
#include "engine_fixture.h"

#include <sys/resource.h>
#include <sys/un.h>

static uint8_t *bytes;

static void setup(void)
{
    struct worker_config config = engine_config();

    bytes = pattern(2000000);
    engine_begin(&config);
}

static void teardown(void)
{
    engine_end();
    free(bytes);
}

/* States. Each brings a new stream, whose peer is `theirs`, into its state; all hold what comes. */

static struct end *is_idle(int *theirs)
{
    struct pair pair = tcp_pair(false);
    struct end *end = end_open(pair.ours, true);

    UNTIL(end, it.stream.receiving == RECEIVING_BLOCKS);
    *theirs = pair.theirs;
    return end;
}

static struct end *has_input(int *theirs)
{
    struct end *end = is_idle(theirs);

    send_all(*theirs, bytes, 100);
    UNTIL(end, it.stream.input_bytes == 100);
    return end;
}

static struct end *is_at_its_hold_limit(int *theirs)
{
    struct end *end = is_idle(theirs);

    send_all(*theirs, bytes, 4 * STREAM_HOLD);
    UNTIL(end, it.stream.input_bytes >= STREAM_HOLD && it.stream.receiving == RECEIVING_OFF);
    return end;
}

static struct end *receives_bulk(int *theirs)
{
    struct pair pair = tcp_pair(false);
    struct end *end = end_open(pair.ours, false);

    send_all(pair.theirs, bytes, 4096);
    UNTIL(end, it.stream.receiving == RECEIVING_BULK);
    *theirs = pair.theirs;
    return end;
}

static struct end *is_sending(int *theirs)
{
    struct pair pair = tcp_pair(true);
    struct end *end = end_open(pair.ours, true);

    ck_assert(end_write_static(end, bytes, 1000000));
    ck_assert(end_write(end, bytes, 4000));
    UNTIL(end, it.stream.sending && it.n_sent > 0);
    *theirs = pair.theirs;
    return end;
}

static void step_shutdown(struct step *step)
{
    stream_shutdown(&step->end->stream);
}

static struct end *is_shut(int *theirs)
{
    struct end *end = is_idle(theirs);

    on_worker(step_shutdown, (struct step){.end = end});
    return end;
}

static struct end *has_a_peer_that_ended(int *theirs)
{
    struct end *end = is_idle(theirs);

    shutdown(*theirs, SHUT_WR);
    UNTIL(end, it.stream.end_of_input);
    return end;
}

static struct end *has_a_deadline(int *theirs)
{
    struct end *end = is_idle(theirs);

    end_deadline(end, 5);
    return end;
}

/* Opened in the very turn: nothing has been submitted. */
static void step_open_and_write(struct step *step)
{
    step_open(step);
    ck_assert(stream_write(&step->end->stream, "unsent", 6));
    if (step->flag)
        stream_close(&step->end->stream, step->n == 1);
}

static struct end *has_just_been_opened(int *theirs)
{
    struct pair pair = tcp_pair(false);
    struct end *end = end_create();

    on_worker(step_open_and_write, (struct step){.end = end, .fd = pair.ours});
    *theirs = pair.theirs;
    return end;
}

static const struct state {
    const char *name;
    struct end *(*reach)(int *theirs);
} states[] = {
    {"idle", is_idle},
    {"with input", has_input},
    {"at the hold limit", is_at_its_hold_limit},
    {"bulk", receives_bulk},
    {"sending", is_sending},
    {"shut", is_shut},
    {"peer ended", has_a_peer_that_ended},
    {"deadline", has_a_deadline},
    {"just opened", has_just_been_opened},
};
#define N_STATES ((int)(sizeof(states) / sizeof(states[0])))

static void step_settle_and_close(struct step *step)
{
    stream_settle(&step->end->stream);
    stream_close(&step->end->stream, step->flag);
    stream_close(&step->end->stream, step->flag); /* again does nothing */
}

/* Loop: twice the states; the odd ones reset. */
START_TEST(a_close_ends_every_state_and_only_on_gone_follows)
{
    bool reset = _i & 1;
    int theirs;
    struct end *end = states[_i / 2].reach(&theirs), before, after;

    before = see(end);
    on_worker(step_settle_and_close, (struct step){.end = end, .flag = reset});
    UNTIL(end, it.n_gone == 1);
    after = see(end);
    usleep(10000);
    ck_assert_uint_eq(see(end).n_input, after.n_input);
    ck_assert_uint_le(after.n_timer, before.n_timer + (states[_i / 2].reach == has_a_deadline));
    if (states[_i / 2].reach != has_a_deadline) {
        ck_assert_msg(after.n_input == before.n_input, "%s", states[_i / 2].name);
        ck_assert_msg(after.n_sent <= before.n_sent + 1, "%s", states[_i / 2].name);
    }
    /* After its regular end a peer may not look at the reset any more; what the kernel still had for us makes
     * any end a reset. */
    if (reset && states[_i / 2].reach != is_shut)
        ck_assert_msg(expect_end(theirs) == ECONNRESET, "%s", states[_i / 2].name);
    else if (!reset && states[_i / 2].reach != is_sending && states[_i / 2].reach != is_at_its_hold_limit)
        ck_assert_msg(expect_end(theirs) == 0, "%s", states[_i / 2].name);
    close(theirs);
}
END_TEST

START_TEST(a_close_in_the_turn_of_the_opening_sends_nothing)
{
    struct pair pair = tcp_pair(false);
    struct end *end = end_create();

    on_worker(step_open_and_write, (struct step){.end = end, .fd = pair.ours, .flag = true, .n = (size_t)_i});
    UNTIL(end, it.n_gone == 1);
    ck_assert_int_eq(expect_end(pair.theirs), _i ? ECONNRESET : 0);
    close(pair.theirs);
}
END_TEST

START_TEST(a_peers_reset_is_seen_in_every_state_that_receives)
{
    bool receives = states[_i].reach != is_at_its_hold_limit && states[_i].reach != has_a_peer_that_ended;
    int theirs;
    struct end *end = states[_i].reach(&theirs);

    close_with_reset(theirs);
    if (states[_i].reach == is_sending || states[_i].reach == has_just_been_opened) {
        /* The first half to look is told of the reset, the other one only of its end. */
        UNTIL(end, it.stream.end_of_input &&
                       (it.stream.output_error == -ECONNRESET || it.stream.input_error == -ECONNRESET));
    } else if (receives) {
        UNTIL(end, it.stream.end_of_input);
        ck_assert_msg(see(end).stream.input_error == -ECONNRESET, "%s: %d", states[_i].name,
                      see(end).stream.input_error);
    } else if (states[_i].reach == is_at_its_hold_limit) {
        UNTIL_SEEN((end_take(end, SIZE_MAX), see(end)), it.stream.end_of_input);
        ck_assert_int_eq(see(end).stream.input_error, -ECONNRESET);
    }
    if (states[_i].reach == is_sending) {
        UNTIL(end, it.stream.output_error);
        ck_assert_uint_eq(see(end).stream.n_pieces, 0);
        ck_assert(!end_write(end, "x", 1));
    }
}
END_TEST

START_TEST(a_peers_reset_and_our_close_may_come_together)
{
    int theirs;
    struct end *end = states[_i / 2].reach(&theirs);

    close_with_reset(theirs);
    end_close(end, _i & 1);
}
END_TEST

START_TEST(writing_to_a_peer_that_is_gone_is_an_output_error)
{
    struct pair pair = unix_pair();
    struct end *end = end_open(pair.ours, true);

    close(pair.theirs);
    UNTIL(end, it.stream.end_of_input);
    ck_assert(end_write(end, "nobody", 6));
    UNTIL(end, it.stream.output_error == -EPIPE);
    ck_assert_uint_eq(see(end).stream.output_bytes, 0);
    ck_assert(!end_write(end, "nobody", 6));
    ck_assert(!end_write_static(end, bytes, 5000));
}
END_TEST

START_TEST(a_stream_may_be_closed_in_each_of_its_callbacks)
{
    static const enum event events[] = {ON_INPUT, ON_SENT, ON_TIMER};
    struct pair pair = tcp_pair(false);
    struct end *end = end_create();

    end->holds = true;
    end->close_in = (unsigned)events[_i / 2];
    end->close_resets = _i & 1;
    on_worker(step_open, (struct step){.end = end, .fd = pair.ours});
    if (end->close_in == ON_INPUT)
        send_all(pair.theirs, bytes, 5000);
    else if (end->close_in == ON_SENT)
        ck_assert(end_write(end, "hello", 5));
    else
        end_deadline(end, 5);
    UNTIL(end, it.n_gone == 1);
    ck_assert_uint_eq(see(end).n_input + see(end).n_sent + see(end).n_timer, 1);
    close(pair.theirs);
}
END_TEST

/* Small blocks, many of them: a multishot is still at it when its first completions are handled. */
static void setup_small_blocks(void)
{
    struct worker_config config = engine_config();

    bytes = pattern(2000000);
    config.ring.cq_entries = 4096;
    config.ring.buffers.ring_entries = 1024;
    config.ring.buffers.blocks_max = 2048;
    config.ring.buffers.block_size = 512;
    engine_begin(&config);
}

/* Its window is shut. Once this end is closed its kernel must hear of it: it would go on asking for room for
 * a minute. */
START_TEST(a_close_frees_a_peer_that_waits_for_room)
{
    struct pair pair = tcp_pair(false);
    struct end *end = end_create();
    struct pollfd theirs = {.fd = pair.theirs, .events = POLLOUT};

    while (send(pair.theirs, bytes, 100000, MSG_DONTWAIT) > 0)
        ;
    ck_assert_int_eq(errno, EAGAIN);
    end->holds = true;
    end->close_in = ON_INPUT;
    on_worker(step_open, (struct step){.end = end, .fd = pair.ours});
    UNTIL(end, it.n_gone == 1);
    ck_assert_int_eq(poll(&theirs, 1, PATIENCE_MS), 1);
    close(pair.theirs);
}
END_TEST

START_TEST(many_streams_come_and_go)
{
    enum { N = 40 };
    struct end *ends[N];
    int theirs[N];

    for (unsigned round = 0; round < 5; round++) {
        for (unsigned i = 0; i < N; i++) {
            struct pair pair = unix_pair();

            ends[i] = end_open(pair.ours, i % 2);
            theirs[i] = pair.theirs;
            send_all(theirs[i], bytes, 100 * i + 1);
        }
        for (unsigned i = 0; i < N; i++) {
            on_worker(step_close, (struct step){.end = ends[i], .flag = i % 3 == 0});
            close(theirs[i]);
        }
        for (unsigned i = 0; i < N; i++)
            UNTIL(ends[i], it.n_gone == 1);
    }
}
END_TEST

/* Connecting. */

static void step_connect(struct step *step)
{
    step->result = stream_connect(&step->end->stream, engine, &end_type, (struct sockaddr *)step->address,
                                  (socklen_t)step->n);
    if (step->flag)
        stream_close(&step->end->stream, step->fd == 1);
}

static int end_connect(struct end *end, void *address, size_t len)
{
    return on_worker(step_connect, (struct step){.end = end, .address = address, .n = len}).result;
}

/* An address that never answers: its queue of connections is full. */
static int deaf_listener(struct sockaddr_in *address, int fillers[8])
{
    int listening = tcp_listen(address);

    ck_assert_int_eq(listen(listening, 0), 0);
    for (unsigned i = 0; i < 8; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fillers[i], (struct sockaddr *)address, sizeof(*address));
    }
    return listening;
}

START_TEST(a_connection_is_made_and_carries_bytes)
{
    struct sockaddr_in address;
    int listening = tcp_listen(&address), theirs;
    struct end *end = end_create();

    ck_assert_int_eq(end_connect(end, &address, sizeof(address)), 0);
    ck_assert((theirs = accept(listening, NULL, NULL)) >= 0);
    UNTIL(end, it.n_connected == 1);
    ck_assert_int_eq(see(end).connect_error, 0);
    ck_assert(end_write(end, "request", 7));
    expect_bytes(theirs, "request", 7);
    send_all(theirs, "answer", 6);
    UNTIL(end, it.n_bytes == 6);
    close(theirs);
    close(listening);
}
END_TEST

/* How long the peer of a stream that is closed as soon as it is connected waits for its end. Nothing else
 * wakes the worker. */
static uint64_t time_to_end_ns(void)
{
    struct sockaddr_in address;
    int listening = tcp_listen(&address), theirs;
    struct end *end = end_create();
    uint64_t since_ns = clock_monotonic_ns();

    end->close_in = ON_CONNECTED;
    ck_assert_int_eq(end_connect(end, &address, sizeof(address)), 0);
    ck_assert(readable(listening, PATIENCE_MS));
    theirs = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
    ck_assert_int_eq(expect_end(theirs), 0);
    since_ns = clock_monotonic_ns() - since_ns;
    UNTIL(end, it.n_gone == 1);
    close(theirs);
    close(listening);
    return since_ns;
}

/* It was the next turn's, which may be a second away. One of some tries must be quick: the machine may be
 * busy. */
START_TEST(a_close_with_nothing_in_flight_does_not_wait_for_the_next_event)
{
    uint64_t least_ns = UINT64_MAX;

    for (unsigned i = 0; i < 5 && least_ns > 300000000u; i++) {
        uint64_t ns = time_to_end_ns();

        least_ns = ns < least_ns ? ns : least_ns;
    }
    ck_assert_uint_le(least_ns, 300000000u);
}
END_TEST

START_TEST(bytes_may_be_queued_before_the_connection_is_there)
{
    struct sockaddr_in address;
    int listening = tcp_listen(&address), theirs;
    struct end *end = end_create();

    ck_assert_int_eq(end_connect(end, &address, sizeof(address)), 0);
    ck_assert(end_write(end, "early", 5));
    ck_assert((theirs = accept(listening, NULL, NULL)) >= 0);
    expect_bytes(theirs, "early", 5);
    close(theirs);
    close(listening);
}
END_TEST

START_TEST(a_refused_connection_tells_so_once)
{
    struct sockaddr_in address;
    struct end *end = end_create();

    close(tcp_listen(&address));
    end->close_in = _i ? ON_CONNECTED : 0;
    ck_assert_int_eq(end_connect(end, &address, sizeof(address)), 0);
    UNTIL(end, it.n_connected == 1);
    ck_assert_int_eq(see(end).connect_error, -ECONNREFUSED);
    if (!_i)
        end_close(end, false);
    UNTIL(end, it.n_gone == 1);
    ck_assert_uint_eq(see(end).n_connected, 1);
}
END_TEST

START_TEST(a_path_where_nobody_listens_is_told_too)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/nonexistent/fairlead.sock"};
    struct end *end = end_create();

    ck_assert_int_eq(end_connect(end, &address, sizeof(address)), 0);
    UNTIL(end, it.n_connected == 1);
    ck_assert_int_eq(see(end).connect_error, -ENOENT);
}
END_TEST

START_TEST(a_connection_that_nobody_answers_ends_by_its_deadline)
{
    struct sockaddr_in address;
    int fillers[8], listening = deaf_listener(&address, fillers);
    struct end *end = end_create();

    end->close_in = ON_TIMER;
    end->close_resets = _i;
    ck_assert_int_eq(end_connect(end, &address, sizeof(address)), 0);
    end_deadline(end, 50);
    UNTIL(end, it.n_gone == 1);
    ck_assert_uint_eq(see(end).n_timer, 1);
    ck_assert_uint_eq(see(end).n_connected, 0);
    for (unsigned i = 0; i < 8; i++)
        close(fillers[i]);
    close(listening);
}
END_TEST

START_TEST(a_connection_can_be_given_up_in_the_turn_of_its_beginning)
{
    struct sockaddr_in address;
    int listening = tcp_listen(&address);
    struct end *end = end_create();

    on_worker(step_connect,
              (struct step){.end = end, .address = &address, .n = sizeof(address), .flag = true, .fd = _i});
    UNTIL(end, it.n_gone == 1);
    ck_assert_uint_eq(see(end).n_connected, 0);
    close(listening);
}
END_TEST

/* What can fail. */

START_TEST(a_family_that_does_not_exist_is_an_error_at_once)
{
    struct sockaddr address = {.sa_family = AF_MAX};
    struct end *end = end_create();

    ck_assert_int_eq(end_connect(end, &address, sizeof(address)), -EAFNOSUPPORT);
    ck_assert_ptr_null(see(end).stream.worker);
}
END_TEST

START_TEST(without_a_descriptor_nothing_is_begun)
{
    struct sockaddr_in address;
    int listening = tcp_listen(&address);
    struct end *end = end_create();
    struct rlimit old, few;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    few = old;
    few.rlim_cur = 1;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    ck_assert_int_eq(end_connect(end, &address, sizeof(address)), -EMFILE);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
    close(listening);
}
END_TEST

static bool flush_nothing(struct actor *actor)
{
    (void)actor;
    return true;
}

/* Takes all the slots, tries, and gives them back. */
static void step_without_slots(struct step *step)
{
    static const struct actor_type type = {.flush = flush_nothing};
    struct actor *actors = calloc(4096, sizeof(*actors));
    unsigned n = 0;

    while (ring_add(engine->ring, &actors[n], &type))
        n++;
    step->flag = stream_open(&step->end->stream, engine, &end_type, step->fd);
    step->result = stream_connect(&step->end->stream, engine, &end_type, (struct sockaddr *)step->address,
                                  sizeof(*step->address));
    step->end->stream.worker = NULL; /* it was never begun */
    while (n-- > 0)
        ring_remove(engine->ring, &actors[n]);
    free(actors);
}

START_TEST(without_a_slot_the_descriptor_stays_the_callers)
{
    struct pair pair = unix_pair();
    struct sockaddr_in address = {.sin_family = AF_INET};
    struct step tried = on_worker(step_without_slots,
                                  (struct step){.end = end_create(), .fd = pair.ours, .address = &address});

    ck_assert(!tried.flag);
    ck_assert_int_eq(tried.result, -ENOBUFS);
    send_all(pair.ours, "mine", 4);
    expect_bytes(pair.theirs, "mine", 4);
    close(pair.ours);
    close(pair.theirs);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stream_close");
    TCase *tests = tcase_create("promises");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, a_close_ends_every_state_and_only_on_gone_follows, 0, 2 * N_STATES);
    tcase_add_loop_test(tests, a_close_in_the_turn_of_the_opening_sends_nothing, 0, 2);
    tcase_add_loop_test(tests, a_peers_reset_is_seen_in_every_state_that_receives, 0, N_STATES);
    tcase_add_loop_test(tests, a_peers_reset_and_our_close_may_come_together, 0, 2 * N_STATES);
    tcase_add_test(tests, writing_to_a_peer_that_is_gone_is_an_output_error);
    tcase_add_loop_test(tests, a_stream_may_be_closed_in_each_of_its_callbacks, 0, 6);
    tcase_add_test(tests, many_streams_come_and_go);
    tcase_add_test(tests, a_connection_is_made_and_carries_bytes);
    tcase_add_test(tests, a_close_with_nothing_in_flight_does_not_wait_for_the_next_event);
    tcase_add_test(tests, bytes_may_be_queued_before_the_connection_is_there);
    tcase_add_loop_test(tests, a_refused_connection_tells_so_once, 0, 2);
    tcase_add_test(tests, a_path_where_nobody_listens_is_told_too);
    tcase_add_loop_test(tests, a_connection_that_nobody_answers_ends_by_its_deadline, 0, 2);
    tcase_add_loop_test(tests, a_connection_can_be_given_up_in_the_turn_of_its_beginning, 0, 2);
    tcase_add_test(tests, a_family_that_does_not_exist_is_an_error_at_once);
    tcase_add_test(tests, without_a_descriptor_nothing_is_begun);
    tcase_add_test(tests, without_a_slot_the_descriptor_stays_the_callers);
    suite_add_tcase(suite, tests);
    tests = tcase_create("small blocks");
    tcase_add_checked_fixture(tests, setup_small_blocks, teardown);
    tcase_add_test(tests, a_close_frees_a_peer_that_waits_for_room);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
