/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tests of single probes: connections and their failures, requests, agents. Responses are in
 * test_health_response.c. */
#include "probe_fixture.h"

#include <sys/resource.h>

static void step_abandon(struct step *step)
{
    probe_abandon(&((struct trial *)(uintptr_t)step->data)->probe);
}

/* TCP. */

/* The reset takes the place of the handshake's last ACK; only on a machine that stalls a connection may get
 * through, and it is reset then. */
START_TEST(a_tcp_probe_is_good_and_does_not_reach_the_program)
{
    int fd;

    finish_as(begin(PROBE_TCP, spec_of(HEALTH_TCP)), PROBE_GOOD, "L4OK", "connected");
    ck_assert_int_eq(fcntl(listening, F_SETFL, O_NONBLOCK), 0);
    fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) {
        ck_assert_int_eq(errno, EAGAIN);
    } else {
        ck_assert_int_eq(expect_end(fd), ECONNRESET);
        close(fd);
    }
}
END_TEST

START_TEST(a_port_that_nobody_listens_on_is_refused)
{
    struct sockaddr_in other;

    close(tcp_listen(&other));
    place.address.in = other;
    finish_as(begin(PROBE_TCP, spec_of(HEALTH_TCP)), PROBE_BAD, "L4CON", "connection refused");
    finish_as(begin(PROBE_HTTP, spec_of(HEALTH_HTTP)), PROBE_BAD, "L4CON", "connection refused");
    finish_as(begin(PROBE_AGENT, spec_of(HEALTH_TCP)), PROBE_BAD, "L4CON", "connection refused");
}
END_TEST

START_TEST(the_port_of_the_spec_goes_before_the_servers)
{
    struct health_spec spec = spec_of(HEALTH_TCP);
    struct trial *trial;

    spec.port = ntohs(address.sin_port);
    spec.agent_port = 1;
    place.address.in.sin_port = htons(1);
    finish_as(begin(PROBE_TCP, spec), PROBE_GOOD, "L4OK", "connected");

    spec.port = 1;
    spec.agent_port = ntohs(address.sin_port);
    trial = begin(PROBE_AGENT, spec);
    close(accept_one());
    finish_as(trial, PROBE_BAD, "L7RSP", "the agent said nothing");
}
END_TEST

/* A listener whose queue is full lets nobody in, and refuses nobody. */
START_TEST(a_connect_that_hangs_is_given_up)
{
    struct health_spec spec = spec_of(HEALTH_TCP);
    int fillers[8];

    spec.timeout_ms = SHORT_MS;
    ck_assert_int_eq(listen(listening, 0), 0);
    for (size_t i = 0; i < 8; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(fillers[i], (struct sockaddr *)&address, sizeof(address));
    }
    finish_as(begin(PROBE_TCP, spec), PROBE_BAD, "L4TOUT", "connect timed out");
    for (size_t i = 0; i < 8; i++)
        close(fillers[i]);
}
END_TEST

START_TEST(a_unix_socket_is_probed_like_any_other)
{
    struct health_spec spec = spec_of(HEALTH_HTTP);
    struct trial *trial;
    int fd;

    close(listening);
    listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    place.address = (struct server_address){.len = sizeof(place.address.un)};
    place.address.un.sun_family = AF_UNIX;
    snprintf(place.address.un.sun_path, sizeof(place.address.un.sun_path), "/tmp/fairlead-probe-%d",
             (int)getpid());
    snprintf(place.name, sizeof(place.name), "unix:%s", place.address.un.sun_path);
    (void)unlink(place.address.un.sun_path);
    ck_assert_int_eq(bind(listening, &place.address.sa, place.address.len), 0);
    ck_assert_int_eq(listen(listening, 4), 0);
    spec.port = 1;
    trial = begin(PROBE_HTTP, spec);
    fd = accept_one();
    ck_assert_ptr_nonnull(strstr(read_request(fd), "\r\nHost: localhost\r\n"));
    send_all(fd, "HTTP/1.1 200 OK\r\n\r\n", 19);
    finish_as(trial, PROBE_GOOD, "L7OK", "status 200");
    close(fd);
    ck_assert_int_eq(unlink(place.address.un.sun_path), 0);
    trial = begin(PROBE_TCP, spec);
    finish_as(trial, PROBE_BAD, "L4CON", "no such file or directory");
}
END_TEST

/* Each test is a process of its own, with a limit of its own. */
START_TEST(a_probe_without_a_descriptor_is_not_held_against_the_server)
{
    struct trial *trial;
    const int next = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const struct rlimit none = {(rlim_t)next, (rlim_t)next};

    close(next);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    trial = begin(PROBE_TCP, spec_of(HEALTH_TCP));
    ck_assert_int_eq(trial->started, -EMFILE);
    ck_assert_uint_eq(trial->n_results + trial->n_gone, 0);
    probe_plan_fini(&trial->plan);
    free(trial);
}
END_TEST

START_TEST(an_abandoned_probe_says_nothing_and_goes)
{
    struct trial *trial = begin_http();
    int fd = accept_request();

    on_worker(step_abandon, (struct step){.data = trial});
    on_worker(step_abandon, (struct step){.data = trial});
    ck_assert_int_eq(expect_end(fd), ECONNRESET);
    UNTIL_SEEN(on_worker(step_see, (struct step){.data = trial}), it.n == 1);
    ck_assert_uint_eq(trial->n_results, 0);
    probe_plan_fini(&trial->plan);
    free(trial);
    close(fd);
}
END_TEST

/* HTTP: requests. */

static void expect_request(struct health_spec spec, const char *expected)
{
    struct trial *trial = begin(PROBE_HTTP, spec);
    int fd = accept_one();
    const char *request = read_request(fd);

    ck_assert_msg(strcmp(request, expected) == 0, "%s", request);
    send_all(fd, "HTTP/1.1 204 No Content\r\n\r\n", 27);
    finish(trial, PROBE_GOOD, "status 204");
    close(fd);
}

#define AGENT_FIELD "User-Agent: fairlead/" FAIRLEAD_VERSION " health check\r\n"

START_TEST(the_request_says_what_was_configured)
{
    struct health_spec spec = spec_of(HEALTH_HTTP);
    char expected[512];

    snprintf(expected, sizeof(expected),
             "GET /healthz HTTP/1.1\r\nHost: %s\r\n" AGENT_FIELD "Connection: close\r\n\r\n", place.name);
    expect_request(spec, expected);
    spec.host = "example.com";
    spec.path = "/a?b=c";
    spec.headers = "X-A: 1\r\nX-B: two\r\n";
    expect_request(spec, "GET /a?b=c HTTP/1.1\r\nHost: example.com\r\n" AGENT_FIELD
                         "Connection: close\r\nX-A: 1\r\nX-B: two\r\n\r\n");
    spec.method = "POST";
    spec.headers = "X-A: 1\r\nuser-agent: me\r\n";
    expect_request(spec,
                   "POST /a?b=c HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\nContent-Length: 0\r\n"
                   "X-A: 1\r\nuser-agent: me\r\n\r\n");
    spec.method = "HEAD";
    spec.headers = "User-Agent: me\r\n";
    expect_request(
        spec, "HEAD /a?b=c HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\nUser-Agent: me\r\n\r\n");
}
END_TEST

START_TEST(a_request_that_is_too_long_is_refused_when_it_is_planned)
{
    char path[HEALTH_REQUEST_MAX + 1];
    struct health_spec spec = spec_of(HEALTH_HTTP);
    struct probe_plan plan;

    memset(path, '/', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    spec.path = path;
    ck_assert_int_eq(probe_plan_init(&plan, &spec), -EMSGSIZE);
    path[HEALTH_REQUEST_MAX - 3] = '\0';
    ck_assert_int_eq(probe_plan_init(&plan, &spec), 0);
    probe_plan_fini(&plan);
}
END_TEST

/* The agent. */

static void expect_agent(const char *text, bool closes, enum probe_outcome outcome, const char *reason)
{
    const size_t len = strlen(text);

    for (size_t split = 0; split <= len && split < 24; split++) {
        struct trial *trial = begin(PROBE_AGENT, spec_of(HEALTH_TCP));
        int fd = accept_one();

        (void)send(fd, text, split, MSG_NOSIGNAL);
        if (split > 0 && split < len)
            usleep(300);
        (void)send(fd, text + split, len - split, MSG_NOSIGNAL);
        if (closes)
            close(fd);
        finish(trial, outcome, reason);
        if (!closes)
            close(fd);
    }
}

START_TEST(an_agents_line_is_read_and_its_reason_kept)
{
    expect_agent("ready up\n", false, PROBE_GOOD, "agent: up");
    expect_agent("down #disk full\r\n", true, PROBE_GOOD, "agent: down disk full");
    expect_agent("75%", true, PROBE_GOOD, "agent");
    expect_agent("stopped#\"x\" to=UP\n", false, PROBE_GOOD, "agent: stopped \\x22x\\x22 to=UP");
    expect_agent("hello\n", false, PROBE_BAD, "not an agent's word: hello");
    expect_agent("", true, PROBE_BAD, "the agent said nothing");
    expect_agent("\n", false, PROBE_BAD, "the agent said nothing");
}
END_TEST

START_TEST(an_agents_words_are_there_with_its_result)
{
    struct trial *trial = begin(PROBE_AGENT, spec_of(HEALTH_TCP));
    int fd = accept_one();

    send_all(fd, "fail 30%\n", 9);
    UNTIL_SEEN(on_worker(step_see, (struct step){.data = trial}), it.n == 1);
    ck_assert(trial->agent_down);
    ck_assert_uint_eq(trial->agent_share, 30);
    finish(trial, PROBE_GOOD, "agent: fail");
    close(fd);
}
END_TEST

START_TEST(an_agent_that_talks_without_end_or_not_at_all_is_given_up)
{
    char text[2 * AGENT_LINE_MAX];
    struct health_spec spec = spec_of(HEALTH_TCP);
    struct trial *trial;
    int fd;

    memset(text, 'x', sizeof(text));
    trial = begin(PROBE_AGENT, spec);
    fd = accept_one();
    (void)!send(fd, text, sizeof(text), MSG_NOSIGNAL);
    finish(trial, PROBE_BAD, "the agent's line is too long");
    close(fd);

    spec.timeout_ms = SHORT_MS;
    trial = begin(PROBE_AGENT, spec);
    fd = accept_one();
    send_all(fd, "u", 1);
    finish_as(trial, PROBE_BAD, "L7TOUT", "agent timed out");
    close(fd);

    trial = begin(PROBE_AGENT, spec_of(HEALTH_TCP));
    fd = accept_one();
    send_all(fd, "u", 1);
    close_with_reset(fd);
    finish_as(trial, PROBE_BAD, "L7RSP", "connection reset by peer");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("health_probe");
    TCase *tests = tcase_create("promises");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_tcp_probe_is_good_and_does_not_reach_the_program);
    tcase_add_test(tests, a_port_that_nobody_listens_on_is_refused);
    tcase_add_test(tests, the_port_of_the_spec_goes_before_the_servers);
    tcase_add_test(tests, a_connect_that_hangs_is_given_up);
    tcase_add_test(tests, a_unix_socket_is_probed_like_any_other);
    tcase_add_test(tests, a_probe_without_a_descriptor_is_not_held_against_the_server);
    tcase_add_test(tests, an_abandoned_probe_says_nothing_and_goes);
    tcase_add_test(tests, the_request_says_what_was_configured);
    tcase_add_test(tests, a_request_that_is_too_long_is_refused_when_it_is_planned);
    tcase_add_test(tests, an_agents_line_is_read_and_its_reason_kept);
    tcase_add_test(tests, an_agents_words_are_there_with_its_result);
    tcase_add_test(tests, an_agent_that_talks_without_end_or_not_at_all_is_given_up);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
