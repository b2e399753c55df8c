/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The local syslog daemon, reached by datagrams that never wait: what it does not take at once is lost. Log
 * thread only. */
#ifndef FAIRLEAD_ENGINE_LOG_SYSLOG_H
#define FAIRLEAD_ENGINE_LOG_SYSLOG_H

#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

struct log_syslog {
    int fd;               /* owned; -1 while there is no connection */
    int64_t retry_second; /* not before it is a new connection tried after one failed */
    struct sockaddr_un address;
};

void log_syslog_init(struct log_syslog *syslog, const char *path);
void log_syslog_fini(struct log_syslog *syslog);
/* Sends one message, prefix included, at `second` of the clock. Returns 0 or -errno: it is lost then. */
int log_syslog_send(struct log_syslog *syslog, const char *text, size_t len, int64_t second)
    __attribute__((warn_unused_result));

#endif
