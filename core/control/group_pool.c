/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Pools of groups; see group_pool.h. */
#include "control/group_pool.h"

#include "config/compose.h"
#include "engine/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int group_pool_like(const struct serving *serving, const struct pool_spec *spec, unsigned n_workers, size_t hint, struct pool **pool,
                     char *error, size_t size)
{
    struct pool *previous = editions_pool(serving->editions, spec->name, hint);

    if (previous && pool_is_made_of(previous, spec)) {
        *pool = pool_get(previous);
        return 0;
    }
    return pool_create(spec, n_workers, previous, pool, error, size);
}

static void tell_refusal(void *context, const struct change *change, const char *sentence)
{
    char text[CHANGE_TEXT_MAX];

    (void)context;
    change_print(change, text, sizeof(text));
    log_write(LOG_WARNING, "a change of a server cannot be applied %s reason=\"%s\"", text, sentence);
}

const struct changes_report group_pool_log = {NULL, tell_refusal};

int group_pool_make(const struct serving *serving, const struct group *group, const struct wanted_list *const *lists,
                           const struct changes *changes, const struct changes_report *report, struct pool **pool, char *text, size_t size)
{
    struct composition composition;
    struct server_spec *changed = NULL;
    int error = compose(group, lists, 0, &composition);

    if (!error)
        error = changes_apply(changes, &composition.spec, report, &changed);
    if (error)
        snprintf(text, size, "out of memory");
    else
        error = group_pool_like(serving, &composition.spec, serving->threads->n, group->index, pool, text, size);
    free(changed);
    compose_fini(&composition);
    return error;
}

void group_pools_put(struct pool **pools, size_t n_pools, struct listener **listeners, size_t n_listeners)
{
    for (size_t i = 0; pools && i < n_pools; i++)
        server_states_discard(pool_put(pools[i]));
    for (size_t i = 0; listeners && i < n_listeners; i++)
        listener_put(listeners[i]);
}
