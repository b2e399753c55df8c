/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Fuzzes h1_parse_request, and h1_parse_trailers with the same bytes. It checks what the contract promises:
 * the verdict does not depend on where the bytes were cut, and every position lies inside the head. The first
 * byte of the input chooses the limits.
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

static void check_range(struct h1_range range, int head_len)
{
    check(range.at + range.len <= head_len);
}

static void check_fields(const struct field *fields, size_t n_fields, const char *head, int head_len)
{
    check(n_fields <= FIELDS);
    for (size_t i = 0; i < n_fields; i++) {
        check(fields[i].name_len > 0 && fields[i].id < FIELD_IDS && fields[i].flags <= FIELD_HOP);
        check(fields[i].name + fields[i].name_len < fields[i].value || fields[i].value_len == 0);
        check(fields[i].value + fields[i].value_len + 4 <= head_len);
        check(memchr(head + fields[i].value, '\r', fields[i].value_len) == NULL);
        check(memchr(head + fields[i].value, '\0', fields[i].value_len) == NULL);
    }
}

static void check_request(const struct h1_request *request, const struct field *fields, const char *head,
                          int len)
{
    check_range(request->method, len);
    check_range(request->target, len);
    check_range(request->path, len);
    check_range(request->host, len);
    check_range(request->authority, len);
    check_fields(fields, request->n_fields, head, len);
    check(request->body != BODY_CLOSE && request->host.len <= request->authority.len);
    check(request->body == BODY_LENGTH || request->content_length == 0);
    check(request->form != TARGET_ORIGIN || head[request->path.at] == '/');
}

/* Cuts the input at every byte. `exact` is of the prefix's size, so that the sanitizer sees a byte read too
 * far. */
static void check_cuts(const char *head, size_t size, const struct h1_limits *limits, int whole)
{
    struct h1_request request;
    struct field fields[FIELDS];
    for (size_t len = 0; len<size; len += size> 300 ? 7 : 1) {
        char *exact = malloc(len + 1);
        memcpy(exact, head, len);
        int rc = h1_parse_request(exact, len, limits, &request, fields);
        free(exact);
        check(whole > 0 && len >= (size_t)whole ? rc == whole : rc == 0 || (whole < 0 && rc == whole));
    }
}

static void check_trailers(const char *head, size_t size, const struct h1_limits *limits)
{
    struct field fields[FIELDS];
    uint16_t n_fields, n_cut;
    int whole = h1_parse_trailers(head, size, limits, fields, &n_fields);
    check(whole <= (int)size);
    if (whole > 0)
        check_fields(fields, n_fields, head, whole);
    for (size_t len = 0; len<size; len += size> 300 ? 7 : 1) {
        int rc = h1_parse_trailers(head, len, limits, fields, &n_cut);
        check(whole > 0 && len >= (size_t)whole ? rc == whole : rc == 0 || (whole < 0 && rc == whole));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct h1_request request;
    struct field fields[FIELDS];
    if (size == 0 || size > 4096)
        return 0;
    struct h1_limits limits = {.head_max = data[0] & 1 ? 512 : 4096,
                               .target_max = data[0] & 2 ? 16 : 1024,
                               .field_max = data[0] & 4 ? 24 : 1024,
                               .fields_max = data[0] & 8 ? 3 : FIELDS,
                               .reject_underscores = (data[0] & 16) != 0};
    const char *head = (const char *)data + 1;
    size--;

    int rc = h1_parse_request(head, size, &limits, &request, fields);
    check(rc <= (int)size && (rc >= 0 || (h1_error_status(rc) >= 400 && h1_error_status(rc) <= 505)));
    if (rc > 0)
        check_request(&request, fields, head, rc);
    check_cuts(head, size, &limits, rc);
    check_trailers(head, size, &limits);
    return 0;
}
