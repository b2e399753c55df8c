/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The promises of control/admin.h about who is served when places or descriptors are short, on a real socket. */
#include "control/admin.h"

#include "suite.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CROWD (3 * ADMIN_CLIENTS_MAX)

static struct admin *admin;
static char path[64];
static struct rlimit before;

static void no_view(void *context, struct admin_view *view)
{
    (void)context;
    *view = (struct admin_view){0};
}

static void set_up(void)
{
    struct control_settings settings = {.socket = path, .mode = 0600};
    struct admin_config config = {&settings, -1};
    struct admin_host host = {.view = no_view};
    char error[256] = "";

    snprintf(path, sizeof(path), "/tmp/fairlead-admin-%d.sock", (int)getpid());
    ck_assert_msg(admin_create(&config, &host, &admin, error, sizeof(error)) == 0, "%s", error);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
}

static void tear_down(void)
{
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    admin_destroy(admin);
}

/* A client that has said this, and waits to be accepted. */
static int caller(const char *said)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    strcpy(address.sun_path, path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(write(fd, said, strlen(said)), (ssize_t)strlen(said));
    return fd;
}

/* No descriptor can be had from now on but those that are given back. */
static void take_all_descriptors(void)
{
    int lowest_free = dup(STDERR_FILENO);
    struct rlimit limit = {(rlim_t)lowest_free, before.rlim_max};

    close(lowest_free);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_int_lt(dup(STDERR_FILENO), 0);
}

static void run(unsigned times)
{
    while (times-- > 0)
        admin_run(admin);
}

static bool is_answered(int fd)
{
    char text[256];
    ssize_t n = read(fd, text, sizeof(text));

    return n > 3 && memcmp(text, "ok\n", 3) == 0;
}

static void await_answer(int fd)
{
    while (!is_answered(fd)) { /* ends by the timeout of the suite */
        struct pollfd one = {.fd = admin_fd(admin), .events = POLLIN};

        (void)poll(&one, 1, admin_timeout_ms(admin, 60000));
        admin_run(admin);
    }
}

static bool is_closed(int fd)
{
    char byte;

    return read(fd, &byte, 1) == 0;
}

static bool wants_to_run(void)
{
    struct pollfd one = {.fd = admin_fd(admin), .events = POLLIN};

    return poll(&one, 1, 0) == 1;
}

START_TEST(without_descriptors_one_after_the_other_is_answered)
{
    int callers[5];

    for (unsigned i = 0; i < 5; i++)
        callers[i] = caller("version\n");
    take_all_descriptors();
    run(20);
    for (unsigned i = 0; i < 5; i++)
        ck_assert_msg(is_answered(callers[i]), "caller %u", i);
    ck_assert(!wants_to_run());
}
END_TEST

START_TEST(without_descriptors_the_silent_make_room)
{
    int silent = caller(""), also_silent = caller(""), speaker = caller("version\n");

    take_all_descriptors();
    run(1);
    ck_assert(!wants_to_run());
    await_answer(speaker);
    ck_assert(is_closed(silent) && is_closed(also_silent));
}
END_TEST

START_TEST(who_cannot_be_accepted_waits_until_he_can_be)
{
    int waiting = caller("version\n");
    struct rlimit none = {3, before.rlim_max}; /* the number of the reserve is not below that either */

    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    run(1);
    ck_assert(!wants_to_run());
    ck_assert_int_le(admin_timeout_ms(admin, 60000), (int)ADMIN_RETRY_MS);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    await_answer(waiting);
    waiting = caller("version\n");
    take_all_descriptors();
    run(2);
    ck_assert(is_answered(waiting)); /* by the reserve, which is there again */
}
END_TEST

START_TEST(the_silent_do_not_keep_out_who_speaks)
{
    int silent[CROWD], speaker;

    for (unsigned i = 0; i < CROWD; i++)
        silent[i] = caller("");
    speaker = caller("version\n");
    run(1);
    ck_assert(!wants_to_run());
    await_answer(speaker);
    ck_assert(is_closed(silent[0]));
    ck_assert(!is_closed(silent[CROWD - 1])); /* no more are sent away than must be */
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, without_descriptors_one_after_the_other_is_answered);
    tcase_add_test(tests, without_descriptors_the_silent_make_room);
    tcase_add_test(tests, who_cannot_be_accepted_waits_until_he_can_be);
    tcase_add_test(tests, the_silent_do_not_keep_out_who_speaks);
}

int main(void)
{
    return suite_run(&(struct suite){"admin", 60, set_up, tear_down, add_tests});
}
