/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * For tests of pickers that look at what the strategy is told: tests/strategies/tally.c keeps it. Included by one
 * file per program.
 */
#ifndef FAIRLEAD_TESTS_PICKER_TALLY_H
#define FAIRLEAD_TESTS_PICKER_TALLY_H

#include "picker_fixture.h"

#include <dlfcn.h>

/* As in tests/strategies/tally.c. */
struct tally {
    atomic_ullong picks, outcomes[3], last_latency_ns, last_key, seeds;
    atomic_uint effective[8], full_weights;
};

/* The pools that are made from now on have it. */
static inline struct tally *open_tally(void)
{
    char path[MODULES_PATH_MAX + 16];

    snprintf(path, sizeof path, "%s/tally.so", modules_dir);
    void *handle = dlopen(path, RTLD_NOW);
    ck_assert_ptr_nonnull(handle);
    spec.balance = "tally";
    spec.balancers_dir = modules_dir;
    return dlsym(handle, "tally");
}

#endif
