/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The log as the other threads see it: builds a message, puts it into the calling thread's queue, and tells
 * the log thread. Any thread; what is kept per thread is thread-local. Never waits, takes no lock, and makes
 * no system call but to wake the log thread. Before log_start and after log_stop, and on a thread that has
 * not attached, a message goes directly to stderr.
 */
#include "engine/log.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/log_line.h"
#include "engine/log_output.h"
#include "engine/log_queue.h"
#include "engine/log_thread.h"

static atomic_int level = LOG_NOTICE;

/* Written by log_open, before there are other threads. */
static size_t queue_size = 8 * LOG_LINE_MAX;
static bool is_open;

static _Thread_local struct log_queue *own_queue; /* its reading side belongs to the log thread */

int log_open(const struct log_config *config, const char **path)
{
    struct log_pending *pending;
    int error;

    assert(!is_open);
    assert(config->queue_size >= 4 * LOG_LINE_MAX);
    assert((config->queue_size & (config->queue_size - 1)) == 0);
    tzset();
    error = log_prepare(config, &pending, path);
    if (error < 0)
        return error;
    log_switch(pending);
    queue_size = config->queue_size;
    is_open = true;
    return 0;
}

int log_prepare(const struct log_config *config, struct log_pending **pending, const char **path)
{
    return log_pending_create(config, pending, path);
}

/* Relaxed: a line at the border of two levels may be judged by either. */
void log_switch(struct log_pending *pending)
{
    const int new_level = log_pending_commit(pending);

    log_thread_switch(pending);
    atomic_store_explicit(&level, new_level, memory_order_relaxed);
}

void log_discard(struct log_pending *pending)
{
    log_pending_destroy(pending);
}

int log_start(void)
{
    assert(is_open);
    return log_thread_start();
}

void log_stop(void)
{
    if (!is_open)
        return;
    log_thread_stop();
    log_output_close();
    is_open = false;
}

int log_reopen(int errors[LOG_SINKS])
{
    return log_thread_reopen(errors);
}

int log_attach(void)
{
    struct log_queue *queue;
    int error;

    assert(own_queue == NULL);
    queue = log_queue_create(queue_size);
    if (queue == NULL)
        return -ENOMEM;
    error = log_thread_add(queue);
    if (error < 0) {
        log_queue_destroy(queue);
        return error;
    }
    own_queue = queue;
    return 0;
}

void log_detach(void)
{
    if (own_queue == NULL)
        return;
    log_thread_remove(own_queue);
    own_queue = NULL;
}

bool log_enabled(int priority)
{
    return priority <= atomic_load_explicit(&level, memory_order_relaxed);
}

static void write_directly(int priority, const char *message, size_t len)
{
    struct log_stamp stamp = {0};
    char line[LOG_PREFIX_MAX + LOG_MESSAGE_MAX + 1];
    size_t prefix_len;

    log_stamp_set(&stamp, log_second());
    prefix_len = log_prefix_error(line, &stamp, priority, (struct log_origin){getpid(), LOG_UNATTACHED});
    memcpy(line + prefix_len, message, len);
    line[prefix_len + len] = '\n';
    log_write_stderr(line, prefix_len + len + 1);
}

/* The second goes along with the message, because the log thread writes the line later. */
static void write_queued(int priority, const char *message, size_t len)
{
    const int64_t second = log_second();
    char *room = log_queue_reserve(own_queue, sizeof(second) + len, LOG_SINK_ERROR, (uint8_t)priority);

    if (room == NULL) {
        log_queue_count_dropped(own_queue);
        return;
    }
    memcpy(room, &second, sizeof(second));
    memcpy(room + sizeof(second), message, len);
    log_queue_commit(own_queue, sizeof(second) + len);
    log_thread_notify(own_queue);
}

/* errno is left as it was, so that a caller may log first and return -errno after. */
static void write_message(int priority, uint32_t left_out, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

static void write_message(int priority, uint32_t left_out, const char *format, va_list arguments)
{
    const int saved_errno = errno;
    char message[LOG_MESSAGE_MAX];
    const size_t len = log_message(message, left_out, format, arguments);

    if (own_queue != NULL && log_thread_is_running())
        write_queued(priority, message, len);
    else
        write_directly(priority, message, len);
    errno = saved_errno;
}

void log_write(int priority, const char *format, ...)
{
    va_list arguments;

    if (!log_enabled(priority))
        return;
    va_start(arguments, format);
    write_message(priority, 0, format, arguments);
    va_end(arguments);
}

/*
 * Several threads may share a limit: each access is atomic on its own, so the worst that a race does is to
 * let a few lines more or fewer through. Relaxed, since nothing is published by it.
 */
static bool is_within(struct log_limit *limit, uint32_t burst, uint64_t second)
{
    if (__atomic_load_n(&limit->second, __ATOMIC_RELAXED) != second) {
        __atomic_store_n(&limit->second, second, __ATOMIC_RELAXED);
        __atomic_store_n(&limit->count, 0, __ATOMIC_RELAXED);
    }
    if (__atomic_load_n(&limit->count, __ATOMIC_RELAXED) >= burst) {
        __atomic_add_fetch(&limit->left_out, 1, __ATOMIC_RELAXED);
        return false;
    }
    __atomic_add_fetch(&limit->count, 1, __ATOMIC_RELAXED);
    return true;
}

void log_write_limited(struct log_limit *limit, uint32_t burst, int priority, const char *format, ...)
{
    va_list arguments;

    if (!log_enabled(priority) || !is_within(limit, burst, (uint64_t)log_second()))
        return;
    va_start(arguments, format);
    write_message(priority, __atomic_exchange_n(&limit->left_out, 0, __ATOMIC_RELAXED), format, arguments);
    va_end(arguments);
}

char *log_reserve(enum log_sink sink, size_t size)
{
    char *room;

    assert(own_queue != NULL);
    assert(sink == LOG_SINK_ACCESS);
    assert(size <= LOG_LINE_MAX);
    room = log_queue_reserve(own_queue, size, (uint8_t)sink, LOG_INFO);
    if (room == NULL)
        log_queue_count_dropped(own_queue);
    return room;
}

void log_commit(size_t len)
{
    assert(own_queue != NULL);
    log_queue_commit(own_queue, len);
    if (len > 0)
        log_thread_notify(own_queue);
}

void log_counters(struct log_counters *counters)
{
    const struct log_tally *tally = log_output_tally();

    counters->lines = atomic_load_explicit(&tally->lines, memory_order_relaxed);
    counters->dropped = atomic_load_explicit(&tally->dropped, memory_order_relaxed);
    counters->write_errors = atomic_load_explicit(&tally->write_errors, memory_order_relaxed);
    counters->syslog_lines = atomic_load_explicit(&tally->syslog_lines, memory_order_relaxed);
    counters->syslog_dropped = atomic_load_explicit(&tally->syslog_dropped, memory_order_relaxed);
    for (int sink = 0; sink < LOG_SINKS; sink++)
        counters->sink_dropped[sink] = atomic_load_explicit(&tally->sink_dropped[sink], memory_order_relaxed);
}
