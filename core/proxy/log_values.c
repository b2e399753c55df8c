/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What stands for the variables in a line of the access log; see log_values.h. A value is a span of what is
 * there already, or is written to a scratch; spans without bytes to point to stand for "there is none".
 */
#include "proxy/log_values.h"

#include "engine/clock.h"
#include "engine/log.h"
#include "proxy/client.h"
#include "proxy/message.h"
#include "proxy/termination.h"

#include <unistd.h>

#define SCRATCH_MAX 128u /* bytes of a value that is made here */
#define NS_PER_MS   1000000u

struct value {
    struct exchange *exchange;
    struct text text; /* over the scratch */
    char scratch[SCRATCH_MAX];
};

static const struct span none = {NULL, 0};

void log_values_begin(struct exchange *exchange)
{
    struct client *client = exchange->client;

    exchange->head_ns = client->head_ns ? client->head_ns : exchange->started_ns;
    client->head_ns = 0;
    exchange->sent_before = client->stream.sent + client->stream.output_bytes;
}

void log_put_escaped(struct text *text, struct span value, size_t max, bool json)
{
    size_t room = (size_t)(text->end - text->at);

    if (room > max)
        room = max;
    if (value.len > max)
        value.len = max;
    text->at += json ? log_escape_json(text->at, room, value.p, value.len)
                     : log_escape(text->at, room, value.p, value.len);
}

struct span log_request_line(const struct exchange *exchange)
{
    struct span line = {exchange->head, (size_t)(exchange->path.p - exchange->head)};
    const char *end;

    while (line.len > 0 && (*line.p == '\r' || *line.p == '\n')) {
        line.p++;
        line.len--;
    }
    end = line.len > 0 ? memchr(line.p, '\n', line.len) : NULL;
    if (end)
        line.len = (size_t)(end - line.p);
    if (line.len > 0 && line.p[line.len - 1] == '\r')
        line.len--;
    return line;
}

uint64_t log_body_bytes(const struct exchange *exchange)
{
    return exchange->own_answer ? exchange->answer_bytes : exchange->download.moved;
}

/* Values that are made. */

static struct span made(struct value *value)
{
    return (struct span){value->text.start, text_len(&value->text)};
}

static struct span of_string(const char *string)
{
    return (struct span){string, string ? strlen(string) : 0};
}

static struct span number(struct value *value, uint64_t n)
{
    text_number(&value->text, n);
    return made(value);
}

/* "1.234" */
static struct span thousandths(struct value *value, uint64_t n)
{
    const char digits[4] = {'.', (char)('0' + n / 100 % 10), (char)('0' + n / 10 % 10), (char)('0' + n % 10)};

    text_number(&value->text, n / 1000);
    text_bytes(&value->text, digits, sizeof(digits));
    return made(value);
}

/* Seconds between the two; `to` 0, or before: there is none. */
static struct span seconds(struct value *value, uint64_t from_ns, uint64_t to_ns)
{
    return to_ns == 0 || to_ns < from_ns ? none : thousandths(value, (to_ns - from_ns) / NS_PER_MS);
}

/* Milliseconds as HAProxy writes them. */
static struct span timer_ms(struct value *value, uint64_t from_ns, uint64_t to_ns)
{
    return to_ns == 0 || to_ns < from_ns ? SPAN_LITERAL("-1") : number(value, (to_ns - from_ns) / NS_PER_MS);
}

static uint64_t end_ns(const struct value *value)
{
    return value->exchange->service->worker->now_ns;
}

/* When the last attempt was connected, or 0. */
static uint64_t connected_ns(const struct exchange *exchange)
{
    return exchange->attempt.count > 0 && exchange->connected_ns >= exchange->attempt.started_ns
               ? exchange->connected_ns
               : 0;
}

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = c ? strchr(digits, c) : NULL;

    return found ? (int)(found - digits) : -1;
}

/* The user of Basic credentials (RFC 7617 2): what stands before the colon, as far as the scratch goes. */
static struct span remote_user(struct value *value)
{
    struct span field = exchange_field_named(value->exchange, SPAN_LITERAL("authorization"));
    unsigned bits = 0, n_bits = 0;

    if (field.len < 6 || !span_equals_nocase((struct span){field.p, 6}, SPAN_LITERAL("Basic ")))
        return none;
    for (size_t i = 6; i < field.len; i++) {
        int digit = base64_digit(field.p[i]);

        if (digit < 0)
            break;
        bits = (bits << 6 | (unsigned)digit) & 0xffff;
        n_bits += 6;
        if (n_bits < 8)
            continue;
        n_bits -= 8;
        char byte = (char)(bits >> n_bits);

        if (byte == ':')
            return text_len(&value->text) > 0 ? made(value) : none;
        text_bytes(&value->text, &byte, 1);
    }
    return none;
}

static struct span protocol(struct value *value)
{
    if (value->exchange->request.method.len == 0)
        return none;
    text_literal(&value->text, "HTTP/1.");
    return number(value, value->exchange->request.minor);
}

static struct span query(const struct exchange *exchange)
{
    struct span path = exchange_text(exchange, exchange->request.path);
    const char *mark = path.len > 0 ? memchr(path.p, '?', path.len) : NULL;

    return mark ? (struct span){mark + 1, path.len - (size_t)(mark + 1 - path.p)} : none;
}

static struct span pid(struct value *value)
{
    static _Thread_local pid_t own; /* asked once: it is a system call */

    if (own == 0)
        own = getpid();
    return number(value, (uint64_t)own);
}

static struct span request_id(struct value *value)
{
    variables_put_request_id(&value->text, value->exchange);
    return made(value);
}

/* Behind the copy of the head stands the normalised path (exchange_create). */
static uint64_t head_bytes(const struct exchange *exchange)
{
    return (uint64_t)(exchange->path.p - exchange->head);
}

static struct span termination(struct value *value)
{
    char text[3];

    termination_text(value->exchange, text);
    text_bytes(&value->text, text, 2);
    return made(value);
}

static struct span time_value(struct value *value, int variable)
{
    const struct exchange *exchange = value->exchange;
    const struct attempt *attempt = &exchange->attempt;
    const uint64_t waited_until_ns = exchange->started_ns + exchange->queued_ns;

    switch (variable) {
    case LOG_VAR_TIME_LOCAL:
        return of_string(exchange->service->log_time);
    case LOG_VAR_TIME_ISO8601:
        return of_string(exchange->service->iso_time);
    case LOG_VAR_MSEC:
        return thousandths(value, clock_realtime_ms());
    case LOG_VAR_REQUEST_TIME:
        return seconds(value, exchange->started_ns, end_ns(value));
    case LOG_VAR_UPSTREAM_CONNECT_TIME:
        return seconds(value, attempt->started_ns, connected_ns(exchange));
    case LOG_VAR_UPSTREAM_HEADER_TIME:
        return seconds(value, attempt->started_ns, exchange->first_byte_ns);
    case LOG_VAR_UPSTREAM_RESPONSE_TIME:
        return seconds(value, attempt->started_ns, attempt->count > 0 ? end_ns(value) : 0);
    case LOG_VAR_TIMER_REQUEST:
        return timer_ms(value, exchange->head_ns, exchange->started_ns);
    case LOG_VAR_TIMER_QUEUE:
        return number(value, exchange->queued_ns / NS_PER_MS);
    case LOG_VAR_TIMER_CONNECT:
        return timer_ms(value, waited_until_ns, connected_ns(exchange));
    case LOG_VAR_TIMER_RESPONSE:
        return timer_ms(value, exchange->connected_ns, exchange->first_byte_ns);
    default:
        return timer_ms(value, exchange->head_ns, end_ns(value));
    }
}

static struct span upstream_value(struct value *value, int variable)
{
    const struct exchange *exchange = value->exchange;
    const struct server *server = exchange->attempt.tried_last;

    switch (variable) {
    case LOG_VAR_UPSTREAM_ADDR:
    case LOG_VAR_SERVER:
        return of_string(server ? server->name : NULL);
    case LOG_VAR_UPSTREAM_STATUS:
        return server && exchange->head_sent && !exchange->own_answer
                   ? number(value, (uint64_t)exchange->status)
                   : none;
    case LOG_VAR_BACKEND:
        return of_string(exchange->pool ? pool_name(exchange->pool) : NULL);
    case LOG_VAR_RETRIES:
        return number(value, exchange->attempt.count > 1 ? exchange->attempt.count - 1 : 0);
    case LOG_VAR_WHY:
        return of_string(exchange->why);
    default:
        return termination(value);
    }
}

static struct span client_value(struct value *value, int variable)
{
    const struct exchange *exchange = value->exchange;
    const struct client *client = exchange->client;

    switch (variable) {
    case LOG_VAR_REMOTE_ADDR:
        return client_address(client);
    case LOG_VAR_REMOTE_PORT:
        return number(value, client->port);
    case LOG_VAR_REMOTE_USER:
        return remote_user(value);
    case LOG_VAR_BYTES_SENT:
        return number(value, client->stream.sent + client->stream.output_bytes - exchange->sent_before);
    case LOG_VAR_CONNECTION:
        return number(value, client->number);
    case LOG_VAR_CONNECTION_REQUESTS:
        return number(value, client->requests);
    case LOG_VAR_SERVER_PORT:
        return number(value, exchange->listen->port);
    case LOG_VAR_SCHEME:
        return SPAN_LITERAL("http");
    default:
        return pid(value);
    }
}

static struct span value_of(struct value *value, const struct template_part *part)
{
    struct exchange *exchange = value->exchange;

    switch (part->variable) {
    case LOG_VAR_HTTP_FIELD:
        return exchange_field_named(exchange, part->literal);
    case LOG_VAR_REQUEST:
        return log_request_line(exchange);
    case LOG_VAR_REQUEST_METHOD:
        return exchange_text(exchange, exchange->request.method);
    case LOG_VAR_REQUEST_URI:
        return exchange_text(exchange, exchange->request.path);
    case LOG_VAR_URI:
        return exchange->path;
    case LOG_VAR_ARGS:
    case LOG_VAR_QUERY_STRING:
        return query(exchange);
    case LOG_VAR_SERVER_PROTOCOL:
        return protocol(value);
    case LOG_VAR_STATUS:
        return number(value, (uint64_t)exchange->status);
    case LOG_VAR_BODY_BYTES_SENT:
        return number(value, log_body_bytes(exchange));
    case LOG_VAR_REQUEST_LENGTH:
        return number(value, head_bytes(exchange) + exchange->upload.moved);
    case LOG_VAR_HOST:
        return exchange->host;
    case LOG_VAR_REQUEST_ID:
        return request_id(value);
    case LOG_VAR_REMOTE_ADDR:
    case LOG_VAR_REMOTE_PORT:
    case LOG_VAR_REMOTE_USER:
    case LOG_VAR_BYTES_SENT:
    case LOG_VAR_CONNECTION:
    case LOG_VAR_CONNECTION_REQUESTS:
    case LOG_VAR_SERVER_PORT:
    case LOG_VAR_SCHEME:
    case LOG_VAR_PID:
        return client_value(value, part->variable);
    case LOG_VAR_UPSTREAM_ADDR:
    case LOG_VAR_UPSTREAM_STATUS:
    case LOG_VAR_BACKEND:
    case LOG_VAR_SERVER:
    case LOG_VAR_RETRIES:
    case LOG_VAR_TERMINATION_STATE:
    case LOG_VAR_WHY:
        return upstream_value(value, part->variable);
    default:
        return time_value(value, part->variable);
    }
}

void log_values_put(struct text *text, struct exchange *exchange, const struct template *format, bool json)
{
    for (size_t i = 0; i < format->n_parts; i++) {
        const struct template_part *part = &format->parts[i];
        struct value value;
        struct span found;

        if (part->variable < 0) {
            text_span(text, part->literal);
            continue;
        }
        value.exchange = exchange;
        value.text = text_init(value.scratch, sizeof(value.scratch));
        found = value_of(&value, part);
        if (found.len > 0)
            log_put_escaped(text, found,
                            part->variable == LOG_VAR_REQUEST || part->variable == LOG_VAR_REQUEST_URI
                                ? LOG_URI_MAX
                                : LOG_FIELD_MAX,
                            json);
        else if (!json)
            text_literal(text, "-");
    }
}
