/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The limits that the kernel sets the process: open files and locked memory. Control thread. */
#ifndef FAIRLEAD_CONTROL_LIMITS_H
#define FAIRLEAD_CONTROL_LIMITS_H

#include "config/config.h"

/* Open files that the configuration needs when all its clients are there. */
uint64_t limits_files_needed(const struct config *config);
/* Clients that fit under a limit of open files. */
uint64_t limits_clients(const struct config *config, uint64_t files);

/* Raises the limits as far as this user may: root as wanted, others up to their hard limit. Before
 * privileges_drop. Failing is no error. */
void limits_raise(const struct config *config);

/* Logs "limits files=N memlock=N wanted=N", and warns when it is less than needed. */
void limits_report(const struct config *config);

#endif
