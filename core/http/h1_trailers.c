/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Trailer sections (RFC 9112 7.1.2), and which fields must not stand in them (RFC 9110 6.5.1, requirement
 * 49). Those are marked and stay behind; the rest travels on as a trailer, never as a header. Pure; any
 * thread.
 */
#include "http/h1_private.h"

#include "http/names.h"

/* What frames, routes, modifies a request, authenticates, or is needed before the content is processed.
 * Fields that enum field_id knows are judged by id. */
static bool is_barred_name(struct span name)
{
    static const struct span barred[] = {
        {"age", 3},
        {"range", 5},
        {"expires", 7},
        {"forwarded", 9},
        {"location", 8},
        {"set-cookie", 10},
        {"vary", 4},
        {"warning", 7},
        {"cache-control", 13},
        {"content-encoding", 16},
        {"content-type", 12},
        {"content-range", 13},
        {"content-location", 16},
        {"authorization", 13},
        {"authentication-info", 19},
        {"proxy-authentication-info", 25},
        {"www-authenticate", 16},
        {"if-match", 8},
        {"if-none-match", 13},
        {"if-modified-since", 17},
        {"if-unmodified-since", 19},
        {"if-range", 8},
        {"pragma", 6},
        {"retry-after", 11},
        {"http2-settings", 14},
        {"x-forwarded-host", 16},
        {"x-forwarded-port", 16},
        {"early-data", 10},
    };
    for (size_t i = 0; i < sizeof(barred) / sizeof(barred[0]); i++) {
        if (span_equals_nocase(name, barred[i]))
            return true;
    }
    return false;
}

/* Of the known fields only the plain information may trail. */
static bool is_barred_id(uint8_t id)
{
    return id != FIELD_SERVER && id != FIELD_USER_AGENT && id != FIELD_REFERER;
}

int h1_parse_trailers(const char *data, size_t len, const struct h1_limits *limits, struct field *fields,
                      uint16_t *n_fields)
{
    struct h1_message m;
    h1_message_init(&m, data, len, limits, fields);
    m.kind = H1_TRAILERS;
    *n_fields = 0;

    int rc = h1_parse_fields(&m);
    if (rc == 0)
        return h1_need_more(&m);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < m.n_fields; i++) {
        struct span name = {data + fields[i].name, fields[i].name_len};
        if (fields[i].id != FIELD_OTHER ? is_barred_id(fields[i].id) : is_barred_name(name))
            fields[i].flags |= FIELD_HOP;
    }
    *n_fields = m.n_fields;
    return (int)(m.at - m.data);
}
