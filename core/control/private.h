/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of the control thread that start, serve and stop share. Private to core/control. */
#ifndef FAIRLEAD_CONTROL_PRIVATE_H
#define FAIRLEAD_CONTROL_PRIVATE_H

#include "control/admin.h"
#include "control/control.h"
#include "control/editions.h"
#include "control/notify.h"
#include "control/pulse.h"
#include "control/reload.h"
#include "control/threads.h"
#include "control/upgrade.h"

#include <limits.h>

#define CONTROL_REARMS   8u   /* after an upgrade */
#define CONTROL_REARM_MS 250u /* between them */

struct control {
    const struct control_options *options;
    struct config *config;       /* until the first edition has it; then of that, for good */
    struct listeners *listeners; /* owned */
    struct threads threads;
    struct editions editions;
    struct serving serving;
    struct loaded *first;        /* the configuration that threads were made by; a reference */
    struct notify notify;
    struct pulse pulse;
    struct admin *admin;         /* owned; NULL: no control socket */
    struct upgrade *upgrade;     /* owned; NULL: none is under way */
    struct upgrade_gift *gift;   /* owned; NULL: this process was not started by an upgrade */
    char binary[PATH_MAX];       /* what an upgrade starts; "": not known */
    char *pid_file;              /* owned; NULL: none */
    int signals;
    int wanted;                  /* a signal that the control socket asks for; 0: none */
    uint64_t started_ms;         /* CLOCK_MONOTONIC */
    unsigned n_rearms;           /* that are left, of a process that took over: the one before stops to accept meanwhile */
    uint64_t rearm_ms;           /* when the next one is due */
    bool stopping;               /* gracefully */
    bool reload_later;           /* a HUP came during an upgrade */
    bool given_away;             /* a new process goes on with the sockets */
};

/* start.c: from the configuration to workers that accept. Returns 0, or -errno after having told why. */
int control_start(struct control *control) __attribute__((warn_unused_result));
/* A sentence on stderr, as nginx words it, and to the process that started this one by an upgrade. Returns -EINVAL. */
int control_fail(const struct control *control, const char *sentence);

/* host.c: what the control socket's commands act on. */
extern const struct admin_host control_host; /* but for the context, which is the struct control */

/* control.c. Tells the service manager too. Returns 0, or -errno; what there is to say is in text[0..size). */
int control_reload(struct control *control, char *text, size_t size);
int control_upgrade(struct control *control, char *text, size_t size);
int control_reopen(struct control *control, char *text, size_t size);

#endif
