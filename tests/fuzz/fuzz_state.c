/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Fuzzes the reader of the state file. It checks that an error has a sentence and leaves nothing, that what was read is in its ranges, and that it can be applied to a
 * group: which keeps a server, and has none twice.
 */
#include "control/changes.h"

#include <stdlib.h>
#include <string.h>

#define INPUT_MAX 65535

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool promise)
{
    if (!promise)
        abort();
}

static void count(void *context, const struct change *change, const char *sentence)
{
    (void)change;
    check(sentence[0] != '\0');
    ++*(size_t *)context;
}

static void apply(const struct changes *changes, const char *pool)
{
    static const struct server_spec configured[] = {{.name = "10.0.0.1:80"}, {.name = "10.0.0.2:80"}};
    struct pool_spec spec = {.name = pool, .n_servers = 2, .servers = configured};
    struct server_spec *servers;
    size_t n_refused = 0;
    struct changes_report report = {&n_refused, count};

    if (changes_apply(changes, &spec, &report, &servers) != 0)
        return;
    check(spec.n_servers >= 1 && n_refused <= changes->n);
    for (size_t i = 0; i < spec.n_servers && i < 64; i++)
        for (size_t k = 0; k < i; k++)
            check(strcmp(spec.servers[i].name, spec.servers[k].name) != 0);
    free(servers);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct changes changes;
    char error[256] = "", text[64];
    int result;

    if (size > INPUT_MAX)
        return 0;
    result = changes_parse((const char *)data, size, &changes, error, sizeof(error));
    check((result == 0) == (error[0] == '\0'));
    check(result == 0 || changes.n == 0);
    for (size_t i = 0; i < changes.n; i++) {
        const struct change *change = &changes.list[i];

        check(change->persist && change->kind < CHANGE_N_KINDS && change->weight <= CHANGE_WEIGHT_MAX);
        check(change->pool[0] && change->server[0] && strlen(change->pool) < CHANGES_POOL_MAX && strlen(change->server) < SERVER_NAME_MAX);
        change_print(change, text, sizeof(text));
        check(strlen(text) < sizeof(text));
        if (i < 8)
            apply(&changes, change->pool);
    }
    changes_fini(&changes);
    return 0;
}
