/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The text of error-log and syslog lines. Any thread; the state is the caller's. localtime_r takes a lock
 * inside the C library, which is why a worker never calls log_stamp_set and the log thread calls it once a
 * second. Never writes anywhere but to the caller's memory.
 */
#include "engine/log_line.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/clock.h"

#define LEFT_OUT_MAX 32u /* bytes of " left_out=4294967295" and some */

static const char *const priority_names[] = {"emerg", "alert",  "crit", "error",
                                             "warn",  "notice", "info", "debug"};

static const char month_names[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

int64_t log_second(void)
{
    return (int64_t)(clock_realtime_ms() / 1000);
}

/* Bounded by the remainders, so that the compiler sees that the text fits. */
static void write_iso(struct log_stamp *stamp, const struct tm *tm)
{
    const unsigned offset = (unsigned)labs(tm->tm_gmtoff / 60);

    snprintf(stamp->iso_text, sizeof(stamp->iso_text), "%04u-%02u-%02uT%02u:%02u:%02u%c%02u:%02u",
             (unsigned)(tm->tm_year + 1900) % 10000, (unsigned)(tm->tm_mon + 1) % 100,
             (unsigned)tm->tm_mday % 100, (unsigned)tm->tm_hour % 100, (unsigned)tm->tm_min % 100,
             (unsigned)tm->tm_sec % 100, tm->tm_gmtoff < 0 ? '-' : '+', offset / 60 % 100, offset % 60);
}

void log_stamp_set(struct log_stamp *stamp, int64_t second)
{
    const time_t time = (time_t)second;
    struct tm tm = {0};

    if (stamp->second == second && stamp->error_text[0] != '\0')
        return;
    stamp->second = second;
    if (localtime_r(&time, &tm) == NULL)
        tm = (struct tm){.tm_mday = 1, .tm_year = 70};
    const unsigned day = (unsigned)tm.tm_mday % 100, hour = (unsigned)tm.tm_hour % 100;
    const unsigned minute = (unsigned)tm.tm_min % 100, sec = (unsigned)tm.tm_sec % 100;

    snprintf(stamp->error_text, sizeof(stamp->error_text), "%04u/%02u/%02u %02u:%02u:%02u",
             (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)(tm.tm_mon + 1) % 100, day, hour, minute, sec);
    snprintf(stamp->syslog_text, sizeof(stamp->syslog_text), "%.3s %2u %02u:%02u:%02u",
             month_names[tm.tm_mon % 12], day, hour, minute, sec);
    write_iso(stamp, &tm);
}

size_t log_prefix_error(char *out, const struct log_stamp *stamp, int priority, struct log_origin origin)
{
    const char *name = priority_names[priority & LOG_PRIMASK];
    int len;

    if (origin.thread == LOG_UNATTACHED)
        len = snprintf(out, LOG_PREFIX_MAX, "%s [%s] %d: ", stamp->error_text, name, origin.pid);
    else
        len = snprintf(out, LOG_PREFIX_MAX, "%s [%s] %d#%u: ", stamp->error_text, name, origin.pid,
                       origin.thread);
    assert(len > 0);
    assert((size_t)len < LOG_PREFIX_MAX);
    return (size_t)len;
}

size_t log_prefix_local(char *out, const struct log_stamp *stamp, int facility_priority,
                        const struct log_identity *identity)
{
    const int len = snprintf(out, LOG_SYSLOG_PREFIX_MAX, "<%d>%s %s[%d]: ", facility_priority,
                             stamp->syslog_text, identity->tag, identity->pid);

    assert(len > 0);
    assert((size_t)len < LOG_SYSLOG_PREFIX_MAX);
    return (size_t)len;
}

size_t log_prefix_remote(char *out, const struct log_stamp *stamp, int facility_priority,
                         const struct log_identity *identity, const char *msgid)
{
    const int len = snprintf(out, LOG_SYSLOG_PREFIX_MAX, "<%d>1 %s %s %s %d %s - ", facility_priority,
                             stamp->iso_text, identity->host, identity->tag, identity->pid, msgid);

    assert(len > 0);
    assert((size_t)len < LOG_SYSLOG_PREFIX_MAX);
    return (size_t)len;
}

/* How many bytes of `text` are left when the last escape, if the cut went through one, is taken off. */
static size_t cut_before_escape(const char *text, size_t len)
{
    for (size_t back = 1; back <= 3 && back <= len; back++) {
        if (text[len - back] == '\\')
            return len - back;
    }
    return len;
}

size_t log_message(char *out, uint32_t left_out, const char *format, va_list arguments)
{
    const size_t room = LOG_MESSAGE_MAX - LEFT_OUT_MAX;
    char text[LOG_LINE_MAX];
    const int formatted = vsnprintf(text, sizeof(text), format, arguments);
    const size_t wanted = formatted < 0 ? 0 : (size_t)formatted;
    size_t len = log_escape_message(out, room, text, wanted < sizeof(text) ? wanted : sizeof(text) - 1);

    /* An escape needs 4 bytes, so with less than that left something may not have fitted. */
    if (wanted >= sizeof(text) || room - len < 4) {
        len = cut_before_escape(out, len < room - 3 ? len : room - 3);
        memcpy(out + len, "...", 3);
        len += 3;
    }
    if (left_out > 0)
        len += (size_t)snprintf(out + len, LEFT_OUT_MAX, " left_out=%u", left_out);
    return len;
}
