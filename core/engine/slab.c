/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Chunks of equal objects and the list of free ones. The first word of a free object links it; the rest, and
 * that word too while nobody follows it, is poisoned for AddressSanitizer, so that a use after slab_put is
 * found. Runs on the one thread that owns the slab. Gives no chunk back before slab_fini.
 */
#include "engine/slab.h"

#include <assert.h>
#include <stdlib.h>

#if __has_include(<sanitizer/asan_interface.h>)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size)   ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

#define CHUNK_BYTES  65536u
#define CACHE_LINE   64u
#define HEADER_BYTES CACHE_LINE /* keeps the first object aligned */

struct slab_chunk {
    struct slab_chunk *next;
    size_t bytes;
};

struct free_object {
    struct free_object *next;
};

_Static_assert(sizeof(struct slab_chunk) <= HEADER_BYTES, "the header stands before the first object");

static size_t round_up(size_t size, size_t alignment)
{
    return (size + alignment - 1) & ~(alignment - 1);
}

static void push_free(struct slab *slab, void *object)
{
    struct free_object *entry = object;

    entry->next = slab->free_list;
    slab->free_list = entry;
    ASAN_POISON_MEMORY_REGION(object, slab->object_size);
}

void slab_init(struct slab *slab, size_t object_size, uint32_t limit)
{
    assert(object_size > 0);
    assert(object_size <= SIZE_MAX / 2);
    *slab = (struct slab){.object_size = round_up(object_size, object_size > 512 ? CACHE_LINE : 16),
                          .limit = limit};
    slab->per_chunk = (uint32_t)((CHUNK_BYTES - HEADER_BYTES) / slab->object_size);
    if (slab->per_chunk == 0)
        slab->per_chunk = 1;
}

void slab_fini(struct slab *slab)
{
    struct slab_chunk *chunk = slab->chunks;

    while (chunk != NULL) {
        struct slab_chunk *next = chunk->next;

        ASAN_UNPOISON_MEMORY_REGION(chunk, chunk->bytes);
        free(chunk);
        chunk = next;
    }
    slab->chunks = NULL;
    slab->free_list = NULL;
    slab->total = slab->used = 0;
}

/* The last chunk is cut to the limit. Objects are pushed from the end, so that they are handed out in the
 * order of their addresses. */
static int add_chunk(struct slab *slab)
{
    const uint32_t room = slab->limit - slab->total;
    const uint32_t n_objects = room < slab->per_chunk ? room : slab->per_chunk;
    const size_t bytes = round_up(HEADER_BYTES + n_objects * slab->object_size, CACHE_LINE);
    struct slab_chunk *chunk;

    if (n_objects == 0)
        return -1;
    chunk = aligned_alloc(CACHE_LINE, bytes);
    if (chunk == NULL)
        return -1;
    chunk->next = slab->chunks;
    chunk->bytes = bytes;
    slab->chunks = chunk;
    for (uint32_t i = n_objects; i-- > 0;)
        push_free(slab, (char *)chunk + HEADER_BYTES + i * slab->object_size);
    slab->total += n_objects;
    return 0;
}

void *slab_get(struct slab *slab)
{
    struct free_object *entry;

    if (slab->free_list == NULL && add_chunk(slab) < 0) {
        slab->refused++;
        return NULL;
    }
    entry = slab->free_list;
    ASAN_UNPOISON_MEMORY_REGION(entry, slab->object_size);
    slab->free_list = entry->next;
    slab->used++;
    return entry;
}

void slab_put(struct slab *slab, void *object)
{
    assert(object != NULL);
    assert(slab->used > 0);
    slab->used--;
    push_free(slab, object);
}
