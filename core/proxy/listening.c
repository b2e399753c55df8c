/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sockets that come and go with snapshots; see listening.h. */
#include "proxy/listening.h"

#include "engine/log.h"
#include "proxy/client.h"
#include "proxy/service.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

static struct listening *of_timer(struct timer *timer)
{
    return (struct listening *)((char *)timer - offsetof(struct listening, timer));
}

static void look(struct timer *timer);

struct listening *listening_create(struct view *view, const struct listen *listen, const struct snapshot_listener *listener, int fd)
{
    struct listening *listening = calloc(1, sizeof(*listening));

    if (!listening)
        return NULL;
    listening->view = view;
    listening->listen = listen;
    listening->identity = listener->identity;
    listening->users = listener->users;
    atomic_fetch_add_explicit(listening->users, 1, memory_order_relaxed);
    listening->acceptor.fd = fd;
    timer_init(&listening->timer, look);
    return listening;
}

/* Release: what is done with the socket was done before. */
static void leave_socket(struct listening *listening)
{
    if (listening->users)
        atomic_fetch_sub_explicit(listening->users, 1, memory_order_release);
    listening->users = NULL;
}

void listenings_destroy(struct listening *first)
{
    struct listening *next;

    for (; first; first = next) {
        next = first->next;
        leave_socket(first);
        free(first);
    }
}

static void on_accept(struct acceptor *acceptor, int fd)
{
    struct listening *listening = acceptor->context;

    client_accept(listening, fd);
    service_client_came(listening->service);
}

static void on_stopped(struct acceptor *acceptor)
{
    struct listening *listening = acceptor->context;

    listening->accepting = false;
    leave_socket(listening);
    for (struct listening *other = listening->service->listenings; other; other = other->next)
        if (other->accepting && other->acceptor.fd == acceptor->fd)
            acceptor_rearm(&other->acceptor);
}

static int start(struct service *service, struct listening *listening)
{
    struct acceptor *acceptor = &listening->acceptor;

    listening->service = service;
    acceptor->context = listening;
    acceptor->on_accept = on_accept;
    acceptor->on_stopped = on_stopped;
    if (!acceptor_start(acceptor, service->worker, acceptor->fd))
        return -ENOBUFS;
    listening->accepting = true;
    acceptor_pause(acceptor, service_is_full(service));
    return 0;
}

int listenings_start(struct service *service, struct view *view)
{
    int error = 0;

    while (view->fresh) {
        struct listening *listening = view->fresh;

        view->fresh = listening->next;
        listening->next = service->listenings;
        service->listenings = listening;
        if (start(service, listening) != 0) {
            leave_socket(listening);
            error = -ENOBUFS;
        }
    }
    return error;
}

/* Closing. */

static void forget(struct listening *listening)
{
    struct service *service = listening->service;
    struct listening **link = &service->listenings;

    while (*link != listening)
        link = &(*link)->next;
    *link = listening->next;
    service->accept_failures += listening->acceptor.failed;
    view_put(listening->view);
    free(listening);
    service_listening_gone(service);
}

/* Nobody is hushed out of the queue: what is in it has connected. At worker_connections, or for want of descriptors, it is accepted later. */
static bool has_waiting(const struct listening *listening)
{
    struct pollfd queue = {.fd = listening->acceptor.fd, .events = POLLIN};

    return !listening->shared && poll(&queue, 1, 0) == 1 && queue.revents & POLLIN;
}

/* First the time for the handshakes, and for the queue; then for the last completion, then for the last client. */
static void look(struct timer *timer)
{
    struct listening *listening = of_timer(timer);
    struct worker *worker = listening->service->worker;

    if (listening->accepting && !has_waiting(listening))
        acceptor_stop(&listening->acceptor);
    if (listening->n_clients == 0 && !listening->accepting)
        forget(listening);
    else
        timer_set(&worker->timers, timer, worker->now_ms + LISTENING_LOOK_MS);
}

static void close_listening(struct listening *listening, bool shared)
{
    struct service *service = listening->service;

    if (listening->closing)
        return;
    listening->closing = true;
    listening->shared = shared;
    view_get(listening->view);
    timer_set(&service->worker->timers, &listening->timer, service->worker->now_ms + LISTENING_HUSH_MS);
    clients_drain(service, listening);
}

/* The socket that the snapshot brings is one that this worker still has. */
static void discard_fresh(struct view *view, int fd)
{
    for (struct listening **link = &view->fresh; *link; link = &(*link)->next) {
        struct listening *fresh = *link;

        if (fresh->acceptor.fd != fd)
            continue;
        *link = fresh->next;
        fresh->next = NULL;
        listenings_destroy(fresh);
        return;
    }
}

static void show(struct listening *listening, struct view *view, size_t index)
{
    listening->view = view;
    listening->listen = &view->snapshot->config->listens[index];
}

/* It was to close, and is wanted again. Clients that were told to ask once more at most may ask on. */
static void keep_open(struct listening *listening, struct view *view, size_t index)
{
    timer_stop(&listening->service->worker->timers, &listening->timer);
    listening->closing = false;
    view_put(listening->view);
    show(listening, view, index);
    discard_fresh(view, listening->acceptor.fd);
}

void listenings_follow(struct service *service, struct view *view)
{
    struct listening *next;

    for (struct listening *listening = service->listenings; listening; listening = next) {
        size_t index = snapshot_find_listener(view->snapshot, listening->identity);
        bool wanted = index < view->snapshot->n_listeners;

        next = listening->next;
        if (wanted && !listening->closing)
            show(listening, view, index);
        else if (wanted && listening->accepting && !listening->acceptor.stopped)
            keep_open(listening, view, index);
        else if (!listening->closing)
            close_listening(listening, false);
    }
}

void listenings_close(struct service *service, bool shared)
{
    for (struct listening *listening = service->listenings; listening; listening = listening->next)
        close_listening(listening, shared);
}

void listenings_rearm(struct service *service)
{
    for (struct listening *listening = service->listenings; listening; listening = listening->next)
        if (listening->accepting)
            acceptor_rearm(&listening->acceptor);
}

void listenings_pause(struct service *service, bool paused)
{
    for (struct listening *listening = service->listenings; listening; listening = listening->next)
        if (listening->accepting)
            acceptor_pause(&listening->acceptor, paused);
}

void listening_client_gone(struct listening *listening)
{
    assert(listening->n_clients > 0);
    listening->n_clients--;
}

uint64_t listenings_accept_failures(const struct service *service)
{
    uint64_t n = service->accept_failures;

    for (const struct listening *listening = service->listenings; listening; listening = listening->next)
        n += listening->acceptor.failed;
    return n;
}
