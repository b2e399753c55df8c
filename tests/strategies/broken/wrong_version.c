/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A module of an interface version that does not exist yet: the loader must refuse it before it looks at
 * anything else.
 */
#include "careless.h"

const struct fairlead_balancer fairlead_balancer = {
    .version = FAIRLEAD_BALANCER_VERSION + 1,
    .name = (const char *)1,
    .pick = pick,
};
