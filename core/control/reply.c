/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Growing text, and JSON; see reply.h. */
#include "control/reply.h"

#include "engine/log.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SIZE 8192u /* bytes; an error always fits */
#define INDENT     2

static_assert(FIRST_SIZE > REPLY_ERROR_MAX + 8, "an error fits into what there is from the beginning");

void reply_init(struct reply *reply, size_t limit)
{
    *reply = (struct reply){.limit = limit};
    reply_print(reply, "ok\n");
}

void reply_fini(struct reply *reply)
{
    free(reply->data);
    *reply = (struct reply){0};
}

/* Room for `more` bytes. */
static bool grow(struct reply *reply, size_t more)
{
    size_t size = reply->size ? reply->size : FIRST_SIZE;
    char *data;

    if (reply->failed)
        return false;
    while (size < reply->len + more)
        size *= 2;
    if (size == reply->size)
        return true;
    if (reply->len + more > reply->limit) {
        reply_fail(reply, "the answer would be longer than %zu bytes: ask for less", reply->limit);
        return false;
    }
    data = realloc(reply->data, size);
    if (!data) {
        reply_fail(reply, "memory is short");
        return false;
    }
    reply->data = data;
    reply->size = size;
    return true;
}

void reply_text(struct reply *reply, const char *text, size_t len)
{
    if (!grow(reply, len))
        return;
    memcpy(reply->data + reply->len, text, len);
    reply->len += len;
}

void reply_print(struct reply *reply, const char *format, ...)
{
    va_list arguments;
    int len;

    va_start(arguments, format);
    len = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (len < 0 || !grow(reply, (size_t)len + 1))
        return;
    va_start(arguments, format);
    vsnprintf(reply->data + reply->len, reply->size - reply->len, format, arguments);
    va_end(arguments);
    reply->len += (size_t)len;
}

void reply_fail(struct reply *reply, const char *format, ...)
{
    va_list arguments;
    char sentence[REPLY_ERROR_MAX];

    if (reply->failed)
        return;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof(sentence), format, arguments);
    va_end(arguments);
    reply->failed = true;
    if (reply->data) /* else memory was short from the beginning, and the client gets nothing */
        reply->len = (size_t)snprintf(reply->data, reply->size, "error %s\n", sentence);
}

static void begin_value(struct reply *reply, const char *name)
{
    unsigned level = reply->depth;

    if (level > 0)
        reply_print(reply, "%s\n%*s", reply->first[level - 1] ? "" : ",", (int)level * INDENT, "");
    if (level > 0)
        reply->first[level - 1] = false;
    if (name)
        reply_print(reply, "\"%s\": ", name);
}

void reply_open(struct reply *reply, const char *name, char bracket)
{
    begin_value(reply, name);
    assert(reply->depth < REPLY_DEPTH_MAX);
    reply->first[reply->depth++] = true;
    reply_text(reply, &bracket, 1);
}

void reply_close(struct reply *reply, char bracket)
{
    assert(reply->depth > 0);
    reply->depth--;
    if (!reply->first[reply->depth])
        reply_print(reply, "\n%*s", (int)reply->depth * INDENT, "");
    reply_text(reply, &bracket, 1);
    if (reply->depth == 0)
        reply_text(reply, "\n", 1);
}

void reply_string(struct reply *reply, const char *name, const char *text, size_t len)
{
    size_t most = 6 * len;

    begin_value(reply, name);
    if (!grow(reply, most + 2))
        return;
    reply->data[reply->len++] = '"';
    reply->len += log_escape_json(reply->data + reply->len, most, text, len);
    reply->data[reply->len++] = '"';
}

void reply_number(struct reply *reply, const char *name, uint64_t number)
{
    begin_value(reply, name);
    reply_print(reply, "%llu", (unsigned long long)number);
}

void reply_flag(struct reply *reply, const char *name, bool flag)
{
    begin_value(reply, name);
    reply_print(reply, "%s", flag ? "true" : "false");
}
