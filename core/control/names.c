/* SPDX-License-Identifier: GPL-3.0-or-later */
/* When each name is asked for, and what its answers say; see names.h. */
#include "control/names.h"

#include "engine/clock.h"
#include "engine/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct name {
    struct names *names;
    const struct named_server *named; /* borrowed from the snapshot */
    struct places *places;            /* owned */
    struct resolve_query query;
    struct wanted_list
        lists[2]; /* the one that its places follow, and the one for the next answer; entries owned */
    unsigned current;
    uint64_t due_ms;
    unsigned n_failures; /* in a row */
    bool asking;
    bool crowded; /* that it has more addresses than places was logged */
};

struct names {
    const struct config *config;
    struct place_users users;
    struct resolver *resolver; /* owned */
    size_t n;
    struct name *names; /* owned */
};

static uint64_t now_ms(void)
{
    return clock_monotonic_ns() / 1000000u;
}

static const char *pool_of(const struct name *name)
{
    return pool_name(name->named->pool);
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
    name->due_ms = now_ms() + pause_ms(name);
    if (name->n_failures == 1)
        log_write(LOG_WARNING,
                  "name cannot be resolved, it keeps what it has pool=%s name=%s reason=\"%s\" addresses=%zu",
                  pool_of(name), name->named->host, reason, name->lists[name->current].n);
}

static void log_crowd(struct name *name)
{
    const struct wanted_list *list = &name->lists[name->current];

    if (list->n_left_out > 0 && !name->crowded)
        log_write(LOG_WARNING, "name has more addresses than places pool=%s name=%s used=%zu left_out=%zu",
                  pool_of(name), name->named->host, list->n, list->n_left_out);
    name->crowded = list->n_left_out > 0;
}

/* An answer that is not whole adds, and takes nothing away. */
static void on_records(struct name *name, const struct resolve_answer *answer)
{
    const struct wanted_list *had = &name->lists[name->current];
    struct wanted_list *list = &name->lists[1 - name->current];
    uint64_t now = now_ms();

    wanted_of_answer(list, answer);
    if (answer->partial)
        wanted_keep(list, had);
    name->current = 1 - name->current;
    name->due_ms =
        now + (answer->partial && answer->ttl_ms > NAMES_PAUSE_MAX_MS ? NAMES_PAUSE_MAX_MS : answer->ttl_ms);
    if (name->n_failures > 0)
        log_write(LOG_NOTICE, "name is resolved again pool=%s name=%s tries=%u", pool_of(name),
                  name->named->host, name->n_failures + 1);
    name->n_failures = 0;
    places_apply(name->places, list, now);
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

static int init_name(struct names *names, struct name *name, const struct named_server *named)
{
    uint32_t ttl_ms =
        named->partial && named->ttl_ms > NAMES_PAUSE_MAX_MS ? NAMES_PAUSE_MAX_MS : named->ttl_ms;

    *name = (struct name){.names = names, .named = named, .due_ms = now_ms() + ttl_ms};
    name->query = (struct resolve_query){
        .host = named->host, .port = named->port, .srv = named->srv, .done = on_answer, .context = name};
    name->places = places_create(named, &names->users);
    if (!name->places || init_lists(name) != 0)
        return -1;
    log_crowd(name);
    return 0;
}

int names_create(const struct config *config, const struct place_users *users, struct names **result)
{
    struct names *names = calloc(1, sizeof(*names));
    int error = -ENOMEM;

    if (!names)
        return error;
    names->config = config;
    names->users = *users;
    names->n = config->n_named;
    names->names = calloc(names->n ? names->n : 1, sizeof(*names->names));
    if (names->names)
        error = resolver_create(&config->resolver, &names->resolver);
    for (size_t i = 0; !error && i < names->n; i++)
        if (init_name(names, &names->names[i], &config->named[i]) != 0)
            error = -ENOMEM;
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
        places_destroy(names->names[i].places);
        free(names->names[i].lists[0].entries);
        free(names->names[i].lists[1].entries);
    }
    free(names->names);
    free(names);
}

int names_fd(const struct names *names)
{
    return resolver_fd(names->resolver);
}

int names_timeout_ms(const struct names *names, int most_ms)
{
    int resolver_ms = resolver_timeout_ms(names->resolver);
    uint64_t now = now_ms(), due = now + (uint64_t)most_ms;

    if (resolver_ms >= 0 && resolver_ms < most_ms)
        due = now + (uint64_t)resolver_ms;
    for (size_t i = 0; i < names->n; i++) {
        const struct name *name = &names->names[i];
        uint64_t places_ms = places_due_ms(name->places);

        if (!name->asking && name->due_ms < due)
            due = name->due_ms;
        if (places_ms < due)
            due = places_ms;
    }
    return due > now ? (int)(due - now) : 0;
}

void names_run(struct names *names)
{
    uint64_t now = now_ms();

    for (size_t i = 0; i < names->n; i++) {
        struct name *name = &names->names[i];

        if (!name->asking && name->due_ms <= now)
            ask(name);
        places_tend(name->places, now);
    }
    resolver_run(names->resolver);
}
