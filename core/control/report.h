/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The counters of all workers, summed up, for the log. Control thread, after the workers have ended. */
#ifndef FAIRLEAD_CONTROL_REPORT_H
#define FAIRLEAD_CONTROL_REPORT_H

#include "proxy/service.h"

/* The lines "counters key=value ..." of the service, "ring key=value ..." of the engine, and one each for a group with several servers and for
 * the servers that got requests (the first 200 of them). At least one service. */
void report_counters(struct worker *const *workers, struct service *const *services, unsigned n, const struct snapshot *snapshot);

#endif
