/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A module without the operation that matters: the loader must refuse it.
 */
#include "careless.h"

const struct fairlead_balancer fairlead_balancer = {
    .version = FAIRLEAD_BALANCER_VERSION,
    .traits = sizeof &pick == 0,
    .name = "no_pick",
};
