/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What changes while running without the files being read: addresses of names, and what the administrator wants. One pool is made anew, in a new edition; see reload.h. */
#include "control/group_pool.h"

#include "control/change_look.h"
#include "engine/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Changes of before that are void already are no reason to refuse this one. */
struct refusal {
    const struct change *wanted;
    size_t n;
    bool of_wanted;
    char *text;
    size_t size;
};

static void keep_refusal(void *context, const struct change *change, const char *sentence)
{
    struct refusal *refusal = context;

    refusal->n++;
    refusal->of_wanted = change->kind == refusal->wanted->kind && strcmp(change->server, refusal->wanted->server) == 0;
    snprintf(refusal->text, refusal->size, "%s", sentence);
}

/* The pools of the current edition, but for one. */
static struct pool **replace_pool(const struct serving *serving, size_t group, struct pool *pool)
{
    const struct snapshot *current = editions_current(serving->editions);
    struct pool **pools = calloc(current->n_groups, sizeof(*pools));

    for (size_t i = 0; pools && i < current->n_groups; i++)
        pools[i] = i == group ? pool : pool_get(current->pools[i]);
    return pools;
}

static struct listener **same_listeners(const struct serving *serving)
{
    size_t n;
    struct listener *const *current = edition_listeners(serving->editions->current, &n);
    struct listener **listeners = calloc(n ? n : 1, sizeof(*listeners));

    for (size_t i = 0; listeners && i < n; i++) {
        listeners[i] = current[i];
        listener_get(listeners[i]);
    }
    return listeners;
}

/* Lets the pool serve in the place of the group's present one; it is taken in any case. */
static int publish_pool(struct serving *serving, size_t group, struct pool *pool, char *text, size_t size)
{
    struct pool **pools = replace_pool(serving, group, pool);
    struct listener **listeners = same_listeners(serving);
    const struct config *config = loaded_config(serving->loaded);
    struct edition *edition;
    int error = -ENOMEM;

    if (pools && listeners) {
        error = edition_create(serving->editions, &(struct edition_parts){serving->loaded, pools, listeners}, &edition, text, size);
    } else {
        snprintf(text, size, "out of memory");
        group_pools_put(pools ? pools : &pool, pools ? config->n_groups : 1, listeners, config->n_listens);
    }
    if (!error && !edition_publish(serving->editions, edition))
        log_write(LOG_ALERT, "not every thread follows the change");
    free(pools);
    free(listeners);
    return error;
}

bool serving_addresses_changed(void *context, size_t index)
{
    struct serving *serving = context;
    const struct group *group = editions_current(serving->editions)->config->groups[index];
    char text[RELOAD_TEXT_MAX];
    struct pool *pool;
    int error = group_pool_make(serving, group, names_lists(serving->names, index), &serving->changes, &group_pool_log, &pool, text, sizeof(text));

    if (!error)
        error = publish_pool(serving, index, pool, text, sizeof(text));
    if (error)
        log_write(LOG_ERR, "new addresses cannot be used pool=%s reason=\"%s\"", group->spec.name, text);
    return !error;
}

static const struct group *find_group(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->n_groups; i++)
        if (strcasecmp(config->groups[i]->spec.name, name) == 0)
            return config->groups[i];
    return NULL;
}

/* With all that was changed before, and with this one, which must be possible and leave the others so. */
static int publish_change(struct serving *serving, const struct changes *changes, const struct group *group, const struct change *wanted,
                          size_t n_void, char *text, size_t size)
{
    struct refusal refusal = {.wanted = wanted, .text = text, .size = size};
    struct changes_report report = {&refusal, keep_refusal};
    struct pool *pool;
    int error = group_pool_make(serving, group, names_lists(serving->names, group->index), changes, &report, &pool, text, size);

    if (!error && (refusal.n > n_void || refusal.of_wanted)) {
        server_states_discard(pool_put(pool));
        return -EINVAL;
    }
    return error ? error : publish_pool(serving, group->index, pool, text, size);
}

static int save_changes(const struct serving *serving, const struct changes *changes, char *text, size_t size)
{
    const char *path = loaded_config(serving->loaded)->control.state;

    if (path)
        return changes_write(path, changes, text, size);
    snprintf(text, size, "no state file is configured (control.state)");
    return -EINVAL;
}

/* It acts already: that it will be forgotten is told as a failure. */
static int keep_change(const struct serving *serving, char *text, size_t size)
{
    char reason[RELOAD_TEXT_MAX / 2];
    int error = save_changes(serving, &serving->changes, reason, sizeof(reason));

    if (error)
        snprintf(text, size, "the server is changed, but the next reload forgets it: %s", reason);
    return error;
}

int serving_change(struct serving *serving, const struct change *change, char *text, size_t size)
{
    const struct group *group = find_group(loaded_config(serving->loaded), change->pool);
    struct change wanted = *change;
    struct changes changes = {0};
    struct change_look look;
    char told[CHANGE_TEXT_MAX];
    int error;

    if (!group) {
        snprintf(text, size, "there is no upstream \"%s\"", change->pool);
        return -ENOENT;
    }
    error = change_look(group, names_lists(serving->names, group->index), &serving->changes, change->server, &look);
    wanted.configured = look.configured;
    if (!error)
        error = changes_copy(&serving->changes, &changes);
    if (!error)
        error = changes_add(&changes, &wanted);
    if (error)
        snprintf(text, size, "%s", error == -ENOSPC ? "too many changes" : "out of memory");
    if (!error)
        error = publish_change(serving, &changes, group, &wanted, look.n_void, text, size);
    if (error) {
        changes_fini(&changes);
        return error;
    }
    changes_fini(&serving->changes);
    serving->changes = changes;
    change_print(change, told, sizeof(told));
    log_write(LOG_NOTICE, "server changed %s persist=%d", told, change->persist);
    snprintf(text, size, "%s%s", told, change->persist ? "" : " (a reload or an upgrade forgets it; --persist keeps it)");
    return change->persist ? keep_change(serving, text, size) : 0;
}
