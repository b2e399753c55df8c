/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Opening listening sockets; see listener.h. What is set on the listener is inherited by every connection: no call per connection. */
#include "control/listener.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int set(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value)) == 0 ? 0 : -errno;
}

static int set_options(int fd, const struct listen *listen, const struct engine_settings *engine)
{
    int family = listen->address.sa.sa_family;
    int error = 0;

    if (family != AF_UNIX) {
        error = set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
        if (!error)
            error = set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
        if (!error)
            error = set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    }
    if (!error && family == AF_INET6)
        error = set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (!error && engine->socket_send_buffer > 0)
        error = set(fd, SOL_SOCKET, SO_SNDBUF, (int)engine->socket_send_buffer);
    return error;
}

/* A socket file that nobody listens on is left over from a process that was killed: it may go. */
static void remove_stale(const struct listen *listen)
{
    struct stat status;
    int fd;

    if (lstat(listen->address.un.sun_path, &status) != 0 || !S_ISSOCK(status.st_mode))
        return;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (connect(fd, &listen->address.sa, listen->address.len) != 0 && errno == ECONNREFUSED)
        unlink(listen->address.un.sun_path);
    close(fd);
}

static int fail(const char *what, const struct listen *listen, int code, char *error, size_t size)
{
    snprintf(error, size, "%s %s failed (%d: %s)", what, listen->name, code, strerror(code));
    return -code;
}

/* The system call's name is hidden by the struct's where it is needed. */
static int start_listening(int fd, int backlog)
{
    return listen(fd, backlog);
}

static int open_one(const struct listen *listen, const struct engine_settings *engine, char *error, size_t size)
{
    int fd = socket(listen->address.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int code;

    if (fd < 0)
        return fail("socket() for", listen, errno, error, size);
    code = -set_options(fd, listen, engine);
    if (code) {
        close(fd);
        return fail("setsockopt() for", listen, code, error, size);
    }
    if (bind(fd, &listen->address.sa, listen->address.len) != 0) {
        code = errno;
        close(fd);
        return fail("bind() to", listen, code, error, size);
    }
    if (listen->address.sa.sa_family == AF_UNIX)
        (void)chmod(listen->address.un.sun_path, 0666);
    if (start_listening(fd, listen->backlog) != 0) {
        code = errno;
        close(fd);
        return fail("listen() on", listen, code, error, size);
    }
    return fd;
}

/* A port that somebody else holds would be shared silently because of SO_REUSEPORT (same user): asked for once without it. */
static int check_free(const struct listen *listen, char *error, size_t size)
{
    int fd, code = 0;

    if (listen->address.sa.sa_family == AF_UNIX) {
        remove_stale(listen);
        return 0;
    }
    fd = socket(listen->address.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fail("socket() for", listen, errno, error, size);
    (void)set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (listen->address.sa.sa_family == AF_INET6)
        (void)set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (bind(fd, &listen->address.sa, listen->address.len) != 0)
        code = errno;
    close(fd);
    return code ? fail("bind() to", listen, code, error, size) : 0;
}

static int open_all(struct listeners *listeners, size_t index, char *error, size_t size)
{
    const struct listen *listen = &listeners->config->listens[index];
    bool shared = listen->address.sa.sa_family == AF_UNIX;
    int result = 0;

    for (unsigned worker = 0; result == 0 && worker < listeners->n_workers; worker++) {
        int *fd = &listeners->fds[worker * listeners->config->n_listens + index];

        if (shared && worker > 0) {
            *fd = listeners->fds[index];
            continue;
        }
        *fd = open_one(listen, &listeners->config->engine, error, size);
        if (*fd < 0)
            result = *fd;
        listeners->bound[index] |= shared && *fd >= 0;
    }
    return result;
}

int listeners_open(struct listeners *listeners, const struct config *config, unsigned n_workers, char *error,
                   size_t size)
{
    size_t n = (size_t)n_workers * config->n_listens;
    int result = 0;

    *listeners = (struct listeners){.config = config, .n_workers = n_workers};
    listeners->fds = malloc((n ? n : 1) * sizeof(int));
    listeners->bound = calloc(config->n_listens ? config->n_listens : 1, sizeof(bool));
    if (!listeners->fds || !listeners->bound) {
        snprintf(error, size, "out of memory");
        return -ENOMEM;
    }
    for (size_t i = 0; i < n; i++)
        listeners->fds[i] = -1;
    /* All are asked for before any is opened: "*:80" and "127.0.0.1:80" of one configuration go together. */
    for (size_t i = 0; result == 0 && i < config->n_listens; i++)
        result = check_free(&config->listens[i], error, size);
    for (size_t i = 0; result == 0 && i < config->n_listens; i++)
        result = open_all(listeners, i, error, size);
    return result;
}

void listeners_close(struct listeners *listeners)
{
    if (!listeners->fds)
        return;
    for (size_t i = 0; i < listeners->config->n_listens; i++) {
        const struct listen *listen = &listeners->config->listens[i];
        bool shared = listen->address.sa.sa_family == AF_UNIX;

        for (unsigned worker = 0; worker < (shared ? 1 : listeners->n_workers); worker++) {
            int fd = listeners->fds[worker * listeners->config->n_listens + i];

            if (fd >= 0)
                close(fd);
        }
        if (listeners->bound && listeners->bound[i])
            unlink(listen->address.un.sun_path);
    }
    free(listeners->fds);
    free(listeners->bound);
    *listeners = (struct listeners){0};
}

const int *listeners_of_worker(const struct listeners *listeners, unsigned worker)
{
    return &listeners->fds[worker * listeners->config->n_listens];
}
