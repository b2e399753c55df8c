/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Connections to servers; see link.h. */
#include "upstream/link.h"

#include <assert.h>
#include <errno.h>

void links_init(struct links *links, struct worker *worker, uint32_t limit)
{
    *links = (struct links){.worker = worker, .idle_max = limit / 2};
    slab_init(&links->slab, sizeof(struct link), limit);
}

void links_fini(struct links *links)
{
    slab_fini(&links->slab);
}

static struct server_links *list_of(struct links *links, struct server_state *state)
{
    unsigned number = links->worker->config.number;

    assert(number < state->n_workers);
    return &state->links[number];
}

static struct link *of_stream(struct stream *stream)
{
    return (struct link *)stream;
}

/* In front of the idle ones of its server, and behind all others by age. */
static void enlist(struct link *link)
{
    struct links *links = link->links;
    struct server_links *list = list_of(links, link->state);

    link->prev = NULL;
    link->next = list->first;
    *(link->next ? &link->next->prev : &list->last) = link;
    list->first = link;
    link->newer = NULL;
    link->older = links->newest;
    *(link->older ? &link->older->newer : &links->oldest) = link;
    links->newest = link;
    link->idle = true;
    list->n_idle++;
    links->n_idle++;
}

static void unlist(struct link *link)
{
    struct links *links = link->links;
    struct server_links *list = list_of(links, link->state);

    *(link->prev ? &link->prev->next : &list->first) = link->next;
    *(link->next ? &link->next->prev : &list->last) = link->prev;
    *(link->older ? &link->older->newer : &links->oldest) = link->newer;
    *(link->newer ? &link->newer->older : &links->newest) = link->older;
    link->next = link->prev = link->older = link->newer = NULL;
    link->idle = false;
    list->n_idle--;
    links->n_idle--;
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

    list_of(link->links, link->state)->n_links--;
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

static void copy_settings(struct link *link, const struct pool *pool)
{
    const struct pool_spec *settings = pool_settings(pool);

    link->keepalive = settings->keepalive;
    link->keepalive_timeout_ms = settings->keepalive_timeout_ms;
    link->keepalive_time_ms = settings->keepalive_time_ms;
    link->keepalive_requests = settings->keepalive_requests;
}

struct link *link_take(struct links *links, const struct pool *pool, struct server *server,
                       const struct stream_type *type, void *user)
{
    struct link *link = list_of(links, server->state)->first;

    if (!link)
        return NULL;
    unlist(link);
    copy_settings(link, pool);
    link->stream.type = type;
    link->user = user;
    link->requests++;
    links->reused++;
    return link;
}

struct link *link_open(struct links *links, const struct pool *pool, struct server *server,
                       const struct stream_type *type, void *user, int *error)
{
    struct server_state *state = server->state;
    struct link *link = slab_get(&links->slab);

    *error = -ENOBUFS;
    if (!link)
        return NULL;
    *error = stream_connect(&link->stream, links->worker, type, &state->address.sa, state->address.len);
    if (*error) {
        slab_put(&links->slab, link);
        return NULL;
    }
    link->small_responses = 0;
    link->links = links;
    link->state = state;
    copy_settings(link, pool);
    link->user = user;
    link->next = link->prev = link->older = link->newer = NULL;
    link->created_ms = links->worker->now_ms;
    link->requests = 1;
    link->idle = false;
    list_of(links, state)->n_links++;
    links->opened++;
    return link;
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

static bool has_left(const struct server_state *state)
{
    return atomic_load_explicit(&state->left, memory_order_relaxed);
}

void link_release(struct link *link)
{
    struct links *links = link->links;
    struct server_links *list = list_of(links, link->state);
    uint64_t now_ms = links->worker->now_ms;

    if (link->keepalive == 0 || has_left(link->state) || link->stream.input_bytes > 0 || link->stream.end_of_input ||
        link->requests >= link->keepalive_requests || now_ms - link->created_ms >= link->keepalive_time_ms) {
        link_close(link, false);
        return;
    }
    /* More than one too many where another pool object keeps fewer. */
    while (list->n_idle >= link->keepalive)
        link_close(list->last, false);
    /* At the limit, at least one is idle. */
    if (links->n_idle >= links->idle_max && links->oldest)
        link_close(links->oldest, false);
    link->user = NULL;
    link->stream.type = &idle_type;
    choose_receiving(link);
    stream_settle(&link->stream);
    enlist(link);
    stream_deadline(&link->stream, now_ms + link->keepalive_timeout_ms);
}

uint32_t links_close_state(struct links *links, struct server_state *state)
{
    struct server_links *list = list_of(links, state);

    while (list->first)
        link_close(list->first, false);
    return list->n_links;
}

void links_close_left(struct links *links)
{
    struct link *next;

    for (struct link *link = links->oldest; link; link = next) {
        next = link->newer;
        if (has_left(link->state))
            link_close(link, false);
    }
}

void links_close_idle(struct links *links)
{
    while (links->oldest)
        link_close(links->oldest, false);
}
