/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What one configuration makes of the log: files, syslog, names. Opened on the control thread as a struct
 * log_pending (log.h), used by the log thread (control thread while there is none).
 */
#ifndef FAIRLEAD_ENGINE_LOG_TARGETS_H
#define FAIRLEAD_ENGINE_LOG_TARGETS_H

#include <stdbool.h>

#include "engine/log.h"
#include "engine/log_file.h"
#include "engine/log_line.h"
#include "engine/log_output.h"
#include "engine/log_syslog.h"

struct log_targets {
    struct log_file files[LOG_SINKS];
    bool to_syslog[LOG_SINKS];
    int facility[LOG_SINKS];
    int access_priority;
    struct log_identity identity;
    struct log_syslog syslog;
    struct log_complaint complaint; /* about syslog */
};

#define LOG_TARGETS_NONE                                                                                     \
    {                                                                                                        \
        .files = {{.fd = -1}, {.fd = -1}}, .syslog = {.fd = -1 }                                             \
    }

/* `pending` becomes the targets and is freed. A file whose path stays and a syslog whose address stays go on
 * with what they have staged; the others are closed, and what they have staged is lost and counted. */
void log_targets_replace(struct log_targets *targets, struct log_pending *pending);
void log_targets_close(struct log_targets *targets);
/* Control thread: none are in use any more. */
void log_targets_forget(void);

#endif
