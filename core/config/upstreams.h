/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Upstream groups: those of the files, and those that a proxy_pass to a URL stands for. Private to
 * core/config. Control thread.
 */
#ifndef FAIRLEAD_CONFIG_UPSTREAMS_H
#define FAIRLEAD_CONFIG_UPSTREAMS_H

#include "config/document.h"
#include "config/load.h"

/* Reads all `upstreams` of one file. */
void upstreams_read(struct loader *loader, const struct node *document);

/* The written group of that name (in any case), or NULL. */
const struct upstream *upstreams_find(const struct storage *storage, const char *name);
/* The written group whose name is nearest, for hints; NULL: none is near. */
const char *upstreams_nearest(const struct storage *storage, const char *name);
/* The group of one host or socket, made when it is asked for first; NULL: there are too many. `authority` as
 * in a URL. */
const struct upstream *upstreams_of_url(struct loader *loader, struct place place, const char *authority);

/* Puts all groups and their pools into the snapshot. Only when there were no errors. */
void upstreams_publish(struct loader *loader);

#endif
