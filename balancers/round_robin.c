/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * round_robin: smooth weighted round robin, the default. Every server takes its turns in proportion to its
 * weight, spread as evenly as they can be: with weights 5, 1, 1 the order is a a b a c a a, over all workers
 * together. <fairlead/turns.h> says how.
 */
#include <fairlead/turns.h>

static int plan_create(const struct fairlead_set *set, const int64_t *options, void **plan, char *error,
                       size_t error_size)
{
    struct fairlead_turns *turns;

    (void)options;
    if (fairlead_turns_create(set, &turns, error, error_size) != 0)
        return -1;
    *plan = turns;
    return 0;
}

static void plan_destroy(void *plan)
{
    fairlead_turns_destroy(plan);
}

static size_t shared_size(const struct fairlead_set *set, const void *plan)
{
    (void)set;
    (void)plan;
    return sizeof(struct fairlead_turns_shared);
}

/* Zeroed is the first turn. */
static void shared_init(void *shared, const struct fairlead_set *set, const void *plan)
{
    (void)shared;
    (void)set;
    (void)plan;
}

static int pick(const struct fairlead_tier *tier, const struct fairlead_pick *pick)
{
    return fairlead_turns_pick(tier->plan, tier->shared, tier->set, pick->usable, pick);
}

const struct fairlead_balancer fairlead_balancer = {
    .version = FAIRLEAD_BALANCER_VERSION,
    .traits = FAIRLEAD_WEIGHTED,
    .name = "round_robin",
    .plan_create = plan_create,
    .plan_destroy = plan_destroy,
    .shared_size = shared_size,
    .shared_init = shared_init,
    .pick = pick,
};
