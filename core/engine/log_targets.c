/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From a configuration to open targets, and from one set of targets to the next; see log_targets.h. The
 * functions of a struct log_pending run on the control thread, which also remembers the paths of the targets
 * in use, those of log_targets on the log thread (control thread while there is none).
 */
#include "engine/log_targets.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct log_pending {
    struct log_targets targets;
    bool keep[LOG_SINKS];   /* the path is that of the targets in use, and their file goes on */
    char *paths[LOG_SINKS]; /* owned; NULL: to no file */
    int level;
    struct log_pending *before; /* owned; NULL: none */
};

static struct log_tally tally;

/* Control thread: of the targets that are, or will be, in use. */
static char *paths_in_use[LOG_SINKS];

struct log_tally *log_output_tally(void)
{
    return &tally;
}

static bool is_same(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

static int open_sink(struct log_pending *pending, enum log_sink sink, const struct log_target *target)
{
    const bool only_syslog = target->path != NULL && strcmp(target->path, "syslog") == 0;
    const char *path = only_syslog ? NULL : target->path;

    pending->targets.to_syslog[sink] = target->syslog || only_syslog;
    pending->targets.facility[sink] = target->facility;
    pending->paths[sink] = path == NULL ? NULL : strdup(path);
    if (path != NULL && pending->paths[sink] == NULL)
        return -ENOMEM;
    pending->keep[sink] = is_same(path, paths_in_use[sink]);
    return log_file_open(&pending->targets.files[sink], pending->keep[sink] ? NULL : path, sink, &tally);
}

/* A name with a blank in it would be read as two (RFC 5424 6.2.4). */
static void set_identity(struct log_identity *identity, const char *tag)
{
    snprintf(identity->tag, sizeof(identity->tag), "%s", tag == NULL ? "fairlead" : tag);
    if (gethostname(identity->host, sizeof(identity->host)) != 0)
        identity->host[0] = '\0';
    identity->host[sizeof(identity->host) - 1] = '\0';
    if (identity->host[0] == '\0' || strpbrk(identity->host, " \t\n") != NULL)
        memcpy(identity->host, "-", 2);
    identity->pid = getpid();
}

int log_pending_create(const struct log_config *config, struct log_pending **result, const char **path)
{
    struct log_pending *pending = calloc(1, sizeof(*pending));
    int error = 0;

    *path = NULL;
    if (pending == NULL)
        return -ENOMEM;
    pending->targets = (struct log_targets)LOG_TARGETS_NONE;
    pending->targets.access_priority = config->access_priority;
    pending->level = config->level;
    set_identity(&pending->targets.identity, config->tag);
    for (enum log_sink sink = 0; sink < LOG_SINKS && error == 0; sink++) {
        error = open_sink(pending, sink, &config->sinks[sink]);
        if (error < 0 && error != -ENOMEM)
            *path = config->sinks[sink].path;
    }
    if (error == 0 &&
        (pending->targets.to_syslog[LOG_SINK_ACCESS] || pending->targets.to_syslog[LOG_SINK_ERROR]))
        error = log_syslog_init(&pending->targets.syslog, &config->syslog, &tally);
    if (error < 0) {
        log_pending_destroy(pending);
        return error;
    }
    *result = pending;
    return 0;
}

void log_pending_destroy(struct log_pending *pending)
{
    log_targets_close(&pending->targets);
    for (int sink = 0; sink < LOG_SINKS; sink++)
        free(pending->paths[sink]);
    free(pending);
}

int log_pending_commit(struct log_pending *pending)
{
    for (int sink = 0; sink < LOG_SINKS; sink++) {
        free(paths_in_use[sink]);
        paths_in_use[sink] = pending->paths[sink];
        pending->paths[sink] = NULL;
    }
    return pending->level;
}

void log_targets_forget(void)
{
    for (int sink = 0; sink < LOG_SINKS; sink++) {
        free(paths_in_use[sink]);
        paths_in_use[sink] = NULL;
    }
}

void log_pending_precede(struct log_pending *pending, struct log_pending *before)
{
    assert(pending->before == NULL);
    pending->before = before;
}

void log_targets_close(struct log_targets *targets)
{
    for (int sink = 0; sink < LOG_SINKS; sink++)
        log_file_close(&targets->files[sink]);
    log_syslog_fini(&targets->syslog);
}

static void replace(struct log_targets *targets, struct log_pending *pending)
{
    struct log_targets *next = &pending->targets;

    for (int sink = 0; sink < LOG_SINKS; sink++) {
        if (!pending->keep[sink])
            continue;
        next->files[sink] = targets->files[sink];
        targets->files[sink] = (struct log_file){.fd = -1};
    }
    if (log_syslog_is_same(&targets->syslog, &next->syslog)) {
        log_syslog_fini(&next->syslog);
        next->syslog = targets->syslog;
        targets->syslog = (struct log_syslog){.fd = -1};
    }
    next->complaint = targets->complaint;
    log_targets_close(targets);
    *targets = *next;
    *next = (struct log_targets)LOG_TARGETS_NONE;
    log_pending_destroy(pending);
}

/* The oldest first: each was compared with the one before it. As many as there were reloads while the log
 * thread was held up. */
void log_targets_replace(struct log_targets *targets, struct log_pending *pending)
{
    struct log_pending *oldest = NULL;

    while (pending != NULL) {
        struct log_pending *before = pending->before;

        pending->before = oldest;
        oldest = pending;
        pending = before;
    }
    while (oldest != NULL) {
        struct log_pending *after = oldest->before;

        replace(targets, oldest);
        oldest = after;
    }
}
