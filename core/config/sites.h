/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The sites of all files. Private to core/config. Control thread.
 */
#ifndef FAIRLEAD_CONFIG_SITES_H
#define FAIRLEAD_CONFIG_SITES_H

#include "config/document.h"
#include "config/load.h"

/* Reads the sites of all documents into the snapshot, and notes their nodes in loader->drafts. All upstreams
 * are known. */
void sites_read(struct loader *loader);

#endif
