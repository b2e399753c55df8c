/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Finding and loading strategy modules (see <fairlead/balancer.h>). Control thread only. Modules stay loaded until the last
 * reference is put.
 */
#ifndef FAIRLEAD_UPSTREAM_STRATEGY_H
#define FAIRLEAD_UPSTREAM_STRATEGY_H

#include <fairlead/balancer.h>

struct strategy {
    const struct fairlead_balancer *balancer;
    void *handle; /* of dlopen, owned */
};

/*
 * Loads DIR/NAME.so, and checks its symbol, interface version, name and mandatory operations. `name` must be [a-z0-9_]+. Returns 0, or
 * -ENOENT (no such module; the sentence lists those that are there), -EINVAL (not a strategy, another version), with
 * a sentence in error[0..error_size).
 */
int strategy_load(const char *dir, const char *name, struct strategy *strategy, char *error, size_t error_size)
    __attribute__((warn_unused_result));
void strategy_unload(struct strategy *strategy);

#endif
