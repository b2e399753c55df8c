/* SPDX-License-Identifier: GPL-3.0-or-later */
/* When each name is asked for, and what its answers say; see names.h. */
#include "control/names.h"

#include "engine/clock.h"
#include "engine/log.h"
#include "upstream/server_address.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LISTED_MAX 600u /* bytes of the addresses in one log line */

struct name {
    struct names *names;
    const struct named_server *named; /* borrowed from the configuration */
    const struct group *group;
    size_t member;              /* of the group */
    struct resolve_query query;
    struct wanted_list lists[2]; /* the one that is in use, and the one for the next answer; entries owned */
    unsigned current;
    uint64_t due_ms;
    unsigned n_failures; /* in a row */
    bool asking;
    bool crowded; /* that it has more addresses than are used was logged */
};

struct names {
    const struct config *config;
    bool (*changed)(void *context, size_t group);
    void *context;
    struct resolver *resolver; /* owned */
    size_t n;
    struct name *names; /* owned */
    const struct wanted_list ***lists; /* owned; per group, NULL where it has no names; then per member */
};

static const char *pool_of(const struct name *name)
{
    return name->group->spec.name;
}

/* Answers. */

static uint64_t pause_ms(const struct name *name)
{
    uint64_t pause = name->names->config->resolver.ttl_min_ms;

    for (unsigned i = 1; i < name->n_failures && pause < NAMES_PAUSE_MAX_MS; i++)
        pause *= 2;
    return pause < NAMES_PAUSE_MAX_MS ? pause : NAMES_PAUSE_MAX_MS;
}

static void on_failure(struct name *name, const char *reason)
{
    name->n_failures++;
    name->due_ms = clock_monotonic_ms() + pause_ms(name);
    if (name->n_failures == 1)
        log_write(LOG_WARNING,
                  "name cannot be resolved, it keeps what it has pool=%s name=%s reason=\"%s\" addresses=%zu",
                  pool_of(name), name->named->host, reason, name->lists[name->current].n);
}

static void log_crowd(struct name *name)
{
    const struct wanted_list *list = &name->lists[name->current];

    if (list->n_left_out > 0 && !name->crowded)
        log_write(LOG_WARNING, "name has more addresses than are used pool=%s name=%s used=%zu left_out=%zu",
                  pool_of(name), name->named->host, list->n, list->n_left_out);
    name->crowded = list->n_left_out > 0;
}

/* Those of `list` that `other` has not, as far as there is room. Returns how many there are. */
static size_t print_difference(const struct wanted_list *list, const struct wanted_list *other, char text[LISTED_MAX])
{
    char address[SERVER_NAME_MAX];
    size_t len = 0, n_found = 0;

    text[0] = '\0';
    for (size_t i = 0; i < list->n; i++) {
        const struct wanted *wanted = &list->entries[i];
        int n;

        if (wanted_find(other, &wanted->address, wanted->backup))
            continue;
        n = snprintf(text + len, LISTED_MAX - len, "%s%s", n_found++ > 0 ? "," : "",
                     server_address_print(&wanted->address, address, sizeof(address)));
        if ((size_t)n < LISTED_MAX - len)
            len += (size_t)n;
        else
            text[len] = '\0';
    }
    return n_found;
}

static bool is_equal(const struct wanted_list *a, const struct wanted_list *b)
{
    bool equal = a->n == b->n;

    for (size_t i = 0; equal && i < a->n; i++) {
        const struct wanted *other = wanted_find(b, &a->entries[i].address, a->entries[i].backup);

        equal = other && other->share == a->entries[i].share;
    }
    return equal;
}

static void apply(struct name *name)
{
    const struct wanted_list *list = &name->lists[1 - name->current], *had = &name->lists[name->current];
    char added[LISTED_MAX], removed[LISTED_MAX];
    size_t n_changed = print_difference(list, had, added) + print_difference(had, list, removed);

    name->current = 1 - name->current;
    name->names->lists[name->group->index][name->member] = list;
    if (!name->names->changed(name->names->context, name->group->index)) {
        name->current = 1 - name->current;
        name->names->lists[name->group->index][name->member] = had;
    } else if (n_changed > 0) {
        log_write(LOG_NOTICE, "addresses changed pool=%s name=%s added=\"%s\" removed=\"%s\"", pool_of(name), name->named->host,
                  added, removed);
    }
}

/* An answer that is not whole adds, and takes nothing away. */
static void on_records(struct name *name, const struct resolve_answer *answer)
{
    const struct wanted_list *had = &name->lists[name->current];
    struct wanted_list *list = &name->lists[1 - name->current];

    wanted_of_answer(list, answer);
    if (answer->partial)
        wanted_keep(list, had);
    name->due_ms =
        clock_monotonic_ms() + (answer->partial && answer->ttl_ms > NAMES_PAUSE_MAX_MS ? NAMES_PAUSE_MAX_MS : answer->ttl_ms);
    if (name->n_failures > 0)
        log_write(LOG_NOTICE, "name is resolved again pool=%s name=%s tries=%u", pool_of(name),
                  name->named->host, name->n_failures + 1);
    name->n_failures = 0;
    if (!is_equal(list, had))
        apply(name);
    log_crowd(name);
}

static void on_answer(struct resolve_query *query, const struct resolve_answer *answer)
{
    struct name *name = query->context;

    name->asking = false;
    if (answer->failure)
        on_failure(name, answer->failure);
    else
        on_records(name, answer);
}

static void ask(struct name *name)
{
    int error = resolver_ask(name->names->resolver, &name->query);

    name->asking = error == 0;
    if (error)
        on_failure(name, strerror(-error));
}

/* The table. */

static int init_lists(struct name *name)
{
    const struct wanted_list *found = &name->named->found;

    for (size_t i = 0; i < 2; i++) {
        name->lists[i] = *found;
        name->lists[i].entries = calloc(found->n_places + found->n_backup, sizeof(*found->entries));
        if (!name->lists[i].entries)
            return -1;
        memcpy(name->lists[i].entries, found->entries, found->n * sizeof(*found->entries));
    }
    return 0;
}

static int init_name(struct names *names, struct name *name, const struct group *group, size_t member)
{
    const struct named_server *named = group->members[member].named;
    uint32_t ttl_ms =
        named->partial && named->ttl_ms > NAMES_PAUSE_MAX_MS ? NAMES_PAUSE_MAX_MS : named->ttl_ms;

    *name = (struct name){.names = names, .named = named, .group = group, .member = member, .due_ms = clock_monotonic_ms() + ttl_ms};
    name->query = (struct resolve_query){
        .host = named->host, .port = named->port, .srv = named->srv, .done = on_answer, .context = name};
    if (init_lists(name) != 0)
        return -ENOMEM;
    names->lists[group->index][member] = &name->lists[name->current];
    log_crowd(name);
    return 0;
}

static size_t count_names(const struct group *group)
{
    size_t n = 0;

    for (size_t i = 0; i < group->n_members; i++)
        n += group->members[i].named != NULL;
    return n;
}

static int init_group(struct names *names, const struct group *group)
{
    if (count_names(group) == 0)
        return 0;
    names->lists[group->index] = calloc(group->n_members, sizeof(**names->lists));
    if (!names->lists[group->index])
        return -ENOMEM;
    for (size_t i = 0; i < group->n_members; i++)
        if (group->members[i].named && init_name(names, &names->names[names->n++], group, i) != 0)
            return -ENOMEM;
    return 0;
}

static int init_names(struct names *names, size_t n)
{
    const struct config *config = names->config;
    int error;

    names->lists = calloc(config->n_groups, sizeof(*names->lists));
    names->names = calloc(n, sizeof(*names->names));
    if (!names->lists || !names->names)
        return -ENOMEM;
    error = resolver_create(&config->resolver, &names->resolver);
    for (size_t i = 0; !error && i < config->n_groups; i++)
        error = init_group(names, config->groups[i]);
    return error;
}

int names_create(const struct config *config, bool (*changed)(void *context, size_t group), void *context, struct names **result)
{
    struct names *names;
    size_t n = 0;
    int error;

    *result = NULL;
    for (size_t i = 0; i < config->n_groups; i++)
        n += count_names(config->groups[i]);
    if (n == 0)
        return 0;
    names = calloc(1, sizeof(*names));
    if (!names)
        return -ENOMEM;
    names->config = config;
    names->changed = changed;
    names->context = context;
    error = init_names(names, n);
    if (error) {
        names_destroy(names);
        return error;
    }
    *result = names;
    return 0;
}

void names_destroy(struct names *names)
{
    if (!names)
        return;
    resolver_destroy(names->resolver);
    for (size_t i = 0; names->names && i < names->n; i++) {
        free(names->names[i].lists[0].entries);
        free(names->names[i].lists[1].entries);
    }
    for (size_t i = 0; names->lists && i < names->config->n_groups; i++)
        free(names->lists[i]);
    free(names->lists);
    free(names->names);
    free(names);
}

const struct wanted_list *const *names_lists(const struct names *names, size_t group)
{
    return names ? names->lists[group] : NULL;
}

int names_fd(const struct names *names)
{
    return resolver_fd(names->resolver);
}

int names_timeout_ms(const struct names *names, int most_ms)
{
    int resolver_ms = resolver_timeout_ms(names->resolver);
    uint64_t now = clock_monotonic_ms(), due = now + (uint64_t)most_ms;

    if (resolver_ms >= 0 && resolver_ms < most_ms)
        due = now + (uint64_t)resolver_ms;
    for (size_t i = 0; i < names->n; i++)
        if (!names->names[i].asking && names->names[i].due_ms < due)
            due = names->names[i].due_ms;
    return due > now ? (int)(due - now) : 0;
}

void names_run(struct names *names)
{
    uint64_t now = clock_monotonic_ms();

    for (size_t i = 0; i < names->n; i++)
        if (!names->names[i].asking && names->names[i].due_ms <= now)
            ask(&names->names[i]);
    resolver_run(names->resolver);
}
