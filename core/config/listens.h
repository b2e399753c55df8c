/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The addresses of all sites, merged. Private to core/config. Control thread.
 */
#ifndef FAIRLEAD_CONFIG_LISTENS_H
#define FAIRLEAD_CONFIG_LISTENS_H

#include "config/document.h"
#include "config/load.h"

#define LISTEN_BACKLOG 511 /* unless " backlog=N" says otherwise */

/* Makes config->listens from the drafts of all sites. */
void listens_build(struct loader *loader);

#endif
