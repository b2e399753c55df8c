/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The values of the variables of templates (config/template.h) for one exchange. Worker thread. */
#include "proxy/client.h"
#include "proxy/message.h"
#include "proxy/text.h"

#include <ctype.h>

static struct text scratch_begin(struct variables *variables)
{
    return text_init(variables->scratch + variables->used, VARIABLES_SCRATCH - variables->used);
}

static struct span scratch_end(struct variables *variables, const struct text *text)
{
    variables->used += text_len(text);
    return (struct span){text->start, text_len(text)};
}

static struct span number(struct variables *variables, unsigned value)
{
    struct text text = scratch_begin(variables);

    text_number(&text, value);
    return scratch_end(variables, &text);
}

static struct span lower_host(struct variables *variables)
{
    struct text text = scratch_begin(variables);
    struct span host = variables->exchange->host;
    struct span result;

    if (host.len == 0 && variables->exchange->site->n_names > 0)
        host = variables->exchange->site->names[0];
    text_span(&text, host);
    result = scratch_end(variables, &text);
    for (size_t i = 0; i < result.len; i++)
        text.start[i] = (char)tolower((unsigned char)text.start[i]);
    return result;
}

void variables_put_forwarded_for(struct text *text, const struct exchange *exchange)
{
    for (uint16_t i = 0; i < exchange->request.n_fields; i++) {
        const struct field *field = &exchange->fields[i];

        if (field->id != FIELD_X_FORWARDED_FOR || field->value_len == 0)
            continue;
        text_bytes(text, exchange->head + field->value, field->value_len);
        text_literal(text, ", ");
    }
    text_span(text, client_address(exchange->client));
}

/* A list too long for the scratch is not passed on in part: only the client's own address is sure. */
static struct span forwarded_for(struct variables *variables)
{
    struct text text = scratch_begin(variables);

    variables_put_forwarded_for(&text, variables->exchange);
    return text.overflow ? client_address(variables->exchange->client) : scratch_end(variables, &text);
}

void variables_put_request_id(struct text *text, struct exchange *exchange)
{
    const uint64_t *id = exchange_id(exchange);
    char digits[32];

    for (int i = 0; i < 32; i++)
        digits[i] = "0123456789abcdef"[id[i / 16] >> (60 - i % 16 * 4) & 15];
    text_bytes(text, digits, sizeof(digits));
}

static struct span request_id(struct variables *variables)
{
    struct text text = scratch_begin(variables);

    variables_put_request_id(&text, variables->exchange);
    return scratch_end(variables, &text);
}

static struct span upstream_address(const struct exchange *exchange)
{
    const struct server *server = exchange->attempt.tried_last;

    return server ? (struct span){server->name, strlen(server->name)} : (struct span){NULL, 0};
}

struct span variables_resolve(void *context, int variable, struct span field)
{
    struct variables *variables = context;
    struct exchange *exchange = variables->exchange;

    switch (variable) {
    case VAR_HOST:
        return lower_host(variables);
    case VAR_HTTP_HOST:
        return exchange_text(exchange, exchange->request.authority);
    case VAR_REMOTE_ADDR:
        return client_address(exchange->client);
    case VAR_REMOTE_PORT:
        return number(variables, exchange->client->port);
    case VAR_PROXY_ADD_X_FORWARDED_FOR:
        return forwarded_for(variables);
    case VAR_SCHEME:
        return SPAN_LITERAL("http");
    case VAR_SERVER_PORT:
        return number(variables, exchange->listen->port);
    case VAR_REQUEST_ID:
        return request_id(variables);
    case VAR_REQUEST_METHOD:
        return exchange_text(exchange, exchange->request.method);
    case VAR_REQUEST_URI:
        return exchange->request.path.len > 0 ? exchange_text(exchange, exchange->request.path) : SPAN_LITERAL("/");
    case VAR_URI:
        return exchange->path;
    case VAR_UPSTREAM_ADDR:
        return upstream_address(exchange);
    default:
        return exchange_field_named(exchange, field);
    }
}
