/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A module that was renamed after it was built: the loader must refuse it.
 */
#include "careless.h"

const struct fairlead_balancer fairlead_balancer = {
    .version = FAIRLEAD_BALANCER_VERSION,
    .name = "right_name",
    .pick = pick,
};
