/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Writing heads; see message.h. Each is written in place into the receiving stream's block: the size asked for is an upper bound but for
 * the rules' part, which is tried in two sizes; what exceeds that too makes the message fail, never be cut.
 */
#include "proxy/message.h"

#include "http/target.h"
#include "proxy/client.h"
#include "proxy/sticky.h"
#include "proxy/text.h"

#define OWN_LINES_MAX 768u  /* bytes of the lines that we add by ourselves, addresses, Via and the usual cookie included */
#define RULES_USUAL   2048u /* bytes of the lines that configured rules add, usually */
#define RULES_MAX     65536u /* and at most: asked for when the usual was too little */

static const struct header_rules no_rules;

static bool is_overridden(const struct header_rules *rules, struct span name)
{
    for (size_t i = 0; i < rules->n; i++)
        if (span_equals_nocase(rules->rules[i].name, name))
            return true;
    return false;
}

/* Of several rules for one name the last one counts. */
static bool is_repeated_later(const struct header_rules *rules, size_t index)
{
    for (size_t i = index + 1; i < rules->n; i++)
        if (span_equals_nocase(rules->rules[i].name, rules->rules[index].name))
            return true;
    return false;
}

static void put_rules(struct text *text, struct exchange *exchange, const struct header_rules *rules)
{
    for (size_t i = 0; i < rules->n; i++) {
        const struct header_rule *rule = &rules->rules[i];
        struct variables variables;
        ssize_t len;
        char *start = text->at;

        if (!rule->value || is_repeated_later(rules, i))
            continue;
        variables_init(&variables, exchange);
        text_span(text, rule->name);
        text_literal(text, ": ");
        len = template_expand(rule->value, variables_resolve, &variables, text->at, (size_t)(text->end - text->at));
        if (len < 0) {
            text->overflow = true;
            return;
        }
        /* Nothing to say: the line does not appear (as nginx does). Nor does one that a decoded path would break in two. */
        if (len == 0 || !http_is_field_value((struct span){text->at, (size_t)len})) {
            text->at = start;
            continue;
        }
        text->at += len;
        text_literal(text, "\r\n");
    }
}

/* What a head is made of, for write_head's callbacks. */
struct head {
    struct exchange *exchange;
    const struct header_rules *rules;
    const struct received *received;  /* of a response that is passed on */
    const struct own_head *own;       /* of an answer made here */
    enum body_kind body;
};

/* `size` without what the rules add. Returns false when memory is short or the rules add more than RULES_MAX. */
static bool write_head(struct stream *stream, size_t size, const struct head *head,
                       void (*put)(struct text *text, const struct head *head))
{
    size_t extra = head->rules->n > 0 ? RULES_USUAL : 0;

    for (;;) {
        char *memory = stream_reserve(stream, size + extra);
        struct text text = text_init(memory, size + extra);

        if (!memory)
            return false;
        put(&text, head);
        if (!text.overflow) {
            stream_commit(stream, text_len(&text));
            return true;
        }
        if (extra != RULES_USUAL)
            return false;
        extra = RULES_MAX;
    }
}

/* Requests. */

/* The form of the target that goes to the server: the bytes as they came (requirement 11), unless proxy_pass has a URI part. */
static void put_target(struct text *text, const struct exchange *exchange)
{
    const struct location *location = exchange->location;
    struct span path = exchange_text(exchange, exchange->request.path);
    struct span raw = path;
    const char *query;
    size_t rest_at = location->path.len;

    if (!location->proxy.has_uri || exchange->request.form == TARGET_ASTERISK) {
        /* An absolute form without a path means "/", or "*" with OPTIONS (RFC 9112 3.2.4); a bare query follows "/". */
        if (path.len == 0)
            text_string(text, exchange->request.method_id == METHOD_OPTIONS ? "*" : "/");
        else if (path.p[0] == '?')
            text_literal(text, "/");
        text_span(text, path);
        return;
    }
    text_span(text, location->proxy.uri);
    query = path.len > 0 ? memchr(path.p, '?', path.len) : NULL;
    raw.len = query ? (size_t)(query - path.p) : path.len;
    if (span_equals(raw, exchange->path)) {
        text_bytes(text, raw.p + rest_at, raw.len - rest_at);
    } else if (exchange->path.len > rest_at) {
        /* The location matched the normalised path, so that is what goes on: "/api/../x" must not climb out of the URI part. */
        ssize_t len = target_escape((struct span){exchange->path.p + rest_at, exchange->path.len - rest_at}, text->at,
                                    (size_t)(text->end - text->at));

        if (len < 0) {
            text->overflow = true;
            return;
        }
        text->at += len;
    }
    if (query)
        text_bytes(text, query, path.len - (size_t)(query - path.p));
}

static void put_value(struct text *text, struct exchange *exchange, int variable)
{
    struct variables variables;

    variables_init(&variables, exchange);
    text_span(text, variables_resolve(&variables, variable, (struct span){NULL, 0}));
}

static void put_host(struct text *text, const struct exchange *exchange)
{
    text_literal(text, "Host: ");
    if (exchange->request.authority.len > 0)
        text_span(text, exchange_text(exchange, exchange->request.authority));
    else if (exchange->request.minor == 0) /* HTTP/1.0 may leave it out, HTTP/1.1 may not */
        text_string(text, exchange->attempt.tried_last->name);
    text_literal(text, "\r\n");
}

/* The lines that every request gets unless a rule says otherwise. */
static void put_proxy_lines(struct text *text, struct exchange *exchange, const struct header_rules *rules)
{
    if (!is_overridden(rules, SPAN_LITERAL("Host")))
        put_host(text, exchange);
    if (!is_overridden(rules, SPAN_LITERAL("X-Real-IP"))) {
        text_literal(text, "X-Real-IP: ");
        put_value(text, exchange, VAR_REMOTE_ADDR);
        text_literal(text, "\r\n");
    }
    if (!is_overridden(rules, SPAN_LITERAL("X-Forwarded-For"))) {
        text_literal(text, "X-Forwarded-For: ");
        variables_put_forwarded_for(text, exchange);
        text_literal(text, "\r\n");
    }
    if (!is_overridden(rules, SPAN_LITERAL("X-Forwarded-Proto"))) {
        text_literal(text, "X-Forwarded-Proto: ");
        put_value(text, exchange, VAR_SCHEME);
        text_literal(text, "\r\n");
    }
}

static bool is_rewritten(uint8_t id)
{
    return id == FIELD_HOST || id == FIELD_CONTENT_LENGTH || id == FIELD_TRANSFER_ENCODING || id == FIELD_CONNECTION ||
           id == FIELD_X_REAL_IP || id == FIELD_X_FORWARDED_FOR || id == FIELD_X_FORWARDED_PROTO;
}

/* n becomes n-1 on the way (RFC 9110 7.6.2); a value that is no number stays as it is. */
static void put_max_forwards(struct text *text, struct span value)
{
    uint64_t n = 0;

    text_literal(text, "Max-Forwards: ");
    for (size_t i = 0; i < value.len; i++) {
        if (value.p[i] < '0' || value.p[i] > '9' || i > 9) {
            text_span(text, value);
            text_literal(text, "\r\n");
            return;
        }
        n = n * 10 + (uint64_t)(value.p[i] - '0');
    }
    text_number(text, n > 0 ? n - 1 : 0);
    text_literal(text, "\r\n");
}

static void put_request_fields(struct text *text, const struct exchange *exchange, const struct header_rules *rules)
{
    bool counts_hops = exchange->request.method_id == METHOD_OPTIONS;

    for (uint16_t i = 0; i < exchange->request.n_fields; i++) {
        const struct field *field = &exchange->fields[i];
        struct span name = {exchange->head + field->name, field->name_len};
        struct span value = {exchange->head + field->value, field->value_len};

        if (field->flags & FIELD_HOP || is_rewritten(field->id) || (rules->n > 0 && is_overridden(rules, name)))
            continue;
        if (field->id == FIELD_EXPECT && !exchange->request.expect_100)
            continue;
        if (field->id == FIELD_MAX_FORWARDS && counts_hops)
            put_max_forwards(text, value);
        else
            text_line(text, name, value);
    }
}

static void put_framing(struct text *text, enum body_kind body, uint64_t length)
{
    if (body == BODY_CHUNKED) {
        text_literal(text, "Transfer-Encoding: chunked\r\n");
    } else if (body == BODY_LENGTH) {
        text_literal(text, "Content-Length: ");
        text_number(text, length);
        text_literal(text, "\r\n");
    }
}

static void put_request(struct text *text, const struct head *head)
{
    struct exchange *exchange = head->exchange;
    const struct h1_request *request = &exchange->request;

    text_span(text, exchange_text(exchange, request->method));
    text_literal(text, " ");
    put_target(text, exchange);
    text_literal(text, " HTTP/1.1\r\n");
    put_proxy_lines(text, exchange, head->rules);
    put_request_fields(text, exchange, head->rules);
    put_rules(text, exchange, head->rules);
    put_framing(text, request->body, request->content_length);
    if (request->te_trailers)
        text_literal(text, "TE: trailers\r\nConnection: TE\r\n");
    text_string(text, request->minor == 0 ? "Via: 1.0 fairlead\r\n\r\n" : "Via: 1.1 fairlead\r\n\r\n");
}

bool message_write_request(struct exchange *exchange, struct stream *link)
{
    struct head head = {.exchange = exchange, .rules = &exchange->location->request_headers};
    size_t head_len = (size_t)(exchange->path.p - exchange->head);

    /* An escaped path may be three times as long as it was. */
    return write_head(link, head_len + 3 * exchange->path.len + exchange->location->proxy.uri.len + OWN_LINES_MAX, &head,
                      put_request);
}

/* Responses. */

static void put_status_line(struct text *text, int status, struct span reason)
{
    text_literal(text, "HTTP/1.1 ");
    text_number(text, (uint64_t)status);
    text_literal(text, " ");
    text_span(text, reason);
    text_literal(text, "\r\n");
}

static void put_date(struct text *text, struct service *service)
{
    service_read_date(service);
    text_literal(text, "Date: ");
    text_bytes(text, service->date, HTTP_DATE_LEN);
    text_literal(text, "\r\n");
}

static void put_response_fields(struct text *text, const struct received *received, const struct header_rules *rules)
{
    for (uint16_t i = 0; i < received->response->n_fields; i++) {
        const struct field *field = &received->fields[i];
        struct span name = {received->data + field->name, field->name_len};

        if (field->flags & FIELD_HOP || field->id == FIELD_CONTENT_LENGTH || field->id == FIELD_TRANSFER_ENCODING ||
            field->id == FIELD_CONNECTION || (rules->n > 0 && is_overridden(rules, name)))
            continue;
        text_line(text, name, (struct span){received->data + field->value, field->value_len});
    }
}

static struct span received_reason(const struct received *received)
{
    return (struct span){received->data + received->response->reason.at, received->response->reason.len};
}

static void put_interim(struct text *text, const struct head *head)
{
    put_status_line(text, head->received->response->status, received_reason(head->received));
    put_response_fields(text, head->received, head->rules);
    text_literal(text, "\r\n");
}

bool message_write_interim(struct exchange *exchange, const struct received *received)
{
    struct head head = {.exchange = exchange, .rules = &no_rules, .received = received};

    return write_head(&exchange->client->stream, received->len + OWN_LINES_MAX, &head, put_interim);
}

enum body_kind message_client_framing(const struct exchange *exchange, const struct h1_response *response)
{
    if (response->body == BODY_NONE || response->body == BODY_LENGTH)
        return response->body;
    /* An HTTP/1.0 client cannot read chunks (RFC 9112 6.1): the connection's end is the body's end. */
    return exchange->request.minor == 0 ? BODY_CLOSE : BODY_CHUNKED;
}

static void put_connection(struct text *text, const struct exchange *exchange)
{
    if (exchange->close_client)
        text_literal(text, "Connection: close\r\n");
}

static void put_response(struct text *text, const struct head *head)
{
    const struct h1_response *response = head->received->response;
    bool keeps_length = response->has_length && response->status != 204 && response->status >= 200;

    put_status_line(text, response->status, received_reason(head->received));
    put_response_fields(text, head->received, head->rules);
    if (!response->has_date)
        put_date(text, head->exchange->service);
    sticky_put(text, head->exchange);
    put_rules(text, head->exchange, head->rules);
    /* HEAD and 304 keep the length that a GET would have (requirement 52). */
    if (head->body == BODY_CHUNKED)
        put_framing(text, BODY_CHUNKED, 0);
    else if (keeps_length && head->body != BODY_CLOSE)
        put_framing(text, BODY_LENGTH, response->content_length);
    put_connection(text, head->exchange);
    text_literal(text, "\r\n");
}

bool message_write_response(struct exchange *exchange, const struct received *received, enum body_kind body)
{
    struct head head = {.exchange = exchange,
                        .rules = &exchange->location->response_headers,
                        .received = received,
                        .body = body};
    const struct group *group = exchange_group(exchange);

    return write_head(&exchange->client->stream,
                      received->len + OWN_LINES_MAX + strlen(group->sticky.cookie) + strlen(group->sticky.path), &head,
                      put_response);
}

/* A line of ours, unless a rule has its name: then the rule's stands, or with "" none. */
static void put_own_line(struct text *text, const struct head *head, struct span name, struct span value)
{
    if (value.p && !is_overridden(head->rules, name))
        text_line(text, name, value);
}

static void put_own(struct text *text, const struct head *head)
{
    const struct own_head *own = head->own;
    const char *reason = http_reason(own->status), *type = own->content_type;

    put_status_line(text, own->status, (struct span){reason, strlen(reason)});
    put_own_line(text, head, SPAN_LITERAL("Server"), SPAN_LITERAL("fairlead"));
    put_date(text, head->exchange->service);
    put_own_line(text, head, SPAN_LITERAL("Content-Type"), (struct span){type, type ? strlen(type) : 0});
    put_own_line(text, head, SPAN_LITERAL("Location"), own->location);
    if (own->extra)
        text_string(text, own->extra);
    put_rules(text, head->exchange, head->rules);
    if (own->status != 204 && own->status != 304)
        put_framing(text, BODY_LENGTH, own->content_length);
    put_connection(text, head->exchange);
    text_literal(text, "\r\n");
}

bool message_write_own(struct exchange *exchange, const struct own_head *own)
{
    struct stream *client = &exchange->client->stream;
    size_t size = OWN_LINES_MAX + own->location.len + (own->content_type ? strlen(own->content_type) : 0);
    struct head head = {
        .exchange = exchange, .rules = exchange->location ? &exchange->location->response_headers : &no_rules, .own = own};

    if (write_head(client, size, &head, put_own))
        return true;
    /* Rules that make the head too long must not keep the client from being told so. */
    head.rules = &no_rules;
    return write_head(client, size, &head, put_own);
}
