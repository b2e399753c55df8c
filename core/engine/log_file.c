/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Files and stderr as sinks of the log. Runs on the log thread (log_write_stderr on any). Never blocks on a
 * pipe, a terminal or a socket: files of ours are opened non-blocking, and stderr, whose mode belongs to
 * others too, is asked before each write and given no more than a pipe surely takes. A disk may still be
 * slow; that is what the queues are for.
 */
#include "engine/log_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/log_line.h"

#define FILE_MODE 0640

void log_tally_add(atomic_uint_fast64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static bool is_regular(int fd)
{
    struct stat status;

    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

/* A pipe that polls as writable takes PIPE_BUF bytes without blocking. Returns as write does. */
static ssize_t write_carefully(int fd, const char *text, size_t len)
{
    struct pollfd ready = {.fd = fd, .events = POLLOUT};

    if (poll(&ready, 1, 0) == 0) {
        errno = EAGAIN;
        return -1;
    }
    return write(fd, text, len < PIPE_BUF ? len : PIPE_BUF);
}

void log_write_stderr(const char *text, size_t len)
{
    const int saved_errno = errno;

    while (len > 0) {
        const ssize_t written = write_carefully(STDERR_FILENO, text, len);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            break;
        text += written;
        len -= (size_t)written;
    }
    errno = saved_errno;
}

void log_complain(struct log_complaint *complaint, const char *what, const char *path, int error)
{
    const int64_t second = log_second();
    struct log_stamp stamp = {0};
    char text[LOG_PREFIX_MAX + 512];
    size_t len;
    int added;

    complaint->n_since++;
    if (second < complaint->next_second)
        return;
    log_stamp_set(&stamp, second);
    len = log_prefix_error(text, &stamp, LOG_ERR, (struct log_origin){getpid(), LOG_UNATTACHED});
    added = snprintf(text + len, sizeof(text) - len - 1,
                     "%s path=%.300s error=\"%s\" failures=%llu", what, path, strerrordesc_np(error),
                     (unsigned long long)complaint->n_since);
    len += added < 0 ? 0 : (size_t)added < sizeof(text) - len - 1 ? (size_t)added : sizeof(text) - len - 2;
    text[len++] = '\n';
    log_write_stderr(text, len);
    complaint->next_second = second + LOG_COMPLAINT_S;
    complaint->n_since = 0;
}

static bool is_stderr(const char *path)
{
    return strcmp(path, "stderr") == 0;
}

/* Where root opens the log, the directory may belong to the user that root becomes next: a link that this user
 * made could lead the next start to any file. */
static bool may_follow(const char *path)
{
    struct stat status;

    return geteuid() != 0 || (lstat(path, &status) == 0 && S_ISLNK(status.st_mode) && status.st_uid == 0);
}

/* Non-blocking, so that a pipe without a reader fails here instead of stopping the start. */
static int open_path(const char *path)
{
    const int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    int fd;

    if (is_stderr(path))
        return STDERR_FILENO;
    fd = open(path, flags | O_NOFOLLOW, FILE_MODE);
    if (fd < 0 && errno == ELOOP && may_follow(path))
        fd = open(path, flags, FILE_MODE);
    return fd < 0 ? -errno : fd;
}

int log_file_open(struct log_file *file, const char *path, enum log_sink sink, struct log_tally *tally)
{
    int fd;

    *file = (struct log_file){.fd = -1, .sink = sink, .tally = tally};
    if (path == NULL)
        return 0;
    fd = open_path(path);
    if (fd < 0)
        return fd;
    file->fd = fd;
    file->may_block = is_stderr(path) && !is_regular(fd);
    file->path = strdup(path);
    file->staging = mmap(NULL, LOG_STAGING_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (file->path != NULL && file->staging != MAP_FAILED)
        return 0;
    log_file_close(file);
    return -ENOMEM;
}

static uint64_t count_lines(const char *text, size_t len)
{
    const char *const end = text + len;
    uint64_t n_lines = 0;

    while (text < end && (text = memchr(text, '\n', (size_t)(end - text))) != NULL) {
        n_lines++;
        text++;
    }
    return n_lines;
}

void log_file_count_lost(struct log_file *file, uint64_t n)
{
    log_tally_add(&file->tally->dropped, n);
    log_tally_add(&file->tally->sink_dropped[file->sink], n);
    file->lost += n;
}

void log_file_close(struct log_file *file)
{
    if (file->staged > 0)
        log_file_count_lost(file, count_lines(file->staging, file->staged));
    if (file->fd >= 0 && file->fd != STDERR_FILENO)
        close(file->fd);
    if (file->staging != NULL && file->staging != MAP_FAILED)
        munmap(file->staging, LOG_STAGING_BYTES);
    free(file->path);
    *file = (struct log_file){.fd = -1};
}

/* The rest of a line that was begun in a file that is left now means nothing in the next one. */
static void drop_rest(struct log_file *file)
{
    const char *const end = file->torn ? memchr(file->staging, '\n', file->staged) : NULL;

    file->torn = false;
    if (end == NULL)
        return;
    const size_t rest = (size_t)(end - file->staging) + 1;

    log_file_count_lost(file, 1);
    file->staged -= rest;
    memmove(file->staging, file->staging + rest, file->staged);
}

int log_file_reopen(struct log_file *file)
{
    int fd;

    if (file->path == NULL || is_stderr(file->path))
        return 0;
    log_file_flush(file);
    fd = open_path(file->path);
    if (fd < 0) {
        log_tally_add(&file->tally->write_errors, 1);
        log_complain(&file->complaint, LOG_CANNOT_REOPEN, file->path, -fd);
        return fd;
    }
    close(file->fd);
    file->fd = fd;
    drop_rest(file);
    return 0;
}

/* The first `done` bytes were written. */
static void settle(struct log_file *file, size_t done)
{
    if (done == 0)
        return;
    file->torn = file->staging[done - 1] != '\n';
    file->staged -= done;
    memmove(file->staging, file->staging + done, file->staged);
}

/* What is staged is lost, but for the rest of a line whose beginning is in the file. */
static void fail(struct log_file *file, int error)
{
    const char *const end = file->torn ? memchr(file->staging, '\n', file->staged) : NULL;
    const size_t rest = end == NULL ? 0 : (size_t)(end - file->staging) + 1;

    log_tally_add(&file->tally->write_errors, 1);
    log_file_count_lost(file, count_lines(file->staging + rest, file->staged - rest));
    log_complain(&file->complaint, LOG_CANNOT_WRITE, file->path, error);
    file->staged = rest;
    file->error = error;
}

bool log_file_flush(struct log_file *file)
{
    size_t done = 0;

    while (done < file->staged) {
        const char *const text = file->staging + done;
        const size_t len = file->staged - done;
        const ssize_t written =
            file->may_block ? write_carefully(file->fd, text, len) : write(file->fd, text, len);

        if (written > 0) {
            done += (size_t)written;
            file->error = 0;
        } else if (written < 0 && errno == EAGAIN) {
            settle(file, done);
            return false;
        } else if (written == 0 || errno != EINTR) {
            const int error = written == 0 ? EIO : errno;

            settle(file, done);
            fail(file, error);
            return true;
        }
    }
    settle(file, done);
    return true;
}

static enum log_news state_of(const struct log_file *file)
{
    if (file->error != 0)
        return LOG_GONE;
    return file->lost > 0 && file->staged > 0 ? LOG_FULL : LOG_NO_NEWS;
}

static bool has_news(const struct log_file *file)
{
    const enum log_news now = state_of(file);

    return now != file->told || (now == LOG_NO_NEWS && file->lost > 0);
}

uint32_t log_file_wait_ms(const struct log_file *file)
{
    if (file->staged > 0 && file->error == 0)
        return LOG_DRAIN_MS;
    return has_news(file) ? 1000 : UINT32_MAX;
}

enum log_news log_file_news(struct log_file *file, uint64_t *lost)
{
    const enum log_news now = state_of(file);
    const int64_t second = log_second();

    if (!has_news(file) || file->told_second == second)
        return LOG_NO_NEWS;
    file->told_second = second;
    file->told = now;
    *lost = file->lost;
    if (now != LOG_NO_NEWS)
        return now;
    file->lost = 0;
    return LOG_BACK;
}

char *log_file_room(struct log_file *file, size_t size)
{
    assert(file->path != NULL);
    assert(size < LOG_STAGING_BYTES / 2);
    if (LOG_STAGING_BYTES - file->staged < size)
        log_file_flush(file);
    if (LOG_STAGING_BYTES - file->staged < size)
        return NULL;
    return file->staging + file->staged;
}

void log_file_add(struct log_file *file, size_t len)
{
    assert(len <= LOG_STAGING_BYTES - file->staged);
    file->staged += len;
}
