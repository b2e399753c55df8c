/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the tests of one pool object after another share. `pool` is the current one; `old` the one before it, until the
 * test puts it. Included by one file per program.
 */
#ifndef FAIRLEAD_TESTS_SUCCESSION_FIXTURE_H
#define FAIRLEAD_TESTS_SUCCESSION_FIXTURE_H

#include "upstream/tier.h"

#include "picker_fixture.h"

static struct pool *old;
static char names[POOL_SERVERS_MAX][16];

/* Servers a:80, b:80, ... with the addresses 127.0.0.1, 127.0.0.2, ...; they may be renamed before `start`. */
static inline void name_servers(void)
{
    for (size_t i = 0; i < 8; i++) {
        struct server_address *address = &servers[i].address;

        snprintf(names[i], sizeof names[i], "%c:80", (int)('a' + i));
        servers[i].name = names[i];
        address->len = sizeof address->in;
        address->in.sin_family = AF_INET;
        address->in.sin_port = htons(80);
        address->in.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)i);
    }
}

static inline void begin(size_t n_servers)
{
    name_servers();
    start(n_servers);
}

/* Makes the next pool object of what stands in `servers` now. */
static inline void make_next(size_t n_servers)
{
    char error[512];

    ck_assert_ptr_null(old);
    old = pool;
    spec.n_servers = n_servers;
    int result = pool_create(&spec, FIXTURE_WORKERS, old, &pool, error, sizeof error);
    ck_assert_msg(result == 0, "%s", error);
}

static inline void succeed(size_t n_servers, uint64_t now_ms)
{
    make_next(n_servers);
    pool_commit(pool, old, now_ms);
    one = pool_picker(pool, 0);
    two = pool_picker(pool, 1);
}

static inline size_t count_states(const struct server_state *states)
{
    size_t n = 0;

    for (; states; states = states->next)
        n++;
    return n;
}

/* The old pool object goes; so many states go with it. */
static inline void end_old(size_t n_states)
{
    struct server_state *states = pool_put(old);

    old = NULL;
    ck_assert_uint_eq(count_states(states), n_states);
    free_states(states);
}

static inline void swap(size_t a, size_t b)
{
    struct server_spec kept = servers[a];

    servers[a] = servers[b];
    servers[b] = kept;
}

#endif
