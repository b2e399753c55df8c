/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a request path means for routing, its way back into a URI, and the syntax of authorities. Pure; any
 * thread. It never changes what is forwarded: the results are for choosing a location and for building
 * redirects.
 */
#include "http/target.h"

#include "http/h1_private.h"

#include <arpa/inet.h>

/* Reads the byte at *at, decoded; -1 for a broken escape and for NUL. */
static int next_decoded(struct span path, size_t *at)
{
    unsigned char byte = (unsigned char)path.p[*at];
    if (byte != '%') {
        *at += 1;
        return byte != 0 ? byte : -1;
    }
    if (path.len - *at < 3 || !http_has_class(path.p[*at + 1], CLASS_HEX) ||
        !http_has_class(path.p[*at + 2], CLASS_HEX))
        return -1;
    unsigned value = http_hex_value(path.p[*at + 1]) << 4 | http_hex_value(path.p[*at + 2]);
    *at += 3;
    return value != 0 ? (int)value : -1;
}

/*
 * Ends the segment out[from..len), which has no slash, and resolves it if it is "", "." or "..". Returns the
 * new length: out then ends in '/', or in a real segment; 0 where ".." leads above the root (RFC 3986 5.2.4
 * would forget it; an origin might not).
 */
static size_t resolve_segment(const char *out, size_t from, size_t len)
{
    size_t segment_len = len - from;
    if (segment_len == 1 && out[from] == '.')
        return from;
    if (segment_len != 2 || out[from] != '.' || out[from + 1] != '.')
        return len;
    if (from == 1)
        return 0;
    size_t parent = from - 1;
    while (out[parent - 1] != '/')
        parent--;
    return parent;
}

ssize_t target_normalize(struct span path_and_query, char *out, size_t size)
{
    struct span path = path_and_query;
    const char *query = path.len > 0 ? memchr(path.p, '?', path.len) : NULL;
    if (query != NULL)
        path.len = (size_t)(query - path.p);
    if (size == 0 || (path.len > 0 && path.p[0] != '/'))
        return -1;

    size_t len = 0, segment = 1;
    out[len++] = '/'; /* also for the empty path of an absolute form (RFC 9110 4.2.3) */
    for (size_t at = 1; at < path.len;) {
        int byte = next_decoded(path, &at);
        if (byte < 0)
            return -1;
        if (byte == '/') {
            len = resolve_segment(out, segment, len);
            if (len == 0)
                return -1;
            segment = out[len - 1] == '/' ? len : len + 1;
            if (segment == len)
                continue; /* nothing is left of the segment, so this slash would double the last */
        }
        if (len == size)
            return -1;
        out[len++] = (char)byte;
    }
    len = resolve_segment(out, segment, len);
    return len == 0 ? -1 : (ssize_t)len;
}

ssize_t target_escape(struct span path, char *out, size_t size)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t len = 0;
    for (size_t i = 0; i < path.len; i++) {
        unsigned char byte = (unsigned char)path.p[i];
        bool raw = http_has_class(path.p[i], CLASS_PATH);
        if (size - len < (raw ? 1u : 3u))
            return -1;
        if (raw) {
            out[len++] = path.p[i];
            continue;
        }
        out[len++] = '%';
        out[len++] = hex[byte >> 4];
        out[len++] = hex[byte & 15];
    }
    return (ssize_t)len;
}

static bool port_valid(struct span port)
{
    unsigned value = 0;
    if (port.len > 5)
        return false;
    for (size_t i = 0; i < port.len; i++) {
        if (!http_has_class(port.p[i], CLASS_DIGIT))
            return false;
        value = value * 10 + (unsigned)(port.p[i] - '0');
    }
    return value <= 65535;
}

/* The length of the bracketed IPv6 address that `text` begins with, or 0. Zones have no meaning to a remote
 * peer. */
static size_t ipv6_literal_len(struct span text)
{
    char address[INET6_ADDRSTRLEN];
    struct in6_addr parsed;
    const char *end = memchr(text.p, ']', text.len);
    size_t len = end != NULL ? (size_t)(end - text.p) - 1 : sizeof(address);
    if (len >= sizeof(address))
        return 0;
    memcpy(address, text.p + 1, len);
    address[len] = '\0';
    /* inet_pton stops at a NUL, so one that came in the text would hide what stands behind it. */
    if (strlen(address) != len || inet_pton(AF_INET6, address, &parsed) != 1)
        return 0;
    return len + 2;
}

static size_t reg_name_len(struct span text)
{
    size_t at = 0;
    while (at < text.len) {
        if (http_has_class(text.p[at], CLASS_HOST)) {
            at++;
        } else if (text.p[at] == '%' && text.len - at >= 3 && http_has_class(text.p[at + 1], CLASS_HEX) &&
                   http_has_class(text.p[at + 2], CLASS_HEX)) {
            at += 3;
        } else {
            break;
        }
    }
    return at;
}

bool target_authority_valid(struct span authority, size_t *host_len)
{
    *host_len = 0;
    if (authority.len == 0)
        return false;
    size_t len = authority.p[0] == '[' ? ipv6_literal_len(authority) : reg_name_len(authority);
    if (len == 0)
        return false;
    if (len < authority.len) {
        struct span port = {authority.p + len + 1, authority.len - len - 1};
        if (authority.p[len] != ':' || !port_valid(port))
            return false;
    }
    *host_len = len;
    return true;
}
