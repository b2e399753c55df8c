/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The decoder of the chunked transfer coding (RFC 9112 7.1): a state machine over the bytes of chunk lines,
 * and a counter over chunk data. Pure; any thread, one at a time. It never looks at a byte of data and never
 * passes an extension on.
 */
#include "http/chunked.h"

#include "http/h1_private.h"

#include <assert.h>

enum chunked_state {
    STATE_SIZE_START,
    STATE_SIZE,
    STATE_EXT_START, /* behind ';' */
    STATE_EXT_NAME,
    STATE_EXT_AFTER_NAME,  /* white space behind a name */
    STATE_EXT_VALUE_START, /* behind '=' */
    STATE_EXT_VALUE,
    STATE_EXT_QUOTED,
    STATE_EXT_ESCAPED, /* behind '\' in a quoted string */
    STATE_EXT_AFTER_QUOTED,
    STATE_EXT_SPACE, /* white space behind a value: only ';' may follow */
    STATE_LINE_LF,
    STATE_DATA,
    STATE_DATA_CR,
    STATE_DATA_LF,
    STATE_END
};

#define SIZE_DIGITS_MAX   16u /* significant ones: what 64 bits hold */
#define LEADING_ZEROS_MAX 64u /* some senders pad; none needs more */

void chunked_init(struct chunked *chunked)
{
    *chunked = (struct chunked){.state = STATE_SIZE_START};
}

/* The states below return the state after byte `c`, or an enum h1_error (< 0). */

static int take_digit(struct chunked *chunked, char c)
{
    unsigned value = http_hex_value(c);
    if (value == 0 && chunked->digits == 0)
        return ++chunked->detail > LEADING_ZEROS_MAX ? H1_BAD_CHUNK_SIZE : STATE_SIZE;
    if (++chunked->digits > SIZE_DIGITS_MAX)
        return H1_BAD_CHUNK_SIZE;
    chunked->left = chunked->left << 4 | value;
    return STATE_SIZE;
}

static int take_size(struct chunked *chunked, char c)
{
    if (http_has_class(c, CLASS_HEX))
        return take_digit(chunked, c);
    if (chunked->state == STATE_SIZE_START)
        return H1_BAD_CHUNK_SIZE;
    switch (c) {
    case '\r':
        return STATE_LINE_LF;
    case ';':
        chunked->extensions++;
        return STATE_EXT_START;
    case '\n':
        return H1_BAD_LINE_END;
    default: /* also white space, which RFC 9112 7.1.1 would allow before ';' (requirement 46) */
        return H1_BAD_CHUNK_SIZE;
    }
}

/* What may follow a whole extension. `blank` is the state that white space leads to. */
static int end_extension(char c, int blank)
{
    switch (c) {
    case '\r':
        return STATE_LINE_LF;
    case ';':
        return STATE_EXT_START;
    case ' ':
    case '\t':
        return blank;
    default:
        return H1_BAD_CHUNK_EXTENSION;
    }
}

static int take_quoted(int state, char c)
{
    if (!http_has_class(c, CLASS_TEXT))
        return H1_BAD_CHUNK_EXTENSION;
    if (state == STATE_EXT_ESCAPED)
        return STATE_EXT_QUOTED;
    return c == '"' ? STATE_EXT_AFTER_QUOTED : c == '\\' ? STATE_EXT_ESCAPED : STATE_EXT_QUOTED;
}

/* RFC 9112 7.1.1: *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] ) */
static int next_extension_state(int state, char c)
{
    bool token = http_has_class(c, CLASS_TOKEN | CLASS_LOW_LINE);
    bool blank = c == ' ' || c == '\t';
    switch (state) {
    case STATE_EXT_START:
        return token ? STATE_EXT_NAME : blank ? STATE_EXT_START : H1_BAD_CHUNK_EXTENSION;
    case STATE_EXT_NAME:
        if (token)
            return STATE_EXT_NAME;
        return c == '=' ? STATE_EXT_VALUE_START : end_extension(c, STATE_EXT_AFTER_NAME);
    case STATE_EXT_AFTER_NAME:
        if (c == '\r')
            return H1_BAD_CHUNK_EXTENSION;
        return c == '=' ? STATE_EXT_VALUE_START : end_extension(c, STATE_EXT_AFTER_NAME);
    case STATE_EXT_VALUE_START:
        if (c == '"')
            return STATE_EXT_QUOTED;
        return token ? STATE_EXT_VALUE : blank ? STATE_EXT_VALUE_START : H1_BAD_CHUNK_EXTENSION;
    case STATE_EXT_VALUE:
        return token ? STATE_EXT_VALUE : end_extension(c, STATE_EXT_SPACE);
    case STATE_EXT_AFTER_QUOTED:
        return end_extension(c, STATE_EXT_SPACE);
    case STATE_EXT_SPACE:
        return c == '\r' ? H1_BAD_CHUNK_EXTENSION : end_extension(c, STATE_EXT_SPACE);
    default:
        return take_quoted(state, c);
    }
}

static int take_extension(struct chunked *chunked, char c)
{
    int state = next_extension_state(chunked->state, c);
    if (c == '\n')
        return H1_BAD_LINE_END;
    if (state < 0 || state == STATE_LINE_LF)
        return state;
    return ++chunked->extensions > CHUNKED_EXTENSIONS_MAX ? H1_LONG_CHUNK_EXTENSIONS : state;
}

static int take_line_lf(struct chunked *chunked, char c)
{
    if (c != '\n')
        return H1_BAD_LINE_END;
    chunked->digits = 0;
    chunked->detail = 0;
    return chunked->left > 0 ? STATE_DATA : STATE_END;
}

static int take_byte(struct chunked *chunked, char c)
{
    switch (chunked->state) {
    case STATE_SIZE_START:
    case STATE_SIZE:
        return take_size(chunked, c);
    case STATE_LINE_LF:
        return take_line_lf(chunked, c);
    case STATE_DATA_CR:
        return c == '\r' ? STATE_DATA_LF : H1_BAD_CHUNK_END;
    case STATE_DATA_LF:
        return c == '\n' ? STATE_SIZE_START : H1_BAD_CHUNK_END;
    default:
        return take_extension(chunked, c);
    }
}

/* Hands out what there is of the chunk's data. */
static size_t take_data(struct chunked *chunked, size_t at_hand)
{
    size_t len = chunked->left < at_hand ? (size_t)chunked->left : at_hand;
    chunked->left -= len;
    if (chunked->left == 0)
        chunked->state = STATE_DATA_CR;
    return len;
}

int chunked_next(struct chunked *chunked, const char *input, size_t len, size_t *consumed, struct span *data)
{
    size_t at = 0;
    assert(chunked->state != STATE_END);
    *data = (struct span){NULL, 0};
    *consumed = 0;
    while (at < len) {
        if (chunked->state == STATE_DATA) {
            *data = (struct span){input + at, take_data(chunked, len - at)};
            *consumed = at + data->len;
            return CHUNKED_DATA;
        }
        int state = take_byte(chunked, input[at++]);
        *consumed = at;
        if (state < 0)
            return state;
        chunked->state = (uint8_t)state;
        if (state == STATE_END)
            return CHUNKED_TRAILERS;
    }
    return CHUNKED_MORE;
}

uint64_t chunked_expected(const struct chunked *chunked)
{
    return chunked->state == STATE_DATA ? chunked->left : 0;
}
