/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How a line of the error log and of syslog looks. Pure but for the time zone. The thread that logs makes
 * only the message; the prefix, with its local time, is made by the log thread (or by whoever writes
 * directly, before there is one).
 */
#ifndef FAIRLEAD_ENGINE_LOG_LINE_H
#define FAIRLEAD_ENGINE_LOG_LINE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/log.h"

#define LOG_PREFIX_MAX        64u  /* bytes of the prefix of the error log */
#define LOG_SYSLOG_PREFIX_MAX 256u /* of either prefix of syslog */
#define LOG_MESSAGE_MAX                                                                                      \
    (LOG_LINE_MAX - LOG_PREFIX_MAX - 8) /* room for the prefix, the newline, and the second in the queue */
#define LOG_UNATTACHED UINT32_MAX       /* the thread number of a thread without a queue */

/* A second in local time, written out once and used for all lines of that second. Starts as {0}. */
struct log_stamp {
    int64_t second;       /* of CLOCK_REALTIME */
    char error_text[20];  /* "2026/11/23 05:14:01" */
    char syslog_text[16]; /* "Nov 23 05:14:01" */
    char iso_text[26];    /* "2026-11-23T05:14:01+01:00" */
};

/* What syslog calls us. */
struct log_identity {
    char tag[LOG_TAG_MAX + 1];
    char host[65];
    int pid;
};

struct log_origin {
    int pid;
    uint32_t thread;
};

void log_stamp_set(struct log_stamp *stamp, int64_t second);

/* The second of now; coarse, no system call. */
int64_t log_second(void);

/* "2026/11/23 05:14:01 [warn] 1234#2: ". `out` has LOG_PREFIX_MAX bytes. Returns the length. */
size_t log_prefix_error(char *out, const struct log_stamp *stamp, int priority, struct log_origin origin);

/* "<28>Nov 23 05:14:01 fairlead[1234]: ", as syslog(3) writes to its local socket (after RFC 3164 4.1). `out`
 * has LOG_SYSLOG_PREFIX_MAX bytes. Returns the length. */
size_t log_prefix_local(char *out, const struct log_stamp *stamp, int facility_priority,
                        const struct log_identity *identity);
/* "<28>1 2026-11-23T05:14:01+01:00 web1 fairlead 1234 error - " (RFC 5424 6), `msgid` the word before the
 * dash. As above. */
size_t log_prefix_remote(char *out, const struct log_stamp *stamp, int facility_priority,
                         const struct log_identity *identity, const char *msgid);

/*
 * The message, escaped and without a newline; `left_out` lines, when not 0, are told at its end. `out` has
 * LOG_MESSAGE_MAX bytes. Returns the length.
 */
size_t log_message(char *out, uint32_t left_out, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

/* As log_escape, but leaves " and \ as they are. */
size_t log_escape_message(char *out, size_t size, const char *text, size_t len);

#endif
