/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Text from outside made harmless for one line of a log. Pure functions, any thread. An escape or a UTF-8
 * sequence is written whole or not at all. Nearly all text needs nothing, so eight bytes are looked at
 * together first.
 */
#include "engine/log.h"

#include <stdbool.h>
#include <string.h>

#include "engine/log_line.h"

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

static const char hex[] = "0123456789abcdef";

/* The high bit of each byte that is zero; may also mark the byte above a marked one, which only costs the
 * fast path. */
static uint64_t zero_bytes(uint64_t word)
{
    return (word - EACH(1)) & ~word & EACH(0x80);
}

/* Are all eight bytes in 0x20..0x7e and neither a quotation mark nor a backslash? May say no although it is
 * so. */
static bool is_plain(uint64_t word)
{
    const uint64_t below_space = (word - EACH(0x20)) & ~word & EACH(0x80);
    const uint64_t special =
        zero_bytes(word ^ EACH('"')) | zero_bytes(word ^ EACH('\\')) | zero_bytes(word ^ EACH(0x7f));

    return ((word & EACH(0x80)) | below_space | special) == 0;
}

/* Copies whole words as long as they are plain and there is room. Returns the bytes copied. */
static size_t copy_plain(char *out, size_t size, const char *text, size_t len)
{
    const size_t limit = size < len ? size : len;
    size_t done = 0;

    for (uint64_t word; limit - done >= sizeof(word); done += sizeof(word)) {
        memcpy(&word, text + done, sizeof(word));
        if (!is_plain(word))
            break;
        memcpy(out + done, &word, sizeof(word));
    }
    return done;
}

static bool is_printable(unsigned char byte)
{
    return byte >= 0x20 && byte <= 0x7e;
}

/* Writes \xNN for what is not printable, and with `quotes` for " and \ too. Stops where the next piece does
 * not fit. */
static size_t escape_hex(char *out, size_t size, const char *text, size_t len, bool quotes)
{
    size_t used = 0;

    for (size_t i = 0; i < len;) {
        const size_t plain = copy_plain(out + used, size - used, text + i, len - i);

        used += plain;
        i += plain;
        for (const size_t stop = len - i > 8 ? i + 8 : len; i < stop; i++) {
            const unsigned char byte = (unsigned char)text[i];

            if (is_printable(byte) && !(quotes && (byte == '"' || byte == '\\'))) {
                if (used == size)
                    return used;
                out[used++] = (char)byte;
                continue;
            }
            if (size - used < 4)
                return used;
            memcpy(out + used, (const char[]){'\\', 'x', hex[byte >> 4], hex[byte & 15]}, 4);
            used += 4;
        }
    }
    return used;
}

size_t log_escape(char *out, size_t size, const char *text, size_t len)
{
    return escape_hex(out, size, text, len, true);
}

size_t log_escape_message(char *out, size_t size, const char *text, size_t len)
{
    return escape_hex(out, size, text, len, false);
}

/* The length of the valid UTF-8 sequence at text (RFC 3629 4: no overlong form, no surrogate, none above
 * U+10FFFF), or 0. */
static size_t utf8_len(const unsigned char *text, size_t len)
{
    const unsigned char first = text[0];
    const size_t n = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
    const unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    const unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;

    if (n == 0 || len < n || text[1] < low || text[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    }
    return n;
}

/* What one byte or UTF-8 sequence at text becomes inside a JSON string; at most 6 bytes. */
struct json_piece {
    char bytes[6];
    uint8_t len;
    uint8_t taken; /* bytes of the text */
};

static struct json_piece json_piece(const unsigned char *text, size_t len)
{
    struct json_piece piece = {.taken = 1};
    const unsigned char byte = text[0];

    if (byte == '"' || byte == '\\') {
        memcpy(piece.bytes, (const char[]){'\\', (char)byte}, 2);
        piece.len = 2;
    } else if (byte < 0x20) {
        memcpy(piece.bytes, (const char[]){'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]}, 6);
        piece.len = 6;
    } else if (byte < 0x80) {
        piece.bytes[0] = (char)byte;
        piece.len = 1;
    } else if ((piece.len = (uint8_t)utf8_len(text, len)) > 0) {
        memcpy(piece.bytes, text, piece.len);
        piece.taken = piece.len;
    } else {
        memcpy(piece.bytes, "\\ufffd", 6);
        piece.len = 6;
    }
    return piece;
}

size_t log_escape_json(char *out, size_t size, const char *text, size_t len)
{
    size_t used = 0;

    for (size_t i = 0; i < len;) {
        const size_t plain = copy_plain(out + used, size - used, text + i, len - i);

        used += plain;
        i += plain;
        for (const size_t stop = len - i > 8 ? i + 8 : len; i < stop;) {
            const struct json_piece piece = json_piece((const unsigned char *)text + i, len - i);

            if (size - used < piece.len)
                return used;
            memcpy(out + used, piece.bytes, piece.len);
            used += piece.len;
            i += piece.taken;
        }
    }
    return used;
}
