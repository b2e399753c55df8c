/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Objects of one size for one thread: taken from and given back to a LIFO free list, so that the memory that
 * is hot is used next. Grows by chunks up to a limit and keeps what it has. Running out is an answer (NULL),
 * not an error. Free objects are poisoned for ASan.
 */
#ifndef FAIRLEAD_ENGINE_SLAB_H
#define FAIRLEAD_ENGINE_SLAB_H

#include <stddef.h>
#include <stdint.h>

struct slab {
    size_t object_size; /* bytes, rounded up to the alignment of 64 when larger than 512, else of 16 */
    uint32_t per_chunk; /* objects */
    uint32_t limit;     /* objects in all */
    uint32_t total, used;
    uint64_t refused; /* slab_get calls that were answered with NULL */
    void *free_list;
    void *chunks; /* owned */
};

/* Allocates nothing yet. Chunks are about 64 KiB. */
void slab_init(struct slab *slab, size_t object_size, uint32_t limit);
/* Frees all chunks; objects still in use become invalid. */
void slab_fini(struct slab *slab);
/* Not zeroed. NULL at the limit, or when memory is short. */
void *slab_get(struct slab *slab) __attribute__((warn_unused_result));
void slab_put(struct slab *slab, void *object);

#endif
