/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A shared object that is no strategy: it lacks the one symbol, having another that is nearly right.
 */
#include <fairlead/balancer.h>

extern const struct fairlead_balancer fairlead_balancers;
const struct fairlead_balancer fairlead_balancers = {.version = FAIRLEAD_BALANCER_VERSION};
