/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Becoming an ordinary user. Control thread, after the sockets and logs are open and before the rings are made. */
#ifndef FAIRLEAD_CONTROL_PRIVILEGES_H
#define FAIRLEAD_CONTROL_PRIVILEGES_H

#include <stddef.h>

/* NULL, or not being root, changes nothing. Returns 0, or -errno with a sentence in error[0..size). */
int privileges_drop(const char *user, char *error, size_t size) __attribute__((warn_unused_result));

#endif
