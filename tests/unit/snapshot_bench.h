/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A snapshot of the configuration that config_fake.h has loaded, for tests without a network: its one listener has
 * descriptors that nobody opens. Included by one file per program.
 */
#ifndef FAIRLEAD_TESTS_SNAPSHOT_BENCH_H
#define FAIRLEAD_TESTS_SNAPSHOT_BENCH_H

#include "config_fake.h"

#include "proxy/listening.h"
#include "proxy/service.h"
#include "proxy/snapshot.h"

#include <check.h>

#define BENCH_WORKERS_MAX 4u
#define BENCH_GROUPS_MAX  8u

static struct snapshot *snapshot;

/* The first one, with the pools of the configuration, which it takes over. `workers` are borrowed for good, and may be
 * made later. */
static inline void make_snapshot(struct worker *const *workers, unsigned n_workers)
{
    static const int fds[BENCH_WORKERS_MAX] = {-1, -1, -1, -1};
    static uint8_t secret[SNAPSHOT_SECRET_SIZE]; /* another one each time, as of another process */
    static atomic_uint users;
    struct snapshot_listener listener = {fds, &users, fds, n_workers};
    struct pool *pools[BENCH_GROUPS_MAX];
    struct snapshot_parts parts = {.loaded = loaded_create(fake_config),
                                   .pools = pools,
                                   .listeners = &listener,
                                   .workers = workers,
                                   .n_workers = n_workers,
                                   .secret = secret};

    secret[0]++;
    ck_assert_uint_le(n_workers, BENCH_WORKERS_MAX);
    ck_assert_uint_le(fake_config->n_groups, BENCH_GROUPS_MAX);
    for (size_t i = 0; i < fake_config->n_groups; i++) {
        pools[i] = config_take_pool(fake_config, i);
        pool_commit(pools[i], NULL, 0);
    }
    ck_assert_int_eq(snapshot_create(&parts, NULL, &snapshot), 0);
    loaded_put(parts.loaded); /* the snapshot has its own */
}

/* As the worker would when it starts, but for the ring. */
static inline void take_listeners(struct service *service)
{
    service->listenings = service->view->fresh;
    service->view->fresh = NULL;
    for (struct listening *listening = service->listenings; listening; listening = listening->next)
        listening->service = service;
}

#endif
