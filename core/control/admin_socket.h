/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Making the control socket. Control thread, before privileges are dropped. Knows nothing of the configuration: its `struct group` is not <grp.h>'s. */
#ifndef FAIRLEAD_CONTROL_ADMIN_SOCKET_H
#define FAIRLEAD_CONTROL_ADMIN_SOCKET_H

#include <stddef.h>
#include <sys/types.h>

struct admin_socket {
    const char *path;
    const char *owner, *group; /* names; NULL: as it was made */
    mode_t mode;
};

/* Makes it, listening and non-blocking. A file that nobody listens on is removed first; one that is no socket, or that somebody listens on, is not. Returns the
 * descriptor, or -errno with a sentence. */
int admin_socket_open(const struct admin_socket *wanted, int backlog, char *error, size_t size) __attribute__((warn_unused_result));

#endif
