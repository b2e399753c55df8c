/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The promises of control/listener.h, on real sockets: what is kept, what is taken over, what is shared. How an address
 * is given up is in test_listener_hush.c.
 */
#include "listener_fixture.h"

#include "proxy/snapshot.h"

#include <fcntl.h>
#include <netinet/tcp.h>

START_TEST(an_address_has_a_socket_per_worker_and_a_path_has_one)
{
    struct server_address ip = inet(INADDR_LOOPBACK, free_port()), path = path_of("s");

    configure(2, &ip, &path);
    ck_assert_int_eq(open_all(), 0);
    ck_assert_uint_eq(opened[0]->n_fds, WORKERS);
    ck_assert_uint_eq(opened[1]->n_fds, 1);
    for (unsigned worker = 0; worker < WORKERS; worker++) {
        ck_assert(snapshot_listener_is_for(opened[0]->n_fds, worker, worker, WORKERS));
        ck_assert(!snapshot_listener_is_for(opened[0]->n_fds, worker, 1 - worker, WORKERS));
        ck_assert(snapshot_listener_is_for(opened[1]->n_fds, 0, worker, WORKERS));
    }
    ck_assert_int_ne(fcntl(opened[0]->fds[0], F_GETFD) & FD_CLOEXEC, 0);
    ck_assert(exists(&path));
}
END_TEST

START_TEST(every_socket_has_a_worker_and_every_worker_a_socket)
{
    for (unsigned n_fds = 1; n_fds <= 7; n_fds++) {
        struct listener some = {.n_fds = n_fds};
        unsigned of_worker[3] = {0};

        for (unsigned k = 0; k < n_fds; k++) {
            unsigned n = 0;

            for (unsigned worker = 0; worker < 3; worker++) {
                n += snapshot_listener_is_for(some.n_fds, k, worker, 3);
                of_worker[worker] += snapshot_listener_is_for(some.n_fds, k, worker, 3);
            }
            ck_assert_uint_ge(n, 1);
            ck_assert(n == 1 || n_fds < 3);
        }
        for (unsigned worker = 0; worker < 3; worker++)
            ck_assert_uint_ge(of_worker[worker], 1);
    }
}
END_TEST

START_TEST(the_next_configuration_keeps_the_sockets_and_who_waits_in_them)
{
    struct server_address a = inet(INADDR_LOOPBACK, free_port()), b = inet(INADDR_LOOPBACK, free_port());
    struct listener *first;
    int client;

    configure(1, &a);
    ck_assert_int_eq(open_all(), 0);
    first = opened[0];
    client = call(&a);
    configure(2, &b, &a);
    listens[1].backlog = 7;
    ck_assert_int_eq(open_all(), 0);
    ck_assert_ptr_eq(opened[1], first);
    ck_assert_uint_eq(first->refs, 2);
    listener_put(first);
    ck_assert(listener_has_waiting(first));
    close(client);
}
END_TEST

START_TEST(a_reload_sets_the_backlog_anew)
{
    struct server_address a = inet(INADDR_LOOPBACK, free_port());
    struct tcp_info info;
    socklen_t len = sizeof(info);

    configure(1, &a);
    ck_assert_int_eq(open_all(), 0);
    listens[0].backlog = 7;
    ck_assert_int_eq(open_all(), 0);
    ck_assert_int_eq(getsockopt(opened[0]->fds[1], IPPROTO_TCP, TCP_INFO, &info, &len), 0);
    ck_assert_uint_eq(info.tcpi_sacked, 7); /* of a listener: its backlog */
}
END_TEST

START_TEST(on_error_nothing_has_changed)
{
    struct server_address a = inet(INADDR_LOOPBACK, free_port()), b = inet(INADDR_LOOPBACK, free_port()),
                          path = path_of("new"), taken = inet(INADDR_LOOPBACK, free_port());
    struct listener *first;
    int foreign = socket_that_listens(&taken, true);

    configure(1, &a);
    ck_assert_int_eq(open_all(), 0);
    first = opened[0];
    configure(4, &a, &b, &path, &taken);
    listens[3].name = "127.0.0.1:1";
    ck_assert_int_eq(open_all(), -EADDRINUSE);
    ck_assert_str_eq(error, "bind() to 127.0.0.1:1 failed (98: Address already in use)");
    ck_assert_uint_eq(first->refs, 1);
    ck_assert_ptr_eq(listeners_first(set), first);
    ck_assert_ptr_null(first->next);
    ck_assert(!exists(&path));
    ck_assert_int_eq(call(&b), -ECONNREFUSED);
    close(foreign);
}
END_TEST

START_TEST(an_address_beside_our_own_is_no_conflict)
{
    uint16_t port = free_port();
    struct server_address one = inet(INADDR_LOOPBACK, port), any = inet(INADDR_ANY, port);

    if (_i)
        configure(1, &any);
    else
        configure(1, &one);
    ck_assert_int_eq(open_all(), 0);
    configure(2, &one, &any);
    ck_assert_msg(open_all() == 0, "%s", error);
}
END_TEST

START_TEST(the_last_put_closes_and_removes_the_file)
{
    struct server_address ip = inet(INADDR_LOOPBACK, free_port()), path = path_of("s");

    configure(2, &ip, &path);
    ck_assert_int_eq(open_all(), 0);
    for (int i = 0; i < 2; i++) {
        listener_get(opened[i]);
        listener_put(opened[i]);
    }
    ck_assert_int_ge(call(&ip), 0);
    ck_assert(exists(&path));
    listener_put(opened[0]);
    listener_put(opened[1]);
    ck_assert_int_eq(call(&ip), -ECONNREFUSED);
    ck_assert(!exists(&path));
    ck_assert_ptr_null(listeners_first(set));
}
END_TEST

START_TEST(a_file_that_is_not_ours_any_more_stays)
{
    struct server_address path = path_of("s");

    configure(1, &path);
    ck_assert_int_eq(open_all(), 0);
    if (_i == 0) {
        unlink(path.un.sun_path);
        close(socket_that_listens(&path, false));
    } else {
        listeners_give_away(set);
    }
    listener_put(opened[0]);
    ck_assert(exists(&path));
    unlink(path.un.sun_path);
}
END_TEST

START_TEST(a_file_left_over_is_replaced_and_one_in_use_is_not)
{
    struct server_address path = path_of("s");
    int fd = socket_that_listens(&path, false);

    configure(1, &path);
    ck_assert_int_eq(open_all(), -EADDRINUSE);
    ck_assert(exists(&path));
    close(fd);
    ck_assert_int_eq(open_all(), 0);
}
END_TEST

START_TEST(sockets_from_outside_are_used_and_missing_ones_opened)
{
    struct server_address a = inet(INADDR_LOOPBACK, free_port());
    int given = socket_that_listens(&a, true), client = call(&a);

    ck_assert_int_eq(listeners_inherit(set, given, false, error, sizeof(error)), 0);
    ck_assert_int_ne(fcntl(given, F_GETFD) & FD_CLOEXEC, 0);
    configure(1, &a);
    ck_assert_int_eq(open_all(), 0);
    ck_assert_int_eq(opened[0]->fds[0], given);
    ck_assert_uint_eq(opened[0]->n_fds, WORKERS);
    ck_assert(listener_has_waiting(opened[0]));
    close(client);
}
END_TEST

START_TEST(more_sockets_than_workers_are_all_kept)
{
    struct server_address a = inet(INADDR_LOOPBACK, free_port());

    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(listeners_inherit(set, socket_that_listens(&a, true), false, error, sizeof(error)), 0);
    configure(1, &a);
    ck_assert_int_eq(open_all(), 0);
    ck_assert_uint_eq(opened[0]->n_fds, 5);
    ck_assert_uint_eq(opened[0]->refs, 1);
}
END_TEST

START_TEST(a_socket_that_shares_no_port_is_shared_by_the_workers)
{
    struct server_address a = inet(INADDR_LOOPBACK, free_port());

    ck_assert_int_eq(listeners_inherit(set, socket_that_listens(&a, false), false, error, sizeof(error)), 0);
    configure(1, &a);
    ck_assert_int_eq(open_all(), 0);
    ck_assert_uint_eq(opened[0]->n_fds, 1);
}
END_TEST

START_TEST(what_does_not_listen_is_not_taken)
{
    int fds[2], udp = socket(AF_INET, SOCK_DGRAM, 0), tcp = socket(AF_INET, SOCK_STREAM, 0);
    struct server_address abstract = {.len = sizeof(sa_family_t) + 7, .un = {AF_UNIX, "\0fl-h6"}};
    int named = socket(AF_UNIX, SOCK_STREAM, 0);

    ck_assert_int_eq(pipe(fds), 0);
    ck_assert_int_eq(bind(named, &abstract.sa, abstract.len), 0);
    ck_assert_int_eq(listen(named, 1), 0);
    ck_assert_int_eq(listeners_inherit(set, fds[0], false, error, sizeof(error)), -ENOTSOCK);
    ck_assert_int_eq(listeners_inherit(set, udp, false, error, sizeof(error)), -EINVAL);
    ck_assert_int_eq(listeners_inherit(set, tcp, false, error, sizeof(error)), -EINVAL);
    ck_assert_int_eq(listeners_inherit(set, named, false, error, sizeof(error)), -EAFNOSUPPORT);
    ck_assert_int_eq(listeners_inherit(set, 9999, false, error, sizeof(error)), -EBADF);
    ck_assert_ptr_null(listeners_first(set));
    close(fds[0]), close(fds[1]), close(udp), close(tcp), close(named);
}
END_TEST

START_TEST(sockets_that_nobody_asked_for_are_closed)
{
    struct server_address a = inet(INADDR_LOOPBACK, free_port()), path = path_of("s");

    ck_assert_int_eq(listeners_inherit(set, socket_that_listens(&a, true), false, error, sizeof(error)), 0);
    ck_assert_int_eq(listeners_inherit(set, socket_that_listens(&path, false), true, error, sizeof(error)), 0);
    configure(1, &path);
    ck_assert_int_eq(open_all(), 0);
    ck_assert_uint_eq(listeners_drop_unclaimed(set, false), 1);
    ck_assert_int_eq(call(&a), -ECONNREFUSED);
    ck_assert_int_ge(call(&path), 0);
}
END_TEST

/* Whether `user` may open a socket beside ours. */
static int bind_as(uid_t user, const struct server_address *address)
{
    int fd, yes = 1, code;

    ck_assert_int_eq(seteuid(user), 0);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes)), 0);
    code = bind(fd, &address->sa, address->len) == 0 ? 0 : -errno;
    ck_assert_int_eq(seteuid(0), 0);
    close(fd);
    return code;
}

START_TEST(the_user_that_sockets_were_given_to_may_open_more_beside_them)
{
    struct server_address a = inet(INADDR_LOOPBACK, free_port());

    configure(1, &a);
    ck_assert_int_eq(open_all(), 0);
    if (geteuid() != 0)
        return;
    ck_assert_int_eq(bind_as(65534, &a), -EADDRINUSE);
    listeners_give_to(set, 65534);
    ck_assert_int_eq(bind_as(65534, &a), 0);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, an_address_has_a_socket_per_worker_and_a_path_has_one);
    tcase_add_test(tests, every_socket_has_a_worker_and_every_worker_a_socket);
    tcase_add_test(tests, the_next_configuration_keeps_the_sockets_and_who_waits_in_them);
    tcase_add_test(tests, a_reload_sets_the_backlog_anew);
    tcase_add_test(tests, on_error_nothing_has_changed);
    tcase_add_loop_test(tests, an_address_beside_our_own_is_no_conflict, 0, 2);
    tcase_add_test(tests, the_last_put_closes_and_removes_the_file);
    tcase_add_loop_test(tests, a_file_that_is_not_ours_any_more_stays, 0, 2);
    tcase_add_test(tests, a_file_left_over_is_replaced_and_one_in_use_is_not);
    tcase_add_test(tests, sockets_from_outside_are_used_and_missing_ones_opened);
    tcase_add_test(tests, more_sockets_than_workers_are_all_kept);
    tcase_add_test(tests, a_socket_that_shares_no_port_is_shared_by_the_workers);
    tcase_add_test(tests, what_does_not_listen_is_not_taken);
    tcase_add_test(tests, sockets_that_nobody_asked_for_are_closed);
    tcase_add_test(tests, the_user_that_sockets_were_given_to_may_open_more_beside_them);
}

int main(void)
{
    return listener_main("listener", add_tests);
}
