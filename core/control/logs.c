/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See logs.h. */
#include "control/logs.h"

void logs_config(const struct config *config, struct log_config *log)
{
    const struct log_settings *settings = &config->log;

    *log = (struct log_config){
        .sinks[LOG_SINK_ACCESS] = {.path = settings->access},
        .sinks[LOG_SINK_ERROR] = {.path = settings->error},
        .level = settings->level,
        .access_priority = settings->access_severity,
        .tag = settings->syslog_tag,
        .syslog = {.kind = settings->syslog_kind,
                   .name = settings->syslog_server,
                   .address = &settings->syslog_address.sa,
                   .address_len = (uint32_t)settings->syslog_address.len},
        .queue_size = settings->queue_size,
    };
    for (int sink = 0; sink < LOG_SINKS; sink++) {
        log->sinks[sink].syslog = settings->to_syslog[sink];
        log->sinks[sink].facility = settings->facility[sink];
    }
}
