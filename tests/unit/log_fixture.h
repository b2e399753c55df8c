/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the tests of the log share: a directory of their own, stderr caught in a file, and the opening and
 * closing of the log. One includer per program.
 */
#ifndef FAIRLEAD_TESTS_LOG_FIXTURE_H
#define FAIRLEAD_TESTS_LOG_FIXTURE_H

#include <check.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/clock.h"
#include "engine/log.h"

#define QUEUE_BYTES (4 * LOG_LINE_MAX)
#define PATIENCE_MS 8000

static char directory[64], access_path[96], error_path[96], socket_path[96], stderr_path[96];
static int real_stderr;

static inline char *read_all(const char *path, size_t *len)
{
    const int fd = open(path, O_RDONLY);
    struct stat status;
    char *text;
    ssize_t got;

    ck_assert_msg(fd >= 0, "cannot open %s", path);
    ck_assert_int_eq(fstat(fd, &status), 0);
    text = calloc(1, (size_t)status.st_size + 1);
    got = read(fd, text, (size_t)status.st_size);
    ck_assert_int_eq(got, status.st_size);
    close(fd);
    *len = (size_t)got;
    return text;
}

static inline bool file_contains(const char *path, const char *wanted)
{
    size_t len;
    char *text = read_all(path, &len);
    const bool found = memmem(text, len, wanted, strlen(wanted)) != NULL;

    free(text);
    return found;
}

static inline void sleep_ms(long ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    nanosleep(&pause, NULL);
}

static inline uint64_t now_ms(void)
{
    return clock_monotonic_ns() / 1000000;
}

static inline void wait_for(const char *path, const char *wanted)
{
    const uint64_t end = now_ms() + PATIENCE_MS;

    while (!file_contains(path, wanted)) {
        ck_assert_msg(now_ms() < end, "%s did not come to contain: %s", path, wanted);
        sleep_ms(2);
    }
}

/* stderr goes to a file for the length of a test. */
static inline void setup(void)
{
    strcpy(directory, "/tmp/fairlead-log-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(access_path, sizeof(access_path), "%s/access.log", directory);
    snprintf(error_path, sizeof(error_path), "%s/error.log", directory);
    snprintf(socket_path, sizeof(socket_path), "%s/syslog", directory);
    snprintf(stderr_path, sizeof(stderr_path), "%s/stderr", directory);
    real_stderr = dup(STDERR_FILENO);
    const int fd = open(stderr_path, O_WRONLY | O_CREAT | O_APPEND, 0600);

    ck_assert_int_ge(dup2(fd, STDERR_FILENO), 0);
    close(fd);
}

static inline void teardown(void)
{
    char path[160];

    log_stop();
    log_detach();
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    for (int i = 0; i < 10; i++) {
        snprintf(path, sizeof(path), "%s.%d", access_path, i);
        unlink(path);
    }
    unlink(access_path);
    unlink(error_path);
    unlink(socket_path);
    unlink(stderr_path);
    rmdir(directory);
}

static inline struct log_config config_of(const char *access, const char *error)
{
    return (struct log_config){
        .sinks = {[LOG_SINK_ACCESS] = {.path = access, .facility = LOG_LOCAL3},
                  [LOG_SINK_ERROR] = {.path = error, .facility = LOG_DAEMON}},
        .level = LOG_INFO,
        .access_priority = LOG_INFO,
        .queue_size = QUEUE_BYTES,
    };
}

static inline void open_log(struct log_config config)
{
    const char *path = NULL;

    ck_assert_int_eq(log_open(&config, &path), 0);
    ck_assert_int_eq(log_attach(), 0);
}

static inline void start_log(struct log_config config)
{
    open_log(config);
    ck_assert_int_eq(log_start(), 0);
}

static inline void end_log(void)
{
    log_stop();
    log_detach();
}

static inline bool put_line(const char *text, size_t len)
{
    char *room = log_reserve(LOG_SINK_ACCESS, len);

    if (room == NULL)
        return false;
    memcpy(room, text, len);
    log_commit(len);
    return true;
}

static inline TCase *new_case(Suite *suite, const char *name)
{
    TCase *tcase = tcase_create(name);

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    suite_add_tcase(suite, tcase);
    return tcase;
}

#endif
