/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A module whose state begins, at no size: the loader must refuse it.
 */
#include "careless.h"

static void state_init(void *state, const struct fairlead_set *set, const void *plan, uint64_t seed)
{
    (void)state;
    (void)set;
    (void)plan;
    (void)seed;
}

const struct fairlead_balancer fairlead_balancer = {
    .version = FAIRLEAD_BALANCER_VERSION,
    .name = "half_state",
    .state_init = state_init,
    .pick = pick,
};
