/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a change of a server meets: what the files and names say of its group, without and with the changes of before. Control thread. */
#ifndef FAIRLEAD_CONTROL_CHANGE_LOOK_H
#define FAIRLEAD_CONTROL_CHANGE_LOOK_H

#include "config/config.h"
#include "control/changes.h"

struct change_look {
    bool configured; /* the files or names have the server */
    size_t n_void;   /* changes of before that cannot be applied, for what they are about has gone or come since */
};

/* `lists` as of compose. Returns 0 or -ENOMEM. */
int change_look(const struct group *group, const struct wanted_list *const *lists, const struct changes *changes, const char *server,
                struct change_look *look) __attribute__((warn_unused_result));

/* Tells of the changes of groups that the configuration does not have. Returns 0 or -ENOMEM. */
int change_look_for_groups(const struct config *config, const struct changes *changes, const struct changes_report *report)
    __attribute__((warn_unused_result));

#endif
