/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Attempts; see attempt.h. The file reads as an attempt goes: pick, connect or reuse, send, the response head, the response
 * body, the end; then the events of the link's stream, which lead back into it.
 */
#include "proxy/attempt.h"

#include "engine/log.h"
#include "proxy/client.h"
#include "proxy/message.h"

#include <assert.h>
#include <errno.h>

#define LOGGED_TARGET_MAX 200u /* bytes of a request target in the error log */

static const struct stream_type link_stream;

static uint64_t now_ms(const struct exchange *exchange)
{
    return exchange->service->worker->now_ms;
}

static const struct http_settings *settings_of(const struct exchange *exchange)
{
    return &exchange->location->settings;
}

static struct pool *pool_of(const struct exchange *exchange)
{
    return exchange->location->proxy.pool;
}

/* Letting go. */

static void give_back(struct exchange *exchange, enum fairlead_outcome outcome)
{
    struct attempt *attempt = &exchange->attempt;
    uint64_t latency_ns = exchange->first_byte_ns > attempt->started_ns ? exchange->first_byte_ns - attempt->started_ns : 0;
    int server = attempt->server;

    if (server == PICKER_NONE)
        return;
    attempt->server = PICKER_NONE;
    if (picker_done(attempt->picker, server, outcome, outcome == FAIRLEAD_OK ? latency_ns : 0,
                    exchange->service->worker->now_ns))
        log_write(LOG_WARNING, "server is taken out pool=%s server=%s fail_timeout_ms=%u", pool_name(pool_of(exchange)),
                  pool_server(pool_of(exchange), (size_t)server)->name,
                  pool_server(pool_of(exchange), (size_t)server)->fail_timeout_ms);
}

void attempt_drop(struct exchange *exchange, enum fairlead_outcome outcome)
{
    struct link *link = exchange->attempt.link;

    exchange->attempt.link = NULL;
    if (link)
        link_close(link, false);
    give_back(exchange, outcome);
}

/* We ran out of something: that says nothing about the server. */
static bool is_own_shortage(int error)
{
    return error == -EMFILE || error == -ENFILE || error == -ENOBUFS || error == -ENOMEM || error == -EADDRNOTAVAIL;
}

/* The server did not do what it should. The line names who and what: it is what the operator looks for at night. */
static void failed(struct exchange *exchange, const char *what, int error)
{
    static _Thread_local struct log_limit limit;
    const struct server *server = exchange->attempt.tried_last;
    struct span target = exchange_text(exchange, exchange->request.target);
    char shown[LOGGED_TARGET_MAX]; /* a quote in it would end the value before its end */
    size_t shown_len = log_escape(shown, sizeof(shown), target.p, target.len);

    exchange->service->counters.upstream_failures++;
    log_write_limited(&limit, 20, LOG_ERR, "%s pool=%s server=%s error=\"%s\" state=%s attempt=%u request=\"%.*s %.*s\"",
                      what, pool_name(pool_of(exchange)), server->name, error ? strerror(-error) : "none",
                      exchange_state_name(exchange->state), exchange->attempt.count,
                      (int)exchange->request.method.len, exchange_text(exchange, exchange->request.method).p,
                      (int)shown_len, shown);
    attempt_drop(exchange, is_own_shortage(error) ? FAIRLEAD_CANCELLED : FAIRLEAD_FAILED);
}

static void fail_response(struct exchange *exchange, int status, const char *what, int error)
{
    failed(exchange, what, error);
    exchange_fail(exchange, status, what);
}

/* Picking and connecting. */

static bool may_try_another(const struct exchange *exchange)
{
    uint32_t tries = settings_of(exchange)->proxy_tries;

    return exchange->upload.moved == 0 && !exchange->head_sent && (tries == 0 || exchange->attempt.count < tries) &&
           exchange->attempt.count < pool_n_servers(pool_of(exchange));
}

/* Looks again at `deadline_ms`, and often enough for whichever of the two timeouts applies by then. */
static void watch_link(struct exchange *exchange, uint64_t deadline_ms)
{
    const struct http_settings *settings = settings_of(exchange);
    uint32_t interval = settings->proxy_read_timeout_ms;

    if (settings->proxy_send_timeout_ms < interval)
        interval = settings->proxy_send_timeout_ms;
    if (now_ms(exchange) + interval < deadline_ms)
        deadline_ms = now_ms(exchange) + interval;
    stream_deadline(&exchange->attempt.link->stream, deadline_ms);
}

static void send_request(struct exchange *exchange)
{
    struct attempt *attempt = &exchange->attempt;

    exchange_set_state(exchange, EXCHANGE_AWAITING);
    exchange->connected_ns = exchange->service->worker->now_ns;
    attempt->sent_before = attempt->link->stream.sent;
    if (!message_write_request(exchange, &attempt->link->stream)) {
        exchange_fail(exchange, 500, "the request head cannot be written");
        return;
    }
    attempt->progress_ms = now_ms(exchange);
    watch_link(exchange, UINT64_MAX);
    (void)exchange_upload(exchange);
}

/* Gets a link to the picked server. Returns false when another server must be tried. */
static bool get_link(struct exchange *exchange, bool fresh)
{
    struct attempt *attempt = &exchange->attempt;
    struct server *server = pool_server(pool_of(exchange), (size_t)attempt->server);
    struct links *links = &exchange->service->links;
    int error = 0;

    attempt->link = fresh ? NULL : link_take(links, server, &link_stream, exchange);
    attempt->fresh = attempt->link == NULL;
    if (!attempt->fresh) {
        send_request(exchange);
        return true;
    }
    attempt->link = link_open(links, pool_of(exchange), server, &link_stream, exchange, &error);
    if (!attempt->link) {
        failed(exchange, "cannot connect", error);
        return false;
    }
    stream_deadline(&attempt->link->stream, now_ms(exchange) + settings_of(exchange)->proxy_connect_timeout_ms);
    return true;
}

/* Picks servers until one can be tried. `status` answers the client when none is left. */
static void try_next(struct exchange *exchange, int status, const char *why)
{
    struct attempt *attempt = &exchange->attempt;
    const struct worker *worker = exchange->service->worker;

    do {
        if (attempt->count > 0 && !may_try_another(exchange))
            break;
        attempt->server = picker_pick(attempt->picker, &attempt->tried, 0, worker->now_ns);
        if (attempt->server == PICKER_NONE)
            break;
        exchange->service->counters.upstream_retries += attempt->count > 0;
        attempt->count++;
        attempt->started_ns = worker->now_ns;
        attempt->tried_last = pool_server(pool_of(exchange), (size_t)attempt->server);
        exchange_set_state(exchange, EXCHANGE_CONNECTING);
        if (get_link(exchange, false))
            return;
    } while (true);
    if (attempt->count == 0)
        exchange->service->counters.no_upstream++;
    exchange_fail(exchange, status, why);
}

void attempt_start(struct exchange *exchange)
{
    const struct config *config = exchange->service->config;
    size_t index = 0;

    while (config->pools[index] != pool_of(exchange))
        index++;
    exchange->attempt.picker = exchange->service->pickers[index];
    try_next(exchange, 503, "no server is available");
}

static void on_connected(struct stream *stream, int error)
{
    struct exchange *exchange = ((struct link *)stream)->user;

    if (!exchange)
        return;
    if (error == 0) {
        send_request(exchange);
        return;
    }
    failed(exchange, "cannot connect", error);
    try_next(exchange, 502, "no server can be connected to");
}

/* A body without content is gone too once its last chunk has been sent. */
static bool has_sent_body(const struct exchange *exchange)
{
    const struct body *upload = &exchange->upload;

    return upload->moved > 0 || (upload->from == BODY_CHUNKED && upload->done);
}

/* An idle link that the server had closed already: the request was never read, so it may be sent again where it is idempotent. */
static bool retry_stale(struct exchange *exchange)
{
    struct attempt *attempt = &exchange->attempt;

    if (attempt->fresh || attempt->retried_stale || exchange->n_interim > 0 || has_sent_body(exchange) ||
        !http_method_is_idempotent(exchange->request.method_id))
        return false;
    attempt->retried_stale = true;
    link_close(attempt->link, false);
    attempt->link = NULL;
    exchange->service->counters.upstream_retries++;
    exchange_set_state(exchange, EXCHANGE_CONNECTING);
    if (!get_link(exchange, true))
        try_next(exchange, 502, "no server can be connected to");
    return true;
}

/* The response. */

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

    exchange_limits(exchange, &limits);
    switch (body_relay(body, link, client, &limits, exchange->service->fields)) {
    case BODY_DONE:
        response_complete(exchange, !exchange->attempt.link_closes);
        break;
    case BODY_WANTS_INPUT:
    case BODY_WANTS_ROOM:
        exchange->attempt.progress_ms = now_ms(exchange);
        stream_pause(link, stream_is_ahead(link, client));
        break;
    case BODY_CUT:
        fail_response(exchange, 502, "server ended in the middle of its response", link->input_error);
        break;
    case BODY_BAD:
        fail_response(exchange, 502, h1_error_text(body->error), 0);
        break;
    default:
        exchange->service->counters.out_of_memory++;
        exchange_fail(exchange, 502, "out of memory");
        break;
    }
}

/* The final head is here. Where the upload is not complete, the connection to the client cannot be used again, and a refusal ends it. */
static void begin_response(struct exchange *exchange, const struct received *received)
{
    const struct h1_response *response = received->response;
    struct attempt *attempt = &exchange->attempt;
    enum body_kind framing = message_client_framing(exchange, response);

    if (!exchange->upload.done)
        exchange->close_client = true;
    if (framing == BODY_CLOSE)
        exchange->close_client = true;
    attempt->link_closes = response->close || response->body == BODY_CLOSE || !exchange->upload.done;
    exchange->status = response->status;
    if (!message_write_response(exchange, received, framing)) {
        exchange->status = 0;
        exchange_fail(exchange, 502, "the response head cannot be written");
        return;
    }
    exchange->head_sent = true;
    exchange_set_state(exchange, EXCHANGE_RELAYING);
    give_back(exchange, FAIRLEAD_OK);
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
    if (received->response->status == 101 || ++exchange->n_interim > EXCHANGE_INTERIM) {
        fail_response(exchange, 502, "unexpected interim response", 0);
        return false;
    }
    if (exchange->request.minor > 0 && !message_write_interim(exchange, received)) {
        exchange_fail(exchange, 502, "out of memory for an interim response");
        return false;
    }
    stream_consume(&exchange->attempt.link->stream, received->len);
    return true;
}

/* Reads one head. Returns true when an interim one was passed on and the next may be here already. */
static bool read_response(struct exchange *exchange)
{
    struct stream *link = &exchange->attempt.link->stream;
    struct h1_response response;
    struct received received = {.response = &response, .fields = exchange->service->fields};
    struct h1_limits limits;
    int consumed;

    if (link->input && link->input->next && !stream_gather(link, 0)) {
        exchange_fail(exchange, 502, "out of memory for a response head");
        return false;
    }
    received.data = stream_peek(link, &received.len);
    if (received.len == 0)
        return false;
    exchange_limits(exchange, &limits);
    consumed = h1_parse_response(received.data, received.len, &limits, exchange->request.method_id, &response,
                                 exchange->service->fields);
    if (consumed < 0) {
        fail_response(exchange, 502, h1_error_text(consumed), 0);
        return false;
    }
    if (consumed == 0) {
        if (link->end_of_input)
            fail_response(exchange, 502, "server closed the connection in its response head", link->input_error);
        else if (!stream_gather(link, 2048))
            exchange_fail(exchange, 502, "out of memory for a response head");
        return false;
    }
    received.len = (size_t)consumed;
    if (response.status < 200)
        return pass_interim(exchange, &received);
    begin_response(exchange, &received);
    return false;
}

/* Events of the link's stream. */

static void on_input(struct stream *stream)
{
    struct exchange *exchange = ((struct link *)stream)->user;

    if (!exchange)
        return;
    exchange->attempt.progress_ms = now_ms(exchange);
    if (exchange->state == EXCHANGE_RELAYING) {
        attempt_download(exchange);
        return;
    }
    if (stream->received > 0 && exchange->first_byte_ns == 0 && stream->input_bytes > 0)
        exchange->first_byte_ns = exchange->service->worker->now_ns;
    if (stream->input_bytes == 0 && stream->end_of_input) {
        if (!retry_stale(exchange))
            fail_response(exchange, 502, "server closed the connection before its response", stream->input_error);
        return;
    }
    /* Nothing of the request has left yet: these bytes answer something else, or nothing (requirement 51). */
    if (stream->sent == exchange->attempt.sent_before) {
        if (!retry_stale(exchange))
            fail_response(exchange, 502, "server spoke before it was asked", 0);
        return;
    }
    while (read_response(exchange))
        ;
}

static void on_sent(struct stream *stream)
{
    struct exchange *exchange = ((struct link *)stream)->user;

    if (!exchange)
        return;
    exchange->attempt.progress_ms = now_ms(exchange);
    /* A server that does not read any more may have answered: what it said comes by on_input, and so does its end. */
    if (!stream->output_error)
        (void)exchange_upload(exchange);
}

static void on_timer(struct stream *stream)
{
    struct exchange *exchange = ((struct link *)stream)->user;
    struct counters *counters = &exchange->service->counters;
    const struct http_settings *settings = settings_of(exchange);
    bool sending = stream->n_pieces > 0;
    uint32_t timeout = sending ? settings->proxy_send_timeout_ms : settings->proxy_read_timeout_ms;

    if (exchange->state == EXCHANGE_CONNECTING) {
        counters->timeout_connect++;
        failed(exchange, "connect timed out", -ETIMEDOUT);
        try_next(exchange, 504, "proxy_connect_timeout");
        return;
    }
    /* Not the server's fault: the client does not take, or does not give, and has a watch of its own. */
    if (stream_is_held(stream) || (!sending && exchange_awaits_body(exchange)))
        exchange->attempt.progress_ms = now_ms(exchange);
    if (exchange->attempt.progress_ms + timeout > now_ms(exchange)) {
        watch_link(exchange, exchange->attempt.progress_ms + timeout);
        return;
    }
    *(sending ? &counters->timeout_upstream_send : &counters->timeout_upstream_read) += 1;
    fail_response(exchange, 504, sending ? "proxy_send_timeout" : "proxy_read_timeout", -ETIMEDOUT);
}

static const struct stream_type link_stream = {.on_input = on_input,
                                               .on_sent = on_sent,
                                               .on_timer = on_timer,
                                               .on_connected = on_connected,
                                               .on_gone = link_gone};
