/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The decoder of the chunked transfer coding (RFC 9112 7.1), fed with whatever bytes have come. Pure: no I/O, no
 * allocation; one object per message body. Any thread, one at a time. Strict: CR LF only, sizes 1*16HEXDIG significant,
 * extensions checked for CR, LF, NUL and syntax, never passed on, their total bounded (requirements 46 to 48).
 */
#ifndef FAIRLEAD_HTTP_CHUNKED_H
#define FAIRLEAD_HTTP_CHUNKED_H

#include "http/h1.h"

#define CHUNKED_EXTENSIONS_MAX 4096u /* bytes of all chunk extensions of one message */

struct chunked {
    uint64_t left;       /* bytes of chunk data still to come in this chunk */
    uint32_t extensions; /* bytes of extensions so far */
    uint8_t state;       /* private to chunked.c */
    uint8_t digits;      /* private */
    uint8_t detail;      /* private */
};

enum chunked_event {
    CHUNKED_MORE,    /* all of the input was consumed; nothing to hand out */
    CHUNKED_DATA,    /* *data is a non-empty run of the input, and is consumed with what came before it */
    CHUNKED_TRAILERS /* the last chunk's line was consumed; what follows is for h1_parse_trailers (at least CR LF) */
};

void chunked_init(struct chunked *chunked);

/*
 * Looks at input[0..len). Sets *consumed (<= len) to the bytes it is done with, data handed out included. Call again with the
 * rest until it says MORE or TRAILERS. Returns an enum chunked_event (>= 0) or an enum h1_error (< 0), after which the object
 * must not be used.
 */
int chunked_next(struct chunked *chunked, const char *input, size_t len, size_t *consumed, struct span *data)
    __attribute__((warn_unused_result));

/* Bytes that the chunk under way still has to bring: 0 while its size line is not complete. */
uint64_t chunked_expected(const struct chunked *chunked);

#endif
