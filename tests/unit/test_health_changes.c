/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tests of what the health thread makes of a check or an agent that another snapshot has changed, added or taken
 * away, and of what is known of a server from before: from an earlier process or an earlier snapshot.
 */
#include "health_fixture.h"

/* As an earlier process, or an earlier snapshot, has left them. */
static void begin_with_flags(uint32_t flags)
{
    current = make_version(NULL);
    pool_change_flags(current->pool, server_at(0), flags, 0, now_ms());
}

START_TEST(another_check_is_made_soon_and_the_old_one_given_up)
{
    int fd;

    add_server(true);
    use_rare_http();
    run(4);
    fd = accept_request(0);
    spec.path = "/other";
    adopt();
    expect_given_up(fd);
    fd = accept_one(0);
    ck_assert_ptr_nonnull(strstr(read_request(fd), "GET /other HTTP/1.1\r\n"));
    answer(fd, OK_RESPONSE);
    UNTIL_FLAGS(0, SERVER_CHECKED);
}
END_TEST

START_TEST(another_kind_of_check_is_made_too)
{
    add_server(true);
    spec.interval_ms = spec.fast_interval_ms = NEVER_MS;
    spec.initial = HEALTH_DOWN;
    run(4);
    UNTIL_FLAGS(0, SERVER_CHECKED);
    use_rare_http();
    adopt();
    answer_status(0, 200);
    UNTIL_SEEN(atomic_load(&server_at(0)->state->checks.last), it == (RESULT_L7OK | 200u << 8));
}
END_TEST

/* One failure was in; with another check it takes two again. */
START_TEST(another_check_leaves_a_server_up_and_counts_anew)
{
    const struct server_checks *checks;

    add_server(true);
    use_http();
    spec.interval_ms = spec.fast_interval_ms = 50;
    run(4);
    answer_status(0, 503);
    checks = &server_at(0)->state->checks;
    UNTIL_SEEN(atomic_load(&checks->failures), it == 1);
    spec.path = "/other";
    adopt();
    answer_status(0, 503);
    UNTIL_SEEN(atomic_load(&checks->failures), it == 2);
    ck_assert(is_up(0));
    answer_status(0, 503);
    UNTIL_FLAGS(0, SERVER_CHECKED | SERVER_CHECK_DOWN);
}
END_TEST

/* A good one was in, and does not count either. */
START_TEST(another_check_leaves_a_server_down)
{
    add_server(true);
    use_http();
    spec.interval_ms = spec.fast_interval_ms = 50;
    spec.initial = HEALTH_FULLY_DOWN;
    run(4);
    answer_status(0, 200);
    UNTIL_FLAGS(0, SERVER_CHECKED | SERVER_CHECK_DOWN);
    spec.path = "/other";
    adopt();
    ck_assert_uint_eq(flags_of(0), SERVER_CHECKED | SERVER_CHECK_DOWN);
    answer_status(0, 201);
    UNTIL_SEEN(atomic_load(&server_at(0)->state->checks.last), it == (RESULT_L7OK | 201u << 8));
    usleep(QUIET_MS * 1000);
    ck_assert(!is_up(0));
    answer_status(0, 200);
    UNTIL_FLAGS(0, SERVER_CHECKED);
}
END_TEST

START_TEST(without_its_check_a_server_is_back)
{
    add_server(false);
    add_server(true)->backup = true;
    spec.interval_ms = spec.fast_interval_ms = 10;
    run(4);
    UNTIL_FLAGS(0, SERVER_CHECKED | SERVER_CHECK_DOWN);
    UNTIL_SEEN(pool_backups_promoted(current->pool), it);
    is_checked = false;
    adopt();
    ck_assert_uint_eq(flags_of(0), 0);
    ck_assert(!pool_backups_promoted(current->pool));
    ck_assert_uint_gt(atomic_load(&server_at(0)->state->checks.changed_ms), 0);
    usleep(QUIET_MS * 1000);
    ck_assert_uint_eq(flags_of(0), 0);
    ck_assert(nobody_comes(1));

    is_checked = true;
    spec.initial = HEALTH_FULLY_DOWN;
    adopt();
    ck_assert_uint_eq(flags_of(0) & SERVER_OUT, SERVER_CHECK_DOWN);
}
END_TEST

START_TEST(another_agent_is_asked_soon_and_the_old_one_given_up)
{
    struct sockaddr_in elsewhere;
    int fd;

    add_server(true);
    listening[1] = tcp_listen(&elsewhere);
    spec.type = HEALTH_NONE;
    spec.agent_interval_ms = NEVER_MS;
    spec.agent_port = ntohs(servers[0].address.in.sin_port);
    run(4);
    fd = accept_one(0);
    spec.agent_port = ntohs(elsewhere.sin_port);
    adopt();
    expect_given_up(fd);
    answer_agent(1, "maint\n");
    UNTIL_FLAGS(0, SERVER_AGENT_MAINT);
}
END_TEST

START_TEST(without_its_agent_a_servers_words_are_taken_back)
{
    add_server(true);
    spec.type = HEALTH_NONE;
    spec.agent_port = ntohs(servers[0].address.in.sin_port);
    run(4);
    answer_agent(0, "down drain 40%\n");
    UNTIL_FLAGS(0, SERVER_AGENT_DOWN | SERVER_AGENT_DRAIN);
    adopt();
    ck_assert_uint_eq(flags_of(0), SERVER_AGENT_DOWN | SERVER_AGENT_DRAIN);
    ck_assert_uint_eq(atomic_load(&server_at(0)->state->share), 40);
    spec.agent_port = 0;
    adopt();
    ck_assert_uint_eq(flags_of(0), 0);
    ck_assert_uint_eq(atomic_load(&server_at(0)->state->share), 100);
}
END_TEST

START_TEST(a_server_known_from_before_begins_as_it_was)
{
    static const uint32_t flags[] = {SERVER_CHECKED, SERVER_CHECKED | SERVER_CHECK_DOWN};

    use_rare_http();
    add_server(true);
    spec.initial = _i == 0 ? HEALTH_FULLY_DOWN : HEALTH_FULLY_UP;
    begin_with_flags(flags[_i]);
    run(4);
    ck_assert_uint_eq(flags_of(0), flags[_i]);
    adopt();
    ck_assert_uint_eq(flags_of(0), flags[_i]);
    answer_status(0, _i == 0 ? 503 : 200); /* one of two: it stays */
    UNTIL_SEEN(atomic_load(&server_at(0)->state->checks.last), it != 0);
    ck_assert_uint_eq(flags_of(0), flags[_i]);
}
END_TEST

START_TEST(a_time_out_of_service_goes_on_over_processes)
{
    struct server_checks *checks;

    add_server(true);
    spec.rise = 1;
    begin_with_flags(SERVER_CHECKED | SERVER_CHECK_DOWN);
    checks = &server_at(0)->state->checks;
    atomic_store(&checks->changed_ms, now_ms() - 5000);
    atomic_store(&checks->down_ms, 1000);
    run(4);
    UNTIL_SEEN(atomic_load(&checks->down_ms), it != 1000);
    ck_assert_uint_ge(atomic_load(&checks->down_ms), 6000);
    ck_assert_uint_eq(atomic_load(&checks->downs), 0); /* this one was counted before */
}
END_TEST

START_TEST(flags_from_before_without_a_verdict_or_a_check_mean_nothing)
{
    add_server(true);
    use_rare_http();
    is_checked = _i == 0;
    begin_with_flags(_i == 0 ? SERVER_CHECK_DOWN : SERVER_CHECKED | SERVER_CHECK_DOWN | SERVER_AGENT_MAINT);
    create(4);
    ck_assert_uint_eq(flags_of(0), 0);
}
END_TEST

/* Whether a word or a share of 0 had begun it. */
START_TEST(a_drain_from_before_ends_by_the_agents_next_word_or_share)
{
    static const char *const ends[] = {"ready\n", "50%\n", "100% up\n"};

    add_server(true);
    spec.type = HEALTH_NONE;
    spec.agent_port = ntohs(servers[0].address.in.sin_port);
    begin_with_flags(SERVER_AGENT_DRAIN | SERVER_AGENT_DOWN);
    run(4);
    ck_assert_uint_eq(flags_of(0), SERVER_AGENT_DRAIN | SERVER_AGENT_DOWN);
    answer_agent(0, "up\n");
    UNTIL_FLAGS(0, SERVER_AGENT_DRAIN);
    answer_agent(0, ends[_i]);
    UNTIL_FLAGS(0, 0);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, another_check_is_made_soon_and_the_old_one_given_up);
    tcase_add_test(tests, another_kind_of_check_is_made_too);
    tcase_add_test(tests, another_check_leaves_a_server_up_and_counts_anew);
    tcase_add_test(tests, another_check_leaves_a_server_down);
    tcase_add_test(tests, without_its_check_a_server_is_back);
    tcase_add_test(tests, another_agent_is_asked_soon_and_the_old_one_given_up);
    tcase_add_test(tests, without_its_agent_a_servers_words_are_taken_back);
    tcase_add_loop_test(tests, a_server_known_from_before_begins_as_it_was, 0, 2);
    tcase_add_test(tests, a_time_out_of_service_goes_on_over_processes);
    tcase_add_loop_test(tests, flags_from_before_without_a_verdict_or_a_check_mean_nothing, 0, 2);
    tcase_add_loop_test(tests, a_drain_from_before_ends_by_the_agents_next_word_or_share, 0, 3);
}

int main(void)
{
    return health_main("health_changes", add_tests);
}
