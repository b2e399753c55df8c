/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The locations of a site. Private to core/config. Control thread.
 */
#ifndef FAIRLEAD_CONFIG_LOCATIONS_H
#define FAIRLEAD_CONFIG_LOCATIONS_H

#include "config/document.h"
#include "config/load.h"

/* What a location inherits from its site. */
struct site_headers {
    struct header_rules request, response;
};

/* Reads `locations` of the site's group; the site's settings are known. */
void locations_read(struct loader *loader, const struct node *group, const struct site_headers *headers,
                    struct site *site);

#endif
