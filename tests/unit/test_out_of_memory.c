/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is made for a new snapshot fails as a whole where memory is short: each allocation of each maker fails once, and then the maker says so, nothing is kept (LeakSanitizer
 * looks, where it is built in; the references and sockets are counted here), and what serves is as it was. The linker gives this program's calls of the allocator to the
 * functions below.
 */
#include "config_fake.h"

#include "config/compose.h"
#include "control/editions.h"
#include "control/names.h"

#include <check.h>

#define ALLOCATIONS_MAX 20000u /* of one maker */

static unsigned long wanted;    /* which allocation of the maker fails; 0: none */
static unsigned long countdown; /* 0: allocations do not fail; 1: the next one does */
static bool has_failed;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

static bool fails(void)
{
    if (countdown == 0 || --countdown > 0)
        return false;
    has_failed = true;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails() ? NULL : __real_realloc(memory, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : __real_aligned_alloc(alignment, size);
}

/* Between these two stands the maker and nothing else: the test's own allocations do not fail. */
static void arm(void)
{
    countdown = wanted;
}

static int disarm(int code)
{
    countdown = 0;
    return code;
}

/* Makes something, and takes it away again where it could be made. Returns its code. */
typedef int attempt(void);

/* With every allocation failing once; the last run is one in which none did. */
static void fail_each(attempt *make)
{
    int code;

    wanted = 0;
    do {
        has_failed = false;
        wanted++;
        code = make();
        ck_assert_msg(!has_failed || code != 0, "allocation %lu failed, and nobody said so", wanted);
        ck_assert_uint_lt(wanted, ALLOCATIONS_MAX);
    } while (has_failed);
    ck_assert_int_eq(code, 0);
    ck_assert_uint_gt(wanted, 1);
    wanted = 0;
}

/* A world with one edition that serves. No thread runs: letters are posted to mailboxes that nobody reads. */

#define POOLS(weight)                                                                                              \
    "upstreams: { web: { balance = \"least_time\"; queue: { size = 5; }; sticky: { type = \"insert\"; };"          \
    "    servers = ( { address = \"127.0.0.1:9\"; max_conns = 2; weight = " weight "; max_fails = 3; },"           \
    "                { address = \"127.0.0.2:9\"; backup = true; }, { address = \"two.test:9\"; resolve = true; } ); };" \
    "  other: { balance = \"maglev\"; key = \"$uri\"; servers = ( { address = \"127.0.0.3:9\"; } );"               \
    "    health: { type = \"http\"; path = \"/up\"; expect = [ \"200-299\" ]; }; }; };"
#define SITES(listens)                                                                                             \
    "sites = ( { listen = [ " listens " ]; locations = ( { path = \"/\"; proxy_pass = \"http://web\"; },"           \
    "  { path = \"~ x$\"; proxy_pass = \"http://other\"; } ); } );"

static const char before[] = "workers = 2;" POOLS("1") SITES("\"127.0.0.1:1\"");

static struct threads threads;
static struct editions editions;
static struct listeners *set;
static struct loaded *loaded;
static struct listener *listener;
static char text[512];

static struct pool **take_pools(void)
{
    struct config *config = loaded_config(loaded);
    struct pool **pools = __real_calloc(config->n_groups, sizeof(*pools));

    for (size_t i = 0; i < config->n_groups; i++)
        pools[i] = editions.current ? pool_get(editions_current(&editions)->pools[i]) : config_take_pool(config, i);
    return pools;
}

/* Of the listener and the pools that serve. */
static int make_edition(struct edition **edition)
{
    struct pool **pools = take_pools();
    struct listener *listeners[1] = {listener};
    struct edition_parts parts = {loaded, pools, listeners};
    int code;

    listener_get(listener);
    arm();
    code = disarm(edition_create(&editions, &parts, edition, text, sizeof(text)));
    free(pools);
    return code;
}

static void setup(void)
{
    static struct worker workers[2];
    struct edition *first;

    ck_assert_msg(fake_load(before) == 0, "%s", fake_findings);
    fake_config->listens[0].address.in.sin_port = 0; /* whichever is free */
    ck_assert_int_eq(threads_init(&threads, fake_config), 0);
    for (unsigned i = 0; i < threads.n; i++)
        threads.workers[i] = &workers[i];
    editions_init(&editions, &threads);
    ck_assert_int_eq(listeners_create(&set), 0);
    ck_assert_int_eq(listeners_open(set, fake_config, threads.n, &listener, text, sizeof(text)), 0);
    loaded = loaded_create(fake_config);
    ck_assert_int_eq(make_edition(&first), 0);
    listener_put(listener); /* the edition has one of its own */
    ck_assert(edition_publish(&editions, first));
}

static void teardown(void)
{
    editions_fini(&editions);
    loaded_put(loaded);
    free(threads.workers);
    free(threads.services);
    ck_assert_ptr_null(listeners_first(set));
    listeners_destroy(set);
    fake_config = NULL;
    fake_clear();
}

static int create_edition(void)
{
    struct edition *edition;
    unsigned n = editions.n, references = listener->refs, users = atomic_load(&listener->users);
    int code = make_edition(&edition);

    if (code == 0)
        edition_discard(&editions, edition);
    ck_assert_uint_eq(editions.n, n);
    ck_assert_uint_eq(listener->refs, references);
    ck_assert_uint_eq(atomic_load(&listener->users), users);
    return code;
}

START_TEST(an_edition_that_cannot_be_made_leaves_the_one_that_serves)
{
    fail_each(create_edition);
}
END_TEST

static size_t group; /* of which a pool is made */

static int create_pool(void)
{
    const struct pool *serving = editions_current(&editions)->pools[group];
    struct pool_spec spec = *pool_settings(serving);
    struct server_spec servers[8];
    struct pool *pool;
    int code;

    ck_assert_uint_lt(spec.n_servers, 8);
    memcpy(servers, spec.servers, spec.n_servers * sizeof(servers[0]));
    servers[0].weight = 7;
    servers[spec.n_servers] = servers[0];
    servers[spec.n_servers++].name = "127.0.0.9:9";
    spec.servers = servers;
    arm();
    code = disarm(pool_create(&spec, threads.n, editions_pool(&editions, spec.name, 0), &pool, text, sizeof(text)));
    if (code == 0)
        server_states_discard(pool_put(pool));
    return code;
}

START_TEST(a_pool_that_cannot_be_made_leaves_the_one_that_serves)
{
    group = (size_t)_i;
    fail_each(create_pool);
    for (size_t i = 0; i < pool_n_servers(editions_current(&editions)->pools[group]); i++)
        ck_assert_uint_eq(pool_server(editions_current(&editions)->pools[group], i)->state->refs, 1);
}
END_TEST

static int compose_group(void)
{
    struct composition composition;
    int code;

    arm();
    code = disarm(compose(loaded_config(loaded)->groups[0], NULL, 1, &composition));
    compose_fini(&composition);
    return code;
}

static bool ignore(void *context, size_t changed)
{
    (void)context;
    (void)changed;
    return true;
}

static int create_names(void)
{
    struct names *names;
    int code;

    arm();
    code = disarm(names_create(loaded_config(loaded), ignore, NULL, &names));
    ck_assert(code == 0 || !names);
    names_destroy(names);
    return code;
}

static int create_plan(void)
{
    const struct snapshot *snapshot = editions_current(&editions);
    struct health_pool pools[2];
    struct health_plan *plan;
    int code;

    for (size_t i = 0; i < 2; i++)
        pools[i] = (struct health_pool){snapshot->pools[i], snapshot->config->groups[i]->health};
    arm();
    code = disarm(health_plan_create(pools, 2, &plan));
    if (code == 0)
        health_plan_destroy(plan);
    return code;
}

static int open_listeners(void)
{
    struct listen listens[3] = {loaded_config(loaded)->listens[0]};
    const struct config config = {.n_listens = 3, .listens = listens};
    struct listener *opened[3];
    int code;

    for (unsigned i = 1; i < 3; i++) {
        listens[i] = listens[0];
        listens[i].address.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK + i);
    }
    arm();
    code = disarm(listeners_open(set, &config, threads.n, opened, text, sizeof(text)));
    for (size_t i = 0; code == 0 && i < 3; i++)
        listener_put(opened[i]);
    ck_assert_uint_eq(listener->refs, 1);
    ck_assert_ptr_eq(listeners_first(set), listener);
    ck_assert_ptr_null(listener->next);
    return code;
}

static attempt *const makers[] = {compose_group, create_names, create_plan, open_listeners};

START_TEST(what_a_snapshot_needs_is_made_whole_or_not_at_all)
{
    fail_each(makers[_i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("out_of_memory");
    TCase *tcase = tcase_create("makers");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, an_edition_that_cannot_be_made_leaves_the_one_that_serves);
    tcase_add_loop_test(tcase, a_pool_that_cannot_be_made_leaves_the_one_that_serves, 0, 2);
    tcase_add_loop_test(tcase, what_a_snapshot_needs_is_made_whole_or_not_at_all, 0, (int)(sizeof(makers) / sizeof(makers[0])));
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
