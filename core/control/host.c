/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the control socket's commands see and do. Control thread. */
#include "control/private.h"

#include "engine/log.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

static void view(void *context, struct admin_view *out)
{
    struct control *control = context;
    const struct snapshot *snapshot = editions_current(&control->editions);

    *out = (struct admin_view){
        .config = snapshot->config,
        .pools = snapshot->pools,
        .n_pools = snapshot->n_groups,
        .workers = control->threads.workers,
        .n_workers = control->threads.n_running,
        .started_ms = control->started_ms,
        .reloads = control->serving.reloads,
        .reloads_failed = control->serving.reloads_failed,
        .n_snapshots = control->editions.n,
        .stopping = control->stopping,
    };
}

static int refuse_while_stopping(const struct control *control, char *text, size_t size)
{
    if (!control->stopping)
        return 0;
    snprintf(text, size, "the process is stopping");
    return -EBUSY;
}

static int reload(void *context, char *text, size_t size)
{
    struct control *control = context;
    int error = refuse_while_stopping(control, text, size);

    return error ? error : control_reload(control, text, size);
}

static int change(void *context, const struct change *change, char *text, size_t size)
{
    struct control *control = context;
    int error = refuse_while_stopping(control, text, size);

    return error ? error : serving_change(&control->serving, change, text, size);
}

static int act(void *context, enum admin_action action, char *text, size_t size)
{
    static const int signals[] = {[ADMIN_QUIT] = SIGQUIT, [ADMIN_STOP] = SIGTERM};
    struct control *control = context;

    if (action == ADMIN_REOPEN)
        return control_reopen(control, text, size);
    if (action == ADMIN_UPGRADE)
        return control->stopping ? refuse_while_stopping(control, text, size) : control_upgrade(control, text, size);
    control->wanted = signals[action];
    return 0;
}

const struct admin_host control_host = {.view = view, .reload = reload, .change = change, .act = act};
