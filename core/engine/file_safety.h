/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whether everybody on this machine could put something else into a file that Fairlead is about to trust: a
 * configuration, a key, a strategy. Blocks on the file system; any thread.
 */
#ifndef FAIRLEAD_ENGINE_FILE_SAFETY_H
#define FAIRLEAD_ENGINE_FILE_SAFETY_H

#include <stddef.h>

enum file_danger {
    FILE_SAFE,
    FILE_OPEN_TO_ALL,     /* everybody may write to it */
    FILE_DIR_OPEN_TO_ALL, /* everybody may put another in its place, or add one */
};

/*
 * Of the file that `fd` is open on and `path` led to. Looked at are its mode, the directory of `path`, and
 * where that is a link the directory that the file really is in; the sticky bit makes a directory safe, since
 * there nobody can replace what is another's. A file whose directory cannot be looked at is taken as safe: it
 * could be opened.
 */
enum file_danger file_danger(int fd, const char *path);
/* Of a directory all of whose files are read: here the sticky bit does not help, because everybody could add
 * one. */
enum file_danger dir_danger(int fd);

/* What is wrong and what to do, without the place: "\"PATH\" can be written by everybody on this machine:
 * chmod o-w PATH". Not of FILE_SAFE. */
void file_danger_explain(enum file_danger danger, const char *path, char *text, size_t size);

#endif
