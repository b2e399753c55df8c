/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What of the group `log` is more than single values: where syslog is. Private to core/config. Control
 * thread. */
#ifndef FAIRLEAD_CONFIG_LOGS_H
#define FAIRLEAD_CONFIG_LOGS_H

#include "config/document.h"
#include "config/load.h"

/* Reads syslog_server, resolving the name in it, and checks what belongs together. `document`: the main file.
 */
void logs_read(struct loader *loader, const struct node *document);

#endif
