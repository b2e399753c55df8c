/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The logs as the configuration wants them. Control thread. */
#ifndef FAIRLEAD_CONTROL_LOGS_H
#define FAIRLEAD_CONTROL_LOGS_H

#include "config/config.h"

struct log_pending;

/* Opens them at the start. Returns 0, or -errno with a sentence. */
int logs_open(const struct config *config, char *error, size_t size) __attribute__((warn_unused_result));
/* The same for a reload: nothing changes until logs_switch. One of the two that follow must come. */
int logs_prepare(const struct config *config, struct log_pending **pending, char *error, size_t size) __attribute__((warn_unused_result));
void logs_switch(struct log_pending *pending);
void logs_discard(struct log_pending *pending); /* NULL is allowed */
/* The files that are open, by their paths anew (logrotate). Returns 0 or -errno of the last that could not be, with a line for each in text; it
 * goes on as it is, and the error log says so, too. A slow disk is waited for but shortly: then 0, with a line. */
int logs_reopen(const struct config *config, char *text, size_t size) __attribute__((warn_unused_result));

#endif
