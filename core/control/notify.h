/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a service manager is told: sd_notify(3)'s protocol, datagrams to the unix socket named in NOTIFY_SOCKET. Control thread; a manager that does not read never
 * makes it wait. The socket is opened at the start, so that it works from within a chroot and as another user.
 */
#ifndef FAIRLEAD_CONTROL_NOTIFY_H
#define FAIRLEAD_CONTROL_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define NOTIFY_STATUS_MAX 256u

struct notify {
    int fd;                /* -1: nobody is to be told; all below does nothing then */
    uint32_t watchdog_ms;  /* 0: no watchdog. The manager kills who is silent for so long */
    uint64_t next_ping_ms; /* CLOCK_MONOTONIC */
};

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. A socket that cannot be reached is logged, and is no reason not to serve. */
void notify_open(struct notify *notify);
void notify_close(struct notify *notify);

/* `status` is a line for people (systemctl status), or NULL. Each returns 0, also when nobody is to be told, or -errno. */
int notify_ready(struct notify *notify, const char *status);
/* Until the next notify_ready; with the time that Type=notify-reload asks for. */
int notify_reloading(struct notify *notify, const char *status);
int notify_stopping(struct notify *notify, const char *status);
int notify_status(struct notify *notify, const char *status);
/* After an upgrade, by the new process: it is the main one now, and ready. NotifyAccess=all lets it say so. */
int notify_main_pid(struct notify *notify, pid_t pid, const char *status);
/* Why the process ends; `code` is an errno. */
int notify_failed(struct notify *notify, int code, const char *status);

/* In how many milliseconds notify_watchdog wants to be called; at most `most_ms`. */
int notify_watchdog_ms(const struct notify *notify, uint64_t now_ms, int most_ms);
/* Tells the manager that all is well, twice in the time that it allows. `alive`: the workers, too, have made progress since the last call that was
 * due; if not nothing is said, and the manager acts when the time is over. Returns whether it was due. */
bool notify_watchdog(struct notify *notify, uint64_t now_ms, bool alive);

#endif
