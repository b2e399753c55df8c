/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The exchange's life: made from a parsed head, routed, answered here or by attempts, logged, freed. Both directions of its bodies are
 * moved from here and from attempt.c. See exchange.h.
 */
#include "proxy/exchange.h"

#include "engine/log.h"
#include "http/target.h"
#include "proxy/access_log.h"
#include "proxy/answer.h"
#include "proxy/attempt.h"
#include "proxy/client.h"
#include "proxy/listening.h"
#include "proxy/log_values.h"
#include "proxy/queue.h"
#include "proxy/termination.h"

#include <assert.h>
#include <stdlib.h>

#define VIA_HOPS_MAX 16u /* proxies of our name that a request may have passed: more is a loop (requirement 10) */

static const char *const state_names[] = {
#define X(state, sentence) #state,
    EXCHANGE_STATES(X)
#undef X
};

/* Row: from; bit: to. */
#define TO(state) (1u << EXCHANGE_##state)
static const unsigned edges[EXCHANGE_N_STATES] = {
    [EXCHANGE_ROUTING] = TO(QUEUED) | TO(CONNECTING) | TO(DONE),
    [EXCHANGE_QUEUED] = TO(CONNECTING) | TO(DONE),
    [EXCHANGE_CONNECTING] = TO(QUEUED) | TO(CONNECTING) | TO(AWAITING) | TO(DONE),
    [EXCHANGE_AWAITING] = TO(QUEUED) | TO(CONNECTING) | TO(RELAYING) | TO(DONE),
    [EXCHANGE_RELAYING] = TO(DONE),
};

const char *exchange_state_name(enum exchange_state state)
{
    return state_names[state];
}

bool exchange_edge_allowed(enum exchange_state from, enum exchange_state to)
{
    return edges[from] >> to & 1;
}

void exchange_set_state(struct exchange *exchange, enum exchange_state state)
{
    assert(exchange_edge_allowed(exchange->state, state));
    if (state != EXCHANGE_DONE)
        exchange->ended[0] = '\0'; /* what an earlier try ended by is over */
    exchange->state = state;
}

/* Memory: [struct exchange][fields][head][normalised path], in the slab object if they fit, else on the heap. */
struct exchange *exchange_create(struct client *client, const struct h1_request *request, const char *data, size_t len)
{
    struct service *service = client->service;
    struct view *view = client->listening->view;
    size_t fields_size = request->n_fields * sizeof(struct field);
    size_t size = fields_size + len + request->path.len + 1;
    struct exchange *exchange = slab_get(&service->exchanges);
    char *memory;

    if (!exchange)
        return NULL;
    memset(exchange, 0, sizeof(*exchange));
    memory = (char *)(exchange + 1);
    if (size > EXCHANGE_SIZE - sizeof(*exchange)) {
        memory = exchange->head_memory = malloc(size);
        if (!memory) {
            slab_put(&service->exchanges, exchange);
            return NULL;
        }
    }
    exchange->client = client;
    exchange->service = service;
    view_get(view);
    exchange->view = view;
    exchange->listen = client->listening->listen;
    exchange->request = *request;
    exchange->attempt.server = exchange->attempt.bound = PICKER_NONE;
    exchange->started_ns = service->worker->now_ns;
    exchange->fields = (struct field *)(void *)memory;
    exchange->head = memory + fields_size;
    exchange->path = (struct span){memory + fields_size + len, 0};
    memcpy(memory, view->fields, fields_size);
    memcpy(memory + fields_size, data, len);
    exchange->host = exchange_text(exchange, request->host);
    exchange->site = route_site(view->snapshot->router, exchange->listen, exchange->host);
    log_values_begin(exchange);
    body_init(&exchange->upload, request->body, BODY_NONE, request->content_length);
    body_init(&exchange->download, BODY_NONE, BODY_NONE, 0);
    return exchange;
}

static void destroy(struct exchange *exchange)
{
    struct service *service = exchange->service;

    body_forget(&exchange->upload);
    free(exchange->head_memory);
    view_put(exchange->view);
    slab_put(&service->exchanges, exchange);
}

struct span exchange_field(const struct exchange *exchange, enum field_id id)
{
    for (uint16_t i = 0; i < exchange->request.n_fields; i++)
        if (exchange->fields[i].id == id)
            return (struct span){exchange->head + exchange->fields[i].value, exchange->fields[i].value_len};
    return (struct span){NULL, 0};
}

struct span exchange_field_named(const struct exchange *exchange, struct span name)
{
    for (uint16_t i = 0; i < exchange->request.n_fields; i++) {
        const struct field *field = &exchange->fields[i];

        if (span_equals_nocase((struct span){exchange->head + field->name, field->name_len}, name))
            return (struct span){exchange->head + field->value, field->value_len};
    }
    return (struct span){NULL, 0};
}

const uint64_t *exchange_id(struct exchange *exchange)
{
    if (exchange->id[0] == 0 && exchange->id[1] == 0) {
        exchange->id[0] = service_random(exchange->service);
        exchange->id[1] = service_random(exchange->service);
    }
    return exchange->id;
}

void exchange_limits(const struct exchange *exchange, struct h1_limits *limits)
{
    const struct config *config = exchange_config(exchange);

    *limits = (struct h1_limits){
        .head_max = config->upstream_header_size,
        .target_max = config->client_uri_size,
        .field_max = config->upstream_header_size,
        .fields_max = (uint16_t)config->upstream_header_count,
        .reject_underscores = false,
    };
}

/* Ends. */

static void leave(struct exchange *exchange)
{
    if (exchange->state == EXCHANGE_QUEUED)
        queue_leave(exchange);
    exchange_set_state(exchange, EXCHANGE_DONE);
    if (exchange->request.method.len > 0 || exchange->status)
        access_log_write(exchange);
    destroy(exchange);
}

/* RFC 9112 9.3. Where the connection ends anyway, lingering sees to it. */
void exchange_discard_upload(struct exchange *exchange)
{
    struct h1_limits limits;

    if (exchange->upload.done || exchange->close_client)
        return;
    exchange->upload.to = BODY_NONE;
    exchange_limits(exchange, &limits);
    if (!exchange->request.expect_100 && body_relay(&exchange->upload, &exchange->client->stream, NULL, &limits,
                                                     exchange->view->fields) == BODY_DONE)
        return;
    exchange->close_client = true;
}

void exchange_finish(struct exchange *exchange)
{
    struct client *client = exchange->client;
    bool close;

    attempt_drop(exchange, FAIRLEAD_OK);
    exchange->service->counters.responses++;
    exchange_discard_upload(exchange);
    close = exchange->close_client;
    leave(exchange);
    client_exchange_over(client, close);
}

void exchange_abort(struct exchange *exchange, int status, const char *why)
{
    termination_assume(exchange, TERMINATION_CLIENT);
    attempt_drop(exchange, FAIRLEAD_CANCELLED);
    exchange->service->counters.responses_cut++;
    if (!exchange->head_sent)
        exchange->status = status;
    if (!exchange->why)
        exchange->why = why;
    leave(exchange);
}

void exchange_fail(struct exchange *exchange, int status, const char *why)
{
    struct client *client = exchange->client;

    exchange->why = why;
    if (!exchange->head_sent) {
        attempt_drop(exchange, FAIRLEAD_CANCELLED);
        answer_error(exchange, status);
        return;
    }
    exchange_abort(exchange, status, why);
    client_cut(client);
}

/* The request's body. */

bool exchange_upload(struct exchange *exchange)
{
    struct body *upload = &exchange->upload;
    struct stream *client = &exchange->client->stream;
    struct stream *link = exchange->attempt.link ? &exchange->attempt.link->stream : NULL;
    struct h1_limits limits;
    enum body_result result;

    if (upload->done || !link || exchange->state < EXCHANGE_AWAITING)
        return true;
    exchange_limits(exchange, &limits);
    if (link->n_pieces == 0) /* a server that has had nothing to take did not pause */
        exchange->attempt.progress_ms = exchange->service->worker->now_ms;
    result = body_relay(upload, client, link, &limits, exchange->view->fields);
    /* The answer is on its way and ends the connection: what is wrong with bytes that are thrown away changes nothing. */
    if (upload->to == BODY_NONE)
        return true;
    switch (result) {
    case BODY_DONE:
        stream_pause(client, false);
        exchange->client->window_ms = 0;
        break;
    case BODY_WANTS_ROOM:
    case BODY_WANTS_INPUT:
        if (client->paused) /* it is not measured by what it could not send */
            exchange->client->window_ms = 0;
        stream_pause(client, stream_is_ahead(client, link));
        if (result == BODY_WANTS_INPUT)
            stream_expect(client);
        break;
    case BODY_CUT:
        exchange->close_client = true;
        exchange->service->counters.client_aborts++;
        termination_note(exchange, TERMINATION_CLIENT);
        exchange_fail(exchange, 400, "client ended in the middle of the request body");
        return false;
    case BODY_BAD:
        exchange->close_client = true;
        termination_note(exchange, TERMINATION_PROXY);
        exchange_fail(exchange, h1_error_status(upload->error), h1_error_text(upload->error));
        return false;
    case BODY_TOO_LARGE:
        exchange->close_client = true;
        exchange->service->counters.limit_body++;
        termination_note(exchange, TERMINATION_PROXY);
        exchange_fail(exchange, 413, "client_max_body_size");
        return false;
    default: /* a part of a run may have been moved: where the next request begins is not known any more */
        exchange->close_client = true;
        exchange->service->counters.out_of_memory++;
        termination_note(exchange, TERMINATION_RESOURCE);
        exchange_fail(exchange, 503, "out of memory");
        return false;
    }
    return true;
}

bool exchange_awaits_body(const struct exchange *exchange)
{
    const struct stream *client = &exchange->client->stream;

    if (exchange->upload.done || exchange->state == EXCHANGE_RELAYING || stream_is_held(client))
        return false;
    /* What came while we wait or connect stays here, and the client may have sent all that it may. */
    if (exchange->state < EXCHANGE_AWAITING && client->input_bytes > 0)
        return false;
    return !exchange->request.expect_100 || exchange->n_interim > 0 || exchange->upload.moved > 0;
}

/* The options that are no names of fields, or of fields that never pass. */
static bool is_own_option(struct span option)
{
    return option.len == 0 || span_equals_nocase(option, SPAN_LITERAL("close")) ||
           span_equals_nocase(option, SPAN_LITERAL("keep-alive")) || span_equals_nocase(option, SPAN_LITERAL("te")) ||
           span_equals_nocase(option, SPAN_LITERAL("upgrade"));
}

bool exchange_names_fields(const char *head, const struct field *fields, uint16_t n_fields)
{
    for (uint16_t i = 0; i < n_fields; i++) {
        const char *at = head + fields[i].value, *end = at + fields[i].value_len;

        while (fields[i].id == FIELD_CONNECTION && at < end) {
            const char *start = at;

            while (at < end && *at != ',' && *at != ' ' && *at != '\t')
                at++;
            if (!is_own_option((struct span){start, (size_t)(at - start)}))
                return true;
            at += at < end;
        }
    }
    return false;
}

void exchange_client_moved(struct exchange *exchange)
{
    if (exchange_upload(exchange) && exchange->state == EXCHANGE_RELAYING)
        attempt_download(exchange);
}

/* Starting. */

/* Counts our own name among the proxies that the request has passed. */
static bool is_loop(const struct exchange *exchange)
{
    unsigned hops = 0;

    for (uint16_t i = 0; i < exchange->request.n_fields; i++) {
        const struct field *field = &exchange->fields[i];
        const char *at = exchange->head + field->value, *end = at + field->value_len;

        if (field->id != FIELD_VIA)
            continue;
        while ((at = memmem(at, (size_t)(end - at), " fairlead", 9)) != NULL) {
            hops++;
            at += 9;
        }
    }
    return hops >= VIA_HOPS_MAX;
}

static bool normalize_path(struct exchange *exchange)
{
    struct span path = exchange_text(exchange, exchange->request.path);
    char *out = (char *)(uintptr_t)exchange->path.p;
    ssize_t len;

    if (path.len == 0 || path.p[0] != '/') {
        /* "*", or an absolute form without a path: the site's root decides. */
        out[0] = '/';
        exchange->path.len = 1;
        return true;
    }
    len = target_normalize(path, out, path.len + 1);
    if (len < 1)
        return false;
    exchange->path.len = (size_t)len;
    return true;
}

/* Max-Forwards: 0 on OPTIONS ends the request's way here (RFC 9110 7.6.2; TRACE is never passed on). */
static bool is_last_hop(const struct exchange *exchange)
{
    struct span value;

    if (exchange->request.method_id != METHOD_OPTIONS)
        return false;
    value = exchange_field(exchange, FIELD_MAX_FORWARDS);
    if (!value.p || value.len == 0)
        return false;
    for (size_t i = 0; i < value.len; i++)
        if (value.p[i] != '0')
            return false;
    return true;
}

static void take_pool(struct exchange *exchange)
{
    const struct snapshot *snapshot = exchange->view->snapshot;
    uint32_t index = exchange_group(exchange)->index;

    exchange->pool = snapshot->pools[index];
    exchange->line = snapshot->lines[index];
    exchange->picker = pool_picker(exchange->pool, exchange->service->worker->config.number);
}

bool exchange_renew(struct exchange *exchange)
{
    const struct listening *listening = exchange->client->listening;
    struct view *before = exchange->view, *view = exchange->service->view;
    const struct location *location;
    const struct site *site;

    assert(exchange->state == EXCHANGE_QUEUED && exchange->attempt.count == 0);
    if (view == before || listening->view != view) /* one that closes has no address in the current snapshot */
        return false;
    site = route_site(view->snapshot->router, listening->listen, exchange->host);
    location = route_location(site, exchange->service->patterns, exchange->path);
    if (!location || location->action != ACTION_PROXY || view->snapshot->lines[location->proxy.group->index] != exchange->line)
        return false;
    view_get(view);
    exchange->view = view;
    exchange->listen = listening->listen;
    exchange->site = site;
    exchange->location = location;
    take_pool(exchange);
    view_put(before);
    return true;
}

static void start_proxy(struct exchange *exchange)
{
    const struct http_settings *settings = &exchange->location->settings;
    struct body *upload = &exchange->upload;

    take_pool(exchange);
    if (settings->client_max_body_size > 0 && exchange->request.body == BODY_LENGTH &&
        exchange->request.content_length > settings->client_max_body_size) {
        exchange->close_client = true;
        exchange->service->counters.limit_body++;
        termination_note(exchange, TERMINATION_PROXY);
        exchange_fail(exchange, 413, "client_max_body_size");
        return;
    }
    upload->limit = settings->client_max_body_size;
    upload->to = exchange->request.body;
    upload->relay_trailers = exchange->request.body == BODY_CHUNKED &&
                             !exchange_names_fields(exchange->head, exchange->fields, exchange->request.n_fields);
    attempt_start(exchange);
}

void exchange_start(struct exchange *exchange)
{
    const struct h1_request *request = &exchange->request;

    exchange->service->counters.requests++;
    if (request->close || request->minor == 0)
        exchange->close_client = true;
    if (request->method_id == METHOD_CONNECT || request->method_id == METHOD_TRACE) {
        exchange->close_client = true;
        termination_note(exchange, TERMINATION_PROXY);
        exchange_fail(exchange, 405, "the method is not offered");
    } else if (!normalize_path(exchange)) {
        termination_note(exchange, TERMINATION_PROXY);
        exchange_fail(exchange, 400, "the path cannot be normalised");
    } else if (is_loop(exchange)) {
        termination_note(exchange, TERMINATION_PROXY);
        exchange_fail(exchange, 508, "forwarding loop");
    } else if (is_last_hop(exchange)) {
        answer_options(exchange);
    } else {
        exchange->location = route_location(exchange->site, exchange->service->patterns, exchange->path);
        if (!exchange->location)
            exchange_fail(exchange, 404, "no location");
        else if (exchange->location->action == ACTION_PROXY)
            start_proxy(exchange);
        else
            answer_location(exchange);
    }
}
