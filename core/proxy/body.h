/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The body of one message on its way from one stream to another: taken out of one framing (RFC 9112 6.3), put into another, by reference where
 * that pays. It stops when the other side has no room, and never reads beyond the end of the message. Worker thread.
 */
#ifndef FAIRLEAD_PROXY_BODY_H
#define FAIRLEAD_PROXY_BODY_H

#include "engine/stream.h"
#include "http/chunked.h"
#include "http/h1.h"

enum body_result {
    BODY_WANTS_INPUT,  /* all that came was moved; more must come */
    BODY_WANTS_ROOM,   /* the receiver is full: go on when it has sent */
    BODY_DONE,         /* complete, its end included */
    BODY_CUT,          /* the sender ended in the middle */
    BODY_BAD,          /* the framing is broken: body->error */
    BODY_TOO_LARGE,    /* more than body->limit bytes */
    BODY_NO_MEMORY
};

struct body {
    uint8_t from, to;       /* enum body_kind of either side; to BODY_NONE: thrown away */
    bool relay_trailers;    /* where `to` is BODY_CHUNKED */
    bool done, in_trailers;
    int error;              /* enum h1_error, after BODY_BAD */
    uint64_t left;          /* of BODY_LENGTH */
    uint64_t moved;         /* bytes of content so far */
    uint64_t limit;         /* most bytes of content; 0: any */
    struct chunked chunked;
    struct buffer *record;  /* owned; what went to the receiver, framing included, so that it can go to another one; NULL: nothing */
    uint32_t record_max;    /* the most that is kept; 0: none is */
    bool lost;              /* bytes went out that are not in the record */
};

void body_init(struct body *body, enum body_kind from, enum body_kind to, uint64_t length);

/* Keeps up to `max` bytes of what goes out, for body_replay. Before the first byte. */
void body_keep(struct body *body, uint32_t max);
/* Whether all that went out could go out again. */
static inline bool body_can_replay(const struct body *body)
{
    return !body->lost;
}
/* Queues what went out for another receiver. Returns false when memory is short. */
bool body_replay(const struct body *body, struct stream *to) __attribute__((warn_unused_result));
/* The record is not needed any more. */
void body_forget(struct body *body);
/* Moves what can be moved now. `fields` is scratch for limits->fields_max trailer fields. `to` may be NULL with BODY_NONE. */
enum body_result body_relay(struct body *body, struct stream *from, struct stream *to, const struct h1_limits *limits,
                            struct field *fields) __attribute__((warn_unused_result));

#endif
