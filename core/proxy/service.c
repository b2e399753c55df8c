/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What one worker needs to proxy; see service.h. */
#include "proxy/service.h"

#include "engine/clock.h"
#include "engine/log.h"
#include "proxy/client.h"
#include "proxy/exchange.h"
#include "proxy/listening.h"
#include "upstream/farewell.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

bool service_is_full(const struct service *service)
{
    return service->n_clients >= service->clients_max;
}

void service_client_came(struct service *service)
{
    if (!service_is_full(service))
        return;
    service->counters.accept_pauses++;
    listenings_pause(service, true);
}

static void end_if_done(struct service *service)
{
    if (service->stopping && service->n_clients == 0 && !service->listenings)
        worker_stop(service->worker);
}

void service_client_gone(struct service *service)
{
    service->n_clients--;
    if (service->n_clients + 1 == service->clients_max)
        listenings_pause(service, false);
    end_if_done(service);
}

void service_listening_gone(struct service *service)
{
    end_if_done(service);
}

/* On the worker's thread. */
static int start(struct worker *worker)
{
    struct service *service = worker->context;

    return listenings_start(service, service->view);
}

/* What is still open when the loop ends: exchanges are ended and logged; descriptors go with the process, memory with the slabs. */
static void finish(struct worker *worker)
{
    struct service *service = worker->context;

    for (struct client *client = service->first_client; client; client = client->next)
        client_stop_now(client);
    links_close_idle(&service->links);
}

int service_create(struct worker *worker, struct snapshot *snapshot, struct service **result)
{
    const struct config *config = snapshot->config;
    struct service *service = calloc(1, sizeof(*service));

    if (!service)
        return -ENOMEM;
    service->worker = worker;
    service->view = &snapshot->views[worker->config.number];
    service->view->current = true;
    service->clients_max = config->worker_connections;
    service->patterns = pattern_scratch_create();
    slab_init(&service->clients, sizeof(struct client), config->worker_connections);
    slab_init(&service->exchanges, EXCHANGE_SIZE, config->worker_connections);
    if (getrandom(service->random, sizeof(service->random), 0) != sizeof(service->random))
        service->random[0] = clock_monotonic_ns();
    links_init(&service->links, worker, 2 * config->worker_connections);
    if (!service->patterns) {
        service_destroy(service);
        return -ENOMEM;
    }
    worker->context = service;
    worker->start = start;
    worker->finish = finish;
    *result = service;
    return 0;
}

void service_destroy(struct service *service)
{
    if (!service)
        return;
    listenings_destroy(service->listenings);
    links_fini(&service->links);
    slab_fini(&service->clients);
    slab_fini(&service->exchanges);
    pattern_scratch_destroy(service->patterns);
    free(service);
}

void service_follow(void *owner, void *argument)
{
    struct service *service = ((struct worker *)owner)->context;
    struct snapshot *snapshot = argument;
    struct view *before = service->view;

    service->view = &snapshot->views[service->worker->config.number];
    service->view->current = true;
    listenings_follow(service, service->view);
    if (listenings_start(service, service->view) != 0)
        log_write(LOG_ERR, "a new listener is not served for want of a slot worker=%u", service->worker->config.number);
    if (service->stopping)
        listenings_close(service, false);
    links_close_left(&service->links);
    view_retire(before);
}

static void stop(struct service *service, bool shared)
{
    service->stopping = true;
    listenings_close(service, shared);
    links_close_idle(&service->links);
    end_if_done(service);
}

void service_stop(void *owner, void *argument)
{
    (void)argument;
    stop(((struct worker *)owner)->context, false);
}

void service_stop_shared(void *owner, void *argument)
{
    (void)argument;
    stop(((struct worker *)owner)->context, true);
}

void service_rearm(void *owner, void *argument)
{
    (void)argument;
    listenings_rearm(((struct worker *)owner)->context);
}

void service_stop_now(void *owner, void *argument)
{
    (void)argument;
    worker_stop(owner);
}

/* Who holds a state without a link does so within one turn: a pick is followed by its link, and a log line by the end. */
void service_leave_server(void *owner, void *argument)
{
    struct service *service = ((struct worker *)owner)->context;
    struct state_question *question = argument;

    state_answer(question, links_close_state(&service->links, question->state));
}

/* RFC 3339 wants "+00:00" where the C library has "+0000". */
static void put_colon(char *time)
{
    size_t len = strlen(time);

    memmove(time + len - 1, time + len - 2, 3);
    time[len - 2] = ':';
}

void service_read_date(struct service *service)
{
    time_t now = (time_t)(clock_realtime_ms() / 1000);
    struct tm local;

    if (now == service->date_at)
        return;
    service->date_at = now;
    http_date(now, service->date);
    localtime_r(&now, &local);
    strftime(service->log_time, sizeof(service->log_time), "%d/%b/%Y:%H:%M:%S %z", &local);
    strftime(service->iso_time, sizeof(service->iso_time), "%Y-%m-%dT%H:%M:%S%z", &local);
    put_colon(service->iso_time);
}

/* xorshift128+ (Vigna 2017): request ids need to differ, not to be secret. */
uint64_t service_random(struct service *service)
{
    uint64_t a = service->random[0], b = service->random[1];

    service->random[0] = b;
    a ^= a << 23;
    service->random[1] = a ^ b ^ (a >> 18) ^ (b >> 5);
    return service->random[1] + b;
}
