/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * round_robin: smooth weighted round robin, the default. Every server takes its turns in proportion to its
 * weight, spread as evenly as they can be: with weights 5, 1, 1 the order is a a b a c a a, over all workers
 * together. <fairlead/turns.h> says how.
 */
#include <fairlead/turns.h>

static int pick(const struct fairlead_tier *tier, const struct fairlead_pick *pick)
{
    return fairlead_turns_pick(tier->plan, tier->shared, tier->set, pick->usable, pick);
}

const struct fairlead_balancer fairlead_balancer = {
    .version = FAIRLEAD_BALANCER_VERSION,
    .traits = FAIRLEAD_WEIGHTED,
    .name = "round_robin",
    .plan_create = fairlead_turns_plan_create,
    .plan_destroy = fairlead_turns_plan_destroy,
    .shared_size = fairlead_turns_shared_size,
    .shared_init = fairlead_turns_shared_init,
    .pick = pick,
};
