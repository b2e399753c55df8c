/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The receiving half of a stream. Three ways to receive: blocks of the shared ring by one multishot operation (the normal way: an idle
 * stream holds nothing), single receives into a bulk buffer (while much comes), and not at all (the owner does not keep
 * up). A peer that fills whole buffers is moved to bulk buffers, one that does not is moved back. Switching away from the multishot means to cancel it and to wait for its last completion; data may come until then.
 */
#include "engine/stream_private.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>

/* Short runs go behind what is there already: a peer that sends byte by byte must not hold a block for each. */
static bool append_to_end(struct stream *stream, const struct buffer *buffer)
{
    struct buffer *end = stream->input_end;
    uint32_t len = buffer->to;

    if (!end || end->size - end->to < len || (len > STREAM_COPY && end->kind != BUFFER_HEAP))
        return false;
    memcpy(end->data + end->to, buffer->data, len);
    end->to += len;
    return true;
}

static void append(struct stream *stream, struct buffer *buffer)
{
    stream->received += buffer->to;
    if (buffer->to == buffer->size)
        stream->bulky = stream->filled = true;
    else if (buffer->to < worker_buffers(stream->worker)->config.block_size)
        stream->bulky = false;
    stream->input_bytes += buffer->to;
    if (append_to_end(stream, buffer)) {
        buffer_put(buffer);
        return;
    }
    if (stream->input_end)
        stream->input_end->next = buffer;
    else
        stream->input = buffer;
    stream->input_end = buffer;
}

static void await_buffer(struct stream *stream, struct stream_queue *queue)
{
    stream->waiting = true;
    stream->next = NULL;
    *queue->end = stream;
    queue->end = &stream->next;
}

/* What was received into, if anything: a block of the ring, or the bulk buffer. */
static struct buffer *take_buffer(struct stream *stream, const struct completion *completion)
{
    struct buffer *buffer = stream->bulk;
    uint32_t len = completion->result > 0 ? (uint32_t)completion->result : 0;

    if (completion->has_buffer)
        return buffers_taken(worker_buffers(stream->worker), completion->buffer, len);
    stream->bulk = NULL;
    if (buffer)
        buffer->to = len;
    return buffer;
}

/* The operation under way is not, or no longer, the right one. */
static bool must_stop(const struct stream *stream)
{
    if (stream->receiving == RECEIVING_BULK)
        return stream->settling;
    return stream->receiving == RECEIVING_BLOCKS && !stream->single &&
           (stream->input_bytes >= STREAM_HOLD || stream->bulky || stream->doubted);
}

void stream_input_complete(struct stream *stream, const struct completion *completion)
{
    struct buffer *buffer = take_buffer(stream, completion);
    bool has_news = true;

    if (!completion->more)
        stream->receiving = RECEIVING_OFF;
    if (stream->closing || completion->result <= 0) {
        if (buffer)
            buffer_put(buffer);
        if (stream->closing)
            return;
        buffer = NULL;
    }
    if (buffer) {
        append(stream, buffer);
    } else if (completion->result == -ENOBUFS) {
        stream->worker->starvations++;
        await_buffer(stream, &stream->worker->starved);
        return;
    } else if (completion->result == -ECANCELED || completion->result == -EINTR) {
        has_news = false;
    } else {
        stream->end_of_input = true;
        stream->input_error = completion->result;
    }
    if (!stream->end_of_input && (!completion->more || must_stop(stream)))
        stream_mark(stream);
    if (has_news)
        stream->type->on_input(stream);
}

static bool receive_into(struct stream *stream, struct buffer *buffer)
{
    if (!ring_recv_into(stream->worker->ring, &stream->actor, stream->fd, buffer->data, buffer->size)) {
        buffer_put(buffer);
        return false;
    }
    stream->bulk = buffer;
    stream->settling = false;
    stream->receiving = RECEIVING_BULK;
    return true;
}

/* All blocks are held, perhaps by streams that wait for this very one: memory of its own lets it go on. */
static bool receive_heap(struct stream *stream)
{
    struct buffers *buffers = worker_buffers(stream->worker);
    struct buffer *heap = buffers_heap(buffers, buffers->config.block_size);

    stream->heap_granted = false;
    if (heap)
        return receive_into(stream, heap);
    await_buffer(stream, &stream->worker->starved);
    return true;
}

static bool receive_bulk(struct stream *stream)
{
    struct buffers *buffers = worker_buffers(stream->worker);
    struct buffer *bulk;

    if (!stream->bulk_granted && (stream->worker->bulk_queue.first || buffers->bulk_in_use >= buffers->bulk_allowed)) {
        await_buffer(stream, &stream->worker->bulk_queue);
        return true;
    }
    stream->bulk_granted = false;
    bulk = buffers_bulk(buffers);
    if (!bulk) {
        stream->bulky = false; /* none to be had: it goes on by blocks */
        return true;
    }
    return receive_into(stream, bulk);
}

static bool start_receiving(struct stream *stream)
{
    if (stream->input_bytes >= STREAM_HOLD || (stream->bulky && stream->paused))
        return true;
    /* Bulk buffers are few: the next one only when the last one has been moved on. */
    if (stream->bulky && stream->input_bytes == 0) {
        if (!receive_bulk(stream))
            return false;
        if (stream->receiving == RECEIVING_BULK || stream->waiting)
            return true;
    }
    if (stream->heap_granted)
        return receive_heap(stream);
    if (!ring_recv(stream->worker->ring, &stream->actor, stream->fd, stream->single, stream->received > 0 && !stream->doubted))
        return false;
    stream->doubted = false;
    stream->receiving = RECEIVING_BLOCKS;
    return true;
}

bool stream_input_flush(struct stream *stream)
{
    if (stream->end_of_input || stream->waiting)
        return true;
    if (stream->receiving == RECEIVING_OFF)
        return start_receiving(stream);
    if (!must_stop(stream))
        return true;
    stream->settling = false;
    if (!ring_cancel(stream->worker->ring, &stream->actor, RING_RECV))
        return false;
    stream->receiving = RECEIVING_STOPPING;
    return true;
}

const char *stream_peek(const struct stream *stream, size_t *len)
{
    const struct buffer *buffer = stream->input;

    *len = buffer ? buffer->to - buffer->from : 0;
    return buffer ? (const char *)buffer->data + buffer->from : NULL;
}

void stream_consume(struct stream *stream, size_t n)
{
    assert(n <= stream->input_bytes);
    stream->input_bytes -= (uint32_t)n;
    while (n > 0) {
        struct buffer *buffer = stream->input;
        uint32_t run = buffer->to - buffer->from;

        if (run > n) {
            buffer->from += (uint32_t)n;
            break;
        }
        n -= run;
        stream->input = buffer->next;
        if (!stream->input)
            stream->input_end = NULL;
        buffer_put(buffer);
    }
    /* It may have stopped because too much was held. */
    if (stream->receiving == RECEIVING_OFF && !stream->end_of_input && !stream->closing)
        stream_mark(stream);
}

void stream_expect(struct stream *stream)
{
    struct pollfd look = {.fd = stream->fd};

    if (stream->receiving == RECEIVING_BULK || stream->single || stream->closing)
        return;
    /* Without events asked for, poll tells of POLLERR and POLLHUP only, and takes nothing away. */
    if (poll(&look, 1, 0) != 1)
        return;
    stream->doubted = true;
    stream_mark(stream);
}

void stream_settle(struct stream *stream)
{
    stream_pause(stream, false);
    stream->bulky = false;
    if (stream->receiving == RECEIVING_BULK) {
        stream->settling = true;
        stream_mark(stream);
    }
}

void stream_pause(struct stream *stream, bool paused)
{
    if (stream->paused && !paused)
        stream_mark(stream);
    stream->paused = paused;
}

bool stream_gather(struct stream *stream, uint32_t room)
{
    struct buffer *first = stream->input, *heap;

    if (!first || (first->kind == BUFFER_HEAP && !first->next && (room == 0 || first->to < first->size)))
        return true;
    heap = buffers_heap(worker_buffers(stream->worker), stream->input_bytes + room);
    if (!heap)
        return false;
    while (stream->input) {
        struct buffer *buffer = stream->input;
        uint32_t run = buffer->to - buffer->from;

        memcpy(heap->data + heap->to, buffer->data + buffer->from, run);
        heap->to += run;
        stream->input = buffer->next;
        buffer_put(buffer);
    }
    stream->input = stream->input_end = heap;
    return true;
}

void stream_input_drop(struct stream *stream)
{
    while (stream->input) {
        struct buffer *buffer = stream->input;

        stream->input = buffer->next;
        buffer_put(buffer);
    }
    stream->input_end = NULL;
    stream->input_bytes = 0;
}
