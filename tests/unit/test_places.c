/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tests of the places of a name: which address gets which place, and when a place may get another one. The
 * workers are mailboxes that the test empties; time is what the test says. One thread.
 */
#include "config_fake.h"
#include "control/places.h"
#include "proxy/queue.h"
#include "proxy/service.h"
#include "upstream/place.h"

#include <check.h>

#define N_WORKERS 2
#define MINUTE_MS 60000u

static struct worker workers[N_WORKERS], health;
static struct worker *const worker_pointers[N_WORKERS] = {&workers[0], &workers[1]};
static struct service services[N_WORKERS];
static struct place_users users;
static struct queues *queues;
static struct places *places;
static struct pool *pool;
static struct resolve_answer answer;
static struct wanted entries[2 * PLACES_MAX];
static struct wanted_list wanted;
static uint64_t now_ms;
static const char *passive = ""; /* of the pool that is made next */
static char told[256]; /* by letters to the health thread */

static void tell(void *worker, void *server)
{
    const struct server *changed = server;

    (void)worker;
    snprintf(told + strlen(told), sizeof told - strlen(told), "%u%s ", changed->index,
             server_flags(changed) & SERVER_ABSENT ? "-" : "+");
}

/* A pool of one name, which has 127.0.0.1 and 127.0.0.2 at the start, as far as it has places. */
static void start(const char *server)
{
    char text[256];

    snprintf(text, sizeof text, "upstreams: { u: { %s servers = ( { %s } ); }; };", passive, server);
    ck_assert_msg(fake_load(text) == 0, "%s", fake_findings);
    pool = fake_config->pools[0];
    queues = queues_create(fake_config, worker_pointers);
    ck_assert_ptr_nonnull(queues);
    for (size_t i = 0; i < N_WORKERS; i++) {
        ck_assert_int_eq(mailbox_init(&workers[i].mailbox), 0);
        ck_assert_int_eq(links_init(&services[i].links, &workers[i], (uint32_t)fake_config->n_servers, 4), 0);
        workers[i].context = &services[i];
        services[i].config = fake_config;
        ck_assert_int_eq(queues_attach(&services[i], queues), 0);
    }
    users = (struct place_users){.workers = worker_pointers, .n_workers = N_WORKERS};
    places = places_create(&fake_config->named[0], &users);
    ck_assert_ptr_nonnull(places);
    wanted = fake_config->named[0].found;
    wanted.entries = entries;
    now_ms = MINUTE_MS;
    told[0] = '\0';
    memset(&answer, 0, sizeof answer);
}

static void stop(void)
{
    passive = "";
    places_destroy(places);
    places = NULL;
    for (size_t i = 0; i < N_WORKERS; i++) {
        mailbox_fini(&workers[i].mailbox);
        links_fini(&services[i].links);
        queues_detach(&services[i]);
    }
    queues_destroy(queues);
    fake_clear();
}

static void add_record(const char *address, uint16_t port, uint16_t priority, uint16_t weight)
{
    struct resolve_record *record = &answer.records[answer.n++];

    *record = (struct resolve_record){.priority = priority, .weight = weight};
    record->address.len = sizeof record->address.in;
    record->address.in.sin_family = AF_INET;
    record->address.in.sin_port = htons(port);
    inet_pton(AF_INET, address, &record->address.in.sin_addr);
}

/* The name has these addresses from now on; "" is none. */
static void apply(const char *first, const char *second)
{
    answer.n = 0;
    add_record(first, 80, 0, 0);
    if (second[0] != '\0')
        add_record(second, 80, 0, 0);
    wanted_of_answer(&wanted, &answer);
    places_apply(places, &wanted, now_ms);
}

static void tend(void)
{
    now_ms += MINUTE_MS;
    places_tend(places, now_ms);
}

static void run_letters(size_t worker)
{
    (void)mailbox_run(&workers[worker].mailbox, &workers[worker]);
}

/* Asks, lets all answer, and looks. */
static void settle(void)
{
    tend();
    run_letters(0);
    run_letters(1);
    (void)(users.health && mailbox_run(&health.mailbox, &health));
    tend();
}

/* "127.0.0.1:80" for a place that serves, "-" for one that does not, in their order. */
static void expect_places(const char *expected)
{
    char text[512] = "";

    for (size_t i = 0; i < pool_n_servers(pool); i++) {
        const struct server *server = pool_server(pool, i);

        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i > 0 ? " " : "",
                 server_flags(server) & SERVER_ABSENT ? "-" : server->name);
    }
    ck_assert_str_eq(text, expected);
}

START_TEST(an_address_that_stays_keeps_its_place)
{
    start("address = \"two.test\"; addresses = 3;");
    expect_places("127.0.0.1:80 127.0.0.2:80 -");
    apply("127.0.0.2", "127.0.0.0");
    expect_places("- 127.0.0.2:80 127.0.0.0:80");
    ck_assert_uint_eq(places_due_ms(places), now_ms);
    settle();
    ck_assert_uint_eq(places_due_ms(places), UINT64_MAX);
    apply("127.0.0.2", "127.0.0.9");
    expect_places("127.0.0.9:80 127.0.0.2:80 -");
    stop();
}
END_TEST

START_TEST(a_place_is_free_when_every_worker_has_answered)
{
    start("address = \"two.test\"; addresses = 2;");
    apply("127.0.0.2", "127.0.0.3");
    expect_places("- 127.0.0.2:80");
    tend();
    run_letters(0);
    tend();
    expect_places("- 127.0.0.2:80");
    run_letters(1);
    tend();
    expect_places("127.0.0.3:80 127.0.0.2:80");
    stop();
}
END_TEST

START_TEST(a_place_that_a_link_still_uses_is_not_free)
{
    start("address = \"two.test\"; addresses = 2;");
    services[1].links.idle[0].n_links = 1;
    apply("127.0.0.2", "127.0.0.3");
    settle();
    settle();
    expect_places("- 127.0.0.2:80");
    services[1].links.idle[0].n_links = 0;
    settle();
    expect_places("127.0.0.3:80 127.0.0.2:80");
    stop();
}
END_TEST

START_TEST(a_place_with_a_request_in_flight_is_not_free)
{
    start("address = \"two.test\"; addresses = 2;");
    atomic_store(pool_server(pool, 0)->in_flight, 1);
    apply("127.0.0.2", "127.0.0.3");
    settle();
    expect_places("- 127.0.0.2:80");
    atomic_store(pool_server(pool, 0)->in_flight, 0);
    settle();
    expect_places("127.0.0.3:80 127.0.0.2:80");
    stop();
}
END_TEST

static void count_letter(void *worker, void *argument)
{
    (void)worker;
    ++*(unsigned *)argument;
}

START_TEST(a_question_that_finds_a_mailbox_full_is_asked_again)
{
    unsigned n = 0;

    start("address = \"two.test\"; addresses = 2;");
    while (mailbox_post(&workers[0].mailbox, (struct letter){count_letter, &n}) == 0)
        ;
    apply("127.0.0.2", "127.0.0.3");
    settle();
    expect_places("- 127.0.0.2:80");
    ck_assert_uint_eq(n, MAILBOX_LETTERS);
    settle();
    expect_places("127.0.0.3:80 127.0.0.2:80");
    stop();
}
END_TEST

START_TEST(an_address_that_comes_back_has_its_place_at_once)
{
    start("address = \"two.test\"; addresses = 2;");
    services[0].links.idle[0].n_links = 1;
    apply("127.0.0.2", "");
    settle();
    expect_places("- 127.0.0.2:80");
    apply("127.0.0.1", "127.0.0.2");
    expect_places("127.0.0.1:80 127.0.0.2:80");
    ck_assert_uint_eq(places_due_ms(places), UINT64_MAX);
    stop();
}
END_TEST

START_TEST(an_old_answer_does_not_free_a_place_that_was_used_in_between)
{
    start("address = \"two.test\"; addresses = 2;");
    apply("127.0.0.2", "127.0.0.3");
    tend(); /* the question is out */
    apply("127.0.0.1", "127.0.0.2");
    services[0].links.idle[0].n_links = 1; /* a new request, after the worker's answer below */
    apply("127.0.0.2", "127.0.0.3");
    services[0].links.idle[0].n_links = 0;
    run_letters(0);
    run_letters(1);
    services[0].links.idle[0].n_links = 1;
    tend();
    expect_places("- 127.0.0.2:80");
    run_letters(0);
    run_letters(1);
    tend();
    expect_places("- 127.0.0.2:80");
    stop();
}
END_TEST

START_TEST(the_health_thread_is_told_before_it_is_asked)
{
    start("address = \"two.test\"; addresses = 2;");
    ck_assert_int_eq(mailbox_init(&health.mailbox), 0);
    users.health = &health;
    users.health_changed = tell;
    apply("127.0.0.2", "127.0.0.3");
    tend();
    run_letters(0);
    run_letters(1);
    tend();
    expect_places("- 127.0.0.2:80");
    (void)mailbox_run(&health.mailbox, &health);
    ck_assert_str_eq(told, "0- ");
    tend();
    expect_places("127.0.0.3:80 127.0.0.2:80");
    (void)mailbox_run(&health.mailbox, &health);
    ck_assert_str_eq(told, "0- 0+ ");
    mailbox_fini(&health.mailbox);
    stop();
}
END_TEST

START_TEST(an_address_in_a_place_begins_anew_with_the_passive_check)
{
    start("address = \"two.test\"; addresses = 2;");
    struct picker *picker = picker_create(pool, 0);
    struct pick_request request = {.bound = PICKER_NONE};
    int server = picker_pick(picker, &request, now_ms * 1000000u);

    ck_assert_int_eq(picker_outcome(picker, server, FAIRLEAD_FAILED, 0, now_ms * 1000000u), PICKER_EJECTED);
    picker_release(picker, server);
    apply(server == 0 ? "127.0.0.2" : "127.0.0.1", "127.0.0.3");
    settle();
    ck_assert_uint_eq(pool_server(pool, (size_t)server)->out_until_ms, 0);
    ck_assert_str_eq(pool_server(pool, (size_t)server)->name, "127.0.0.3:80");
    picker_destroy(picker);
    stop();
}
END_TEST

static int fail_one(struct picker *picker)
{
    struct pick_request request = {.bound = PICKER_NONE};
    int server = picker_pick(picker, &request, now_ms * 1000000u);

    ck_assert_int_ge(server, 0);
    enum picker_news news = picker_outcome(picker, server, FAIRLEAD_FAILED, 0, now_ms * 1000000u);
    picker_release(picker, server);
    return news == PICKER_EJECTED ? server : -1;
}

/* Else max_ejected would be used up by servers that are not there, and nothing that fails would go out. */
START_TEST(an_address_that_goes_while_it_is_out_is_not_one_of_max_ejected)
{
    passive = "passive = { max_ejected = 50; };";
    start("address = \"two.test\"; addresses = 4;");
    struct picker *picker = picker_create(pool, 0);
    int server = fail_one(picker);

    ck_assert_int_ge(server, 0);
    ck_assert_int_eq(fail_one(picker), -1);
    apply(server == 0 ? "127.0.0.2" : "127.0.0.1", "");
    settle();
    apply(server == 0 ? "127.0.0.2" : "127.0.0.1", "127.0.0.9");
    ck_assert_int_ge(fail_one(picker), 0);
    picker_destroy(picker);
    stop();
}
END_TEST

START_TEST(a_failure_of_an_address_that_is_gone_takes_nothing_out)
{
    start("address = \"two.test\"; addresses = 4;");
    struct picker *picker = picker_create(pool, 0);
    struct pick_request request = {.bound = PICKER_NONE};
    int server = picker_pick(picker, &request, now_ms * 1000000u);

    apply(server == 0 ? "127.0.0.2" : "127.0.0.1", "127.0.0.9");
    ck_assert_int_eq(picker_outcome(picker, server, FAIRLEAD_FAILED, 0, (now_ms + 1) * 1000000u), PICKER_NO_NEWS);
    picker_release(picker, server);
    ck_assert_int_ge(fail_one(picker), 0);
    picker_destroy(picker);
    stop();
}
END_TEST

START_TEST(the_only_address_is_never_taken_out)
{
    start("address = \"localhost\";");
    struct picker *picker = picker_create(pool, 0);
    struct pick_request request = {.bound = PICKER_NONE};

    ck_assert_uint_eq(pool_n_servers(pool), 8);
    ck_assert_int_eq(picker_pick(picker, &request, now_ms * 1000000u), 0);
    ck_assert_int_eq(picker_outcome(picker, 0, FAIRLEAD_FAILED, 0, now_ms * 1000000u), PICKER_NO_NEWS);
    picker_release(picker, 0);
    apply("127.0.0.1", "127.0.0.2");
    int server = picker_pick(picker, &request, now_ms * 1000000u);
    ck_assert_int_eq(picker_outcome(picker, server, FAIRLEAD_FAILED, 0, now_ms * 1000000u), PICKER_EJECTED);
    picker_release(picker, server);
    picker_destroy(picker);
    stop();
}
END_TEST

START_TEST(an_absent_server_is_never_picked)
{
    start("address = \"two.test\"; addresses = 3;");
    struct picker *picker = picker_create(pool, 0);
    struct pick_request request = {.bound = 0};

    apply("127.0.0.2", "");
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(picker_pick(picker, &request, now_ms * 1000000u), 1);
        (void)picker_outcome(picker, 1, FAIRLEAD_OK, 1, now_ms * 1000000u);
        picker_release(picker, 1);
    }
    picker_destroy(picker);
    stop();
}
END_TEST

START_TEST(when_all_addresses_change_one_serves_until_a_place_is_free)
{
    start("address = \"two.test\"; addresses = 2;");
    apply("127.0.0.3", "127.0.0.4");
    expect_places("- 127.0.0.2:80");
    settle();
    expect_places("127.0.0.3:80 -");
    settle();
    expect_places("127.0.0.3:80 127.0.0.4:80");
    stop();
}
END_TEST

/* The letters tell in which order: between 1- and 0+ a request would find no server. */
START_TEST(the_last_one_goes_when_the_next_one_is_there)
{
    start("address = \"two.test\"; addresses = 2;");
    ck_assert_int_eq(mailbox_init(&health.mailbox), 0);
    users.health = &health;
    users.health_changed = tell;
    apply("127.0.0.3", "127.0.0.4");
    settle();
    (void)mailbox_run(&health.mailbox, &health);
    ck_assert_str_eq(told, "0- 0+ 1- ");
    mailbox_fini(&health.mailbox);
    stop();
}
END_TEST

START_TEST(the_only_place_of_a_name_gets_its_next_address)
{
    start("address = \"two.test\"; addresses = 1;");
    apply("127.0.0.3", "");
    expect_places("-");
    settle();
    expect_places("127.0.0.3:80");
    stop();
}
END_TEST

/* What is wanted of an answer. */

static void list_of(size_t n_places, size_t n_backup)
{
    wanted = (struct wanted_list){.n_places = n_places, .n_backup = n_backup, .entries = entries};
    wanted_of_answer(&wanted, &answer);
}

static void expect_wanted(size_t index, const char *address, uint32_t share, bool backup)
{
    char text[SERVER_NAME_MAX];

    ck_assert_uint_lt(index, wanted.n);
    ck_assert_str_eq(server_address_print(&entries[index].address, text, sizeof text), address);
    ck_assert_uint_eq(entries[index].share, share);
    ck_assert(entries[index].backup == backup);
}

START_TEST(weights_are_shares_of_the_largest_of_their_tier)
{
    answer.n = 0;
    add_record("127.0.0.1", 81, 1, 300);
    add_record("127.0.0.2", 82, 1, 100);
    add_record("127.0.0.3", 83, 1, 0);
    add_record("127.0.0.4", 84, 2, 0);
    add_record("127.0.0.5", 85, 3, 0);
    list_of(4, 4);
    ck_assert_uint_eq(wanted.n, 5);
    expect_wanted(0, "127.0.0.1:81", 100, false);
    expect_wanted(1, "127.0.0.2:82", 33, false);
    expect_wanted(2, "127.0.0.3:83", 1, false);
    expect_wanted(3, "127.0.0.4:84", 100, true);
    expect_wanted(4, "127.0.0.5:85", 100, true);
    list_of(4, 0);
    ck_assert_uint_eq(wanted.n, 3);
    ck_assert_uint_eq(wanted.n_left_out, 0);
    list_of(2, 1);
    ck_assert_uint_eq(wanted.n, 3);
    ck_assert_uint_eq(wanted.n_left_out, 2);
    expect_wanted(2, "127.0.0.4:84", 100, true);
}
END_TEST

START_TEST(a_partial_answer_takes_nothing_away)
{
    struct wanted had_entries[3];
    struct wanted_list had = {.n_places = 3, .entries = had_entries};

    answer.n = 0;
    add_record("127.0.0.1", 80, 0, 0);
    add_record("127.0.0.3", 80, 0, 0);
    wanted_of_answer(&had, &answer);
    answer.n = 0;
    add_record("127.0.0.2", 80, 0, 0);
    add_record("127.0.0.3", 80, 0, 0);
    list_of(3, 0);
    wanted_keep(&wanted, &had);
    ck_assert_uint_eq(wanted.n, 3);
    expect_wanted(0, "127.0.0.1:80", 100, false);
    expect_wanted(2, "127.0.0.3:80", 100, false);
    list_of(2, 0);
    wanted_keep(&wanted, &had);
    ck_assert_uint_eq(wanted.n, 2);
    ck_assert_uint_eq(wanted.n_left_out, 1);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, an_address_that_stays_keeps_its_place);
    tcase_add_test(tests, a_place_is_free_when_every_worker_has_answered);
    tcase_add_test(tests, a_place_that_a_link_still_uses_is_not_free);
    tcase_add_test(tests, a_place_with_a_request_in_flight_is_not_free);
    tcase_add_test(tests, a_question_that_finds_a_mailbox_full_is_asked_again);
    tcase_add_test(tests, an_address_that_comes_back_has_its_place_at_once);
    tcase_add_test(tests, an_old_answer_does_not_free_a_place_that_was_used_in_between);
    tcase_add_test(tests, the_health_thread_is_told_before_it_is_asked);
    tcase_add_test(tests, an_address_in_a_place_begins_anew_with_the_passive_check);
    tcase_add_test(tests, an_address_that_goes_while_it_is_out_is_not_one_of_max_ejected);
    tcase_add_test(tests, a_failure_of_an_address_that_is_gone_takes_nothing_out);
    tcase_add_test(tests, the_only_address_is_never_taken_out);
    tcase_add_test(tests, an_absent_server_is_never_picked);
    tcase_add_test(tests, when_all_addresses_change_one_serves_until_a_place_is_free);
    tcase_add_test(tests, the_last_one_goes_when_the_next_one_is_there);
    tcase_add_test(tests, the_only_place_of_a_name_gets_its_next_address);
    tcase_add_test(tests, weights_are_shares_of_the_largest_of_their_tier);
    tcase_add_test(tests, a_partial_answer_takes_nothing_away);
}

int main(void)
{
    Suite *suite = suite_create("places");
    TCase *tests = tcase_create("all");
    SRunner *runner = srunner_create(suite);

    suite_add_tcase(suite, tests);
    add_tests(tests);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
