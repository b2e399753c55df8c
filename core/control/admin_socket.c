/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Making the control socket. Nobody can connect before its owner, group and mode are right: it is bound with no permissions at all, and listens last.
 */
#include "control/admin_socket.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int fail(const char *what, const char *path, int code, char *error, size_t size)
{
    snprintf(error, size, "%s control socket \"%s\" failed (%d: %s)", what, path, code, strerror(code));
    return -code;
}

/* A socket file that nobody listens on is left over from a process that was killed. */
static int remove_stale(const struct sockaddr_un *address, char *error, size_t size)
{
    struct stat status;
    int fd, code;

    if (lstat(address->sun_path, &status) != 0)
        return 0;
    if (!S_ISSOCK(status.st_mode))
        return fail("bind() to", address->sun_path, EEXIST, error, size);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fail("socket() for", address->sun_path, errno, error, size);
    code = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ? EADDRINUSE : errno;
    close(fd);
    if (code != ECONNREFUSED)
        return fail("bind() to", address->sun_path, code == EAGAIN ? EADDRINUSE : code, error, size);
    if (unlink(address->sun_path) != 0)
        return fail("unlink() of", address->sun_path, errno, error, size);
    return 0;
}

/* -1 is "as it is". */
static int find_ids(const struct admin_socket *settings, uid_t *uid, gid_t *gid, char *error, size_t size)
{
    const struct passwd *user = settings->owner ? getpwnam(settings->owner) : NULL;
    const struct group *group = settings->group ? getgrnam(settings->group) : NULL;

    if ((settings->owner && !user) || (settings->group && !group)) {
        snprintf(error, size, "the %s \"%s\" of the control socket is not known on this system", user || !settings->owner ? "group" : "owner",
                 user || !settings->owner ? settings->group : settings->owner);
        return -ENOENT;
    }
    *uid = user ? user->pw_uid : (uid_t)-1;
    *gid = group ? group->gr_gid : (gid_t)-1;
    return 0;
}

/* Who is not root may name what already is so. */
static bool is_so(const char *path, uid_t uid, gid_t gid)
{
    struct stat status;

    return lstat(path, &status) == 0 && (uid == (uid_t)-1 || uid == status.st_uid) && (gid == (gid_t)-1 || gid == status.st_gid);
}

static int bind_socket(int fd, const struct sockaddr_un *address)
{
    mode_t before = umask(0777);
    int code = bind(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ? 0 : errno;

    umask(before);
    return code;
}

/* What is bound, is removed again where the rest fails. */
static int set_up(int fd, int backlog, const struct admin_socket *settings, char *error, size_t size)
{
    const char *path = settings->path, *what = "chown() of";
    uid_t uid;
    gid_t gid;
    int code = find_ids(settings, &uid, &gid, error, size);

    if (code)
        return code;
    if (!is_so(path, uid, gid) && lchown(path, uid, gid) != 0)
        return fail(what, path, errno, error, size);
    what = "chmod() of";
    if (chmod(path, settings->mode) != 0)
        return fail(what, path, errno, error, size);
    what = "listen() on";
    if (listen(fd, backlog) != 0)
        return fail(what, path, errno, error, size);
    return 0;
}

int admin_socket_open(const struct admin_socket *settings, int backlog, char *error, size_t size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd, code;

    if (strlen(settings->path) >= sizeof(address.sun_path))
        return fail("bind() to", settings->path, ENAMETOOLONG, error, size);
    strcpy(address.sun_path, settings->path);
    code = remove_stale(&address, error, size);
    if (code)
        return code;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fail("socket() for", settings->path, errno, error, size);
    code = bind_socket(fd, &address);
    if (code) {
        close(fd);
        return fail("bind() to", settings->path, code, error, size);
    }
    code = set_up(fd, backlog, settings, error, size);
    if (code) {
        unlink(settings->path);
        close(fd);
        return code;
    }
    return fd;
}
