/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The promises of control/notify.h and control/activation.h, with a service manager of our own. */
#include "control/activation.h"
#include "control/notify.h"

#include "engine/clock.h"
#include "engine/log.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static struct notify notify;
static char directory[] = "/tmp/fairlead-notify-XXXXXX";
static char socket_name[108];
static int manager = -1;

static void listen_as_manager(bool abstract)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t len;

    snprintf(socket_name, sizeof(socket_name), "%s/n", directory);
    if (abstract)
        socket_name[0] = '@';
    strcpy(address.sun_path, socket_name);
    len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(socket_name));
    if (abstract)
        address.sun_path[0] = '\0';
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(manager, (struct sockaddr *)&address, len), 0);
    setenv("NOTIFY_SOCKET", socket_name, 1);
}

static void setup(void)
{
    const struct log_config nowhere = {.level = LOG_DEBUG, .queue_size = 4 * LOG_LINE_MAX};
    const char *path;

    ck_assert_int_eq(log_open(&nowhere, &path), 0);
    ck_assert_ptr_nonnull(mkdtemp(directory));
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    listen_as_manager(false);
}

static void teardown(void)
{
    notify_close(&notify);
    close(manager);
    unlink(socket_name);
    rmdir(directory);
}

/* What the manager has got; "" when nothing. */
static const char *heard(void)
{
    static char text[4096];
    ssize_t n = recv(manager, text, sizeof(text) - 1, 0);

    text[n < 0 ? 0 : n] = '\0';
    return text;
}

START_TEST(each_state_is_told_in_the_words_of_the_protocol)
{
    if (_i) {
        close(manager);
        unlink(socket_name);
        listen_as_manager(true);
    }
    notify_open(&notify);
    ck_assert_int_ge(notify.fd, 0);
    ck_assert_int_ne(fcntl(notify.fd, F_GETFD) & FD_CLOEXEC, 0);
    ck_assert_int_eq(notify_ready(&notify, "serving"), 0);
    ck_assert_str_eq(heard(), "READY=1\nSTATUS=serving");
    ck_assert_int_eq(notify_stopping(&notify, NULL), 0);
    ck_assert_str_eq(heard(), "STOPPING=1");
    ck_assert_int_eq(notify_status(&notify, "2 servers down"), 0);
    ck_assert_str_eq(heard(), "STATUS=2 servers down");
    ck_assert_int_eq(notify_main_pid(&notify, 77, NULL), 0);
    ck_assert_str_eq(heard(), "MAINPID=77\nREADY=1");
    ck_assert_int_eq(notify_failed(&notify, -ENOENT, "gone"), 0);
    ck_assert_str_eq(heard(), "ERRNO=2\nSTATUS=gone");
}
END_TEST

START_TEST(a_reload_carries_the_time_of_its_beginning)
{
    unsigned long long before_us = clock_monotonic_ns() / 1000, told_us = 0;

    notify_open(&notify);
    ck_assert_int_eq(notify_reloading(&notify, NULL), 0);
    ck_assert_int_eq(sscanf(heard(), "RELOADING=1\nMONOTONIC_USEC=%llu", &told_us), 1);
    ck_assert(told_us >= before_us && told_us <= clock_monotonic_ns() / 1000);
}
END_TEST

START_TEST(a_status_cannot_say_anything_else)
{
    char long_one[4 * NOTIFY_STATUS_MAX];

    notify_open(&notify);
    ck_assert_int_eq(notify_status(&notify, "one\nMAINPID=1"), 0);
    ck_assert_str_eq(heard(), "STATUS=one");
    memset(long_one, 'x', sizeof(long_one) - 1);
    long_one[sizeof(long_one) - 1] = '\0';
    ck_assert_int_eq(notify_ready(&notify, long_one), 0);
    ck_assert_uint_eq(strlen(heard()), strlen("READY=1\nSTATUS=") + NOTIFY_STATUS_MAX);
}
END_TEST

START_TEST(it_still_works_when_the_path_is_out_of_reach)
{
    notify_open(&notify);
    ck_assert_int_eq(unlink(socket_name), 0); /* as after a chroot */
    ck_assert_int_eq(notify_ready(&notify, NULL), 0);
    ck_assert_str_eq(heard(), "READY=1");
}
END_TEST

START_TEST(without_a_manager_nothing_is_told_and_nothing_fails)
{
    static const char *const values[] = {NULL, "", "relative", "@", "/nonexistent/socket",
                                         "/a-name-that-is-longer-than-a-socket-address-can-hold-a-name-that-is-longer-than-"
                                         "a-socket-address-can-hold-a-name-that"};

    if (values[_i])
        setenv("NOTIFY_SOCKET", values[_i], 1);
    else
        unsetenv("NOTIFY_SOCKET");
    setenv("WATCHDOG_USEC", "1000000", 1);
    notify_open(&notify);
    ck_assert_int_eq(notify.fd, -1);
    ck_assert_int_eq(notify_ready(&notify, "x"), 0);
    ck_assert(!notify_watchdog(&notify, 100000, true));
    ck_assert_int_eq(notify_watchdog_ms(&notify, 100000, 700), 700);
}
END_TEST

START_TEST(a_manager_that_is_gone_or_does_not_read_makes_nobody_wait)
{
    int result = 0;

    notify_open(&notify);
    for (int i = 0; i < 100000 && result == 0; i++)
        result = notify_status(&notify, "again");
    ck_assert_int_eq(result, -EAGAIN);
    close(manager);
    ck_assert_int_eq(notify_status(&notify, "again"), -ECONNREFUSED);
}
END_TEST

START_TEST(the_watchdog_is_told_twice_in_its_time_while_all_is_well)
{
    char pid[16];

    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    setenv("WATCHDOG_USEC", "3000000", 1);
    setenv("WATCHDOG_PID", pid, 1);
    notify_open(&notify);
    ck_assert_int_eq(notify_watchdog_ms(&notify, 10000, 700), 0); /* the first at once */
    ck_assert(notify_watchdog(&notify, 10000, true));
    ck_assert_str_eq(heard(), "WATCHDOG=1");
    ck_assert_int_eq(notify_watchdog_ms(&notify, 10000, -1), 1500);
    ck_assert_int_eq(notify_watchdog_ms(&notify, 11000, 700), 500);
    ck_assert_int_eq(notify_watchdog_ms(&notify, 11000, 100), 100);
    ck_assert(!notify_watchdog(&notify, 11499, true));
    ck_assert_str_eq(heard(), "");
    ck_assert(notify_watchdog(&notify, 11500, false)); /* a worker hangs: silence */
    ck_assert_str_eq(heard(), "");
    ck_assert(notify_watchdog(&notify, 13000, true));
    ck_assert_str_eq(heard(), "WATCHDOG=1");
}
END_TEST

START_TEST(a_watchdog_that_is_not_for_this_process_is_not_answered)
{
    static const char *const values[][2] = {
        {"3000000", "1"}, {NULL, NULL}, {"", NULL}, {"3s", NULL}, {"-5", NULL}, {"0", NULL}, {"99999999999999999999999", NULL}};

    if (values[_i][0])
        setenv("WATCHDOG_USEC", values[_i][0], 1);
    if (values[_i][1])
        setenv("WATCHDOG_PID", values[_i][1], 1);
    notify_open(&notify);
    ck_assert_uint_eq(notify.watchdog_ms, 0);
    ck_assert(!notify_watchdog(&notify, 100000, true));
    ck_assert_int_eq(notify_watchdog_ms(&notify, 100000, 700), 700);
}
END_TEST

/*
 * ---- Sockets from systemd: descriptors from 3 ----
 *
 * The test framework has descriptors there, too: so a child of each test is the activated process, and what it saw comes back by a pipe.
 */

struct sight {
    int result, n_fds;
    bool cloexec, variables_are_gone;
    char error[256];
};

struct activated {
    int n_streams;   /* listening sockets from 3 on */
    bool and_udp;    /* and behind them one that does not listen */
    bool for_another; /* LISTEN_PID is not the child's */
    const char *fds;
};

static void put_sockets(const struct activated *how)
{
    struct sockaddr_in any = {.sin_family = AF_INET};

    for (int i = 0; i < how->n_streams + how->and_udp; i++) {
        int fd = socket(AF_INET, i < how->n_streams ? SOCK_STREAM : SOCK_DGRAM, 0);

        if (i < how->n_streams && (bind(fd, (struct sockaddr *)&any, sizeof(any)) != 0 || listen(fd, 1) != 0))
            _exit(1);
        if (fd != 3 + i) {
            dup2(fd, 3 + i);
            close(fd);
        }
    }
}

static void be_activated(const struct activated *how, struct sight *sight)
{
    struct listeners *listeners;
    char text[16];

    snprintf(text, sizeof(text), "%d", (int)getpid() + how->for_another);
    setenv("LISTEN_PID", text, 1);
    setenv("LISTEN_FDS", how->fds, 1);
    setenv("LISTEN_FDNAMES", "web:admin", 1);
    if (listeners_create(&listeners) != 0)
        _exit(1);
    put_sockets(how);
    sight->result = activation_take(listeners, sight->error, sizeof(sight->error));
    for (const struct listener *listener = listeners_first(listeners); listener; listener = listener->next)
        sight->n_fds += (int)listener->n_fds;
    sight->cloexec = (fcntl(3, F_GETFD) & FD_CLOEXEC) && (fcntl(4, F_GETFD) & FD_CLOEXEC);
    sight->variables_are_gone = !getenv("LISTEN_PID") && !getenv("LISTEN_FDS") && !getenv("LISTEN_FDNAMES");
}

static struct sight activate(struct activated how)
{
    struct sight sight = {0};
    int ends[2], far;
    pid_t pid;

    ck_assert_int_eq(pipe(ends), 0);
    far = fcntl(ends[1], F_DUPFD, 100); /* not where the sockets go */
    pid = fork();
    if (pid == 0) {
        for (int fd = 3; fd < 100; fd++)
            close(fd);
        be_activated(&how, &sight);
        _exit(write(far, &sight, sizeof(sight)) != sizeof(sight));
    }
    ck_assert_int_eq(read(ends[0], &sight, sizeof(sight)), sizeof(sight));
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    close(ends[0]), close(ends[1]), close(far);
    return sight;
}

START_TEST(sockets_from_systemd_are_taken_and_not_passed_on)
{
    struct sight sight = activate((struct activated){.n_streams = 2, .fds = "2"});

    ck_assert_int_eq(sight.result, 2);
    ck_assert_int_eq(sight.n_fds, 2);
    ck_assert(sight.cloexec);
    ck_assert(sight.variables_are_gone);
}
END_TEST

START_TEST(sockets_for_another_process_are_left_alone)
{
    struct sight sight = activate((struct activated){.n_streams = 2, .fds = "2", .for_another = true});

    ck_assert_int_eq(sight.result, 0);
    ck_assert_int_eq(sight.n_fds, 0);
    ck_assert(!sight.cloexec);
    ck_assert(sight.variables_are_gone);
}
END_TEST

START_TEST(what_is_no_number_of_sockets_is_refused)
{
    static const char *const values[] = {"", "x", "-1", "1x", "4097", "99999999999999999999"};
    struct sight sight = activate((struct activated){.fds = values[_i]});

    ck_assert_int_eq(sight.result, -EINVAL);
    ck_assert_str_eq(sight.error, "the variable LISTEN_FDS is not a number of sockets");
}
END_TEST

START_TEST(a_socket_that_does_not_listen_is_named)
{
    struct sight sight = activate((struct activated){.n_streams = 1, .and_udp = true, .fds = "2"});

    ck_assert_int_eq(sight.result, -EINVAL);
    ck_assert_str_eq(sight.error, "systemd gave socket \"admin\": descriptor 4 is not a stream socket that listens");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("notify");
    TCase *tests = tcase_create("promises"), *sockets = tcase_create("activation");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, each_state_is_told_in_the_words_of_the_protocol, 0, 2);
    tcase_add_test(tests, a_reload_carries_the_time_of_its_beginning);
    tcase_add_test(tests, a_status_cannot_say_anything_else);
    tcase_add_test(tests, it_still_works_when_the_path_is_out_of_reach);
    tcase_add_loop_test(tests, without_a_manager_nothing_is_told_and_nothing_fails, 0, 6);
    tcase_add_test(tests, a_manager_that_is_gone_or_does_not_read_makes_nobody_wait);
    tcase_add_test(tests, the_watchdog_is_told_twice_in_its_time_while_all_is_well);
    tcase_add_loop_test(tests, a_watchdog_that_is_not_for_this_process_is_not_answered, 0, 7);
    tcase_add_test(sockets, sockets_from_systemd_are_taken_and_not_passed_on);
    tcase_add_test(sockets, sockets_for_another_process_are_left_alone);
    tcase_add_loop_test(sockets, what_is_no_number_of_sockets_is_refused, 0, 6);
    tcase_add_test(sockets, a_socket_that_does_not_listen_is_named);
    suite_add_tcase(suite, tests);
    suite_add_tcase(suite, sockets);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
