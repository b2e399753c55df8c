/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who the process is to be: a user, its group and its other groups, as the system's tables know them. Control
 * thread, before the chroot; blocks on those tables.
 */
#ifndef FAIRLEAD_CONTROL_IDENTITY_H
#define FAIRLEAD_CONTROL_IDENTITY_H

#include <stddef.h>
#include <sys/types.h>

#define IDENTITY_GROUPS_MAX 256

struct identity {
    uid_t uid;
    gid_t gid;
    char user[64], group[64]; /* names, or numbers where there are none */
    size_t n_groups;
    gid_t groups[IDENTITY_GROUPS_MAX]; /* `gid` included */
};

/* `user` NULL: who the process is already. `group` NULL: the user's own. Returns 0, or -errno with a sentence
 * in error[0..size). */
int identity_find(const char *user, const char *group, struct identity *identity, char *error, size_t size)
    __attribute__((warn_unused_result));
/* Who the process is. */
void identity_current(struct identity *identity);

/* Sets the group and the other groups of the process; the user is still the old one. Returns 0, or -1 with
 * errno, as the system calls do. */
int identity_take_groups(const struct identity *identity) __attribute__((warn_unused_result));

/* Whether the directory may become the root of that user: one that it could write to would not hold it.
 * Returns 0, or -errno with a sentence. */
int identity_check_root(const struct identity *identity, const char *directory, char *error, size_t size)
    __attribute__((warn_unused_result));

/* Makes the user the owner of a log file that root has just made, so that it can be opened again. NULL, and
 * what is no regular file of root's with a single name, is passed over. Returns 0 or -errno. */
int identity_give(const struct identity *identity, const char *path);

#endif
