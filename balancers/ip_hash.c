/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ip_hash: all clients of one network (three octets of IPv4, the whole of IPv6) go to one server, in
 * proportion to the weights. While a server is out its clients are spread over the others, and return with
 * it; the others' clients stay. Changing the list of servers moves most clients: set a server `down` instead,
 * or use `hash` with `consistent`. Keeps nothing but its table.
 */
#include <fairlead/keys.h>

static int plan_create(const struct fairlead_set *set, const int64_t *options, void **plan, char *error,
                       size_t error_size)
{
    struct fairlead_draws *draws;

    (void)options;
    if (fairlead_draws_create(set, &draws, error, error_size) != 0)
        return -1;
    *plan = draws;
    return 0;
}

static void plan_destroy(void *plan)
{
    fairlead_draws_destroy(plan);
}

static int pick(const struct fairlead_tier *tier, const struct fairlead_pick *pick)
{
    return fairlead_draw_for_key(tier->plan, tier->set, pick);
}

const struct fairlead_balancer fairlead_balancer = {
    .version = FAIRLEAD_BALANCER_VERSION,
    .traits = FAIRLEAD_WEIGHTED | FAIRLEAD_ADDRESSED,
    .name = "ip_hash",
    .plan_create = plan_create,
    .plan_destroy = plan_destroy,
    .pick = pick,
};
