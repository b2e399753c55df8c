/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A count that several threads share and that must never pass a limit: requests at a server, requests in a queue, servers that are out. Any thread. */
#ifndef FAIRLEAD_ENGINE_BOUNDED_H
#define FAIRLEAD_ENGINE_BOUNDED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Counts one more, unless the count is `most` already: exact, for the compare-and-swap decides. Relaxed: it publishes nothing. */
static inline bool bounded_increment(atomic_uint *count, uint64_t most)
{
    unsigned n = atomic_load_explicit(count, memory_order_relaxed);

    do {
        if (n >= most)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(count, &n, n + 1, memory_order_relaxed, memory_order_relaxed));
    return true;
}

#endif
