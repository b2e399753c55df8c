/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The hash of texts, for keys and server names: XXH3, the same on every machine. Any thread. */
#ifndef FAIRLEAD_UPSTREAM_HASH_H
#define FAIRLEAD_UPSTREAM_HASH_H

#include <stddef.h>
#include <stdint.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static inline uint64_t hash_text(const void *text, size_t len, uint64_t seed)
{
    return XXH3_64bits_withSeed(text, len, seed);
}

#endif
