/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * HTTP/1 message heads (RFC 9110, RFC 9112): bytes in, structs out, no I/O, no allocation, no state kept between
 * calls. Any thread. A head that is not delivered whole is parsed again from its first byte when more has come;
 * the result never depends on where the bytes were split.
 *
 * All positions are 16-bit offsets from the first byte of the head, so a parsed head may be moved in memory
 * together with its bytes. A head is therefore at most H1_HEAD_MAX bytes.
 */
#ifndef FAIRLEAD_HTTP_H1_H
#define FAIRLEAD_HTTP_H1_H

#include "http/span.h"

#include <stdint.h>

#define H1_HEAD_MAX   65535u /* bytes of one head, start line and final empty line included */
#define H1_FIELDS_MAX 1000u  /* most fields a configuration may allow in one head */

/* Why a head, a trailer section or a chunk was refused. Names go to the error log; the status (request side) to the
 * client; on the response side every one of them means 502 (RFC 9110 15.6.3). X(name, request status, text) */
#define H1_ERRORS(X)                                                                                        \
    X(H1_BAD_METHOD, 400, "the method is not a token")                                                      \
    X(H1_LONG_METHOD, 501, "the method is too long")                                                        \
    X(H1_BAD_REQUEST_LINE, 400, "the request line is malformed")                                            \
    X(H1_BAD_TARGET, 400, "the request target is malformed")                                                \
    X(H1_LONG_TARGET, 414, "the request target is too long")                                                \
    X(H1_BAD_VERSION, 400, "the HTTP version is malformed")                                                 \
    X(H1_UNSUPPORTED_VERSION, 505, "the HTTP version is not 1.x")                                           \
    X(H1_BAD_LINE_END, 400, "a line does not end in CR LF")                                                 \
    X(H1_BAD_FIELD_NAME, 400, "a field name is not a token")                                                \
    X(H1_UNDERSCORE, 400, "a field name has an underscore")                                                 \
    X(H1_SPACE_BEFORE_COLON, 400, "white space stands before a colon")                                      \
    X(H1_OBS_FOLD, 400, "a field line is folded, or begins with white space")                               \
    X(H1_BAD_FIELD_VALUE, 400, "a field value has a control character")                                     \
    X(H1_LARGE_HEAD, 431, "the head is too large")                                                          \
    X(H1_MANY_FIELDS, 431, "the head has too many fields")                                                  \
    X(H1_LONG_FIELD, 431, "a field line is too long")                                                       \
    X(H1_NO_HOST, 400, "Host is missing")                                                                   \
    X(H1_MANY_HOSTS, 400, "Host stands more than once")                                                     \
    X(H1_BAD_HOST, 400, "Host is malformed")                                                                \
    X(H1_BAD_LENGTH, 400, "Content-Length is not one decimal number")                                       \
    X(H1_LENGTH_AND_CODING, 400, "Content-Length and Transfer-Encoding stand together")                     \
    X(H1_CODING_IN_1_0, 400, "Transfer-Encoding stands in an HTTP/1.0 message")                             \
    X(H1_BAD_CODING, 400, "Transfer-Encoding is malformed, or chunked is not last and once")                \
    X(H1_UNKNOWN_CODING, 501, "the transfer coding is not known")                                           \
    X(H1_BAD_CONNECTION, 400, "Connection is malformed, or names too many fields")                          \
    X(H1_BAD_EXPECT, 417, "the expectation is not 100-continue")                                            \
    X(H1_CONNECT_BODY, 400, "CONNECT came with a body")                                                     \
    X(H1_BAD_STATUS_LINE, 502, "the status line is malformed")                                              \
    X(H1_BAD_CHUNK_SIZE, 400, "a chunk size is not a hexadecimal number")                                   \
    X(H1_BAD_CHUNK_EXTENSION, 400, "a chunk extension is malformed")                                        \
    X(H1_LONG_CHUNK_EXTENSIONS, 413, "the chunk extensions are too long")                                   \
    X(H1_BAD_CHUNK_END, 400, "chunk data does not end in CR LF")

enum h1_error {
#define X(name, status, text) name,
    H1_ERROR_BEFORE_FIRST = -1000,
    H1_ERRORS(X) H1_ERROR_END
#undef X
};

/* The status that a client is answered with; always 400 to 505. `error` is one of enum h1_error. */
int h1_error_status(int error);
const char *h1_error_text(int error);

/* Fields that the proxy treats in a way of its own. Recognised without case while parsing. */
enum field_id {
    FIELD_OTHER,
    FIELD_HOST,
    FIELD_CONNECTION,
    FIELD_PROXY_CONNECTION,
    FIELD_KEEP_ALIVE,
    FIELD_TE,
    FIELD_TRAILER,
    FIELD_TRANSFER_ENCODING,
    FIELD_CONTENT_LENGTH,
    FIELD_UPGRADE,
    FIELD_EXPECT,
    FIELD_MAX_FORWARDS,
    FIELD_PROXY_AUTHORIZATION,
    FIELD_PROXY_AUTHENTICATE,
    FIELD_VIA,
    FIELD_DATE,
    FIELD_SERVER,
    FIELD_X_REAL_IP,
    FIELD_X_FORWARDED_FOR,
    FIELD_X_FORWARDED_PROTO,
    FIELD_USER_AGENT,
    FIELD_REFERER,
    FIELD_COOKIE,
    FIELD_IDS
};

enum field_flag {
    FIELD_HOP = 1, /* hop-by-hop (RFC 9110 7.6.1, requirement 1 and 2), or not allowed in a trailer: not forwarded */
};

struct field {
    uint16_t name, name_len;
    uint16_t value, value_len; /* without the white space around it */
    uint8_t id;                /* enum field_id */
    uint8_t flags;             /* enum field_flag */
};

struct h1_limits {
    uint32_t head_max;        /* bytes of the whole head; at most H1_HEAD_MAX -> H1_LARGE_HEAD */
    uint32_t target_max;      /* bytes of the request target -> H1_LONG_TARGET */
    uint32_t field_max;       /* bytes of one field line -> H1_LONG_FIELD */
    uint16_t fields_max;      /* fields, and the size of the array given -> H1_MANY_FIELDS */
    bool reject_underscores;  /* requirement 37: true refuses names with '_', false drops such fields (FIELD_HOP) */
};

enum h1_method {
    METHOD_OTHER,
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_DELETE,
    METHOD_CONNECT,
    METHOD_OPTIONS,
    METHOD_TRACE,
    METHOD_PATCH
};

enum target_form { TARGET_ORIGIN, TARGET_ABSOLUTE, TARGET_AUTHORITY, TARGET_ASTERISK };

enum body_kind {
    BODY_NONE,    /* no body follows */
    BODY_LENGTH,  /* content_length bytes follow; may be 0 when the field said so */
    BODY_CHUNKED, /* RFC 9112 7.1 */
    BODY_CLOSE    /* responses only: until the connection ends */
};

/* A run of bytes inside a head. */
struct h1_range {
    uint16_t at, len;
};

struct h1_request {
    uint8_t method_id; /* enum h1_method */
    uint8_t form;      /* enum target_form */
    uint8_t minor;     /* 0 or 1; a received 1.2 to 1.9 counts as 1 (RFC 9110 6.2) */
    uint8_t body;      /* enum body_kind, never BODY_CLOSE */
    struct h1_range method;
    struct h1_range target; /* as received */
    struct h1_range path;   /* path and query of the target; len 0 when an absolute form had none: it means "/",
                               or "*" for OPTIONS (RFC 9112 3.2.4). "*" for the asterisk form. */
    struct h1_range host;   /* host without port, brackets of an IPv6 literal included: of the absolute form's authority if
                               there is one (RFC 9112 3.2.2), else of Host; len 0: none (HTTP/1.0, or an empty Host) */
    struct h1_range authority; /* the same with its port, as received; what Host is forwarded as */
    uint16_t n_fields;
    uint64_t content_length; /* of BODY_LENGTH */
    bool close;         /* Connection: close was said, or HTTP/1.0 without keep-alive */
    bool keep_alive;    /* Connection: keep-alive was said */
    bool expect_100;    /* Expect: 100-continue on HTTP/1.1 (ignored on 1.0) */
    bool te_trailers;   /* TE lists trailers, and Connection lists TE */
    bool upgrade;       /* Connection lists Upgrade and Upgrade is there (HTTP/1.1 only) */
};

/*
 * Parses one request head from data[0..len). One empty line (CR LF) before the request line is skipped and counted in the
 * result (RFC 9112 2.2). Writes at most limits->fields_max entries to `fields`.
 * Returns the bytes of the head (> 0), 0 when it is not whole yet, or an enum h1_error (< 0). A limit is reported as soon
 * as the bytes at hand exceed it, whole or not; so is any malformed byte in a line that is whole.
 */
int h1_parse_request(const char *data, size_t len, const struct h1_limits *limits, struct h1_request *request,
                     struct field *fields) __attribute__((warn_unused_result));

struct h1_response {
    uint16_t status; /* 100 to 599 (others are H1_BAD_STATUS_LINE; 101 is reported like any other) */
    uint8_t minor;   /* 0 or 1 */
    uint8_t body;    /* enum body_kind, the request's method taken into account (RFC 9112 6.3, requirement 52) */
    struct h1_range reason; /* may be empty */
    uint16_t n_fields;
    bool close;      /* the connection ends after this response */
    bool has_length; /* a valid Content-Length was there, also where `body` is BODY_NONE (HEAD, 304: it is kept) */
    bool has_date;
    uint64_t content_length; /* where has_length */
};

/*
 * Parses one response head to a request with method `method_id`. Space before a colon is stripped (requirement 35),
 * obs-fold is an error. Returns as h1_parse_request.
 */
int h1_parse_response(const char *data, size_t len, const struct h1_limits *limits, uint8_t method_id,
                      struct h1_response *response, struct field *fields) __attribute__((warn_unused_result));

/*
 * Parses a trailer section: what follows the "0 CR LF" of a chunked body, up to and with its empty line. Fields that frame,
 * route, authenticate, or that say how to treat the content get FIELD_HOP (RFC 9110 6.5.1, requirement 49).
 * Returns as h1_parse_request; *n_fields is the count.
 */
int h1_parse_trailers(const char *data, size_t len, const struct h1_limits *limits, struct field *fields,
                      uint16_t *n_fields) __attribute__((warn_unused_result));

#endif
