/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A borrowed run of bytes. It owns nothing; it is valid as long as the buffer that it points into.
 * Any thread. Never NUL-terminated unless the producer says so.
 */
#ifndef FAIRLEAD_HTTP_SPAN_H
#define FAIRLEAD_HTTP_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct span {
    const char *p;
    size_t len; /* bytes */
};

#define SPAN_LITERAL(text) ((struct span){(text), sizeof(text) - 1})

static inline bool span_equals(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

/* ASCII letters compare without case; every other byte exactly (the C locale's strncasecmp). */
static inline bool span_equals_nocase(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || strncasecmp(a.p, b.p, a.len) == 0);
}

#endif
