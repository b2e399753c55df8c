/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A module that says how much its workers share, and not how that begins: the loader must refuse it.
 */
#include "careless.h"

static size_t shared_size(const struct fairlead_set *set, const void *plan)
{
    (void)plan;
    return set->n_servers;
}

const struct fairlead_balancer fairlead_balancer = {
    .version = FAIRLEAD_BALANCER_VERSION,
    .name = "half_shared",
    .shared_size = shared_size,
    .pick = pick,
};
