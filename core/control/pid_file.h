/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The file that holds the process id. Control thread; blocks on the file system. */
#ifndef FAIRLEAD_CONTROL_PID_FILE_H
#define FAIRLEAD_CONTROL_PID_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * Writes this process's id: beside the file and then over it, so that no reader ever finds it empty; into it,
 * where the directory allows no more. NULL is no file. A file that is left over from a process that has ended
 * is overwritten; one of another Fairlead that runs is only with `replace`, which an upgrade does when the
 * new process has taken over. Returns 0, or -errno with a sentence in error[0..size).
 */
int pid_file_write(const char *path, bool replace, char *error, size_t size)
    __attribute__((warn_unused_result));

/* Removes it if it still holds this process's id: after an upgrade it is the new process's. That it cannot be
 * removed is harmless. */
void pid_file_remove(const char *path);

/* The id in the file, or 0 when there is none, or no file. */
pid_t pid_file_read(const char *path);

#endif
