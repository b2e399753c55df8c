/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The common part of the broken modules: an operation that loads well and then does the wrong thing. `pick`
 * looks at neither the bitmap nor the weights, so a module that gets past the loader fails the conformance
 * suite.
 */
#include <fairlead/balancer.h>

static int pick(const struct fairlead_tier *tier, const struct fairlead_pick *pick)
{
    return (int)((pick->key ^ pick->now_ns) % tier->set->n_servers);
}
