/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tests of what happens from one pool object to the next: which server keeps its state, what a commit writes, what the
 * old pool object still may do, and who frees what. What the passive check and the strategies have learnt is in
 * test_succession_passive.c and test_succession_plan.c.
 */
#include "succession_fixture.h"

/* Adoption. */

START_TEST(a_server_that_stays_keeps_its_state_wherever_it_stands)
{
    begin(3);
    struct server_state *states[] = {state_of(0), state_of(1), state_of(2)};

    swap(0, 2);
    servers[1].backup = true;
    servers[1].weight = 7;
    succeed(3, 1);
    ck_assert_ptr_eq(state_of(2), states[0]);
    ck_assert_ptr_eq(state_of(1), states[1]);
    ck_assert_ptr_eq(state_of(0), states[2]);
    end_old(0);
}
END_TEST

START_TEST(another_name_or_another_address_is_another_server)
{
    begin(3);
    struct server_state *states[] = {state_of(0), state_of(1), state_of(2)};

    servers[0].name = "z:80";
    servers[1].address.in.sin_port = htons(81);
    succeed(3, 1);
    ck_assert_ptr_ne(state_of(0), states[0]);
    ck_assert_ptr_ne(state_of(1), states[1]);
    ck_assert_ptr_eq(state_of(2), states[2]);
    ck_assert_str_eq(state_of(0)->name, "z:80");
    ck_assert_uint_eq(ntohs(state_of(1)->address.in.sin_port), 81);
    end_old(2);
}
END_TEST

START_TEST(a_unix_socket_is_known_by_its_path)
{
    name_servers();
    for (size_t i = 0; i < 2; i++) {
        servers[i].name = "unix:/s";
        servers[i].address.un = (struct sockaddr_un){.sun_family = AF_UNIX};
        snprintf(servers[i].address.un.sun_path, sizeof servers[i].address.un.sun_path, "/s%zu", i);
        servers[i].address.len = sizeof servers[i].address.un;
    }
    start(2);
    struct server_state *states[] = {state_of(0), state_of(1)};

    swap(0, 1);
    succeed(2, 1);
    ck_assert_ptr_eq(state_of(0), states[1]);
    ck_assert_ptr_eq(state_of(1), states[0]);
    end_old(0);
}
END_TEST

START_TEST(of_servers_that_are_alike_each_keeps_a_state_of_its_own)
{
    name_servers();
    servers[1] = servers[0];
    start(2);
    struct server_state *states[] = {state_of(0), state_of(1)};

    ck_assert_ptr_ne(states[0], states[1]);
    servers[2] = servers[0];
    succeed(3, 1);
    ck_assert_ptr_eq(state_of(0), states[0]);
    ck_assert_ptr_eq(state_of(1), states[1]);
    ck_assert_ptr_ne(state_of(2), states[0]);
    ck_assert_ptr_ne(state_of(2), states[1]);
    end_old(0);
}
END_TEST

START_TEST(a_pool_that_is_not_committed_leaves_no_trace)
{
    begin(3);
    uint64_t version = pool->state->version;

    servers[0].down = true;
    servers[1].name = "z:80";
    make_next(2);
    struct server_state *states = pool_put(pool);

    ck_assert_uint_eq(count_states(states), 1);
    ck_assert_str_eq(states->name, "z:80");
    free_states(states);
    pool = old;
    old = NULL;
    ck_assert_uint_eq(pool->state->version, version);
    ck_assert_uint_eq(server_flags(pool_server(pool, 0)), 0);
    ck_assert_int_eq(share(one, 1, 1), 33);
    states = pool_put(pool);
    pool = NULL;
    ck_assert_uint_eq(count_states(states), 3);
    free_states(states);
}
END_TEST

START_TEST(a_pool_that_cannot_be_made_leaves_no_trace)
{
    char error[512];
    struct pool *failed;

    begin(3);
    servers[1].name = "z:80";
    spec.balance = "nonexistent";
    ck_assert_int_lt(pool_create(&spec, FIXTURE_WORKERS, pool, &failed, error, sizeof error), 0);
    ck_assert_ptr_null(failed);
    ck_assert_int_eq(share(one, 1, 1), 33);
    struct server_state *states = pool_put(pool);
    pool = NULL;
    ck_assert_uint_eq(count_states(states), 3);
    free_states(states);
}
END_TEST

START_TEST(the_last_reference_of_all_pools_gives_a_state_back)
{
    begin(2);
    ck_assert_ptr_eq(pool_get(pool), pool);
    ck_assert_ptr_null(pool_put(pool)); /* one is left */
    servers[0] = servers[2];
    succeed(2, 1); /* c and b */
    struct server_state *states = pool_put(old);

    old = NULL;
    ck_assert_uint_eq(count_states(states), 1);
    ck_assert_str_eq(states->name, "a:80");
    free_states(states);
    ck_assert_int_eq(share(one, 0, 1), 50);
}
END_TEST

/* The counts stand in blocks that were made together; a block is freed with the last state that has a count in it. */
START_TEST(counts_outlive_the_states_beside_them)
{
    begin(3);
    servers[0] = servers[2];
    succeed(1, 1);
    end_old(2);
    take_server(one, 0, 1);
    ck_assert_uint_eq(in_flight(0), 1);
    end(one, 0, FAIRLEAD_OK, 1);
}
END_TEST

START_TEST(a_request_counts_for_both_pools_until_it_ends)
{
    struct picker *before;

    servers[0].max_conns = 1;
    begin(1);
    before = one;
    ck_assert_int_eq(take(before, 1), 0);
    succeed(1, 1);
    ck_assert_uint_eq(in_flight(0), 1);
    ck_assert_int_eq(take(one, 1), PICKER_FULL);
    end(before, 0, FAIRLEAD_OK, 1);
    ck_assert_int_eq(take(one, 1), 0);
    ck_assert_int_eq(take(before, 1), PICKER_FULL);
    end(one, 0, FAIRLEAD_OK, 1);
    ck_assert_uint_eq(state_of(0)->picked, 2);
    end_old(0);
}
END_TEST

/* A stop that does not wait: the workers are gone, and with them what was in flight. */
START_TEST(at_the_end_states_may_be_discarded_with_requests_in_flight)
{
    begin(2);
    ck_assert_int_ge(take(one, 1), 0);
    state_of(1)->links[3].n_links = 1;
    server_states_discard(pool_put(pool));
    pool = NULL;
    server_states_discard(NULL);
}
END_TEST

/* Commit. */

START_TEST(a_commit_writes_the_flags_of_the_configuration_and_no_other)
{
    servers[0].down = servers[1].drain = true;
    begin(4);
    pool_change_flags(pool, pool_server(pool, 0), SERVER_CHECK_DOWN, 0, 1);
    pool_change_flags(pool, pool_server(pool, 2), SERVER_AGENT_DRAIN | SERVER_CHECKED, 0, 1);
    servers[0].down = servers[1].drain = false;
    servers[2].down = servers[3].drain = true;
    succeed(4, 1);
    ck_assert_uint_eq(server_flags(pool_server(pool, 0)), SERVER_CHECK_DOWN);
    ck_assert_uint_eq(server_flags(pool_server(pool, 1)), 0);
    ck_assert_uint_eq(server_flags(pool_server(pool, 2)), SERVER_DOWN | SERVER_AGENT_DRAIN | SERVER_CHECKED);
    ck_assert_uint_eq(server_flags(pool_server(pool, 3)), SERVER_DRAIN);
    end_old(0);
}
END_TEST

START_TEST(servers_that_come_begin_their_slow_start_and_others_do_not)
{
    for (size_t i = 0; i < 5; i++)
        servers[i].slow_start_ms = 1000;
    servers[1].down = true;
    begin(3);
    for (size_t i = 0; i < 3; i++)
        ck_assert_uint_eq(state_of(i)->ramp_start_ms, 0); /* the first pool has nobody beside it */
    servers[1].down = false;
    servers[4].down = true;
    succeed(5, 77);
    ck_assert_uint_eq(state_of(0)->ramp_start_ms, 0);
    ck_assert_uint_eq(state_of(1)->ramp_start_ms, 77); /* back */
    ck_assert_uint_eq(state_of(3)->ramp_start_ms, 77); /* new */
    ck_assert_uint_eq(state_of(4)->ramp_start_ms, 0);  /* new, and not in service yet */
    end_old(0);
}
END_TEST

START_TEST(a_commit_promotes_the_backups_and_ends_that)
{
    begin(3);
    ck_assert(!pool_backups_promoted(pool));
    servers[0].down = servers[1].down = true;
    servers[2].backup = true;
    succeed(3, 1);
    ck_assert(pool_backups_promoted(pool));
    ck_assert_int_eq(share(one, 2, 1), 100);
    end_old(0);
    servers[0].down = false;
    succeed(3, 1);
    ck_assert(!pool_backups_promoted(pool));
    end_old(0);
}
END_TEST

/* The health thread learns of the new pool object a little later. */
START_TEST(a_finding_about_an_old_pool_object_promotes_nothing)
{
    begin(2);
    servers[0] = servers[2];
    succeed(1, 1);
    for (size_t i = 0; i < 2; i++)
        pool_change_flags(old, pool_server(old, i), SERVER_CHECK_DOWN, 0, 1);
    ck_assert_int_eq(pool_update_promotion(old), 0);
    ck_assert(!pool_backups_promoted(pool));
    end_old(2);
}
END_TEST

START_TEST(pickers_of_both_pool_objects_see_every_change)
{
    struct picker *before;

    begin(3);
    before = one;
    ck_assert_int_ge(share(before, 0, 1), 33);
    servers[0].down = true;
    succeed(3, 1);
    ck_assert_int_eq(share(before, 0, 1), 0);
    pool_change_flags(pool, pool_server(pool, 1), SERVER_CHECK_DOWN, 0, 1);
    ck_assert_int_eq(share(before, 2, 1), 100);
    pool_change_flags(old, pool_server(old, 1), 0, SERVER_CHECK_DOWN, 1);
    ck_assert_int_eq(share(one, 1, 1), 50);
    end_old(0);
}
END_TEST

START_TEST(who_began_with_the_old_pool_object_still_finds_its_servers)
{
    struct picker *before;

    begin(2);
    before = one;
    servers[0] = servers[2];
    servers[1] = servers[3];
    succeed(2, 1);
    ck_assert_int_eq(share(before, 0, 1), 50);
    ck_assert_int_eq(share(one, 0, 1), 50);
    ck_assert_uint_eq(state_of(0)->picked, 50);
    end_old(2);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, a_server_that_stays_keeps_its_state_wherever_it_stands);
    tcase_add_test(tcase, another_name_or_another_address_is_another_server);
    tcase_add_test(tcase, a_unix_socket_is_known_by_its_path);
    tcase_add_test(tcase, of_servers_that_are_alike_each_keeps_a_state_of_its_own);
    tcase_add_test(tcase, a_pool_that_is_not_committed_leaves_no_trace);
    tcase_add_test(tcase, a_pool_that_cannot_be_made_leaves_no_trace);
    tcase_add_test(tcase, the_last_reference_of_all_pools_gives_a_state_back);
    tcase_add_test(tcase, counts_outlive_the_states_beside_them);
    tcase_add_test(tcase, a_request_counts_for_both_pools_until_it_ends);
    tcase_add_test(tcase, at_the_end_states_may_be_discarded_with_requests_in_flight);
    tcase_add_test(tcase, a_commit_writes_the_flags_of_the_configuration_and_no_other);
    tcase_add_test(tcase, servers_that_come_begin_their_slow_start_and_others_do_not);
    tcase_add_test(tcase, a_commit_promotes_the_backups_and_ends_that);
    tcase_add_test(tcase, a_finding_about_an_old_pool_object_promotes_nothing);
    tcase_add_test(tcase, pickers_of_both_pool_objects_see_every_change);
    tcase_add_test(tcase, who_began_with_the_old_pool_object_still_finds_its_servers);
}

int main(void)
{
    return fixture_main("succession", add_tests);
}
