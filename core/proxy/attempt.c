/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Attempts; see attempt.h. The file reads as an attempt goes: letting go and failing, which each step may lead to; pick, connect or reuse, send;
 * then the events of the link's stream.
 */
#include "proxy/attempt.h"

#include "engine/log.h"
#include "proxy/balance.h"
#include "proxy/client.h"
#include "proxy/message.h"
#include "proxy/queue.h"
#include "proxy/retry.h"
#include "proxy/termination.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#define LOGGED_TARGET_MAX 200u /* bytes of a request target in the error log */

static const struct stream_type link_stream;

static uint64_t now_ms(const struct exchange *exchange)
{
    return exchange->service->worker->now_ms;
}

static uint64_t now_ns(const struct exchange *exchange)
{
    return exchange->service->worker->now_ns;
}

static const struct http_settings *settings_of(const struct exchange *exchange)
{
    return &exchange->location->settings;
}

static struct pool *pool_of(const struct exchange *exchange)
{
    return exchange->pool;
}

static struct picker *picker_of(const struct exchange *exchange)
{
    return exchange->picker;
}

/* What the operator must know of the pool, each once: these are changes of a state. */
static void log_news(const struct exchange *exchange, const struct server *server, enum picker_news news)
{
    bool panic_began, panic_ended;

    if (news == PICKER_EJECTED)
        log_write(LOG_WARNING, "server is taken out pool=%s server=%s for_ms=%llu", pool_name(pool_of(exchange)), server->name,
                  (unsigned long long)picker_time_out_ms(server, now_ns(exchange)));
    else if (news == PICKER_STAYED_OUT)
        log_write(LOG_WARNING, "server stays out pool=%s server=%s for_ms=%llu", pool_name(pool_of(exchange)), server->name,
                  (unsigned long long)picker_time_out_ms(server, now_ns(exchange)));
    else if (news == PICKER_RETURNED)
        log_write(LOG_NOTICE, "server is back pool=%s server=%s", pool_name(pool_of(exchange)), server->name);
    picker_panic_news(picker_of(exchange), &panic_began, &panic_ended);
    if (panic_began)
        log_write(LOG_ERR, "all servers have failed, they are used all the same pool=%s", pool_name(pool_of(exchange)));
    if (panic_ended)
        log_write(LOG_NOTICE, "not all servers have failed any more pool=%s", pool_name(pool_of(exchange)));
}

/* Letting go. */

void attempt_judge(struct exchange *exchange, enum fairlead_outcome outcome)
{
    struct attempt *attempt = &exchange->attempt;
    uint64_t elapsed_ns = now_ns(exchange) - attempt->started_ns;
    enum picker_news news = PICKER_NO_NEWS;

    if (attempt->server == PICKER_NONE)
        return;
    if (!attempt->judged && outcome == FAIRLEAD_OK && exchange->first_byte_ns > attempt->started_ns)
        elapsed_ns = exchange->first_byte_ns - attempt->started_ns;
    if (!attempt->judged)
        news = picker_outcome(picker_of(exchange), attempt->server, outcome, elapsed_ns, now_ns(exchange));
    else if (outcome == FAIRLEAD_FAILED && !attempt->failed)
        news = picker_late_failure(picker_of(exchange), attempt->server, elapsed_ns, now_ns(exchange));
    attempt->judged = true;
    attempt->failed |= outcome == FAIRLEAD_FAILED;
    log_news(exchange, attempt->tried_last, news);
}

void attempt_drop(struct exchange *exchange, enum fairlead_outcome outcome)
{
    struct attempt *attempt = &exchange->attempt;
    struct link *link = attempt->link;

    attempt->link = NULL;
    if (link)
        link_close(link, false);
    attempt_judge(exchange, outcome);
    if (attempt->server == PICKER_NONE)
        return;
    picker_release(picker_of(exchange), attempt->server);
    attempt->server = PICKER_NONE;
    if (exchange_group(exchange)->queue_size > 0 || line_is_waited_in(exchange->line)) /* a reload may have given or taken the queue */
        queue_place_freed(exchange->line);
}

/* We ran out of something: that says nothing about the server. */
static bool is_own_shortage(int error)
{
    return error == -EMFILE || error == -ENFILE || error == -ENOBUFS || error == -ENOMEM || error == -EADDRNOTAVAIL;
}

/* The line names who and what: it is what the operator looks for at night. */
static void log_failure(const struct exchange *exchange, const char *what, int error)
{
    static _Thread_local struct log_limit limit;
    const struct server *server = exchange->attempt.tried_last;
    struct span target = exchange_text(exchange, exchange->request.target);
    char shown[LOGGED_TARGET_MAX]; /* a quote in it would end the value before its end */
    size_t shown_len = log_escape(shown, sizeof(shown), target.p, target.len);

    exchange->service->counters.upstream_failures++;
    log_write_limited(&limit, 20, LOG_ERR, "%s pool=%s server=%s%s%s%s state=%s attempt=%u request=\"%.*s %.*s\"",
                      what, pool_name(pool_of(exchange)), server->name, error ? " error=\"" : "",
                      error ? strerror(-error) : "", error ? "\"" : "",
                      exchange_state_name(exchange->state), exchange->attempt.count,
                      (int)exchange->request.method.len, exchange_text(exchange, exchange->request.method).p,
                      (int)shown_len, shown);
}

static void drop_failed(struct exchange *exchange, const char *what, int error)
{
    log_failure(exchange, what, error);
    termination_note_failure(exchange, error);
    attempt_drop(exchange, is_own_shortage(error) ? FAIRLEAD_CANCELLED : FAIRLEAD_FAILED);
}

/* Sending. */

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
    exchange->connected_ns = now_ns(exchange);
    attempt->sent_before = attempt->link->stream.sent;
    if (!message_write_request(exchange, &attempt->link->stream) ||
        !body_replay(&exchange->upload, &attempt->link->stream)) {
        termination_note(exchange, TERMINATION_INTERNAL);
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

    attempt->link = fresh ? NULL : link_take(links, exchange->pool, server, &link_stream, exchange);
    attempt->fresh = attempt->link == NULL;
    if (!attempt->fresh) {
        send_request(exchange);
        return true;
    }
    attempt->link = link_open(links, pool_of(exchange), server, &link_stream, exchange, &error);
    if (!attempt->link) {
        drop_failed(exchange, "cannot connect", error);
        return false;
    }
    stream_deadline(&attempt->link->stream, now_ms(exchange) + settings_of(exchange)->proxy_connect_timeout_ms);
    return true;
}

/* Picking. */

static int pick(struct exchange *exchange)
{
    struct attempt *attempt = &exchange->attempt;
    struct pick_request request = {.key = attempt->key, .bound = attempt->bound, .tried = &attempt->tried};
    int server = picker_pick(picker_of(exchange), &request, now_ns(exchange));

    log_news(exchange, NULL, PICKER_NO_NEWS);
    return server;
}

/* Begins at a server that was picked. Returns false when another one must be tried. */
static bool begin_at(struct exchange *exchange, int server)
{
    struct attempt *attempt = &exchange->attempt;

    attempt->server = server;
    attempt->judged = attempt->failed = false;
    exchange->service->counters.upstream_retries += attempt->count > 0;
    attempt->count++;
    attempt->started_ns = now_ns(exchange);
    attempt->tried_last = pool_server(pool_of(exchange), (size_t)server);
    exchange->first_byte_ns = 0;
    exchange_set_state(exchange, EXCHANGE_CONNECTING);
    return get_link(exchange, false);
}

/* Picks servers until one can be tried. `status` answers the client when none is left. */
static void try_next(struct exchange *exchange, int status, const char *why)
{
    while (exchange->attempt.count == 0 || retry_may_connect(exchange)) {
        int server = pick(exchange);

        if (server == PICKER_FULL) {
            if (queue_enter(exchange))
                return;
            exchange->service->counters.queue_full++;
            termination_note_in(exchange, TERMINATION_PROXY, EXCHANGE_QUEUED);
            exchange_fail(exchange, exchange->attempt.count == 0 ? 503 : status,
                          exchange_group(exchange)->queue_size > 0 ? "the queue is full" : "all servers are at max_conns");
            return;
        }
        if (server < 0)
            break;
        if (begin_at(exchange, server))
            return;
    }
    exchange->service->counters.no_upstream += exchange->attempt.count == 0;
    if (exchange->attempt.count == 0)
        termination_note_in(exchange, TERMINATION_SERVER, EXCHANGE_CONNECTING);
    exchange_fail(exchange, status, why);
}

void attempt_start(struct exchange *exchange)
{
    struct attempt *attempt = &exchange->attempt;

    attempt->key = balance_key(exchange);
    attempt->bound = balance_bound_server(exchange);
    retry_begin(exchange);
    /* Who comes now must not overtake those who wait. But a full queue is no reason to refuse anybody: a place may be free whose letter has not been
     * read yet. */
    if (queue_is_waited_in(exchange) && queue_enter(exchange))
        return;
    try_next(exchange, 503, "no server is available");
}

bool attempt_leave_queue(struct exchange *exchange)
{
    int server;

    if (exchange->attempt.count == 0 && exchange_renew(exchange)) {
        exchange->attempt.key = balance_key(exchange);
        exchange->attempt.bound = balance_bound_server(exchange);
    }
    server = pick(exchange);
    if (server == PICKER_FULL)
        return false;
    if (server < 0) {
        termination_note(exchange, TERMINATION_SERVER);
        exchange_fail(exchange, exchange->attempt.count == 0 ? 503 : 502, "no server is available");
        return true;
    }
    queue_leave(exchange);
    if (!begin_at(exchange, server))
        try_next(exchange, 502, "no server can be connected to");
    return true;
}

/* Failing, and what comes of it. */

void attempt_failed(struct exchange *exchange, enum retry_cause cause, int status, const char *what, int error)
{
    bool may_retry = retry_may_resend(exchange, cause);
    int server;

    drop_failed(exchange, what, error);
    if (cause == RETRY_INVALID_HEADER)
        termination_note(exchange, TERMINATION_PROXY);
    server = may_retry ? pick(exchange) : PICKER_NONE;
    if (server == PICKER_FULL && queue_enter(exchange)) {
        retry_pay(exchange);
        return;
    }
    if (server < 0) {
        exchange_fail(exchange, status, what);
        return;
    }
    retry_pay(exchange);
    if (!begin_at(exchange, server))
        try_next(exchange, status, what);
}

bool attempt_retry_status(struct exchange *exchange, int status)
{
    const struct group *group = exchange_group(exchange);
    char what[32];
    int server;

    if (!status_set_has(&group->retry.statuses, status) || !retry_may_resend(exchange, 0))
        return false;
    server = pick(exchange);
    if (server < 0)
        return false; /* then this response is the best that there is */
    retry_pay(exchange);
    snprintf(what, sizeof(what), "server answered %d", status);
    log_failure(exchange, what, 0);
    attempt_drop(exchange, status == 403 || status == 404 ? FAIRLEAD_OK : FAIRLEAD_FAILED); /* as nginx counts */
    if (!begin_at(exchange, server))
        try_next(exchange, status, "no server can be connected to");
    return true;
}

bool attempt_retry_stale(struct exchange *exchange)
{
    struct attempt *attempt = &exchange->attempt;

    if (attempt->fresh || attempt->retried_stale || exchange->n_interim > 0 || !body_can_replay(&exchange->upload) ||
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

/* Events of the link's stream. */

static void on_connected(struct stream *stream, int error)
{
    struct exchange *exchange = ((struct link *)stream)->user;

    if (!exchange)
        return;
    if (error == 0) {
        send_request(exchange);
        return;
    }
    drop_failed(exchange, "cannot connect", error);
    try_next(exchange, 502, "no server can be connected to");
}

static void on_input(struct stream *stream)
{
    struct exchange *exchange = ((struct link *)stream)->user;

    if (!exchange)
        return;
    exchange->attempt.progress_ms = now_ms(exchange);
    response_input(exchange);
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
        drop_failed(exchange, "connect timed out", -ETIMEDOUT);
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
    attempt_failed(exchange, RETRY_TIMEOUT, 504, sending ? "proxy_send_timeout" : "proxy_read_timeout", -ETIMEDOUT);
}

static const struct stream_type link_stream = {.on_input = on_input,
                                               .on_sent = on_sent,
                                               .on_timer = on_timer,
                                               .on_connected = on_connected,
                                               .on_gone = link_gone};
