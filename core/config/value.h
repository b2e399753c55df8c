/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Single values: from a node of the file into a field of a struct, and back into the words of the file.
 * Driven by the key's row of the schema. Private to core/config. Control thread.
 */
#ifndef FAIRLEAD_CONFIG_VALUE_H
#define FAIRLEAD_CONFIG_VALUE_H

#include "config/document.h"
#include "config/load.h"
#include "config/schema.h"

/* True when the key holds a single value (and not groups or lists). */
bool value_is_single(const struct key *key);

/* Checks the node against the key and stores it at `field`. Returns false with the finding added. */
bool value_read(struct loader *loader, const struct key *key, const struct node *node, void *field);
/* Stores the key's fallback; NULL or 0 where there is none. */
void value_read_fallback(struct loader *loader, const struct key *key, void *field);
/* Stores a number in a field of the key's width. */
void value_store(const struct key *key, void *field, int64_t value);

/* False for a string or template that is not there: then the key is not printed. */
bool value_is_present(const struct key *key, const void *field);
/* Writes what stands behind the '='. */
void value_print(const struct key *key, const void *field, FILE *out);
/* Writes a string in quotes, with escapes. */
void value_print_string(const char *text, FILE *out);

/* What the key wants, as a phrase: "a number, as in weight = 1". Returns `phrase`. */
const char *value_describe(const struct key *key, char *phrase, size_t size);

#endif
