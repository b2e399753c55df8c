/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Answers that are made here; see answer.h. */
#include "proxy/answer.h"

#include "engine/log.h"
#include "proxy/client.h"
#include "proxy/message.h"
#include "proxy/termination.h"
#include "proxy/text.h"

#include <stdio.h>

#define ANSWER_TEXT_MAX 8192u /* bytes of an expanded body or Location */

/* Head and body into the client's queue; then the exchange is over. HEAD gets the head alone. */
static void send_answer(struct exchange *exchange, struct own_head *head, struct span body, bool outlives)
{
    struct client *client = exchange->client;
    bool with_body = exchange->request.method_id != METHOD_HEAD && head->status != 204 && head->status != 304;
    bool queued;

    exchange->own_answer = true;
    head->content_length = body.len;
    exchange_discard_upload(exchange); /* before the head, which says whether the connection goes on */
    queued = message_write_own(exchange, head);
    if (queued && with_body && body.len > 0)
        queued = outlives ? stream_write_static(&client->stream, body.p, body.len)
                          : stream_write(&client->stream, body.p, body.len);
    if (!queued) {
        exchange->service->counters.out_of_memory++;
        termination_note(exchange, TERMINATION_RESOURCE);
        exchange_abort(exchange, head->status, "out of memory for an answer");
        client_cut(client);
        return;
    }
    exchange->status = head->status;
    exchange->head_sent = true;
    exchange->answer_bytes = with_body ? body.len : 0;
    exchange_finish(exchange);
}

static const struct error_page *find_page(const struct site *site, int status)
{
    for (size_t i = 0; i < site->n_error_pages; i++)
        if (site->error_pages[i].status == status)
            return &site->error_pages[i];
    return NULL;
}

/* After these the rest of the request cannot be understood, or should not be waited for. */
static bool ends_connection(int status)
{
    return status == 400 || status == 408 || status == 413 || status == 414 || status == 417 || status == 431 ||
           status == 501 || status == 505;
}

void answer_error(struct exchange *exchange, int status)
{
    const struct error_page *page = find_page(exchange->site, status);
    struct own_head head = {.status = status, .content_type = "text/html; charset=utf-8"};
    char text[512];
    int len;

    /* What is unread of the request stays unread: it could be anything. */
    if (ends_connection(status))
        exchange->close_client = true;
    if (status == 405)
        head.extra = "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n";
    if (status == 503)
        head.extra = "Retry-After: 5\r\n";
    if (page) {
        head.content_type = page->content_type;
        send_answer(exchange, &head, page->body, true);
        return;
    }
    len = snprintf(text, sizeof(text),
                   "<!DOCTYPE html>\n<html><head><title>%d %s</title></head>\n<body><h1>%d %s</h1><hr>"
                   "<p>fairlead</p></body></html>\n",
                   status, http_reason(status), status, http_reason(status));
    send_answer(exchange, &head, (struct span){text, (size_t)len}, false);
}

void answer_options(struct exchange *exchange)
{
    struct own_head head = {.status = 200, .extra = "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n"};

    send_answer(exchange, &head, (struct span){"", 0}, true);
}

static void redirect(struct exchange *exchange)
{
    struct own_head head = {.status = exchange->location->redirect.status};
    struct variables variables;
    char to[ANSWER_TEXT_MAX];
    ssize_t len;

    variables_init(&variables, exchange);
    len = template_expand(exchange->location->redirect.to, variables_resolve, &variables, to, sizeof(to));
    if (len < 0 || !http_is_field_value((struct span){to, (size_t)len})) {
        termination_note(exchange, TERMINATION_INTERNAL);
        exchange_fail(exchange, 500, "the redirect's target is too long, or has control characters");
        return;
    }
    head.location = (struct span){to, (size_t)len};
    send_answer(exchange, &head, (struct span){"", 0}, true);
}

static void respond(struct exchange *exchange)
{
    const struct respond *respond = &exchange->location->respond;
    struct own_head head = {.status = respond->status, .content_type = respond->content_type};
    struct variables variables;
    const struct template *body = respond->body;
    char text[ANSWER_TEXT_MAX];
    ssize_t len;

    if (!body || body->n_parts == 0) {
        send_answer(exchange, &head, (struct span){"", 0}, true);
        return;
    }
    if (body->n_parts == 1 && body->parts[0].variable < 0) {
        /* The snapshot outlives the connection's worker. */
        send_answer(exchange, &head, body->parts[0].literal, true);
        return;
    }
    variables_init(&variables, exchange);
    len = template_expand(body, variables_resolve, &variables, text, sizeof(text));
    if (len < 0) {
        termination_note(exchange, TERMINATION_INTERNAL);
        exchange_fail(exchange, 500, "the response's body is too long");
    } else {
        send_answer(exchange, &head, (struct span){text, (size_t)len}, false);
    }
}

void answer_location(struct exchange *exchange)
{
    if (exchange->location->action == ACTION_REDIRECT)
        redirect(exchange);
    else
        respond(exchange);
}
