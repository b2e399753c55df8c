/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading, checking, publishing; see reload.h. */
#include "control/reload.h"

#include "control/change_look.h"
#include "control/group_pool.h"
#include "control/logs.h"
#include "control/privileges.h"
#include "engine/clock.h"
#include "engine/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FINDING         "fairlead: ["

/* One call of serving_read: which pool comes next. */
struct reading {
    const struct serving *serving;
    size_t n_pools;
};

/* The number of workers holds while they run, whatever the files say now. */
static int make_read_pool(void *context, const struct pool_spec *spec, unsigned n_workers, struct pool **pool, char *error, size_t size)
{
    struct reading *reading = context;
    unsigned n_running = reading->serving->threads->n;

    return group_pool_like(reading->serving, spec, n_running > 0 ? n_running : n_workers, reading->n_pools++, pool, error, size);
}

int serving_read(const struct serving *serving, struct config **config, char *text, size_t size)
{
    struct reading reading = {.serving = serving};
    struct config_options options = {.balancers_dir = serving->options->balancers_dir,
                                     .allow_insecure_files = serving->options->allow_insecure_files,
                                     .make_pool = make_read_pool,
                                     .context = &reading};
    struct config_errors *errors = NULL;
    int error = config_load(serving->options->config_path, &options, config, &errors);
    FILE *out;

    text[0] = '\0';
    if (!errors)
        return error;
    out = fmemopen(text, size, "w");
    if (out) {
        config_errors_print(errors, out);
        fclose(out);
    }
    text[size - 1] = '\0';
    config_errors_destroy(errors);
    return error;
}

/* Publishing. */

/* Takes the pools that were made while the files were read. */
static struct pool **take_pools(struct config *config)
{
    struct pool **pools = calloc(config->n_groups ? config->n_groups : 1, sizeof(*pools));

    for (size_t i = 0; pools && i < config->n_groups; i++)
        pools[i] = config_take_pool(config, i);
    return pools;
}

static bool is_changed(const struct changes *changes, const struct group *group)
{
    for (size_t i = 0; i < changes->n; i++)
        if (strcasecmp(changes->list[i].pool, group->spec.name) == 0)
            return true;
    return false;
}

/* What the state file says of the groups of a configuration that was just read. */
static int apply_changes(const struct serving *serving, const struct config *config, const struct changes *changes, struct pool **pools,
                         char *text, size_t size)
{
    for (size_t i = 0; changes->n > 0 && i < config->n_groups; i++) {
        struct pool *pool;
        int error;

        if (!is_changed(changes, config->groups[i]))
            continue;
        error = group_pool_make(serving, config->groups[i], NULL, changes, &group_pool_log, &pool, text, size);
        if (error)
            return error;
        server_states_discard(pool_put(pools[i]));
        pools[i] = pool;
    }
    return 0;
}

/* The edition of a configuration, which `loaded` has; listeners are taken. */
static int make_edition(struct serving *serving, struct loaded *loaded, struct listener **listeners, const struct changes *changes,
                        struct edition **edition, char *text, size_t size)
{
    struct config *config = loaded_config(loaded);
    struct pool **pools = take_pools(config);
    int error = pools ? change_look_for_groups(config, changes, &group_pool_log) : -ENOMEM;

    if (error)
        snprintf(text, size, "out of memory");
    if (!error)
        error = apply_changes(serving, config, changes, pools, text, size);
    if (error)
        group_pools_put(pools, config->n_groups, listeners, config->n_listens);
    else
        error = edition_create(serving->editions, &(struct edition_parts){loaded, pools, listeners}, edition, text, size);
    free(pools);
    return error;
}

static bool any_checked(const struct config *config)
{
    for (size_t i = 0; i < config->n_groups; i++)
        if (config->groups[i]->health)
            return true;
    return false;
}

/*
 * The health thread is made when something is to be checked for the first time, or when states came from another process: what that
 * one's checks said is forgotten where nothing is checked any more.
 */
static int start_health(struct serving *serving, const struct edition *edition, bool imported, char *text, size_t size)
{
    const struct snapshot *snapshot = editions_current(serving->editions);
    struct health_pool *pools;
    int error;

    if (serving->threads->health || (!imported && !any_checked(snapshot->config)))
        return 0;
    pools = edition_health(edition);
    error = pools ? threads_create_health(serving->threads, pools, snapshot->n_groups) : -ENOMEM;
    free(pools);
    if (!error)
        error = threads_start_health(serving->threads);
    if (error)
        snprintf(text, size, "cannot start the health thread (%d: %s)", -error, strerror(-error));
    return error;
}

static void import_states(const struct snapshot *snapshot, struct span states)
{
    for (size_t i = 0; states.p && i < snapshot->n_groups; i++)
        if (!pool_import(snapshot->pools[i], states.p, states.len)) {
            log_write(LOG_WARNING, "what the process before this one knew of its servers is not understood");
            return;
        }
}

/* Those of the state file; none where no file is configured. */
static int read_changes(const struct config *config, struct changes *changes, char *text, size_t size)
{
    return config->control.state ? changes_read(config->control.state, changes, text, size) : 0;
}

int serving_check(const struct config *config, char *text, size_t size)
{
    struct changes changes = {0};
    int error = read_changes(config, &changes, text, size);

    changes_fini(&changes);
    return error;
}

/* What is remembered of servers is no reason not to serve: it is left aside, under a name of its own where it is damaged, and that is told. */
static void read_first_changes(const struct config *config, struct changes *changes)
{
    char text[RELOAD_TEXT_MAX], aside[RELOAD_TEXT_MAX];
    int error = read_changes(config, changes, text, sizeof(text));

    if (!error)
        return;
    log_write(LOG_ERR, "%s: left aside, the servers are as the configuration has them", text);
    snprintf(aside, sizeof(aside), "%s.damaged", config->control.state);
    if (error == -EINVAL && rename(config->control.state, aside) != 0)
        log_write(LOG_WARNING, "the state file cannot be renamed path=%s error=\"%s\"", config->control.state, strerror(errno));
}

int serving_begin(struct serving *serving, struct config *config, struct listener **listeners, struct span states, char *text, size_t size)
{
    struct edition *edition;
    int error;

    serving->begun = true;
    serving->loaded = loaded_create(config);
    if (!serving->loaded) {
        snprintf(text, size, "out of memory");
        return -ENOMEM;
    }
    read_first_changes(config, &serving->changes);
    error = make_edition(serving, serving->loaded, listeners, &serving->changes, &edition, text, size);
    if (error)
        return error;
    (void)edition_publish(serving->editions, edition);
    import_states(editions_current(serving->editions), states);
    error = start_health(serving, edition, states.p != NULL, text, size);
    if (!error && names_create(config, serving_addresses_changed, serving, &serving->names) != 0) {
        snprintf(text, size, "cannot ask for names");
        error = -ENOMEM;
    }
    return error;
}

/* Reloading. */

static bool differ(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) != 0 : a != b;
}

/* Settings that threads and rings were made by, and those that took privileges to put to use. */
static void tell_held_settings(const struct config *now, const struct config *next)
{
    const struct {
        const char *key;
        bool differs;
    } held[] = {
        {"workers", next->workers != now->workers},
        {"engine", memcmp(&next->engine, &now->engine, sizeof(now->engine)) != 0},
        {"worker_connections", next->worker_connections != now->worker_connections},
        {"health_probes", next->health_probes != now->health_probes},
        {"user", differ(next->user, now->user)},
        {"group", differ(next->group, now->group)},
        {"chroot", differ(next->chroot, now->chroot)},
        {"capabilities", next->capabilities != now->capabilities},
        {"pid", differ(next->pid_file, now->pid_file)},
        {"control.socket", differ(next->control.socket, now->control.socket)},
    };

    for (size_t i = 0; i < sizeof(held) / sizeof(held[0]); i++)
        if (held[i].differs)
            log_write(LOG_WARNING, "a setting holds until the program is started anew or upgraded key=%s", held[i].key);
}

/* What a reload has opened and made so far. */
struct candidate {
    struct loaded *loaded;
    struct listener **listeners;
    struct log_pending *logs;
    struct edition *edition;
    struct names *names;
    struct changes changes;
};

static int prepare(struct serving *serving, struct config *config, struct candidate *candidate, char *text, size_t size)
{
    int error;

    candidate->loaded = loaded_create(config);
    candidate->listeners = calloc(config->n_listens ? config->n_listens : 1, sizeof(*candidate->listeners));
    if (!candidate->loaded || !candidate->listeners) {
        snprintf(text, size, "out of memory");
        return -ENOMEM;
    }
    error = privileges_check(config, text, size); /* or else the next start would fail */
    if (!error)
        error = logs_prepare(config, &candidate->logs, text, size);
    if (!error)
        error = read_changes(config, &candidate->changes, text, size);
    if (!error && names_create(config, serving_addresses_changed, serving, &candidate->names) != 0) {
        snprintf(text, size, "cannot ask for names");
        error = -ENOMEM;
    }
    if (!error)
        error = listeners_open(serving->listeners, config, serving->threads->n, candidate->listeners, text, size);
    if (!error)
        error = make_edition(serving, candidate->loaded, candidate->listeners, &candidate->changes, &candidate->edition, text, size);
    return error;
}

static void discard(struct candidate *candidate)
{
    logs_discard(candidate->logs);
    changes_fini(&candidate->changes);
    names_destroy(candidate->names);
    loaded_put(candidate->loaded);
    free(candidate->listeners);
}

static int publish(struct serving *serving, struct candidate *candidate, char *text, size_t size)
{
    struct loaded *before = serving->loaded;
    int error;

    logs_switch(candidate->logs);
    names_destroy(serving->names);
    serving->names = candidate->names;
    serving_tell_forgotten(serving, "reload");
    changes_fini(&serving->changes);
    serving->changes = candidate->changes;
    serving->loaded = candidate->loaded;
    tell_held_settings(serving->threads->settings, loaded_config(candidate->loaded));
    if (!edition_publish(serving->editions, candidate->edition))
        log_write(LOG_ALERT, "not every thread follows the new configuration");
    error = start_health(serving, candidate->edition, false, text, size);
    if (error)
        log_write(LOG_ERR, "%s", text);
    loaded_put(before);
    free(candidate->listeners);
    return 0;
}

/* Each finding is a line of its own in the log, which has its own words for what precedes it. */
static void log_lines(int priority, const char *text)
{
    while (*text) {
        size_t len = strcspn(text, "\n"), skip = 0;

        if (strncmp(text, FINDING, sizeof(FINDING) - 1) == 0)
            skip = strcspn(text, "]") + 2;
        log_write(priority, "%.*s", skip < len ? (int)(len - skip) : 0, text + skip);
        text += len + (text[len] == '\n');
    }
}

void serving_tell_forgotten(const struct serving *serving, const char *cause)
{
    char text[CHANGE_TEXT_MAX];

    for (size_t i = 0; i < serving->changes.n; i++) {
        if (serving->changes.list[i].persist)
            continue;
        change_print(&serving->changes.list[i], text, sizeof(text));
        log_write(LOG_WARNING, "a change of a server is forgotten %s cause=%s", text, cause);
    }
}

static int refuse(struct serving *serving, int error, const char *text)
{
    serving->reloads_failed++;
    log_lines(LOG_ERR, text);
    log_write(LOG_ERR, "the configuration is not reloaded, the one before goes on file=%s", serving->options->config_path);
    return error;
}

int serving_reload(struct serving *serving, char *text, size_t size)
{
    uint64_t begun_ns = clock_monotonic_ns();
    struct candidate candidate = {0};
    struct config *config;
    int error = serving_read(serving, &config, text, size);

    if (error)
        return refuse(serving, error, text);
    if (config->n_listens == 0) {
        config_destroy(config);
        snprintf(text, size, "nothing to serve: no site has a listen address");
        return refuse(serving, -EINVAL, text);
    }
    log_lines(LOG_WARNING, text);
    error = prepare(serving, config, &candidate, text, size);
    if (error) {
        discard(&candidate);
        return refuse(serving, error, text);
    }
    error = publish(serving, &candidate, text, size);
    serving->reloads++;
    log_write(LOG_NOTICE, "reloaded file=%s number=%llu ms=%llu alive=%u", serving->options->config_path, serving->reloads,
              (unsigned long long)((clock_monotonic_ns() - begun_ns) / 1000000u), serving->editions->n);
    return error;
}

void serving_stop(struct serving *serving)
{
    names_destroy(serving->names);
    serving->names = NULL;
}

void serving_fini(struct serving *serving)
{
    serving_stop(serving);
    changes_fini(&serving->changes);
    loaded_put(serving->loaded);
    serving->loaded = NULL;
}
