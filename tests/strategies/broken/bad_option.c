/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A module with an option whose fallback is out of its range: the loader must refuse it.
 */
#include "careless.h"

static const struct fairlead_option options[] = {
    {.name = "limit", .type = FAIRLEAD_OPTION_INT, .min = 1, .max = 2, .fallback = 3, .sentence = "A limit."},
    {.name = NULL},
};

const struct fairlead_balancer fairlead_balancer = {
    .version = FAIRLEAD_BALANCER_VERSION,
    .name = "bad_option",
    .options = options,
    .pick = pick,
};
