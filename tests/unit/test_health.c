/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tests of the health thread as a whole, with pools of real servers on the loopback: what it makes of flags
 * and promotion, letters about servers that come, go and move, one place for many, and its end.
 */
#include "health/health.h"

#include "engine_fixture.h"
#include "modules.h"

#include <stdio.h>

#define SERVERS_MAX 16

static struct pool *pool, *other;
static struct health *health;
static struct health_spec spec;
static struct server_spec servers[SERVERS_MAX];
static char names[SERVERS_MAX][32];
static size_t n_servers;
static int listening[SERVERS_MAX];

/* A place on the loopback where someone listens, or nobody. */
static struct server_address place(bool listens, int *fd)
{
    struct server_address address = {.len = sizeof(address.in)};

    *fd = tcp_listen(&address.in);
    if (!listens) {
        close(*fd);
        *fd = -1;
    }
    return address;
}

static struct server_spec *add_server(bool listens)
{
    struct server_spec *server = &servers[n_servers];

    snprintf(names[n_servers], sizeof(names[0]), "server-%zu", n_servers);
    *server = (struct server_spec){.name = names[n_servers],
                                   .address = place(listens, &listening[n_servers]),
                                   .weight = 1,
                                   .fail_timeout_ms = 1000};
    n_servers++;
    return server;
}

static struct pool *make_pool(const char *name)
{
    struct pool *made;
    char error[512];
    const struct pool_spec pool_spec = {.name = name,
                                        .balancers_dir = modules_of_the_tree(),
                                        .n_servers = n_servers,
                                        .servers = servers,
                                        .max_ejected = 100,
                                        .max_eject_time_ms = 1000};

    ck_assert_msg(pool_create(&pool_spec, &made, error, sizeof(error)) == 0, "%s", error);
    return made;
}

static void create(uint32_t probes_max)
{
    static struct health_pool checked;
    struct health_config config = {
        .pools = &checked, .n_pools = 1, .probes_max = probes_max, .worker = engine_config()};

    pool = make_pool("pool");
    checked = (struct health_pool){pool, &spec};
    ck_assert_int_eq(health_create(&config, &health), 0);
}

static void run(uint32_t probes_max)
{
    create(probes_max);
    ck_assert_int_eq(health_start(health), 0);
}

static uint32_t flags_of(size_t index)
{
    return server_flags(pool_server(pool, index));
}

#define UNTIL_FLAGS(index, expected) UNTIL_SEEN(flags_of(index), it == (uint32_t)(expected))

/* What the control thread does when a name's address changes; `run` in the letter after its own proves that
 * it has arrived. */
static void arrived(void *worker, void *argument)
{
    (void)worker;
    sem_post(argument);
}

static void tell(struct server *server)
{
    struct mailbox *mailbox = &health_worker(health)->mailbox;
    sem_t done;

    ck_assert_int_eq(sem_init(&done, 0, 0), 0);
    ck_assert_int_eq(mailbox_post(mailbox, (struct letter){health_server_changed, server}), 0);
    ck_assert_int_eq(mailbox_post(mailbox, (struct letter){arrived, &done}), 0);
    while (sem_wait(&done) != 0)
        ck_assert_int_eq(errno, EINTR);
    sem_destroy(&done);
}

static void setup(void)
{
    const struct log_config nowhere = {.level = LOG_DEBUG, .queue_size = 4 * LOG_LINE_MAX};
    const char *path;

    ck_assert_int_eq(log_open(&nowhere, &path), 0);
    ck_assert_int_eq(log_start(), 0);
    ck_assert_int_eq(log_attach(), 0);
    memset(listening, -1, sizeof(listening));
    spec = (struct health_spec){.type = HEALTH_TCP,
                                .interval_ms = 20,
                                .fast_interval_ms = 20,
                                .timeout_ms = PATIENCE_MS,
                                .rise = 2,
                                .fall = 2,
                                .initial = HEALTH_FULLY_UP,
                                .agent_interval_ms = 20};
}

static void teardown(void)
{
    if (health)
        ck_assert_int_eq(health_stop(health), 0);
    health_destroy(health);
    pool_destroy(pool);
    pool_destroy(other);
    log_detach();
    log_stop();
    for (size_t i = 0; i < SERVERS_MAX; i++)
        if (listening[i] >= 0)
            close(listening[i]);
}

START_TEST(the_first_states_stand_before_the_thread_runs)
{
    static const struct {
        enum health_initial initial;
        bool up;
    } cases[] = {
        {HEALTH_UP, true}, {HEALTH_FULLY_UP, true}, {HEALTH_DOWN, false}, {HEALTH_FULLY_DOWN, false}};

    add_server(true);
    add_server(true)->backup = true;
    for (size_t i = 0; i < 4; i++) {
        spec.initial = cases[i].initial;
        create(4);
        ck_assert_uint_eq(flags_of(0), cases[i].up ? 0 : SERVER_CHECK_DOWN);
        ck_assert_uint_eq(flags_of(1), cases[i].up ? 0 : SERVER_CHECK_DOWN);
        ck_assert(pool_backups_promoted(pool) == !cases[i].up);
        ck_assert_int_eq(health_stop(health), 0); /* it never ran */
        health_destroy(health);
        pool_destroy(pool);
        health = NULL;
        pool = NULL;
    }
}
END_TEST

START_TEST(only_an_agent_takes_no_server_out_by_itself)
{
    add_server(false);
    spec.type = HEALTH_NONE;
    spec.initial = HEALTH_DOWN;
    create(4);
    ck_assert_uint_eq(flags_of(0), 0);
}
END_TEST

START_TEST(a_server_that_is_not_there_is_taken_out_and_the_backups_are_promoted)
{
    add_server(false);
    add_server(false);
    add_server(true)->backup = true;
    run(4);
    UNTIL_FLAGS(0, SERVER_CHECK_DOWN);
    UNTIL_FLAGS(1, SERVER_CHECK_DOWN);
    UNTIL_SEEN(pool_backups_promoted(pool), it);
    ck_assert_uint_eq(flags_of(2), 0);
}
END_TEST

START_TEST(a_server_that_comes_goes_and_comes_elsewhere_is_followed)
{
    struct server *server;
    int fd;

    add_server(true);
    servers[0].absent = true;
    spec.initial = HEALTH_FULLY_DOWN;
    run(4);
    server = pool_server(pool, 0);
    usleep(QUIET_MS * 1000);
    ck_assert_uint_eq(flags_of(0), SERVER_ABSENT | SERVER_CHECK_DOWN);

    (void)pool_change_flags(pool, server, 0, SERVER_ABSENT, clock_monotonic_ns() / 1000000u);
    ck_assert_uint_eq(flags_of(0), SERVER_CHECK_DOWN); /* as before its first check */
    tell(server);
    UNTIL_FLAGS(0, 0);
    UNTIL_SEEN(pool_backups_promoted(pool), !it); /* right behind the flags */

    (void)pool_change_flags(pool, server, SERVER_ABSENT, 0, clock_monotonic_ns() / 1000000u);
    tell(server);
    ck_assert_uint_eq(flags_of(0), SERVER_ABSENT | SERVER_CHECK_DOWN);
    ck_assert(pool_backups_promoted(pool));
    usleep(QUIET_MS * 1000);
    ck_assert_uint_eq(flags_of(0), SERVER_ABSENT | SERVER_CHECK_DOWN);

    server->address = place(false, &fd);
    (void)pool_change_flags(pool, server, 0, SERVER_ABSENT, clock_monotonic_ns() / 1000000u);
    tell(server);
    usleep(QUIET_MS * 1000);
    ck_assert_uint_eq(flags_of(0), SERVER_CHECK_DOWN);

    (void)pool_change_flags(pool, server, SERVER_ABSENT, 0, clock_monotonic_ns() / 1000000u);
    tell(server);
    server->address = place(true, &listening[1]);
    (void)pool_change_flags(pool, server, 0, SERVER_ABSENT, clock_monotonic_ns() / 1000000u);
    tell(server);
    UNTIL_FLAGS(0, 0);
}
END_TEST

START_TEST(a_configured_down_server_is_not_asked)
{
    spec.initial = HEALTH_FULLY_DOWN;
    add_server(true)->down = true;
    add_server(true);
    run(4);
    UNTIL_FLAGS(1, 0);
    ck_assert_uint_eq(flags_of(0), SERVER_DOWN | SERVER_CHECK_DOWN);
}
END_TEST

START_TEST(a_letter_about_a_strange_server_is_passed_over)
{
    add_server(true);
    run(4);
    other = make_pool("other");
    tell(pool_server(other, 0));
    ck_assert_uint_eq(flags_of(0), 0);
}
END_TEST

START_TEST(many_servers_have_their_turn_at_one_place)
{
    for (size_t i = 0; i < SERVERS_MAX; i++)
        add_server(i % 2 == 0);
    spec.initial = HEALTH_FULLY_DOWN;
    run(1);
    for (size_t i = 0; i < SERVERS_MAX; i += 2)
        UNTIL_FLAGS(i, 0);
    for (size_t i = 1; i < SERVERS_MAX; i += 2)
        ck_assert_uint_eq(flags_of(i), SERVER_CHECK_DOWN);
}
END_TEST

/* One that hangs has the only place; others wait behind it. A letter then takes the waiting ones out of the
 * queue, and back to its end. */
START_TEST(letters_and_the_end_come_while_servers_wait_for_a_place)
{
    static const struct health_range good = {200, 299};

    for (size_t i = 0; i < 5; i++)
        add_server(true); /* nobody accepts: the request is never answered */
    spec.type = HEALTH_HTTP;
    spec.method = "GET";
    spec.path = "/";
    spec.expect = &good;
    spec.n_expect = 1;
    run(1);
    usleep(QUIET_MS * 1000);
    for (size_t round = 0; round < 3; round++)
        for (size_t i = 5; i-- > 0;)
            tell(pool_server(pool, i));
    for (size_t i = 0; i < 5; i++)
        ck_assert_uint_eq(flags_of(i), 0);
}
END_TEST

static void answer_agent(int fd, const char *line)
{
    int connection;

    ck_assert(readable(fd, PATIENCE_MS));
    connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    ck_assert_int_ge(connection, 0);
    (void)!send(connection, line, strlen(line), MSG_NOSIGNAL);
    close(connection);
}

START_TEST(an_agents_words_are_flags_and_a_share)
{
    struct server *server;

    add_server(true);
    spec.type = HEALTH_NONE;
    spec.agent_port = ntohs(servers[0].address.in.sin_port);
    run(4);
    server = pool_server(pool, 0);
    answer_agent(listening[0], "down maint drain 40%\n");
    UNTIL_FLAGS(0, SERVER_AGENT_DOWN | SERVER_AGENT_DRAIN); /* drain is the last word of its kind */
    UNTIL_SEEN(atomic_load(&server->share), it == 40);
    answer_agent(listening[0], "maint up\n");
    UNTIL_FLAGS(0, SERVER_AGENT_MAINT);
    answer_agent(listening[0], "ready 0%\n");
    UNTIL_FLAGS(0, SERVER_AGENT_DRAIN);
    ck_assert_uint_eq(atomic_load(&server->share), 40);
    answer_agent(listening[0], "garbage\n");
    answer_agent(listening[0], "100%\n");
    UNTIL_FLAGS(0, 0);
    ck_assert_uint_eq(atomic_load(&server->share), 100);

    /* What an agent said of a server is not said of the one that comes after it. */
    answer_agent(listening[0], "down 10%\n");
    UNTIL_FLAGS(0, SERVER_AGENT_DOWN);
    tell(server);
    ck_assert_uint_eq(flags_of(0), 0);
    ck_assert_uint_eq(atomic_load(&server->share), 100);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("health");
    TCase *tests = tcase_create("promises");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, the_first_states_stand_before_the_thread_runs);
    tcase_add_test(tests, only_an_agent_takes_no_server_out_by_itself);
    tcase_add_test(tests, a_server_that_is_not_there_is_taken_out_and_the_backups_are_promoted);
    tcase_add_test(tests, a_server_that_comes_goes_and_comes_elsewhere_is_followed);
    tcase_add_test(tests, a_configured_down_server_is_not_asked);
    tcase_add_test(tests, a_letter_about_a_strange_server_is_passed_over);
    tcase_add_test(tests, many_servers_have_their_turn_at_one_place);
    tcase_add_test(tests, letters_and_the_end_come_while_servers_wait_for_a_place);
    tcase_add_test(tests, an_agents_words_are_flags_and_a_share);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
