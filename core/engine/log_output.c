/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From the record of a queue to the lines of its sink and to syslog. Owns the sinks, the connection to syslog
 * and the text of the current second. Runs on the log thread while it runs, else on the control thread. One
 * sink's trouble never keeps a line from another.
 */
#include "engine/log_output.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "engine/log_line.h"
#include "engine/log_syslog.h"

static struct {
    struct log_file files[LOG_SINKS];
    bool to_syslog[LOG_SINKS];
    int facility;
    struct log_syslog syslog;
    struct log_complaint syslog_complaint;
    const char *syslog_path;
    int64_t second; /* of the current round */
    int pid;
    struct log_stamp stamp;
    struct log_tally tally;
} output = {.syslog_path = "/dev/log"};

struct log_tally *log_output_tally(void)
{
    return &output.tally;
}

void log_output_set_syslog_path(const char *path)
{
    output.syslog_path = path;
}

void log_output_begin(void)
{
    output.second = log_second();
    output.pid = getpid();
}

int log_output_open(const struct log_config *config, const char **path)
{
    int sink;
    int error;

    for (sink = 0; sink < LOG_SINKS; sink++) {
        const struct log_target *target = &config->sinks[sink];
        const bool only_syslog = target->path != NULL && strcmp(target->path, "syslog") == 0;

        output.to_syslog[sink] = target->syslog || only_syslog;
        error = log_file_open(&output.files[sink], only_syslog ? NULL : target->path, &output.tally);
        if (error < 0)
            goto close_sinks;
    }
    output.facility = config->facility;
    log_syslog_init(&output.syslog, output.syslog_path);
    return 0;

close_sinks:
    *path = config->sinks[sink].path;
    while (sink-- > 0)
        log_file_close(&output.files[sink]);
    return error;
}

/* What is staged still and cannot be written is lost here, so it is counted. */
void log_output_close(void)
{
    log_output_flush();
    for (int sink = 0; sink < LOG_SINKS; sink++) {
        for (size_t i = 0; i < output.files[sink].staged; i++)
            log_tally_add(&output.tally.dropped, output.files[sink].staging[i] == '\n');
        log_file_close(&output.files[sink]);
    }
    log_syslog_fini(&output.syslog);
}

void log_output_reopen(void)
{
    for (int sink = 0; sink < LOG_SINKS; sink++)
        log_file_reopen(&output.files[sink]);
}

bool log_output_flush(void)
{
    bool all = true;

    for (int sink = 0; sink < LOG_SINKS; sink++)
        all = log_file_flush(&output.files[sink]) && all;
    return all;
}

static void send_to_syslog(int priority, const char *text, size_t len)
{
    char message[LOG_PREFIX_MAX + LOG_LINE_MAX];
    size_t prefix_len;
    int error;

    log_stamp_set(&output.stamp, output.second);
    prefix_len = log_prefix_syslog(message, &output.stamp, output.facility | priority, output.pid);
    memcpy(message + prefix_len, text, len);
    error = log_syslog_send(&output.syslog, message, prefix_len + len, output.second);
    if (error == 0)
        return;
    log_tally_add(&output.tally.write_errors, 1);
    log_tally_add(&output.tally.dropped, 1);
    log_complain(&output.syslog_complaint, output.syslog.address.sun_path, -error);
}

static void put_access(const char *line, size_t len)
{
    struct log_file *file = &output.files[LOG_SINK_ACCESS];
    char *room = file->path == NULL ? NULL : log_file_room(file, len);

    if (room != NULL) {
        memcpy(room, line, len);
        log_file_add(file, len);
    } else if (file->path != NULL) {
        log_tally_add(&output.tally.dropped, 1);
    }
    if (output.to_syslog[LOG_SINK_ACCESS])
        send_to_syslog(LOG_INFO, line, line[len - 1] == '\n' ? len - 1 : len);
}

static void put_error(int priority, uint32_t thread, const char *message, size_t len)
{
    struct log_file *file = &output.files[LOG_SINK_ERROR];
    char *room = file->path == NULL ? NULL : log_file_room(file, LOG_PREFIX_MAX + len + 1);

    if (room != NULL) {
        const size_t prefix_len =
            log_prefix_error(room, &output.stamp, priority, (struct log_origin){output.pid, thread});

        memcpy(room + prefix_len, message, len);
        room[prefix_len + len] = '\n';
        log_file_add(file, prefix_len + len + 1);
    } else if (file->path != NULL) {
        log_tally_add(&output.tally.dropped, 1);
    }
    if (output.to_syslog[LOG_SINK_ERROR])
        send_to_syslog(priority, message, len);
}

void log_output_record(const struct log_record *record, const char *payload, uint32_t thread)
{
    log_tally_add(&output.tally.lines, 1);
    if (record->sink == LOG_SINK_ACCESS) {
        put_access(payload, record->len);
        return;
    }
    int64_t second;

    assert(record->sink == LOG_SINK_ERROR);
    assert(record->len >= sizeof(second));
    memcpy(&second, payload, sizeof(second));
    log_stamp_set(&output.stamp, second);
    put_error(record->priority, thread, payload + sizeof(second), record->len - sizeof(second));
}

void log_output_message(int priority, const char *format, ...)
{
    char message[LOG_MESSAGE_MAX];
    va_list arguments;
    size_t len;

    va_start(arguments, format);
    len = log_message(message, 0, format, arguments);
    va_end(arguments);
    log_stamp_set(&output.stamp, output.second);
    put_error(priority, LOG_UNATTACHED, message, len);
}
