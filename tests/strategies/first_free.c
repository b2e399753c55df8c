/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * first_free: an example of a strategy from outside of the tree. The first server with fewer than
 * `first_free_limit` requests in flight serves, so that few servers are kept busy and the others may sleep;
 * when all are that busy, the least busy one serves. It keeps no state and ignores the weights, but for a
 * weight of 0.
 */
#include <fairlead/balancer.h>

#include <stdio.h>
#include <stdlib.h>

struct plan {
    unsigned limit;
};

static const struct fairlead_option options[] = {
    {.name = "first_free_limit",
     .type = FAIRLEAD_OPTION_INT,
     .min = 1,
     .max = 65535,
     .fallback = 8,
     .sentence = "Requests in flight at which the next server is used."},
    {.name = NULL},
};

static int plan_create(const struct fairlead_set *set, const int64_t *values, void **plan, char *error,
                       size_t error_size)
{
    struct plan *made = malloc(sizeof *made);

    (void)set;
    if (!made) {
        snprintf(error, error_size, "out of memory");
        return -1;
    }
    made->limit = (unsigned)values[0];
    *plan = made;
    return 0;
}

static int pick(const struct fairlead_tier *tier, const struct fairlead_pick *pick)
{
    const struct plan *plan = tier->plan;
    unsigned least = 0;
    int best = FAIRLEAD_NONE;

    for (size_t i = 0; i < tier->set->n_servers; i++) {
        if (!fairlead_usable(pick, i) || pick->effective_weight[i] == 0)
            continue;
        unsigned busy = fairlead_in_flight(tier->set, i);
        if (busy < plan->limit)
            return (int)i;
        if (best == FAIRLEAD_NONE || busy < least) {
            best = (int)i;
            least = busy;
        }
    }
    return best;
}

const struct fairlead_balancer fairlead_balancer = {
    .version = FAIRLEAD_BALANCER_VERSION,
    .name = "first_free",
    .options = options,
    .plan_create = plan_create,
    .plan_destroy = free,
    .pick = pick,
};
