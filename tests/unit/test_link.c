/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tests of links: which ones a worker keeps, for whom, and until when. The worker runs on a thread and a ring of its own, and connects to a
 * socket of the test, where the kernel accepts. What is done with links is done on the worker's thread.
 */
#include "upstream/link.h"

#include "engine_fixture.h"
#include "modules.h"

#define LIMIT     6u /* links, half of them idle */
#define KEEPALIVE 3u

static struct sockaddr_in listening_at;
static int listening;
static struct server_spec servers[2];
static struct pool_spec spec;
static struct pool *pool, *old;
static struct links links;

/* What a step works with. */
static struct link *used;
static struct pool *with;
static size_t server_index;
static uint32_t n_left;
static unsigned n_connected, n_idle, n_links[2];

static void on_connected(struct stream *stream, int error)
{
    (void)stream;
    ck_assert_int_eq(error, 0);
    n_connected++;
}

static void ignore(struct stream *stream)
{
    (void)stream;
}

static const struct stream_type link_type = {
    .on_input = ignore, .on_sent = ignore, .on_timer = ignore, .on_connected = on_connected, .on_gone = link_gone};

static void make_pool(struct pool *previous)
{
    char error[256];
    int result = pool_create(&spec, 1, previous, &pool, error, sizeof error);

    ck_assert_msg(result == 0, "%s", error);
    pool_commit(pool, previous, 1);
}

static void setup(void)
{
    struct worker_config config = engine_config();

    listening = tcp_listen(&listening_at);
    for (size_t i = 0; i < 2; i++) {
        servers[i] = (struct server_spec){.name = i == 0 ? "a:80" : "b:80", .weight = 1};
        servers[i].address.len = sizeof listening_at;
        servers[i].address.in = listening_at;
    }
    spec = (struct pool_spec){.name = "site",
                              .balancers_dir = modules_of_the_tree(),
                              .servers = servers,
                              .n_servers = 2,
                              .keepalive = KEEPALIVE,
                              .keepalive_timeout_ms = 60000,
                              .keepalive_time_ms = 60000,
                              .keepalive_requests = 100};
    make_pool(NULL);
    engine_begin(&config);
    links_init(&links, engine, LIMIT);
    n_connected = 0;
}

static void look(struct step *step)
{
    step->n = n_connected;
    n_idle = links.n_idle;
    for (size_t i = 0; i < 2; i++)
        n_links[i] = pool_server(pool, i)->state->links[0].n_links;
}

static unsigned see_links(void)
{
    return (unsigned)on_worker(look, (struct step){0}).n;
}

#define UNTIL_LINKS(condition) UNTIL_SEEN(see_links(), ((void)it, condition))

static void open_step(struct step *step)
{
    used = link_open(&links, with, pool_server(with, server_index), &link_type, &links, &step->result);
}

static struct link *open_link(size_t server)
{
    unsigned before = see_links();

    with = pool;
    server_index = server;
    ck_assert_int_eq(on_worker(open_step, (struct step){0}).result, 0);
    ck_assert_ptr_nonnull(used);
    UNTIL_SEEN(see_links(), it == before + 1);
    return used;
}

static void take_step(struct step *step)
{
    (void)step;
    used = link_take(&links, with, pool_server(with, server_index), &link_type, &links);
}

static struct link *take_link(size_t server)
{
    with = pool;
    server_index = server;
    on_worker(take_step, (struct step){0});
    return used;
}

static void release_step(struct step *step)
{
    (void)step;
    link_release(used);
}

static void release(struct link *link)
{
    used = link;
    on_worker(release_step, (struct step){0});
}

static void close_step(struct step *step)
{
    (void)step;
    link_close(used, false);
}

static void close_state_step(struct step *step)
{
    (void)step;
    n_left = links_close_state(&links, pool_server(with, server_index)->state);
}

static uint32_t close_state(size_t server)
{
    with = pool;
    server_index = server;
    on_worker(close_state_step, (struct step){0});
    return n_left;
}

static void close_idle_step(struct step *step)
{
    (void)step;
    links_close_idle(&links);
}

static void free_states(struct server_state *states)
{
    while (states) {
        struct server_state *next = states->next;

        server_state_free(states);
        states = next;
    }
}

/* Every link must have been given back by the test, or be idle. server_state_free asserts that none is left. */
static void teardown(void)
{
    on_worker(close_idle_step, (struct step){0});
    UNTIL_LINKS(n_links[0] + n_links[1] == 0);
    engine_end();
    links_fini(&links);
    free_states(pool_put(pool));
    close(listening);
}

START_TEST(an_idle_link_serves_the_next_request_to_its_server)
{
    struct link *link = open_link(0);

    release(link);
    ck_assert_ptr_null(take_link(1));
    ck_assert_ptr_eq(take_link(0), link);
    ck_assert_ptr_null(take_link(0));
    release(link);
}
END_TEST

START_TEST(the_link_used_last_is_taken_first)
{
    struct link *first = open_link(0), *second = open_link(0);

    release(second);
    release(first);
    ck_assert_ptr_eq(take_link(0), first);
    ck_assert_ptr_eq(take_link(0), second);
    release(first);
    release(second);
}
END_TEST

START_TEST(an_idle_link_outlives_its_pool_object)
{
    struct link *link = open_link(0), *busy = open_link(1);

    release(link);
    old = pool;
    make_pool(old);
    ck_assert_ptr_null(pool_put(old));
    ck_assert_ptr_eq(take_link(0), link);
    release(link);
    release(busy); /* its settings were those of the pool that is gone */
    ck_assert_ptr_eq(take_link(1), busy);
    release(busy);
}
END_TEST

START_TEST(a_link_is_kept_as_the_pool_says_that_used_it_last)
{
    struct link *link = open_link(0);

    release(link);
    spec.keepalive = 0;
    old = pool;
    make_pool(old);
    ck_assert_ptr_null(pool_put(old));
    ck_assert_ptr_eq(take_link(0), link);
    release(link);
    UNTIL_LINKS(n_links[0] == 0);
    ck_assert_uint_eq(n_idle, 0);
}
END_TEST

START_TEST(where_fewer_may_be_kept_than_before_the_oldest_go)
{
    struct link *kept[3];

    for (size_t i = 0; i < 3; i++)
        kept[i] = open_link(0);
    for (size_t i = 0; i < 3; i++)
        release(kept[i]);
    spec.keepalive = 1;
    old = pool;
    make_pool(old);
    ck_assert_ptr_null(pool_put(old));
    ck_assert_ptr_eq(take_link(0), kept[2]);
    release(kept[2]);
    UNTIL_LINKS(n_links[0] == 1);
    ck_assert_uint_eq(n_idle, 1);
    ck_assert_ptr_eq(take_link(0), kept[2]);
    release(kept[2]);
}
END_TEST

START_TEST(when_no_more_may_be_idle_the_oldest_of_all_servers_goes)
{
    struct link *first = open_link(0), *second = open_link(1), *third = open_link(1), *fourth = open_link(0);

    ck_assert_ptr_nonnull(first);
    release(first);
    release(second);
    release(third);
    ck_assert_uint_eq((see_links(), n_idle), LIMIT / 2);
    release(fourth);
    ck_assert_uint_eq((see_links(), n_idle), LIMIT / 2);
    UNTIL_LINKS(n_links[0] == 1 && n_links[1] == 2);
    ck_assert_ptr_eq(take_link(0), fourth);
    release(fourth);
}
END_TEST

START_TEST(what_was_taken_out_of_the_middle_is_the_newest_again)
{
    struct link *first = open_link(0), *second = open_link(1), *third = open_link(0), *fourth = open_link(0);

    release(first);
    release(second);
    release(third);
    ck_assert_ptr_eq(take_link(1), second);
    release(second);
    release(fourth); /* the oldest is the first */
    UNTIL_LINKS(n_links[0] == 2 && n_links[1] == 1);
    ck_assert_ptr_eq(take_link(0), fourth);
    ck_assert_ptr_eq(take_link(0), third);
    ck_assert_ptr_null(take_link(0));
    release(third);
    release(fourth);
}
END_TEST

START_TEST(closing_for_a_server_tells_how_many_links_are_left)
{
    struct link *idle = open_link(0), *busy = open_link(0), *other = open_link(1);

    release(idle);
    release(other);
    ck_assert_uint_ge(close_state(0), 1); /* the idle one may not be gone yet */
    UNTIL_LINKS(n_links[0] == 1);
    ck_assert_uint_eq(close_state(0), 1);
    ck_assert_ptr_null(take_link(0));
    ck_assert_ptr_eq(take_link(1), other);
    release(other);
    used = busy;
    on_worker(close_step, (struct step){0});
    UNTIL_LINKS(n_links[0] == 0);
    ck_assert_uint_eq(close_state(0), 0);
}
END_TEST

START_TEST(a_server_that_ends_an_idle_link_ends_it_here)
{
    struct link *link = open_link(0);
    int accepted = accept4(listening, NULL, NULL, SOCK_CLOEXEC);

    ck_assert_int_ge(accepted, 0);
    release(link);
    close(accepted);
    UNTIL_LINKS(n_links[0] == 0);
    ck_assert_uint_eq(n_idle, 0);
    ck_assert_ptr_null(take_link(0));
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, an_idle_link_serves_the_next_request_to_its_server);
    tcase_add_test(tests, the_link_used_last_is_taken_first);
    tcase_add_test(tests, an_idle_link_outlives_its_pool_object);
    tcase_add_test(tests, a_link_is_kept_as_the_pool_says_that_used_it_last);
    tcase_add_test(tests, where_fewer_may_be_kept_than_before_the_oldest_go);
    tcase_add_test(tests, when_no_more_may_be_idle_the_oldest_of_all_servers_goes);
    tcase_add_test(tests, what_was_taken_out_of_the_middle_is_the_newest_again);
    tcase_add_test(tests, closing_for_a_server_tells_how_many_links_are_left);
    tcase_add_test(tests, a_server_that_ends_an_idle_link_ends_it_here);
}

int main(void)
{
    Suite *suite = suite_create("link");
    TCase *tests = tcase_create("all");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    add_tests(tests);
    suite_add_tcase(suite, tests);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
