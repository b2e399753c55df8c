/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tests of the health thread as a whole, with pools of real servers on the loopback: what it makes of flags
 * and promotion, one place for many, what it publishes, and its end. How it follows snapshots is in
 * test_health_adopt.c.
 */
#include "health_fixture.h"

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
        ck_assert(pool_backups_promoted(current->pool) == !cases[i].up);
        end_health(); /* it never ran */
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
    UNTIL_FLAGS(0, SERVER_CHECKED | SERVER_CHECK_DOWN);
    UNTIL_FLAGS(1, SERVER_CHECKED | SERVER_CHECK_DOWN);
    UNTIL_SEEN(pool_backups_promoted(current->pool), it);
    ck_assert(server_is_in_service(server_at(2)));
}
END_TEST

START_TEST(a_configured_down_server_is_not_asked)
{
    spec.initial = HEALTH_FULLY_DOWN;
    add_server(true)->down = true;
    add_server(true);
    run(4);
    UNTIL_FLAGS(1, SERVER_CHECKED);
    ck_assert_uint_eq(flags_of(0), SERVER_DOWN | SERVER_CHECK_DOWN);
}
END_TEST

START_TEST(many_servers_have_their_turn_at_one_place)
{
    for (size_t i = 0; i < SERVERS_MAX; i++)
        add_server(i % 2 == 0);
    spec.initial = HEALTH_FULLY_DOWN;
    run(1);
    for (size_t i = 0; i < SERVERS_MAX; i += 2)
        UNTIL_FLAGS(i, SERVER_CHECKED);
    for (size_t i = 1; i < SERVERS_MAX; i += 2)
        ck_assert(!server_is_in_service(server_at(i)));
}
END_TEST

/* One that hangs has the only place; others wait behind it. */
START_TEST(the_end_comes_while_servers_wait_for_a_place)
{
    for (size_t i = 0; i < 5; i++)
        add_server(true); /* nobody accepts: the request is never answered */
    use_http();
    run(1);
    usleep(QUIET_MS * 1000);
    for (size_t i = 0; i < 5; i++)
        ck_assert_uint_eq(flags_of(i), 0);
}
END_TEST

START_TEST(an_agents_words_are_flags_and_a_share)
{
    const struct server_state *state;

    add_server(true);
    spec.type = HEALTH_NONE;
    spec.agent_port = ntohs(servers[0].address.in.sin_port);
    run(4);
    state = server_at(0)->state;
    answer_agent(0, "down maint drain 40%\n");
    UNTIL_FLAGS(0, SERVER_AGENT_DOWN | SERVER_AGENT_DRAIN); /* drain is the last word of its kind */
    UNTIL_SEEN(atomic_load(&state->share), it == 40);
    answer_agent(0, "maint up\n");
    UNTIL_FLAGS(0, SERVER_AGENT_MAINT);
    answer_agent(0, "ready 0%\n");
    UNTIL_FLAGS(0, SERVER_AGENT_DRAIN);
    ck_assert_uint_eq(atomic_load(&state->share), 40);
    answer_agent(0, "garbage\n");
    answer_agent(0, "100%\n");
    UNTIL_FLAGS(0, 0);
    ck_assert_uint_eq(atomic_load(&state->share), 100);
}
END_TEST

static bool published(const struct server_checks *checks, enum check_result result, unsigned status)
{
    return atomic_load(&checks->last) == ((unsigned)result | status << 8);
}

START_TEST(what_came_of_the_last_check_is_published)
{
    const struct server_checks *checks;

    add_server(true);
    spec.fall = spec.rise = 1;
    use_http();
    run(4);
    checks = &server_at(0)->state->checks;
    ck_assert_uint_eq(atomic_load(&checks->last), 0);
    answer_status(0, 204);
    UNTIL_SEEN(published(checks, RESULT_L7OK, 204), it);
    ck_assert_uint_eq(atomic_load(&checks->changed_ms), 0); /* it has always been up */
    ck_assert_uint_eq(atomic_load(&checks->failures), 0);

    answer_status(0, 503);
    UNTIL_SEEN(published(checks, RESULT_L7STS, 503), it);
    UNTIL_SEEN(atomic_load(&checks->changed_ms), it != 0);
    ck_assert_uint_eq(atomic_load(&checks->failures), 1);
    ck_assert_uint_eq(atomic_load(&checks->downs), 1);
    ck_assert_uint_eq(atomic_load(&checks->down_ms), 0); /* not over yet */

    answer(accept_request(0), "");
    UNTIL_SEEN(published(checks, RESULT_L7RSP, 0), it);
    answer_status(0, 200);
    UNTIL_SEEN(atomic_load(&checks->down_ms), it > 0);
    ck_assert_uint_eq(atomic_load(&checks->failures), 2);
    ck_assert_uint_eq(atomic_load(&checks->downs), 1);
}
END_TEST

START_TEST(where_there_is_only_an_agent_its_result_is_published)
{
    const struct server_checks *checks;

    add_server(true);
    spec.type = HEALTH_NONE;
    spec.agent_port = ntohs(servers[0].address.in.sin_port);
    run(4);
    checks = &server_at(0)->state->checks;
    answer_agent(0, "down\n");
    UNTIL_SEEN(published(checks, RESULT_L7OK, 0), it);
    UNTIL_SEEN(atomic_load(&checks->downs), it == 1);
    answer_agent(0, "garbage\n");
    UNTIL_SEEN(published(checks, RESULT_L7RSP, 0), it);
}
END_TEST

START_TEST(results_are_called_as_haproxy_calls_them)
{
    ck_assert_str_eq(health_result_name(0), "UNK");
    ck_assert_str_eq(health_result_name(RESULT_L7STS), "L7STS");
    ck_assert_str_eq(health_result_name(N_CHECK_RESULTS), "UNK");
    ck_assert_str_eq(health_result_name(255), "UNK");
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
    tcase_add_test(tests, a_configured_down_server_is_not_asked);
    tcase_add_test(tests, many_servers_have_their_turn_at_one_place);
    tcase_add_test(tests, the_end_comes_while_servers_wait_for_a_place);
    tcase_add_test(tests, an_agents_words_are_flags_and_a_share);
    tcase_add_test(tests, what_came_of_the_last_check_is_published);
    tcase_add_test(tests, where_there_is_only_an_agent_its_result_is_published);
    tcase_add_test(tests, results_are_called_as_haproxy_calls_them);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
