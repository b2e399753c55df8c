/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The bytes between one logging thread and the log thread. A payload is always in one piece: where it would
 * wrap, a skip record fills the end of the ring and is published together with it. The writer's functions run
 * on the thread that logs, the reader's on the log thread. Never waits, never makes a system call between
 * create and destroy.
 */
#include "engine/log_queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HEADER_BYTES sizeof(struct log_record)

_Static_assert(HEADER_BYTES == LOG_QUEUE_ALIGN, "a skip record fits wherever a record can start");

static size_t record_bytes(size_t len)
{
    return HEADER_BYTES + ((len + LOG_QUEUE_ALIGN - 1) & ~(size_t)(LOG_QUEUE_ALIGN - 1));
}

struct log_queue *log_queue_create(size_t size)
{
    struct log_queue *queue;
    char *ring;

    assert(size >= 4 * LOG_QUEUE_ALIGN);
    assert((size & (size - 1)) == 0);
    ring = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (ring == MAP_FAILED)
        return NULL;
    queue = aligned_alloc(64, sizeof(*queue));
    if (queue == NULL) {
        munmap(ring, size);
        return NULL;
    }
    memset(queue, 0, sizeof(*queue));
    queue->ring = ring;
    queue->size = size;
    return queue;
}

void log_queue_destroy(struct log_queue *queue)
{
    munmap(queue->ring, queue->size);
    free(queue);
}

static void put_header(struct log_queue *queue, size_t position, struct log_record record)
{
    memcpy(queue->ring + (position & (queue->size - 1)), &record, sizeof(record));
}

/* The acquire pairs with the release in log_queue_release: what the reader gave back, it has finished
 * reading. */
static bool has_room(struct log_queue *queue, size_t end)
{
    if (end - queue->seen_tail <= queue->size)
        return true;
    queue->seen_tail = atomic_load_explicit(&queue->tail, memory_order_acquire);
    return end - queue->seen_tail <= queue->size;
}

char *log_queue_reserve(struct log_queue *queue, size_t size, uint8_t sink, uint8_t priority)
{
    const size_t head = atomic_load_explicit(&queue->head, memory_order_relaxed);
    const size_t until_end = queue->size - (head & (queue->size - 1));
    const size_t needed = record_bytes(size);
    size_t at = head;

    assert(queue->reserved_size == 0);
    assert(size > 0);
    assert(needed <= queue->size / 2);
    if (needed > until_end)
        at += until_end;
    if (!has_room(queue, at + needed))
        return NULL;
    if (at != head)
        put_header(queue, head,
                   (struct log_record){.len = (uint32_t)(until_end - HEADER_BYTES), .sink = LOG_RECORD_SKIP});
    queue->reserved_at = at;
    queue->reserved_size = size;
    queue->reserved_sink = sink;
    queue->reserved_priority = priority;
    return queue->ring + (at & (queue->size - 1)) + HEADER_BYTES;
}

/* The store is more than a release because it is one half of the wake-up handshake; log_thread.c has the
 * proof. */
void log_queue_commit(struct log_queue *queue, size_t len)
{
    assert(queue->reserved_size > 0);
    assert(len <= queue->reserved_size);
    queue->reserved_size = 0;
    if (len == 0)
        return;
    put_header(queue, queue->reserved_at,
               (struct log_record){
                   .len = (uint32_t)len, .sink = queue->reserved_sink, .priority = queue->reserved_priority});
    atomic_store(&queue->head, queue->reserved_at + record_bytes(len));
}

/* One writer, so a load and a store do instead of a locked addition. */
void log_queue_count_dropped(struct log_queue *queue)
{
    const uint_fast64_t dropped = atomic_load_explicit(&queue->dropped, memory_order_relaxed);

    atomic_store_explicit(&queue->dropped, dropped + 1, memory_order_relaxed);
}

bool log_queue_is_half_full(struct log_queue *queue)
{
    const size_t head = atomic_load_explicit(&queue->head, memory_order_relaxed);

    return !has_room(queue, head + queue->size / 2);
}

const char *log_queue_read(struct log_queue *queue, struct log_record *record)
{
    for (;;) {
        if (queue->read_at == queue->seen_head) {
            queue->seen_head = atomic_load_explicit(&queue->head, memory_order_acquire);
            if (queue->read_at == queue->seen_head)
                return NULL;
        }
        const char *at = queue->ring + (queue->read_at & (queue->size - 1));

        memcpy(record, at, sizeof(*record));
        queue->read_at += record_bytes(record->len);
        if (record->sink != LOG_RECORD_SKIP)
            return at + HEADER_BYTES;
    }
}

void log_queue_release(struct log_queue *queue)
{
    atomic_store_explicit(&queue->tail, queue->read_at, memory_order_release);
}

size_t log_queue_waiting(struct log_queue *queue)
{
    return atomic_load(&queue->head) - queue->read_at;
}
