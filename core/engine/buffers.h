/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The byte buffers of one worker. Three kinds, one reference count:
 *   block  - recv_buffer_size bytes; most of them wait in the provided-buffer ring, where the kernel takes one only when data has come,
 *            so that an idle connection holds none; also used for heads that we write. Spare ones are reused last in, first out.
 *   bulk   - bulk_buffer_size bytes, for large bodies; reused last in, first out, so that they stay in the cache.
 *   heap   - any size, for a request head that came in pieces: nobody who sends slowly may sit on the blocks.
 * All kinds are bounded; running out is a NULL that the caller answers. One thread.
 */
#ifndef FAIRLEAD_ENGINE_BUFFERS_H
#define FAIRLEAD_ENGINE_BUFFERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum buffer_kind { BUFFER_BLOCK, BUFFER_BULK, BUFFER_HEAP };

struct buffer {
    uint8_t *data;
    uint32_t size;       /* bytes at data */
    uint32_t from, to;   /* the bytes that its reader has not consumed, while it is in an input chain */
    uint32_t refs;
    uint16_t id;         /* of a block: its number in the provided ring */
    uint8_t kind;        /* enum buffer_kind */
    struct buffers *owner;
    struct buffer *next; /* in an input chain, or in a list of spare ones */
    struct buffer *heap_next, *heap_prev; /* of a heap buffer, in the list of all */
};

struct buffers_config {
    uint32_t ring_entries; /* blocks waiting in the ring; a power of two */
    uint32_t blocks_max;   /* blocks in all; at most 32768 */
    uint32_t block_size;
    uint32_t bulk_max;
    uint32_t bulk_size;
    uint64_t heap_max;     /* bytes of all heap buffers */
};

struct buffers_counters {
    uint64_t blocks, bulk;          /* allocated so far */
    uint64_t heap_bytes;            /* in use now */
    uint64_t blocks_refused, bulk_refused, heap_refused;
};

struct buffers {
    struct buffers_config config;
    struct buffers_counters counters;
    struct io_uring_buf_ring *ring; /* shared with the kernel; owned */
    size_t ring_bytes;
    uint32_t in_ring;               /* blocks that the kernel may take */
    struct buffer *blocks;          /* blocks_max entries, the first counters.blocks of which have memory */
    struct buffer *bulk;            /* bulk_max entries */
    struct buffer *spare_blocks, *spare_bulk, *heap;
    uint32_t n_spare_blocks;
    uint32_t bulk_in_use;           /* bulk buffers handed out */
    uint32_t bulk_allowed;          /* how many may be handed out now: see buffers_allow_bulk */
    bool bulk_came_back;            /* since the last buffers_allow_bulk */
};

/* Allocates the ring and the tables; blocks come later, as needed. Returns 0 or -errno. */
int buffers_init(struct buffers *buffers, const struct buffers_config *config) __attribute__((warn_unused_result));
void buffers_fini(struct buffers *buffers);

/* Each returns a buffer with one reference, from and to 0, or NULL. */
struct buffer *buffers_block(struct buffers *buffers) __attribute__((warn_unused_result));
struct buffer *buffers_bulk(struct buffers *buffers) __attribute__((warn_unused_result));
struct buffer *buffers_heap(struct buffers *buffers, uint32_t size) __attribute__((warn_unused_result));

static inline void buffer_get(struct buffer *buffer)
{
    buffer->refs++;
}
/* Gives up one reference; the last one gives the buffer back. */
void buffer_put(struct buffer *buffer);

/*
 * Few bulk buffers in rotation stay in the processor's cache, which makes large bodies a third cheaper than many do; so streams take turns for
 * BUFFERS_BULK_HOT of them. Called once per turn while streams wait: returns how many may take one now. Where none came back, those in use
 * are stuck with slow peers, and one more is allowed.
 */
#define BUFFERS_BULK_HOT 8u
uint32_t buffers_allow_bulk(struct buffers *buffers);

/* The block that the kernel took from the ring and filled with `len` bytes: one reference, from 0 to len. */
struct buffer *buffers_taken(struct buffers *buffers, uint16_t id, uint32_t len);
/* Fills the ring up again from spare and new blocks. Returns false when it is empty nevertheless. */
bool buffers_provide(struct buffers *buffers);

#endif
