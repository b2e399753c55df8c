/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A parsed configuration file as a tree of plain nodes, so that no other file needs libconfig. Nodes live as
 * long as the loader's scratch arena. Private to core/config. Control thread.
 */
#ifndef FAIRLEAD_CONFIG_DOCUMENT_H
#define FAIRLEAD_CONFIG_DOCUMENT_H

#include "config/arena.h"
#include "config/source.h"

enum node_kind { NODE_GROUP, NODE_LIST /* and arrays */, NODE_STRING, NODE_INT, NODE_FLOAT, NODE_BOOL };

struct node {
    enum node_kind kind;
    const char *name; /* "" for the root and members of lists */
    struct place place;
    const char *string;
    long long integer; /* of NODE_BOOL: 0 or 1 */
    size_t n;          /* of groups and lists */
    const struct node *children;
};

/* Parses a text into nodes of the arena. Returns 0, or -EINVAL with the finding added. */
int document_parse(const struct source *source, struct arena *scratch, struct config_errors *errors,
                   const struct node **root) __attribute__((warn_unused_result));

/* The member of a group, or NULL. `group` may be NULL or of another kind. */
const struct node *node_member(const struct node *group, const char *name);

#endif
