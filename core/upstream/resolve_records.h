/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the resolver does with the records of an answer, and what it reads from a message by itself. Private
 * to resolve.c. Control thread.
 */
#ifndef FAIRLEAD_UPSTREAM_RESOLVE_RECORDS_H
#define FAIRLEAD_UPSTREAM_RESOLVE_RECORDS_H

#include "upstream/resolve.h"

/* Brings the records into their order, each once, without those that this machine has no way to. */
void resolve_tidy(struct resolve_answer *answer);
/* The least TTL of a DNS message's answer section, in seconds, as far as it can be read; UINT32_MAX when it
 * has none. */
uint32_t resolve_least_ttl(const unsigned char *message, size_t len);

#endif
