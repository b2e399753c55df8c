/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The URL of proxy_pass. Private to core/config. Control thread; blocks when the host is a name to resolve.
 */
#ifndef FAIRLEAD_CONFIG_PROXY_PASS_H
#define FAIRLEAD_CONFIG_PROXY_PASS_H

#include "config/load.h"

/* Fills location->proxy; location->match is known. Faults become findings. All upstreams of all files have
 * been read. */
void proxy_pass_read(struct loader *loader, struct place place, const char *url, struct location *location);

#endif
