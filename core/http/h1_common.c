/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What all heads have in common besides their fields: the state's beginning and end, versions, line ends, and
 * the meaning of errors. Pure; any thread; it never allocates.
 */
#include "http/h1_private.h"

#include <assert.h>

struct error_entry {
    int status;
    const char *text;
};

static const struct error_entry errors[] = {
#define X(name, status, text) {status, text},
    H1_ERRORS(X)
#undef X
};

static const struct error_entry *error_entry(int error)
{
    assert(error > H1_ERROR_BEFORE_FIRST);
    assert(error < H1_ERROR_END);
    return &errors[error - H1_ERROR_BEFORE_FIRST - 1];
}

int h1_error_status(int error)
{
    return error_entry(error)->status;
}

const char *h1_error_text(int error)
{
    return error_entry(error)->text;
}

void h1_message_init(struct h1_message *m, const char *data, size_t len, const struct h1_limits *limits,
                     struct field *fields)
{
    assert(limits->head_max <= H1_HEAD_MAX);
    assert(limits->fields_max <= H1_FIELDS_MAX);
    /* `named` is the bulk of the state and is written before it is read: it is left as it is. */
    memset(m, 0, offsetof(struct h1_message, named));
    m->data = data;
    m->at = data;
    m->end = data + (len < limits->head_max ? len : limits->head_max);
    m->limits = limits;
    m->fields = fields;
}

int h1_need_more(const struct h1_message *m)
{
    return (size_t)(m->end - m->data) >= m->limits->head_max ? H1_LARGE_HEAD : 0;
}

int h1_parse_version(struct h1_message *m, unsigned *major, unsigned *minor)
{
    static const char shape[] = "HTTP/0.0"; /* 0 stands for any digit */
    const char *p = m->at;
    bool usual = m->end - p >= 8 && memcmp(p, "HTTP/1.", 7) == 0 && http_has_class(p[7], CLASS_DIGIT);
    for (size_t i = 0; !usual && i < sizeof(shape) - 1; i++) {
        if (p + i == m->end)
            return 0;
        if (shape[i] == '0' ? !http_has_class(p[i], CLASS_DIGIT) : p[i] != shape[i])
            return H1_BAD_VERSION;
    }
    *major = (unsigned)(p[5] - '0');
    *minor = (unsigned)(p[7] - '0');
    m->at = p + sizeof(shape) - 1;
    return 1;
}

int h1_parse_line_end(struct h1_message *m)
{
    if (m->at == m->end)
        return 0;
    if (m->at[0] != '\r')
        return H1_BAD_LINE_END;
    if (m->at + 1 == m->end)
        return 0;
    if (m->at[1] != '\n')
        return H1_BAD_LINE_END;
    m->at += 2;
    return 1;
}
