/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a pick costs: nanoseconds of picker_pick and of picker_done for pools of 3, 100 and 1000 servers, on
 * one thread, with nothing else in the caches but the pool. `steady`: nothing changes. `flapping`: before
 * each pick another server goes out or comes back, so that each pick looks at every server again. Usage: pick
 * DIRECTORY [STRATEGY], the directory holding the modules.
 */
#include "upstream/picker.h"
#include "upstream/tier.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BATCH           256
#define N_ROUNDS        7
#define PICKS_PER_ROUND 100000

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

struct costs {
    double pick_ns, done_ns;
};

/* One round of picks and their ends, in batches so that the clock is read seldom. */
static struct costs run_round(struct pool *pool, struct picker *picker, bool flapping)
{
    int servers[BATCH];
    uint64_t picking = 0, ending = 0, n = 0, now = now_ns();

    for (; n < PICKS_PER_ROUND; n += BATCH) {
        uint64_t start = now_ns();
        for (size_t i = 0; i < BATCH; i++) {
            struct tried tried = {0};
            if (flapping)
                atomic_fetch_add_explicit(&pool->version, 1, memory_order_release);
            servers[i] = picker_pick(picker, &tried, (n + i) * UINT64_C(0x9e3779b97f4a7c15), now);
        }
        uint64_t middle = now_ns();
        for (size_t i = 0; i < BATCH; i++)
            picker_done(picker, servers[i], FAIRLEAD_OK, 1000, now);
        picking += middle - start;
        ending += now_ns() - middle;
    }
    return (struct costs){(double)picking / (double)n, (double)ending / (double)n};
}

/* The best of some rounds: the others were disturbed. */
static struct costs measure(struct pool *pool, struct picker *picker, bool flapping)
{
    struct costs best = run_round(pool, picker, flapping);

    for (int i = 1; i < N_ROUNDS; i++) {
        struct costs costs = run_round(pool, picker, flapping);
        if (costs.pick_ns < best.pick_ns)
            best = costs;
    }
    return best;
}

static struct pool *make_pool(const char *dir, const char *strategy, size_t n_servers)
{
    static struct server_spec servers[POOL_SERVERS_MAX];
    static char names[POOL_SERVERS_MAX][32];
    struct pool_spec spec = {.name = "bench",
                             .balance = strategy,
                             .balancers_dir = dir,
                             .n_servers = n_servers,
                             .servers = servers};
    struct pool *pool;
    char error[512];

    for (size_t i = 0; i < n_servers; i++) {
        snprintf(names[i], sizeof names[i], "server%zu:80", i);
        servers[i] = (struct server_spec){
            .name = names[i], .weight = (uint32_t)(i % 3) + 1, .max_fails = 1, .fail_timeout_ms = 10000};
    }
    if (pool_create(&spec, &pool, error, sizeof error) == 0)
        return pool;
    fprintf(stderr, "%s\n", error);
    exit(1);
}

int main(int argc, char **argv)
{
    static const size_t sizes[] = {3, 100, 1000};

    if (argc < 2) {
        fprintf(stderr, "usage: %s DIRECTORY [STRATEGY]\n", argv[0]);
        return 2;
    }
    printf("%8s %10s %10s %10s\n", "servers", "steady", "flapping", "done");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct pool *pool = make_pool(argv[1], argc > 2 ? argv[2] : NULL, sizes[i]);
        struct picker *picker = picker_create(pool, 0);
        if (!picker)
            return 1;
        struct costs steady = measure(pool, picker, false), flapping = measure(pool, picker, true);
        printf("%8zu %7.1f ns %7.1f ns %7.1f ns\n", sizes[i], steady.pick_ns, flapping.pick_ns,
               steady.done_ns);
        picker_destroy(picker);
        pool_destroy(pool);
    }
    return 0;
}
