/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tests of what strategies and counters keep from one pool object to the next, and of when another one is needed at all. */
#include "succession_fixture.h"

/* What a strategy has learnt. */

static const struct tier_plan *plan_of(const struct pool *of, int tier)
{
    return of->tiers[tier].plan;
}

START_TEST(round_robin_goes_on_where_it_stands)
{
    begin(3);
    ck_assert_int_eq(serve(one, FAIRLEAD_OK, 1), 0);
    servers[2].max_conns = 9;
    succeed(3, 1);
    end_old(0);
    ck_assert_int_eq(serve(one, FAIRLEAD_OK, 1), 1);
    succeed(3, 1);
    ck_assert_int_eq(serve(one, FAIRLEAD_OK, 1), 2);
    end_old(0);
}
END_TEST

START_TEST(another_address_counts_its_requests_elsewhere_though_the_plan_stays)
{
    begin(2);
    servers[0].address.in.sin_port = htons(81);
    succeed(2, 1);
    ck_assert_ptr_eq(plan_of(pool, TIER_PRIMARY), plan_of(old, TIER_PRIMARY));
    ck_assert_ptr_eq(pool->tiers[TIER_PRIMARY].set.in_flight[0], state_of(0)->in_flight);
    ck_assert_ptr_ne(pool->tiers[TIER_PRIMARY].set.in_flight[0], old->tiers[TIER_PRIMARY].set.in_flight[0]);
    ck_assert_ptr_eq(pool->tiers[TIER_PRIMARY].set.in_flight[1], old->tiers[TIER_PRIMARY].set.in_flight[1]);
    end_old(1);
}
END_TEST

START_TEST(each_tier_keeps_its_plan_by_itself)
{
    name_servers();
    servers[2].backup = servers[3].backup = true;
    start(4);
    servers[3].weight = 5;
    succeed(4, 1);
    ck_assert_ptr_eq(plan_of(pool, TIER_PRIMARY), plan_of(old, TIER_PRIMARY));
    ck_assert_ptr_ne(plan_of(pool, TIER_BACKUP), plan_of(old, TIER_BACKUP));
    end_old(0);
}
END_TEST

START_TEST(a_plan_of_other_servers_weights_orders_or_options_is_made_anew)
{
    static int64_t limit = 3;

    spec.balance = "first_free";
    spec.balancers_dir = modules_dir;
    begin(2);
    switch (_i) {
    case 0:
        succeed(3, 1);
        break;
    case 1:
        servers[1].weight = 2;
        succeed(2, 1);
        break;
    case 2:
        swap(0, 1);
        succeed(2, 1);
        break;
    case 3:
        spec.options = &limit;
        succeed(2, 1);
        break;
    default:
        spec.balance = "rendezvous";
        succeed(2, 1);
    }
    ck_assert_ptr_ne(plan_of(pool, TIER_PRIMARY), plan_of(old, TIER_PRIMARY));
    end_old(0);
}
END_TEST

START_TEST(counters_of_the_pool_go_on)
{
    begin(2);
    servers[1].backup = true;
    servers[0].down = true;
    succeed(2, 1);
    end_old(0);
    ck_assert_int_eq(share(one, 1, 1), 100);
    succeed(2, 1);
    end_old(0);
    ck_assert_uint_eq(pool_counters(pool)->backup_picks, 100);
}
END_TEST

/* Whether another one is needed at all. */

START_TEST(a_pool_is_made_of_what_it_was_made_of)
{
    int64_t fallback;

    spec.balance = "first_free";
    spec.balancers_dir = modules_dir;
    begin(2);
    ck_assert(pool_is_made_of(pool, &spec));
    servers[0].share = SHARE_WHOLE;
    fallback = pool_settings(pool)->options[0];
    spec.options = &fallback;
    ck_assert(pool_is_made_of(pool, &spec));
    fallback++;
    ck_assert(!pool_is_made_of(pool, &spec));
}
END_TEST

START_TEST(a_pool_without_a_balance_is_one_of_round_robin)
{
    begin(1);
    spec.balance = "round_robin";
    ck_assert(pool_is_made_of(pool, &spec));
    ck_assert_str_eq(pool_settings(pool)->balance, "round_robin");
}
END_TEST

/* One of the values of the spec is changed. Returns false when there are no more. */
static bool change_value(int which)
{
    struct server_spec *server = &servers[1];

    switch (which) {
    case 0: spec.name = "other"; return true;
    case 1: spec.balance = "random"; return true;
    case 2: spec.balancers_dir = "elsewhere"; return true;
    case 3: spec.n_servers--; return true;
    case 4: spec.n_servers++; return true;
    case 5: spec.keepalive++; return true;
    case 6: spec.keepalive_timeout_ms++; return true;
    case 7: spec.keepalive_time_ms++; return true;
    case 8: spec.keepalive_requests++; return true;
    case 9: spec.max_ejected--; return true;
    case 10: spec.max_eject_time_ms++; return true;
    case 11: server->name = "z:80"; return true;
    case 12: server->route = "r"; return true;
    case 13: server->address.in.sin_port++; return true;
    case 14: server->weight++; return true;
    case 15: server->share = 50; return true;
    case 16: server->max_conns++; return true;
    case 17: server->slow_start_ms++; return true;
    case 18: server->max_fails++; return true;
    case 19: server->fail_timeout_ms++; return true;
    case 20: server->down = true; return true;
    case 21: server->drain = true; return true;
    case 22: server->backup = true; return true;
    case 23: swap(0, 1); return true;
    default: return false;
    }
}
#define N_VALUES 24

START_TEST(a_pool_is_not_made_of_anything_that_differs_in_one_value)
{
    begin(3);
    ck_assert(pool_is_made_of(pool, &spec));
    ck_assert(change_value(_i));
    ck_assert(!pool_is_made_of(pool, &spec));
    ck_assert(!change_value(N_VALUES));
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, round_robin_goes_on_where_it_stands);
    tcase_add_test(tcase, another_address_counts_its_requests_elsewhere_though_the_plan_stays);
    tcase_add_test(tcase, each_tier_keeps_its_plan_by_itself);
    tcase_add_loop_test(tcase, a_plan_of_other_servers_weights_orders_or_options_is_made_anew, 0, 5);
    tcase_add_test(tcase, counters_of_the_pool_go_on);
    tcase_add_test(tcase, a_pool_is_made_of_what_it_was_made_of);
    tcase_add_test(tcase, a_pool_without_a_balance_is_one_of_round_robin);
    tcase_add_loop_test(tcase, a_pool_is_not_made_of_anything_that_differs_in_one_value, 0, N_VALUES);
}

int main(void)
{
    return fixture_main("succession_plan", add_tests);
}
