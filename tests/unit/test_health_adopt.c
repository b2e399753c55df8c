/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tests of how the health thread follows snapshots: each adoption here frees all that the one before it was
 * made of, so that AddressSanitizer sees a use of it. Other checks and agents are in test_health_changes.c.
 */
#include "health_fixture.h"

START_TEST(a_probe_in_flight_survives_ten_adoptions)
{
    int fd;

    add_server(true);
    use_rare_http();
    spec.initial = HEALTH_DOWN;
    run(4);
    fd = accept_request(0);
    for (unsigned i = 0; i < 10; i++)
        adopt();
    ck_assert_uint_eq(flags_of(0), SERVER_CHECK_DOWN);
    answer(fd, OK_RESPONSE);
    UNTIL_FLAGS(0, SERVER_CHECKED);
    ck_assert(nobody_comes(0));
}
END_TEST

static bool holds_text(const void *context, const char *body, size_t len)
{
    return memmem(body, len, context, strlen(context)) != NULL;
}

START_TEST(the_rest_of_an_answer_is_judged_by_the_new_snapshot)
{
    static const char begun[] = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nall";
    int fd;

    add_server(true);
    use_rare_http();
    spec.initial = HEALTH_DOWN;
    spec.body_matches = holds_text;
    spec.body = "well";
    run(4);
    fd = accept_request(0);
    send_all(fd, begun, sizeof(begun) - 1);
    adopt();
    adopt();
    answer(fd, " well");
    UNTIL_FLAGS(0, SERVER_CHECKED);
}
END_TEST

/* The listener's queue is full, so the name of the server is asked for after the adoption, when it connects.
 */
START_TEST(a_connection_that_is_being_made_survives_an_adoption)
{
    int fillers[8], fd;

    add_server(true);
    ck_assert_int_eq(listen(listening[0], 0), 0);
    for (size_t i = 0; i < 8; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(fillers[i], &servers[0].address.sa, servers[0].address.len);
    }
    use_rare_http();
    spec.initial = HEALTH_DOWN;
    run(4);
    usleep(QUIET_MS * 1000);
    adopt();
    for (size_t i = 0; i < 8; i++)
        close(fillers[i]);
    ck_assert_int_eq(listen(listening[0], 64), 0);
    do { /* first come the fillers, which say nothing */
        char byte;

        fd = accept_one(0);
        ck_assert(readable(fd, PATIENCE_MS));
        if (recv(fd, &byte, 1, MSG_PEEK) == 1)
            break;
        close(fd);
    } while (true);
    ck_assert_ptr_nonnull(strstr(read_request(fd), "\r\nHost: server-0\r\n"));
    answer(fd, OK_RESPONSE);
    UNTIL_FLAGS(0, SERVER_CHECKED);
}
END_TEST

START_TEST(adoptions_quicker_than_the_interval_put_no_check_off)
{
    add_server(false);
    spec.interval_ms = spec.fast_interval_ms = 50;
    spec.fall = 3;
    run(4);
    for (const uint64_t end_ms = now_ms() + PATIENCE_MS; is_up(0); adopt())
        ck_assert_uint_lt(now_ms(), end_ms);
}
END_TEST

START_TEST(what_was_counted_stays_counted)
{
    add_server(true);
    use_http();
    spec.interval_ms = spec.fast_interval_ms = 50;
    run(4);
    answer_status(0, 503);
    UNTIL_SEEN(atomic_load(&server_at(0)->state->checks.failures), it == 1);
    adopt();
    answer_status(0, 503);
    UNTIL_FLAGS(0, SERVER_CHECKED | SERVER_CHECK_DOWN);
    adopt();
    answer_status(0, 200);
    adopt();
    answer_status(0, 200);
    UNTIL_FLAGS(0, SERVER_CHECKED);
}
END_TEST

/* The second has been asked, and the first waits for its answer. Returns the connection to the first. */
static int ask_two_servers(void)
{
    add_server(true);
    add_server(true);
    use_http();
    run(4);
    close(accept_request(1));
    return accept_request(0);
}

START_TEST(a_server_that_left_is_let_go_of_at_once)
{
    int fd = ask_two_servers();

    remove_server(0);
    adopt();
    expect_given_up(fd);
    close(accept_request(1)); /* the other goes on */
    ck_assert(nobody_comes(0));
}
END_TEST

START_TEST(a_pool_that_left_is_let_go_of_at_once)
{
    int fd = ask_two_servers();

    adopt_pools(NULL, 0, NULL);
    expect_given_up(fd);
    ck_assert(nobody_comes(0));
    while (!nobody_comes(1)) { /* one may have been on its way */
        fd = accept_one(1);
        expect_given_up(fd);
    }
}
END_TEST

START_TEST(a_new_server_begins_as_configured_and_is_asked_soon)
{
    add_server(true);
    use_rare_http();
    spec.initial = HEALTH_DOWN;
    run(4);
    answer_status(0, 200);
    UNTIL_FLAGS(0, SERVER_CHECKED);
    add_server(true);
    adopt();
    ck_assert_uint_eq(flags_of(1), SERVER_CHECK_DOWN);
    answer_status(1, 200);
    UNTIL_FLAGS(1, SERVER_CHECKED);
    ck_assert(nobody_comes(0));
}
END_TEST

START_TEST(a_server_taken_down_is_left_alone_until_it_is_brought_up)
{
    int fd;

    add_server(true);
    use_rare_http();
    run(4);
    fd = accept_request(0);
    servers[0].down = true;
    adopt();
    expect_given_up(fd);
    adopt();
    ck_assert(nobody_comes(0));
    ck_assert_uint_eq(flags_of(0), SERVER_DOWN);
    servers[0].down = false;
    adopt();
    answer_status(0, 200);
    UNTIL_FLAGS(0, SERVER_CHECKED);
}
END_TEST

/* What the thread finds out afterwards goes to the members of now. */
START_TEST(promotion_goes_by_the_servers_of_the_new_pool)
{
    add_server(true);
    add_server(false);
    add_server(true)->backup = true;
    run(4);
    UNTIL_FLAGS(1, SERVER_CHECKED | SERVER_CHECK_DOWN);
    ck_assert(!pool_backups_promoted(current->pool));
    remove_server(0);
    adopt();
    ck_assert(pool_backups_promoted(current->pool));
    add_server(true);
    adopt();
    ck_assert(!pool_backups_promoted(current->pool));
}
END_TEST

START_TEST(each_change_is_told_once_whatever_snapshots_come)
{
    add_server(false);
    add_server(true)->backup = true;
    spec.interval_ms = spec.fast_interval_ms = 10;
    run(4);
    UNTIL_SEEN(pool_backups_promoted(current->pool), it);
    for (unsigned i = 0; i < 5; i++)
        adopt();
    is_checked = false;
    adopt();
    adopt();
    end_health();
    end_log();
    ck_assert_uint_eq(count_logged("server is down pool=pool server=server-0 from=UP to=DOWN"), 1);
    ck_assert_uint_eq(count_logged("server is up pool=pool server=server-0 from=DOWN to=UP "
                                   "reason=\"not checked any more\""),
                      1);
    ck_assert_uint_eq(count_logged("server is "), 2);
    ck_assert_uint_eq(count_logged("backups are promoted pool=pool"), 1);
    ck_assert_uint_eq(count_logged("primaries are back pool=pool"), 1);
    ck_assert_uint_eq(count_logged("no server is left"), 0);
    ck_assert_uint_eq(count_logged("health pool=pool servers=2"), 1); /* what was counted, at the end */
}
END_TEST

START_TEST(counters_of_servers_and_pools_that_left_are_told)
{
    add_server(false);
    add_server(true);
    spec.interval_ms = spec.fast_interval_ms = 10;
    run(4);
    UNTIL_SEEN(flags_of(0), it & SERVER_CHECK_DOWN);
    remove_server(0);
    adopt();
    adopt_pools(NULL, 0, NULL);
    end_health();
    end_log();
    ck_assert_uint_eq(count_logged("health pool=pool servers=1"), 1);
    ck_assert_uint_eq(count_logged(" failures=0"), 0);
    ck_assert_uint_eq(count_logged("transitions=1"), 1);
}
END_TEST

/* One that hangs has the only place; the others wait behind it, leave the queue, and come to its end. */
START_TEST(adoptions_and_the_end_come_while_servers_wait_for_a_place)
{
    for (size_t i = 0; i < 6; i++)
        add_server(true);
    use_http();
    run(1);
    usleep(QUIET_MS * 1000);
    adopt();
    for (size_t round = 0; round < 3; round++) {
        remove_server(round);
        add_server(true);
        adopt();
    }
    spec.path = "/other";
    adopt();
    usleep(QUIET_MS * 1000);
    for (size_t i = 0; i < 6; i++)
        ck_assert(is_up(i));
}
END_TEST

START_TEST(pools_come_and_go)
{
    struct pool *others[3];
    static const char *const called[] = {"a", "other", "z"}; /* before and behind "pool" */
    struct health_pool pools[4];

    add_server(true);
    use_rare_http();
    spec.initial = HEALTH_DOWN;
    run(4);
    answer_status(0, 200);
    UNTIL_FLAGS(0, SERVER_CHECKED);
    for (size_t i = 0; i < 3; i++) {
        others[i] = make_pool(called[i], NULL);
        pools[i] = (struct health_pool){others[i], &current->spec};
    }
    pools[3] = checked(current);
    adopt_pools(pools, 4, NULL);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_uint_eq(server_flags(pool_server(others[i], 0)), SERVER_CHECK_DOWN);
        answer_status(0, 200);
    }
    for (size_t i = 0; i < 3; i++)
        UNTIL_SEEN(server_flags(pool_server(others[i], 0)), it == SERVER_CHECKED);
    ck_assert(nobody_comes(0));
    adopt_pools(&pools[1], 1, NULL);
    put_pool(others[0]);
    put_pool(others[2]);
    adopt_pools(NULL, 0, NULL);
    put_pool(others[1]);
    adopt_pools(&pools[3], 1, NULL); /* it is known from before */
    ck_assert_uint_eq(flags_of(0), SERVER_CHECKED);
}
END_TEST

START_TEST(a_plan_that_is_not_posted_changes_nothing)
{
    struct version *next;
    struct health_plan *plan;
    int fd;

    add_server(true);
    use_rare_http();
    run(4);
    fd = accept_request(0);
    spec.path = "/other";
    next = make_version(NULL);
    ck_assert_int_eq(health_plan_create(&(struct health_pool){next->pool, &next->spec}, 1, &plan), 0);
    ck_assert(!health_plan_is_adopted(plan));
    health_plan_destroy(plan);
    free_version(next);
    answer(fd, OK_RESPONSE);
    UNTIL_FLAGS(0, SERVER_CHECKED);
}
END_TEST

/* Letters that the end came before, and one in between, while a probe is in flight. */
START_TEST(the_end_may_come_before_a_plan_is_adopted)
{
    struct version *next[2];
    struct health_plan *plans[2];

    add_server(true);
    use_rare_http();
    run(4);
    close(accept_request(0));
    for (size_t i = 0; i < 2; i++) {
        const struct health_pool pool = {(next[i] = make_version(current->pool))->pool, &next[i]->spec};

        ck_assert_int_eq(health_plan_create(&pool, 1, &plans[i]), 0);
        ck_assert_int_eq(
            mailbox_post(&health_worker(health)->mailbox, (struct letter){health_adopt, plans[i]}), 0);
    }
    ck_assert_int_eq(health_stop(health), 0);
    health_plan_destroy(plans[0]);
    health_plan_destroy(plans[1]);
    health_destroy(health);
    health = NULL;
    free_version(next[0]);
    free_version(next[1]);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, a_probe_in_flight_survives_ten_adoptions);
    tcase_add_test(tests, the_rest_of_an_answer_is_judged_by_the_new_snapshot);
    tcase_add_test(tests, a_connection_that_is_being_made_survives_an_adoption);
    tcase_add_test(tests, adoptions_quicker_than_the_interval_put_no_check_off);
    tcase_add_test(tests, what_was_counted_stays_counted);
    tcase_add_test(tests, a_server_that_left_is_let_go_of_at_once);
    tcase_add_test(tests, a_pool_that_left_is_let_go_of_at_once);
    tcase_add_test(tests, a_new_server_begins_as_configured_and_is_asked_soon);
    tcase_add_test(tests, a_server_taken_down_is_left_alone_until_it_is_brought_up);
    tcase_add_test(tests, promotion_goes_by_the_servers_of_the_new_pool);
    tcase_add_test(tests, each_change_is_told_once_whatever_snapshots_come);
    tcase_add_test(tests, counters_of_servers_and_pools_that_left_are_told);
    tcase_add_test(tests, adoptions_and_the_end_come_while_servers_wait_for_a_place);
    tcase_add_test(tests, pools_come_and_go);
    tcase_add_test(tests, a_plan_that_is_not_posted_changes_nothing);
    tcase_add_test(tests, the_end_may_come_before_a_plan_is_adopted);
}

int main(void)
{
    return health_main("health_adopt", add_tests);
}
