/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See change_look.h. */
#include "control/change_look.h"

#include "config/compose.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void count(void *context, const struct change *change, const char *sentence)
{
    size_t *n = context;

    (void)change, (void)sentence;
    ++*n;
}

int change_look(const struct group *group, const struct wanted_list *const *lists, const struct changes *changes, const char *server,
                struct change_look *look)
{
    const struct changes_report report = {&look->n_void, count};
    struct server_spec *changed = NULL;
    struct composition composition;
    int error = compose(group, lists, 0, &composition);

    *look = (struct change_look){0};
    for (size_t i = 0; !error && i < composition.spec.n_servers; i++)
        look->configured = look->configured || strcmp(composition.spec.servers[i].name, server) == 0;
    if (!error)
        error = changes_apply(changes, &composition.spec, &report, &changed);
    free(changed);
    compose_fini(&composition);
    return error;
}

int change_look_for_groups(const struct config *config, const struct changes *changes, const struct changes_report *report)
{
    const char **names = calloc(config->n_groups + 1, sizeof(*names));

    if (!names)
        return -ENOMEM;
    for (size_t i = 0; i < config->n_groups; i++)
        names[i] = config->groups[i]->spec.name;
    changes_report_unknown(changes, names, config->n_groups, report);
    free(names);
    return 0;
}
