/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A module that wants the configured key and the client's network in one number: the loader must refuse it.
 */
#include "careless.h"

const struct fairlead_balancer fairlead_balancer = {
    .version = FAIRLEAD_BALANCER_VERSION,
    .name = "two_keys",
    .traits = FAIRLEAD_KEYED | FAIRLEAD_ADDRESSED,
    .pick = pick,
};
