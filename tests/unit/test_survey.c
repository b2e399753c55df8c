/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The promises of proxy/survey.h: who has answered is known, the last one wakes the asker, a worker that cannot be asked holds nobody up, and sessions are bounded. */
#include "exchange_bench.h"

#include "proxy/survey.h"

#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct survey *survey;
static int event_fd;

static void set_up(void)
{
    exchanges_begin("workers = 2;"
                    "upstreams: { web: { servers = ( { address = \"127.0.0.1:9\"; } ); }; };"
                    "sites = ( { locations = ( { path = \"/\"; proxy_pass = \"http://web\"; } ); } );");
    event_fd = eventfd(0, EFD_NONBLOCK);
}

static void tear_down(void)
{
    survey_destroy(survey);
    survey = NULL;
    close(event_fd);
    exchanges_end();
}

static void ask(bool sessions)
{
    survey = survey_create(2, sessions, event_fd);
    ck_assert_ptr_nonnull(survey);
    survey_post(survey, bench_workers);
}

static void answer(unsigned worker)
{
    mailbox_run(&bench_workers[worker]->mailbox, bench_workers[worker]);
}

static bool woken(void)
{
    uint64_t n;

    return read(event_fd, &n, sizeof(n)) == sizeof(n);
}

static uint64_t sum_of(const char *name)
{
    struct survey_sum sums[SURVEY_SUMS_MAX];
    size_t n = survey_sums(survey, sums);

    for (size_t i = 0; i < n; i++)
        if (strcmp(sums[i].name, name) == 0)
            return sums[i].value;
    ck_abort_msg("no sum %s", name);
}

START_TEST(the_last_answer_wakes_the_asker)
{
    ask(false);
    ck_assert(!survey_has(survey, 0) && !survey_has(survey, 1) && !survey_is_over(survey));
    answer(1);
    ck_assert(!survey_has(survey, 0) && survey_has(survey, 1) && !survey_is_over(survey));
    ck_assert(!woken());
    answer(0);
    ck_assert(survey_has(survey, 0) && survey_is_over(survey));
    ck_assert(woken());
}
END_TEST

START_TEST(counters_are_summed_over_those_who_answered)
{
    services[0]->counters.requests = 5;
    services[1]->counters.requests = 7;
    services[1]->links.opened = 3;
    ask(false);
    answer(1);
    ck_assert_uint_eq(sum_of("requests"), 7);
    services[0]->counters.requests = 6;
    answer(0);
    services[0]->counters.requests = 100; /* counted on since */
    ck_assert_uint_eq(sum_of("requests"), 13);
    ck_assert_uint_eq(sum_of("upstream_connections"), 3);
    services[0]->counters.requests = 0;
}
END_TEST

static void nothing(void *owner, void *argument)
{
    (void)owner, (void)argument;
}

START_TEST(a_worker_whose_mailbox_is_full_holds_nobody_up)
{
    while (mailbox_post(&bench_workers[0]->mailbox, (struct letter){nothing, NULL}) == 0)
        ;
    ask(false);
    answer(1);
    ck_assert(survey_is_over(survey));
    ck_assert(!survey_has(survey, 0) && survey_has(survey, 1));
    answer(0);
    ck_assert(!survey_has(survey, 0));
}
END_TEST

START_TEST(a_session_is_one_line_whatever_the_client_sends)
{
    static const char *const wanted = "\tCONNECTING\t";
    const struct survey_part *part;

    send_request(0, "GET /a%09b\"\\ HTTP/1.1\r\nHost: a\r\n\r\n");
    ask(true);
    answer(0);
    answer(1);
    part = &survey->parts[0];
    ck_assert_uint_eq(part->n_lines, 1);
    ck_assert_uint_eq(part->clients, 1);
    ck_assert_uint_eq(part->exchanges, 1);
    ck_assert_ptr_eq(memchr(part->text, '\n', part->len), part->text + part->len - 1);
    ck_assert_ptr_nonnull(memmem(part->text, part->len, wanted, strlen(wanted)));
    ck_assert_ptr_nonnull(memmem(part->text, part->len, "\tweb\t127.0.0.1:9\tGET /a%09b", 27));
    ck_assert_uint_eq(survey->parts[1].n_lines, 0);
}
END_TEST

START_TEST(sessions_beyond_the_limit_are_left_out)
{
    for (unsigned i = 0; i < SURVEY_SESSIONS / 2 + 3; i++)
        client_accept(services[0]->listenings, -1);
    ask(true);
    answer(0);
    ck_assert_uint_eq(survey->parts[0].n_lines, SURVEY_SESSIONS / 2);
    ck_assert_uint_eq(survey->parts[0].clients, SURVEY_SESSIONS / 2 + 3);
    ck_assert_uint_le(survey->parts[0].len, SURVEY_SESSIONS / 2 * SURVEY_SESSION_BYTES);
    answer(1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("survey");
    TCase *tests = tcase_create("promises");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, the_last_answer_wakes_the_asker);
    tcase_add_test(tests, counters_are_summed_over_those_who_answered);
    tcase_add_test(tests, a_worker_whose_mailbox_is_full_holds_nobody_up);
    tcase_add_test(tests, a_session_is_one_line_whatever_the_client_sends);
    tcase_add_test(tests, sessions_beyond_the_limit_are_left_out);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
