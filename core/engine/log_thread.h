/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The log thread: drains the queues of all other threads to the output, and sleeps when there is nothing to
 * drain. There is one of it in a process.
 */
#ifndef FAIRLEAD_ENGINE_LOG_THREAD_H
#define FAIRLEAD_ENGINE_LOG_THREAD_H

#include <stdbool.h>

#include "engine/log.h"
#include "engine/log_queue.h"

#define LOG_QUEUES 1024u

/* Control thread. Returns 0 or -errno. */
int log_thread_start(void) __attribute__((warn_unused_result));
/* Control thread: returns when the queues are drained, or 2 s later. */
void log_thread_stop(void);
bool log_thread_is_running(void);
/* Control thread; see log_reopen. When there is no log thread, it is done by the next one. */
int log_thread_reopen(int errors[LOG_SINKS]);
/* Control thread: `pending` becomes the targets; see log_switch. At once when there is no log thread. */
void log_thread_switch(struct log_pending *pending);

/* Any thread: gives `queue` a number and hands its reading side to the log thread. Returns 0, or -ENOMEM when
 * all numbers are taken. */
int log_thread_add(struct log_queue *queue) __attribute__((warn_unused_result));
/* The queue's writer, after its last line: the log thread drains and frees it; freed at once when there is no
 * log thread. */
void log_thread_remove(struct log_queue *queue);
/* The queue's writer, after each line: wakes the log thread if it sleeps, or if it waits and the queue fills
 * up. */
void log_thread_notify(struct log_queue *queue);

#endif
