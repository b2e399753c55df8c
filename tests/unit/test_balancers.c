/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The conformance suite: what every strategy promises in <fairlead/balancer.h>, asked of every module in the
 * directory FAIRLEAD_BALANCERS and of the out-of-tree examples of tests/strategies. A check returns NULL or a
 * sentence, so that the suite can also show that it catches a module that is broken. Strategies are called
 * directly, without a pool.
 *
 * Tolerances: a server's share may be off by 10 % of what its weight asks (keyed strategies: 25 %, over
 * random keys) and by four standard deviations of a random draw. When a server goes out, at most 10 % of the
 * keys of the others may move.
 */
#include "upstream/strategy.h"

#include <check.h>
#include <dirent.h>
#include <pthread.h>

#include "balancer_bench.h"
#include "modules.h"

#define SHARE_PICKS   100000u
#define SHARE_SERVERS 100u /* sets with more are left out: a share would be a few picks */
#define N_KEYS        2000u
#define N_WORKERS     3
#define MODULES_MAX   64
#define OPTIONS_MAX   64
#define WITH_KEY      (FAIRLEAD_KEYED | FAIRLEAD_ADDRESSED)

enum choice { FALLBACKS, MINIMA, MAXIMA, N_CHOICES }; /* of the options */

typedef const char *check_function(struct bench_worker *worker);

static const size_t sizes[] = {1, 2, 65, 1000};

static struct strategy modules[MODULES_MAX];
static int n_modules;
static struct bench bench_space;
static enum choice chosen;

/* Picks, judges, and ends the request with an outcome at random. */
static const char *try_once(struct bench_worker *worker)
{
    int server = bench_pick(worker, bench_random(worker));
    const char *fault = bench_judge(worker->bench, server);

    if (!fault && server != FAIRLEAD_NONE)
        bench_done(worker, server, bench_random(worker) % 3, BENCH_LATENCY_NS);
    return fault;
}

static const char *try_often(struct bench_worker *worker, int times)
{
    const char *fault = NULL;

    for (int i = 0; !fault && i < times; i++)
        fault = try_once(worker);
    return fault;
}

/* The bitmap at random, of a density at random. */
static void shuffle_usable(struct bench_worker *worker)
{
    uint64_t density = bench_random(worker) % 101;

    for (size_t i = 0; i < worker->bench->set.n_servers; i++)
        bench_set_usable(worker->bench, i, bench_random(worker) % 100 < density);
}

static const char *never_an_unusable_server(struct bench_worker *worker)
{
    const char *fault = NULL;

    for (int round = 0; !fault && round < 60; round++) {
        shuffle_usable(worker);
        fault = try_often(worker, 20);
    }
    return fault;
}

static const char *the_last_usable_server_is_found(struct bench_worker *worker)
{
    struct bench *bench = worker->bench;
    const char *fault = NULL;
    size_t step = bench->set.n_servers / 70 + 1;

    bench_set_all_usable(bench, false);
    for (size_t i = 0; !fault && i < bench->set.n_servers; i += step) {
        size_t last = bench->set.n_servers - 1 - i;

        bench_set_usable(bench, last, true);
        bench_set_effective(bench, last, i % 2 ? FAIRLEAD_WEIGHT_ONE : 1);
        fault = try_often(worker, 5);
        bench_set_usable(bench, last, false);
    }
    return fault;
}

static const char *none_when_there_is_none(struct bench_worker *worker)
{
    struct bench *bench = worker->bench;

    bench_set_all_usable(bench, false);
    const char *fault = try_often(worker, 10);
    bench_set_all_usable(bench, true);
    for (size_t i = 0; i < bench->set.n_servers; i++)
        bench_set_effective(bench, i, 0);
    return fault ? fault : try_often(worker, 10);
}

/* Weights from nothing to the whole, changing while requests are in flight, as slow start does. */
static const char *effective_weights_are_honoured(struct bench_worker *worker)
{
    struct bench *bench = worker->bench;
    const char *fault = NULL;

    for (int round = 0; !fault && round < 60; round++) {
        for (size_t i = 0; i < bench->set.n_servers; i++)
            bench_set_effective(bench, i,
                                bench_random(worker) % 3 == 0
                                    ? 0
                                    : (uint32_t)bench_random(worker) % (FAIRLEAD_WEIGHT_ONE + 1));
        fault = try_often(worker, 20);
    }
    return fault;
}

static const char *many_requests_may_be_in_flight(struct bench_worker *worker)
{
    int servers[256];
    size_t n = sizeof servers / sizeof *servers;
    const char *fault = NULL;

    for (size_t i = 0; i < n; i++) {
        servers[i] = bench_pick(worker, bench_random(worker));
        fault = fault ? fault : bench_judge(worker->bench, servers[i]);
    }
    if (fault)
        return fault;
    /* Their servers may have gone by the time they end, and they end in any order. */
    bench_set_all_usable(worker->bench, false);
    for (size_t i = 0; i < n; i++)
        bench_done(worker, servers[i * 7 % n], i % 3, BENCH_LATENCY_NS);
    bench_set_all_usable(worker->bench, true);
    return try_often(worker, 10);
}

static bool has_shares(const struct bench *bench)
{
    return (bench->balancer->traits & FAIRLEAD_WEIGHTED) && bench->set.n_servers <= SHARE_SERVERS;
}

static bool is_within(const struct bench *bench, double got, double low, double high)
{
    double slack = bench->balancer->traits & WITH_KEY ? 0.25 : 0.10;
    double over = got > high ? got - high - slack * high : low - got - slack * low;

    /* Four standard deviations, squared, for want of a reason to link the mathematics. */
    return over <= 0 || over * over <= 16 * high;
}

static const char *judge_shares(const struct bench *bench, const uint32_t *counts)
{
    double total = 0, picks = 0;

    for (size_t i = 0; i < bench->set.n_servers; i++) {
        total += bench->effective[i];
        picks += counts[i];
    }
    for (size_t i = 0; i < bench->set.n_servers; i++) {
        double wanted = bench->effective[i] * picks / total;

        if (!is_within(bench, counts[i], wanted, wanted))
            return "a server's share is not what its weight asks";
    }
    return NULL;
}

static const char *shares_follow_the_weights(struct bench_worker *worker)
{
    uint32_t counts[SHARE_SERVERS] = {0};

    if (!has_shares(worker->bench))
        return NULL;
    const char *fault = bench_count(worker, SHARE_PICKS, 1, counts);
    return fault ? fault : judge_shares(worker->bench, counts);
}

/* Between little to do and much, one that follows in_flight may leave the weights: it then looks for idle
 * servers. */
static const char *shares_follow_the_weights_under_load(struct bench_worker *worker)
{
    uint32_t counts[SHARE_SERVERS] = {0};

    if (!has_shares(worker->bench))
        return NULL;
    const char *fault = bench_count(worker, SHARE_PICKS, BENCH_WINDOW_MAX, counts);
    return fault ? fault : judge_shares(worker->bench, counts);
}

static const char *shares_hold_over_workers_in_turn(struct bench_worker *worker)
{
    uint32_t counts[SHARE_SERVERS] = {0};
    struct bench_worker others[N_WORKERS];
    const char *fault = NULL;

    if (!has_shares(worker->bench))
        return NULL;
    for (uint64_t i = 0; i < N_WORKERS; i++)
        bench_worker_start(&others[i], worker->bench, i);
    for (uint32_t i = 0; !fault && i < SHARE_PICKS / N_WORKERS; i += 3) {
        for (int k = 0; !fault && k < N_WORKERS; k++)
            fault = bench_count(&others[k], 3, 1, counts);
    }
    for (int i = 0; i < N_WORKERS; i++)
        bench_worker_stop(&others[i]);
    return fault ? fault : judge_shares(worker->bench, counts);
}

/* One of two threads, each a worker. */
struct picking {
    struct bench_worker worker;
    uint32_t counts[SHARE_SERVERS];
    const char *fault;
};

static void *pick_in_thread(void *argument)
{
    struct picking *picking = argument;
    /* With little to do one that follows in_flight leaves the other thread its server. */
    bool balanced = picking->worker.bench->balancer->traits & FAIRLEAD_BALANCED;
    uint32_t window = balanced ? BENCH_WINDOW_MAX : 1;

    picking->fault = bench_count(&picking->worker, SHARE_PICKS / 2, window, picking->counts);
    return NULL;
}

static const char *shares_hold_over_threads(struct bench_worker *worker)
{
    struct picking picking[2] = {0};
    pthread_t threads[2];

    if (!has_shares(worker->bench))
        return NULL;
    for (int i = 0; i < 2; i++)
        bench_worker_start(&picking[i].worker, worker->bench, (uint64_t)i);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, pick_in_thread, &picking[i]), 0);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < 2; i++)
        bench_worker_stop(&picking[i].worker);
    for (size_t i = 0; i < SHARE_SERVERS; i++)
        picking[0].counts[i] += picking[1].counts[i];
    for (int i = 0; i < 2; i++) {
        if (picking[i].fault)
            return picking[i].fault;
    }
    return judge_shares(worker->bench, picking[0].counts);
}

/* A keyed strategy gives it a quarter of its keys, others what a quarter of its weight asks among the rest,
 * which is a little more. */
static const char *a_quarter_of_the_weight_gets_about_a_quarter(struct bench_worker *worker)
{
    struct bench *bench = worker->bench;
    uint32_t counts[SHARE_SERVERS] = {0};
    size_t light = bench->set.n_servers - 1;
    double full = 0, left = 0;

    if (!has_shares(bench) || light == 0)
        return NULL;
    bench_set_effective(bench, light, FAIRLEAD_WEIGHT_ONE / 4);
    const char *fault = bench_count(worker, SHARE_PICKS, 1, counts);
    if (fault)
        return fault;
    for (size_t i = 0; i < bench->set.n_servers; i++) {
        full += bench->servers[i].weight * FAIRLEAD_WEIGHT_ONE;
        left += bench->effective[i];
    }
    return is_within(bench, counts[light], bench->effective[light] * SHARE_PICKS / full,
                     bench->effective[light] * SHARE_PICKS / left)
               ? NULL
               : "a server at a quarter of its weight does not have a quarter of its share";
}

/* Where each key goes, with nothing in flight. */
static const char *map_keys(struct bench_worker *worker, int *map)
{
    const char *fault = NULL;

    for (uint64_t k = 0; !fault && k < N_KEYS; k++) {
        map[k] = bench_pick(worker, fairlead_mix(k + 1));
        fault = bench_judge(worker->bench, map[k]);
        if (!fault)
            bench_done(worker, map[k], FAIRLEAD_OK, BENCH_LATENCY_NS);
    }
    return fault;
}

static const char *the_same_key_gives_the_same_server_on_every_worker(struct bench_worker *worker)
{
    static int first[N_KEYS], again[N_KEYS];
    struct bench_worker other;

    if (!(worker->bench->balancer->traits & WITH_KEY))
        return NULL;
    bench_worker_start(&other, worker->bench, 5);
    const char *fault = map_keys(worker, first);
    for (int i = 0; !fault && i < 2; i++) {
        fault = map_keys(i ? &other : worker, again);
        if (!fault && memcmp(first, again, sizeof first) != 0)
            fault = "a key went to another server, though nothing had changed";
    }
    bench_worker_stop(&other);
    return fault;
}

static const char *a_server_that_goes_out_disturbs_few_keys(struct bench_worker *worker)
{
    static int before[N_KEYS], without[N_KEYS], after[N_KEYS];
    struct bench *bench = worker->bench;
    size_t gone = bench->set.n_servers / 2;
    unsigned moved = 0, others = 0;

    if (!(bench->balancer->traits & WITH_KEY) || bench->set.n_servers < 2)
        return NULL;
    const char *fault = map_keys(worker, before);
    bench_set_usable(bench, gone, false);
    fault = fault ? fault : map_keys(worker, without);
    bench_set_usable(bench, gone, true);
    fault = fault ? fault : map_keys(worker, after);
    if (fault)
        return fault;
    for (size_t k = 0; k < N_KEYS; k++) {
        others += before[k] != (int)gone;
        moved += before[k] != (int)gone && before[k] != without[k];
    }
    if (moved * 10 > others)
        return "more than a tenth of the other servers' keys moved when one server went out";
    return memcmp(before, after, sizeof before) == 0 ? NULL
                                                     : "keys did not go back to the server that came back";
}

static const char *a_warming_server_keeps_the_keys_it_has(struct bench_worker *worker)
{
    static int half[N_KEYS], more[N_KEYS];
    struct bench *bench = worker->bench;
    int warming = (int)bench->set.n_servers / 2;

    if (!(bench->balancer->traits & WITH_KEY))
        return NULL;
    bench_set_effective(bench, (size_t)warming, FAIRLEAD_WEIGHT_ONE / 2);
    const char *fault = map_keys(worker, half);
    bench_set_effective(bench, (size_t)warming, FAIRLEAD_WEIGHT_ONE * 3 / 4);
    fault = fault ? fault : map_keys(worker, more);
    for (size_t k = 0; !fault && k < N_KEYS; k++) {
        if (half[k] == warming ? more[k] != warming : more[k] != warming && more[k] != half[k])
            fault = "a key that the warming server had, or one that it did not get, went elsewhere";
    }
    return fault;
}

/* With fallbacks only: a strategy may have an option that turns this off. */
static const char *a_busy_server_is_spared(struct bench_worker *worker)
{
    struct bench *bench = worker->bench;
    unsigned picked = 0, n_picks = 3000;
    const char *fault = NULL;

    if (!(bench->balancer->traits & FAIRLEAD_BALANCED) || bench->set.n_servers < 2 || chosen != FALLBACKS)
        return NULL;
    atomic_store(&bench->in_flight[0], 1000);
    for (unsigned i = 0; !fault && i < n_picks; i++) {
        int server = bench_pick(worker, bench_random(worker));

        fault = bench_judge(bench, server);
        picked += server == 0;
        if (!fault)
            bench_done(worker, server, FAIRLEAD_OK, BENCH_LATENCY_NS);
    }
    if (fault)
        return fault;
    /* The first server has the least weight, so its share would be no more than one in n. One pick may be to
     * learn how it is. */
    return (picked - 1.0) * 4 * (double)bench->set.n_servers <= n_picks
               ? NULL
               : "a busy server has more than a quarter of its share";
}

static check_function *const checks[] = {
    never_an_unusable_server,
    the_last_usable_server_is_found,
    none_when_there_is_none,
    effective_weights_are_honoured,
    many_requests_may_be_in_flight,
    shares_follow_the_weights,
    shares_follow_the_weights_under_load,
    shares_hold_over_workers_in_turn,
    shares_hold_over_threads,
    a_quarter_of_the_weight_gets_about_a_quarter,
    the_same_key_gives_the_same_server_on_every_worker,
    a_server_that_goes_out_disturbs_few_keys,
    a_warming_server_keeps_the_keys_it_has,
    a_busy_server_is_spared,
};

#define N_CHECKS ((int)(sizeof checks / sizeof *checks))

static int start(const struct fairlead_balancer *balancer, size_t n_servers)
{
    const struct fairlead_option *option = balancer->options;
    int64_t values[OPTIONS_MAX] = {0};
    char error[256];

    for (size_t i = 0; option && option->name; i++, option++)
        values[i] = chosen == FALLBACKS ? option->fallback : chosen == MINIMA ? option->min : option->max;
    return bench_start(&bench_space, balancer, n_servers, values, error, sizeof error);
}

/* The checks from `from` to before `to`, each with a worker and shared bytes of its own. NULL, or the first
 * fault, whose check is *at. */
static const char *run_checks(int from, int to, int *at)
{
    const char *fault = NULL;

    for (int i = from; !fault && i < to; i++) {
        struct bench_worker worker;

        *at = i;
        bench_reset(&bench_space);
        bench_worker_start(&worker, &bench_space, 0);
        fault = checks[i](&worker);
        bench_worker_stop(&worker);
    }
    return fault;
}

/* The same over all sizes and options. A strategy may refuse options, but not its own fallbacks. */
static const char *run(const struct fairlead_balancer *balancer, int from, int to, int *at)
{
    const char *fault = NULL;

    for (size_t s = 0; !fault && s < sizeof sizes / sizeof *sizes; s++) {
        bench_name_all(&bench_space, sizes[s]);
        for (chosen = FALLBACKS; !fault && chosen < (balancer->options ? N_CHOICES : MINIMA); chosen++) {
            if (start(balancer, sizes[s]) == 0) {
                fault = run_checks(from, to, at);
                bench_stop(&bench_space);
            } else if (chosen == FALLBACKS)
                fault = "it refuses the fallbacks of its own options";
        }
    }
    return fault;
}

START_TEST(every_module_keeps_the_contract)
{
    const struct fairlead_balancer *balancer = modules[_i].balancer;
    int at = 0;
    const char *fault = run(balancer, 0, N_CHECKS, &at);

    ck_assert_msg(fault == NULL, "%s, check %d, %zu servers, options %d: %s", balancer->name, at,
                  bench_space.set.n_servers, (int)chosen, fault);
}
END_TEST

/* Sets that are odd: of each, the server that must be picked, or FAIRLEAD_NONE. */
static const struct {
    uint32_t weights[3];
    size_t usable; /* none but this one, 3: all */
    int picked;
} odd[] = {
    {{0, 0, 0}, 3, FAIRLEAD_NONE}, {{0, 3, 0}, 3, 1},         {{0, 0, 1}, 3, 2},
    {{65535, 0, 0}, 3, 0},         {{65535, 65535, 1}, 2, 2}, {{65535, 1, 65534}, 1, 1},
    {{7, 65521, 65535}, 0, 0},
};

START_TEST(weights_may_be_nothing_or_the_greatest)
{
    static const char *const names[] = {"a", "b", "c"};

    chosen = FALLBACKS;
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        struct bench_worker worker;

        for (size_t k = 0; k < 3; k++)
            bench_name(&bench_space, k, names[k], odd[i].weights[k]);
        ck_assert_int_eq(start(modules[_i].balancer, 3), 0);
        bench_reset(&bench_space);
        bench_worker_start(&worker, &bench_space, 0);
        for (size_t k = 0; k < 3; k++)
            bench_set_usable(&bench_space, k, odd[i].usable == 3 || odd[i].usable == k);
        for (size_t k = 0; k < 100; k++) {
            int server = bench_pick(&worker, bench_random(&worker));
            ck_assert_msg(server == odd[i].picked, "%s, set %zu: %d", modules[_i].balancer->name, i, server);
            bench_set_effective(&bench_space, k % 3, k % 2 ? FAIRLEAD_WEIGHT_ONE : 1);
        }
        bench_worker_stop(&worker);
        bench_stop(&bench_space);
    }
}
END_TEST

START_TEST(the_suite_catches_a_module_that_keeps_nothing)
{
    struct strategy careless;
    char error[512];
    int at;

    ck_assert_int_eq(strategy_load(modules_broken, "careless", &careless, error, sizeof error), 0);
    for (int i = 0; i < N_CHECKS; i++)
        ck_assert_msg((run(careless.balancer, i, i + 1, &at) != NULL) ==
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
    tcase_add_loop_test(tcase, every_module_keeps_the_contract, 0, n_modules);
    tcase_add_loop_test(tcase, weights_may_be_nothing_or_the_greatest, 0, n_modules);
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
