/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A module with a trait of some later version: the loader must refuse it.
 */
#include "careless.h"

const struct fairlead_balancer fairlead_balancer = {
    .version = FAIRLEAD_BALANCER_VERSION,
    .name = "new_trait",
    .traits = FAIRLEAD_WEIGHTED | 1u << 31,
    .pick = pick,
};
