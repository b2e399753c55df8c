/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Fuzzes the reader of what the process before knew of its servers. It checks that a text which is refused changes nothing, that one which is
 * taken leaves words within their bounds and as many servers out as are counted, and that what is exported then is taken again and is the same.
 * Environment: FAIRLEAD_BALANCERS, the directory of the modules (default "balancers/.libs").
 */
#include "upstream/tier.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX 8192
#define N_SERVERS 3
#define TEXT_MAX  4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool promise)
{
    if (!promise)
        abort();
}

static struct pool *make_pool(void)
{
    struct server_spec servers[N_SERVERS];
    const char *dir = getenv("FAIRLEAD_BALANCERS");
    struct pool_spec spec = {.name = "site",
                             .balancers_dir = dir ? dir : "balancers/.libs",
                             .n_servers = N_SERVERS,
                             .servers = servers,
                             .max_ejected = 70};
    struct pool *pool;
    char error[256];

    for (size_t i = 0; i < N_SERVERS; i++) {
        servers[i] = (struct server_spec){.name = i == 0 ? "a:80" : "b c:80", .weight = 1, .max_fails = 1};
        servers[i].address.len = sizeof servers[i].address.in;
        servers[i].address.in.sin_family = AF_INET;
        servers[i].address.in.sin_port = htons(80);
    }
    if (pool_create(&spec, 0, NULL, &pool, error, sizeof error) != 0) {
        fprintf(stderr, "%s\n", error);
        exit(1);
    }
    pool_commit(pool, NULL, 0);
    return pool;
}

static void check_words(const struct pool *pool)
{
    unsigned n_out = 0;

    for (size_t i = 0; i < N_SERVERS; i++) {
        const struct server_state *state = pool_server(pool, i)->state;

        n_out += state->out_until_ms != 0;
        check(state->share >= 1 && state->share <= SHARE_WHOLE);
        check((state->flags & SERVER_CONFIGURED) == 0);
    }
    check(n_out == pool->state->n_ejected);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char before[TEXT_MAX], after[TEXT_MAX], again[TEXT_MAX];
    struct pool *pool;
    bool taken;

    if (size > INPUT_MAX)
        return 0;
    pool = make_pool();
    check(pool_export(pool, before, sizeof before) < sizeof before);
    taken = pool_import(pool, (const char *)data, size);
    check_words(pool);
    check(pool_export(pool, after, sizeof after) < sizeof after);
    check(taken || strcmp(before, after) == 0);
    server_states_discard(pool_put(pool));
    pool = make_pool();
    check(pool_import(pool, after, strlen(after)));
    check(pool_export(pool, again, sizeof again) < sizeof again);
    check(strcmp(after, again) == 0);
    server_states_discard(pool_put(pool));
    return 0;
}
