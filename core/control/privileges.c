/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Dropping privileges; see privileges.h. The groups go first: once the user is changed, they cannot. */
#include "control/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

int privileges_drop(const char *user, char *error, size_t size)
{
    const struct passwd *entry;

    if (!user || geteuid() != 0)
        return 0;
    errno = 0;
    entry = getpwnam(user);
    if (!entry) {
        snprintf(error, size, "user \"%s\" is not known on this system", user);
        return errno ? -errno : -ENOENT;
    }
    if (initgroups(user, entry->pw_gid) != 0 || setgid(entry->pw_gid) != 0 || setuid(entry->pw_uid) != 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        int code = errno;

        snprintf(error, size, "cannot become user \"%s\" (%d: %s)", user, code, strerror(code));
        return -code;
    }
    return 0;
}
