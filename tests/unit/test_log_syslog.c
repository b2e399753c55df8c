/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The promises of engine/log.h about syslog, over each of its ways: what a message looks like, and that a
 * daemon that hangs, goes away or was never there slows nothing, loses what it must, counted, and is told so
 * when it is back. Test sockets stand in for the daemons.
 */
#include "engine/log.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/unit/log_fixture.h"

#define MESSAGE_MAX 16384

static union {
    struct sockaddr sa;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
} address;
static socklen_t address_len;

static void set_patience(int fd)
{
    const struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};

    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
}

static int bind_local(void)
{
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    memset(&address, 0, sizeof(address));
    address.un.sun_family = AF_UNIX;
    address_len = sizeof(address.un);
    strcpy(address.un.sun_path, socket_path);
    unlink(socket_path);
    ck_assert_int_eq(bind(fd, &address.sa, address_len), 0);
    set_patience(fd);
    return fd;
}

/* `port` 0: any. */
static int bind_inet(int type, int family, in_port_t port)
{
    const int fd = socket(family, type | SOCK_CLOEXEC, 0), one = 1;

    memset(&address, 0, sizeof(address));
    address.sa.sa_family = (sa_family_t)family;
    address_len = family == AF_INET ? sizeof(address.in) : sizeof(address.in6);
    if (family == AF_INET) {
        address.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.in.sin_port = port;
    } else {
        address.in6.sin6_addr = in6addr_loopback;
        address.in6.sin6_port = port;
    }
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
    ck_assert_int_eq(bind(fd, &address.sa, address_len), 0);
    if (type == SOCK_STREAM)
        ck_assert_int_eq(listen(fd, 8), 0);
    ck_assert_int_eq(getsockname(fd, &address.sa, &address_len), 0);
    set_patience(fd);
    return fd;
}

static struct log_config config_to(enum log_syslog_kind kind, const char *access, const char *error)
{
    struct log_config config = config_of(access, error);

    config.syslog = (struct log_syslog_server){
        .kind = kind, .name = "the-daemon", .address = &address, .address_len = (uint32_t)address_len};
    config.sinks[LOG_SINK_ACCESS].syslog = true;
    return config;
}

static int accept_one(int listener)
{
    const int fd = accept(listener, NULL, NULL);

    ck_assert_int_ge(fd, 0);
    set_patience(fd);
    return fd;
}

/* One message, NUL-terminated; of a stream, the frame's length is taken off. */
static const char *receive(int fd, bool stream)
{
    static char got[MESSAGE_MAX];
    size_t len = 0;
    char c = '\0';

    if (!stream) {
        const ssize_t n = recv(fd, got, sizeof(got) - 1, 0);

        ck_assert_int_gt(n, 0);
        got[n] = '\0';
        return got;
    }
    for (;;) {
        ck_assert_int_eq(recv(fd, &c, 1, 0), 1);
        if (c == ' ')
            break;
        ck_assert(c >= '0' && c <= '9');
        len = len * 10 + (size_t)(c - '0');
    }
    ck_assert_uint_lt(len, sizeof(got));
    ck_assert_int_eq(recv(fd, got, len, MSG_WAITALL), (ssize_t)len);
    got[len] = '\0';
    return got;
}

/* "<PRI>1 2026-11-23T05:14:01+01:00 HOST TAG PID MSGID - MESSAGE" */
static void check_5424(const char *text, int priority, const char *tag, const char *msgid,
                       const char *message)
{
    char host[65], start[16], expected[256];
    static const char form[] = "dddd-dd-ddTdd:dd:dd+dd:dd ";

    ck_assert_int_eq(gethostname(host, sizeof(host)), 0);
    snprintf(start, sizeof(start), "<%d>1 ", priority);
    ck_assert_msg(strncmp(text, start, strlen(start)) == 0, "got %s", text);
    text += strlen(start);
    for (size_t i = 0; i < sizeof(form) - 1; i++)
        ck_assert_msg(form[i] == 'd'   ? text[i] >= '0' && text[i] <= '9'
                      : form[i] == '+' ? text[i] == '+' || text[i] == '-'
                                       : text[i] == form[i],
                      "got %s", text);
    snprintf(expected, sizeof(expected), "%s %s %d %s - %s", host, tag, (int)getpid(), msgid, message);
    ck_assert_str_eq(text + sizeof(form) - 1, expected);
}

static void expect_local(int fd, int priority, const char *message)
{
    const char *got = receive(fd, false);
    char expected[256];

    snprintf(expected, sizeof(expected), "<%d>", priority);
    ck_assert_msg(strncmp(got, expected, strlen(expected)) == 0, "got %s", got);
    got += strlen(expected);
    ck_assert_msg(got[3] == ' ' && got[6] == ' ' && got[9] == ':' && got[12] == ':' && got[15] == ' ',
                  "got %s", got);
    snprintf(expected, sizeof(expected), "fairlead[%d]: %s", (int)getpid(), message);
    ck_assert_str_eq(got + 16, expected);
}

START_TEST(a_local_syslog_gets_both_logs_in_the_form_of_syslog_3)
{
    const int fd = bind_local();
    struct log_config config = config_to(LOG_SYSLOG_LOCAL, "syslog", error_path);

    config.sinks[LOG_SINK_ERROR].syslog = true;
    config.access_priority = LOG_NOTICE;
    start_log(config);
    log_write(LOG_WARNING, "server down name=b");
    ck_assert(put_line("GET / 200\n", 10));
    expect_local(fd, LOG_DAEMON | LOG_WARNING, "server down name=b");
    expect_local(fd, LOG_LOCAL3 | LOG_NOTICE, "GET / 200");
    end_log();
    ck_assert(file_contains(error_path, "server down name=b\n"));
    close(fd);
}
END_TEST

START_TEST(udp_takes_rfc_5424_messages)
{
    for (int i = 0; i < 2; i++) {
        const int fd = bind_inet(SOCK_DGRAM, i == 0 ? AF_INET : AF_INET6, 0);
        struct log_config config = config_to(LOG_SYSLOG_UDP, "syslog", "syslog");

        config.tag = "edge-1";
        start_log(config);
        log_write(LOG_ERR, "server down name=b");
        check_5424(receive(fd, false), LOG_DAEMON | LOG_ERR, "edge-1", "error", "server down name=b");
        ck_assert(put_line("GET / 200\n", 10));
        check_5424(receive(fd, false), LOG_LOCAL3 | LOG_INFO, "edge-1", "access", "GET / 200");
        end_log();
        close(fd);
    }
}
END_TEST

START_TEST(tcp_takes_rfc_5424_messages_with_their_length_in_front)
{
    const int listener = bind_inet(SOCK_STREAM, AF_INET6, 0);
    struct log_config config = config_to(LOG_SYSLOG_TCP, "syslog", "syslog");

    start_log(config);
    log_write(LOG_ERR, "server down name=b");
    ck_assert(put_line("GET / 200\n", 10));
    const int fd = accept_one(listener);

    check_5424(receive(fd, true), LOG_DAEMON | LOG_ERR, "fairlead", "error", "server down name=b");
    check_5424(receive(fd, true), LOG_LOCAL3 | LOG_INFO, "fairlead", "access", "GET / 200");
    end_log();
    close(fd);
    close(listener);
}
END_TEST

START_TEST(a_restarted_local_syslog_is_found_again)
{
    int fd = bind_local();

    start_log(config_to(LOG_SYSLOG_LOCAL, "syslog", "syslog"));
    log_write(LOG_ERR, "first");
    expect_local(fd, LOG_DAEMON | LOG_ERR, "first");
    close(fd);
    fd = bind_local();
    log_write(LOG_ERR, "second");
    expect_local(fd, LOG_DAEMON | LOG_ERR, "second");
    end_log();
    close(fd);
}
END_TEST

/* Lines are put until some were dropped; what the file has shows that nobody waited. */
static uint64_t flood(const struct log_counters *before)
{
    struct log_counters now;
    const uint64_t end = now_ms() + PATIENCE_MS;

    do {
        for (int i = 0; i < 2000; i++)
            while (!put_line("a line of the access log\n", 25))
                sched_yield();
        log_counters(&now);
        ck_assert_msg(now_ms() < end, "the daemon seems to take everything");
    } while (now.syslog_dropped - before->syslog_dropped < 100);
    while (!put_line("the end\n", 8))
        sched_yield();
    wait_for(access_path, "the end\n");
    return now.syslog_dropped - before->syslog_dropped;
}

/* Reads until syslog is told that it is back, and how many lines are missing. */
static uint64_t read_until_back(int fd, bool stream)
{
    for (;;) {
        const char *got = receive(fd, stream),
                   *back = strstr(got, "syslog is back server=the-daemon dropped=");

        if (back != NULL)
            return strtoull(strrchr(back, '=') + 1, NULL, 10);
    }
}

static void check_hang(enum log_syslog_kind kind, int fd, int listener)
{
    struct log_counters before, after;
    char wanted[96];

    log_counters(&before);
    start_log(config_to(kind, access_path, error_path));
    if (listener >= 0)
        fd = accept_one((put_line("first\n", 6), listener));
    flood(&before);
    wait_for(error_path, "syslog takes no lines, they are dropped server=the-daemon\n");
    const uint64_t dropped = read_until_back(fd, listener >= 0);

    log_counters(&after);
    ck_assert_uint_eq(dropped, after.syslog_dropped - before.syslog_dropped);
    ck_assert_uint_eq(after.sink_dropped[LOG_SINK_ACCESS], before.sink_dropped[LOG_SINK_ACCESS]);
    snprintf(wanted, sizeof(wanted), "syslog is back server=the-daemon dropped=%llu\n",
             (unsigned long long)dropped);
    wait_for(error_path, wanted);
    end_log();
    close(fd);
}

START_TEST(a_local_syslog_that_hangs_slows_nothing_and_learns_what_it_missed)
{
    check_hang(LOG_SYSLOG_LOCAL, bind_local(), -1);
}
END_TEST

START_TEST(a_tcp_syslog_that_hangs_slows_nothing_and_learns_what_it_missed)
{
    const int listener = bind_inet(SOCK_STREAM, AF_INET, 0), small = 4096;

    ck_assert_int_eq(setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    check_hang(LOG_SYSLOG_TCP, -1, listener);
    close(listener);
}
END_TEST

static void check_absence(enum log_syslog_kind kind, int type)
{
    const int probe = bind_inet(type, AF_INET, 0);
    const in_port_t port = address.in.sin_port;
    struct log_counters before, after;
    int fd, listener = -1;

    close(probe);
    log_counters(&before);
    start_log(config_to(kind, access_path, error_path));
    flood(&before);
    wait_for(error_path, "syslog is gone server=the-daemon error=\"Connection refused\"\n");
    fd = bind_inet(type, AF_INET, port);
    if (type == SOCK_STREAM) {
        listener = fd;
        fd = accept_one(listener);
    }
    const uint64_t dropped = read_until_back(fd, type == SOCK_STREAM);

    log_counters(&after);
    ck_assert_uint_eq(dropped, after.syslog_dropped - before.syslog_dropped);
    end_log();
    close(fd);
    if (listener >= 0)
        close(listener);
}

START_TEST(a_tcp_syslog_that_is_not_there_is_waited_for_by_nobody)
{
    check_absence(LOG_SYSLOG_TCP, SOCK_STREAM);
}
END_TEST

START_TEST(a_udp_syslog_that_is_not_there_is_waited_for_by_nobody)
{
    check_absence(LOG_SYSLOG_UDP, SOCK_DGRAM);
}
END_TEST

/* The daemon ends with a reset while messages are on their way: those it had not taken come over the next
 * connection. */
START_TEST(what_a_broken_tcp_connection_had_not_delivered_is_sent_again)
{
    const int listener = bind_inet(SOCK_STREAM, AF_INET, 0), small = 4096;
    const struct linger reset = {.l_onoff = 1};
    struct log_counters before, after;
    unsigned number = 0, expected;
    int fd;

    ck_assert_int_eq(setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    log_counters(&before);
    start_log(config_to(LOG_SYSLOG_TCP, "syslog", error_path));
    for (unsigned i = 0; i < 1500; i++) {
        char line[128];

        while (!put_line(line, (size_t)snprintf(line, sizeof(line), "number %u %060d\n", i, 0)))
            sched_yield();
    }
    fd = accept_one(listener);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(sscanf(strstr(receive(fd, true), "number "), "number %u", &number), 1);
    ck_assert_uint_eq(number, 9);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
    close(fd);
    fd = accept_one(listener);
    ck_assert_int_eq(sscanf(strstr(receive(fd, true), "number "), "number %u", &expected), 1);
    /* What the old connection's kernel had taken is lost; its buffer bounds that. */
    ck_assert_uint_lt(expected, 500);
    for (number = expected; number < 1499; number++) {
        const char *got = strstr(receive(fd, true), "number ");

        if (got == NULL) { /* that it was gone, and is back */
            number--;
            continue;
        }
        ck_assert_int_eq(sscanf(got, "number %u", &expected), 1);
        ck_assert_uint_eq(expected, number + 1);
    }
    log_counters(&after);
    ck_assert_uint_eq(after.syslog_dropped, before.syslog_dropped);
    end_log();
    close(fd);
    close(listener);
}
END_TEST

static void switch_to(struct log_config config)
{
    struct log_pending *pending;
    const char *path;

    ck_assert_int_eq(log_prepare(&config, &pending, &path), 0);
    log_switch(pending);
}

/* One listener, and one accept: a second connection would not be read from. */
START_TEST(a_switch_to_the_same_syslog_keeps_the_connection)
{
    const int listener = bind_inet(SOCK_STREAM, AF_INET, 0);
    struct log_config config = config_to(LOG_SYSLOG_TCP, "syslog", NULL);

    start_log(config);
    ck_assert(put_line("first\n", 6));
    const int fd = accept_one(listener);

    check_5424(receive(fd, true), LOG_LOCAL3 | LOG_INFO, "fairlead", "access", "first");
    config.tag = "other";
    config.sinks[LOG_SINK_ACCESS].facility = LOG_LOCAL5;
    switch_to(config);
    ck_assert(put_line("second\n", 7));
    check_5424(receive(fd, true), LOG_LOCAL5 | LOG_INFO, "other", "access", "second");
    end_log();
    close(fd);
    close(listener);
}
END_TEST

START_TEST(a_switch_to_another_syslog_takes_the_lines_after_it)
{
    const int old = bind_inet(SOCK_DGRAM, AF_INET, 0);

    start_log(config_to(LOG_SYSLOG_UDP, "syslog", NULL));
    const int new = bind_inet(SOCK_DGRAM, AF_INET, 0);

    ck_assert(put_line("before\n", 7));
    switch_to(config_to(LOG_SYSLOG_UDP, "syslog", NULL));
    ck_assert(put_line("after\n", 6));
    check_5424(receive(old, false), LOG_LOCAL3 | LOG_INFO, "fairlead", "access", "before");
    check_5424(receive(new, false), LOG_LOCAL3 | LOG_INFO, "fairlead", "access", "after");
    end_log();
    close(old);
    close(new);
}
END_TEST

/* Nothing but stderr is left to tell it. */
START_TEST(without_an_error_file_stderr_is_told)
{
    ck_assert_int_eq(close(bind_local()), 0);
    start_log(config_to(LOG_SYSLOG_LOCAL, access_path, NULL));
    ck_assert(put_line("a line\n", 7));
    wait_for(stderr_path, "log cannot be written path=the-daemon error=\"Connection refused\"");
    end_log();
    ck_assert(file_contains(access_path, "a line\n"));
}
END_TEST

static Suite *log_syslog_suite(void)
{
    Suite *suite = suite_create("log_syslog");
    TCase *forms = new_case(suite, "forms"), *trouble = new_case(suite, "trouble");

    tcase_add_test(forms, a_local_syslog_gets_both_logs_in_the_form_of_syslog_3);
    tcase_add_test(forms, udp_takes_rfc_5424_messages);
    tcase_add_test(forms, tcp_takes_rfc_5424_messages_with_their_length_in_front);
    tcase_add_test(trouble, a_restarted_local_syslog_is_found_again);
    tcase_add_test(trouble, a_local_syslog_that_hangs_slows_nothing_and_learns_what_it_missed);
    tcase_add_test(trouble, a_tcp_syslog_that_hangs_slows_nothing_and_learns_what_it_missed);
    tcase_add_test(trouble, a_tcp_syslog_that_is_not_there_is_waited_for_by_nobody);
    tcase_add_test(trouble, a_udp_syslog_that_is_not_there_is_waited_for_by_nobody);
    tcase_add_test(trouble, what_a_broken_tcp_connection_had_not_delivered_is_sent_again);
    tcase_add_test(trouble, without_an_error_file_stderr_is_told);
    tcase_add_test(forms, a_switch_to_the_same_syslog_keeps_the_connection);
    tcase_add_test(forms, a_switch_to_another_syslog_takes_the_lines_after_it);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(log_syslog_suite());

    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
