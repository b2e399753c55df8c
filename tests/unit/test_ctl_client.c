/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The promises of ctl/client.h about a process that does not answer, on a real socket. */
#include "ctl/client.h"

#include "suite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_un address;
static int listener;
static struct ctl_answer answer;

static void set_up(void)
{
    address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/fairlead-ctl-%d.sock", (int)getpid());
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(listener, 0), 0);
}

static void tear_down(void)
{
    close(listener);
    unlink(address.sun_path);
}

START_TEST(who_does_not_answer_is_given_up)
{
    ck_assert_int_eq(ctl_ask(address.sun_path, "status", 1, &answer), -ETIMEDOUT);
    ck_assert_ptr_null(answer.text);
}
END_TEST

START_TEST(who_does_not_even_accept_is_given_up)
{
    int first = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(connect(first, (struct sockaddr *)&address, sizeof(address)), 0); /* the one that may wait */
    ck_assert_int_eq(ctl_ask(address.sun_path, "status", 1, &answer), -ETIMEDOUT);
    close(first);
}
END_TEST

START_TEST(a_reload_is_given_more_time)
{
    ck_assert_uint_eq(ctl_silence_s("reload"), CTL_RELOAD_SILENCE_S);
    ck_assert_uint_eq(ctl_silence_s("reload now"), CTL_RELOAD_SILENCE_S);
    ck_assert_uint_eq(ctl_silence_s("reloads"), CTL_SILENCE_S);
    ck_assert_uint_eq(ctl_silence_s("server web/reload up"), CTL_SILENCE_S);
    ck_assert_uint_eq(ctl_silence_s(""), CTL_SILENCE_S);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, who_does_not_answer_is_given_up);
    tcase_add_test(tests, who_does_not_even_accept_is_given_up);
    tcase_add_test(tests, a_reload_is_given_more_time);
}

int main(void)
{
    return suite_run(&(struct suite){"ctl_client", 60, set_up, tear_down, add_tests});
}
