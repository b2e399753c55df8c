/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Chunks of memory in a list, and a list of slots for what is not memory. Control thread. Never gives memory
 * back before arena_destroy.
 */
#include "config/arena.h"

#include <assert.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_SIZE (16u * 1024)

struct chunk {
    struct chunk *next;
    size_t used, size;
    alignas(max_align_t) char bytes[];
};

struct slot {
    void *object; /* first, so that the slot's address is the object pointer's */
    void (*release)(void *object);
    struct slot *next;
};

struct arena {
    struct chunk *chunks; /* the first one is filled */
    struct slot *slots;   /* the youngest first */
    size_t left;          /* bytes of the limit */
    jmp_buf *exit;
};

struct arena *arena_create(size_t limit)
{
    struct arena *arena = calloc(1, sizeof *arena);

    if (arena != NULL)
        arena->left = limit;
    return arena;
}

void arena_destroy(struct arena *arena)
{
    if (arena == NULL)
        return;
    for (struct slot *slot = arena->slots; slot != NULL; slot = slot->next)
        if (slot->object != NULL)
            slot->release(slot->object);
    for (struct chunk *chunk = arena->chunks, *next; chunk != NULL; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    free(arena);
}

void arena_set_exit(struct arena *arena, jmp_buf *exit)
{
    arena->exit = exit;
}

static struct chunk *add_chunk(struct arena *arena, size_t least)
{
    size_t size = least > CHUNK_SIZE ? least : CHUNK_SIZE;
    struct chunk *chunk = calloc(1, sizeof *chunk + size);

    if (chunk == NULL)
        return NULL;
    chunk->size = size;
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    return chunk;
}

void *arena_try_alloc(struct arena *arena, size_t n, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(n, size, &bytes) || bytes > arena->left)
        return NULL;
    bytes = (bytes + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);

    struct chunk *chunk = arena->chunks;
    if (chunk == NULL || chunk->size - chunk->used < bytes)
        chunk = add_chunk(arena, bytes);
    if (chunk == NULL)
        return NULL;
    void *memory = chunk->bytes + chunk->used;
    chunk->used += bytes;
    arena->left -= bytes < arena->left ? bytes : arena->left;
    return memory;
}

void *arena_alloc(struct arena *arena, size_t n, size_t size)
{
    void *memory = arena_try_alloc(arena, n, size);

    assert(arena->exit != NULL);
    if (memory == NULL)
        longjmp(*arena->exit, 1);
    return memory;
}

void *arena_grow(struct arena *arena, void *old, size_t *room, size_t need, size_t size)
{
    if (need <= *room)
        return old;
    size_t larger = *room * 2 > need ? *room * 2 : need;
    void *memory = arena_alloc(arena, larger, size);

    if (old != NULL)
        memcpy(memory, old, *room * size);
    *room = larger;
    return memory;
}

char *arena_copy(struct arena *arena, const char *bytes, size_t len)
{
    char *copy = arena_alloc(arena, len + 1, 1);

    if (len > 0)
        memcpy(copy, bytes, len);
    return copy;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list arguments, again;

    va_start(arguments, format);
    va_copy(again, arguments);
    int len = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    assert(len >= 0);
    char *text = arena_alloc(arena, (size_t)len + 1, 1);
    vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    return text;
}

void **arena_slot(struct arena *arena, void (*release)(void *object))
{
    struct slot *slot = arena_alloc(arena, 1, sizeof *slot);

    slot->release = release;
    slot->next = arena->slots;
    arena->slots = slot;
    return &slot->object;
}
