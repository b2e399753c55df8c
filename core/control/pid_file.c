/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The pid file; see pid_file.h. Links are never followed: the directory may be the user's, and the writer
 * root. */
#include "control/pid_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MODE 0644

pid_t pid_file_read(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    char text[32];
    ssize_t len;
    long pid;

    if (fd < 0)
        return 0;
    len = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[len > 0 ? len : 0] = '\0';
    pid = strtol(text, NULL, 10);
    return pid > 0 && pid <= INT_MAX ? (pid_t)pid : 0;
}

/* The name of a process's program, as the kernel keeps it; false when there is no such process, or it is
 * hidden. */
static bool read_program(const char *process, char name[static 32])
{
    char path[64];
    FILE *file;
    bool found;

    snprintf(path, sizeof(path), "/proc/%s/comm", process);
    file = fopen(path, "re");
    if (!file)
        return false;
    found = fgets(name, 32, file) != NULL;
    fclose(file);
    return found;
}

/* Whether the process runs the program that we do: an id that has been given to another since is no reason
 * not to start. */
static bool is_ours(pid_t pid)
{
    char process[16], theirs[32], own[32];

    snprintf(process, sizeof(process), "%d", (int)pid);
    return pid != getpid() && read_program(process, theirs) && read_program("self", own) &&
           strcmp(theirs, own) == 0;
}

static int write_text(int fd)
{
    char text[16];
    int len = snprintf(text, sizeof(text), "%d\n", (int)getpid());
    int result = write(fd, text, (size_t)len) == len ? 0 : errno ? -errno : -EIO;

    if (close(fd) != 0 && result == 0)
        result = -errno;
    return result;
}

static int write_beside(const char *path)
{
    char beside[PATH_MAX];
    int fd, result;

    if ((size_t)snprintf(beside, sizeof(beside), "%s.%d", path, (int)getpid()) >= sizeof(beside))
        return -ENAMETOOLONG;
    (void)unlink(beside); /* of a process that had our id and ended in between */
    fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, MODE);
    if (fd < 0)
        return -errno;
    result = write_text(fd);
    if (result == 0 && rename(beside, path) != 0)
        result = -errno;
    if (result != 0)
        (void)unlink(beside);
    return result;
}

static int write_into(const char *path)
{
    int fd = open(path, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC);

    return fd < 0 ? -errno : write_text(fd);
}

int pid_file_write(const char *path, bool replace, char *error, size_t size)
{
    struct stat status;
    pid_t other;
    int result;

    if (!path)
        return 0;
    if (lstat(path, &status) == 0 && !S_ISREG(status.st_mode) && !S_ISLNK(status.st_mode)) {
        snprintf(error, size, "the pid file \"%s\" is there and is no file: name another one", path);
        return -EINVAL;
    }
    other = pid_file_read(path);
    if (!replace && other && is_ours(other)) {
        snprintf(
            error, size,
            "the pid file \"%s\" is that of process %d, which runs: stop it first, or set another \"pid\"",
            path, (int)other);
        return -EEXIST;
    }
    result = write_beside(path);
    if (result == -EACCES || result == -EPERM || result == -EROFS)
        result = write_into(path);
    if (result != 0)
        snprintf(error, size, "open() \"%s\" failed (%d: %s)", path, -result, strerror(-result));
    return result;
}

void pid_file_remove(const char *path)
{
    if (path && pid_file_read(path) == getpid())
        (void)unlink(path);
}
