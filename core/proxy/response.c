/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The server's response: interim heads, the final head, the body; the part of an attempt that reads (attempt.h). Worker thread.
 */
#include "proxy/attempt.h"
#include "proxy/client.h"
#include "proxy/message.h"
#include "proxy/termination.h"

static void out_of_memory(struct exchange *exchange, const char *why)
{
    exchange->service->counters.out_of_memory++;
    termination_note(exchange, TERMINATION_RESOURCE);
    exchange_fail(exchange, 502, why);
}

static void response_complete(struct exchange *exchange, bool reusable)
{
    struct link *link = exchange->attempt.link;

    if (reusable && exchange->upload.done && stream_idle_output(&link->stream)) {
        exchange->attempt.link = NULL;
        link_release(link);
    }
    attempt_drop(exchange, FAIRLEAD_OK);
    exchange_finish(exchange);
}

void attempt_download(struct exchange *exchange)
{
    struct stream *link = &exchange->attempt.link->stream, *client = &exchange->client->stream;
    struct body *body = &exchange->download;
    struct h1_limits limits;
    enum body_result result;

    exchange_limits(exchange, &limits);
    result = body_relay(body, link, client, &limits, exchange->view->fields);
    switch (result) {
    case BODY_DONE:
        response_complete(exchange, !exchange->attempt.link_closes);
        break;
    case BODY_WANTS_INPUT:
    case BODY_WANTS_ROOM:
        exchange->attempt.progress_ms = exchange->service->worker->now_ms;
        stream_pause(link, stream_is_ahead(link, client));
        if (result == BODY_WANTS_INPUT)
            stream_expect(link);
        break;
    case BODY_CUT:
        attempt_failed(exchange, RETRY_ERROR, 502, "server ended in the middle of its response", link->input_error);
        break;
    case BODY_BAD:
        attempt_failed(exchange, RETRY_INVALID_HEADER, 502, h1_error_text(body->error), 0);
        break;
    default:
        out_of_memory(exchange, "out of memory");
        break;
    }
}

/* The final head is here. Where the upload is not complete, the connection to the client cannot be used again, and a refusal ends it. */
static void begin_response(struct exchange *exchange, const struct received *received)
{
    const struct h1_response *response = received->response;
    struct attempt *attempt = &exchange->attempt;
    enum body_kind framing = message_client_framing(exchange, response);
    bool counts_as_failure = status_set_has(&exchange_group(exchange)->fail_statuses, response->status);

    if (!exchange->upload.done)
        exchange->close_client = true;
    if (framing == BODY_CLOSE)
        exchange->close_client = true;
    attempt->link_closes = response->close || response->body == BODY_CLOSE || !exchange->upload.done;
    exchange->status = response->status;
    if (!message_write_response(exchange, received, framing)) {
        exchange->status = 0;
        termination_note(exchange, TERMINATION_INTERNAL);
        exchange_fail(exchange, 502, "the response head cannot be written");
        return;
    }
    exchange->head_sent = true;
    exchange_set_state(exchange, EXCHANGE_RELAYING);
    attempt_judge(exchange, counts_as_failure ? FAIRLEAD_FAILED : FAIRLEAD_OK);
    body_forget(&exchange->upload); /* no other server will be asked */
    body_init(&exchange->download, response->body, framing, response->content_length);
    exchange->download.relay_trailers =
        exchange->request.te_trailers && !exchange_names_fields(received->data, received->fields, response->n_fields);
    stream_consume(&attempt->link->stream, received->len);
    if (!exchange->upload.done && response->status >= 300) {
        exchange->upload.to = BODY_NONE; /* it goes on being read, up to the end of the response, and no further */
        stream_pause(&exchange->client->stream, false);
    }
    attempt_download(exchange);
}

/* 1xx. Returns false when the exchange is over. */
static bool pass_interim(struct exchange *exchange, const struct received *received)
{
    if (received->response->status == 101 || exchange->n_interim >= EXCHANGE_INTERIM) {
        attempt_failed(exchange, RETRY_INVALID_HEADER, 502, "unexpected interim response", 0);
        return false;
    }
    exchange->n_interim++;
    if (exchange->request.minor > 0 && !message_write_interim(exchange, received)) {
        out_of_memory(exchange, "out of memory for an interim response");
        return false;
    }
    stream_consume(&exchange->attempt.link->stream, received->len);
    return true;
}

/* A part of a head has come. */
static void await_rest(struct exchange *exchange)
{
    struct stream *link = &exchange->attempt.link->stream;

    if (link->end_of_input)
        attempt_failed(exchange, RETRY_ERROR, 502, "server closed the connection in its response head", link->input_error);
    else if (!stream_gather(link, 2048))
        out_of_memory(exchange, "out of memory for a response head");
    else
        stream_expect(link);
}

/* Reads one head. Returns true when an interim one was passed on and the next may be here already. */
static bool read_response(struct exchange *exchange)
{
    struct stream *link = &exchange->attempt.link->stream;
    struct h1_response response;
    struct received received = {.response = &response, .fields = exchange->view->fields};
    struct h1_limits limits;
    int consumed;

    if (link->input && link->input->next && !stream_gather(link, 0)) {
        out_of_memory(exchange, "out of memory for a response head");
        return false;
    }
    received.data = stream_peek(link, &received.len);
    if (received.len == 0)
        return false;
    exchange_limits(exchange, &limits);
    consumed = h1_parse_response(received.data, received.len, &limits, exchange->request.method_id, &response,
                                 exchange->view->fields);
    if (consumed < 0)
        attempt_failed(exchange, RETRY_INVALID_HEADER, 502, h1_error_text(consumed), 0);
    else if (consumed == 0)
        await_rest(exchange);
    if (consumed <= 0)
        return false;
    received.len = (size_t)consumed;
    if (response.status < 200)
        return pass_interim(exchange, &received);
    if (!attempt_retry_status(exchange, response.status))
        begin_response(exchange, &received);
    return false;
}

void response_input(struct exchange *exchange)
{
    struct stream *link = &exchange->attempt.link->stream;

    if (exchange->state == EXCHANGE_RELAYING) {
        attempt_download(exchange);
        return;
    }
    if (link->received > 0 && exchange->first_byte_ns == 0 && link->input_bytes > 0)
        exchange->first_byte_ns = exchange->service->worker->now_ns;
    if (link->input_bytes == 0 && link->end_of_input) {
        if (!attempt_retry_stale(exchange))
            attempt_failed(exchange, RETRY_ERROR, 502, "server closed the connection before its response", link->input_error);
        return;
    }
    /* Nothing of the request has left yet: these bytes answer something else, or nothing (requirement 51). */
    if (link->sent == exchange->attempt.sent_before) {
        if (!attempt_retry_stale(exchange))
            attempt_failed(exchange, RETRY_INVALID_HEADER, 502, "server spoke before it was asked", 0);
        return;
    }
    while (read_response(exchange))
        ;
}
