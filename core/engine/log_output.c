/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From the record of a queue to the lines of its sink and to syslog. Owns the sinks, the connection to syslog
 * and the text of the current second. Runs on the log thread while it runs, else on the control thread. One
 * target's trouble never keeps a line from another.
 */
#include "engine/log_output.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/clock.h"
#include "engine/log_line.h"
#include "engine/log_syslog.h"
#include "engine/log_targets.h"

static struct {
    struct log_targets targets;
    int64_t second; /* of the current round */
    struct log_stamp stamp;
} output = {.targets = LOG_TARGETS_NONE};

void log_output_begin(void)
{
    output.second = log_second();
    output.targets.identity.pid = getpid();
}

void log_output_switch(struct log_pending *pending)
{
    log_output_flush();
    log_targets_replace(&output.targets, pending);
}

void log_output_close(void)
{
    log_output_flush();
    log_targets_close(&output.targets);
    log_targets_forget();
}

static void send_to_syslog(enum log_sink sink, int priority, const char *text, size_t len)
{
    struct log_targets *targets = &output.targets;
    const int facility_priority = targets->facility[sink] | priority;
    char prefix[LOG_SYSLOG_PREFIX_MAX];
    size_t prefix_len;

    if (targets->syslog.kind == LOG_SYSLOG_LOCAL)
        prefix_len = log_prefix_local(prefix, &output.stamp, facility_priority, &targets->identity);
    else
        prefix_len = log_prefix_remote(prefix, &output.stamp, facility_priority, &targets->identity,
                                       sink == LOG_SINK_ACCESS ? "access" : "error");
    log_syslog_add(&targets->syslog, prefix, prefix_len, text, len);
}

static void put_access(const char *line, size_t len)
{
    struct log_file *file = &output.targets.files[LOG_SINK_ACCESS];
    char *room = file->path == NULL ? NULL : log_file_room(file, len);

    if (room != NULL) {
        memcpy(room, line, len);
        log_file_add(file, len);
    } else if (file->path != NULL) {
        log_file_count_lost(file, 1);
    }
    if (!output.targets.to_syslog[LOG_SINK_ACCESS])
        return;
    log_stamp_set(&output.stamp, output.second);
    send_to_syslog(LOG_SINK_ACCESS, output.targets.access_priority, line,
                   line[len - 1] == '\n' ? len - 1 : len);
}

static void put_error_file(int priority, uint32_t thread, const char *message, size_t len)
{
    struct log_file *file = &output.targets.files[LOG_SINK_ERROR];
    const struct log_origin origin = {output.targets.identity.pid, thread};
    char *room = file->path == NULL ? NULL : log_file_room(file, LOG_PREFIX_MAX + len + 1);

    if (room != NULL) {
        const size_t prefix_len = log_prefix_error(room, &output.stamp, priority, origin);

        memcpy(room + prefix_len, message, len);
        room[prefix_len + len] = '\n';
        log_file_add(file, prefix_len + len + 1);
    } else if (file->path != NULL) {
        log_file_count_lost(file, 1);
    }
}

void log_output_record(const struct log_record *record, const char *payload, uint32_t thread)
{
    log_tally_add(&log_output_tally()->lines, 1);
    if (record->sink == LOG_SINK_ACCESS) {
        put_access(payload, record->len);
        return;
    }
    int64_t second;

    assert(record->sink == LOG_SINK_ERROR);
    assert(record->len >= sizeof(second));
    memcpy(&second, payload, sizeof(second));
    payload += sizeof(second);
    log_stamp_set(&output.stamp, second);
    put_error_file(record->priority, thread, payload, record->len - sizeof(second));
    if (output.targets.to_syslog[LOG_SINK_ERROR])
        send_to_syslog(LOG_SINK_ERROR, record->priority, payload, record->len - sizeof(second));
}

/* Where a message about the logs themselves goes. */
struct ways {
    bool file, syslog;
};

static void tell(struct ways ways, int priority, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

static void tell(struct ways ways, int priority, const char *format, va_list arguments)
{
    char message[LOG_MESSAGE_MAX];
    const size_t len = log_message(message, 0, format, arguments);

    log_stamp_set(&output.stamp, output.second);
    if (ways.file)
        put_error_file(priority, LOG_UNATTACHED, message, len);
    if (ways.syslog)
        send_to_syslog(LOG_SINK_ERROR, priority, message, len);
}

void log_output_message(int priority, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    tell((struct ways){true, output.targets.to_syslog[LOG_SINK_ERROR]}, priority, format, arguments);
    va_end(arguments);
}

static void tell_by(struct ways ways, int priority, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void tell_by(struct ways ways, int priority, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    tell(ways, priority, format, arguments);
    va_end(arguments);
}

/* A file that fails is told of elsewhere (and by log_file.c, on stderr). Returns whether there was news. */
static bool tell_file(struct log_file *file)
{
    const struct ways ways = {file->sink != LOG_SINK_ERROR, output.targets.to_syslog[LOG_SINK_ERROR]};
    uint64_t lost;

    switch (log_file_news(file, &lost)) {
    case LOG_GONE:
        tell_by(ways, LOG_ERR, "log cannot be written path=%s error=\"%s\"", file->path,
                strerrordesc_np(file->error));
        return true;
    case LOG_FULL:
        tell_by(ways, LOG_ERR, "log takes no lines, they are dropped path=%s", file->path);
        return true;
    case LOG_BACK:
        log_output_message(LOG_WARNING, "log can be written again path=%s dropped=%llu", file->path,
                           (unsigned long long)lost);
        return true;
    default:
        return false;
    }
}

/* Told when all are open, so that it stands in the new error log, which is the one that is read. */
void log_output_reopen(int errors[LOG_SINKS])
{
    struct log_file *files = output.targets.files;

    log_output_begin();
    for (int sink = 0; sink < LOG_SINKS; sink++)
        errors[sink] = log_file_reopen(&files[sink]);
    for (int sink = 0; sink < LOG_SINKS; sink++)
        if (errors[sink] < 0)
            log_output_message(LOG_ERR, LOG_CANNOT_REOPEN " path=%s error=\"%s\"", files[sink].path,
                               strerrordesc_np(-errors[sink]));
}

/* That it is back, syslog itself shall know, whichever log goes there. */
static bool tell_syslog(struct log_syslog *syslog)
{
    const uint64_t now_ms = clock_monotonic_ns() / 1000000;
    const bool has_file = output.targets.files[LOG_SINK_ERROR].path != NULL;
    uint64_t lost;

    switch (log_syslog_news(syslog, now_ms, &lost)) {
    case LOG_GONE:
        if (!has_file)
            log_complain(&output.targets.complaint, LOG_CANNOT_WRITE, syslog->name, syslog->error);
        tell_by((struct ways){.file = true}, LOG_ERR, "syslog is gone server=%s error=\"%s\"", syslog->name,
                strerrordesc_np(syslog->error));
        return true;
    case LOG_FULL:
        if (!has_file)
            log_complain(&output.targets.complaint, LOG_CANNOT_WRITE, syslog->name, EAGAIN);
        tell_by((struct ways){.file = true}, LOG_ERR, "syslog takes no lines, they are dropped server=%s",
                syslog->name);
        return true;
    case LOG_BACK:
        tell_by((struct ways){true, true}, LOG_WARNING, "syslog is back server=%s dropped=%llu", syslog->name,
                (unsigned long long)lost);
        return true;
    default:
        return false;
    }
}

static bool flush_all(void)
{
    bool all = true;

    for (int sink = 0; sink < LOG_SINKS; sink++)
        all = log_file_flush(&output.targets.files[sink]) && all;
    return log_syslog_flush(&output.targets.syslog, clock_monotonic_ns() / 1000000) && all;
}

bool log_output_flush(void)
{
    bool all = flush_all(), news = false;

    for (int sink = 0; sink < LOG_SINKS; sink++)
        news = tell_file(&output.targets.files[sink]) || news;
    news = tell_syslog(&output.targets.syslog) || news;
    return news ? flush_all() : all;
}

uint32_t log_output_wait_ms(void)
{
    uint32_t least_ms = log_syslog_wait_ms(&output.targets.syslog, clock_monotonic_ns() / 1000000);

    for (int sink = 0; sink < LOG_SINKS; sink++) {
        const uint32_t wait_ms = log_file_wait_ms(&output.targets.files[sink]);

        least_ms = wait_ms < least_ms ? wait_ms : least_ms;
    }
    return least_ms;
}
