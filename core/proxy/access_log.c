/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The access log's built-in forms; those with variables are in log_values.c. Combined is the well-known line with `key=value` pairs behind it, so that tools that know the line still read it;
 * JSON has one object per line. Times are seconds with microseconds; "-" (JSON: null) where something did not happen.
 */
#include "proxy/access_log.h"

#include "engine/log.h"
#include "proxy/client.h"
#include "proxy/log_values.h"
#include "proxy/message.h"
#include "proxy/termination.h"
#include "proxy/text.h"

#define LINE_RESERVE 6144u /* bytes asked of the log queue for one line; the built-in forms never need them all */

/* Seconds from the exchange's start, "0.001234"; or what stands for "did not happen". */
static void put_seconds(struct text *text, uint64_t from_ns, uint64_t to_ns, const char *never)
{
    uint64_t us;
    char digits[6];

    if (to_ns == 0 || to_ns < from_ns) {
        text_string(text, never);
        return;
    }
    us = (to_ns - from_ns) / 1000;
    text_number(text, us / 1000000);
    text_literal(text, ".");
    us %= 1000000;
    for (int i = 5; i >= 0; i--, us /= 10)
        digits[i] = (char)('0' + us % 10);
    text_bytes(text, digits, sizeof(digits));
}

static void put_address(struct text *text, const struct exchange *exchange)
{
    text_span(text, client_address(exchange->client));
}

static void put_quoted(struct text *text, struct span value, size_t max)
{
    text_literal(text, "\"");
    if (value.len > 0)
        log_put_escaped(text, value, max, false);
    else
        text_literal(text, "-");
    text_literal(text, "\"");
}

static void put_combined(struct text *text, struct exchange *exchange, uint64_t end_ns)
{
    const struct server *server = exchange->attempt.tried_last;

    put_address(text, exchange);
    text_literal(text, " - - [");
    text_string(text, exchange->service->log_time);
    text_literal(text, "] ");
    put_quoted(text, log_request_line(exchange), LOG_URI_MAX);
    text_literal(text, " ");
    text_number(text, (uint64_t)exchange->status);
    text_literal(text, " ");
    text_number(text, log_body_bytes(exchange));
    text_literal(text, " ");
    put_quoted(text, exchange_field(exchange, FIELD_REFERER), LOG_FIELD_MAX);
    text_literal(text, " ");
    put_quoted(text, exchange_field(exchange, FIELD_USER_AGENT), LOG_FIELD_MAX);
    text_literal(text, " upstream=");
    text_string(text, server ? server->name : "-");
    text_literal(text, " connect=");
    put_seconds(text, exchange->started_ns, exchange->connected_ns, "-");
    text_literal(text, " first_byte=");
    put_seconds(text, exchange->started_ns, exchange->first_byte_ns, "-");
    text_literal(text, " total=");
    put_seconds(text, exchange->started_ns, end_ns, "-");
    text_literal(text, " received=");
    text_number(text, exchange->upload.moved);
    text_literal(text, " tries=");
    text_number(text, exchange->attempt.count);
    text_literal(text, " id=");
    variables_put_request_id(text, exchange);
    if (exchange->why) {
        text_literal(text, " why=");
        put_quoted(text, (struct span){exchange->why, strlen(exchange->why)}, LOG_FIELD_MAX);
    }
}

static void put_member(struct text *text, const char *name, struct span value, size_t max)
{
    text_literal(text, ",\"");
    text_string(text, name);
    if (!value.p) {
        text_literal(text, "\":null");
        return;
    }
    text_literal(text, "\":\"");
    log_put_escaped(text, value, max, true);
    text_literal(text, "\"");
}

static void put_number_member(struct text *text, const char *name, uint64_t value)
{
    text_literal(text, ",\"");
    text_string(text, name);
    text_literal(text, "\":");
    text_number(text, value);
}

static void put_time_member(struct text *text, const char *name, uint64_t from_ns, uint64_t to_ns)
{
    text_literal(text, ",\"");
    text_string(text, name);
    text_literal(text, "\":");
    put_seconds(text, from_ns, to_ns, "null");
}

static struct span span_of(const char *string)
{
    return (struct span){string, string ? strlen(string) : 0};
}

static void put_json(struct text *text, struct exchange *exchange, uint64_t end_ns)
{
    const struct server *server = exchange->attempt.tried_last;
    char termination[3];

    text_literal(text, "{\"time\":\"");
    text_string(text, exchange->service->iso_time);
    text_literal(text, "\",\"remote_addr\":\"");
    put_address(text, exchange);
    text_literal(text, "\"");
    put_number_member(text, "remote_port", exchange->client->port);
    put_member(text, "request", log_request_line(exchange), LOG_URI_MAX);
    put_member(text, "method", exchange_text(exchange, exchange->request.method), 64);
    put_member(text, "host", exchange->host, 255);
    put_member(text, "uri", exchange_text(exchange, exchange->request.path), LOG_URI_MAX);
    put_number_member(text, "status", (uint64_t)exchange->status);
    put_number_member(text, "bytes", log_body_bytes(exchange));
    put_number_member(text, "received", exchange->upload.moved);
    put_member(text, "referer", exchange_field(exchange, FIELD_REFERER), LOG_FIELD_MAX);
    put_member(text, "user_agent", exchange_field(exchange, FIELD_USER_AGENT), LOG_FIELD_MAX);
    put_member(text, "upstream", span_of(server ? server->name : NULL), 256);
    put_time_member(text, "connect", exchange->started_ns, exchange->connected_ns);
    put_time_member(text, "first_byte", exchange->started_ns, exchange->first_byte_ns);
    put_time_member(text, "total", exchange->started_ns, end_ns);
    put_number_member(text, "tries", exchange->attempt.count);
    text_literal(text, ",\"request_id\":\"");
    variables_put_request_id(text, exchange);
    text_literal(text, "\"");
    termination_text(exchange, termination);
    put_member(text, "termination", span_of(termination), 2);
    put_member(text, "why", span_of(exchange->why), LOG_FIELD_MAX);
    text_literal(text, "}");
}

void access_log_write(struct exchange *exchange)
{
    const struct log_settings *settings = &exchange_config(exchange)->log;
    uint64_t end_ns = exchange->service->worker->now_ns;
    struct text text;
    char *line;

    if (!settings->access || (exchange->location && !exchange->location->access_log))
        return;
    line = log_reserve(LOG_SINK_ACCESS, LINE_RESERVE);
    if (!line)
        return;
    service_read_date(exchange->service);
    text = text_init(line, LINE_RESERVE - 1);
    if (settings->access_format->preset == LOG_PRESET_JSON)
        put_json(&text, exchange, end_ns);
    else if (settings->access_format->preset == LOG_PRESET_COMBINED)
        put_combined(&text, exchange, end_ns);
    else
        log_values_put(&text, exchange, settings->access_format->text, settings->access_escape_json);
    *text.at++ = '\n'; /* its room was kept */
    log_commit(text_len(&text));
}
