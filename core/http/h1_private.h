/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the files of core/http share and nobody else includes: the table of character classes, and the state
 * of one head while it is parsed. Pure; the state lives on the stack of one h1_parse_* call, in any thread.
 *
 * Every scanner here judges bytes in the order in which they stand and looks at no later byte first. That is
 * what makes the verdict on a head the same wherever its delivery was split (requirement 38).
 */
#ifndef FAIRLEAD_HTTP_H1_PRIVATE_H
#define FAIRLEAD_HTTP_H1_PRIVATE_H

#include "http/h1.h"

enum http_class {
    CLASS_TOKEN = 1,    /* tchar (RFC 9110 5.6.2) but '_', which has a class of its own for requirement 37 */
    CLASS_LOW_LINE = 2, /* '_' */
    CLASS_TARGET = 4,   /* what a request target may hold: visible ASCII but '#' (requirement 30) */
    CLASS_HOST = 8,     /* reg-name (RFC 3986 3.2.2) without '%', judged apart, and ',' (requirement 32) */
    CLASS_HEX = 16,     /* HEXDIG, both cases */
    CLASS_TEXT = 32,    /* HTAB, SP, VCHAR, obs-text: field values and reason phrases (RFC 9110 5.5) */
    CLASS_PATH = 64,    /* pchar but '%', and '/' (RFC 3986 3.3) */
    CLASS_DIGIT = 128
};

extern const uint8_t http_class[256];

static inline bool http_has_class(char c, unsigned classes)
{
    return (http_class[(unsigned char)c] & classes) != 0;
}

/* The value of a byte of CLASS_HEX. */
static inline unsigned http_hex_value(char c)
{
    unsigned byte = (unsigned char)c;
    return byte <= '9' ? byte - '0' : (byte | 0x20u) - 'a' + 10;
}

#define H1_METHOD_MAX     32u /* bytes of a method */
#define H1_CONNECTION_MAX 32u /* members of all Connection lines of a head, and as many empty ones */

enum h1_kind { H1_REQUEST, H1_RESPONSE, H1_TRAILERS };

/* What the Transfer-Encoding lines of a head say, taken as one list (RFC 9110 5.3, requirement 42). */
struct h1_codings {
    uint16_t n_chunked;
    bool chunked_last;
    bool other;   /* a coding that is not chunked */
    bool unknown; /* ... and is not in the IANA registry either */
};

struct h1_message {
    const char *data;
    const char *at;  /* next byte to judge */
    const char *end; /* of what is at hand, at most head_max bytes */
    const struct h1_limits *limits;
    struct field *fields; /* borrowed from the caller, limits->fields_max of them */
    uint8_t kind;         /* enum h1_kind */
    uint16_t n_fields;
    uint32_t seen; /* bit 1 << enum field_id for each field that stands in the head */
    uint64_t content_length;
    struct h1_codings codings;
    uint16_t host;                      /* index of Host in fields */
    uint8_t n_members, n_empty_members; /* of Connection */
    uint8_t n_named;
    bool close, keep_alive; /* what Connection says */
    bool names_te, names_upgrade;
    bool lists_trailers; /* what TE says */
    bool upgrade_value;  /* an Upgrade line has a value */
    bool expects_continue, expects_other;
    struct span
        named[H1_CONNECTION_MAX]; /* fields that Connection names and that do not always stay behind */
};

/* The functions below return > 0 done (m->at is behind what was judged), 0 need more bytes, < 0 an enum
 * h1_error. */

/* Starts with everything unsaid. The limits must be in range: they come from a checked configuration. */
void h1_message_init(struct h1_message *m, const char *data, size_t len, const struct h1_limits *limits,
                     struct field *fields);

/* The verdict on a head whose bytes have run out: 0, or H1_LARGE_HEAD where no further byte could be allowed.
 */
int h1_need_more(const struct h1_message *m);

/* "HTTP/" DIGIT "." DIGIT. H1_BAD_VERSION otherwise. */
int h1_parse_version(struct h1_message *m, unsigned *major, unsigned *minor);

/* CR LF; H1_BAD_LINE_END for anything else. */
int h1_parse_line_end(struct h1_message *m);

/* All field lines and the empty line. Sets id and FIELD_HOP of requirement 2, and notes what framing needs.
 */
int h1_parse_fields(struct h1_message *m);

/* Takes in what one known field of a request or response says. Returns 0 or an enum h1_error (< 0). */
int h1_note_field(struct h1_message *m, const struct field *field);

/* Sets FIELD_HOP of the fields that Connection names, once all fields are there (requirement 1). */
void h1_mark_named(struct h1_message *m);

/* Sets FIELD_HOP of all fields with this id. */
void h1_mark_id(struct h1_message *m, enum field_id id);

static inline bool h1_seen(const struct h1_message *m, enum field_id id)
{
    return (m->seen >> id & 1u) != 0;
}

static inline struct h1_range h1_range_of(const struct h1_message *m, const char *from, const char *to)
{
    return (struct h1_range){(uint16_t)(from - m->data), (uint16_t)(to - from)};
}

#endif
