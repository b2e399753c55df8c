/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What this kernel lets us do with io_uring: found out by trying, told in one line, or refused in one paragraph. Control
 * thread, once, before the workers.
 */
#ifndef FAIRLEAD_ENGINE_PROBE_H
#define FAIRLEAD_ENGINE_PROBE_H

#include <stdbool.h>
#include <stddef.h>

struct probe {
    bool multishot_accept, multishot_recv;
    char line[256]; /* "kernel=6.18.44 multishot_recv=yes ... restrictions=yes", for the log */
};

/*
 * Returns 0; or -errno with a text for the operator in refusal[0..size): which mechanism refused (kernel.io_uring_disabled,
 * seccomp, an old kernel, a limit), and what to do about it.
 */
int probe_kernel(struct probe *probe, char *refusal, size_t size) __attribute__((warn_unused_result));

/* The text alone, from what was observed; for tests. `disabled` is the sysctl's value or -1, `seccomp` that of /proc/self/status or -1. */
void probe_explain(int error, int disabled, int seccomp, const char *release, char *text, size_t size);

#endif
