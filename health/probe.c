/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The life of a probe, and the two kinds that need no codec: TCP and the agent. HTTP is in probe_http.c. Peer
 * input ends a probe, and never more than that.
 */
#include "health/probe.h"

#include "engine/log.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>

static const char *const late[PROBE_N_PHASES] = {
#define X(phase, text) [PROBE_##phase] = text,
    PROBE_PHASES(X)
#undef X
};

void probe_set_phase(struct probe *probe, enum probe_phase phase)
{
    assert(phase > probe->phase);
    probe->phase = phase;
}

static void write_reason(struct probe *probe, const char *format, va_list arguments)
{
    char text[PROBE_REASON_MAX];
    size_t len;

    vsnprintf(text, sizeof(text), format, arguments);
    len = log_escape(probe->reason, sizeof(probe->reason) - 1, text, strlen(text));
    probe->reason[len] = '\0';
}

static enum probe_outcome outcome_of(enum check_result result)
{
    if (result == RESULT_L4OK || result == RESULT_L7OK)
        return PROBE_GOOD;
    return result == RESULT_SOCKERR ? PROBE_NOT_MADE : PROBE_BAD;
}

void probe_end(struct probe *probe, enum check_result result, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    write_reason(probe, format, arguments);
    va_end(arguments);
    probe_set_phase(probe, PROBE_OVER);
    probe->result = result;
    probe->outcome = outcome_of(result);
    stream_close(&probe->stream, true);
    probe->events->on_result(probe);
}

void probe_use_plan(struct probe *probe, const struct probe_plan *plan)
{
    probe->plan = plan;
}

void probe_abandon(struct probe *probe)
{
    if (probe->phase == PROBE_OVER)
        return;
    probe_set_phase(probe, PROBE_OVER);
    stream_close(&probe->stream, true);
}

/* Of the kernel's sentence the first letter becomes small: reasons stand within a line. */
static void end_by_error(struct probe *probe, enum check_result result, int error)
{
    const char *text = strerrordesc_np(-error);

    if (text && text[0] != '\0')
        probe_end(probe, result, "%c%s", tolower((unsigned char)text[0]), text + 1);
    else
        probe_end(probe, result, "error %d", -error);
}

void probe_end_of_input(struct probe *probe, const char *where)
{
    if (probe->stream.input_error)
        end_by_error(probe, RESULT_L7RSP, probe->stream.input_error);
    else
        probe_end(probe, RESULT_L7RSP, "%s", where);
}

/* What we lack ourselves is not held against the server. */
static bool is_ours(int error)
{
    return error == -EADDRNOTAVAIL || error == -EMFILE || error == -ENFILE || error == -ENOMEM ||
           error == -ENOBUFS;
}

static enum check_result result_of_connect(int error)
{
    if (is_ours(error))
        return RESULT_SOCKERR;
    return error == -ETIMEDOUT ? RESULT_L4TOUT : RESULT_L4CON;
}

static void on_connected(struct stream *stream, int error)
{
    struct probe *probe = (struct probe *)stream;

    if (error) {
        end_by_error(probe, result_of_connect(error), error);
        return;
    }
    switch (probe->kind) {
    case PROBE_TCP:
        probe_end(probe, RESULT_L4OK, "connected");
        break;
    case PROBE_HTTP:
        probe_set_phase(probe, PROBE_HEAD);
        probe_http_begin(probe);
        break;
    case PROBE_AGENT:
        probe_set_phase(probe, PROBE_LINE);
        break;
    }
}

static void end_agent(struct probe *probe)
{
    const struct agent_report *report = &probe->report;

    if (report->n_known == 0 && report->n_unknown > 0)
        probe_end(probe, RESULT_L7RSP, "not an agent's word: %.*s", (int)report->unknown.len,
                  report->unknown.p);
    else if (report->n_known == 0)
        probe_end(probe, RESULT_L7RSP, "the agent said nothing");
    else
        probe_end(probe, RESULT_L7OK, "agent%s%.*s%s%.*s", report->word.len || report->reason.len ? ": " : "",
                  (int)report->word.len, report->word.len ? report->word.p : "",
                  report->word.len && report->reason.len ? " " : "", (int)report->reason.len,
                  report->reason.len ? report->reason.p : "");
}

/* A line is short: it is gathered in `body`, where the report may point to after the stream is gone. */
static void read_line(struct probe *probe)
{
    int consumed;
    const char *data;
    size_t len;

    while ((data = stream_peek(&probe->stream, &len)) != NULL && probe->body_len < AGENT_LINE_MAX + 2) {
        const size_t room = AGENT_LINE_MAX + 2 - probe->body_len;

        len = len < room ? len : room;
        memcpy(probe->body + probe->body_len, data, len);
        probe->body_len += (uint32_t)len;
        stream_consume(&probe->stream, len);
    }
    consumed = agent_parse(probe->body, probe->body_len, probe->stream.end_of_input, &probe->report);
    if (consumed == -EMSGSIZE)
        probe_end(probe, RESULT_L7RSP, "the agent's line is too long");
    else if (consumed >= 0 && probe->stream.input_error == 0)
        end_agent(probe);
    else if (probe->stream.end_of_input)
        probe_end_of_input(probe, "the agent said nothing");
}

static void on_input(struct stream *stream)
{
    struct probe *probe = (struct probe *)stream;

    if (probe->kind == PROBE_HTTP)
        probe_http_input(probe);
    else
        read_line(probe);
}

/* A request that could not be sent shows by the end of the input. */
static void on_sent(struct stream *stream)
{
    (void)stream;
}

static void on_timer(struct stream *stream)
{
    struct probe *probe = (struct probe *)stream;

    probe_end(probe, probe->phase == PROBE_CONNECTING ? RESULT_L4TOUT : RESULT_L7TOUT, "%s",
              late[probe->phase]);
}

static void on_gone(struct stream *stream)
{
    struct probe *probe = (struct probe *)stream;

    probe->events->on_gone(probe);
}

static const struct stream_type probe_type = {on_input, on_sent, on_timer, on_connected, on_gone};

static void set_port(struct server_address *address, uint16_t port)
{
    if (port == 0)
        return;
    if (address->sa.sa_family == AF_INET)
        address->in.sin_port = htons(port);
    else if (address->sa.sa_family == AF_INET6)
        address->in6.sin6_port = htons(port);
}

/*
 * The handshake's last ACK waits for the request, which saves a packet; and of a TCP check there is none: the
 * reset takes its place, and the server's program never sees the connection (HAProxy's checks do the same).
 */
static void delay_ack(int fd)
{
    const int off = 0;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &off, sizeof(off));
}

int probe_start(struct probe *probe, struct worker *worker, const struct probe_plan *plan,
                enum probe_kind kind, const struct probe_place *place)
{
    const struct health_spec *spec = plan->spec;
    int error;

    probe->plan = plan;
    probe->kind = kind;
    probe->phase = PROBE_CONNECTING;
    probe->interims = 0;
    probe->status = 0;
    probe->body_len = 0;
    probe->place = place;
    probe->address = place->address;
    set_port(&probe->address, kind == PROBE_AGENT ? spec->agent_port : spec->port);
    error = stream_connect(&probe->stream, worker, &probe_type, &probe->address.sa, probe->address.len);
    if (error)
        return error;
    if (probe->address.sa.sa_family != AF_UNIX && kind != PROBE_AGENT)
        delay_ack(probe->stream.fd);
    stream_deadline(&probe->stream, worker->now_ms + spec->timeout_ms);
    return 0;
}
