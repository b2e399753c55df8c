/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What one worker needs to proxy; see service.h. */
#include "proxy/service.h"

#include "engine/clock.h"
#include "engine/log.h"
#include "proxy/client.h"
#include "proxy/exchange.h"
#include "proxy/queue.h"
#include "proxy/retry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

static void on_accept(struct acceptor *acceptor, int fd)
{
    struct listening *listening = acceptor->context;
    struct service *service = listening->service;

    client_accept(listening, fd);
    if (service->n_clients < service->config->worker_connections)
        return;
    service->counters.accept_pauses++;
    for (size_t i = 0; i < service->config->n_listens; i++)
        acceptor_pause(&service->listening[i].acceptor, true);
}

void service_client_gone(struct service *service)
{
    service->n_clients--;
    if (service->stopping) {
        if (service->n_clients == 0)
            worker_stop(service->worker);
        return;
    }
    if (service->n_clients + 1 < service->config->worker_connections)
        return;
    for (size_t i = 0; i < service->config->n_listens; i++)
        acceptor_pause(&service->listening[i].acceptor, false);
}

/* On the worker's thread. */
static int start(struct worker *worker)
{
    struct service *service = worker->context;

    for (size_t i = 0; i < service->config->n_listens; i++) {
        struct acceptor *acceptor = &service->listening[i].acceptor;

        acceptor->context = &service->listening[i];
        acceptor->on_accept = on_accept;
        if (!acceptor_start(acceptor, worker, acceptor->fd))
            return -ENOBUFS;
    }
    return 0;
}

/* What is still open when the loop ends: exchanges are ended and logged; descriptors go with the process, memory with the slabs. */
static void finish(struct worker *worker)
{
    struct service *service = worker->context;

    for (struct client *client = service->first_client; client; client = client->next)
        client_stop_now(client);
    links_close_idle(&service->links);
}

static int create_pickers(struct service *service)
{
    const struct config *config = service->config;

    service->pickers = calloc(config->n_pools ? config->n_pools : 1, sizeof(struct picker *));
    service->budgets = calloc(config->n_pools ? config->n_pools : 1, sizeof(*service->budgets));
    if (!service->pickers || !service->budgets)
        return -ENOMEM;
    for (size_t i = 0; i < config->n_pools; i++) {
        service->budgets[i] = retry_initial_budget(config->groups[i]);
        service->pickers[i] = picker_create(config->pools[i], service->worker->config.number);
        if (!service->pickers[i])
            return -ENOMEM;
    }
    return 0;
}

static int create_scratch(struct service *service)
{
    const struct config *config = service->config;
    size_t n_fields = config->client_header_count > config->upstream_header_count ? config->client_header_count
                                                                                   : config->upstream_header_count;

    service->fields = calloc(n_fields, sizeof(struct field));
    service->patterns = pattern_scratch_create();
    service->listening = calloc(config->n_listens, sizeof(*service->listening));
    if (!service->fields || !service->patterns || !service->listening)
        return -ENOMEM;
    if (getrandom(service->random, sizeof(service->random), 0) != sizeof(service->random))
        service->random[0] = clock_monotonic_ns();
    slab_init(&service->clients, sizeof(struct client), config->worker_connections);
    slab_init(&service->exchanges, EXCHANGE_SIZE, config->worker_connections);
    return 0;
}

int service_create(struct worker *worker, const struct shared *shared, const int *fds, struct service **result)
{
    const struct config *config = shared->config;
    struct service *service = calloc(1, sizeof(*service));
    int error;

    if (!service)
        return -ENOMEM;
    service->worker = worker;
    service->config = config;
    service->router = shared->router;
    service->sticky = shared->sticky;
    error = create_scratch(service);
    if (!error)
        error = create_pickers(service);
    if (!error)
        error = queues_attach(service, shared->queues);
    if (!error)
        error = links_init(&service->links, worker, (uint32_t)config->n_servers, 2 * config->worker_connections);
    if (error) {
        service_destroy(service);
        return error;
    }
    for (size_t i = 0; i < config->n_listens; i++) {
        service->listening[i].service = service;
        service->listening[i].listen = &config->listens[i];
        service->listening[i].acceptor.fd = fds[i];
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
    for (size_t i = 0; service->pickers && i < service->config->n_pools; i++)
        picker_destroy(service->pickers[i]);
    free(service->pickers);
    free(service->budgets);
    queues_detach(service);
    links_fini(&service->links);
    slab_fini(&service->clients);
    slab_fini(&service->exchanges);
    pattern_scratch_destroy(service->patterns);
    free(service->fields);
    free(service->listening);
    free(service);
}

void service_stop(void *owner, void *argument)
{
    struct worker *worker = owner;
    struct service *service = worker->context;
    struct client *next;

    (void)argument;
    service->stopping = true;
    for (size_t i = 0; i < service->config->n_listens; i++)
        acceptor_stop(&service->listening[i].acceptor);
    for (struct client *client = service->first_client; client; client = next) {
        next = client->next;
        client_stop(client);
    }
    links_close_idle(&service->links);
    if (service->n_clients == 0)
        worker_stop(worker);
}

void service_stop_now(void *owner, void *argument)
{
    (void)argument;
    worker_stop(owner);
}

/* Who holds a server without a link does so within one turn: a pick is followed by its link, and a log line by the end. */
void service_leave_server(void *owner, void *argument)
{
    struct service *service = ((struct worker *)owner)->context;
    struct place_question *question = argument;

    place_answer(question, links_close_server(&service->links, question->server->id) + queue_count_tried(service, question->server));
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
