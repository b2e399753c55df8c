/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Exchanges without a network: services of workers that do not run, clients whose bytes come by hand, time
 * that the test says. Servers are never reached: an exchange that has one stays CONNECTING until the test
 * ends it, and places at servers are taken and freed with a picker of the test's own. The test's thread is
 * every worker, one after the other. One includer per program. Environment: FAIRLEAD_BALANCERS.
 */
#ifndef FAIRLEAD_TESTS_EXCHANGE_BENCH_H
#define FAIRLEAD_TESTS_EXCHANGE_BENCH_H

#include "snapshot_bench.h"
#include "stream_bench.h"

#include "proxy/attempt.h"
#include "proxy/client.h"
#include "proxy/queue.h"
#include "proxy/retry.h"
#include "proxy/sticky.h"

#define BENCH_HEAP_MAX (4u << 20)
#define NS_PER_MS      UINT64_C(1000000)

static struct worker *bench_workers[BENCH_WORKERS_MAX];
static struct service *services[BENCH_WORKERS_MAX];
static unsigned n_services;
static struct picker *others; /* requests that the test itself has at the servers */

static inline void bench_time(uint64_t now_ms)
{
    for (unsigned i = 0; i < n_services; i++) {
        bench_workers[i]->now_ms = now_ms;
        bench_workers[i]->now_ns = now_ms * NS_PER_MS;
        timers_run(&bench_workers[i]->timers, now_ms);
    }
}

static inline void create_worker(unsigned number)
{
    struct worker_config config = bench_config(BENCH_HEAP_MAX);

    config.number = number;
    ck_assert_int_eq(worker_create(&config, &bench_workers[number]), 0);
    timers_init(&bench_workers[number]->timers, 0);
    ck_assert_int_eq(service_create(bench_workers[number], snapshot, &services[number]), 0);
    take_listeners(services[number]);
    n_services++;
}

/* `configuration` says "workers = N", has one listen, and no access log. The first pool is that of `others`.
 */
static inline void exchanges_begin(const char *configuration)
{
    fake_workers = BENCH_WORKERS_MAX + 1;
    ck_assert_msg(fake_load(configuration) == 0, "%s", fake_findings);
    make_snapshot(bench_workers, fake_config->workers);
    for (unsigned i = 0; i < fake_config->workers; i++)
        create_worker(i);
    others = pool_picker(snapshot->pools[0], BENCH_WORKERS_MAX);
    bench_time(1000);
}

/* Ends what is left, by force. */
static inline void exchanges_end(void)
{
    for (unsigned i = 0; i < n_services; i++) {
        for (struct client *client = services[i]->first_client; client; client = client->next) {
            client_stop_now(client);
            bench_release(&client->stream);
        }
    }
    for (unsigned i = 0; i < n_services; i++) {
        service_destroy(services[i]);
        ck_assert_uint_eq(worker_buffers(bench_workers[i])->counters.heap_bytes, 0);
        worker_destroy(bench_workers[i]);
    }
    n_services = 0;
    server_states_discard(snapshot_destroy(snapshot));
    fake_config = NULL;
    fake_clear();
}

/* A new client of the worker sends these bytes. */
static inline struct client *send_request(unsigned number, const char *text)
{
    struct service *service = services[number];
    struct client *client;

    client_accept(service->listenings, -1);
    client = service->first_client;
    ck_assert_ptr_nonnull(client);
    bench_worker = bench_workers[number];
    bench_feed(&client->stream, text, strlen(text));
    client->stream.type->on_input(&client->stream);
    return client;
}

static inline enum exchange_state state_of(const struct client *client)
{
    ck_assert_ptr_nonnull(client->exchange);
    return client->exchange->state;
}

/* The status of the answer that waits for the client; 0: none. */
static inline int answered(struct client *client)
{
    const struct piece *piece = &client->stream.pieces[client->stream.first_piece];

    return client->stream.n_pieces == 0 ? 0 : atoi((const char *)piece->data + strlen("HTTP/1.1 "));
}

/* All workers read their letters until there are none. */
static inline void read_letters(void)
{
    unsigned n = 1;

    for (unsigned round = 0; n > 0; round++) {
        ck_assert_msg(round < 100, "letters without an end");
        n = 0;
        for (unsigned i = 0; i < n_services; i++)
            n += mailbox_run(&bench_workers[i]->mailbox, bench_workers[i]);
    }
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

#endif
