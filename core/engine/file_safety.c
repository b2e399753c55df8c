/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Modes of files and directories; see file_safety.h. Only the bits for others are looked at: a group is the
 * operator's own choice. */
#include "engine/file_safety.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The directory part of a path: "/a/b" is in "/a", "b" in ".". */
static void find_dir(const char *path, char dir[static PATH_MAX])
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL)
        snprintf(dir, PATH_MAX, ".");
    else
        snprintf(dir, PATH_MAX, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

static bool is_open_dir(const char *path)
{
    char dir[PATH_MAX];
    struct stat status;

    find_dir(path, dir);
    return stat(dir, &status) == 0 && (status.st_mode & S_IWOTH) && !(status.st_mode & S_ISVTX);
}

enum file_danger file_danger(int fd, const char *path)
{
    char target[PATH_MAX];
    struct stat status;

    if (fstat(fd, &status) == 0 && (status.st_mode & S_IWOTH))
        return FILE_OPEN_TO_ALL;
    if (is_open_dir(path) || (realpath(path, target) != NULL && is_open_dir(target)))
        return FILE_DIR_OPEN_TO_ALL;
    return FILE_SAFE;
}

enum file_danger dir_danger(int fd)
{
    struct stat status;

    return fstat(fd, &status) == 0 && (status.st_mode & S_IWOTH) ? FILE_OPEN_TO_ALL : FILE_SAFE;
}

void file_danger_explain(enum file_danger danger, const char *path, char *text, size_t size)
{
    char target[PATH_MAX], dir[PATH_MAX];

    if (danger == FILE_OPEN_TO_ALL) {
        snprintf(text, size, "\"%s\" can be written by everybody on this machine: chmod o-w %s", path, path);
        return;
    }
    if (is_open_dir(path) || realpath(path, target) == NULL)
        snprintf(target, sizeof(target), "%s", path);
    find_dir(target, dir);
    snprintf(text, size,
             "everybody on this machine can put another file in the place of \"%s\": chmod o-w %s", path,
             dir);
}
