/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The life of a stream: opening, connecting, the deadline, closing, and the wait for the last completion. Its two halves are in
 * stream_input.c and stream_output.c. Who may still arrive after stream_close: completions of accept never (the fd was
 * ours by then), of connect, recv, send, and of the cancellations of these; all are counted in actor.in_flight.
 */
#include "engine/stream_private.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#define HEAP_GRANTS 16u /* starved streams that may use the heap in one turn, when not a single block came back */

static void connect_complete(struct stream *stream, int result)
{
    stream->connecting = false;
    if (stream->closing)
        return;
    if (result == 0)
        stream_mark(stream);
    stream->type->on_connected(stream, result);
}

static void complete(struct actor *actor, const struct completion *completion)
{
    struct stream *stream = (struct stream *)actor;

    switch (completion->operation) {
    case RING_RECV:
        stream_input_complete(stream, completion);
        break;
    case RING_SEND:
        stream_output_complete(stream, completion);
        break;
    case RING_CONNECT:
        connect_complete(stream, completion->result);
        break;
    default: /* a cancellation: what it cancelled tells by itself */
        break;
    }
}

static bool connect_flush(struct stream *stream)
{
    if (!stream->connect_to)
        return true;
    if (!ring_connect(stream->worker->ring, &stream->actor, stream->fd, stream->connect_to, stream->connect_len))
        return false;
    stream->connect_to = NULL;
    return true;
}

static bool cancel_all(struct stream *stream)
{
    struct ring *ring = stream->worker->ring;

    if ((stream->receiving != RECEIVING_OFF && !ring_cancel(ring, &stream->actor, RING_RECV)) ||
        (stream->sending && !ring_cancel(ring, &stream->actor, RING_SEND)) ||
        (stream->connecting && !ring_cancel(ring, &stream->actor, RING_CONNECT)))
        return false;
    stream->cancel_wanted = false;
    return true;
}

static bool flush(struct actor *actor)
{
    struct stream *stream = (struct stream *)actor;

    if (stream->closing)
        return !stream->cancel_wanted || cancel_all(stream);
    if (stream->connecting)
        return connect_flush(stream);
    /* Sends first: what they give back is what the receives of this turn can use. */
    return stream_output_flush(stream) && stream_input_flush(stream);
}

static const struct actor_type stream_actor = {complete, flush};

static void expire(struct timer *timer)
{
    struct stream *stream = (struct stream *)((char *)timer - offsetof(struct stream, timer));

    stream->type->on_timer(stream);
}

static bool init(struct stream *stream, struct worker *worker, const struct stream_type *type, int fd)
{
    *stream = (struct stream){.type = type, .worker = worker, .fd = fd};
    timer_init(&stream->timer, expire);
    return ring_add(worker->ring, &stream->actor, &stream_actor);
}

bool stream_open(struct stream *stream, struct worker *worker, const struct stream_type *type, int fd)
{
    if (!init(stream, worker, type, fd))
        return false;
    stream_mark(stream);
    return true;
}

static int make_socket(const struct worker *worker, int family)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1, size = (int)worker->config.socket_send_buffer;

    if (fd < 0)
        return -errno;
    if (family != AF_UNIX)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (size > 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    return fd;
}

int stream_connect(struct stream *stream, struct worker *worker, const struct stream_type *type,
                   const struct sockaddr *address, socklen_t len)
{
    int fd = make_socket(worker, address->sa_family);

    if (fd < 0)
        return fd;
    if (!init(stream, worker, type, fd)) {
        close(fd);
        return -ENOBUFS;
    }
    stream->connecting = true;
    stream->connect_to = address;
    stream->connect_len = len;
    stream_mark(stream);
    return 0;
}

void stream_deadline(struct stream *stream, uint64_t deadline_ms)
{
    if (deadline_ms == UINT64_MAX)
        timer_stop(&stream->worker->timers, &stream->timer);
    else
        timer_set(&stream->worker->timers, &stream->timer, deadline_ms);
}

void stream_close(struct stream *stream, bool reset)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};

    if (stream->closing)
        return;
    stream->closing = true;
    timer_stop(&stream->worker->timers, &stream->timer);
    stream_input_drop(stream);
    if (reset)
        (void)setsockopt(stream->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    /*
     * A shutdown would end what is in flight with one call. But it would tell the peer that a reset was a regular end; and where receives go
     * on and empty the kernel's queue after it, Linux announces the new room no more: a peer that waits for it waits a minute.
     */
    if (stream->actor.in_flight > 0) {
        stream->cancel_wanted = true;
        stream_mark(stream);
    }
    /* One that waits for a buffer stays linked in its queue, whose other members hang at it, until its turn comes (serve). */
    if (!stream->waiting) {
        stream->next = stream->worker->closing;
        stream->worker->closing = stream;
    }
}

void streams_reap(struct worker *worker)
{
    struct stream **link = &worker->closing;

    worker->reap_soon = false;
    while (*link) {
        struct stream *stream = *link;

        if (stream->actor.in_flight > 0 || stream->actor.marked) {
            worker->reap_soon |= stream->actor.in_flight == 0; /* its mark goes with the next flush; no completion will come for it */
            link = &stream->next;
            continue;
        }
        *link = stream->next;
        stream_output_drop(stream);
        stream_input_drop(stream);
        ring_remove(worker->ring, &stream->actor);
        close(stream->fd);
        stream->fd = -1;
        stream->type->on_gone(stream);
    }
}

enum grant { GRANT_BLOCK, GRANT_BULK, GRANT_HEAP };

/* Takes up to n streams off a queue; closing ones go where they wait for their end. */
static void serve(struct worker *worker, struct stream_queue *queue, uint32_t n, enum grant grant)
{
    for (; n > 0 && queue->first; n--) {
        struct stream *stream = queue->first;

        queue->first = stream->next;
        if (!queue->first)
            queue->end = &queue->first;
        stream->waiting = false;
        stream->next = NULL;
        if (stream->closing) {
            stream->next = worker->closing;
            worker->closing = stream;
        } else {
            stream->bulk_granted = grant == GRANT_BULK && stream->bulky;
            stream->heap_granted = grant == GRANT_HEAP;
            stream_mark(stream);
        }
    }
}

/* As many as there are buffers. A starved stream re-arms by readiness, so that none takes a block before it has something to put in. */
void streams_feed(struct worker *worker)
{
    struct buffers *buffers = worker_buffers(worker);

    if (worker->starved.first) {
        if (buffers_provide(buffers))
            serve(worker, &worker->starved, buffers->in_ring, GRANT_BLOCK);
        else
            serve(worker, &worker->starved, HEAP_GRANTS, GRANT_HEAP);
    }
    if (worker->bulk_queue.first)
        serve(worker, &worker->bulk_queue, buffers_allow_bulk(buffers), GRANT_BULK);
}
