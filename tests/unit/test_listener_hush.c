/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The promises of control/listener.h about an address that is given up: no connection is lost, on real sockets. */
#include "listener_fixture.h"

#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#define CALLERS     4u
#define PATIENCE_MS 10000u
#define QUIET_MS    60

static bool becomes(int fd, short event, int timeout_ms)
{
    struct pollfd one = {.fd = fd, .events = event};

    return poll(&one, 1, timeout_ms) == 1;
}

static struct server_address loopback(bool six, uint16_t port)
{
    struct server_address made = {.len = sizeof(struct sockaddr_in6)};

    if (!six)
        return inet(INADDR_LOOPBACK, port);
    made.in6 = (struct sockaddr_in6){
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    return made;
}

START_TEST(after_a_hush_a_newcomer_waits_until_the_end_and_is_refused)
{
    struct server_address a = loopback(_i, free_port());
    int client, code = 0;
    socklen_t len = sizeof(code);

    configure(1, &a);
    ck_assert_int_eq(open_all(), 0);
    listener_hush(opened[0]);
    client = call_from(SOCK_NONBLOCK, &a);
    ck_assert(!becomes(client, POLLOUT, QUIET_MS));
    ck_assert(!listener_has_waiting(opened[0]));
    listener_put(opened[0]);
    ck_assert(becomes(client, POLLOUT, (int)PATIENCE_MS));
    ck_assert_int_eq(getsockopt(client, SOL_SOCKET, SO_ERROR, &code, &len), 0);
    ck_assert_int_eq(code, ECONNREFUSED);
    close(client);
}
END_TEST

START_TEST(after_a_hush_a_newcomer_finds_the_next_listener)
{
    struct server_address a = inet(INADDR_LOOPBACK, free_port());
    struct listener *old;
    int client;

    configure(1, &a);
    ck_assert_int_eq(open_all(), 0);
    old = opened[0];
    listener_hush(old);
    client = call_from(SOCK_NONBLOCK, &a);
    ck_assert(!becomes(client, POLLOUT, QUIET_MS));
    if (_i == 0) { /* another process's */
        int next = socket_that_listens(&a, true);

        listener_put(old);
        ck_assert(becomes(client, POLLOUT, (int)PATIENCE_MS));
        ck_assert(becomes(next, POLLIN, (int)PATIENCE_MS));
        close(next);
    } else { /* the address is back before it was given up */
        ck_assert_int_eq(open_all(), 0);
        ck_assert_ptr_eq(opened[0], old);
        listener_put(old);
        ck_assert(becomes(client, POLLOUT, (int)PATIENCE_MS));
        ck_assert(listener_has_waiting(old));
    }
    close(client);
}
END_TEST

START_TEST(a_handshake_that_had_begun_before_the_hush_is_completed)
{
    struct server_address a = inet(INADDR_LOOPBACK, free_port());
    int seconds = 30, client, server;

    configure(1, &a);
    ck_assert_int_eq(open_all(), 0);
    /* The kernel keeps a handshake half done until the client has sent something. */
    for (unsigned i = 0; i < WORKERS; i++)
        ck_assert_int_eq(setsockopt(opened[0]->fds[i], IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds)), 0);
    client = call(&a);
    ck_assert_int_ge(client, 0);
    ck_assert(!listener_has_waiting(opened[0]));
    listener_hush(opened[0]);
    ck_assert_int_eq(write(client, "a", 1), 1);
    server = becomes(opened[0]->fds[0], POLLIN, QUIET_MS) ? 0 : 1;
    ck_assert(becomes(opened[0]->fds[server], POLLIN, (int)PATIENCE_MS));
    server = accept(opened[0]->fds[server], NULL, NULL);
    ck_assert_int_eq(write(server, "b", 1), 1);
    ck_assert(becomes(client, POLLIN, (int)PATIENCE_MS));
    close(client), close(server);
}
END_TEST

START_TEST(after_a_hush_a_path_is_gone_and_who_was_there_is_served)
{
    struct server_address path = path_of("s");
    int client;

    configure(1, &path);
    ck_assert_int_eq(open_all(), 0);
    client = call(&path);
    listener_hush(opened[0]);
    ck_assert(!exists(&path));
    ck_assert_int_eq(call(&path), -ENOENT);
    ck_assert(listener_has_waiting(opened[0]));
    struct listener *old = opened[0];
    ck_assert_int_eq(open_all(), 0); /* the path is back: another socket */
    ck_assert_ptr_ne(opened[0], old);
    listener_put(old);
    ck_assert(exists(&path));
    close(client);
}
END_TEST

/* A storm: callers that connect again and again until nobody is there, workers that answer each. */

struct storm {
    struct server_address address;
    int fd[WORKERS];
    atomic_bool stop;
    atomic_uint answered, lost, ended;
};

struct storm_worker {
    struct storm *storm;
    int fd;
};

/* Nobody there any more: TCP refuses, a path does not exist. */
static void *caller_main(void *argument)
{
    struct storm *storm = argument;
    char answer[2];
    int fd;

    while ((fd = call(&storm->address)) >= 0) {
        ssize_t n = recv(fd, answer, sizeof(answer), MSG_WAITALL);

        atomic_fetch_add(n == 2 ? &storm->answered : &storm->lost, 1);
        close(fd);
    }
    atomic_fetch_add(fd == -ECONNREFUSED || fd == -ENOENT ? &storm->ended : &storm->lost, 1);
    return NULL;
}

static void *worker_main(void *argument)
{
    struct storm_worker *worker = argument;

    while (!atomic_load(&worker->storm->stop)) {
        int fd = becomes(worker->fd, POLLIN, 10) ? accept(worker->fd, NULL, NULL) : -1;

        if (fd < 0)
            continue;
        usleep(200); /* so that a queue builds up */
        ck_assert_int_eq(send(fd, "ok", 2, MSG_NOSIGNAL), 2);
        close(fd);
    }
    return NULL;
}

START_TEST(a_connect_storm_loses_no_connection_when_its_address_is_given_up)
{
    struct server_address a = _i ? path_of("s") : inet(INADDR_LOOPBACK, free_port());
    pthread_t workers[WORKERS], callers[CALLERS];
    struct storm_worker arguments[WORKERS];
    struct storm storm = {.address = a};
    unsigned n_workers = _i ? 1 : WORKERS;
    int quiet = 0;

    configure(1, &a);
    ck_assert_int_eq(open_all(), 0);
    for (unsigned i = 0; i < n_workers; i++) {
        arguments[i] = (struct storm_worker){&storm, opened[0]->fds[i]};
        ck_assert_int_eq(pthread_create(&workers[i], NULL, worker_main, &arguments[i]), 0);
    }
    for (unsigned i = 0; i < CALLERS; i++)
        ck_assert_int_eq(pthread_create(&callers[i], NULL, caller_main, &storm), 0);
    while (atomic_load(&storm.answered) < 300)
        usleep(1000);
    listener_hush(opened[0]);
    while (quiet < 10) { /* nobody has been waiting for a while */
        usleep(2000);
        quiet = listener_has_waiting(opened[0]) ? 0 : quiet + 1;
    }
    atomic_store(&storm.stop, true);
    for (unsigned i = 0; i < n_workers; i++)
        pthread_join(workers[i], NULL);
    listener_put(opened[0]);
    for (unsigned i = 0; i < CALLERS; i++)
        pthread_join(callers[i], NULL);
    ck_assert_uint_eq(storm.lost, 0);
    ck_assert_uint_eq(storm.ended, CALLERS);
    ck_assert_uint_ge(storm.answered, 300);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_loop_test(tests, after_a_hush_a_newcomer_waits_until_the_end_and_is_refused, 0, 2);
    tcase_add_loop_test(tests, after_a_hush_a_newcomer_finds_the_next_listener, 0, 2);
    tcase_add_test(tests, a_handshake_that_had_begun_before_the_hush_is_completed);
    tcase_add_test(tests, after_a_hush_a_path_is_gone_and_who_was_there_is_served);
    tcase_add_loop_test(tests, a_connect_storm_loses_no_connection_when_its_address_is_given_up, 0, 2);
}

int main(void)
{
    return listener_main("listener_hush", add_tests);
}
