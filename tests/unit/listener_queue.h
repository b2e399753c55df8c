/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whether connections wait to be accepted. */
#ifndef FAIRLEAD_TESTS_LISTENER_QUEUE_H
#define FAIRLEAD_TESTS_LISTENER_QUEUE_H

#include "control/listener.h"

#include <poll.h>

/* In the queue of one of the sockets. */
static inline bool listener_has_waiting(const struct listener *listener)
{
    for (unsigned i = 0; i < listener->n_fds; i++) {
        struct pollfd one = {.fd = listener->fds[i], .events = POLLIN};

        if (poll(&one, 1, 0) == 1 && (one.revents & POLLIN))
            return true;
    }
    return false;
}

#endif
