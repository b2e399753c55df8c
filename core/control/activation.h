/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Socket activation: listening sockets that systemd has opened, as sd_listen_fds(3) describes. Control thread, before anything else opens descriptors. */
#ifndef FAIRLEAD_CONTROL_ACTIVATION_H
#define FAIRLEAD_CONTROL_ACTIVATION_H

#include "control/listener.h"

#define ACTIVATION_FDS_MAX 4096

/*
 * Takes the sockets into the set when LISTEN_PID and LISTEN_FDS mean this process, and removes the variables. The files of unix sockets stay systemd's. Returns how many
 * sockets, or -errno with a sentence: a descriptor that is not a stream socket that listens is a mistake in a unit.
 */
int activation_take(struct listeners *listeners, char *error, size_t size) __attribute__((warn_unused_result));

#endif
