/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * For tests that call strategies directly, without a pool: a set of servers, a plan, what is shared, and the
 * state of one worker or several. Included by one file per program. One thread, but for struct bench_worker,
 * of which each thread may have its own.
 */
#ifndef FAIRLEAD_TESTS_BALANCER_BENCH_H
#define FAIRLEAD_TESTS_BALANCER_BENCH_H

#include <fairlead/balancer.h>

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BENCH_SERVERS_MAX 1000u
#define BENCH_WINDOW_MAX  1024u    /* requests in flight */
#define BENCH_STEP_NS     100000u  /* from one pick to the next */
#define BENCH_LATENCY_NS  1000000u /* of every answer */

/* What is the same for all workers. Servers may be made unusable or light between picks. */
struct bench {
    const struct fairlead_balancer *balancer;
    struct fairlead_set set;
    struct fairlead_server servers[BENCH_SERVERS_MAX];
    char names[BENCH_SERVERS_MAX][32];
    atomic_uint in_flight[BENCH_SERVERS_MAX];
    const atomic_uint *counts[BENCH_SERVERS_MAX]; /* where the set finds them */
    uint32_t effective[BENCH_SERVERS_MAX];
    uint64_t usable[BENCH_SERVERS_MAX / 64 + 1];
    size_t n_usable;
    bool full_weights;
    void *plan, *shared; /* owned */
};

/* One worker of it. */
struct bench_worker {
    struct bench *bench;
    void *state; /* owned */
    uint64_t now_ns, random;
};

static inline uint64_t bench_random(struct bench_worker *worker)
{
    worker->random += UINT64_C(0x9e3779b97f4a7c15);
    return fairlead_mix(worker->random);
}

static inline void bench_set_usable(struct bench *bench, size_t server, bool usable)
{
    uint64_t bit = UINT64_C(1) << (server % 64), *word = &bench->usable[server / 64];

    *word = usable && bench->servers[server].weight > 0 ? *word | bit : *word & ~bit;
    bench->n_usable = 0;
    for (size_t i = 0; i < BENCH_SERVERS_MAX / 64 + 1; i++)
        bench->n_usable += (size_t)__builtin_popcountll(bench->usable[i]);
}

static inline void bench_set_all_usable(struct bench *bench, bool usable)
{
    for (size_t i = 0; i < bench->set.n_servers; i++)
        bench_set_usable(bench, i, usable);
}

/* A share of FAIRLEAD_WEIGHT_ONE is the whole of its weight. Until bench_reset the weights do not count as
 * full then, which strategies must bear even if all are. */
static inline void bench_set_effective(struct bench *bench, size_t server, uint32_t share)
{
    bench->effective[server] = bench->servers[server].weight * share;
    bench->full_weights = false;
}

/* Exactly as many bytes as asked for, so that the address sanitizer sees a step beside them. */
static inline void *bench_zeroed(size_t size)
{
    void *memory;

    ck_assert_int_eq(posix_memalign(&memory, 64, size ? size : 1), 0);
    memset(memory, 0, size);
    return memory;
}

/* A server of the bench; FNV-1a, mixed, in the place of the framework's hash. */
static inline void bench_name(struct bench *bench, size_t server, const char *name, uint32_t weight)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    snprintf(bench->names[server], sizeof bench->names[server], "%s", name);
    for (const char *c = bench->names[server]; *c; c++)
        hash = (hash ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
    bench->servers[server] =
        (struct fairlead_server){.name = bench->names[server], .hash = fairlead_mix(hash), .weight = weight};
    bench->effective[server] = weight * FAIRLEAD_WEIGHT_ONE;
}

/* Names the servers by their number, with the weights 1 to 5 in turn. */
static inline void bench_name_all(struct bench *bench, size_t n_servers)
{
    char name[32];

    for (size_t i = 0; i < n_servers; i++) {
        snprintf(name, sizeof name, "10.0.%u.%u:80", (unsigned)i / 250, (unsigned)i % 250);
        bench_name(bench, i, name, (uint32_t)(i % 5) + 1);
    }
}

/* The servers are named. `options` has a value for each option. Returns what plan_create does; all are usable
 * after that, and idle. */
static inline int bench_start(struct bench *bench, const struct fairlead_balancer *balancer, size_t n_servers,
                              const int64_t *options, char *error, size_t error_size)
{
    bench->balancer = balancer;
    for (size_t i = 0; i < n_servers; i++)
        bench->counts[i] = &bench->in_flight[i];
    bench->set =
        (struct fairlead_set){.n_servers = n_servers, .servers = bench->servers, .in_flight = bench->counts};
    bench->plan = bench->shared = NULL;
    memset(bench->usable, 0, sizeof bench->usable);
    bench_set_all_usable(bench, true);
    return balancer->plan_create
               ? balancer->plan_create(&bench->set, options, &bench->plan, error, error_size)
               : 0;
}

/* Everything as after bench_start, with what is shared made anew; the plan stays. */
static inline void bench_reset(struct bench *bench)
{
    const struct fairlead_balancer *balancer = bench->balancer;

    for (size_t i = 0; i < bench->set.n_servers; i++) {
        atomic_store(&bench->in_flight[i], 0);
        bench_set_effective(bench, i, FAIRLEAD_WEIGHT_ONE);
    }
    bench->full_weights = true;
    bench_set_all_usable(bench, true);
    free(bench->shared);
    bench->shared = NULL;
    if (!balancer->shared_size)
        return;
    bench->shared = bench_zeroed(balancer->shared_size(&bench->set, bench->plan));
    balancer->shared_init(bench->shared, &bench->set, bench->plan);
}

static inline void bench_stop(struct bench *bench)
{
    if (bench->balancer->plan_destroy && bench->plan)
        bench->balancer->plan_destroy(bench->plan);
    free(bench->shared);
    bench->plan = bench->shared = NULL;
}

static inline void bench_worker_start(struct bench_worker *worker, struct bench *bench, uint64_t seed)
{
    const struct fairlead_balancer *balancer = bench->balancer;

    *worker = (struct bench_worker){.bench = bench, .now_ns = UINT64_C(1000000000), .random = seed};
    if (!balancer->state_size)
        return;
    worker->state = bench_zeroed(balancer->state_size(&bench->set, bench->plan));
    balancer->state_init(worker->state, &bench->set, bench->plan, seed);
}

static inline void bench_worker_stop(struct bench_worker *worker)
{
    free(worker->state);
    worker->state = NULL;
}

static inline struct fairlead_tier bench_tier(const struct bench_worker *worker)
{
    const struct bench *bench = worker->bench;

    return (struct fairlead_tier){
        .set = &bench->set, .plan = bench->plan, .shared = bench->shared, .state = worker->state};
}

/* As the framework does: the key only to those who want one, and what was picked is in flight. */
static inline int bench_pick(struct bench_worker *worker, uint64_t key)
{
    struct bench *bench = worker->bench;
    const struct fairlead_tier tier = bench_tier(worker);
    struct fairlead_pick pick = {.usable = bench->usable,
                                 .n_usable = bench->n_usable,
                                 .effective_weight = bench->effective,
                                 .full_weights = bench->full_weights,
                                 .now_ns = worker->now_ns};

    pick.key = bench->balancer->traits & (FAIRLEAD_KEYED | FAIRLEAD_ADDRESSED) ? key : 0;
    worker->now_ns += BENCH_STEP_NS;
    int server = bench->balancer->pick(&tier, &pick);
    if (server >= 0 && (size_t)server < bench->set.n_servers)
        atomic_fetch_add(&bench->in_flight[server], 1);
    return server;
}

static inline void bench_done(struct bench_worker *worker, int server, enum fairlead_outcome outcome,
                              uint64_t latency_ns)
{
    struct bench *bench = worker->bench;
    const struct fairlead_tier tier = bench_tier(worker);

    atomic_fetch_sub(&bench->in_flight[server], 1);
    if (bench->balancer->done)
        bench->balancer->done(&tier, server, outcome, outcome == FAIRLEAD_OK ? latency_ns : 0,
                              worker->now_ns);
}

/* NULL, or what is wrong with this answer. */
static inline const char *bench_judge(const struct bench *bench, int server)
{
    const struct fairlead_pick pick = {.usable = bench->usable};
    bool any = false;

    if (server == FAIRLEAD_NONE) {
        for (size_t i = 0; i < bench->set.n_servers; i++)
            any |= fairlead_usable(&pick, i) && bench->effective[i] > 0;
        return any ? "it found none, where a server was usable" : NULL;
    }
    if (server < 0 || (size_t)server >= bench->set.n_servers)
        return "it gave an index outside of the set";
    if (!fairlead_usable(&pick, (size_t)server))
        return "it gave a server that is not usable";
    return bench->effective[server] > 0 ? NULL : "it gave a server without effective weight";
}

/* Counts n picks by server, each ending when `window` more have begun, up to BENCH_WINDOW_MAX. NULL, or a
 * fault. */
static inline const char *bench_count(struct bench_worker *worker, uint32_t n, uint32_t window,
                                      uint32_t *counts)
{
    int servers[BENCH_WINDOW_MAX];
    const char *fault = NULL;
    uint32_t picked = 0, ended = 0;

    for (; !fault && picked < n; picked++) {
        if (picked >= window)
            bench_done(worker, servers[ended++ % window], FAIRLEAD_OK, BENCH_LATENCY_NS);
        int server = bench_pick(worker, bench_random(worker));
        fault = bench_judge(worker->bench, server);
        if (fault || server == FAIRLEAD_NONE)
            return fault ? fault : "it found none";
        servers[picked % window] = server;
        counts[server]++;
    }
    while (ended < picked)
        bench_done(worker, servers[ended++ % window], FAIRLEAD_OK, BENCH_LATENCY_NS);
    return NULL;
}

#endif
