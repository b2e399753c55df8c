/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A building block for keyed strategies, installed as <fairlead/keys.h>: which keys a server takes while it
 * warms up, whom a key that found nobody goes to, and how a key is thrown again. All of it depends on the key
 * and on the servers' names only, so that every worker, and every Fairlead with this configuration, answers
 * alike. Worker threads; no state.
 */
#ifndef FAIRLEAD_KEYS_H
#define FAIRLEAD_KEYS_H

#include <fairlead/balancer.h>
#include <fairlead/draws.h>

#include <string.h>

#define FAIRLEAD_KEYS_THROWS                                                                                 \
    20 /* before a key that meets only servers that are out is given to whom it suits best */

/* The next number in a chain of well mixed ones. The constant is 2^64 over the golden ratio, as SplitMix64
 * steps. */
static inline uint64_t fairlead_rehash(uint64_t number)
{
    return fairlead_mix(number + UINT64_C(0x9e3779b97f4a7c15));
}

/*
 * May this server have this key? It must be usable; at a fraction of its weight it takes that fraction of the
 * keys, and as the fraction grows it keeps those it had.
 */
static inline bool fairlead_takes_key(const struct fairlead_set *set, const struct fairlead_pick *pick,
                                      size_t server)
{
    if (!fairlead_usable(pick, server))
        return false;
    if (pick->full_weights)
        return true;
    uint64_t full = (uint64_t)set->servers[server].weight * FAIRLEAD_WEIGHT_ONE;
    uint64_t draw = fairlead_mix(pick->key ^ set->servers[server].hash) >> 32;

    return draw * full >> 32 < pick->effective_weight[server];
}

/* -ln(u) for u = (number + 1) / 2^64: an exponentially distributed draw. Relative error below 1e-8, without
 * the mathematical library: with u = m * 2^e, m near 1, and s = (m - 1) / (m + 1), ln m = 2 (s + s^3 / 3 +
 * s^5 / 5 + ...). */
static inline double fairlead_exponential(uint64_t number)
{
    double m = ((double)(number >> 12) + 0.5) * 0x1p-52;
    uint64_t bits;

    memcpy(&bits, &m, sizeof bits);
    int e = (int)(bits >> 52) - 1022; /* now m is 2^e times 0.5 to 1 */
    bits = (bits & UINT64_C(0xfffffffffffff)) | UINT64_C(0x3fe0000000000000);
    memcpy(&m, &bits, sizeof m);
    if (m < 0.70710678118654752) {
        m *= 2;
        e--;
    }
    double s = (m - 1) / (m + 1), q = s * s;
    return -2 * s * (1 + q * (1.0 / 3 + q * (1.0 / 5 + q * (1.0 / 7 + q * (1.0 / 9))))) -
           e * 0.69314718055994531;
}

/*
 * Highest random weight (Thaler, Ravishankar 1998; the weighted form is Schindelhauer, Schomaker 2005): the
 * usable server whose draw from key and name, divided by its effective weight, is least; or FAIRLEAD_NONE. A
 * server that leaves takes only its own keys along. Looks at every usable server, so it is for the cases that
 * are rare.
 */
static inline int fairlead_suits_best(const struct fairlead_set *set, const struct fairlead_pick *pick)
{
    double least = 0;
    int best = FAIRLEAD_NONE;

    for (size_t word = 0; word < (set->n_servers + 63) / 64; word++) {
        for (uint64_t bits = pick->usable[word]; bits != 0; bits &= bits - 1) {
            size_t i = word * 64 + (size_t)__builtin_ctzll(bits);

            if (pick->effective_weight[i] == 0)
                continue;
            /* A sum, where fairlead_takes_key has an exclusive or: the two draws must not know each other. */
            double draw = fairlead_exponential(fairlead_mix(pick->key + set->servers[i].hash)) /
                          pick->effective_weight[i];
            if (best == FAIRLEAD_NONE || draw < least) {
                least = draw;
                best = (int)i;
            }
        }
    }
    return best;
}

/* The server of a key by weighted draws: the first one that may have it in a chain of draws, or whom it suits
 * best. While a server is out its keys are spread over the others, and theirs stay. */
static inline int fairlead_draw_for_key(const struct fairlead_draws *draws, const struct fairlead_set *set,
                                        const struct fairlead_pick *pick)
{
    uint64_t number = fairlead_mix(pick->key);

    for (int i = 0; i < FAIRLEAD_KEYS_THROWS; i++) {
        int server = fairlead_draw(draws, number);

        if (server != FAIRLEAD_NONE && fairlead_takes_key(set, pick, (size_t)server))
            return server;
        number = fairlead_rehash(number);
    }
    return fairlead_suits_best(set, pick);
}

#endif
