/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From a group of the configuration to its pool as it is now: with the addresses that its names have, and with what was changed while running. And what
 * new editions are made of. Private to the files that publish (reload.c, runtime.c). Control thread.
 */
#ifndef FAIRLEAD_CONTROL_GROUP_POOL_H
#define FAIRLEAD_CONTROL_GROUP_POOL_H

#include "control/reload.h"

#define CHANGE_TEXT_MAX 512u /* bytes of a change in the log */

/*
 * A pool of that specification: the one that serves already, where it is made of the same, or a new one that takes over what is known of its servers. `hint`: its likely
 * number among the pools. Returns 0 and a reference, or -errno with a sentence.
 */
int group_pool_like(const struct serving *serving, const struct pool_spec *spec, unsigned n_workers, size_t hint, struct pool **pool,
                    char *text, size_t size) __attribute__((warn_unused_result));
/* The same of a group; `lists` as compose wants them. `report` hears of changes that cannot be applied. */
int group_pool_make(const struct serving *serving, const struct group *group, const struct wanted_list *const *lists,
                    const struct changes *changes, const struct changes_report *report, struct pool **pool, char *text, size_t size)
    __attribute__((warn_unused_result));
/* Logs each change that cannot be applied. */
extern const struct changes_report group_pool_log;

/* References that no edition came to have; NULL is allowed. */
void group_pools_put(struct pool **pools, size_t n_pools, struct listener **listeners, size_t n_listeners);

#endif
