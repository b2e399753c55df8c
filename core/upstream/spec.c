/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a pool was made of: copied, compared with what another would be made of, and freed. Control thread. */
#include "upstream/tier.h"

#include <errno.h>
#include <inttypes.h>

#define DEFAULT_BALANCE "round_robin"

static size_t count_options(const struct fairlead_option *table)
{
    size_t n = 0;

    while (table && table[n].name)
        n++;
    return n;
}

int pool_spec_options(const struct fairlead_option *table, const int64_t *given, int64_t **values, size_t *n,
                      const struct complaint *complaint)
{
    *n = count_options(table);
    *values = calloc(*n + 1, sizeof **values);
    if (!*values)
        return out_of_memory(complaint);
    for (size_t i = 0; i < *n; i++) {
        int64_t value = given ? given[i] : table[i].fallback;

        if (value < table[i].min || value > table[i].max) {
            snprintf(complaint->text, complaint->size,
                     "%s is %" PRId64 ", and must be from %" PRId64 " to %" PRId64, table[i].name, value,
                     table[i].min, table[i].max);
            free(*values);
            *values = NULL;
            return -EINVAL;
        }
        (*values)[i] = value;
    }
    return 0;
}

static int copy_text(const char **copy, const char *text)
{
    *copy = text ? strdup(text) : NULL;
    return !text || *copy ? 0 : -ENOMEM;
}

static int copy_servers(struct pool_spec *copy, const struct pool_spec *spec)
{
    struct server_spec *servers = calloc(spec->n_servers, sizeof *servers);

    if (!servers)
        return -ENOMEM;
    copy->servers = servers;
    copy->n_servers = spec->n_servers;
    for (size_t i = 0; i < spec->n_servers; i++) {
        servers[i] = spec->servers[i];
        servers[i].name = servers[i].route = NULL;
        if (copy_text(&servers[i].name, spec->servers[i].name) != 0 ||
            copy_text(&servers[i].route, spec->servers[i].route) != 0) {
            copy->n_servers = i + 1;
            return -ENOMEM;
        }
    }
    return 0;
}

int pool_spec_copy(struct pool_spec *copy, const struct pool_spec *spec)
{
    *copy = *spec;
    copy->options = NULL;
    copy->servers = NULL;
    copy->n_servers = 0;
    copy->name = copy->balance = copy->balancers_dir = NULL;
    if (copy_text(&copy->name, spec->name) != 0 ||
        copy_text(&copy->balance, spec->balance ? spec->balance : DEFAULT_BALANCE) != 0 ||
        copy_text(&copy->balancers_dir, spec->balancers_dir) != 0)
        return -ENOMEM;
    return copy_servers(copy, spec);
}

static void free_text(const char *text)
{
    free((void *)(uintptr_t)text);
}

void pool_spec_free(struct pool_spec *copy)
{
    for (size_t i = 0; i < copy->n_servers; i++) {
        free_text(copy->servers[i].name);
        free_text(copy->servers[i].route);
    }
    free((void *)(uintptr_t)copy->servers);
    free((void *)(uintptr_t)copy->options);
    free_text(copy->name);
    free_text(copy->balance);
    free_text(copy->balancers_dir);
}

static bool is_same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool is_same_server(const struct server_spec *a, const struct server_spec *b)
{
    uint32_t share_a = a->share ? a->share : SHARE_WHOLE, share_b = b->share ? b->share : SHARE_WHOLE;

    return is_same_text(a->name, b->name) && is_same_text(a->route, b->route) &&
           server_address_equals(&a->address, &b->address) && a->weight == b->weight && share_a == share_b &&
           a->max_conns == b->max_conns && a->slow_start_ms == b->slow_start_ms && a->max_fails == b->max_fails &&
           a->fail_timeout_ms == b->fail_timeout_ms && a->down == b->down && a->drain == b->drain &&
           a->backup == b->backup;
}

static bool are_same_options(const int64_t *in_force, const int64_t *given, const struct fairlead_option *table)
{
    for (size_t i = 0; i < count_options(table); i++)
        if (in_force[i] != (given ? given[i] : table[i].fallback))
            return false;
    return true;
}

bool pool_spec_equals(const struct pool_spec *copy, const struct pool_spec *spec, const struct fairlead_option *table)
{
    if (!is_same_text(copy->name, spec->name) ||
        !is_same_text(copy->balance, spec->balance ? spec->balance : DEFAULT_BALANCE) ||
        !is_same_text(copy->balancers_dir, spec->balancers_dir) || copy->n_servers != spec->n_servers ||
        copy->keepalive != spec->keepalive || copy->keepalive_timeout_ms != spec->keepalive_timeout_ms ||
        copy->keepalive_time_ms != spec->keepalive_time_ms || copy->keepalive_requests != spec->keepalive_requests ||
        copy->max_ejected != spec->max_ejected || copy->max_eject_time_ms != spec->max_eject_time_ms)
        return false;
    for (size_t i = 0; i < spec->n_servers; i++)
        if (!is_same_server(&copy->servers[i], &spec->servers[i]))
            return false;
    return are_same_options(copy->options, spec->options, table);
}
