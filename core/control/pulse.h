/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whether the workers go on: each answers a letter. For the service manager's watchdog. Control thread. */
#ifndef FAIRLEAD_CONTROL_PULSE_H
#define FAIRLEAD_CONTROL_PULSE_H

#include "control/threads.h"

/* Starts zeroed. Stays where it is while workers run. */
struct pulse {
    atomic_uint unanswered; /* letters; each worker takes its own away (release) */
};

/* Every worker has answered what it was asked last; in a stop, as many as have not ended. */
bool pulse_is_there(const struct pulse *pulse, const struct threads *threads);
/* Asks all of them again, if all have answered. Waits for room in a mailbox, as threads_tell does. */
void pulse_take(struct pulse *pulse, struct threads *threads);

#endif
