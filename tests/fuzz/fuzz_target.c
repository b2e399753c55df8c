/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Fuzzes target.h. It checks that a normalised path is rooted, not longer than its source, free of dot
 * segments and doubled slashes, stays the same when escaped and normalised again, and that a valid authority
 * splits inside itself.
 */
#include "http/target.h"

#include <stdint.h>
#include <stdlib.h>

#define INPUT_MAX 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool promise)
{
    if (!promise)
        abort();
}

static void check_normalized(struct span path)
{
    check(path.len > 0 && path.p[0] == '/');
    for (size_t at = 1, start = 1; at <= path.len; at++) {
        if (at < path.len && path.p[at] != '/')
            continue;
        struct span segment = {path.p + start, at - start};
        check(segment.len > 0 || at == path.len);
        check(!span_equals(segment, SPAN_LITERAL(".")) && !span_equals(segment, SPAN_LITERAL("..")));
        start = at + 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char once[INPUT_MAX], escaped[3 * INPUT_MAX], twice[INPUT_MAX];
    struct span input = {(const char *)data, size};
    size_t host_len;
    if (size == 0 || size > INPUT_MAX)
        return 0;
    bool valid = target_authority_valid(input, &host_len);
    check(valid == (host_len > 0) && host_len <= size);
    check(!valid || memchr(data, '@', size) == NULL);

    /* Exactly the room that the contract asks for, so that the sanitizer sees a byte too many. */
    char *out = malloc(size);
    ssize_t len = target_normalize(input, out, size);
    if (len > 0) {
        check((size_t)len <= size);
        check_normalized((struct span){out, (size_t)len});
        memcpy(once, out, (size_t)len);
        ssize_t escaped_len = target_escape((struct span){once, (size_t)len}, escaped, sizeof(escaped));
        check(escaped_len >= len);
        check(target_normalize((struct span){escaped, (size_t)escaped_len}, twice, sizeof(twice)) == len);
        check(memcmp(once, twice, (size_t)len) == 0);
    }
    free(out);
    return 0;
}
