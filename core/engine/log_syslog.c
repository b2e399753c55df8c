/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The connection to the syslog daemon's socket. Our own and not syslog(3)'s, which may block for as long as
 * the daemon hangs, and then every log would stand still. Runs on the log thread.
 */
#include "engine/log_syslog.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void log_syslog_init(struct log_syslog *syslog, const char *path)
{
    *syslog = (struct log_syslog){.fd = -1, .address.sun_family = AF_UNIX};
    assert(strlen(path) < sizeof(syslog->address.sun_path));
    memcpy(syslog->address.sun_path, path, strlen(path) + 1);
}

void log_syslog_fini(struct log_syslog *syslog)
{
    if (syslog->fd >= 0)
        close(syslog->fd);
    syslog->fd = -1;
}

/* A failed attempt is not repeated within the second, so that an absent daemon does not cost three system
 * calls per line. */
static int connect_daemon(struct log_syslog *syslog, int64_t second)
{
    const struct sockaddr *address = (const struct sockaddr *)&syslog->address;
    int error;

    if (second < syslog->retry_second)
        return -ENOTCONN;
    syslog->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (syslog->fd >= 0 && connect(syslog->fd, address, sizeof(syslog->address)) == 0)
        return 0;
    error = -errno;
    log_syslog_fini(syslog);
    syslog->retry_second = second + 1;
    return error;
}

/* These mean that the connection is fine and only this message is not taken. */
static bool is_refusal(int error)
{
    return error == EAGAIN || error == ENOBUFS || error == ENOMEM || error == EMSGSIZE || error == EINTR;
}

/* A daemon that was restarted leaves us with a dead connection: the second attempt goes over a new one. */
int log_syslog_send(struct log_syslog *syslog, const char *text, size_t len, int64_t second)
{
    int error = 0;

    for (int attempt = 0; attempt < 2; attempt++) {
        if (syslog->fd < 0) {
            error = connect_daemon(syslog, second);
            if (error < 0)
                return error;
        }
        if (send(syslog->fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
            return 0;
        error = -errno;
        if (is_refusal(-error))
            return error;
        log_syslog_fini(syslog);
    }
    return error;
}
