/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Listening sockets, one per address and worker (SO_REUSEPORT), so that the kernel spreads connections and no accept queue is
 * shared; a unix socket is shared by all workers. Control thread: it opens, keeps and closes them.
 */
#ifndef FAIRLEAD_CONTROL_LISTENER_H
#define FAIRLEAD_CONTROL_LISTENER_H

#include "config/config.h"

struct listeners {
    const struct config *config; /* borrowed */
    unsigned n_workers;
    int *fds;                    /* n_workers rows of config->n_listens; owned */
    bool *bound;                 /* per listen: a unix socket whose path we made */
};

/* Returns 0, or -errno with a sentence in error[0..size) ("bind() to 0.0.0.0:80 failed (98: Address already in use)"). */
int listeners_open(struct listeners *listeners, const struct config *config, unsigned n_workers, char *error,
                   size_t size) __attribute__((warn_unused_result));
/* Also removes the unix sockets' paths. */
void listeners_close(struct listeners *listeners);
const int *listeners_of_worker(const struct listeners *listeners, unsigned worker);

#endif
