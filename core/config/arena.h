/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Memory that is freed all at once: everything that one configuration is made of, on every path. One thread
 * at a time. Running out (of memory, or of the arena's limit) is answered in one place: arena_alloc jumps to
 * where the load began. So what is not the arena's own memory must be in one of its slots before the next
 * allocation.
 */
#ifndef FAIRLEAD_CONFIG_ARENA_H
#define FAIRLEAD_CONFIG_ARENA_H

#include <setjmp.h>
#include <stddef.h>

struct arena;

/* Returns NULL when memory is short. `limit` bounds the bytes handed out. */
struct arena *arena_create(size_t limit);
/* Releases the slots, the youngest first, then the memory. NULL is allowed. */
void arena_destroy(struct arena *arena);
/* Where to go when memory is short; set before the first arena_alloc, valid as long as the frame that called
 * setjmp. */
void arena_set_exit(struct arena *arena, jmp_buf *exit);

/* Zeroed, aligned for any type. Never returns NULL; does not return when memory is short. */
void *arena_alloc(struct arena *arena, size_t n, size_t size) __attribute__((returns_nonnull));
/* The same, but NULL when memory is short: for callers that hold a file or the like. */
void *arena_try_alloc(struct arena *arena, size_t n, size_t size);
/* An array of at least `need` members: `old` itself, or a larger copy; *room is how many fit. */
void *arena_grow(struct arena *arena, void *old, size_t *room, size_t need, size_t size);
/* NUL-terminated copies. */
char *arena_copy(struct arena *arena, const char *bytes, size_t len) __attribute__((returns_nonnull));
char *arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((returns_nonnull, nonnull(2), format(printf, 2, 3)));

/* A place for an object that the arena shall own: arena_destroy calls release(*slot) unless it holds NULL. */
void **arena_slot(struct arena *arena, void (*release)(void *object)) __attribute__((returns_nonnull));

#endif
