/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The start. In this order: limits, sockets, privileges, the kernel's probe, logs' thread, the first edition with what the process before this one knew, workers; and then
 * whoever waits for it is told.
 */
#include "control/private.h"

#include "control/limits.h"
#include "control/pid_file.h"
#include "control/privileges.h"
#include "engine/clock.h"
#include "engine/log.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int control_fail(const struct control *control, const char *sentence)
{
    fprintf(stderr, "fairlead: [emerg] %s\n", sentence);
    if (control->gift)
        upgrade_tell_failed(control->gift, sentence);
    return -EINVAL;
}

/* Only sockets of one user share a port, and those of a later reload are this user's. */
static void give_sockets(const struct control *control)
{
    const struct passwd *user = control->config->user && geteuid() == 0 ? getpwnam(control->config->user) : NULL;

    if (user)
        listeners_give_to(control->listeners, user->pw_uid);
}

/* The listeners of config->listens are in *listeners, for the first edition. */
static int open_sockets(struct control *control, struct listener ***listeners, char *text, size_t size)
{
    const struct config *config = control->config;
    bool inherited = control->gift && config->control.socket;
    struct admin_config admin = {&config->control,
                                 inherited ? listeners_take_unix(control->listeners, config->control.socket) : -1};
    struct admin_host host = control_host;
    int error;

    host.context = control;
    *listeners = calloc(config->n_listens, sizeof(**listeners));
    if (!*listeners) {
        snprintf(text, size, "out of memory");
        return -ENOMEM;
    }
    error = listeners_open(control->listeners, config, config->workers, *listeners, text, size);
    if (!error)
        error = admin_create(&admin, &host, &control->admin, text, size);
    if (!error)
        give_sockets(control);
    return error;
}

/* What the old process knew. Parts that it did not have are left out: it may be another version. */
static const struct upgrade_part *gift_part(const struct control *control, const char *name)
{
    return control->gift ? upgrade_gift_part(control->gift, name) : NULL;
}

static int start_serving(struct control *control, struct listener **listeners, char *text, size_t size)
{
    const struct upgrade_part *secret = gift_part(control, UPGRADE_PART_SECRET);
    const struct upgrade_part *states = gift_part(control, UPGRADE_PART_STATES);
    int error = threads_init(&control->threads, control->config);

    if (secret && secret->len == sizeof(control->editions.secret))
        memcpy(control->editions.secret, secret->data, secret->len);
    if (error)
        snprintf(text, size, "out of memory");
    else
        error = serving_begin(&control->serving, control->config, listeners,
                              states ? (struct span){states->data, states->len} : (struct span){NULL, 0}, text, size);
    if (error)
        return error;
    control->first = loaded_get(control->serving.loaded);
    error = threads_start(&control->threads, edition_snapshot(control->editions.current));
    if (error)
        snprintf(text, size, "cannot start the workers (%d: %s)", -error, strerror(-error));
    return error;
}

/* The files that a reload and an upgrade will look for, inside. */
static void warn_of_chroot(const struct control *control)
{
    const char *const paths[] = {control->options->config_path, control->binary};

    for (size_t i = 0; control->config->chroot && i < sizeof(paths) / sizeof(paths[0]); i++)
        if (access(paths[i], R_OK) != 0)
            log_write(LOG_WARNING, "not to be found inside the chroot, so %s is not possible path=%s", i == 0 ? "a reload" : "an upgrade",
                      paths[i]);
}

static int start_logging(const struct control *control, const struct privileges_told *told, char *text, size_t size)
{
    if (log_start() != 0 || log_attach() != 0) {
        snprintf(text, size, "cannot start the log thread");
        return -ENOMEM;
    }
    log_write(LOG_NOTICE, "starting version=%s pid=%d workers=%u %s", FAIRLEAD_VERSION, (int)getpid(), control->config->workers,
              control->threads.probe.line);
    limits_report(control->config);
    privileges_report(told);
    warn_of_chroot(control);
    return 0;
}

/* The old process leaves, the service manager knows us, and the pid file is ours. */
static void announce(struct control *control)
{
    char text[RELOAD_TEXT_MAX];
    unsigned n_dropped = listeners_drop_unclaimed(control->listeners, control->gift != NULL);

    if (n_dropped > 0)
        log_write(LOG_NOTICE, "sockets that were passed on are not wanted addresses=%u", n_dropped);
    if (!control->gift) {
        (void)notify_ready(&control->notify, "serving");
        return;
    }
    if (pid_file_write(control->pid_file, true, text, sizeof(text)) != 0)
        log_write(LOG_ERR, "%s", text);
    if (upgrade_tell_ready(control->gift) != 0)
        log_write(LOG_WARNING, "the process before this one is gone");
    (void)notify_main_pid(&control->notify, getpid(), "serving");
    log_write(LOG_NOTICE, "took over from the process before this one");
    control->n_rearms = CONTROL_REARMS;
    control->rearm_ms = clock_monotonic_ms() + CONTROL_REARM_MS;
    upgrade_gift_destroy(control->gift);
    control->gift = NULL;
}

int control_start(struct control *control)
{
    struct listener **listeners = NULL;
    struct privileges_told told;
    char text[RELOAD_TEXT_MAX];
    int error;

    limits_raise(control->config);
    error = open_sockets(control, &listeners, text, sizeof(text));
    if (!error)
        error = privileges_drop(control->config, &told, text, sizeof(text));
    if (!error)
        error = probe_kernel(&control->threads.probe, text, sizeof(text));
    if (!error)
        error = start_logging(control, &told, text, sizeof(text));
    if (!error)
        error = start_serving(control, listeners, text, sizeof(text));
    free(listeners);
    if (error)
        return control_fail(control, text);
    announce(control);
    return 0;
}
