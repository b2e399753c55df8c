/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `fairlead -s`: finds the running Fairlead by the configuration's pid file and tells it what to do. A process of its own, which ends then. */
#ifndef FAIRLEAD_CONTROL_SIGNALLER_H
#define FAIRLEAD_CONTROL_SIGNALLER_H

#include "control/control.h"

#include <stdbool.h>
#include <sys/types.h>

#define SIGNALLER_ANSWER_MS 120000 /* how long an answer over the control socket may take: names are resolved meanwhile */

/* "reload" (HUP), "quit" (QUIT), "stop" (TERM), "reopen" (USR1), "upgrade" (USR2). Returns the signal, or 0. */
int signaller_signal(const char *name);

/*
 * Reads the configuration, without resolving names, for its pid file, and sends the signal. Before a reload the configuration is tested in this process, and
 * nothing is sent when it is broken. An upgrade is waited for, UPGRADE_TIMEOUT_MS at most. Tells on stderr what is wrong. Returns the exit status.
 */
int signaller_run(const struct control_options *options, const char *name);

/* The process in a pid file, if it is a running Fairlead. Returns it, or 0 after a sentence in error[0..size). */
pid_t signaller_find(const char *pid_file, char *error, size_t size);

/*
 * Asks over the control socket: `request` is a line without its end. Returns 0 for "ok"; 1 for "error TEXT", TEXT and what follows it in answer[0..size); or -errno when
 * there is no answer: nobody listens (-ENOENT, -ECONNREFUSED, -EACCES), or what came is none (-EPROTO, -ETIMEDOUT).
 */
int signaller_ask(const char *socket_path, const char *request, char *answer, size_t size)
    __attribute__((warn_unused_result));

#endif
