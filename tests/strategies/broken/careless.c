/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A module that the loader takes, and that the conformance suite must refuse.
 */
#include "careless.h"

const struct fairlead_balancer fairlead_balancer = {
    .version = FAIRLEAD_BALANCER_VERSION,
    .traits = FAIRLEAD_KEYED | FAIRLEAD_WEIGHTED | FAIRLEAD_BALANCED,
    .name = "careless",
    .pick = pick,
};
