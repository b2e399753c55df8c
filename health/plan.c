/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Plans: what a new snapshot's pools need on the health thread is allocated here, all of it, and what an old
 * one's needed is freed here. Control thread. Pools stand in the order of their names and servers in that of
 * their states, so that health_adopt walks two sets side by side.
 */
#include "health/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Of a pool that nobody asks after. */
static const struct health_spec no_check = {.type = HEALTH_NONE, .initial = HEALTH_FULLY_UP};

static int compare_watches(const void *a, const void *b)
{
    return strcmp(pool_name(((const struct watch *)a)->pool), pool_name(((const struct watch *)b)->pool));
}

static int compare_subjects(const void *a, const void *b)
{
    const uintptr_t first = (uintptr_t)(*(struct subject *const *)a)->server->state;
    const uintptr_t second = (uintptr_t)(*(struct subject *const *)b)->server->state;

    return (first > second) - (first < second);
}

static struct subject *make_subject(struct server *server, enum probe_kind kind)
{
    struct subject *subject = calloc(1, sizeof(*subject));

    if (!subject)
        return NULL;
    subject->server = server;
    subject->place.address = server->address;
    memcpy(subject->place.name, server->name, sizeof(subject->place.name));
    task_init(&subject->check_task, subject, kind);
    task_init(&subject->agent_task, subject, PROBE_AGENT);
    return subject;
}

static int init_watch(struct watch *watch, const struct health_pool *pool)
{
    const size_t n = pool_n_servers(pool->pool);
    const struct health_spec *spec = pool->spec ? pool->spec : &no_check;
    int error = probe_plan_init(&watch->plan, spec);

    if (error)
        return error;
    watch->pool = pool->pool;
    watch->subjects = calloc(n ? n : 1, sizeof(struct subject *));
    if (!watch->subjects)
        return -ENOMEM;
    for (; watch->n_subjects < n; watch->n_subjects++) {
        struct server *server = pool_server(pool->pool, watch->n_subjects);

        watch->subjects[watch->n_subjects] = make_subject(server, check_kind(spec));
        if (!watch->subjects[watch->n_subjects])
            return -ENOMEM;
    }
    qsort(watch->subjects, n, sizeof(struct subject *), compare_subjects);
    return 0;
}

int watch_set_init(struct watch_set *set, const struct health_pool *pools, size_t n_pools)
{
    int error = 0;

    *set = (struct watch_set){.watches = calloc(n_pools ? n_pools : 1, sizeof(struct watch))};
    if (!set->watches)
        return -ENOMEM;
    for (; !error && set->n_watches < n_pools; set->n_watches++)
        error = init_watch(&set->watches[set->n_watches], &pools[set->n_watches]);
    if (error) {
        watch_set_fini(set);
        return error;
    }
    qsort(set->watches, n_pools, sizeof(struct watch), compare_watches);
    for (size_t w = 0; w < n_pools; w++)
        for (size_t i = 0; i < set->watches[w].n_subjects; i++)
            set->watches[w].subjects[i]->watch = &set->watches[w];
    return 0;
}

void watch_set_fini(struct watch_set *set)
{
    for (size_t w = 0; w < set->n_watches; w++) {
        struct watch *watch = &set->watches[w];

        probe_plan_fini(&watch->plan);
        for (size_t i = 0; i < watch->n_subjects; i++)
            free(watch->subjects[i]);
        free(watch->subjects);
    }
    free(set->watches);
    *set = (struct watch_set){0};
}

int health_plan_create(const struct health_pool *pools, size_t n_pools, struct health_plan **plan)
{
    struct health_plan *made = malloc(sizeof(*made));
    int error;

    if (!made)
        return -ENOMEM;
    atomic_init(&made->adopted, false);
    error = watch_set_init(&made->set, pools, n_pools);
    if (error) {
        free(made);
        return error;
    }
    *plan = made;
    return 0;
}

bool health_plan_is_adopted(const struct health_plan *plan)
{
    return atomic_load_explicit(&plan->adopted, memory_order_acquire);
}

void health_plan_destroy(struct health_plan *plan)
{
    if (!plan)
        return;
    watch_set_fini(&plan->set);
    free(plan);
}
