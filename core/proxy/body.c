/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Relaying bodies; see body.h. */
#include "proxy/body.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define TRAILERS_MAX 8192u /* bytes of a trailer section */
#define FRAME_MAX    32u   /* bytes that the framing of one chunk adds */
#define RECORD_MIN   1024u /* bytes of a record at first */

void body_init(struct body *body, enum body_kind from, enum body_kind to, uint64_t length)
{
    *body = (struct body){.from = (uint8_t)from, .to = (uint8_t)to, .left = length};
    body->done = from == BODY_NONE || (from == BODY_LENGTH && length == 0);
    if (from == BODY_CHUNKED)
        chunked_init(&body->chunked);
}

/* The record. */

void body_keep(struct body *body, uint32_t max)
{
    body->record_max = max;
}

void body_forget(struct body *body)
{
    if (body->record)
        buffer_put(body->record);
    body->record = NULL;
    body->record_max = 0;
}

bool body_replay(const struct body *body, struct stream *to)
{
    assert(!body->lost);
    return !body->record || stream_write_buffer(to, body->record, 0, body->record->to);
}

/* Makes room behind what is there. Pieces that refer to the old buffer keep it. */
static bool grow_record(struct body *body, struct stream *to, size_t len)
{
    struct buffer *old = body->record, *grown;
    size_t used = old ? old->to : 0, size = old ? 2 * (size_t)old->size : RECORD_MIN;

    if (used + len > body->record_max)
        return false;
    if (old && used + len <= old->size)
        return true;
    size = size < used + len ? used + len : size;
    grown = buffers_heap(worker_buffers(to->worker), (uint32_t)(size < body->record_max ? size : body->record_max));
    if (!grown)
        return false;
    if (old) {
        memcpy(grown->data, old->data, used);
        buffer_put(old);
    }
    grown->to = (uint32_t)used;
    body->record = grown;
    return true;
}

/* Of bytes that go out now. More than may be kept: then none are. */
static void record(struct body *body, struct stream *to, const void *data, size_t len)
{
    if (body->record_max == 0 || !grow_record(body, to, len)) {
        body->lost = true;
        body_forget(body);
        return;
    }
    memcpy(body->record->data + body->record->to, data, len);
    body->record->to += (uint32_t)len;
}

static bool put(struct body *body, struct stream *to, const void *data, size_t len)
{
    record(body, to, data, len);
    return stream_write(to, data, len);
}

static bool move(struct body *body, struct stream *from, struct stream *to, size_t n)
{
    size_t len;

    if (body->record_max > 0)
        record(body, to, stream_peek(from, &len), n);
    else
        body->lost = true;
    return stream_move(from, to, n) == n;
}

/* Content that is in one run at the front of the input: framed anew where the receiver wants chunks. `n` fits its room. */
static bool put_content(struct body *body, struct stream *from, struct stream *to, size_t n)
{
    char line[24];

    body->moved += n;
    if (body->to == BODY_NONE) {
        stream_consume(from, n);
        return true;
    }
    if (body->to != BODY_CHUNKED)
        return move(body, from, to, n);
    return put(body, to, line, (size_t)snprintf(line, sizeof(line), "%zx\r\n", n)) && move(body, from, to, n) &&
           put(body, to, "\r\n", 2);
}

/* The bytes at hand that may be moved now; 0 with *result telling why not. */
static size_t available(struct body *body, const struct stream *from, const struct stream *to,
                        enum body_result *result)
{
    size_t len, room = body->to == BODY_NONE ? SIZE_MAX : stream_room(to);

    (void)stream_peek(from, &len);
    if (len == 0) {
        *result = from->end_of_input ? BODY_CUT : BODY_WANTS_INPUT;
        return 0;
    }
    room = room > FRAME_MAX ? room - FRAME_MAX : 0;
    if (room == 0)
        *result = BODY_WANTS_ROOM;
    return len < room ? len : room;
}

/* With n bytes at hand. What a chunk announces counts at once: nobody waits for bytes that will be refused. */
static bool exceeds_limit(const struct body *body, size_t n)
{
    uint64_t left = body->limit - body->moved;

    return body->limit > 0 && (n > left || chunked_expected(&body->chunked) > left - n);
}

static enum body_result relay_length(struct body *body, struct stream *from, struct stream *to)
{
    enum body_result result = BODY_DONE;

    assert(body->to != BODY_CHUNKED); /* a known length is passed on as one */
    while (body->left > 0) {
        size_t n = available(body, from, to, &result);

        if (n == 0)
            return result;
        if (n > body->left)
            n = (size_t)body->left;
        if (!put_content(body, from, to, n))
            return BODY_NO_MEMORY;
        body->left -= n;
    }
    return BODY_DONE;
}

/* Until the sender ends its direction; a reset is not an end (RFC 9112 8). */
static enum body_result relay_close(struct body *body, struct stream *from, struct stream *to)
{
    for (;;) {
        enum body_result result = BODY_DONE;
        size_t n = available(body, from, to, &result);

        if (n > 0) {
            if (!put_content(body, from, to, n))
                return BODY_NO_MEMORY;
            continue;
        }
        if (result != BODY_CUT || from->input_error)
            return result;
        if (body->to == BODY_CHUNKED && !put(body, to, "0\r\n\r\n", 5))
            return BODY_NO_MEMORY;
        return BODY_DONE;
    }
}

static bool put_trailers(struct body *body, struct stream *to, const char *data, const struct field *fields, uint16_t n_fields)
{
    for (uint16_t i = 0; i < n_fields; i++) {
        const struct field *field = &fields[i];
        char *line;

        if (field->flags & FIELD_HOP)
            continue;
        line = stream_reserve(to, (size_t)field->name_len + field->value_len + 4);
        if (!line)
            return false;
        memcpy(line, data + field->name, field->name_len);
        memcpy(line + field->name_len, ": ", 2);
        memcpy(line + field->name_len + 2, data + field->value, field->value_len);
        memcpy(line + field->name_len + 2 + field->value_len, "\r\n", 2);
        record(body, to, line, (size_t)field->name_len + field->value_len + 4);
        stream_commit(to, (size_t)field->name_len + field->value_len + 4);
    }
    return true;
}

static enum body_result relay_trailers(struct body *body, struct stream *from, struct stream *to,
                                       const struct h1_limits *limits, struct field *fields)
{
    uint16_t n_fields = 0;
    size_t len;
    const char *data;
    int consumed;

    if (from->input && from->input->next && !stream_gather(from, 0))
        return BODY_NO_MEMORY;
    data = stream_peek(from, &len);
    if (body->to == BODY_CHUNKED && stream_room(to) == 0)
        return BODY_WANTS_ROOM;
    consumed = len > 0 ? h1_parse_trailers(data, len, limits, fields, &n_fields) : 0;
    if (consumed < 0) {
        body->error = consumed;
        return BODY_BAD;
    }
    if (consumed == 0) {
        if (from->end_of_input)
            return BODY_CUT;
        return len == 0 || stream_gather(from, TRAILERS_MAX) ? BODY_WANTS_INPUT : BODY_NO_MEMORY;
    }
    if (body->to == BODY_CHUNKED &&
        (!put(body, to, "0\r\n", 3) || (body->relay_trailers && !put_trailers(body, to, data, fields, n_fields)) ||
         !put(body, to, "\r\n", 2)))
        return BODY_NO_MEMORY;
    stream_consume(from, (size_t)consumed);
    return BODY_DONE;
}

static enum body_result relay_chunked(struct body *body, struct stream *from, struct stream *to)
{
    for (;;) {
        enum body_result result = BODY_DONE;
        size_t len, consumed, n = available(body, from, to, &result);
        struct span content = {0};
        const char *data = stream_peek(from, &len);
        int event;

        if (n == 0)
            return result;
        event = chunked_next(&body->chunked, data, n, &consumed, &content);
        if (event < 0) {
            body->error = event;
            return BODY_BAD;
        }
        if (exceeds_limit(body, content.len))
            return BODY_TOO_LARGE;
        stream_consume(from, consumed - content.len);
        if (content.len > 0 && !put_content(body, from, to, content.len))
            return BODY_NO_MEMORY;
        if (event == CHUNKED_TRAILERS) {
            body->in_trailers = true;
            return BODY_DONE;
        }
    }
}

enum body_result body_relay(struct body *body, struct stream *from, struct stream *to, const struct h1_limits *limits,
                            struct field *fields)
{
    enum body_result result = BODY_DONE;

    if (body->done)
        return BODY_DONE;
    assert(to || body->to == BODY_NONE);
    if (body->from == BODY_LENGTH)
        result = relay_length(body, from, to);
    else if (body->from == BODY_CLOSE)
        result = relay_close(body, from, to);
    else if (!body->in_trailers)
        result = relay_chunked(body, from, to);
    if (result == BODY_DONE && body->in_trailers)
        result = relay_trailers(body, from, to, limits, fields);
    body->done = result == BODY_DONE;
    return result;
}
