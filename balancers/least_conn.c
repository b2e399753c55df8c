/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * least_conn: the server with the fewest requests in flight for its effective weight, counted over all
 * workers. Those that are equal, as all are when little happens, take weighted turns (as nginx does), so that
 * an idle pool is not served by its first server. Looks at every server with each pick.
 */
#include <fairlead/least.h>
#include <fairlead/turns.h>

/* The state is the bitmap of the servers that are equal: scratch space of one pick. */
static size_t state_size(const struct fairlead_set *set, const void *plan)
{
    (void)plan;
    return (set->n_servers + 63) / 64 * sizeof(uint64_t);
}

static void state_init(void *state, const struct fairlead_set *set, const void *plan, uint64_t seed)
{
    (void)state;
    (void)set;
    (void)plan;
    (void)seed;
}

static inline struct fairlead_load load_of(const struct fairlead_tier *tier, const struct fairlead_pick *pick,
                                           size_t server)
{
    return (struct fairlead_load){.load = fairlead_in_flight(tier->set, server),
                                  .capacity = pick->effective_weight[server]};
}

static int pick(const struct fairlead_tier *tier, const struct fairlead_pick *pick)
{
    int first;

    if (!fairlead_least(tier, pick, load_of, tier->state, &first))
        return first;
    return fairlead_turns_pick(tier->plan, tier->shared, tier->set, tier->state, pick);
}

const struct fairlead_balancer fairlead_balancer = {
    .version = FAIRLEAD_BALANCER_VERSION,
    .traits = FAIRLEAD_WEIGHTED | FAIRLEAD_BALANCED,
    .name = "least_conn",
    .plan_create = fairlead_turns_plan_create,
    .plan_destroy = fairlead_turns_plan_destroy,
    .shared_size = fairlead_turns_shared_size,
    .shared_init = fairlead_turns_shared_init,
    .state_size = state_size,
    .state_init = state_init,
    .pick = pick,
};
