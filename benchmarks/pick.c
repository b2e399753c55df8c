/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a pick costs, without the pool around it: nanoseconds, by strategy and number of servers, all of them
 * usable, at full weights of 1 to 3, with some requests in flight. `alone`: one worker. `third`: one worker,
 * and every third server is out. `two`: two workers on threads of their own, for one of them. Medians over
 * rounds; run it several times where the machine is shared. Usage: pick DIRECTORY [STRATEGY [OPTION=VALUE]],
 * the directory holding the modules; without a strategy, all those of the tree.
 */
#include "upstream/strategy.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SERVERS_MAX 1000
#define OPTIONS_MAX 8
#define N_ROUNDS    15
#define ROUND_NS    2000000u /* about */
#define WINDOW      64       /* requests in flight, for each worker */

struct bench {
    struct strategy strategy;
    struct fairlead_set set;
    struct fairlead_server servers[SERVERS_MAX];
    atomic_uint in_flight[SERVERS_MAX];
    const atomic_uint *counts[SERVERS_MAX]; /* where the set finds them */
    uint32_t weights[SERVERS_MAX];
    uint64_t usable[SERVERS_MAX / 64 + 1];
    size_t n_usable;
    void *plan, *shared;
};

struct worker {
    struct bench *bench;
    pthread_barrier_t *start; /* of all workers */
    void *state;
    int window[WINDOW];
    uint64_t n_picks;
    double median_ns;
};

static struct bench bench;

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void *zeroed(size_t size)
{
    void *memory = aligned_alloc(64, (size + 64) / 64 * 64);

    if (!memory)
        exit(1);
    return memset(memory, 0, size);
}

static void fill_set(size_t n_servers, bool third_out)
{
    bench.set =
        (struct fairlead_set){.n_servers = n_servers, .servers = bench.servers, .in_flight = bench.counts};
    memset(bench.usable, 0, sizeof bench.usable);
    bench.n_usable = 0;
    for (size_t i = 0; i < n_servers; i++) {
        uint32_t weight = (uint32_t)(i % 3) + 1;

        bench.counts[i] = &bench.in_flight[i];
        bench.servers[i] =
            (struct fairlead_server){.name = "", .hash = fairlead_mix(i + 1), .weight = weight};
        bench.weights[i] = weight * FAIRLEAD_WEIGHT_ONE;
        if (third_out && i % 3 == 1)
            continue;
        bench.usable[i / 64] |= UINT64_C(1) << (i % 64);
        bench.n_usable++;
    }
}

/* `option` is "name=value", or NULL. Exits with a sentence when the strategy does not want to. */
static void start(const char *option)
{
    const struct fairlead_balancer *balancer = bench.strategy.balancer;
    int64_t values[OPTIONS_MAX] = {0};
    char error[256] = "";

    for (size_t i = 0; balancer->options && balancer->options[i].name && i < OPTIONS_MAX; i++) {
        size_t len = strlen(balancer->options[i].name);

        values[i] = balancer->options[i].fallback;
        if (option && strncmp(option, balancer->options[i].name, len) == 0 && option[len] == '=')
            values[i] = atoll(option + len + 1);
    }
    if (balancer->plan_create &&
        balancer->plan_create(&bench.set, values, &bench.plan, error, sizeof error) != 0) {
        fprintf(stderr, "%s: %s\n", balancer->name, error);
        exit(1);
    }
    if (balancer->shared_size) {
        bench.shared = zeroed(balancer->shared_size(&bench.set, bench.plan));
        balancer->shared_init(bench.shared, &bench.set, bench.plan);
    }
}

static void stop(void)
{
    if (bench.plan)
        bench.strategy.balancer->plan_destroy(bench.plan);
    free(bench.shared);
    bench.plan = bench.shared = NULL;
}

static void end_request(const struct worker *worker, const struct fairlead_tier *tier, int server)
{
    const struct fairlead_balancer *balancer = worker->bench->strategy.balancer;

    if (balancer->done)
        balancer->done(tier, server, FAIRLEAD_OK, 1000000 + (uint64_t)server * 1000, now_ns());
    atomic_fetch_sub_explicit(&bench.in_flight[server], 1, memory_order_relaxed);
}

/* Picks for the window, timed; then the requests end, untimed. Returns ns. */
static uint64_t time_window(struct worker *worker, const struct fairlead_tier *tier)
{
    const struct fairlead_balancer *balancer = bench.strategy.balancer;
    struct fairlead_pick pick = {.usable = bench.usable,
                                 .n_usable = bench.n_usable,
                                 .effective_weight = bench.weights,
                                 .full_weights = true,
                                 .now_ns = now_ns()};
    uint64_t begun = now_ns();

    for (int i = 0; i < WINDOW; i++) {
        pick.key = worker->n_picks++ * UINT64_C(0x9e3779b97f4a7c15);
        int server = balancer->pick(tier, &pick);
        atomic_fetch_add_explicit(&bench.in_flight[server], 1, memory_order_relaxed);
        worker->window[i] = server;
    }
    uint64_t took = now_ns() - begun;
    for (int i = 0; i < WINDOW; i++)
        end_request(worker, tier, worker->window[i]);
    return took;
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;

    return a < b ? -1 : a > b;
}

/* A thread's main function. What a pick includes beside the strategy is counting it in flight, as the pool
 * does. */
static void *measure(void *argument)
{
    struct worker *worker = argument;
    const struct fairlead_balancer *balancer = worker->bench->strategy.balancer;
    double rounds[N_ROUNDS];

    if (balancer->state_size) {
        worker->state = zeroed(balancer->state_size(&bench.set, bench.plan));
        balancer->state_init(worker->state, &bench.set, bench.plan, (uint64_t)(uintptr_t)worker);
    }
    pthread_barrier_wait(worker->start);
    const struct fairlead_tier tier = {
        .set = &bench.set, .plan = bench.plan, .shared = bench.shared, .state = worker->state};
    for (int i = 0; i < N_ROUNDS; i++) {
        uint64_t took = 0, n = 0, begun = now_ns();

        while (now_ns() - begun < ROUND_NS) {
            took += time_window(worker, &tier);
            n += WINDOW;
        }
        rounds[i] = (double)took / (double)n;
    }
    qsort(rounds, N_ROUNDS, sizeof *rounds, compare);
    worker->median_ns = rounds[N_ROUNDS / 2];
    free(worker->state);
    return NULL;
}

/* Nanoseconds of a pick. */
static double run(size_t n_servers, const char *option, bool third_out, int n_workers)
{
    pthread_barrier_t barrier;
    struct worker workers[2] = {
        {.bench = &bench, .start = &barrier},
        {.bench = &bench, .start = &barrier, .n_picks = 1u << 30},
    };
    pthread_t thread;

    fill_set(n_servers, third_out);
    start(option);
    pthread_barrier_init(&barrier, NULL, (unsigned)n_workers);
    if (n_workers == 2 && pthread_create(&thread, NULL, measure, &workers[1]) != 0)
        exit(1);
    measure(&workers[0]);
    if (n_workers == 2)
        pthread_join(thread, NULL);
    pthread_barrier_destroy(&barrier);
    stop();
    return workers[0].median_ns;
}

static void report(const char *dir, const char *name, const char *option)
{
    static const size_t sizes[] = {3, 100, 1000};
    char error[512], title[64];

    if (strategy_load(dir, name, &bench.strategy, error, sizeof error) != 0) {
        fprintf(stderr, "%s\n", error);
        exit(1);
    }
    snprintf(title, sizeof title, "%s %s", name, option ? option : "");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        printf("%-24s %8zu %9.1f %9.1f %9.1f\n", title, sizes[i], run(sizes[i], option, false, 1),
               run(sizes[i], option, true, 1), run(sizes[i], option, false, 2));
    strategy_unload(&bench.strategy);
}

int main(int argc, char **argv)
{
    static const char *const all[][2] = {{"round_robin", NULL}, {"least_conn", NULL},    {"least_time", NULL},
                                         {"random", NULL},      {"ip_hash", NULL},       {"hash", NULL},
                                         {"maglev", NULL},      {"hash", "consistent=1"}};

    if (argc < 2) {
        fprintf(stderr, "usage: %s DIRECTORY [STRATEGY [OPTION=VALUE]]\n", argv[0]);
        return 2;
    }
    printf("%-24s %8s %9s %9s %9s\n", "ns per pick", "servers", "alone", "third out", "two");
    if (argc > 2) {
        report(argv[1], argv[2], argc > 3 ? argv[3] : NULL);
        return 0;
    }
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        report(argv[1], all[i][0], all[i][1]);
    return 0;
}
