/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The names of the kernel's capabilities (capabilities(7)), as sets of bits 1 << CAP_*. Control thread.
 */
#ifndef FAIRLEAD_CONFIG_CAPABILITIES_H
#define FAIRLEAD_CONFIG_CAPABILITIES_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct loader;
struct node;

#define CAPABILITIES_TEXT_MAX 768u /* all names in one line */

/* "net_bind_service,net_raw", or "none". Returns `text`. */
const char *capabilities_write(uint64_t set, char text[static CAPABILITIES_TEXT_MAX]);

/* Reads the key `capabilities` of the main document: names, with or without "cap_", in any case. */
void capabilities_read(struct loader *loader, const struct node *root);
/* The key as a line of the file; nothing for the empty set. */
void capabilities_print(uint64_t set, FILE *out);

#endif
