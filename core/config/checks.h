/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The group `health` of an upstream: what more there is to it than single values. Private to core/config.
 * Control thread.
 */
#ifndef FAIRLEAD_CONFIG_CHECKS_H
#define FAIRLEAD_CONFIG_CHECKS_H

#include "config/document.h"
#include "config/load.h"

/* Completes and checks what reader_group has read; `group` is the upstream. */
void checks_read(struct loader *loader, const struct node *group, struct checks *checks);
/* True when there is something that the health thread has to do. */
bool checks_are_wanted(const struct checks *checks);

#endif
