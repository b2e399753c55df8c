/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The service manager; see notify.h. */
#include "control/notify.h"

#include "engine/clock.h"
#include "engine/log.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MESSAGE_MAX (NOTIFY_STATUS_MAX + 256u)

/* "/path", or "@name" for an abstract one. */
static bool read_address(const char *text, struct sockaddr_un *address, socklen_t *len)
{
    size_t n = strlen(text);

    if ((text[0] != '/' && text[0] != '@') || n < 2 || n >= sizeof(address->sun_path))
        return false;
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address->sun_path, text, n);
    if (text[0] == '@')
        address->sun_path[0] = '\0';
    *len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    return true;
}

static int open_socket(const char *text)
{
    struct sockaddr_un address;
    socklen_t len;
    int fd, error;

    if (!read_address(text, &address, &len))
        return -EINVAL;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (struct sockaddr *)&address, len) == 0)
        return fd;
    error = -errno;
    close(fd);
    return error;
}

/* A number that is nothing but digits; 0: none. */
static uint64_t read_number(const char *text)
{
    uint64_t value = 0;

    if (!text || !*text)
        return 0;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || __builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
            return 0;
    }
    return value;
}

/* Meant for this process, unless WATCHDOG_PID names another. */
static uint32_t read_watchdog(void)
{
    const char *pid = getenv("WATCHDOG_PID");
    uint64_t ms = read_number(getenv("WATCHDOG_USEC")) / 1000;

    if (pid && read_number(pid) != (uint64_t)getpid())
        return 0;
    return ms > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uint32_t)ms;
}

void notify_open(struct notify *notify)
{
    const char *text = getenv("NOTIFY_SOCKET");

    *notify = (struct notify){.fd = -1};
    if (!text || !*text)
        return;
    notify->fd = open_socket(text);
    if (notify->fd < 0) {
        log_write(LOG_WARNING, "cannot reach the service manager socket=%s error=\"%s\"", text, strerror(-notify->fd));
        notify->fd = -1;
        return;
    }
    notify->watchdog_ms = read_watchdog();
}

void notify_close(struct notify *notify)
{
    if (notify->fd >= 0)
        close(notify->fd);
    notify->fd = -1;
}

static int send_text(struct notify *notify, const char *text, size_t len)
{
    static struct log_limit limit;
    int error;

    if (send(notify->fd, text, len, MSG_NOSIGNAL) == (ssize_t)len)
        return 0;
    error = -errno;
    log_write_limited(&limit, 1, LOG_WARNING, "cannot tell the service manager error=\"%s\"", strerror(-error));
    return error;
}

/* A status ends at its first line's end, or it would be taken for something else to say. */
static int tell(struct notify *notify, const char *what, const char *status)
{
    char text[MESSAGE_MAX];
    int n, n_status = status ? (int)strcspn(status, "\n") : 0;

    if (notify->fd < 0)
        return 0;
    if (n_status > (int)NOTIFY_STATUS_MAX)
        n_status = (int)NOTIFY_STATUS_MAX;
    if (status)
        n = snprintf(text, sizeof(text), "%s%sSTATUS=%.*s", what, *what ? "\n" : "", n_status, status);
    else
        n = snprintf(text, sizeof(text), "%s", what);
    return n < 0 || (size_t)n >= sizeof(text) ? -EMSGSIZE : send_text(notify, text, (size_t)n);
}

int notify_ready(struct notify *notify, const char *status)
{
    return tell(notify, "READY=1", status);
}

int notify_reloading(struct notify *notify, const char *status)
{
    char text[64];

    snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)(clock_monotonic_ns() / 1000));
    return tell(notify, text, status);
}

int notify_stopping(struct notify *notify, const char *status)
{
    return tell(notify, "STOPPING=1", status);
}

int notify_status(struct notify *notify, const char *status)
{
    return tell(notify, "", status);
}

int notify_main_pid(struct notify *notify, pid_t pid, const char *status)
{
    char text[64];

    snprintf(text, sizeof(text), "MAINPID=%d\nREADY=1", (int)pid);
    return tell(notify, text, status);
}

int notify_failed(struct notify *notify, int code, const char *status)
{
    char text[32];

    snprintf(text, sizeof(text), "ERRNO=%d", code < 0 ? -code : code);
    return tell(notify, text, status);
}

int notify_watchdog_ms(const struct notify *notify, uint64_t now_ms, int most_ms)
{
    uint64_t left_ms = notify->next_ping_ms > now_ms ? notify->next_ping_ms - now_ms : 0;

    if (notify->watchdog_ms == 0 || notify->fd < 0 || (most_ms >= 0 && left_ms >= (uint64_t)most_ms))
        return most_ms;
    return (int)left_ms;
}

bool notify_watchdog(struct notify *notify, uint64_t now_ms, bool alive)
{
    if (notify->watchdog_ms == 0 || notify->fd < 0 || now_ms < notify->next_ping_ms)
        return false;
    notify->next_ping_ms = now_ms + (notify->watchdog_ms > 1 ? notify->watchdog_ms / 2 : 1);
    if (alive)
        (void)tell(notify, "WATCHDOG=1", NULL);
    return true;
}
