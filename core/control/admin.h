/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The control socket: what fairleadctl asks, and what it changes. Runs on the control thread and never blocks it; a client that is slow or silent is
 * dropped after ADMIN_PATIENCE_MS, or after ADMIN_GRACE_MS when another waits for its place: only so many are served at a time, the others wait in the kernel's queue. When the
 * process has no descriptor left, one client at a time is served with one that was held in reserve. What the commands act on belongs to
 * the host (control.c), which gives it by the callbacks below. Protocol: ctl/protocol.h and doc/architecture.md.
 */
#ifndef FAIRLEAD_CONTROL_ADMIN_H
#define FAIRLEAD_CONTROL_ADMIN_H

#include "config/config.h"
#include "control/changes.h"
#include "proxy/service.h"

#define ADMIN_CLIENTS_MAX  16u   /* served at a time */
#define ADMIN_BACKLOG      128   /* waiting to be served */
#define ADMIN_PATIENCE_MS  5000u /* for a request to come whole, and for each part of an answer to be read */
#define ADMIN_GRACE_MS     200u  /* for a request to come whole, when places are short */
#define ADMIN_RESERVE_MS   20u   /* the same for who has the one descriptor that is left */
#define ADMIN_RETRY_MS     20u   /* until a client is tried again for whom there was no place or no descriptor */
#define ADMIN_ANSWER_MS    1000u /* for the workers to answer a survey */
#define ADMIN_SURVEYS_MAX  32u   /* that are not over, late ones included */
#define ADMIN_SENTENCE_MAX 4096u /* bytes of what the host says */

/* What there is now. All is borrowed, until the host does something else. */
struct admin_view {
    const struct config *config;
    struct pool *const *pools;
    size_t n_pools;
    struct worker *const *workers;
    unsigned n_workers;               /* that run */
    uint64_t started_ms;              /* CLOCK_MONOTONIC */
    unsigned long long reloads, reloads_failed;
    unsigned n_snapshots;             /* that are in use, the current one included */
    bool stopping;
};

enum admin_action { ADMIN_REOPEN, ADMIN_QUIT, ADMIN_STOP, ADMIN_UPGRADE };

/*
 * The host. Each callback but `view` returns 0 or -errno, and leaves lines in text[0..size): what was done, or why not ("" is allowed). One
 * that is NULL is not available. They are called from admin_run only, and may take their time.
 */
struct admin_host {
    void *context;
    void (*view)(void *context, struct admin_view *view);
    int (*reload)(void *context, char *text, size_t size);
    int (*change)(void *context, const struct change *change, char *text, size_t size);
    int (*act)(void *context, enum admin_action action, char *text, size_t size); /* the end of the process happens after admin_run */
};

struct admin_config {
    const struct control_settings *settings; /* borrowed during admin_create */
    int inherited_fd; /* a listening socket of the process before this one, which becomes ours; -1: none */
};

struct admin;

/* Makes the socket with its owner, group and mode: before privileges are dropped. A file that nobody listens on is removed first. Returns 0 and
 * *admin (NULL when no socket is configured), or -errno with a sentence. */
int admin_create(const struct admin_config *config, const struct admin_host *host, struct admin **admin, char *error,
                 size_t size) __attribute__((warn_unused_result));
/* After the workers have ended: they may still answer. Removes the socket's file, unless it is another's by now. NULL is allowed here and below. */
void admin_destroy(struct admin *admin);

/* To be polled for POLLIN; -1: none. */
int admin_fd(const struct admin *admin);
/* In how many milliseconds admin_run wants to be called though nothing is readable; at most `most_ms`. */
int admin_timeout_ms(const struct admin *admin, int most_ms);
void admin_run(struct admin *admin);

/* The listening socket, for the process after this one; -1: none. */
int admin_listener(const struct admin *admin);
/* That process serves it now: we accept no more, and leave the file. */
void admin_hand_over(struct admin *admin);

#endif
