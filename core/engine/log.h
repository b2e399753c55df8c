/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Logs that never slow a worker. Each thread writes finished lines into a bounded queue of its own (one
 * writer, one reader); the log thread drains all queues to file, stderr and syslog. When a queue is full the
 * line is dropped and counted, and the count is logged when there is room again. So it is with a disk that is
 * full and with a syslog that hangs or is gone: each loses its own lines only. No system call on the
 * writer's side while the log thread is awake, which it is while lines come; after LOG_AWAKE_MS without a
 * line it sleeps on a futex, and the next writer wakes it.
 */
#ifndef FAIRLEAD_ENGINE_LOG_H
#define FAIRLEAD_ENGINE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <syslog.h>

#define LOG_LINE_MAX 8192u /* bytes of one line; longer ones are cut, and end in "..." */
/* How long the log thread waits between two rounds while awake; a queue more than half full cuts it short. */
#define LOG_DRAIN_MS 20u
#define LOG_AWAKE_MS 2000u

enum log_sink { LOG_SINK_ACCESS, LOG_SINK_ERROR, LOG_SINKS };

/* Where the lines of one sink go. `path` NULL: nowhere; "stderr"; "syslog" (only syslog); else a file,
 * appended, created 0640. While we are root, a path that is a symbolic link must be root's: else -ELOOP. */
struct log_target {
    const char *path;
    bool syslog;  /* also to syslog */
    int facility; /* of <syslog.h> */
};

/* LOCAL: datagrams to a unix socket, in the form of syslog(3). The others take RFC 5424 messages, over UDP
 * one per datagram (RFC 5426), over TCP with their length in front (RFC 6587 3.4.1). */
enum log_syslog_kind { LOG_SYSLOG_LOCAL, LOG_SYSLOG_UDP, LOG_SYSLOG_TCP };

/* Where syslog is. All zero: /dev/log. What it points to is copied. */
struct log_syslog_server {
    enum log_syslog_kind kind;
    const char *name;    /* for messages */
    const void *address; /* struct sockaddr_un, _in or _in6 */
    uint32_t address_len;
};

#define LOG_TAG_MAX 48u /* bytes of a tag: APP-NAME of RFC 5424 6 */

struct log_config {
    struct log_target sinks[LOG_SINKS];
    int level;           /* least severe priority of LOG_SINK_ERROR that is kept, LOG_EMERG to LOG_DEBUG */
    int access_priority; /* the severity that access lines have in syslog */
    const char *tag;     /* what syslog calls us, at most LOG_TAG_MAX bytes; NULL: "fairlead" */
    struct log_syslog_server syslog;
    uint32_t queue_size; /* bytes per thread, a power of two, at least 4 * LOG_LINE_MAX */
};

struct log_queue;   /* of one thread */
struct log_pending; /* targets that are open, and not in use yet */

struct log_counters {
    uint64_t lines;                   /* taken out of the queues */
    uint64_t dropped;                 /* never in a file: the queue was full, or one of the next */
    uint64_t sink_dropped[LOG_SINKS]; /* the file did not take them */
    uint64_t write_errors;
    uint64_t syslog_lines, syslog_dropped; /* that syslog took; that it did not take */
};

/* Opens the targets. Control thread, before any other call. Returns 0, or -errno with the failing path in
 * *path (NULL: memory is short). */
int log_open(const struct log_config *config, const char **path) __attribute__((warn_unused_result));
/*
 * A reload, in two steps. log_prepare opens what `config` names and is not open yet, and changes nothing: a
 * path that stays the same stays open as it is. Returns as log_open does. log_switch then makes them the
 * targets: lines that were logged before it go to the old ones, lines logged after it returns to the new. It
 * waits for the log thread, LOG_SWITCH_MS at most (a disk may hang; then the switch is made as soon as that
 * is over). log_discard is for those who decide otherwise. Each takes the object. The size of the queues
 * stays as it is until a restart. Control thread.
 */
#define LOG_SWITCH_MS 500u
int log_prepare(const struct log_config *config, struct log_pending **pending, const char **path)
    __attribute__((warn_unused_result));
void log_switch(struct log_pending *pending);
void log_discard(struct log_pending *pending);
/* Starts the log thread (all signals blocked in it). Returns 0 or -errno. Until then, and after log_stop,
 * log_write of the error sink writes directly, and slowly, to stderr. */
int log_start(void) __attribute__((warn_unused_result));
/* Drains every queue (for at most 2 s), stops the thread, closes the files. Threads must have stopped
 * writing, the caller excepted. */
void log_stop(void);
/*
 * Has the log thread reopen the files (logrotate), and waits for it as log_switch does. A file that cannot be
 * opened goes on as it is, which is told in the error log: then errors[sink] is -errno, else 0. Returns 0, or
 * -ETIMEDOUT when it is not over by then, and will be done later. Control thread.
 */
int log_reopen(int errors[LOG_SINKS]);

/* Gives the calling thread a queue (thread-local), at most 1024 of them. Returns 0 or -ENOMEM. */
int log_attach(void) __attribute__((warn_unused_result));
void log_detach(void);

/* Would log_write of this priority be kept? Read it before building an expensive line. */
bool log_enabled(int priority);

/*
 * Error log: "2026/11/23 05:14:01 [warn] 1234#2: MESSAGE", MESSAGE in the form `what happened key=value
 * key=value`. printf-like; control characters and bytes that could forge a line are written as \xNN. priority
 * is LOG_EMERG to LOG_DEBUG.
 */
void log_write(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same, at most `burst` per second for this call site; what was left out is counted and told with the
 * next line. A limit starts as {0}; threads may share one. */
struct log_limit {
    uint64_t second;
    uint32_t count, left_out;
};
void log_write_limited(struct log_limit *limit, uint32_t burst, int priority, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/*
 * Access log, without a copy in between: log_reserve gives room for `size` bytes (at most LOG_LINE_MAX) in
 * the caller's queue, or NULL (full: counted as dropped); log_commit ends it with the bytes really written,
 * the final newline included, or with 0 to take it back. The text is the caller's responsibility: already
 * escaped. Only LOG_SINK_ACCESS; the caller's thread must have attached, and makes no other call of this
 * header in between.
 */
char *log_reserve(enum log_sink sink, size_t size) __attribute__((warn_unused_result));
void log_commit(size_t len);

/* Writes text with ", \ and everything outside 0x20..0x7e as \xNN; never more than size. Returns the length
 * written. For the combined format. */
size_t log_escape(char *out, size_t size, const char *text, size_t len);
/* The same for the inside of a JSON string (RFC 8259 7): \", \\, \u00NN; invalid UTF-8 bytes become \ufffd.
 */
size_t log_escape_json(char *out, size_t size, const char *text, size_t len);

void log_counters(struct log_counters *counters);

#endif
