/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From the configuration's words about logs to the log (engine/log.h). Control thread. */
#ifndef FAIRLEAD_CONTROL_LOGS_H
#define FAIRLEAD_CONTROL_LOGS_H

#include "config/config.h"
#include "engine/log.h"

/* What log_open and log_prepare want; it borrows from `config`. */
void logs_config(const struct config *config, struct log_config *log);

#endif
