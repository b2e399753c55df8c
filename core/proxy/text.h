/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Appending to a bounded run of memory: what does not fit is noticed once, at the end (text_fits). Any thread.
 */
#ifndef FAIRLEAD_PROXY_TEXT_H
#define FAIRLEAD_PROXY_TEXT_H

#include "http/span.h"

#include <stdint.h>

struct text {
    char *start, *at, *end;
    bool overflow;
};

static inline struct text text_init(char *memory, size_t size)
{
    return (struct text){memory, memory, memory + size, false};
}

static inline size_t text_len(const struct text *text)
{
    return (size_t)(text->at - text->start);
}

static inline void text_bytes(struct text *text, const char *p, size_t len)
{
    if ((size_t)(text->end - text->at) < len) {
        text->overflow = true;
        return;
    }
    memcpy(text->at, p, len);
    text->at += len;
}

static inline void text_span(struct text *text, struct span span)
{
    text_bytes(text, span.p, span.len);
}

#define text_literal(text, literal) text_bytes((text), (literal), sizeof(literal) - 1)

static inline void text_string(struct text *text, const char *string)
{
    text_bytes(text, string, strlen(string));
}

static inline void text_number(struct text *text, uint64_t number)
{
    char digits[20];
    size_t n = sizeof(digits);

    do
        digits[--n] = (char)('0' + number % 10);
    while (number /= 10);
    text_bytes(text, digits + n, sizeof(digits) - n);
}

static inline void text_line(struct text *text, struct span name, struct span value)
{
    text_span(text, name);
    text_literal(text, ": ");
    text_span(text, value);
    text_literal(text, "\r\n");
}

#endif
