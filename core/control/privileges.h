/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Becoming an ordinary user, in an ordinary user's place: chroot, user, groups, capabilities, no_new_privs.
 * Control thread, once, before there are other threads (capabilities are each thread's own), after logs, pid
 * file and sockets are open and before the rings are made. Everything about the system's users is asked
 * before the chroot.
 */
#ifndef FAIRLEAD_CONTROL_PRIVILEGES_H
#define FAIRLEAD_CONTROL_PRIVILEGES_H

#include "config/config.h"

#define PRIVILEGES_WARNINGS 8u

/* What there is to tell, for a time when the log can be written. */
struct privileges_told {
    char line[1280]; /* "privileges user=... group=... capabilities=... no_new_privs=1" */
    size_t n;
    char warnings[PRIVILEGES_WARNINGS][512];
};

/*
 * -t: whether `user`, `group` and `chroot` are such that a start as root would work. Returns 0, or -errno
 * with a sentence in error[0..size). Not being root finds fewer faults, and changes nothing.
 */
int privileges_check(const struct config *config, char *error, size_t size)
    __attribute__((warn_unused_result));

/*
 * As root: log files that root owns are given to the user, then chroot, then the user with its groups and
 * with the configured capabilities, permitted, effective, inheritable and ambient (so that a program that is
 * executed for an upgrade has them, too); all others are given up, in the bounding set as well. Not as root:
 * the user stays, and of the capabilities that the process was started with only the configured ones. In both
 * cases no_new_privs is set, and what was asked for is verified. Root without `user` and without
 * `capabilities` stays what it is, with a warning. Returns 0, or -errno with a sentence in error[0..size):
 * then the process must end.
 */
int privileges_drop(const struct config *config, struct privileges_told *told, char *error, size_t size)
    __attribute__((warn_unused_result));

/* Logs the line and the warnings. */
void privileges_report(const struct privileges_told *told);

#endif
