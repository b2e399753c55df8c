/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A module that asks for outcomes and takes none: the loader must refuse it.
 */
#include "careless.h"

const struct fairlead_balancer fairlead_balancer = {
    .version = FAIRLEAD_BALANCER_VERSION,
    .traits = FAIRLEAD_FEEDBACK,
    .name = "no_done",
    .pick = pick,
};
