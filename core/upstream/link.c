/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Connections to servers; see link.h. */
#include "upstream/link.h"

#include <errno.h>
#include <stdlib.h>

int links_init(struct links *links, struct worker *worker, uint32_t n_servers, uint32_t limit)
{
    *links = (struct links){.worker = worker, .n_servers = n_servers, .idle_max = limit / 2};
    links->idle = calloc(n_servers ? n_servers : 1, sizeof(*links->idle));
    if (!links->idle)
        return -ENOMEM;
    slab_init(&links->slab, sizeof(struct link), limit);
    return 0;
}

void links_fini(struct links *links)
{
    if (!links->idle)
        return;
    slab_fini(&links->slab);
    free(links->idle);
    links->idle = NULL;
}

static struct link *of_stream(struct stream *stream)
{
    return (struct link *)stream;
}

static void unlist(struct link *link)
{
    struct idle_list *list = &link->links->idle[link->server->id];

    *(link->prev ? &link->prev->next : &list->first) = link->next;
    *(link->next ? &link->next->prev : &list->last) = link->prev;
    link->next = link->prev = NULL;
    link->idle = false;
    list->count--;
    link->links->n_idle--;
}

void link_close(struct link *link, bool reset)
{
    if (link->idle)
        unlist(link);
    link->user = NULL;
    stream_close(&link->stream, reset);
}

void link_gone(struct stream *stream)
{
    struct link *link = of_stream(stream);

    link->links->idle[link->server->id].n_links--;
    slab_put(&link->links->slab, link);
}

/* An idle link has nothing to say: whatever comes, its end included, ends it. */
static void idle_input(struct stream *stream)
{
    of_stream(stream)->links->idle_closed++;
    link_close(of_stream(stream), false);
}

static void idle_sent(struct stream *stream)
{
    (void)stream;
}

static const struct stream_type idle_type = {
    .on_input = idle_input, .on_sent = idle_sent, .on_timer = idle_input, .on_gone = link_gone};

struct link *link_take(struct links *links, struct server *server, const struct stream_type *type, void *user)
{
    struct link *link = links->idle[server->id].first;

    if (!link)
        return NULL;
    unlist(link);
    link->stream.type = type;
    link->user = user;
    link->requests++;
    links->reused++;
    return link;
}

struct link *link_open(struct links *links, const struct pool *pool, struct server *server,
                       const struct stream_type *type, void *user, int *error)
{
    struct link *link = slab_get(&links->slab);

    *error = -ENOBUFS;
    if (!link)
        return NULL;
    *error = stream_connect(&link->stream, links->worker, type, &server->address.sa, server->address.len);
    if (*error) {
        slab_put(&links->slab, link);
        return NULL;
    }
    link->small_responses = 0;
    link->links = links;
    link->server = server;
    link->settings = pool_settings(pool);
    link->user = user;
    link->next = link->prev = NULL;
    link->created_ms = links->worker->now_ms;
    link->requests = 1;
    link->idle = false;
    links->idle[server->id].n_links++;
    links->opened++;
    return link;
}

/* The one used longest ago of this server; of some other where this one has none. At the limit, at least one is idle. */
static void close_any_idle(struct links *links, const struct idle_list *own)
{
    const struct idle_list *list = own;

    for (uint32_t i = 0; !list->last && i < links->n_servers; i++)
        list = &links->idle[i];
    if (list->last)
        link_close(list->last, false);
}

/*
 * A multishot costs 15 % less processor time per small response than single receives, but takes a large one in by so many blocks at
 * once that it costs a third more. What a link brought last is what it will most likely bring next.
 */
static void choose_receiving(struct link *link)
{
    if (link->stream.filled)
        link->small_responses = 0;
    else if (link->small_responses < LINK_SMALL_RESPONSES)
        link->small_responses++;
    link->stream.single = link->stream.filled || (link->stream.single && link->small_responses < LINK_SMALL_RESPONSES);
    link->stream.filled = false;
}

void link_release(struct link *link)
{
    const struct pool_spec *settings = link->settings;
    struct idle_list *list = &link->links->idle[link->server->id];
    uint64_t now_ms = link->links->worker->now_ms;

    if (settings->keepalive == 0 || link->stream.input_bytes > 0 || link->stream.end_of_input ||
        link->requests >= settings->keepalive_requests || now_ms - link->created_ms >= settings->keepalive_time_ms) {
        link_close(link, false);
        return;
    }
    if (list->count >= settings->keepalive)
        link_close(list->last, false);
    if (link->links->n_idle >= link->links->idle_max)
        close_any_idle(link->links, list);
    link->user = NULL;
    link->stream.type = &idle_type;
    choose_receiving(link);
    stream_settle(&link->stream);
    link->idle = true;
    link->prev = NULL;
    link->next = list->first;
    *(link->next ? &link->next->prev : &list->last) = link;
    list->first = link;
    list->count++;
    link->links->n_idle++;
    stream_deadline(&link->stream, now_ms + settings->keepalive_timeout_ms);
}

uint32_t links_close_server(struct links *links, uint32_t id)
{
    while (links->idle[id].first)
        link_close(links->idle[id].first, false);
    return links->idle[id].n_links;
}

void links_close_idle(struct links *links)
{
    for (uint32_t i = 0; i < links->n_servers; i++)
        (void)links_close_server(links, i);
}
