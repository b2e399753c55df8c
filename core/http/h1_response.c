/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Response heads (RFC 9112 4): the status line, and how the body that follows is framed (RFC 9112 6.3). A
 * refused head means 502 to the client, whatever the reason. Pure; any thread.
 */
#include "http/h1_private.h"

static int parse_version(struct h1_message *m, struct h1_response *response)
{
    unsigned major = 0, minor = 0;
    int rc = h1_parse_version(m, &major, &minor);
    if (rc <= 0)
        return rc == H1_BAD_VERSION ? H1_BAD_STATUS_LINE : rc;
    if (m->at == m->end)
        return 0;
    if (*m->at++ != ' ')
        return H1_BAD_STATUS_LINE;
    if (major != 1)
        return H1_UNSUPPORTED_VERSION;
    response->minor = minor > 0 ? 1 : 0;
    return 1;
}

/* Three digits, 100 to 599 (RFC 9110 15). */
static int parse_status(struct h1_message *m, struct h1_response *response)
{
    unsigned status = 0;
    for (int i = 0; i < 3; i++) {
        if (m->at == m->end)
            return 0;
        if (!http_has_class(*m->at, CLASS_DIGIT))
            return H1_BAD_STATUS_LINE;
        status = status * 10 + (unsigned)(*m->at++ - '0');
    }
    if (status < 100 || status > 599)
        return H1_BAD_STATUS_LINE;
    response->status = (uint16_t)status;
    return 1;
}

/* The SP before an empty reason is often forgotten, and nothing hangs on it: the line is written anew. */
static int parse_reason(struct h1_message *m, struct h1_response *response)
{
    if (m->at == m->end)
        return 0;
    if (*m->at == ' ')
        m->at++;
    else if (*m->at != '\r' && *m->at != '\n')
        return H1_BAD_STATUS_LINE;
    const char *start = m->at;
    while (m->at < m->end && http_has_class(*m->at, CLASS_TEXT))
        m->at++;
    if (m->at == m->end)
        return 0;
    if (*m->at != '\r' && *m->at != '\n')
        return H1_BAD_STATUS_LINE;
    response->reason = h1_range_of(m, start, m->at);
    return h1_parse_line_end(m);
}

static int parse_status_line(struct h1_message *m, struct h1_response *response)
{
    int rc = parse_version(m, response);
    if (rc > 0)
        rc = parse_status(m, response);
    return rc > 0 ? parse_reason(m, response) : rc;
}

/* Responses whose framing fields mean nothing and are taken out: 1xx, 204, and the 2xx of CONNECT (RFC
 * 9110 8.6, RFC 9112 6.1, 6.3). */
static bool forbids_framing(const struct h1_response *response, uint8_t method_id)
{
    return response->status < 200 || response->status == 204 ||
           (method_id == METHOD_CONNECT && response->status < 300);
}

static bool has_no_body(const struct h1_response *response, uint8_t method_id)
{
    return forbids_framing(response, method_id) || response->status == 304 || method_id == METHOD_HEAD;
}

/* RFC 9112 6.1: chunked alone is understood. Another coding cannot be passed on, since the field that names it is of this hop only, and
 * a client that got the bytes without the name would take them for the content: refused, rather than read until the close. */
static int judge_codings(const struct h1_message *m, struct h1_response *response)
{
    const struct h1_codings *codings = &m->codings;
    if (h1_seen(m, FIELD_CONTENT_LENGTH))
        return H1_LENGTH_AND_CODING;
    if (codings->n_chunked > 1)
        return H1_BAD_CODING;
    if (codings->other || !codings->chunked_last)
        return H1_UNKNOWN_CODING;
    response->body = BODY_CHUNKED;
    return 0;
}

static int judge_body(struct h1_message *m, struct h1_response *response, uint8_t method_id)
{
    bool has_coding = h1_seen(m, FIELD_TRANSFER_ENCODING);
    if (has_coding && response->minor == 0)
        return H1_CODING_IN_1_0;
    response->has_length = h1_seen(m, FIELD_CONTENT_LENGTH);
    response->content_length = m->content_length;

    if (has_no_body(response, method_id)) {
        response->body = BODY_NONE;
        /* A length beside a coding is known to be wrong (requirement 45). */
        if (response->has_length && (has_coding || forbids_framing(response, method_id))) {
            response->has_length = false;
            h1_mark_id(m, FIELD_CONTENT_LENGTH);
        }
        return 0;
    }
    if (has_coding)
        return judge_codings(m, response);
    response->body = response->has_length ? BODY_LENGTH : BODY_CLOSE;
    return 0;
}

int h1_parse_response(const char *data, size_t len, const struct h1_limits *limits, uint8_t method_id,
                      struct h1_response *response, struct field *fields)
{
    struct h1_message m;
    h1_message_init(&m, data, len, limits, fields);
    m.kind = H1_RESPONSE;
    *response = (struct h1_response){0};

    int rc = parse_status_line(&m, response);
    if (rc > 0)
        rc = h1_parse_fields(&m);
    if (rc == 0)
        return h1_need_more(&m);
    if (rc > 0)
        rc = judge_body(&m, response, method_id);
    if (rc < 0)
        return rc;
    h1_mark_named(&m);
    response->n_fields = m.n_fields;
    response->has_date = h1_seen(&m, FIELD_DATE);
    response->close = m.close || (response->minor == 0 && !m.keep_alive) || response->body == BODY_CLOSE;
    return (int)(m.at - m.data);
}
