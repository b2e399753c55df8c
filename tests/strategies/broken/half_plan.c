/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A module that ends plans and makes none: the loader must refuse it.
 */
#include "careless.h"

static void plan_destroy(void *plan)
{
    (void)plan;
}

const struct fairlead_balancer fairlead_balancer = {
    .version = FAIRLEAD_BALANCER_VERSION,
    .name = "half_plan",
    .plan_destroy = plan_destroy,
    .pick = pick,
};
