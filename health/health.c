/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The health thread's life: made and ended by the control thread, and the letters in between. Who may still
 * arrive while it stops: the last completions of the probes in flight; the loop ends with the last of them.
 */
#include "health/watch.h"

#include "engine/clock.h"
#include "engine/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define ACTORS_KEPT   16u  /* of the ring: the mailbox, and some to spare */
#define STOP_RETRY_US 1000 /* a full mailbox is tried again */

static uint64_t clock_ms(void)
{
    return clock_monotonic_ns() / 1000000u;
}

/* The server may have come, gone, or come back elsewhere: its place is read only while it is there. */
static void read_place(struct subject *subject)
{
    if (server_flags(subject->server) & SERVER_ABSENT)
        return;
    subject->place.address = subject->server->address;
    memcpy(subject->place.name, subject->server->name, sizeof(subject->place.name));
}

static int create_watch(struct health *health, struct watch *watch, const struct health_pool *pool)
{
    const size_t n = pool_n_servers(pool->pool);
    const enum probe_kind kind = pool->spec->type == HEALTH_HTTP ? PROBE_HTTP : PROBE_TCP;
    const uint64_t now_ms = clock_ms();
    int error = probe_plan_init(&watch->plan, pool->spec);

    if (error)
        return error;
    watch->health = health;
    watch->pool = pool->pool;
    watch->subjects = calloc(n ? n : 1, sizeof(struct subject));
    if (!watch->subjects)
        return -ENOMEM;
    watch->n_subjects = n;
    for (size_t i = 0; i < n; i++) {
        struct subject *subject = &watch->subjects[i];

        subject->watch = watch;
        subject->server = pool_server(pool->pool, i);
        task_init(&subject->check_task, subject, kind);
        task_init(&subject->agent_task, subject, PROBE_AGENT);
        read_place(subject);
        subject_reset(subject, now_ms);
    }
    (void)pool_update_promotion(watch->pool);
    watch->service = watch_look(watch);
    return 0;
}

/* On the health thread. The first checks of the pools stand between each other, not on each other. */
static int start(struct worker *worker)
{
    struct health *health = worker->context;

    (void)pthread_setname_np(pthread_self(), "health");
    for (size_t w = 0; w < health->n_watches; w++) {
        struct watch *watch = &health->watches[w];

        for (size_t i = 0; i < watch->n_subjects; i++)
            subject_start(&watch->subjects[i], i * health->n_watches + w,
                          watch->n_subjects * health->n_watches);
    }
    return 0;
}

static void report_watch(const struct watch *watch)
{
    uint64_t probes = 0, failures = 0, transitions = 0, agent_probes = 0, agent_failures = 0;

    for (size_t i = 0; i < watch->n_subjects; i++) {
        const struct subject *subject = &watch->subjects[i];

        probes += subject->check_task.probes;
        failures += subject->check_task.failures;
        transitions += subject->transitions;
        agent_probes += subject->agent_task.probes;
        agent_failures += subject->agent_task.failures;
    }
    log_write(LOG_NOTICE,
              "health pool=%s servers=%zu probes=%llu failures=%llu transitions=%llu agent_probes=%llu "
              "agent_failures=%llu",
              pool_name(watch->pool), watch->n_subjects, (unsigned long long)probes,
              (unsigned long long)failures, (unsigned long long)transitions, (unsigned long long)agent_probes,
              (unsigned long long)agent_failures);
}

static void finish(struct worker *worker)
{
    const struct health *health = worker->context;
    const struct ring_counters *ring = ring_counters(worker->ring);

    for (size_t i = 0; i < health->n_watches; i++)
        report_watch(&health->watches[i]);
    log_write(
        LOG_NOTICE,
        "health thread delayed=%llu not_made=%llu enters=%llu stale=%llu enter_errors=%llu starvations=%llu",
        (unsigned long long)health->delayed, (unsigned long long)health->not_made,
        (unsigned long long)ring->enters, (unsigned long long)ring->stale,
        (unsigned long long)ring->enter_errors, (unsigned long long)worker->starvations);
}

static int create_worker(struct health *health, const struct health_config *config)
{
    struct worker_config settings = config->worker;
    int error;

    settings.ring.actors_max = config->probes_max + ACTORS_KEPT;
    error = worker_create(&settings, &health->worker);
    if (error)
        return error;
    health->worker->context = health;
    health->worker->start = start;
    health->worker->finish = finish;
    return 0;
}

int health_create(const struct health_config *config, struct health **result)
{
    struct health *health = calloc(1, sizeof(*health));
    int error;

    if (!health)
        return -ENOMEM;
    health->waiting_end = &health->waiting;
    slab_init(&health->probes, sizeof(struct probe), config->probes_max);
    if (getrandom(health->random, sizeof(health->random), 0) != sizeof(health->random))
        health->random[0] = clock_monotonic_ns();
    health->watches = calloc(config->n_pools ? config->n_pools : 1, sizeof(struct watch));
    error = health->watches ? create_worker(health, config) : -ENOMEM;
    health->n_watches = health->watches ? config->n_pools : 0;
    for (size_t i = 0; !error && i < config->n_pools; i++)
        error = create_watch(health, &health->watches[i], &config->pools[i]);
    if (error) {
        health_destroy(health);
        return error;
    }
    *result = health;
    return 0;
}

int health_start(struct health *health)
{
    int error = worker_run(health->worker);

    health->running = !error;
    return error;
}

static void stop(void *owner, void *argument)
{
    struct worker *worker = owner;
    struct health *health = argument;

    health->stopping = true;
    for (size_t w = 0; w < health->n_watches; w++)
        for (size_t i = 0; i < health->watches[w].n_subjects; i++) {
            task_stop(&health->watches[w].subjects[i].check_task);
            task_stop(&health->watches[w].subjects[i].agent_task);
        }
    if (health->probes.used == 0)
        worker_stop(worker);
}

int health_stop(struct health *health)
{
    if (!health->running)
        return 0;
    while (!worker_has_ended(health->worker) &&
           mailbox_post(&health->worker->mailbox, (struct letter){stop, health}) != 0)
        usleep(STOP_RETRY_US);
    health->running = false;
    return worker_join(health->worker);
}

void health_destroy(struct health *health)
{
    if (!health)
        return;
    worker_destroy(health->worker);
    for (size_t i = 0; i < health->n_watches; i++) {
        probe_plan_fini(&health->watches[i].plan);
        free(health->watches[i].subjects);
    }
    free(health->watches);
    slab_fini(&health->probes);
    free(health);
}

struct worker *health_worker(struct health *health)
{
    return health->worker;
}

/* A pool's servers are one array, which tells whose a server is. */
static struct subject *find_subject(const struct health *health, const struct server *server)
{
    for (size_t i = 0; i < health->n_watches; i++) {
        const struct watch *watch = &health->watches[i];

        if (server->index < watch->n_subjects && watch->subjects[server->index].server == server)
            return &watch->subjects[server->index];
    }
    return NULL;
}

void health_server_changed(void *owner, void *argument)
{
    struct worker *worker = owner;
    struct health *health = worker->context;
    struct subject *subject = find_subject(health, argument);

    if (!subject || health->stopping)
        return;
    task_stop(&subject->check_task);
    task_stop(&subject->agent_task);
    read_place(subject);
    subject_reset(subject, worker->now_ms);
    subject_start(subject, 0, 1);
    watch_update(subject->watch);
}
