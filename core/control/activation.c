/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sockets from systemd; see activation.h. */
#include "control/activation.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_FD 3

/* A number of digits alone, at most `most`; -1: it is none. */
static long read_number(const char *text, long most)
{
    char *end;
    long value;

    if (!text || *text < '0' || *text > '9')
        return -1;
    errno = 0;
    value = strtol(text, &end, 10);
    return *end == '\0' && errno == 0 && value <= most ? value : -1;
}

/* The name that FileDescriptorName= gave to socket k, for the sentence; "unknown" when there is none. */
static void read_name(const char *names, long k, char *name, size_t size)
{
    for (; names && k > 0; k--) {
        names = strchr(names, ':');
        names = names ? names + 1 : NULL;
    }
    if (names && *names && *names != ':')
        snprintf(name, size, "%.*s", (int)strcspn(names, ":"), names);
    else
        snprintf(name, size, "unknown");
}

static int take(struct listeners *listeners, long n, const char *names, char *error, size_t size)
{
    char name[64], reason[256];

    for (long k = 0; k < n; k++) {
        int code = listeners_inherit(listeners, FIRST_FD + (int)k, false, reason, sizeof(reason));

        if (code == 0)
            continue;
        read_name(names, k, name, sizeof(name));
        snprintf(error, size, "systemd gave socket \"%s\": %s", name, reason);
        return code;
    }
    return (int)n;
}

int activation_take(struct listeners *listeners, char *error, size_t size)
{
    long pid = read_number(getenv("LISTEN_PID"), INT32_MAX), n = 0;
    int result = 0;

    if (pid == getpid()) {
        n = read_number(getenv("LISTEN_FDS"), ACTIVATION_FDS_MAX);
        if (n < 0) {
            snprintf(error, size, "the variable LISTEN_FDS is not a number of sockets");
            result = -EINVAL;
        } else {
            result = take(listeners, n, getenv("LISTEN_FDNAMES"), error, size);
        }
    }
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_FDNAMES");
    return result;
}
