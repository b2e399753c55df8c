/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The `resolver` group of the main file. Private to core/config. Control thread. */
#ifndef FAIRLEAD_CONFIG_RESOLVER_H
#define FAIRLEAD_CONFIG_RESOLVER_H

#include "config/document.h"
#include "config/load.h"

#define LOAD_RESOLVERS_MAX 16u /* name servers */

/* What the schema alone cannot: its name servers, and the order of its bounds. Before any name is looked up.
 */
void resolver_read(struct loader *loader, const struct node *document);

#endif
