/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A module that refuses every set of servers but the first one: pool_create must pass on its sentence, and
 * destroy the plan of the first tier when that of the second fails.
 */
#include <stdio.h>
#include <stdlib.h>

#include "careless.h"

static int n_plans;

static int plan_create(const struct fairlead_set *set, const int64_t *options, void **plan, char *error,
                       size_t error_size)
{
    (void)set;
    (void)options;
    if (n_plans > 0) {
        snprintf(error, error_size, "one tier is enough");
        return -1;
    }
    n_plans++;
    *plan = malloc(1);
    return *plan ? 0 : -1;
}

static void plan_destroy(void *plan)
{
    n_plans--;
    free(plan);
}

const struct fairlead_balancer fairlead_balancer = {
    .version = FAIRLEAD_BALANCER_VERSION,
    .name = "bad_plan",
    .plan_create = plan_create,
    .plan_destroy = plan_destroy,
    .pick = pick,
};
