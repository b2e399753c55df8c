/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * set_headers and set_response_headers. Private to core/config. Control thread.
 */
#ifndef FAIRLEAD_CONFIG_HEADERS_H
#define FAIRLEAD_CONFIG_HEADERS_H

#include "config/document.h"
#include "config/load.h"

/* The inherited rules, save those that the group's `key` replaces, then the group's own. */
struct header_rules headers_read(struct loader *loader, const struct node *group, const char *key,
                                 const struct header_rules *inherited);

#endif
