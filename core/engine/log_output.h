/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Everything that the log writes to: the sinks and syslog, as configured. Log thread only while it runs, else
 * the control thread; what stands apart below is the control thread's. There is one of it in a process.
 */
#ifndef FAIRLEAD_ENGINE_LOG_OUTPUT_H
#define FAIRLEAD_ENGINE_LOG_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/log.h"
#include "engine/log_queue.h"
#include "engine/log_file.h"

/* Control thread: opens what `config` names and is not open. As log_prepare. */
int log_pending_create(const struct log_config *config, struct log_pending **pending, const char **path)
    __attribute__((warn_unused_result));
void log_pending_destroy(struct log_pending *pending);
/* Control thread: `pending` will be the targets, and the next one is compared with it. Returns its level. */
int log_pending_commit(struct log_pending *pending);
/* Control thread: one that the log thread has not taken yet, and that must be used before this one. */
void log_pending_precede(struct log_pending *pending, struct log_pending *before);

/* Makes `pending` the targets, and frees it. What is staged goes to the old ones, as far as they take it. */
void log_output_switch(struct log_pending *pending);
/* Writes what is staged, as far as that goes, and closes everything. */
void log_output_close(void);
/* errors[sink]: 0 or -errno; what failed is also told in the logs. */
void log_output_reopen(int errors[LOG_SINKS]);

/* The log thread begins, or begins a round: remembers the process number and the second of now. */
void log_output_begin(void);
/* One record of the queue of thread `thread`. */
void log_output_record(const struct log_record *record, const char *payload, uint32_t thread);
/* A message of the log about itself, to the error sink. */
void log_output_message(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Writes and sends, and tells what there is to tell of the targets. Returns false when something is left
 * because a target would block. */
bool log_output_flush(void);
/* In how many milliseconds a flush is due though no line has come; UINT32_MAX: not at all. */
uint32_t log_output_wait_ms(void);

struct log_tally *log_output_tally(void);

#endif
