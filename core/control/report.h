/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The counters of all workers, summed up, for the log. Control thread, after the workers have ended. */
#ifndef FAIRLEAD_CONTROL_REPORT_H
#define FAIRLEAD_CONTROL_REPORT_H

#include "proxy/service.h"

/* Two lines: "counters key=value ..." of the service, and "ring key=value ..." of the engine. */
void report_counters(struct worker *const *workers, struct service *const *services, unsigned n);

#endif
