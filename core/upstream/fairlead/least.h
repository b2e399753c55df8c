/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A building block for strategies, installed as <fairlead/least.h>: the usable servers with the least load
 * for what they can carry, all of them, as a bitmap from which turns.h then chooses. Looks at every server,
 * once; worker threads.
 */
#ifndef FAIRLEAD_LEAST_H
#define FAIRLEAD_LEAST_H

#include <fairlead/balancer.h>

#include <string.h>

/*
 * What is compared is load / capacity; a server of capacity 0 is never chosen. Products of a load and a
 * capacity are exact up to 2^53, and beyond that as good as any.
 */
struct fairlead_load {
    double load, capacity;
};

typedef struct fairlead_load fairlead_load_of(const struct fairlead_tier *tier,
                                              const struct fairlead_pick *pick, size_t server);

/* The least loaded so far, and the first that has so little. */
struct fairlead_least {
    struct fairlead_load load;
    size_t first;
};

/* Adds the server's bit to those of its word where it has as little as the least, and begins them anew where
 * it has less. a / b < c / d as a * d < c * b: no division. Only the comparison that is rarely true is a
 * branch. */
static inline __attribute__((always_inline)) uint64_t
fairlead_least_offer(struct fairlead_least *least, size_t server, struct fairlead_load load, uint64_t bits)
{
    double mine = load.load * least->load.capacity, theirs = least->load.load * load.capacity;

    if (mine < theirs) {
        least->load = load;
        least->first = server;
        return UINT64_C(1) << (server % 64);
    }
    return bits | (uint64_t)((mine <= theirs) & (load.capacity > 0)) << (server % 64);
}

/*
 * Sets in `tied`, of (n_servers + 63) / 64 words, the bits of all usable servers whose load is the least, and
 * no other; in *first the first of them, or FAIRLEAD_NONE. Returns whether there are several. `load_of`
 * should be known to the compiler: it is then inlined.
 */
static inline __attribute__((always_inline)) bool fairlead_least(const struct fairlead_tier *tier,
                                                                 const struct fairlead_pick *pick,
                                                                 fairlead_load_of *load_of, uint64_t *tied,
                                                                 int *first)
{
    /* Copies that nobody else can see: where load_of has been inlined the compiler reads each pointer once, not once for every server. */
    const struct fairlead_set set = *tier->set;
    const struct fairlead_tier here = {.set = &set, .plan = tier->plan, .shared = tier->shared, .state = tier->state};
    struct fairlead_least least = {.load = {.load = 1, .capacity = 0}};
    size_t n_words = (set.n_servers + 63) / 64, n_found = 0;

    for (size_t word = 0; word < n_words; word++) {
        uint64_t left = pick->usable[word], bits = 0;

        if (left == ~UINT64_C(0)) {
            /* The usual case in a large pool; without the search for bits it takes less time. */
            for (size_t i = word * 64; i < word * 64 + 64; i++)
                bits = fairlead_least_offer(&least, i, load_of(&here, pick, i), bits);
        } else {
            for (; left != 0; left &= left - 1) {
                size_t i = word * 64 + (size_t)__builtin_ctzll(left);
                bits = fairlead_least_offer(&least, i, load_of(&here, pick, i), bits);
            }
        }
        tied[word] = bits;
    }
    memset(tied, 0, least.first / 64 * sizeof *tied);
    /* Counting bits is a call where the processor is not known to do it. */
    for (size_t word = least.first / 64; word < n_words && n_found < 2; word++)
        n_found += (size_t)(tied[word] != 0) + (size_t)((tied[word] & (tied[word] - 1)) != 0);
    *first = n_found == 0 ? FAIRLEAD_NONE : (int)least.first;
    return n_found > 1;
}

#endif
