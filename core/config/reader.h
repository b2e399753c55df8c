/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reads a group of the file by the schema: unknown keys, types, ranges and what is missing are found here,
 * single values stored. Private to core/config. Control thread.
 */
#ifndef FAIRLEAD_CONFIG_READER_H
#define FAIRLEAD_CONFIG_READER_H

#include "config/document.h"
#include "config/load.h"
#include "config/schema.h"

/* Keys that the schema does not have: the options of a strategy. */
struct extra_keys {
    size_t n;
    const struct key *keys;
    bool unknown; /* they could not be learned: then no key is called unknown */
};

/* Stores the fallbacks of a context. Settings get theirs in the main context only; elsewhere they are
 * inherited. */
void reader_defaults(struct loader *loader, enum context context, const struct targets *targets);

/* `extra` may be NULL. A node that is not a group is passed over: its parent has been told off. */
void reader_group(struct loader *loader, const struct node *group, enum context context,
                  const struct targets *targets, const struct extra_keys *extra);

/* A member that is of the kind wanted, or an empty node of that kind. */
struct node reader_member(const struct node *group, const char *name, enum node_kind kind);

#endif
