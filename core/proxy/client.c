/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A client connection's life: reading request heads, handing over to an exchange, ending. See client.h. Every state has a deadline; in
 * BUSY it is a watch that looks whether bytes move as fast as they must.
 */
#include "proxy/client.h"

#include "engine/log.h"
#include "proxy/exchange.h"
#include "proxy/termination.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define HEAD_ROOM_MIN 1024u /* bytes of room made for the rest of a head at first */

static const char *const state_names[] = {
#define X(state, sentence) #state,
    CLIENT_STATES(X)
#undef X
};

/* Row: from; bit: to. */
#define TO(state) (1u << CLIENT_##state)
static const unsigned edges[CLIENT_N_STATES] = {
    [CLIENT_IDLE] = TO(HEAD) | TO(BUSY) | TO(FLUSHING) | TO(CLOSED),
    [CLIENT_HEAD] = TO(BUSY) | TO(FLUSHING) | TO(CLOSED),
    [CLIENT_BUSY] = TO(IDLE) | TO(FLUSHING) | TO(CLOSED),
    [CLIENT_FLUSHING] = TO(LINGERING) | TO(CLOSED),
    [CLIENT_LINGERING] = TO(CLOSED),
};

const char *client_state_name(enum client_state state)
{
    return state_names[state];
}

bool client_edge_allowed(enum client_state from, enum client_state to)
{
    return edges[from] >> to & 1;
}

static struct client *of_stream(struct stream *stream)
{
    return (struct client *)stream;
}

static uint64_t now_ms(const struct client *client)
{
    return client->service->worker->now_ms;
}

static void set_state(struct client *client, enum client_state state)
{
    assert(client_edge_allowed(client->state, state));
    client->state = state;
}

static void close_now(struct client *client, bool reset)
{
    struct exchange *exchange = client->exchange;

    if (client->state == CLIENT_CLOSED)
        return;
    set_state(client, CLIENT_CLOSED);
    client->exchange = NULL;
    stream_close(&client->stream, reset);
    if (exchange)
        exchange_abort(exchange, 499, "client went away");
}

/* Ending. */

/* Who was idle had nothing on its way that a reset could destroy. */
static uint32_t lingering_ms(const struct client *client)
{
    const struct config *config = client_config(client);

    return client_is_draining(client) && config->shutdown_idle_timeout_ms < config->lingering_timeout_ms
               ? config->shutdown_idle_timeout_ms
               : config->lingering_timeout_ms;
}

static void linger(struct client *client)
{
    if (client->state != CLIENT_FLUSHING || !stream_idle_output(&client->stream))
        return;
    if (client->stream.output_error || stream_ended(&client->stream)) {
        close_now(client, false);
        return;
    }
    stream_shutdown(&client->stream);
    set_state(client, CLIENT_LINGERING);
    stream_deadline(&client->stream, now_ms(client) + lingering_ms(client));
    client->stream.type->on_input(&client->stream);
}

static void finish_connection(struct client *client)
{
    set_state(client, CLIENT_FLUSHING);
    client->window_ms = 0;
    stream_deadline(&client->stream, now_ms(client) + client_config(client)->settings.send_timeout_ms);
    linger(client);
}

static void throw_away(struct client *client)
{
    client->lingered += client->stream.input_bytes;
    stream_consume(&client->stream, client->stream.input_bytes);
    if (client->stream.end_of_input || client->lingered > client_config(client)->lingering_size)
        close_now(client, false);
}

/* Reading heads. */

static void head_limits(const struct client *client, struct h1_limits *limits)
{
    const struct config *config = client_config(client);

    *limits = (struct h1_limits){
        .head_max = config->client_header_size,
        .target_max = config->client_uri_size,
        .field_max = config->client_field_size,
        .fields_max = (uint16_t)config->client_header_count,
        .reject_underscores = config->reject_underscores,
    };
}

/* An answer to something that is no request. The bytes are kept for the log. */
static void refuse(struct client *client, int status, const char *why)
{
    struct h1_request nothing = {0};
    size_t len;
    const char *data = stream_peek(&client->stream, &len);

    if (len > 256)
        len = 256;
    client->exchange = exchange_create(client, &nothing, data ? data : "", len);
    if (!client->exchange) {
        close_now(client, false);
        return;
    }
    set_state(client, CLIENT_BUSY);
    client->exchange->close_client = true;
    termination_note(client->exchange, status == 408 ? TERMINATION_CLIENT_TIMEOUT : TERMINATION_PROXY);
    exchange_fail(client->exchange, status, why);
}

static void refuse_head(struct client *client, int error)
{
    int status = h1_error_status(error);

    client->service->counters.requests_bad++;
    if (status == 414 || status == 431)
        client->service->counters.limit_head++;
    refuse(client, status, h1_error_text(error));
}

/* More of the head must come: what is there is moved off the shared blocks, and the clock for the whole head runs. */
static void await_head(struct client *client)
{
    const struct config *config = client_config(client);
    uint32_t room = client->stream.input_bytes > HEAD_ROOM_MIN ? client->stream.input_bytes : HEAD_ROOM_MIN;

    if (client->state == CLIENT_IDLE) {
        set_state(client, CLIENT_HEAD);
        client->head_ns = client->service->worker->now_ns;
        stream_deadline(&client->stream, now_ms(client) + config->client_header_timeout_ms);
    }
    client->seen = client->stream.input_bytes;
    stream_expect(&client->stream);
    if (!stream_gather(&client->stream, room)) {
        client->service->counters.out_of_memory++;
        close_now(client, true);
    }
}

/* Parsing again is worth it when the end of a head has come, or when much has; so slow senders cannot make it quadratic. */
static bool worth_parsing(const struct client *client, const char *data, size_t len)
{
    size_t from = client->seen > 3 ? client->seen - 3 : 0;

    return client->seen == 0 || len >= client->seen + client->seen / 4 + 16 ||
           memmem(data + from, len - from, "\r\n\r\n", 4) || memmem(data + from, len - from, "\n\n", 2);
}

static const struct http_settings *settings_of(const struct client *client)
{
    const struct exchange *exchange = client->exchange;

    return exchange && exchange->location ? &exchange->location->settings : &client_config(client)->settings;
}

/* Whether we wait for the client at all, and for how long we may. */
static uint32_t patience(const struct client *client)
{
    const struct exchange *exchange = client->exchange;
    const struct http_settings *settings = settings_of(client);

    if (client->stream.n_pieces > 0)
        return settings->send_timeout_ms;
    if (exchange && exchange_awaits_body(exchange))
        return settings->client_body_timeout_ms;
    return 0;
}

/* How often a busy client is looked at: often enough for whichever timeout may apply. */
static void arm_watch(struct client *client)
{
    const struct exchange *exchange = client->exchange;
    const struct http_settings *settings = settings_of(client);
    uint32_t interval = settings->send_timeout_ms;

    if (exchange && !exchange->upload.done && settings->client_body_timeout_ms < interval)
        interval = settings->client_body_timeout_ms;
    stream_deadline(&client->stream, now_ms(client) + interval);
}

static void begin_exchange(struct client *client, const struct h1_request *request, const char *data, size_t len)
{
    const struct config *config = client_config(client);
    struct exchange *exchange = exchange_create(client, request, data, len);

    if (!exchange) {
        client->service->counters.out_of_memory++;
        close_now(client, false);
        return;
    }
    stream_consume(&client->stream, len);
    client->seen = 0;
    client->requests++;
    client->window_ms = request->body == BODY_NONE ? 0 : now_ms(client);
    client->window_bytes = client->stream.received + client->stream.sent;
    client->exchange = exchange;
    set_state(client, CLIENT_BUSY);
    if (client->requests >= config->keepalive_requests) {
        exchange->close_client = true;
        client->service->counters.limit_requests++;
    }
    if (client_is_draining(client) || config->keepalive_timeout_ms == 0)
        exchange->close_client = true;
    exchange_start(exchange);
    if (client->state == CLIENT_BUSY)
        arm_watch(client);
}

/* Reads one request if a whole head is there. Returns true when it is worth calling again. */
static bool read_request(struct client *client)
{
    struct h1_request request;
    struct h1_limits limits;
    const char *data;
    size_t len;
    int consumed;

    if (stream_room(&client->stream) == 0)
        return false;
    if (stream_ended(&client->stream)) {
        finish_connection(client); /* what is queued still goes out: it may only have closed its own direction */
        return false;
    }
    if (client->stream.input && client->stream.input->next && !stream_gather(&client->stream, HEAD_ROOM_MIN)) {
        client->service->counters.out_of_memory++;
        close_now(client, true);
        return false;
    }
    data = stream_peek(&client->stream, &len);
    if (len == 0)
        return false;
    head_limits(client, &limits);
    consumed = worth_parsing(client, data, len)
                   ? h1_parse_request(data, len, &limits, &request, client->listening->view->fields)
                   : 0;
    if (consumed > 0) {
        begin_exchange(client, &request, data, (size_t)consumed);
        return true;
    }
    if (consumed < 0)
        refuse_head(client, consumed);
    else if (client->stream.end_of_input)
        finish_connection(client);
    else
        await_head(client);
    return false;
}

static void pump(struct client *client)
{
    if (client->pumping)
        return;
    client->pumping = true;
    while ((client->state == CLIENT_IDLE || client->state == CLIENT_HEAD) && read_request(client))
        ;
    client->pumping = false;
    /* Requests that wait behind the live one must not sit on the shared blocks. */
    if (client->state == CLIENT_BUSY && client->exchange->upload.done && !stream_gather(&client->stream, 0)) {
        termination_note(client->exchange, TERMINATION_RESOURCE);
        close_now(client, true);
    }
}

/* Between requests: the clock starts when the last response has left. */
static void rest(struct client *client)
{
    const struct config *config = client_config(client);

    stream_deadline(&client->stream,
                    now_ms(client) + (client_is_draining(client) ? config->shutdown_idle_timeout_ms : config->keepalive_timeout_ms));
    pump(client);
}

void client_exchange_over(struct client *client, bool close)
{
    client->exchange = NULL;
    if (client->state == CLIENT_CLOSED)
        return;
    stream_settle(&client->stream);
    if (close) {
        finish_connection(client);
        return;
    }
    set_state(client, CLIENT_IDLE);
    rest(client);
}

void client_cut(struct client *client)
{
    client->exchange = NULL;
    close_now(client, true);
}

/* Events of the stream. */

static void on_input(struct stream *stream)
{
    struct client *client = of_stream(stream);

    switch (client->state) {
    case CLIENT_IDLE:
    case CLIENT_HEAD:
        pump(client);
        break;
    case CLIENT_BUSY:
        /* One that waits in a queue and says that it is done has given up: nobody would read the answer. */
        if (stream->input_error || (stream_ended(stream) && client->exchange->state == EXCHANGE_QUEUED)) {
            client->service->counters.client_aborts++;
            close_now(client, false);
        } else if (!client->exchange->upload.done) {
            exchange_client_moved(client->exchange);
        } else if (!stream_gather(stream, 0)) {
            termination_note(client->exchange, TERMINATION_RESOURCE);
            close_now(client, true);
        }
        break;
    case CLIENT_LINGERING:
        throw_away(client);
        break;
    default: /* FLUSHING: it waits until our direction is closed */
        if (stream->input_error)
            close_now(client, false);
        break;
    }
}

static void on_sent(struct stream *stream)
{
    struct client *client = of_stream(stream);

    if (stream->output_error) {
        if (client->state == CLIENT_BUSY)
            client->service->counters.client_aborts++;
        close_now(client, false);
        return;
    }
    if (stream_idle_output(stream))
        client->window_ms = 0;
    if (client->state == CLIENT_BUSY)
        exchange_client_moved(client->exchange);
    else if (client->state == CLIENT_FLUSHING)
        linger(client);
    else if (client->state == CLIENT_IDLE)
        rest(client);
}

static void timed_out(struct client *client)
{
    bool sending = client->stream.n_pieces > 0;

    termination_note(client->exchange, TERMINATION_CLIENT_TIMEOUT);
    if (sending) {
        client->service->counters.timeout_send++;
        close_now(client, true);
        return;
    }
    client->service->counters.timeout_client_body++;
    client->exchange->close_client = true;
    exchange_fail(client->exchange, 408, "client_body_timeout");
}

/*
 * BUSY and FLUSHING: the client must move bytes, both at all and at the least rate (over a window that is
 * at least one timeout long). What its kernel has acknowledged counts, though no completion has told us of it.
 */
static void watch(struct client *client)
{
    uint64_t now = now_ms(client), moved = stream_acknowledged(&client->stream) + client->stream.received;
    uint32_t timeout = patience(client), rate = settings_of(client)->client_min_rate;
    uint64_t elapsed = now - client->window_ms;

    if (timeout == 0 || client->window_ms == 0) {
        client->window_ms = timeout == 0 ? 0 : now;
        client->window_bytes = moved;
        arm_watch(client);
        return;
    }
    if (elapsed < timeout) {
        stream_deadline(&client->stream, client->window_ms + timeout);
        return;
    }
    if (moved <= client->window_bytes || (moved - client->window_bytes) * 1000 < (uint64_t)rate * elapsed) {
        timed_out(client);
        return;
    }
    client->window_ms = now;
    client->window_bytes = moved;
    stream_deadline(&client->stream, now + timeout);
}

static void on_timer(struct stream *stream)
{
    struct client *client = of_stream(stream);
    struct counters *counters = &client->service->counters;

    switch (client->state) {
    case CLIENT_IDLE:
        if (stream->n_pieces > 0) {
            watch(client);
            break;
        }
        /* Our end first, then a while in which it may take notice: a request that crosses it on the way is not met by a reset. */
        if (client_is_draining(client)) {
            finish_connection(client);
            break;
        }
        *(client->requests == 0 ? &counters->timeout_client_header : &counters->timeout_keepalive) += 1;
        close_now(client, false);
        break;
    case CLIENT_HEAD:
        counters->timeout_client_header++;
        refuse(client, 408, "client_header_timeout");
        break;
    case CLIENT_BUSY:
    case CLIENT_FLUSHING:
        watch(client);
        break;
    default:
        close_now(client, false);
        break;
    }
}

static void on_gone(struct stream *stream)
{
    struct client *client = of_stream(stream);
    struct service *service = client->service;
    struct listening *listening = client->listening;

    *(client->prev ? &client->prev->next : &service->first_client) = client->next;
    if (client->next)
        client->next->prev = client->prev;
    slab_put(&service->clients, client);
    listening_client_gone(listening);
    service_client_gone(service);
}

static const struct stream_type client_stream = {
    .on_input = on_input, .on_sent = on_sent, .on_timer = on_timer, .on_gone = on_gone};

/* Once per connection: the text is wanted in every request. */
static void read_peer(struct client *client, int fd)
{
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } peer;
    socklen_t len = sizeof(peer);
    const char *text = NULL;

    if (getpeername(fd, &peer.sa, &len) != 0)
        peer.sa.sa_family = AF_UNSPEC;
    if (peer.sa.sa_family == AF_INET) {
        text = inet_ntop(AF_INET, &peer.in.sin_addr, client->address, sizeof(client->address));
        client->port = ntohs(peer.in.sin_port);
    } else if (peer.sa.sa_family == AF_INET6) {
        text = inet_ntop(AF_INET6, &peer.in6.sin6_addr, client->address, sizeof(client->address));
        client->port = ntohs(peer.in6.sin6_port);
    }
    if (!text)
        memcpy(client->address, "unix:", sizeof("unix:"));
    client->address_len = (uint8_t)strlen(client->address);
}

void client_accept(struct listening *listening, int fd)
{
    struct service *service = listening->service;
    struct client *client = slab_get(&service->clients);

    if (!client) {
        service->counters.connections_refused++;
        close(fd);
        return;
    }
    memset(client, 0, sizeof(*client));
    if (!stream_open(&client->stream, service->worker, &client_stream, fd)) {
        service->counters.connections_refused++;
        slab_put(&service->clients, client);
        close(fd);
        return;
    }
    read_peer(client, fd);
    client->service = service;
    client->listening = listening;
    listening->n_clients++;
    client->next = service->first_client;
    if (client->next)
        client->next->prev = client;
    service->first_client = client;
    service->n_clients++;
    service->counters.connections++;
    client->number = service->counters.connections << 10 | service->worker->config.number; /* 512 workers at most */
    stream_deadline(&client->stream, now_ms(client) + client_config(client)->client_header_timeout_ms);
}

/* What has come already is read in this very turn; what is on its way has the time of one idle timeout. */
void clients_drain(struct service *service, const struct listening *listening)
{
    for (struct client *client = service->first_client; client; client = client->next) {
        if (client->listening != listening)
            continue;
        if (client->state == CLIENT_IDLE && stream_idle_output(&client->stream))
            stream_deadline(&client->stream, now_ms(client) + client_config(client)->shutdown_idle_timeout_ms);
        else if (client->state == CLIENT_BUSY && !client->exchange->head_sent)
            client->exchange->close_client = true;
    }
}

void client_stop_now(struct client *client)
{
    struct exchange *exchange = client->exchange;

    client->exchange = NULL;
    if (exchange) {
        termination_note(exchange, TERMINATION_KILLED);
        exchange_abort(exchange, 503, "stopped");
    }
    close_now(client, true);
}
