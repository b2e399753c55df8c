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

void log_complain(struct log_complaint *complaint, const char *path, int error)
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
                     "log cannot be written path=%.300s error=\"%s\" failures=%llu", path,
                     strerrordesc_np(error), (unsigned long long)complaint->n_since);
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

/* Non-blocking, so that a pipe without a reader fails here instead of stopping the start. */
static int open_path(const char *path)
{
    const int fd =
        is_stderr(path)
            ? STDERR_FILENO
            : open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, FILE_MODE);

    return fd < 0 ? -errno : fd;
}

int log_file_open(struct log_file *file, const char *path, struct log_tally *tally)
{
    int fd;

    *file = (struct log_file){.fd = -1, .tally = tally};
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

void log_file_close(struct log_file *file)
{
    if (file->fd >= 0 && file->fd != STDERR_FILENO)
        close(file->fd);
    if (file->staging != NULL && file->staging != MAP_FAILED)
        munmap(file->staging, LOG_STAGING_BYTES);
    free(file->path);
    *file = (struct log_file){.fd = -1};
}

void log_file_reopen(struct log_file *file)
{
    int fd;

    if (file->path == NULL || is_stderr(file->path))
        return;
    log_file_flush(file);
    fd = open_path(file->path);
    if (fd < 0) {
        log_tally_add(&file->tally->write_errors, 1);
        log_complain(&file->complaint, file->path, -fd);
        return;
    }
    close(file->fd);
    file->fd = fd;
    file->torn = false;
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

/* What is staged is lost. A line that was written in part is ended by the newline that the next lines bring
 * along. */
static void fail(struct log_file *file, size_t written, int error)
{
    const bool mended = file->staging[0] == '\n';

    log_tally_add(&file->tally->write_errors, 1);
    log_tally_add(&file->tally->dropped,
                  count_lines(file->staging + written, file->staged - written) - (mended && written == 0));
    log_complain(&file->complaint, file->path, error);
    file->torn = written > 0 ? file->staging[written - 1] != '\n' : file->torn || mended;
    file->staged = 0;
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
        } else if (written < 0 && errno == EAGAIN) {
            memmove(file->staging, text, len);
            file->staged = len;
            return false;
        } else if (written == 0 || errno != EINTR) {
            fail(file, done, written == 0 ? EIO : errno);
        }
    }
    file->staged = 0;
    return true;
}

/* One byte more than asked for, for the newline that ends a torn line. */
char *log_file_room(struct log_file *file, size_t size)
{
    assert(file->path != NULL);
    assert(size < LOG_STAGING_BYTES / 2);
    if (LOG_STAGING_BYTES - file->staged < size + 1)
        log_file_flush(file);
    if (LOG_STAGING_BYTES - file->staged < size + 1)
        return NULL;
    if (file->staged == 0 && file->torn) {
        file->staging[file->staged++] = '\n';
        file->torn = false;
    }
    return file->staging + file->staged;
}

void log_file_add(struct log_file *file, size_t len)
{
    assert(len <= LOG_STAGING_BYTES - file->staged);
    file->staged += len;
}
