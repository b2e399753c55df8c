/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Routing; see route.h. All names of one listener, wildcards included, are in one open-addressed hash table under their own text, so that
 * "a.b.example.com" is found by a handful of look-ups: itself, then "*.b.example.com", "*.example.com", and so on.
 */
#include "proxy/route.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#define LABELS_MAX 32u /* wildcards tried for one host, in either direction */

struct name_entry {
    struct span name; /* p NULL: empty */
    const struct site *site;
};

struct name_table {
    struct name_entry *entries; /* owned; a power of two, at most half full */
    size_t mask;
    bool has_wildcards;
};

struct router {
    const struct config *config;
    struct name_table *tables; /* one per config->listens */
};

/* FNV-1a, 64 bit: names are short, and come from the configuration; a bad spread costs only look-ups. */
static size_t hash_name(struct span name)
{
    uint64_t hash = 14695981039346656037u;

    for (size_t i = 0; i < name.len; i++)
        hash = (hash ^ (unsigned char)name.p[i]) * 1099511628211u;
    return (size_t)(hash ^ hash >> 32);
}

static struct name_entry *find_entry(const struct name_table *table, struct span name)
{
    size_t at = hash_name(name) & table->mask;

    while (table->entries[at].name.p && !span_equals(table->entries[at].name, name))
        at = (at + 1) & table->mask;
    return &table->entries[at];
}

static const struct site *find_site(const struct name_table *table, struct span name)
{
    return find_entry(table, name)->site;
}

static int fill_table(struct name_table *table, const struct listen *listen)
{
    size_t n_names = 0, size = 2;

    for (size_t i = 0; i < listen->n_sites; i++)
        n_names += listen->sites[i]->n_names;
    while (size < 2 * n_names + 1)
        size *= 2;
    table->entries = calloc(size, sizeof(*table->entries));
    if (!table->entries)
        return -ENOMEM;
    table->mask = size - 1;
    for (size_t i = 0; i < listen->n_sites; i++) {
        const struct site *site = listen->sites[i];

        for (size_t j = 0; j < site->n_names; j++) {
            struct name_entry *entry = find_entry(table, site->names[j]);

            if (site->names[j].len == 0 || entry->name.p)
                continue;
            *entry = (struct name_entry){site->names[j], site};
            table->has_wildcards |= memchr(site->names[j].p, '*', site->names[j].len) != NULL;
        }
    }
    return 0;
}

int router_create(const struct config *config, struct router **result)
{
    struct router *router = calloc(1, sizeof(*router));

    if (!router)
        return -ENOMEM;
    router->config = config;
    router->tables = calloc(config->n_listens ? config->n_listens : 1, sizeof(*router->tables));
    for (size_t i = 0; router->tables && i < config->n_listens; i++) {
        if (fill_table(&router->tables[i], &config->listens[i]) == 0)
            continue;
        router_destroy(router);
        return -ENOMEM;
    }
    if (!router->tables) {
        router_destroy(router);
        return -ENOMEM;
    }
    *result = router;
    return 0;
}

void router_destroy(struct router *router)
{
    if (!router)
        return;
    for (size_t i = 0; router->tables && i < router->config->n_listens; i++)
        free(router->tables[i].entries);
    free(router->tables);
    free(router);
}

static const struct site *leading_wildcard(const struct name_table *table, struct span host)
{
    char text[ROUTE_HOST_MAX + 1];
    const struct site *site = NULL;
    const char *dot = memchr(host.p, '.', host.len);

    for (unsigned n = 0; dot && !site && n < LABELS_MAX; n++) {
        size_t rest = (size_t)(host.p + host.len - dot);

        text[0] = '*';
        memcpy(text + 1, dot, rest);
        site = find_site(table, (struct span){text, rest + 1});
        dot = memchr(dot + 1, '.', rest - 1);
    }
    return site;
}

static const struct site *trailing_wildcard(const struct name_table *table, struct span host)
{
    char text[ROUTE_HOST_MAX + 1];
    const struct site *site = NULL;
    const char *dot = memrchr(host.p, '.', host.len);

    memcpy(text, host.p, host.len);
    for (unsigned n = 0; dot && !site && n < LABELS_MAX; n++) {
        size_t len = (size_t)(dot - host.p);

        text[len + 1] = '*';
        site = find_site(table, (struct span){text, len + 2});
        dot = memrchr(host.p, '.', len);
    }
    return site;
}

const struct site *route_site(const struct router *router, const struct listen *listen, struct span host)
{
    const struct name_table *table = &router->tables[listen - router->config->listens];
    const struct site *site;
    char text[ROUTE_HOST_MAX];
    struct span name = {text, host.len};

    if (name.len > 0 && host.p[name.len - 1] == '.')
        name.len--;
    if (listen->n_sites == 1 || name.len == 0 || name.len > ROUTE_HOST_MAX)
        return listen->default_site;
    for (size_t i = 0; i < name.len; i++)
        text[i] = (char)tolower((unsigned char)host.p[i]);
    site = find_site(table, name);
    if (!site && table->has_wildcards)
        site = leading_wildcard(table, name);
    if (!site && table->has_wildcards)
        site = trailing_wildcard(table, name);
    return site ? site : listen->default_site;
}

static bool begins_with(struct span path, struct span prefix)
{
    return path.len >= prefix.len && memcmp(path.p, prefix.p, prefix.len) == 0;
}

const struct location *route_location(const struct site *site, struct pattern_scratch *scratch, struct span path)
{
    const struct location *best = NULL;
    bool has_patterns = false;

    for (size_t i = 0; i < site->n_locations; i++) {
        const struct location *location = &site->locations[i];

        if (location->match == MATCH_REGEX) {
            has_patterns = true;
        } else if (location->match == MATCH_EXACT) {
            if (span_equals(location->path, path))
                return location;
        } else if (begins_with(path, location->path) && (!best || location->path.len > best->path.len)) {
            best = location;
        }
    }
    if (!has_patterns || (best && best->match == MATCH_PREFIX_STOP))
        return best;
    for (size_t i = 0; i < site->n_locations; i++) {
        const struct location *location = &site->locations[i];

        if (location->match == MATCH_REGEX && pattern_matches(location->pattern, scratch, path))
            return location;
    }
    return best;
}
