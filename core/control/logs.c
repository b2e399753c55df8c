/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From the configuration to the log's own terms; see logs.h. */
#include "control/logs.h"

#include "engine/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* It borrows from `config`. */
static struct log_config translate(const struct config *config)
{
    const struct log_settings *settings = &config->log;
    struct log_config log = {
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
        log.sinks[sink].syslog = settings->to_syslog[sink];
        log.sinks[sink].facility = settings->facility[sink];
    }
    return log;
}

static int tell(int code, const char *path, char *error, size_t size)
{
    const char *hint = code == -ELOOP && geteuid() == 0 ? "; as root, a link is followed only when it belongs to root" : "";

    if (code)
        snprintf(error, size, "open() \"%s\" failed (%d: %s)%s", path ? path : "", -code, strerror(-code), hint);
    return code;
}

int logs_open(const struct config *config, char *error, size_t size)
{
    struct log_config log = translate(config);
    const char *path = NULL;
    int code = log_open(&log, &path);

    return tell(code, path, error, size);
}

int logs_prepare(const struct config *config, struct log_pending **pending, char *error, size_t size)
{
    struct log_config log = translate(config);
    const char *path = NULL;
    int code = log_prepare(&log, pending, &path);

    return tell(code, path, error, size);
}

void logs_switch(struct log_pending *pending)
{
    log_switch(pending);
}

int logs_reopen(const struct config *config, char *text, size_t size)
{
    const char *const paths[LOG_SINKS] = {[LOG_SINK_ACCESS] = config->log.access, [LOG_SINK_ERROR] = config->log.error};
    int errors[LOG_SINKS], result = 0;
    size_t len = 0;

    snprintf(text, size, "%s", log_reopen(errors) ? "the logs are being opened anew, the disk is slow" : "");
    for (int sink = 0; sink < LOG_SINKS; sink++) {
        if (errors[sink] == 0)
            continue;
        result = tell(errors[sink], paths[sink], text + len, size - len);
        len += strlen(text + len);
        snprintf(text + len, size - len, ", the old file goes on\n");
        len += strlen(text + len);
    }
    return result;
}

void logs_discard(struct log_pending *pending)
{
    if (pending)
        log_discard(pending);
}
