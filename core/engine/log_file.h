/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A place that takes lines: a file, stderr, or nowhere. Lines are gathered in a staging buffer and written in
 * large pieces. Log thread only (control thread while there is none). A sink that cannot take more right now
 * keeps what it has staged; a sink that fails loses it, counted, and tries again with the next lines. Only
 * the rest of a line whose beginning was written is kept, and goes first when the sink takes bytes again: so
 * a file never has a line that is cut, unless it is left for good.
 */
#ifndef FAIRLEAD_ENGINE_LOG_FILE_H
#define FAIRLEAD_ENGINE_LOG_FILE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/log.h"

#define LOG_STAGING_BYTES (256u * 1024u)
#define LOG_COMPLAINT_S   60 /* seconds between two words on stderr about the same place */

/* Written by the log thread, read by any. */
struct log_tally {
    atomic_uint_fast64_t lines, dropped, write_errors, sink_dropped[LOG_SINKS], syslog_lines, syslog_dropped;
};

/* What is worth a line in the logs of a place that lines go to. */
enum log_news {
    LOG_NO_NEWS,
    LOG_GONE, /* it fails */
    LOG_FULL, /* it does not take more, and lines are dropped */
    LOG_BACK  /* it is over */
};

/* When a place that fails was last told of. Starts as {0}. */
struct log_complaint {
    int64_t next_second;
    uint64_t n_since; /* failures since then */
};

struct log_file {
    char *path;     /* owned; NULL: nowhere */
    int fd;         /* owned unless it is stderr */
    bool may_block; /* not our own open file and not a regular file: ask before each write */
    bool torn;      /* what is staged begins within a line */
    size_t staged;
    char *staging;           /* owned; mapped, so it costs nothing until it is used */
    enum log_sink sink;      /* for the counters */
    struct log_tally *tally; /* borrowed for good */
    struct log_complaint complaint;
    int error;           /* errno of the last write; 0: it went well */
    uint64_t lost;       /* lines since the last LOG_BACK */
    enum log_news told;  /* what the last news was */
    int64_t told_second; /* a second has one piece of news at most, so that a struggle is no flood */
};

/* `path` is copied. Returns 0 or -errno; then the sink is closed. */
int log_file_open(struct log_file *file, const char *path, enum log_sink sink, struct log_tally *tally)
    __attribute__((warn_unused_result));
/* What is staged still is lost, and counted. */
void log_file_close(struct log_file *file);
/* Writes what is staged to the old file, then opens the path anew. Keeps the old file when that fails, which
 * is counted as a write error; returns 0 or -errno. */
int log_file_reopen(struct log_file *file) __attribute__((warn_unused_result));
/* Room for `size` bytes, at most LOG_LINE_MAX and some; may write. NULL when the sink is stuck. Not for a
 * sink to nowhere. */
char *log_file_room(struct log_file *file, size_t size) __attribute__((warn_unused_result));
/* Ends the use of the room with the bytes put there: whole lines. */
void log_file_add(struct log_file *file, size_t len);
/* Counts a line that found no room. */
void log_file_count_lost(struct log_file *file, uint64_t n);
/* In how many milliseconds a flush is due though no line has come; UINT32_MAX: not at all. */
uint32_t log_file_wait_ms(const struct log_file *file);
/* What has changed since the last call, after a flush; *lost: lines that were dropped, of LOG_BACK. */
enum log_news log_file_news(struct log_file *file, uint64_t *lost);
/* Writes what is staged. Returns false when something is left because the sink would block. */
bool log_file_flush(struct log_file *file);

/* Adds to a counter that only one thread writes. */
void log_tally_add(atomic_uint_fast64_t *counter, uint64_t n);
/* One line on stderr, "WHAT path=PATH error=...", at most once in LOG_COMPLAINT_S; never blocks. `error` is an
 * errno. */
void log_complain(struct log_complaint *complaint, const char *what, const char *path, int error);
#define LOG_CANNOT_WRITE  "log cannot be written"
#define LOG_CANNOT_REOPEN "log cannot be opened anew, the old file goes on"
/* Writes to stderr as much as it takes at once. */
void log_write_stderr(const char *text, size_t len);

#endif
