/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The common part of the broken modules: operations that load well and then do the wrong thing. `pick` looks
 * at neither the bitmap nor the weights, so a module that gets past the loader fails the conformance suite.
 */
#include <fairlead/balancer.h>

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
    (void)state;
    (void)plan;
    return (int)((pick->key ^ pick->now_ns) % set->n_servers);
}
