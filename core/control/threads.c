/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Making and ending the threads that serve; see threads.h. */
#include "control/threads.h"

#include "engine/log.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define HEAP_PER_CORE (256ull << 20) /* bytes that incomplete and waiting heads of one worker may take */
#define HEALTH_HEAP   (64ull << 20)  /* the same of the health thread */
#define HEALTH_SQ     256u           /* entries of its submission queue, at most */
#define LISTENS_ROOM  1024u          /* sockets of one worker, those that are being closed included */
#define POST_PAUSE_US 500u           /* a full mailbox is tried again */
#define POST_TRIES    10000u

static struct worker_config worker_settings(const struct threads *threads, unsigned number)
{
    const struct engine_settings *engine = &threads->settings->engine;

    return (struct worker_config){
        .number = number,
        .pin = engine->pin,
        .socket_send_buffer = engine->socket_send_buffer,
        .ring = {.sq_entries = engine->sq_entries,
                 .cq_entries = engine->cq_entries,
                 .actors_max = 4 * threads->settings->worker_connections + LISTENS_ROOM,
                 .multishot_accept = engine->multishot_accept && threads->probe.multishot_accept,
                 .multishot_recv = engine->multishot_recv && threads->probe.multishot_recv,
                 .buffers = {.ring_entries = engine->recv_buffers,
                             .blocks_max = engine->recv_buffers_max,
                             .block_size = engine->recv_buffer_size,
                             .bulk_max = engine->bulk_buffers,
                             .bulk_size = engine->bulk_buffer_size,
                             .heap_max = HEAP_PER_CORE}},
    };
}

/* Probes are short: a ring and buffers of a size that does not grow with the servers. */
static struct worker_config health_settings(const struct threads *threads)
{
    struct worker_config settings = worker_settings(threads, threads->n);

    settings.pin = false;
    /* Not more than the workers': cq_entries is theirs, and may not be less. */
    if (settings.ring.sq_entries > HEALTH_SQ)
        settings.ring.sq_entries = HEALTH_SQ;
    settings.ring.buffers = (struct buffers_config){.ring_entries = 64,
                                                    .blocks_max = 1024,
                                                    .block_size = 4096,
                                                    .bulk_max = 16,
                                                    .bulk_size = 16384,
                                                    .heap_max = HEALTH_HEAP};
    return settings;
}

int threads_init(struct threads *threads, const struct config *config)
{
    *threads = (struct threads){.settings = config, .n = config->workers};
    threads->workers = calloc(threads->n, sizeof(*threads->workers));
    threads->services = calloc(threads->n, sizeof(*threads->services));
    return threads->workers && threads->services ? 0 : -ENOMEM;
}

static int create_worker(struct threads *threads, struct snapshot *snapshot)
{
    struct worker_config settings = worker_settings(threads, threads->n_created);
    struct worker *worker;
    int error = worker_create(&settings, &worker);

    if (error)
        return error;
    error = service_create(worker, snapshot, &threads->services[threads->n_created]);
    if (error) {
        worker_destroy(worker);
        return error;
    }
    threads->workers[threads->n_created++] = worker;
    return 0;
}

int threads_start(struct threads *threads, struct snapshot *snapshot)
{
    int error = 0;

    while (!error && threads->n_created < threads->n)
        error = create_worker(threads, snapshot);
    while (!error && threads->n_running < threads->n) {
        error = worker_run(threads->workers[threads->n_running]);
        threads->n_running += !error;
    }
    return error;
}

int threads_create_health(struct threads *threads, const struct health_pool *pools, size_t n)
{
    const struct health_config config = {.pools = pools,
                                         .n_pools = n,
                                         .probes_max = threads->settings->health_probes,
                                         .worker = health_settings(threads)};

    return health_create(&config, &threads->health);
}

int threads_start_health(struct threads *threads)
{
    int error = health_start(threads->health);

    if (error) {
        health_destroy(threads->health);
        threads->health = NULL;
    }
    return error;
}

static bool post(struct worker *worker, struct letter letter)
{
    for (unsigned i = 0; i < POST_TRIES; i++) {
        if (worker_has_ended(worker))
            return false;
        if (mailbox_post(&worker->mailbox, letter) == 0)
            return true;
        usleep(POST_PAUSE_US);
    }
    log_write(LOG_ALERT, "a thread does not read its letters worker=%u", worker->config.number);
    return false;
}

bool threads_tell(struct threads *threads, void (*what)(void *worker, void *argument), void *argument)
{
    bool all = true;

    for (unsigned i = 0; i < threads->n_running; i++)
        all = post(threads->workers[i], (struct letter){what, argument}) && all;
    return all;
}

bool threads_tell_health(struct threads *threads, void (*what)(void *worker, void *argument), void *argument)
{
    return post(health_worker(threads->health), (struct letter){what, argument});
}

unsigned threads_n_ended(const struct threads *threads)
{
    unsigned n = 0;

    for (unsigned i = 0; i < threads->n_running; i++)
        n += worker_has_ended(threads->workers[i]);
    return n;
}

bool threads_have_ended(const struct threads *threads)
{
    return threads_n_ended(threads) == threads->n_running;
}

bool threads_any_ended(const struct threads *threads)
{
    if (threads->health && worker_has_ended(health_worker(threads->health)))
        return true;
    return threads_n_ended(threads) > 0;
}

int threads_join(struct threads *threads)
{
    int status = 0;

    for (unsigned i = 0; i < threads->n_running; i++)
        if (worker_join(threads->workers[i]) != 0)
            status = -1;
    if (threads->health && health_stop(threads->health) != 0)
        status = -1;
    return status;
}

void threads_fini(struct threads *threads)
{
    for (unsigned i = 0; i < threads->n_created; i++) {
        service_destroy(threads->services[i]);
        worker_destroy(threads->workers[i]);
    }
    health_destroy(threads->health);
    free(threads->workers);
    free(threads->services);
    *threads = (struct threads){0};
}
