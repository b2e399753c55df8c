/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A building block for strategies, installed as <fairlead/weights.h>: weights as whole numbers whose sum is
 * bounded, for tables that give each server so many places. Control thread; no state.
 */
#ifndef FAIRLEAD_WEIGHTS_H
#define FAIRLEAD_WEIGHTS_H

#include <fairlead/balancer.h>

/* Divides the weights by what divides all of them. */
static inline void fairlead_weights_reduce(uint32_t *weights, size_t n_weights)
{
    uint32_t divisor = 0;

    for (size_t i = 0; i < n_weights; i++) {
        /* Euclid's algorithm. */
        for (uint32_t a = weights[i]; a != 0;) {
            uint32_t rest = divisor % a;
            divisor = a;
            a = rest;
        }
    }
    for (size_t i = 0; divisor > 1 && i < n_weights; i++)
        weights[i] /= divisor;
}

/*
 * Scales the weights down until their sum is at most max_total, which must be at least n_weights; changes
 * nothing where it is already. A weight above 0 stays above 0. What is scaled is off by at most half of one
 * place, and what would have less than one place has one; so with n servers and max_total m a share may be
 * off by n / m of itself, and by one place. Returns the sum.
 */
static inline uint64_t fairlead_weights_fit(uint32_t *weights, size_t n_weights, uint32_t max_total)
{
    uint64_t total = 0, fitted = 0, room = max_total;

    for (size_t i = 0; i < n_weights; i++) {
        total += weights[i];
        /* One place is put aside for each, so that rounding up cannot exceed the limit. */
        room -= weights[i] != 0;
    }
    if (total <= max_total)
        return total;
    for (size_t i = 0; i < n_weights; i++) {
        uint64_t scaled = (weights[i] * room + total / 2) / total;

        if (weights[i] != 0)
            weights[i] = scaled == 0 ? 1 : (uint32_t)scaled;
        fitted += weights[i];
    }
    return fitted;
}

#endif
