/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a request path means for routing: percent-decoded, "." and ".." resolved, slashes merged, query cut off. The bytes
 * that are forwarded stay as they came (RFC 9110 7.7, requirement 11); only the choice of a location uses this form, so that
 * "/a/../admin" and "/%61dmin" are judged as what the origin will take them for. Pure; any thread.
 */
#ifndef FAIRLEAD_HTTP_TARGET_H
#define FAIRLEAD_HTTP_TARGET_H

#include "http/span.h"

#include <sys/types.h>

/*
 * Normalises the path part (up to '?' or the end) of `path_and_query`, which begins with '/', into out[0..size), never
 * longer than the input. Returns the length (>= 1), or -1: a broken percent-escape, a decoded NUL, or ".." above the root.
 */
ssize_t target_normalize(struct span path_and_query, char *out, size_t size) __attribute__((warn_unused_result));

/* Percent-encodes what may not stand raw in a path (RFC 3986 3.3). Returns the length, or -1 when it does not fit. */
ssize_t target_escape(struct span path, char *out, size_t size) __attribute__((warn_unused_result));

/* True when the host is a reg-name, IPv4 or bracketed IPv6 literal without userinfo, comma, space or control (requirement 32),
 * followed by an optional ":port" of 1 to 5 digits, at most 65535 ("host:" alone is allowed by RFC 3986, and accepted).
 * *host_len gets the length without the port. `authority` may be empty: then false. */
bool target_authority_valid(struct span authority, size_t *host_len);

#endif
