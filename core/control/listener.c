/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The set of listening sockets; see listener.h. */
#include "control/listener.h"

#include "control/listener_socket.h"
#include "engine/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct listeners {
    struct listener *first;
    unsigned n_fds; /* of all, at most LISTENER_FDS_MAX */
};

int listeners_create(struct listeners **listeners)
{
    *listeners = calloc(1, sizeof(**listeners));
    return *listeners ? 0 : -ENOMEM;
}

static int run_out(char *error, size_t size)
{
    snprintf(error, size, "out of memory");
    return -ENOMEM;
}

static struct listener *new_listener(struct listeners *listeners, const struct server_address *address)
{
    struct listener *listener = calloc(1, sizeof(*listener));

    if (!listener)
        return NULL;
    listener->set = listeners;
    listener->address = *address;
    server_address_print(address, listener->name, sizeof(listener->name));
    return listener;
}

/* Returns 0; -ENOMEM or -ENFILE: the descriptor is still the caller's. */
static int add_fd(struct listener *listener, int fd)
{
    int *fds;

    if (listener->set->n_fds >= LISTENER_FDS_MAX)
        return -ENFILE;
    fds = realloc(listener->fds, (listener->n_fds + 1) * sizeof(*fds));
    if (!fds)
        return -ENOMEM;
    listener->fds = fds;
    listener->fds[listener->n_fds++] = fd;
    listener->set->n_fds++;
    return 0;
}

/* The file may have been replaced by somebody else's since. */
static void remove_file(struct listener *listener)
{
    const char *path = listener->address.un.sun_path;
    struct stat status;

    if (listener->file_is_ours && lstat(path, &status) == 0 && status.st_dev == listener->file_dev &&
        status.st_ino == listener->file_ino)
        unlink(path);
    listener->file_is_ours = false;
}

static void note_file(struct listener *listener)
{
    struct stat status;

    listener->file_is_ours = lstat(listener->address.un.sun_path, &status) == 0 && S_ISSOCK(status.st_mode);
    if (!listener->file_is_ours)
        return;
    listener->file_dev = status.st_dev;
    listener->file_ino = status.st_ino;
}

static void free_listener(struct listener *listener)
{
    for (unsigned i = 0; i < listener->n_fds; i++)
        close(listener->fds[i]);
    listener->set->n_fds -= listener->n_fds;
    remove_file(listener);
    free(listener->fds);
    free(listener);
}

static void unlink_listener(struct listener *listener)
{
    struct listener **place = &listener->set->first;

    while (*place != listener)
        place = &(*place)->next;
    *place = listener->next;
}

void listeners_destroy(struct listeners *listeners)
{
    struct listener *next;

    if (!listeners)
        return;
    for (struct listener *listener = listeners->first; listener; listener = next) {
        next = listener->next;
        free_listener(listener);
    }
    free(listeners);
}

/* A unix socket whose file is gone cannot be heard again. */
static struct listener *find(const struct listeners *listeners, const struct server_address *address)
{
    for (struct listener *listener = listeners->first; listener; listener = listener->next)
        if (server_address_equals(&listener->address, address) && !(listener->hushed && address->sa.sa_family == AF_UNIX))
            return listener;
    return NULL;
}

int listeners_inherit(struct listeners *listeners, int fd, bool file_is_ours, char *error, size_t size)
{
    struct server_address address;
    struct listener *listener, *fresh = NULL;
    int code = socket_describe(fd, &address, error, size);

    if (code)
        return code;
    listener = find(listeners, &address);
    if (!listener) {
        listener = fresh = new_listener(listeners, &address);
        if (!listener)
            return run_out(error, size);
    }
    code = add_fd(listener, fd);
    if (code) {
        snprintf(error, size, "cannot take the socket of %s (%d: %s)", listener->name, -code, strerror(-code));
        free(fresh);
        return code;
    }
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    if (address.sa.sa_family == AF_UNIX && file_is_ours)
        note_file(listener);
    if (fresh) {
        fresh->next = listeners->first;
        listeners->first = fresh;
    }
    return 0;
}

static bool is_beside_ours(const struct listeners *listeners, const struct server_address *address)
{
    for (const struct listener *listener = listeners->first; listener; listener = listener->next)
        if (socket_overlap(&listener->address, address))
            return true;
    return false;
}

static int open_sockets(struct listener *listener, const struct listen *listen, const struct engine_settings *engine,
                        unsigned n, char *error, size_t size)
{
    while (listener->n_fds < n) {
        int fd = socket_open(listen, engine, error, size);
        int code;

        if (fd < 0)
            return fd;
        if (listen->address.sa.sa_family == AF_UNIX)
            note_file(listener);
        code = add_fd(listener, fd);
        if (code) {
            close(fd);
            snprintf(error, size, "too many listening sockets or no memory at %s", listen->name);
            return code;
        }
    }
    return 0;
}

/* Finds what is open already, and makes the others without sockets; those have no reference and are in no list. */
static int find_all(struct listeners *listeners, const struct config *config, struct listener **out, char *error,
                    size_t size)
{
    for (size_t i = 0; i < config->n_listens; i++) {
        const struct server_address *address = &config->listens[i].address;
        int code;

        out[i] = find(listeners, address);
        if (out[i])
            continue;
        /* All are asked for before any is opened: "*:80" and "127.0.0.1:80" of one configuration go together. */
        code = is_beside_ours(listeners, address) ? 0 : socket_check_free(&config->listens[i], error, size);
        if (code)
            return code;
        out[i] = new_listener(listeners, address);
        if (!out[i])
            return run_out(error, size);
    }
    return 0;
}

static bool is_listed(const struct listener *listener)
{
    for (const struct listener *other = listener->set->first; other; other = other->next)
        if (other == listener)
            return true;
    return false;
}

/*
 * Sockets from outside may be fewer than the workers. Others are opened beside them where that may be; where it may not (another user's, made without
 * SO_REUSEPORT), workers share.
 */
static void complete(struct listener *listener, const struct listen *listen, const struct engine_settings *engine,
                     unsigned n_workers)
{
    char error[256];

    for (unsigned i = 0; i < listener->n_fds; i++)
        socket_adopt(listener->fds[i], &listener->address, engine);
    if (listen->address.sa.sa_family != AF_UNIX && socket_shares_port(listener->fds[0]))
        (void)open_sockets(listener, listen, engine, n_workers, error, sizeof(error));
    if (listener->n_fds < n_workers && listen->address.sa.sa_family != AF_UNIX)
        log_write(LOG_NOTICE, "workers share the sockets of an address address=%s sockets=%u", listen->name,
                  listener->n_fds);
}

static void hear_again(struct listener *listener)
{
    for (unsigned i = 0; listener->hushed && i < listener->n_fds; i++)
        (void)socket_pass_syns(listener->fds[i]);
    listener->hushed = false;
}

static void take(struct listeners *listeners, const struct config *config, unsigned n_workers, struct listener **out)
{
    for (size_t i = 0; i < config->n_listens; i++) {
        struct listener *listener = out[i];

        if (!is_listed(listener)) {
            listener->next = listeners->first;
            listeners->first = listener;
        } else {
            if (listener->refs == 0)
                complete(listener, &config->listens[i], &config->engine, n_workers);
            for (unsigned k = 0; k < listener->n_fds; k++)
                (void)socket_listen(listener->fds[k], config->listens[i].backlog);
            hear_again(listener);
        }
        listener->refs++;
    }
}

int listeners_open(struct listeners *listeners, const struct config *config, unsigned n_workers, struct listener **out,
                   char *error, size_t size)
{
    int code;

    for (size_t i = 0; i < config->n_listens; i++)
        out[i] = NULL;
    code = find_all(listeners, config, out, error, size);
    for (size_t i = 0; code == 0 && i < config->n_listens; i++) {
        bool shared = config->listens[i].address.sa.sa_family == AF_UNIX;

        if (out[i]->n_fds == 0)
            code = open_sockets(out[i], &config->listens[i], &config->engine, shared ? 1 : n_workers, error, size);
    }
    if (code == 0) {
        take(listeners, config, n_workers, out);
        return 0;
    }
    for (size_t i = 0; i < config->n_listens; i++) {
        if (out[i] && !is_listed(out[i]))
            free_listener(out[i]);
        out[i] = NULL;
    }
    return code;
}

void listener_get(struct listener *listener)
{
    listener->refs++;
}

void listener_put(struct listener *listener)
{
    if (--listener->refs > 0)
        return;
    unlink_listener(listener);
    free_listener(listener);
}

void listener_hush(struct listener *listener)
{
    if (listener->hushed)
        return;
    listener->hushed = true;
    if (listener->address.sa.sa_family == AF_UNIX) {
        remove_file(listener);
        return;
    }
    for (unsigned i = 0; i < listener->n_fds; i++) {
        int error = socket_drop_syns(listener->fds[i]);

        if (error)
            log_write(LOG_WARNING, "cannot keep new connections out address=%s error=\"%s\"", listener->name,
                      strerror(-error));
    }
}

void listeners_give_to(struct listeners *listeners, uid_t user)
{
    for (const struct listener *listener = listeners->first; listener; listener = listener->next)
        for (unsigned i = 0; i < listener->n_fds; i++)
            if (fchown(listener->fds[i], user, (gid_t)-1) != 0)
                log_write(LOG_WARNING, "a socket cannot change its user address=%s error=\"%s\"", listener->name,
                          strerror(errno));
}

void listeners_give_away(struct listeners *listeners)
{
    for (struct listener *listener = listeners->first; listener; listener = listener->next)
        listener->file_is_ours = false;
}

unsigned listeners_drop_unclaimed(struct listeners *listeners, bool hush)
{
    struct listener *next;
    unsigned n = 0;

    for (struct listener *listener = listeners->first; listener; listener = next) {
        next = listener->next;
        if (listener->refs > 0)
            continue;
        log_write(LOG_NOTICE, "a socket that was given is not in the configuration address=%s", listener->name);
        if (hush)
            listener_hush(listener);
        unlink_listener(listener);
        free_listener(listener);
        n++;
    }
    return n;
}

static bool is_at(const struct listener *listener, const char *path)
{
    return listener->refs == 0 && listener->address.sa.sa_family == AF_UNIX && strcmp(listener->address.un.sun_path, path) == 0;
}

int listeners_take_unix(struct listeners *listeners, const char *path)
{
    struct listener *listener = listeners->first;
    int fd;

    while (listener && !is_at(listener, path))
        listener = listener->next;
    if (!listener)
        return -1;
    fd = listener->fds[0];
    listener->fds[0] = -1; /* closing it does no harm */
    listener->file_is_ours = false;
    unlink_listener(listener);
    free_listener(listener);
    return fd;
}

const struct listener *listeners_first(const struct listeners *listeners)
{
    return listeners->first;
}
