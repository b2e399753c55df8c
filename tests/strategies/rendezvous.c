/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * rendezvous: an example of a keyed strategy from outside of the tree. Each server draws a number from the
 * key and its own name; the highest draw serves. A server that leaves takes only its own keys along. Weighted
 * as highest random weight hashing is: the draw u in (0, 1) counts as -weight / ln u. One logarithm per
 * server and pick: for small pools.
 */
#include <fairlead/balancer.h>

#include <math.h>
#include <stdlib.h>

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* FNV-1a, mixed: names often differ in their last digit only. */
static uint64_t hash_name(const char *name)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
    return mix(hash);
}

/* The plan: each server's hash. */
static int plan_create(const struct fairlead_set *set, const int64_t *values, void **plan, char *error,
                       size_t error_size)
{
    uint64_t *hashes = calloc(set->n_servers, sizeof *hashes);

    (void)values;
    if (!hashes) {
        if (error_size > 0)
            error[0] = '\0';
        return -1;
    }
    for (size_t i = 0; i < set->n_servers; i++)
        hashes[i] = hash_name(set->servers[i].name);
    *plan = hashes;
    return 0;
}

static size_t state_size(const struct fairlead_set *set, const void *plan)
{
    (void)set;
    (void)plan;
    return 0;
}

static void state_init(void *state, const struct fairlead_set *set, const void *plan, uint64_t seed)
{
    (void)state;
    (void)set;
    (void)plan;
    (void)seed;
}

static int pick(void *state, const struct fairlead_set *set, const void *plan,
                const struct fairlead_pick *pick)
{
    const uint64_t *hashes = plan;
    double highest = 0;
    int best = FAIRLEAD_NONE;

    (void)state;
    for (size_t i = 0; i < set->n_servers; i++) {
        if (!fairlead_usable(pick, i) || pick->effective_weight[i] == 0)
            continue;
        double u = ((double)(mix(pick->key ^ hashes[i]) >> 12) + 0.5) * 0x1p-52;
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
    .plan_create = plan_create,
    .plan_destroy = free,
    .state_size = state_size,
    .state_init = state_init,
    .pick = pick,
};
