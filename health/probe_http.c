/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The HTTP probe: its request, and the reading of the response (RFC 9112). The status decides unless the spec
 * tests the body; then the first HEALTH_BODY_MAX bytes of it do too, without their transfer coding. What is
 * not needed is not read.
 */
#include "health/probe.h"

#include "http/names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define FIELDS_MAX 128u
#define LINE_MAX   8192u /* bytes of one field line */

/* User-Agent is ours unless the configuration has one. */
static bool names_agent(const char *headers)
{
    return strncasecmp(headers, "User-Agent:", 11) == 0 || strcasestr(headers, "\r\nUser-Agent:") != NULL;
}

/* A request that may have a body says that it has none (RFC 9110 8.6). */
static bool wants_length(uint8_t method_id)
{
    return method_id == METHOD_POST || method_id == METHOD_PUT || method_id == METHOD_PATCH;
}

static int make_request(struct probe_plan *plan, const struct health_spec *spec)
{
    const char *headers = spec->headers ? spec->headers : "";
    const char *agent =
        names_agent(headers) ? "" : "User-Agent: fairlead/" FAIRLEAD_VERSION " health check\r\n";
    const char *length = wants_length(plan->method_id) ? "Content-Length: 0\r\n" : "";

    if (strlen(spec->method) + strlen(spec->path) + strlen(headers) + (spec->host ? strlen(spec->host) : 0) >
        HEALTH_REQUEST_MAX)
        return -EMSGSIZE;
    if (asprintf(&plan->before, "%s %s HTTP/1.1\r\nHost: %s", spec->method, spec->path,
                 spec->host ? spec->host : "") < 0) {
        plan->before = NULL;
        return -ENOMEM;
    }
    if (asprintf(&plan->after, "\r\n%sConnection: close\r\n%s%s\r\n", agent, length, headers) < 0) {
        plan->after = NULL;
        probe_plan_fini(plan);
        return -ENOMEM;
    }
    plan->before_len = strlen(plan->before);
    plan->after_len = strlen(plan->after);
    return 0;
}

int probe_plan_init(struct probe_plan *plan, const struct health_spec *spec)
{
    *plan = (struct probe_plan){.spec = spec};
    if (spec->type != HEALTH_HTTP)
        return 0;
    plan->method_id = (uint8_t)http_method_id((struct span){spec->method, strlen(spec->method)});
    return make_request(plan, spec);
}

void probe_plan_fini(struct probe_plan *plan)
{
    free(plan->before);
    free(plan->after);
    plan->before = plan->after = NULL;
}

/* A unix socket's name is a path, and no host. */
static const char *host_of(const struct probe *probe)
{
    if (probe->plan->spec->host)
        return "";
    return probe->address.sa.sa_family == AF_UNIX ? "localhost" : probe->place->name;
}

void probe_http_begin(struct probe *probe)
{
    const struct probe_plan *plan = probe->plan;
    const char *host = host_of(probe);

    if (!stream_write(&probe->stream, plan->before, plan->before_len) ||
        !stream_write(&probe->stream, host, strlen(host)) ||
        !stream_write(&probe->stream, plan->after, plan->after_len))
        probe_end(probe, RESULT_SOCKERR, "memory is short");
}

static bool is_expected(const struct health_spec *spec, uint16_t status)
{
    for (size_t i = 0; i < spec->n_expect; i++)
        if (status >= spec->expect[i].from && status <= spec->expect[i].to)
            return true;
    return false;
}

static void judge_body(struct probe *probe)
{
    const struct health_spec *spec = probe->plan->spec;

    if (spec->body_matches(spec->body_context, probe->body, probe->body_len))
        probe_end(probe, RESULT_L7OK, "status %u", probe->status);
    else
        probe_end(probe, RESULT_L7RSP, "body does not match");
}

static void begin_body(struct probe *probe, const struct h1_response *response)
{
    const struct health_spec *spec = probe->plan->spec;

    probe->status = response->status;
    if (!is_expected(spec, response->status)) {
        probe_end(probe, RESULT_L7STS, "status %u", response->status);
    } else if (!spec->body_matches) {
        probe_end(probe, RESULT_L7OK, "status %u", response->status);
    } else {
        probe_set_phase(probe, PROBE_BODY);
        probe->body_kind = response->body;
        probe->body_left = response->body == BODY_LENGTH ? response->content_length : 0;
        chunked_init(&probe->chunked);
    }
}

/* False: there is no final head yet, or the probe is over. */
static bool take_head(struct probe *probe, const struct h1_response *response, size_t len)
{
    stream_consume(&probe->stream, len);
    if (response->status >= 200 || response->status == 101) {
        begin_body(probe, response);
        return probe->phase == PROBE_BODY;
    }
    if (++probe->interims > HEALTH_INTERIMS_MAX)
        probe_end(probe, RESULT_L7RSP, "too many interim responses");
    return false;
}

/* The head so far is brought together on the heap, with room for as much again, so that slow senders are not
 * copied at every byte. */
static void await_head(struct probe *probe)
{
    if (probe->stream.end_of_input)
        probe_end_of_input(probe, probe->stream.received == 0 ? "closed without a response"
                                                              : "closed within the response head");
    else if (probe->stream.input && !stream_gather(&probe->stream, probe->stream.input_bytes + 1024))
        probe_end(probe, RESULT_SOCKERR, "memory is short");
}

/* True when the body's turn has come. */
static bool read_head(struct probe *probe)
{
    static const struct h1_limits limits = {
        .head_max = HEALTH_HEAD_MAX, .target_max = LINE_MAX, .field_max = LINE_MAX, .fields_max = FIELDS_MAX};
    struct field fields[FIELDS_MAX];
    struct h1_response response;

    while (probe->phase == PROBE_HEAD) {
        const char *data;
        size_t len;
        int consumed = 0;

        if (probe->stream.input && probe->stream.input->next && !stream_gather(&probe->stream, 0)) {
            probe_end(probe, RESULT_SOCKERR, "memory is short");
            return false;
        }
        data = stream_peek(&probe->stream, &len);
        if (len > 0)
            consumed = h1_parse_response(data, len, &limits, probe->plan->method_id, &response, fields);
        if (consumed < 0) {
            probe_end(probe, RESULT_L7RSP, "not HTTP: %s", h1_error_text(consumed));
            return false;
        }
        if (consumed == 0) {
            await_head(probe);
            return false;
        }
        if (take_head(probe, &response, (size_t)consumed))
            return true;
    }
    return false;
}

static void keep(struct probe *probe, const char *data, size_t len)
{
    const size_t room = HEALTH_BODY_MAX - probe->body_len;

    len = len < room ? len : room;
    memcpy(probe->body + probe->body_len, data, len);
    probe->body_len += (uint32_t)len;
}

/* One run of a chunked body. Returns true at its end, or when the probe is over. */
static bool read_chunks(struct probe *probe, const char *data, size_t len)
{
    size_t consumed;
    struct span piece;
    int event;

    do {
        event = chunked_next(&probe->chunked, data, len, &consumed, &piece);
        if (event < 0) {
            probe_end(probe, RESULT_L7RSP, "not HTTP: %s", h1_error_text(event));
            return true;
        }
        if (event == CHUNKED_DATA)
            keep(probe, piece.p, piece.len);
        data += consumed;
        len -= consumed;
    } while (event == CHUNKED_DATA && probe->body_len < HEALTH_BODY_MAX);
    return event == CHUNKED_TRAILERS;
}

/* Takes all that has come. Returns true when no more of the body is needed, or the probe is over. */
static bool collect(struct probe *probe)
{
    const char *data;
    size_t len;

    if (probe->body_kind == BODY_NONE)
        return true;
    while ((data = stream_peek(&probe->stream, &len)) != NULL) {
        bool ended = false;

        if (probe->body_kind == BODY_CHUNKED)
            ended = read_chunks(probe, data, len);
        else if (probe->body_kind == BODY_LENGTH && len >= probe->body_left)
            keep(probe, data, (size_t)probe->body_left);
        else
            keep(probe, data, len);
        if (probe->body_kind == BODY_LENGTH)
            probe->body_left -= len < probe->body_left ? len : probe->body_left;
        if (ended || probe->phase == PROBE_OVER || probe->body_len == HEALTH_BODY_MAX)
            return true;
        stream_consume(&probe->stream, len);
    }
    return probe->body_kind == BODY_LENGTH && probe->body_left == 0;
}

static bool ends_with_connection(const struct probe *probe)
{
    return probe->body_kind == BODY_CLOSE && probe->stream.input_error == 0;
}

void probe_http_input(struct probe *probe)
{
    if (probe->phase == PROBE_HEAD && !read_head(probe))
        return;
    if (collect(probe)) {
        if (probe->phase == PROBE_BODY)
            judge_body(probe);
    } else if (probe->stream.end_of_input) {
        if (ends_with_connection(probe))
            judge_body(probe);
        else
            probe_end_of_input(probe, "closed within the response body");
    }
}
