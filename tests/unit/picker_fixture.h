/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the tests of pickers share: a pool of servers as the test wants them, two pickers (two workers), and
 * requests that come and end at the millisecond that the test says. Included by one file per program.
 */
#ifndef FAIRLEAD_TESTS_PICKER_FIXTURE_H
#define FAIRLEAD_TESTS_PICKER_FIXTURE_H

#include "upstream/picker.h"

#include <check.h>
#include <pthread.h>

#include "modules.h"
#include "suite.h"

#define NS_PER_MS  UINT64_C(1000000)
#define TIMEOUT_MS 10000u

#define FIXTURE_THREADS_MAX 8u
#define FIXTURE_WORKERS     (2 + FIXTURE_THREADS_MAX)

static struct server_spec servers[POOL_SERVERS_MAX];
static struct pool_spec spec;
static struct pool *pool;
static struct picker *one, *two; /* two workers */

/* Servers of weight 1, taken out by one failure for ten seconds; the test changes what it wants and calls
 * start. */
static inline void setup(void)
{
    for (size_t i = 0; i < POOL_SERVERS_MAX; i++)
        servers[i] =
            (struct server_spec){.name = "s:80", .weight = 1, .max_fails = 1, .fail_timeout_ms = TIMEOUT_MS};
    spec = (struct pool_spec){.name = "site",
                              .balancers_dir = modules_of_the_tree(),
                              .servers = servers,
                              .max_ejected = 100,
                              .max_eject_time_ms = 300000};
}

static inline void start(size_t n_servers)
{
    char error[512];

    spec.n_servers = n_servers;
    int result = pool_create(&spec, FIXTURE_WORKERS, NULL, &pool, error, sizeof error);
    ck_assert_msg(result == 0, "%s", error);
    pool_commit(pool, NULL, 0);
    one = pool_picker(pool, 0);
    two = pool_picker(pool, 1);
}

static inline struct server_state *state_of(size_t server)
{
    return pool_server(pool, server)->state;
}

static inline void change(size_t server, uint32_t set, uint32_t clear, uint64_t now_ms)
{
    pool_change_flags(pool, pool_server(pool, server), set, clear, now_ms);
}

/* What is left of servers when no pool has them; nobody has links to them here. */
static inline void free_states(struct server_state *states)
{
    while (states) {
        struct server_state *next = states->next;

        server_state_free(states);
        states = next;
    }
}

static inline unsigned in_flight(size_t server)
{
    return atomic_load(state_of(server)->in_flight);
}

/* Nothing may be left in flight. */
static inline void teardown(void)
{
    for (size_t i = 0; pool && i < pool_n_servers(pool); i++)
        ck_assert_uint_eq(in_flight(i), 0);
    free_states(pool_put(pool));
    pool = NULL;
    one = two = NULL;
}

static inline int take_with(struct picker *picker, int bound, struct tried *tried, uint64_t now_ms)
{
    struct pick_request request = {.bound = bound, .tried = tried};

    return picker_pick(picker, &request, now_ms * NS_PER_MS);
}

static inline int take(struct picker *picker, uint64_t now_ms)
{
    return take_with(picker, PICKER_NONE, NULL, now_ms);
}

static inline enum picker_news end(struct picker *picker, int server, enum fairlead_outcome outcome,
                                   uint64_t now_ms)
{
    enum picker_news news = picker_outcome(picker, server, outcome, 0, now_ms * NS_PER_MS);

    picker_release(picker, server);
    return news;
}

/* One request from begin to end. */
static inline int serve(struct picker *picker, enum fairlead_outcome outcome, uint64_t now_ms)
{
    int server = take(picker, now_ms);

    if (server >= 0)
        end(picker, server, outcome, now_ms);
    return server;
}

/* Picks until the wanted server comes; the others answer well. It is left in flight. */
static inline void take_server(struct picker *picker, int wanted, uint64_t now_ms)
{
    for (int i = 0; i < 2 * (int)pool_n_servers(pool) + 2; i++) {
        int server = take(picker, now_ms);

        ck_assert_int_ge(server, 0);
        if (server == wanted)
            return;
        end(picker, server, FAIRLEAD_OK, now_ms);
    }
    ck_abort_msg("server %d was not picked", wanted);
}

/* Whether this failure took the server out. */
static inline bool fail_server(struct picker *picker, int wanted, uint64_t now_ms)
{
    take_server(picker, wanted, now_ms);
    return end(picker, wanted, FAIRLEAD_FAILED, now_ms) == PICKER_EJECTED;
}

/* How many of a hundred requests the server gets. */
static inline int share(struct picker *picker, int wanted, uint64_t now_ms)
{
    int n = 0;

    for (int i = 0; i < 100; i++)
        n += serve(picker, FAIRLEAD_OK, now_ms) == wanted;
    return n;
}

static inline uint64_t out_until(size_t server)
{
    return state_of(server)->out_until_ms;
}

/* How many servers the passive check has out. */
static inline size_t count_out(void)
{
    size_t n = 0;

    for (size_t i = 0; i < pool_n_servers(pool); i++)
        n += out_until(i) != 0;
    return n;
}

static inline uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

/* Threads: each gets its number, and they begin together. Each has a worker's picker of its own. */

static inline struct picker *picker_of_thread(unsigned number)
{
    return pool_picker(pool, 2 + number);
}

struct fixture_thread {
    pthread_t thread;
    unsigned number;
    pthread_barrier_t *barrier;
    void (*work)(unsigned number);
};

static inline void *fixture_run(void *argument)
{
    const struct fixture_thread *self = argument;

    pthread_barrier_wait(self->barrier);
    self->work(self->number);
    return NULL;
}

static inline void run_threads(unsigned n, void (*work)(unsigned number))
{
    struct fixture_thread threads[FIXTURE_THREADS_MAX];
    pthread_barrier_t barrier;

    pthread_barrier_init(&barrier, NULL, n);
    for (unsigned i = 0; i < n; i++) {
        threads[i] = (struct fixture_thread){.number = i, .barrier = &barrier, .work = work};
        ck_assert_int_eq(pthread_create(&threads[i].thread, NULL, fixture_run, &threads[i]), 0);
    }
    for (unsigned i = 0; i < n; i++)
        pthread_join(threads[i].thread, NULL);
    pthread_barrier_destroy(&barrier);
}

/* Builds the modules of tests/strategies, runs the tests, removes them. Returns what main does. */
static inline int fixture_main(const char *name, void (*add_tests)(TCase *tcase))
{
    int result;

    if (modules_build() != 0)
        return EXIT_FAILURE;
    result = suite_run(&(struct suite){name, 60, setup, teardown, add_tests});
    modules_remove();
    return result;
}

#endif
