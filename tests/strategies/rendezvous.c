/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * rendezvous: an example of a keyed strategy from outside of the tree. Each server draws a number from the
 * key and its own name; the highest draw serves. A server that leaves takes only its own keys along. Weighted
 * as highest random weight hashing is: the draw u in (0, 1) counts as -weight / ln u. One logarithm per
 * server and pick: for small pools. Keeps nothing: all three of plan, shared and state are missing.
 */
#include <fairlead/balancer.h>

#include <math.h>

static int pick(const struct fairlead_tier *tier, const struct fairlead_pick *pick)
{
    const struct fairlead_set *set = tier->set;
    double highest = 0;
    int best = FAIRLEAD_NONE;

    for (size_t i = 0; i < set->n_servers; i++) {
        if (!fairlead_usable(pick, i) || pick->effective_weight[i] == 0)
            continue;
        double u = ((double)(fairlead_mix(pick->key ^ set->servers[i].hash) >> 12) + 0.5) * 0x1p-52;
        double score = -(double)pick->effective_weight[i] / log(u);
        if (best == FAIRLEAD_NONE || score > highest) {
            best = (int)i;
            highest = score;
        }
    }
    return best;
}

const struct fairlead_balancer fairlead_balancer = {
    .version = FAIRLEAD_BALANCER_VERSION,
    .traits = FAIRLEAD_KEYED | FAIRLEAD_WEIGHTED,
    .name = "rendezvous",
    .pick = pick,
};
