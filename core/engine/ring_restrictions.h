/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a ring may do: the kernel refuses every other operation with -EACCES, so that who gets hold of a
 * worker cannot open files or start anything by its ring. A ring that needs a further operation needs a
 * further row in ring_restrictions.c.
 */
#ifndef FAIRLEAD_ENGINE_RING_RESTRICTIONS_H
#define FAIRLEAD_ENGINE_RING_RESTRICTIONS_H

/*
 * For a ring that was made with IORING_SETUP_R_DISABLED and is not enabled yet; they hold from then on, and
 * cannot be taken back. Returns 0, or -errno: -EINVAL on a kernel that has no restrictions. Control thread.
 */
int ring_restrict(int ring_fd) __attribute__((warn_unused_result));

#endif
