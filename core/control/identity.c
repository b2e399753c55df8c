/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Users, groups, and what belongs to them; see identity.h. Every sentence says what to do about it. */
#include "control/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void name_user(struct identity *identity)
{
    const struct passwd *entry = getpwuid(identity->uid);

    if (entry)
        snprintf(identity->user, sizeof(identity->user), "%s", entry->pw_name);
    else
        snprintf(identity->user, sizeof(identity->user), "%u", identity->uid);
}

static void name_group(struct identity *identity)
{
    const struct group *entry = getgrgid(identity->gid);

    if (entry)
        snprintf(identity->group, sizeof(identity->group), "%s", entry->gr_name);
    else
        snprintf(identity->group, sizeof(identity->group), "%u", identity->gid);
}

void identity_current(struct identity *identity)
{
    int n = getgroups(IDENTITY_GROUPS_MAX, identity->groups);

    identity->uid = geteuid();
    identity->gid = getegid();
    identity->n_groups = n > 0 ? (size_t)n : 0;
    name_user(identity);
    name_group(identity);
}

static int find_group(const char *name, struct identity *identity, char *error, size_t size)
{
    const struct group *entry;

    errno = 0;
    entry = getgrnam(name);
    if (!entry) {
        snprintf(error, size,
                 "group \"%s\" is not known on this system: make it (addgroup --system %s), or name another",
                 name, name);
        return errno ? -errno : -ENOENT;
    }
    identity->gid = entry->gr_gid;
    return 0;
}

static int find_groups(const char *user, struct identity *identity, char *error, size_t size)
{
    int n = IDENTITY_GROUPS_MAX;

    if (getgrouplist(user, identity->gid, identity->groups, &n) < 0) {
        snprintf(error, size, "user \"%s\" is in more than %d groups: name one that is in fewer", user,
                 IDENTITY_GROUPS_MAX);
        return -E2BIG;
    }
    identity->n_groups = (size_t)n;
    return 0;
}

int identity_find(const char *user, const char *group, struct identity *identity, char *error, size_t size)
{
    const struct passwd *entry;
    int result = 0;

    *identity = (struct identity){0};
    if (!user) {
        identity_current(identity);
        return 0;
    }
    errno = 0;
    entry = getpwnam(user);
    if (!entry) {
        snprintf(
            error, size,
            "user \"%s\" is not known on this system: make it (adduser --system --group %s), or name another",
            user, user);
        return errno ? -errno : -ENOENT;
    }
    identity->uid = entry->pw_uid;
    identity->gid = entry->pw_gid;
    if (group)
        result = find_group(group, identity, error, size);
    if (result == 0)
        result = find_groups(user, identity, error, size);
    name_user(identity);
    name_group(identity);
    return result;
}

int identity_take_groups(const struct identity *identity)
{
    return setgroups(identity->n_groups, identity->groups) == 0
               ? setresgid(identity->gid, identity->gid, identity->gid)
               : -1;
}

static bool is_in(const struct identity *identity, gid_t gid)
{
    for (size_t i = 0; i < identity->n_groups; i++)
        if (identity->groups[i] == gid)
            return true;
    return false;
}

/* An owner may make a directory writable at any time, so that to own it is enough. */
static bool may_write(const struct identity *identity, const struct stat *status)
{
    if (identity->uid == 0)
        return false;
    return status->st_uid == identity->uid || (status->st_mode & S_IWOTH) ||
           ((status->st_mode & S_IWGRP) && is_in(identity, status->st_gid));
}

int identity_check_root(const struct identity *identity, const char *directory, char *error, size_t size)
{
    struct stat status;

    if (stat(directory, &status) != 0 || !S_ISDIR(status.st_mode)) {
        snprintf(error, size, "chroot \"%s\" is no directory: make it, as root", directory);
        return -ENOTDIR;
    }
    if (may_write(identity, &status)) {
        snprintf(error, size,
                 "chroot \"%s\" can be written by user \"%s\", so that it would not hold it: chown root:root "
                 "%s; chmod 755 %s",
                 directory, identity->user, directory, directory);
        return -EPERM;
    }
    return 0;
}

int identity_give(const struct identity *identity, const char *path)
{
    struct stat status;
    int fd, result = 0;

    if (!path || path[0] != '/')
        return 0;
    /* A link, or a second name, might be somebody's way to a file of root's. */
    fd = open(path, O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return errno == ELOOP || errno == ENOENT || errno == ENXIO ? 0 : -errno;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink == 1 && status.st_uid == 0 &&
        fchown(fd, identity->uid, (gid_t)-1) != 0)
        result = -errno;
    close(fd);
    return result;
}
