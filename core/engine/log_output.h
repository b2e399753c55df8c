/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Everything that the log writes to: the sinks and syslog, as configured. Log thread only while it runs, else
 * the control thread. There is one of it in a process.
 */
#ifndef FAIRLEAD_ENGINE_LOG_OUTPUT_H
#define FAIRLEAD_ENGINE_LOG_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/log.h"
#include "engine/log_queue.h"
#include "engine/log_file.h"

/* Opens the targets. Returns 0, or -errno with the failing path of `config` in *path; then nothing is open.
 */
int log_output_open(const struct log_config *config, const char **path) __attribute__((warn_unused_result));
/* Writes what is staged, as far as that goes, and closes everything. */
void log_output_close(void);
void log_output_reopen(void);
/* Where syslog is from the next log_output_open on; the text is borrowed for good. */
void log_output_set_syslog_path(const char *path);

/* The log thread begins, or begins a round: remembers the process number and the second of now. */
void log_output_begin(void);
/* One record of the queue of thread `thread`. */
void log_output_record(const struct log_record *record, const char *payload, uint32_t thread);
/* A message of the log about itself, to the error sink. */
void log_output_message(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Returns false when something is left because a sink would block. */
bool log_output_flush(void);

struct log_tally *log_output_tally(void);

#endif
