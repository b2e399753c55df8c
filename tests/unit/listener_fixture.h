/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the tests of listeners share: a set of them on real sockets, the configuration it opens, and callers. One
 * includer per program.
 */
#ifndef FAIRLEAD_TESTS_LISTENER_FIXTURE_H
#define FAIRLEAD_TESTS_LISTENER_FIXTURE_H

#include "control/listener.h"

#include "engine/clock.h"
#include "engine/log.h"

#include "listener_queue.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORKERS 2u
#define LISTENS 4u

static struct listeners *set;
static struct listen listens[LISTENS];
static struct config config;
static struct listener *opened[LISTENS];
static char directory[] = "/tmp/fairlead-listener-XXXXXX";
static char error[256];

static inline struct server_address inet(in_addr_t address, uint16_t port)
{
    struct server_address made = {.len = sizeof(struct sockaddr_in)};

    made.in = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(address)};
    return made;
}

static inline struct server_address path_of(const char *name)
{
    struct server_address made = {.len = sizeof(struct sockaddr_un)};

    made.un.sun_family = AF_UNIX;
    ck_assert_int_lt(snprintf(made.un.sun_path, sizeof(made.un.sun_path), "%s/%s", directory, name),
                     (int)sizeof(made.un.sun_path));
    return made;
}

static inline uint16_t free_port(void)
{
    struct server_address address = inet(INADDR_LOOPBACK, 0);
    socklen_t len = sizeof(address.in);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    ck_assert_int_eq(bind(fd, &address.sa, address.len), 0);
    ck_assert_int_eq(getsockname(fd, &address.sa, &len), 0);
    close(fd);
    return ntohs(address.in.sin_port);
}

static inline void configure(size_t n, ...)
{
    va_list list;

    va_start(list, n);
    config = (struct config){.n_listens = n, .listens = listens};
    for (size_t i = 0; i < n; i++)
        listens[i] = (struct listen){.address = *va_arg(list, struct server_address *), .name = "NAME", .backlog = 128};
    va_end(list);
}

static inline int open_all(void)
{
    return listeners_open(set, &config, WORKERS, opened, error, sizeof(error));
}

static inline void setup(void)
{
    const struct log_config nowhere = {.level = LOG_DEBUG, .queue_size = 4 * LOG_LINE_MAX};
    const char *path;

    ck_assert_int_eq(log_open(&nowhere, &path), 0);
    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert_int_eq(listeners_create(&set), 0);
}

static inline void teardown(void)
{
    listeners_destroy(set);
    ck_assert_int_eq(rmdir(directory), 0); /* no file is left over */
}

static inline int call_from(int type, const struct server_address *address)
{
    int fd = socket(address->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | type, 0);

    ck_assert_int_ge(fd, 0);
    return connect(fd, &address->sa, address->len) == 0 || errno == EINPROGRESS ? fd : (close(fd), -errno);
}

static inline int call(const struct server_address *address)
{
    return call_from(0, address);
}

static inline int socket_that_listens(const struct server_address *address, bool shares_port)
{
    int fd = socket(address->sa.sa_family, SOCK_STREAM, 0), yes = 1;

    if (shares_port)
        ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes)), 0);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)), 0);
    ck_assert_int_eq(bind(fd, &address->sa, address->len), 0);
    ck_assert_int_eq(listen(fd, 16), 0);
    return fd;
}

static inline bool exists(const struct server_address *address)
{
    return access(address->un.sun_path, F_OK) == 0;
}

/* Runs the tests, each with an empty set and a directory for its paths. Returns what main does. */
static inline int listener_main(const char *name, void (*add_tests)(TCase *tests))
{
    return suite_run(&(struct suite){name, 30, setup, teardown, add_tests});
}

#endif
