/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The error pages of a site, loaded from their files. Private to core/config. Control thread.
 */
#ifndef FAIRLEAD_CONFIG_ERROR_PAGES_H
#define FAIRLEAD_CONFIG_ERROR_PAGES_H

#include "config/document.h"
#include "config/load.h"

/* Reads `error_pages` of the site's group. Gives the file of each page, for printing. */
const char **error_pages_read(struct loader *loader, const struct node *group, struct site *site);

#endif
