/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The sending half of a stream: a ring of pieces, in order, and at most one send in flight, which takes all the pieces that are there when
 * the turn ends. Short runs are copied behind each other into one block, so that a usual response is one plain send; long ones are sent
 * from the buffer they were received into.
 */
#include "engine/stream_private.h"

#include <assert.h>
#include <errno.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#define PIECES_KEPT 6u /* free pieces at which stream_room ends: a chunk's frame, a last chunk and trailers still fit */

#define HEAP_WRITE_MIN 1024u /* bytes of a heap buffer for writing: small writes share it */

static struct piece *piece_at(struct stream *stream, unsigned index)
{
    return &stream->pieces[(stream->first_piece + index) % STREAM_PIECES];
}

size_t stream_room(const struct stream *stream)
{
    if (stream->output_error || stream->closing || stream->n_pieces > STREAM_PIECES - PIECES_KEPT ||
        stream->output_bytes >= STREAM_OUTPUT)
        return 0;
    return worker_buffers(stream->worker)->config.bulk_size;
}

/* Queues a piece; takes over the caller's reference on success. */
static bool push(struct stream *stream, struct buffer *buffer, const uint8_t *data, uint32_t len)
{
    if (stream->n_pieces == STREAM_PIECES || stream->output_error || stream->closing)
        return false;
    *piece_at(stream, stream->n_pieces++) = (struct piece){buffer, data, len};
    stream->output_bytes += len;
    stream_mark(stream);
    return true;
}

static void drop_block(struct stream *stream)
{
    if (stream->block)
        buffer_put(stream->block);
    stream->block = NULL;
}

char *stream_reserve(struct stream *stream, size_t size)
{
    struct buffers *buffers = worker_buffers(stream->worker);

    if (stream->n_pieces == STREAM_PIECES || stream->output_error || stream->closing)
        return NULL;
    if (!stream->block || stream->block->size - stream->block_used < size) {
        drop_block(stream);
        if (size <= buffers->config.block_size)
            stream->block = buffers_block(buffers);
        if (!stream->block)
            stream->block = buffers_heap(buffers, size > HEAP_WRITE_MIN ? (uint32_t)size : HEAP_WRITE_MIN);
        stream->block_used = 0;
        if (!stream->block)
            return NULL;
    }
    return (char *)stream->block->data + stream->block_used;
}

void stream_commit(struct stream *stream, size_t len)
{
    const uint8_t *data = stream->block->data + stream->block_used;
    struct piece *last = stream->n_pieces > stream->n_sending ? piece_at(stream, stream->n_pieces - 1u) : NULL;
    bool pushed;

    assert(len <= stream->block->size - stream->block_used);
    if (len == 0)
        return;
    stream->block_used += (uint32_t)len;
    if (last && last->buffer == stream->block && last->data + last->len == data) {
        last->len += (uint32_t)len;
        stream->output_bytes += (uint32_t)len;
        return;
    }
    buffer_get(stream->block);
    pushed = push(stream, stream->block, data, (uint32_t)len);
    assert(pushed); /* stream_reserve saw to it */
}

bool stream_write(struct stream *stream, const void *data, size_t len)
{
    char *room = stream_reserve(stream, len);

    if (!room)
        return false;
    memcpy(room, data, len);
    stream_commit(stream, len);
    return true;
}

bool stream_write_static(struct stream *stream, const void *data, size_t len)
{
    if (len == 0)
        return true;
    return len <= STREAM_COPY ? stream_write(stream, data, len) : push(stream, NULL, data, (uint32_t)len);
}

bool stream_write_buffer(struct stream *stream, struct buffer *buffer, uint32_t from, uint32_t len)
{
    if (!push(stream, buffer, buffer->data + from, len))
        return false;
    buffer_get(buffer);
    return true;
}

size_t stream_move(struct stream *from, struct stream *to, size_t n)
{
    size_t moved = 0;

    while (moved < n && from->input) {
        struct buffer *buffer = from->input;
        size_t run = buffer->to - buffer->from;
        bool queued;

        if (run > n - moved)
            run = n - moved;
        if (run <= STREAM_COPY) {
            queued = stream_write(to, buffer->data + buffer->from, run);
        } else {
            queued = push(to, buffer, buffer->data + buffer->from, (uint32_t)run);
            if (queued)
                buffer_get(buffer);
        }
        if (!queued)
            break;
        moved += run;
        stream_consume(from, run);
    }
    return moved;
}

bool stream_output_flush(struct stream *stream)
{
    struct iovec iov[STREAM_PIECES];
    unsigned n = stream->n_pieces;

    if (stream->sending || n == 0 || stream->output_error)
        return true;
    for (unsigned i = 0; i < n; i++) {
        const struct piece *piece = piece_at(stream, i);

        iov[i] = (struct iovec){(void *)(uintptr_t)piece->data, piece->len};
    }
    if (!ring_send(stream->worker->ring, &stream->actor, stream->fd, iov, n))
        return false;
    stream->sending = true;
    stream->n_sending = (uint8_t)n;
    return true;
}

/* Takes `n` sent bytes off the front of the queue. */
static void advance(struct stream *stream, uint32_t n)
{
    stream->sent += n;
    stream->output_bytes -= n;
    while (n > 0) {
        struct piece *piece = piece_at(stream, 0);

        if (piece->len > n) {
            piece->data += n;
            piece->len -= n;
            return;
        }
        n -= piece->len;
        if (piece->buffer)
            buffer_put(piece->buffer);
        stream->first_piece = (uint8_t)((stream->first_piece + 1) % STREAM_PIECES);
        stream->n_pieces--;
    }
}

void stream_output_complete(struct stream *stream, const struct completion *completion)
{
    stream->sending = false;
    stream->n_sending = 0;
    if (stream->closing)
        return;
    if (completion->result >= 0) {
        advance(stream, (uint32_t)completion->result);
    } else if (completion->result != -EINTR && completion->result != -EAGAIN) {
        stream->output_error = completion->result;
        stream_output_drop(stream);
    }
    if (stream->n_pieces > 0)
        stream_mark(stream);
    else
        drop_block(stream);
    stream->type->on_sent(stream);
}

void stream_output_drop(struct stream *stream)
{
    while (stream->n_pieces > 0) {
        struct piece *piece = piece_at(stream, 0);

        if (piece->buffer)
            buffer_put(piece->buffer);
        stream->first_piece = (uint8_t)((stream->first_piece + 1) % STREAM_PIECES);
        stream->n_pieces--;
    }
    stream->output_bytes = 0;
    drop_block(stream);
}

uint64_t stream_acknowledged(const struct stream *stream)
{
    int queued = 0;

    if (ioctl(stream->fd, SIOCOUTQ, &queued) != 0 || queued < 0)
        queued = 0;
    /* A unix socket counts its kernel's bookkeeping too, and so may count more than was ever sent. */
    return (uint64_t)queued < stream->sent ? stream->sent - (uint64_t)queued : 0;
}

void stream_shutdown(struct stream *stream)
{
    if (stream->shut || stream->closing)
        return;
    stream->shut = true;
    (void)shutdown(stream->fd, SHUT_WR);
}
