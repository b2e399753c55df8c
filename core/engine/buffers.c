/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The byte buffers of one worker; see buffers.h. Blocks get their memory in runs of BLOCKS_PER_RUN, so that a quiet worker
 * stays small. The last eighth of the blocks never enters the ring: it is kept for what we write ourselves, so that a flood of input cannot
 * take away the means to answer.
 */
#include "engine/buffers.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/mman.h>

#define BLOCKS_PER_RUN 32u

int buffers_init(struct buffers *buffers, const struct buffers_config *config)
{
    *buffers = (struct buffers){.config = *config, .bulk_allowed = BUFFERS_BULK_HOT};
    buffers->ring_bytes = config->ring_entries * sizeof(struct io_uring_buf);
    buffers->blocks = calloc(config->blocks_max, sizeof(struct buffer));
    buffers->bulk = calloc(config->bulk_max, sizeof(struct buffer));
    buffers->ring =
        mmap(NULL, buffers->ring_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (buffers->ring == MAP_FAILED)
        buffers->ring = NULL;
    if (!buffers->blocks || !buffers->bulk || !buffers->ring) {
        buffers_fini(buffers);
        return -ENOMEM;
    }
    io_uring_buf_ring_init(buffers->ring);
    return 0;
}

static void free_heap(struct buffers *buffers, struct buffer *buffer)
{
    *(buffer->heap_prev ? &buffer->heap_prev->heap_next : &buffers->heap) = buffer->heap_next;
    if (buffer->heap_next)
        buffer->heap_next->heap_prev = buffer->heap_prev;
    buffers->counters.heap_bytes -= buffer->size;
    free(buffer);
}

void buffers_fini(struct buffers *buffers)
{
    while (buffers->heap)
        free_heap(buffers, buffers->heap);
    for (uint32_t i = 0; i < buffers->counters.blocks; i += BLOCKS_PER_RUN)
        free(buffers->blocks[i].data);
    for (uint32_t i = 0; i < buffers->counters.bulk; i++)
        free(buffers->bulk[i].data);
    free(buffers->blocks);
    free(buffers->bulk);
    if (buffers->ring)
        munmap(buffers->ring, buffers->ring_bytes);
    *buffers = (struct buffers){0};
}

static void push_spare(struct buffer **list, struct buffer *buffer)
{
    buffer->next = *list;
    *list = buffer;
}

static struct buffer *pop_spare(struct buffer **list)
{
    struct buffer *buffer = *list;

    if (buffer)
        *list = buffer->next;
    return buffer;
}

/* Gives memory to the next run of blocks. Page-aligned, so that untouched blocks cost no memory. */
static bool grow_blocks(struct buffers *buffers)
{
    uint32_t first = (uint32_t)buffers->counters.blocks;
    uint32_t n = buffers->config.blocks_max - first;
    uint32_t size = buffers->config.block_size;
    uint8_t *memory;

    if (n > BLOCKS_PER_RUN)
        n = BLOCKS_PER_RUN;
    if (n == 0 || posix_memalign((void **)&memory, 4096, (size_t)n * size) != 0)
        return false;
    for (uint32_t i = n; i-- > 0;) {
        struct buffer *block = &buffers->blocks[first + i];

        *block = (struct buffer){.data = memory + (size_t)i * size,
                                 .size = size,
                                 .id = (uint16_t)(first + i),
                                 .kind = BUFFER_BLOCK,
                                 .owner = buffers};
        push_spare(&buffers->spare_blocks, block);
    }
    buffers->n_spare_blocks += n;
    buffers->counters.blocks += n;
    return true;
}

static struct buffer *first_reference(struct buffer *buffer)
{
    assert(buffer->refs == 0);
    buffer->refs = 1;
    buffer->from = buffer->to = 0;
    buffer->next = NULL;
    return buffer;
}

struct buffer *buffers_block(struct buffers *buffers)
{
    if (!buffers->spare_blocks && !grow_blocks(buffers)) {
        buffers->counters.blocks_refused++;
        return NULL;
    }
    buffers->n_spare_blocks--;
    return first_reference(pop_spare(&buffers->spare_blocks));
}

/* Gives memory to one more bulk buffer. */
static void grow_bulk(struct buffers *buffers)
{
    struct buffer *buffer = &buffers->bulk[buffers->counters.bulk];

    if (buffers->counters.bulk == buffers->config.bulk_max)
        return;
    *buffer = (struct buffer){.size = buffers->config.bulk_size, .kind = BUFFER_BULK, .owner = buffers};
    if (posix_memalign((void **)&buffer->data, 4096, buffer->size) != 0)
        return;
    buffers->counters.bulk++;
    push_spare(&buffers->spare_bulk, buffer);
}

struct buffer *buffers_bulk(struct buffers *buffers)
{
    if (!buffers->spare_bulk)
        grow_bulk(buffers);
    if (!buffers->spare_bulk) {
        buffers->counters.bulk_refused++;
        return NULL;
    }
    buffers->bulk_in_use++;
    return first_reference(pop_spare(&buffers->spare_bulk));
}

uint32_t buffers_allow_bulk(struct buffers *buffers)
{
    if (buffers->bulk_in_use < buffers->bulk_allowed / 2 && buffers->bulk_allowed > BUFFERS_BULK_HOT)
        buffers->bulk_allowed--;
    else if (buffers->bulk_in_use >= buffers->bulk_allowed && !buffers->bulk_came_back)
        buffers->bulk_allowed++;
    buffers->bulk_came_back = false;
    return buffers->bulk_allowed > buffers->bulk_in_use ? buffers->bulk_allowed - buffers->bulk_in_use : 0;
}

struct buffer *buffers_heap(struct buffers *buffers, uint32_t size)
{
    struct buffer *buffer = NULL;

    if (buffers->counters.heap_bytes + size <= buffers->config.heap_max)
        buffer = malloc(sizeof(*buffer) + size);
    if (!buffer) {
        buffers->counters.heap_refused++;
        return NULL;
    }
    *buffer = (struct buffer){.data = (uint8_t *)(buffer + 1), .size = size, .kind = BUFFER_HEAP, .owner = buffers};
    buffer->heap_next = buffers->heap;
    if (buffer->heap_next)
        buffer->heap_next->heap_prev = buffer;
    buffers->heap = buffer;
    buffers->counters.heap_bytes += size;
    return first_reference(buffer);
}

void buffer_put(struct buffer *buffer)
{
    struct buffers *owner = buffer->owner;

    assert(buffer->refs > 0);
    if (--buffer->refs > 0)
        return;
    switch (buffer->kind) {
    case BUFFER_BLOCK:
        owner->n_spare_blocks++;
        push_spare(&owner->spare_blocks, buffer);
        break;
    case BUFFER_BULK:
        owner->bulk_in_use--;
        owner->bulk_came_back = true;
        push_spare(&owner->spare_bulk, buffer);
        break;
    default:
        free_heap(owner, buffer);
    }
}

struct buffer *buffers_taken(struct buffers *buffers, uint16_t id, uint32_t len)
{
    struct buffer *block;

    assert(id < buffers->counters.blocks && buffers->in_ring > 0);
    block = first_reference(&buffers->blocks[id]);
    assert(len <= block->size);
    block->to = len;
    buffers->in_ring--;
    return block;
}

/* Blocks that are not in use and are not the writers' reserve. */
static uint32_t blocks_for_ring(const struct buffers *buffers)
{
    uint32_t reserve = buffers->config.blocks_max / 8;
    uint32_t unused = buffers->n_spare_blocks + (buffers->config.blocks_max - (uint32_t)buffers->counters.blocks);

    return unused > reserve ? unused - reserve : 0;
}

bool buffers_provide(struct buffers *buffers)
{
    uint32_t entries = buffers->config.ring_entries;
    uint32_t wanted = entries - buffers->in_ring, n = blocks_for_ring(buffers);
    uint32_t added = 0;

    if (wanted > n)
        wanted = n;
    while (added < wanted && (buffers->spare_blocks || grow_blocks(buffers))) {
        struct buffer *block = pop_spare(&buffers->spare_blocks);

        buffers->n_spare_blocks--;
        io_uring_buf_ring_add(buffers->ring, block->data, block->size, block->id, io_uring_buf_ring_mask(entries),
                              (int)added++);
    }
    if (added > 0)
        io_uring_buf_ring_advance(buffers->ring, (int)added);
    buffers->in_ring += added;
    return buffers->in_ring > 0;
}
