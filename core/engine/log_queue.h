/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The bounded byte queue between one thread that logs and the log thread: one writer, one reader, no lock, no
 * system call. Each side has its own cache lines and remembers where it last saw the other, so that in the
 * common case neither reads the other's line.
 */
#ifndef FAIRLEAD_ENGINE_LOG_QUEUE_H
#define FAIRLEAD_ENGINE_LOG_QUEUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_QUEUE_ALIGN 8u

/* Stands before each payload; the next record begins at the next multiple of LOG_QUEUE_ALIGN. */
struct log_record {
    uint32_t len;     /* bytes of payload */
    uint8_t sink;     /* an enum log_sink, or LOG_RECORD_SKIP */
    uint8_t priority; /* of the error sink */
    uint16_t unused;
};

#define LOG_RECORD_SKIP UINT8_MAX /* fills the end of the ring; its payload means nothing */

struct log_queue {
    /* The writer's line. Positions only grow; a place in the ring is the position masked. */
    _Alignas(64) atomic_size_t head; /* written by the writer; up to here the reader may read */
    size_t seen_tail;
    size_t reserved_at;   /* where the open reservation's record stands */
    size_t reserved_size; /* of its payload; 0: none is open */
    uint8_t reserved_sink, reserved_priority;
    atomic_uint_fast64_t dropped; /* lines; written by the writer, read by anyone */

    /* The reader's line. */
    _Alignas(64) atomic_size_t tail; /* written by the reader; up to here the writer may write again */
    size_t read_at;                  /* at or after tail: read, but not given back yet */
    size_t seen_head;
    uint64_t counted_dropped, told_dropped; /* of `dropped`: in the counters, in the error log */
    int64_t told_second;

    /* Constant while the queue is in use. */
    _Alignas(64) char *ring; /* owned; mapped, so untouched pages cost nothing */
    size_t size;
    unsigned id;        /* the number of the thread in the log */
    atomic_bool closed; /* set by the writer after its last line; the reader then frees the queue */
};

/* `size` is a power of two. Returns NULL when memory is short. Destroyed by whoever owns it, with neither
 * side active. */
struct log_queue *log_queue_create(size_t size) __attribute__((warn_unused_result));
void log_queue_destroy(struct log_queue *queue);

/*
 * Writer: room for `size` bytes in one piece, size at least 1 and less than a quarter of the ring; NULL when
 * it is not there. One reservation at a time.
 */
char *log_queue_reserve(struct log_queue *queue, size_t size, uint8_t sink, uint8_t priority)
    __attribute__((warn_unused_result));
/* Writer: publishes the first `len` bytes of the reservation; with 0 nothing is published. */
void log_queue_commit(struct log_queue *queue, size_t len);
/* Writer: counts a line that found no room. */
void log_queue_count_dropped(struct log_queue *queue);
/* Writer: do more bytes wait than half of the queue? */
bool log_queue_is_half_full(struct log_queue *queue);

/* Reader: the next payload, valid until log_queue_release; NULL when there is none. */
const char *log_queue_read(struct log_queue *queue, struct log_record *record)
    __attribute__((warn_unused_result));
/* Reader: gives back all that was read. */
void log_queue_release(struct log_queue *queue);
/* Reader: how many bytes wait, in the one order of all sequentially consistent operations (see log_thread.c).
 */
size_t log_queue_waiting(struct log_queue *queue);

#endif
