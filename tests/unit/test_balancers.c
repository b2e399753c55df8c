/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The conformance suite: what every strategy promises in <fairlead/balancer.h>, asked of every module in the
 * directory FAIRLEAD_BALANCERS and of the out-of-tree examples of tests/strategies. A check returns NULL or a
 * sentence, so that the suite can also show that it catches a module that is broken. Strategies are called
 * directly, without a pool.
 *
 * Tolerances: a server's share may be off by 10 % of what its weight asks (keyed strategies: 25 %, over
 * random keys) and by four standard deviations of a random draw. When a server leaves, at most 10 % of the
 * keys of the others may move.
 */
#include "upstream/strategy.h"

#include <check.h>
#include <dirent.h>

#include "modules.h"

#define N_MAX       1000u
#define WINDOW      64u /* requests in flight while shares are measured */
#define SHARE_PICKS 100000u
#define N_KEYS      2000u
#define MODULES_MAX 64

enum choice { FALLBACKS, MINIMA, MAXIMA, N_CHOICES }; /* of the options */

/* A set of servers, and one worker's state for it. */
struct bench {
    const struct fairlead_balancer *balancer;
    struct fairlead_set set;
    struct fairlead_server servers[N_MAX];
    char names[N_MAX][32];
    atomic_uint in_flight[N_MAX];
    uint32_t effective[N_MAX];
    uint64_t usable[N_MAX / 64 + 1];
    void *plan, *state;
    uint64_t now_ns, random;
};

typedef const char *check_function(struct bench *bench);

static const size_t sizes[] = {1, 2, 65, 1000};

static struct strategy modules[MODULES_MAX];
static int n_modules;
static struct bench bench_space;

static uint64_t next_random(struct bench *bench)
{
    bench->random ^= bench->random << 13;
    bench->random ^= bench->random >> 7;
    bench->random ^= bench->random << 17;
    return bench->random * UINT64_C(0x2545f4914f6cdd1d);
}

static void set_usable(struct bench *bench, size_t server, bool usable)
{
    uint64_t bit = UINT64_C(1) << (server % 64);

    bench->usable[server / 64] =
        usable ? bench->usable[server / 64] | bit : bench->usable[server / 64] & ~bit;
}

static void set_all_usable(struct bench *bench, bool usable)
{
    for (size_t i = 0; i < bench->set.n_servers; i++)
        set_usable(bench, i, usable);
}

/* Exactly as many bytes as asked for, so that the address sanitizer sees a step beside them. */
static void *make_state(const struct bench *bench, uint64_t seed)
{
    size_t size = bench->balancer->state_size(&bench->set, bench->plan);
    void *state;

    ck_assert_int_eq(posix_memalign(&state, 64, size ? size : 1), 0);
    memset(state, 0, size);
    bench->balancer->state_init(state, &bench->set, bench->plan, seed);
    return state;
}

static int make_plan(struct bench *bench, enum choice choice)
{
    const struct fairlead_option *option = bench->balancer->options;
    int64_t values[64] = {0};
    char error[256];

    for (size_t i = 0; option && option->name; i++, option++)
        values[i] = choice == FALLBACKS ? option->fallback : choice == MINIMA ? option->min : option->max;
    bench->plan = NULL;
    if (!bench->balancer->plan_create)
        return 0;
    return bench->balancer->plan_create(&bench->set, values, &bench->plan, error, sizeof error);
}

/* All servers usable, with weights 1 to 5 in turn. False when the strategy refuses these options, which it
 * may with other than fallbacks. */
static bool start(struct bench *bench, size_t n_servers, enum choice choice)
{
    const struct fairlead_balancer *balancer = bench->balancer;

    memset(bench, 0, sizeof *bench);
    bench->balancer = balancer;
    bench->random = UINT64_C(0x9e3779b97f4a7c15);
    bench->now_ns = UINT64_C(1000000000);
    bench->set = (struct fairlead_set){.n_servers = n_servers, .servers = bench->servers};
    for (size_t i = 0; i < n_servers; i++) {
        snprintf(bench->names[i], sizeof bench->names[i], "10.0.%u.%u:80", (unsigned)i / 250,
                 (unsigned)i % 250);
        bench->effective[i] = (uint32_t)(i % 5) + 1;
        bench->servers[i] = (struct fairlead_server){
            .name = bench->names[i], .weight = bench->effective[i], .in_flight = &bench->in_flight[i]};
    }
    set_all_usable(bench, true);
    if (make_plan(bench, choice) != 0)
        return false;
    bench->state = make_state(bench, 0);
    return true;
}

static void stop(struct bench *bench)
{
    free(bench->state);
    if (bench->balancer->plan_destroy && bench->plan)
        bench->balancer->plan_destroy(bench->plan);
}

static int pick_with(struct bench *bench, void *state, uint64_t key)
{
    struct fairlead_pick pick = {
        .usable = bench->usable, .effective_weight = bench->effective, .now_ns = bench->now_ns};

    for (size_t i = 0; i < bench->set.n_servers; i++)
        pick.n_usable += fairlead_usable(&pick, i);
    pick.key = bench->balancer->traits & FAIRLEAD_KEYED ? key : 0;
    bench->now_ns += 100000;
    int server = bench->balancer->pick(state, &bench->set, bench->plan, &pick);
    if (server >= 0 && (size_t)server < bench->set.n_servers)
        bench->in_flight[server]++;
    return server;
}

static void done(struct bench *bench, void *state, int server, enum fairlead_outcome outcome)
{
    uint64_t latency_ns = outcome == FAIRLEAD_OK ? 1000000 : 0;

    bench->in_flight[server]--;
    if (bench->balancer->done)
        bench->balancer->done(state, &bench->set, bench->plan, server, outcome, latency_ns);
}

/* Is this a right answer? */
static const char *judge(const struct bench *bench, int server)
{
    const struct fairlead_pick pick = {.usable = bench->usable};
    bool any = false;

    for (size_t i = 0; i < bench->set.n_servers; i++)
        any |= fairlead_usable(&pick, i) && bench->effective[i] > 0;
    if (server == FAIRLEAD_NONE)
        return any ? "it found none, where a server was usable" : NULL;
    if (server < 0 || (size_t)server >= bench->set.n_servers)
        return "it gave an index outside of the set";
    if (!fairlead_usable(&pick, (size_t)server))
        return "it gave a server that is not usable";
    return bench->effective[server] > 0 ? NULL : "it gave a server without effective weight";
}

/* Picks, judges, and ends the request with an outcome at random. */
static const char *try_once(struct bench *bench)
{
    int server = pick_with(bench, bench->state, next_random(bench));
    const char *fault = judge(bench, server);

    if (!fault && server != FAIRLEAD_NONE)
        done(bench, bench->state, server, next_random(bench) % 3);
    return fault;
}

/* The bitmap at random, of a density at random. */
static void shuffle_usable(struct bench *bench)
{
    uint64_t density = next_random(bench) % 101;

    for (size_t i = 0; i < bench->set.n_servers; i++)
        set_usable(bench, i, next_random(bench) % 100 < density);
}

static const char *never_an_unusable_server(struct bench *bench)
{
    const char *fault = NULL;

    for (int round = 0; !fault && round < 60; round++) {
        shuffle_usable(bench);
        for (int i = 0; !fault && i < 20; i++)
            fault = try_once(bench);
    }
    return fault;
}

static const char *the_last_usable_server_is_found(struct bench *bench)
{
    const char *fault = NULL;
    size_t step = bench->set.n_servers / 70 + 1;

    set_all_usable(bench, false);
    for (size_t i = 0; !fault && i < bench->set.n_servers; i += step) {
        size_t last = bench->set.n_servers - 1 - i;

        set_usable(bench, last, true);
        for (int k = 0; !fault && k < 5; k++)
            fault = try_once(bench);
        set_usable(bench, last, false);
    }
    return fault;
}

static const char *none_when_there_is_none(struct bench *bench)
{
    const char *fault = NULL;

    set_all_usable(bench, false);
    for (int i = 0; !fault && i < 10; i++)
        fault = try_once(bench);
    set_all_usable(bench, true);
    memset(bench->effective, 0, sizeof bench->effective);
    for (int i = 0; !fault && i < 10; i++)
        fault = try_once(bench);
    return fault;
}

/* Weights from nothing to the greatest, changing while requests are in flight, as slow start does. */
static const char *effective_weights_are_honoured(struct bench *bench)
{
    const char *fault = NULL;

    for (int round = 0; !fault && round < 60; round++) {
        for (size_t i = 0; i < bench->set.n_servers; i++)
            bench->effective[i] =
                (uint32_t)(next_random(bench) % 3 * next_random(bench) % (bench->servers[i].weight + 1));
        for (int i = 0; !fault && i < 20; i++)
            fault = try_once(bench);
    }
    return fault;
}

static const char *many_requests_may_be_in_flight(struct bench *bench)
{
    int servers[WINDOW * 4];
    size_t n = sizeof servers / sizeof *servers;
    const char *fault = NULL;

    for (size_t i = 0; i < n; i++) {
        servers[i] = pick_with(bench, bench->state, next_random(bench));
        fault = fault ? fault : judge(bench, servers[i]);
    }
    if (fault)
        return fault;
    /* Their servers may have gone by the time they end, and they end in any order. */
    set_all_usable(bench, false);
    for (size_t i = 0; i < n; i++)
        done(bench, bench->state, servers[i * 7 % n], i % 3);
    set_all_usable(bench, true);
    return try_once(bench);
}

static const char *judge_shares(const struct bench *bench, const uint32_t *counts)
{
    double slack = bench->balancer->traits & FAIRLEAD_KEYED ? 0.25 : 0.10, total = 0;

    for (size_t i = 0; i < bench->set.n_servers; i++)
        total += bench->effective[i];
    for (size_t i = 0; i < bench->set.n_servers; i++) {
        double wanted = bench->effective[i] * (double)SHARE_PICKS / total;
        double off = counts[i] > wanted ? counts[i] - wanted : wanted - counts[i];
        double over = off - slack * wanted;

        /* Four standard deviations, squared, for want of a reason to link the mathematics. */
        if (over > 0 && over * over > 16 * wanted)
            return "a server's share is not what its weight asks";
    }
    return NULL;
}

static const char *shares_follow_the_weights(struct bench *bench)
{
    static uint32_t counts[N_MAX];
    int window[WINDOW];
    const char *fault = NULL;

    if (!(bench->balancer->traits & FAIRLEAD_WEIGHTED) || bench->set.n_servers > 100)
        return NULL;
    memset(counts, 0, sizeof counts);
    for (uint32_t i = 0; !fault && i < SHARE_PICKS; i++) {
        if (i >= WINDOW)
            done(bench, bench->state, window[i % WINDOW], FAIRLEAD_OK);
        int server = pick_with(bench, bench->state, next_random(bench));
        fault = judge(bench, server);
        if (fault)
            return fault;
        window[i % WINDOW] = server;
        counts[server]++;
    }
    return judge_shares(bench, counts);
}

/* Where each key goes, with nothing in flight. */
static const char *map_keys(struct bench *bench, void *state, int *map)
{
    const char *fault = NULL;

    for (uint64_t k = 0; !fault && k < N_KEYS; k++) {
        map[k] = pick_with(bench, state, (k + 1) * UINT64_C(0x9e3779b97f4a7c15));
        fault = judge(bench, map[k]);
        if (!fault)
            done(bench, state, map[k], FAIRLEAD_OK);
    }
    return fault;
}

static const char *the_same_key_gives_the_same_server_on_every_worker(struct bench *bench)
{
    static int first[N_KEYS], again[N_KEYS];

    if (!(bench->balancer->traits & FAIRLEAD_KEYED))
        return NULL;
    void *other = make_state(bench, 5);
    const char *fault = map_keys(bench, bench->state, first);
    for (int i = 0; !fault && i < 2; i++) {
        fault = map_keys(bench, i ? other : bench->state, again);
        if (!fault && memcmp(first, again, sizeof first) != 0)
            fault = "a key went to another server, though nothing had changed";
    }
    free(other);
    return fault;
}

static const char *a_leaving_server_disturbs_few_keys(struct bench *bench)
{
    static int before[N_KEYS], without[N_KEYS], after[N_KEYS];
    size_t gone = bench->set.n_servers / 2;
    unsigned moved = 0, others = 0;

    if (!(bench->balancer->traits & FAIRLEAD_KEYED) || bench->set.n_servers < 2)
        return NULL;
    const char *fault = map_keys(bench, bench->state, before);
    set_usable(bench, gone, false);
    fault = fault ? fault : map_keys(bench, bench->state, without);
    set_usable(bench, gone, true);
    fault = fault ? fault : map_keys(bench, bench->state, after);
    if (fault)
        return fault;
    for (size_t k = 0; k < N_KEYS; k++) {
        others += before[k] != (int)gone;
        moved += before[k] != (int)gone && before[k] != without[k];
    }
    if (moved * 10 > others)
        return "more than a tenth of the other servers' keys moved when one server left";
    return memcmp(before, after, sizeof before) == 0 ? NULL
                                                     : "keys did not go back to the server that came back";
}

static check_function *const checks[] = {
    never_an_unusable_server,
    the_last_usable_server_is_found,
    none_when_there_is_none,
    effective_weights_are_honoured,
    many_requests_may_be_in_flight,
    shares_follow_the_weights,
    the_same_key_gives_the_same_server_on_every_worker,
    a_leaving_server_disturbs_few_keys,
};

#define N_CHECKS ((int)(sizeof checks / sizeof *checks))

/* One check over all sizes and options. NULL, or the first fault. */
static const char *run(const struct fairlead_balancer *balancer, check_function *check)
{
    struct bench *bench = &bench_space;
    const char *fault = NULL;

    bench->balancer = balancer;
    for (size_t s = 0; !fault && s < sizeof sizes / sizeof *sizes; s++) {
        for (enum choice choice = FALLBACKS; !fault && choice < N_CHOICES; choice++) {
            bool started = start(bench, sizes[s], choice);
            if (started)
                fault = check(bench);
            else if (choice == FALLBACKS)
                fault = "it refuses the fallbacks of its own options";
            if (started)
                stop(bench);
            if (!balancer->options)
                break;
        }
    }
    return fault;
}

/* Loop tests are numbered: module by module, and all checks for each. */
START_TEST(every_module_keeps_the_contract)
{
    const struct fairlead_balancer *balancer = modules[_i / N_CHECKS].balancer;
    const char *fault = run(balancer, checks[_i % N_CHECKS]);

    ck_assert_msg(fault == NULL, "%s, check %d, %zu servers: %s", balancer->name, _i % N_CHECKS,
                  bench_space.set.n_servers, fault);
}
END_TEST

START_TEST(the_suite_catches_a_module_that_keeps_nothing)
{
    struct strategy careless;
    char error[512];

    ck_assert_int_eq(strategy_load(modules_broken, "careless", &careless, error, sizeof error), 0);
    for (int i = 0; i < N_CHECKS; i++)
        ck_assert_msg((run(careless.balancer, checks[i]) != NULL) ==
                          (checks[i] != many_requests_may_be_in_flight),
                      "check %d", i);
    strategy_unload(&careless);
}
END_TEST

START_TEST(the_default_strategy_was_among_the_modules)
{
    bool found = false;

    for (int i = 0; i < n_modules; i++)
        found |= strcmp(modules[i].balancer->name, "round_robin") == 0;
    ck_assert(found || getenv("FAIRLEAD_BALANCERS"));
}
END_TEST

/* Loads every NAME.so of the directory. Returns how many there are, or -1 after a line on stderr. */
static int load_all(const char *dir)
{
    struct dirent **found;
    int n = scandir(dir, &found, NULL, alphasort), n_loaded = 0;
    char error[512];

    for (int i = 0; i < n; i++) {
        char *dot = strrchr(found[i]->d_name, '.');

        if (n_loaded >= 0 && dot && strcmp(dot, ".so") == 0 && n_modules < MODULES_MAX) {
            *dot = '\0';
            int result = strategy_load(dir, found[i]->d_name, &modules[n_modules], error, sizeof error);
            n_loaded = result == 0 ? n_loaded + 1 : -1;
            n_modules += result == 0;
            if (result != 0)
                fprintf(stderr, "%s\n", error);
        }
        free(found[i]);
    }
    if (n >= 0)
        free(found);
    return n_loaded;
}

int main(void)
{
    Suite *suite = suite_create("balancers");
    TCase *tcase = tcase_create("conformance");

    if (modules_build() != 0)
        return 1;
    if (load_all(modules_of_the_tree()) <= 0 || load_all(modules_dir) <= 0) {
        fprintf(stderr, "no usable modules in %s or %s\n", modules_of_the_tree(), modules_dir);
        modules_remove();
        return 1;
    }
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, every_module_keeps_the_contract, 0, n_modules * N_CHECKS);
    tcase_add_test(tcase, the_suite_catches_a_module_that_keeps_nothing);
    tcase_add_test(tcase, the_default_strategy_was_among_the_modules);
    suite_add_tcase(suite, tcase);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    for (int i = 0; i < n_modules; i++)
        strategy_unload(&modules[i]);
    modules_remove();
    return failed != 0;
}
