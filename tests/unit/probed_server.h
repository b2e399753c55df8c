/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The server's side of a probe, for tests of probes and of the health thread. Included by one file per program. */
#ifndef FAIRLEAD_TESTS_PROBED_SERVER_H
#define FAIRLEAD_TESTS_PROBED_SERVER_H

#include "engine_fixture.h"

static inline int accept_from(int listener)
{
    int fd;

    ck_assert(readable(listener, PATIENCE_MS));
    fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    return fd;
}

/* Reads a request head; the caller frees nothing. */
static inline const char *read_request(int fd)
{
    static char request[8192];
    size_t len = 0;

    do {
        ssize_t got;

        ck_assert(readable(fd, PATIENCE_MS));
        got = recv(fd, request + len, sizeof(request) - 1 - len, 0);
        ck_assert_int_gt(got, 0);
        len += (size_t)got;
        request[len] = '\0';
    } while (!strstr(request, "\r\n\r\n"));
    return request;
}

#endif
