/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Fuzzes h1_parse_response. It checks what the contract promises: the verdict does not depend on where the
 * bytes were cut, every position lies inside the head, and framing agrees with status and method. The first
 * byte of the input is the method and chooses the limits.
 */
#include "http/h1.h"

#include <stdlib.h>

#define FIELDS 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool promise)
{
    if (!promise)
        abort();
}

static void check_response(const struct h1_response *response, const struct field *fields, uint8_t method,
                           int len)
{
    check(response->status >= 100 && response->status <= 599);
    check(response->reason.at + response->reason.len <= len);
    check(response->n_fields <= FIELDS);
    for (size_t i = 0; i < response->n_fields; i++) {
        check(fields[i].name_len > 0 && fields[i].id < FIELD_IDS && fields[i].flags <= FIELD_HOP);
        check(fields[i].value + fields[i].value_len + 4 <= len);
    }
    bool bare =
        response->status < 200 || response->status == 204 || response->status == 304 || method == METHOD_HEAD;
    check(!bare || response->body == BODY_NONE);
    check(response->body != BODY_LENGTH || response->has_length);
    check(response->body != BODY_CLOSE || response->close);
}

/* Cuts the input at every byte. `exact` is of the prefix's size, so that the sanitizer sees a byte read too
 * far. */
static void check_cuts(struct span head, const struct h1_limits *limits, uint8_t method, int whole)
{
    struct h1_response response;
    struct field fields[FIELDS];
    for (size_t len = 0; len<head.len; len += head.len> 300 ? 7 : 1) {
        char *exact = malloc(len + 1);
        memcpy(exact, head.p, len);
        int rc = h1_parse_response(exact, len, limits, method, &response, fields);
        free(exact);
        check(whole > 0 && len >= (size_t)whole ? rc == whole : rc == 0 || (whole < 0 && rc == whole));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct h1_response response;
    struct field fields[FIELDS];
    if (size == 0 || size > 4096)
        return 0;
    struct h1_limits limits = {.head_max = data[0] & 16 ? 512 : 4096,
                               .target_max = 16,
                               .field_max = data[0] & 32 ? 24 : 1024,
                               .fields_max = data[0] & 64 ? 3 : FIELDS};
    uint8_t method = (data[0] & 15) % (METHOD_PATCH + 1);
    struct span head = {(const char *)data + 1, size - 1};

    int rc = h1_parse_response(head.p, head.len, &limits, method, &response, fields);
    check(rc <= (int)head.len);
    if (rc > 0)
        check_response(&response, fields, method, rc);
    check_cuts(head, &limits, method, rc);
    return 0;
}
