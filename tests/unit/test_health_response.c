/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tests of what an HTTP probe makes of responses: split at every place, cut, reset, slow, silent, large, or
 * no HTTP at all. */
#include "probe_fixture.h"

/* HTTP: responses. */

enum ending { STAYS, CLOSES, RESETS };

struct response {
    const char *text;
    enum ending ending;
    const char *body; /* what the body must hold; NULL: it is not looked at */
    enum probe_outcome outcome;
    const char *reason;
};

#define OK_HEAD      "HTTP/1.1 200 OK\r\n"
#define CHUNKED_HEAD OK_HEAD "Transfer-Encoding: chunked\r\n\r\n"

static const struct response responses[] = {
    {OK_HEAD "\r\n", STAYS, NULL, PROBE_GOOD, "status 200"},
    {OK_HEAD "Content-Length: 5\r\n\r\n", STAYS, NULL, PROBE_GOOD, "status 200"},
    {"HTTP/1.0 204 None\r\n\r\n", CLOSES, NULL, PROBE_GOOD, "status 204"},
    {"HTTP/1.1 399 \r\n\r\n", STAYS, NULL, PROBE_GOOD, "status 399"},
    {"HTTP/1.1 400 Bad\r\n\r\n", STAYS, NULL, PROBE_BAD, "status 400"},
    {"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", STAYS, NULL, PROBE_BAD, "status 503"},
    {"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", STAYS, NULL, PROBE_BAD,
     "status 101"},
    {"HTTP/1.1 100 Continue\r\n\r\n" OK_HEAD "\r\n", STAYS, NULL, PROBE_GOOD, "status 200"},
    {"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 100 C\r\n\r\nHTTP/1.1 500 No\r\n\r\n", STAYS, NULL,
     PROBE_BAD, "status 500"},
    {"", CLOSES, NULL, PROBE_BAD, "closed without a response"},
    {"HTTP/1.1 200 OK\r\nX:", CLOSES, NULL, PROBE_BAD, "closed within the response head"},
    {"HTTP/1.1 100 Continue\r\n\r\n", CLOSES, NULL, PROBE_BAD, "closed within the response head"},
    {"SSH-2.0-OpenSSH_9.2\r\n", STAYS, NULL, PROBE_BAD, "not HTTP: the status line is malformed"},
    {"\x15\x03\x01\x00\x02\x02\x16\r\n", STAYS, NULL, PROBE_BAD, "not HTTP: the status line is malformed"},
    {OK_HEAD "Bad Field: 1\r\n\r\n", STAYS, NULL, PROBE_BAD, "not HTTP: a field name is not a token"},
    {OK_HEAD "Content-Length: 5\r\n\r\nhello", STAYS, "hello", PROBE_GOOD, "status 200"},
    {OK_HEAD "Content-Length: 5\r\n\r\nhello", STAYS, "world", PROBE_BAD, "body does not match"},
    {OK_HEAD "Content-Length: 5\r\n\r\nhelloworld", STAYS, "world", PROBE_BAD, "body does not match"},
    {OK_HEAD "Content-Length: 0\r\n\r\n", STAYS, "hello", PROBE_BAD, "body does not match"},
    {OK_HEAD "Content-Length: 9\r\n\r\nhello", CLOSES, "hello", PROBE_BAD, "closed within the response body"},
    {"HTTP/1.1 204 None\r\n\r\n", STAYS, "hello", PROBE_BAD, "body does not match"},
    {OK_HEAD "\r\nhello", CLOSES, "hello", PROBE_GOOD, "status 200"},
    {OK_HEAD "\r\nhell", CLOSES, "hello", PROBE_BAD, "body does not match"},
    {CHUNKED_HEAD "2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n", STAYS, "hello", PROBE_GOOD, "status 200"},
    {CHUNKED_HEAD "2\r\nhe\r\n3\r\nllo\r\n0\r\nX: y\r\n\r\n", STAYS, "2\r\nhe", PROBE_BAD,
     "body does not match"},
    {CHUNKED_HEAD "5\r\nhello\r\n", CLOSES, "hello", PROBE_BAD, "closed within the response body"},
    {CHUNKED_HEAD "x\r\nhello\r\n", STAYS, "hello", PROBE_BAD,
     "not HTTP: a chunk size is not a hexadecimal number"},
};
#define N_RESPONSES ((int)(sizeof(responses) / sizeof(responses[0])))

static bool holds_text(const void *context, const char *body, size_t len)
{
    const char *text = context;

    return memmem(body, len, text, strlen(text)) != NULL;
}

static struct trial *begin_response(const struct response *response)
{
    struct health_spec spec = spec_of(HEALTH_HTTP);

    if (response->body) {
        spec.body_matches = holds_text;
        spec.body_context = response->body;
    }
    return begin(PROBE_HTTP, spec);
}

START_TEST(a_response_is_judged_whole_or_in_two_parts)
{
    const struct response *response = &responses[_i];
    const size_t len = strlen(response->text);

    for (size_t split = 0; split <= len; split += split + 40 < len ? 7 : 1) {
        struct trial *trial = begin_response(response);
        int fd = accept_request();

        /* The probe may be over after the first part. */
        (void)send(fd, response->text, split, MSG_NOSIGNAL);
        if (split > 0 && split < len)
            usleep(300);
        (void)send(fd, response->text + split, len - split, MSG_NOSIGNAL);
        if (response->ending == CLOSES)
            close(fd);
        finish(trial, response->outcome, response->reason);
        if (response->ending != CLOSES)
            close(fd);
    }
}
END_TEST

START_TEST(a_response_that_comes_byte_by_byte_is_judged_the_same)
{
    static const char text[] =
        "HTTP/1.1 100 Continue\r\n\r\n" CHUNKED_HEAD "2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n";
    struct trial *trial = begin_response(&(struct response){.body = "hello"});
    int fd = accept_request(), one = 1;

    ck_assert_int_eq(setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof(one)), 0);
    for (size_t i = 0; text[i] != '\0'; i++) {
        (void)send(fd, &text[i], 1, MSG_NOSIGNAL);
        usleep(100);
    }
    finish_as(trial, PROBE_GOOD, "L7OK", "status 200");
    close(fd);
}
END_TEST

START_TEST(statuses_are_those_of_the_ranges)
{
    static const struct health_range ranges[] = {{200, 204}, {301, 301}, {500, 599}};
    static const struct {
        unsigned status;
        bool good;
    } cases[] = {{200, true}, {204, true},  {205, false}, {300, false},
                 {301, true}, {302, false}, {499, false}, {599, true}};
    struct health_spec spec = spec_of(HEALTH_HTTP);

    spec.expect = ranges;
    spec.n_expect = 3;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct trial *trial = begin(PROBE_HTTP, spec);
        int fd = accept_request();
        char text[64], reason[32];

        snprintf(text, sizeof(text), "HTTP/1.1 %u X\r\n\r\n", cases[i].status);
        snprintf(reason, sizeof(reason), "status %u", cases[i].status);
        send_all(fd, text, strlen(text));
        finish_as(trial, cases[i].good ? PROBE_GOOD : PROBE_BAD, cases[i].good ? "L7OK" : "L7STS", reason);
        close(fd);
    }
}
END_TEST

START_TEST(only_the_beginning_of_a_large_body_is_looked_at)
{
    static const struct {
        size_t at;
        bool found;
    } cases[] = {
        {0, true}, {HEALTH_BODY_MAX - 5, true}, {HEALTH_BODY_MAX - 4, false}, {3 * HEALTH_BODY_MAX, false}};
    static const char *const heads[] = {OK_HEAD "Content-Length: 100000\r\n\r\n", OK_HEAD "\r\n",
                                        CHUNKED_HEAD "186a0\r\n"};

    for (size_t i = 0; i < 4; i++)
        for (size_t k = 0; k < 3; k++) {
            struct trial *trial = begin_response(&(struct response){.body = "hello"});
            int fd = accept_request();
            char *body = malloc(100000);

            ck_assert_ptr_nonnull(body);
            memset(body, '.', 100000);
            memcpy(body + cases[i].at, "hello", 5);
            send_all(fd, heads[k], strlen(heads[k]));
            (void)!send(fd, body, 100000, MSG_NOSIGNAL); /* it may end before it has read it all */
            if (cases[i].found)
                finish_as(trial, PROBE_GOOD, "L7OK", "status 200");
            else
                finish_as(trial, PROBE_BAD, "L7RSP", "body does not match");
            free(body);
            close(fd);
        }
}
END_TEST

START_TEST(a_head_without_an_end_is_given_up)
{
    struct trial *trial = begin_http();
    int fd = accept_request();

    send_all(fd, OK_HEAD, strlen(OK_HEAD));
    for (unsigned i = 0; i < 300; i++)
        (void)!send(fd, "X-Field: and a value that makes it long enough to be too much some time\r\n", 73,
                    MSG_NOSIGNAL);
    UNTIL_SEEN(on_worker(step_see, (struct step){.data = trial}), it.n == 1);
    ck_assert_int_eq(trial->outcome, PROBE_BAD);
    ck_assert_msg(strncmp(trial->reason, "not HTTP: ", 10) == 0, "%s", trial->reason);
    finish(trial, PROBE_BAD, trial->reason);
    close(fd);
}
END_TEST

START_TEST(interim_responses_have_a_limit)
{
    struct trial *trial = begin_http();
    int fd = accept_request();

    for (unsigned i = 0; i <= HEALTH_INTERIMS_MAX; i++)
        (void)!send(fd, "HTTP/1.1 102 P\r\n\r\n", 18, MSG_NOSIGNAL);
    finish(trial, PROBE_BAD, "too many interim responses");
    close(fd);
}
END_TEST

START_TEST(a_reset_is_named_wherever_it_comes)
{
    static const char *const parts[] = {"", "HTTP/1.1 20", OK_HEAD "Content-Length: 9\r\n\r\nhello",
                                        OK_HEAD "\r\nhello", CHUNKED_HEAD "5\r\nhe"};

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        struct trial *trial = begin_response(&(struct response){.body = "hello"});
        int fd = accept_request();

        send_all(fd, parts[i], strlen(parts[i]));
        usleep(1000);
        close_with_reset(fd);
        finish_as(trial, PROBE_BAD, "L7RSP", "connection reset by peer");
    }
}
END_TEST

START_TEST(a_server_that_stops_is_given_up_in_time)
{
    static const struct {
        const char *part, *reason;
    } cases[] = {{"", "response timed out"},
                 {"HTTP/1.1 200", "response timed out"},
                 {OK_HEAD "Content-Length: 9\r\n\r\nhello", "response timed out in its body"},
                 {OK_HEAD "\r\nhello", "response timed out in its body"},
                 {CHUNKED_HEAD "5\r\nhello\r\n", "response timed out in its body"}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct health_spec spec = spec_of(HEALTH_HTTP);
        struct trial *trial;
        int fd;

        spec.timeout_ms = SHORT_MS;
        spec.body_matches = holds_text;
        spec.body_context = "hello";
        trial = begin(PROBE_HTTP, spec);
        fd = accept_one();
        (void)send(fd, cases[i].part, strlen(cases[i].part), MSG_NOSIGNAL);
        finish_as(trial, PROBE_BAD, "L7TOUT", cases[i].reason);
        close(fd);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("health_response");
    TCase *tests = tcase_create("promises");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, a_response_is_judged_whole_or_in_two_parts, 0, N_RESPONSES);
    tcase_add_test(tests, a_response_that_comes_byte_by_byte_is_judged_the_same);
    tcase_add_test(tests, statuses_are_those_of_the_ranges);
    tcase_add_test(tests, only_the_beginning_of_a_large_body_is_looked_at);
    tcase_add_test(tests, a_head_without_an_end_is_given_up);
    tcase_add_test(tests, interim_responses_have_a_limit);
    tcase_add_test(tests, a_reset_is_named_wherever_it_comes);
    tcase_add_test(tests, a_server_that_stops_is_given_up_in_time);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
