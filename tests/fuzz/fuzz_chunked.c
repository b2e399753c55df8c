/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Fuzzes the chunked decoder. It checks that the body and the verdict are the same whole, byte by byte, and
 * in pieces of a length that the first byte of the input chooses, and that nothing outside the piece is
 * consumed or handed out.
 */
#include "http/chunked.h"

#include <stdlib.h>

#define INPUT_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct decoded {
    char body[INPUT_MAX];
    size_t body_len, consumed;
    int verdict;
};

static void check(bool promise)
{
    if (!promise)
        abort();
}

static void feed(struct chunked *chunked, struct span piece, struct decoded *decoded)
{
    size_t at = 0;
    do {
        size_t consumed = 0;
        struct span data;
        decoded->verdict = chunked_next(chunked, piece.p + at, piece.len - at, &consumed, &data);
        check(consumed <= piece.len - at);
        check((data.len > 0) == (decoded->verdict == CHUNKED_DATA));
        if (data.len > 0) {
            check(data.p >= piece.p + at && data.p + data.len == piece.p + at + consumed);
            memcpy(decoded->body + decoded->body_len, data.p, data.len);
        }
        decoded->body_len += data.len;
        decoded->consumed += consumed;
        at += consumed;
    } while (decoded->verdict == CHUNKED_DATA);
    check(decoded->verdict != CHUNKED_MORE || at == piece.len);
}

/* Each piece is a copy of its own size, so that the sanitizer sees a byte read too far. */
static void decode(struct span input, size_t step, struct decoded *decoded)
{
    struct chunked chunked;
    chunked_init(&chunked);
    decoded->body_len = decoded->consumed = 0;
    decoded->verdict = CHUNKED_MORE;
    for (size_t at = 0; at < input.len && decoded->verdict == CHUNKED_MORE; at += step) {
        size_t len = step < input.len - at ? step : input.len - at;
        char *exact = malloc(len);
        memcpy(exact, input.p + at, len);
        feed(&chunked, (struct span){exact, len}, decoded);
        free(exact);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct decoded whole, cut;
    if (size < 2 || size > INPUT_MAX)
        return 0;
    struct span input = {(const char *)data + 1, size - 1};
    size_t steps[] = {1, data[0] % 31u + 2u};

    decode(input, input.len, &whole);
    for (size_t i = 0; i < 2; i++) {
        decode(input, steps[i], &cut);
        check(cut.verdict == whole.verdict && cut.consumed == whole.consumed &&
              cut.body_len == whole.body_len);
        check(memcmp(cut.body, whole.body, cut.body_len) == 0);
    }
    return 0;
}
