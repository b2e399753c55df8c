/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Streams without a running worker: bytes are put into their input by hand, and their output is taken out as
 * if it had been sent. So tests of what is between two streams decide on every split and every send. The
 * test's own thread is the worker. One includer per program.
 */
#ifndef FAIRLEAD_TESTS_STREAM_BENCH_H
#define FAIRLEAD_TESTS_STREAM_BENCH_H

#include "engine/stream_private.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define BENCH_OUTPUT (2u << 20)

static struct worker *bench_worker;
static char bench_output[BENCH_OUTPUT]; /* what was taken out of all streams */
static size_t bench_output_len;

static inline void bench_ignore(struct stream *stream)
{
    (void)stream;
}

static const struct stream_type bench_type = {
    .on_input = bench_ignore, .on_sent = bench_ignore, .on_timer = bench_ignore, .on_gone = bench_ignore};

static inline struct worker_config bench_config(uint64_t heap_max)
{
    return (struct worker_config){.ring = {.sq_entries = 8,
                                           .cq_entries = 64,
                                           .actors_max = 4096,
                                           .buffers = {.ring_entries = 4,
                                                       .blocks_max = 32,
                                                       .block_size = 4096,
                                                       .bulk_max = 4,
                                                       .bulk_size = 65536,
                                                       .heap_max = heap_max}}};
}

static inline void bench_begin(uint64_t heap_max)
{
    struct worker_config config = bench_config(heap_max);

    ck_assert_int_eq(worker_create(&config, &bench_worker), 0);
    timers_init(&bench_worker->timers, 0);
    bench_output_len = 0;
}

static inline void bench_open(struct stream *stream)
{
    ck_assert(stream_open(stream, bench_worker, &bench_type, -1));
}

/* As if these bytes had been received. Each run has memory of its own size, so that a read beyond it is found
 * out. */
static inline void bench_feed(struct stream *stream, const char *data, size_t n)
{
    struct buffer *buffer;

    if (n == 0)
        return;
    buffer = buffers_heap(worker_buffers(bench_worker), (uint32_t)n);
    ck_assert_ptr_nonnull(buffer);
    memcpy(buffer->data, data, n);
    buffer->to = (uint32_t)n;
    if (stream->input_end)
        stream->input_end->next = buffer;
    else
        stream->input = buffer;
    stream->input_end = buffer;
    stream->input_bytes += (uint32_t)n;
    stream->received += n;
}

/* As if all that is queued had been sent. */
static inline void bench_drain(struct stream *stream)
{
    struct completion sent = {.operation = RING_SEND};

    for (unsigned i = 0; i < stream->n_pieces; i++) {
        const struct piece *piece = &stream->pieces[(stream->first_piece + i) % STREAM_PIECES];

        ck_assert_uint_le(bench_output_len + piece->len, BENCH_OUTPUT - 1);
        memcpy(bench_output + bench_output_len, piece->data, piece->len);
        bench_output_len += piece->len;
        sent.result += (int32_t)piece->len;
    }
    bench_output[bench_output_len] = '\0';
    if (sent.result > 0)
        stream_output_complete(stream, &sent);
    ck_assert_uint_eq(stream->output_bytes, 0);
}

/* The streams themselves may be anywhere; nothing of them is held afterwards. */
static inline void bench_release(struct stream *stream)
{
    stream_input_drop(stream);
    stream_output_drop(stream);
}

/* As if it had just been opened. */
static inline void bench_renew(struct stream *stream)
{
    bench_release(stream);
    stream->end_of_input = false;
    stream->input_error = 0;
}

static inline void bench_end(void)
{
    ck_assert_uint_eq(worker_buffers(bench_worker)->counters.heap_bytes, 0);
    worker_destroy(bench_worker);
}

#endif
