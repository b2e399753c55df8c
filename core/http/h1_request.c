/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Request heads (RFC 9112 3): the request line, what its target means, and the verdict on the head as a
 * whole. Pure; any thread; it never corrects what it does not like, it refuses it.
 */
#include "http/h1_private.h"

#include "http/names.h"
#include "http/target.h"

/* RFC 9112 2.2: one empty line may be left over from a body before. */
static int skip_empty_line(struct h1_message *m)
{
    if (m->at == m->end)
        return 0;
    if (*m->at == '\r' || *m->at == '\n')
        return h1_parse_line_end(m);
    return 1;
}

static int parse_method(struct h1_message *m, struct h1_request *request)
{
    const char *start = m->at;
    const char *p = start;
    while (p < m->end && http_has_class(*p, CLASS_TOKEN | CLASS_LOW_LINE)) {
        if ((size_t)(p - start) == H1_METHOD_MAX)
            return H1_LONG_METHOD;
        p++;
    }
    if (p == m->end)
        return 0;
    if (*p == '\r' || *p == '\n')
        return H1_BAD_REQUEST_LINE;
    if (*p != ' ' || p == start)
        return H1_BAD_METHOD;
    request->method = h1_range_of(m, start, p);
    request->method_id = (uint8_t)http_method_id((struct span){start, request->method.len});
    m->at = p + 1;
    return 1;
}

static int scan_target(struct h1_message *m, struct h1_request *request)
{
    const char *start = m->at;
    const char *p = start;
    size_t at_hand = (size_t)(m->end - start);
    size_t most = (size_t)m->limits->target_max + 1;
    const char *stop = start + (at_hand < most ? at_hand : most);
    while (p < stop && http_has_class(*p, CLASS_TARGET))
        p++;
    if (p == stop)
        return at_hand < most ? 0 : H1_LONG_TARGET;
    if (*p == '\r' || *p == '\n' || (*p == ' ' && p == start))
        return H1_BAD_REQUEST_LINE; /* HTTP/0.9 has no version, and white space is one SP (requirements 29,
                                       30) */
    if (*p != ' ')
        return H1_BAD_TARGET;
    request->target = h1_range_of(m, start, p);
    m->at = p + 1;
    return 1;
}

static int parse_version(struct h1_message *m, struct h1_request *request)
{
    unsigned major = 0, minor = 0;
    int rc = h1_parse_version(m, &major, &minor);
    if (rc <= 0)
        return rc;
    if (m->at < m->end && *m->at != '\r' && *m->at != '\n')
        return *m->at == ' ' ? H1_BAD_REQUEST_LINE : H1_BAD_VERSION;
    rc = h1_parse_line_end(m);
    if (rc <= 0)
        return rc;
    if (major != 1)
        return H1_UNSUPPORTED_VERSION;
    request->minor = minor > 0 ? 1 : 0;
    return 1;
}

/* Takes `text`, a part of the target, as what the request is for. False if it is no authority. */
static bool take_authority(const struct h1_message *m, struct h1_request *request, struct span text)
{
    size_t host_len;
    if (!target_authority_valid(text, &host_len))
        return false;
    request->authority = h1_range_of(m, text.p, text.p + text.len);
    request->host = h1_range_of(m, text.p, text.p + host_len);
    return true;
}

/* RFC 9112 3.2.3 and 9110 9.3.6: host and port, neither of them empty, and no port 0. */
static int judge_connect_target(const struct h1_message *m, struct h1_request *request, struct span target)
{
    if (!take_authority(m, request, target))
        return H1_BAD_TARGET;
    for (size_t i = (size_t)request->host.len + 1; i < target.len; i++) {
        if (target.p[i] != '0') {
            request->form = TARGET_AUTHORITY;
            return 1;
        }
    }
    return H1_BAD_TARGET;
}

/* RFC 9112 3.2.2: the schemes that a gateway stands for, an authority, and a path and query that may be
 * empty. */
static int judge_absolute_target(const struct h1_message *m, struct h1_request *request, struct span target)
{
    size_t at;
    if (target.len > 7 && strncasecmp(target.p, "http://", 7) == 0)
        at = 7;
    else if (target.len > 8 && strncasecmp(target.p, "https://", 8) == 0)
        at = 8;
    else
        return H1_BAD_TARGET;

    const char *authority = target.p + at;
    while (at < target.len && target.p[at] != '/' && target.p[at] != '?')
        at++;
    if (!take_authority(m, request, (struct span){authority, (size_t)(target.p + at - authority)}))
        return H1_BAD_TARGET;
    request->form = TARGET_ABSOLUTE;
    request->path = h1_range_of(m, target.p + at, target.p + target.len);
    return 1;
}

/* RFC 9112 3.2; requirements 33 and 34. */
static int judge_target(const struct h1_message *m, struct h1_request *request)
{
    struct span target = {m->data + request->target.at, request->target.len};
    if (request->method_id == METHOD_CONNECT)
        return judge_connect_target(m, request, target);
    if (target.p[0] != '/' && !span_equals(target, SPAN_LITERAL("*")))
        return judge_absolute_target(m, request, target);
    if (target.p[0] == '*' && request->method_id != METHOD_OPTIONS)
        return H1_BAD_TARGET;
    request->form = target.p[0] == '*' ? TARGET_ASTERISK : TARGET_ORIGIN;
    request->path = request->target;
    return 1;
}

/* The target is judged when its line is whole, so that the preface of HTTP/2 meets its version first. */
static int parse_request_line(struct h1_message *m, struct h1_request *request)
{
    int rc = skip_empty_line(m);
    if (rc > 0)
        rc = parse_method(m, request);
    if (rc > 0)
        rc = scan_target(m, request);
    if (rc > 0)
        rc = parse_version(m, request);
    return rc > 0 ? judge_target(m, request) : rc;
}

/* RFC 9112 6.1 and 6.3, requirements 39 to 42. Returns 0 or an enum h1_error (< 0). */
static int judge_codings(const struct h1_message *m, const struct h1_request *request)
{
    const struct h1_codings *codings = &m->codings;
    if (request->minor == 0)
        return H1_CODING_IN_1_0;
    if (h1_seen(m, FIELD_CONTENT_LENGTH))
        return H1_LENGTH_AND_CODING;
    if (codings->n_chunked > 1 || (codings->n_chunked == 1 && !codings->chunked_last))
        return H1_BAD_CODING;
    if (codings->unknown)
        return H1_UNKNOWN_CODING;
    if (!codings->chunked_last)
        return H1_BAD_CODING;
    return codings->other ? H1_UNKNOWN_CODING : 0;
}

static int judge_body(const struct h1_message *m, struct h1_request *request)
{
    request->body = BODY_NONE;
    request->content_length = 0;
    if (h1_seen(m, FIELD_TRANSFER_ENCODING)) {
        int rc = judge_codings(m, request);
        if (rc < 0)
            return rc;
        request->body = BODY_CHUNKED;
    } else if (h1_seen(m, FIELD_CONTENT_LENGTH)) {
        request->body = BODY_LENGTH;
        request->content_length = m->content_length;
    }
    bool has_body = request->body == BODY_CHUNKED || request->content_length > 0;
    return has_body && request->method_id == METHOD_CONNECT ? H1_CONNECT_BODY : 0;
}

/* RFC 9112 3.2, requirement 32. An authority in the target has taken precedence already. */
static int judge_host(const struct h1_message *m, struct h1_request *request)
{
    if (!h1_seen(m, FIELD_HOST))
        return request->minor == 0 ? 0 : H1_NO_HOST;
    const struct field *field = &m->fields[m->host];
    if (request->authority.len > 0)
        return field->value_len > 0 ? 0 : H1_BAD_HOST;
    if (field->value_len == 0)
        return 0;
    struct span value = {m->data + field->value, field->value_len};
    return take_authority(m, request, value) ? 0 : H1_BAD_HOST;
}

/* HTTP/1.0 knows neither Expect nor Upgrade: both are ignored, and the former does not travel on (requirement
 * 19, 20). */
static int judge_expect(struct h1_message *m, struct h1_request *request)
{
    request->expect_100 = false;
    if (request->minor == 0) {
        h1_mark_id(m, FIELD_EXPECT);
        return 0;
    }
    request->expect_100 = m->expects_continue;
    return m->expects_other ? H1_BAD_EXPECT : 0;
}

static int judge_head(struct h1_message *m, struct h1_request *request)
{
    int rc = judge_body(m, request);
    if (rc == 0)
        rc = judge_host(m, request);
    if (rc == 0)
        rc = judge_expect(m, request);
    if (rc < 0)
        return rc;
    h1_mark_named(m);
    request->n_fields = m->n_fields;
    request->keep_alive = m->keep_alive;
    request->close = m->close || (request->minor == 0 && !m->keep_alive);
    request->te_trailers = m->lists_trailers && m->names_te;
    request->upgrade = m->names_upgrade && m->upgrade_value && request->minor == 1;
    return 0;
}

int h1_parse_request(const char *data, size_t len, const struct h1_limits *limits, struct h1_request *request,
                     struct field *fields)
{
    struct h1_message m;
    h1_message_init(&m, data, len, limits, fields);
    m.kind = H1_REQUEST;
    *request = (struct h1_request){0};

    int rc = parse_request_line(&m, request);
    if (rc > 0)
        rc = h1_parse_fields(&m);
    if (rc == 0)
        return h1_need_more(&m);
    if (rc > 0)
        rc = judge_head(&m, request);
    return rc < 0 ? rc : (int)(m.at - m.data);
}
