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
#include <sys/random.h>
#include <unistd.h>

#define ACTORS_KEPT   16u  /* of the ring: the mailbox, and some to spare */
#define STOP_RETRY_US 1000 /* a full mailbox is tried again */

/* On the health thread. The first checks of the pools stand between each other, not on each other. */
static int start(struct worker *worker)
{
    const struct health *health = worker->context;
    const struct watch_set *set = &health->set;

    (void)pthread_setname_np(pthread_self(), "health");
    for (size_t w = 0; w < set->n_watches; w++)
        for (size_t i = 0; i < set->watches[w].n_subjects; i++)
            subject_start(set->watches[w].subjects[i], i * set->n_watches + w,
                          set->watches[w].n_subjects * set->n_watches, UINT64_MAX);
    return 0;
}

void tally_add(struct tally *tally, const struct subject *subject)
{
    tally->probes += subject->check_task.probes;
    tally->failures += subject->check_task.failures;
    tally->transitions += subject->transitions;
    tally->agent_probes += subject->agent_task.probes;
    tally->agent_failures += subject->agent_task.failures;
}

void watch_report(const struct watch *watch)
{
    const struct health_spec *spec = watch->plan.spec;
    struct tally sum = watch->left;

    for (size_t i = 0; i < watch->n_subjects; i++)
        tally_add(&sum, watch->subjects[i]);
    if (spec->type == HEALTH_NONE && spec->agent_port == 0 && sum.probes + sum.agent_probes == 0)
        return;
    log_write(LOG_NOTICE,
              "health pool=%s servers=%zu probes=%llu failures=%llu transitions=%llu agent_probes=%llu "
              "agent_failures=%llu",
              pool_name(watch->pool), watch->n_subjects, (unsigned long long)sum.probes,
              (unsigned long long)sum.failures, (unsigned long long)sum.transitions,
              (unsigned long long)sum.agent_probes, (unsigned long long)sum.agent_failures);
}

static void finish(struct worker *worker)
{
    const struct health *health = worker->context;
    const struct ring_counters *ring = ring_counters(worker->ring);

    for (size_t i = 0; i < health->set.n_watches; i++)
        watch_report(&health->set.watches[i]);
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
    error = watch_set_init(&health->set, config->pools, config->n_pools);
    if (!error)
        error = create_worker(health, config);
    if (error) {
        health_destroy(health);
        return error;
    }
    for (size_t i = 0; i < health->set.n_watches; i++)
        watch_begin(&health->set.watches[i], health, clock_monotonic_ms());
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
    for (size_t w = 0; w < health->set.n_watches; w++)
        for (size_t i = 0; i < health->set.watches[w].n_subjects; i++)
            subject_stop(health->set.watches[w].subjects[i]);
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
    watch_set_fini(&health->set);
    slab_fini(&health->probes);
    free(health);
}

struct worker *health_worker(struct health *health)
{
    return health->worker;
}
