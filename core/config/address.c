/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading, resolving, comparing and printing addresses. Control thread. Numeric addresses never reach the
 * resolver.
 */
#include "config/address.h"

#include <arpa/inet.h>
#include <stdlib.h>

#define HOST_MAX 253u /* RFC 1035 2.3.4, as text */

static const char unix_prefix[] = "unix:";

static bool fail(struct loader *loader, struct place place, const char *text, const char *sentence)
{
    errors_add(loader->errors, place, "\"%s\" %s", text, sentence);
    return false;
}

static bool read_unix(struct loader *loader, struct place place, const char *text, struct addresses *out)
{
    struct sockaddr_un *un = &out->list[0].un;
    const char *path = text + sizeof unix_prefix - 1;

    if (*path == '\0')
        return fail(loader, place, text, "has no path, as in \"unix:/run/app.sock\"");
    path = load_kept_path(loader, place, path);
    size_t len = strlen(path);
    if (len >= sizeof un->sun_path)
        return fail(loader, place, text, "is longer than the path of a unix socket may be");
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, len + 1);
    out->list[0].len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    out->n = 1;
    out->port = 0;
    out->name = arena_printf(loader->keep, "unix:%s", path);
    return true;
}

static bool parse_port(const char *text, uint16_t *port)
{
    unsigned value = 0;
    size_t len = strlen(text);

    if (len == 0 || len > 5 || strspn(text, "0123456789") != len)
        return false;
    for (; *text != '\0'; text++)
        value = value * 10 + (unsigned)(*text - '0');
    *port = (uint16_t)value;
    return value >= 1 && value <= 65535;
}

/* Cuts the text into host and port. */
static bool split(struct loader *loader, struct place place, const char *text, uint16_t default_port,
                  struct addresses *out)
{
    bool brackets = text[0] == '[';
    const char *begin = text + brackets, *end = brackets ? strchr(text, ']') : strchrnul(text, ':');
    const char *rest = end == NULL ? NULL : end + brackets;

    if (strstr(text, "://") != NULL)
        return fail(loader, place, text, "has a scheme, which an address has not: wanted is \"host\", \"host:port\" or \"unix:/path\"");
    if (end == NULL || (*rest != ':' && *rest != '\0'))
        return fail(loader, place, text, "is not an address: wanted is \"[::1]\" or \"[::1]:80\"");
    if (!brackets && *rest == ':' && strchr(rest + 1, ':') != NULL)
        return fail(loader, place, text, "looks like IPv6, which stands in brackets, as in \"[::1]:80\"");
    out->has_port = *rest == ':';
    out->port = default_port;
    if (out->has_port && !parse_port(rest + 1, &out->port))
        return fail(loader, place, text, "has no port from 1 to 65535 behind the colon");
    char *copy = arena_copy(loader->keep, begin, (size_t)(end - begin));
    for (char *p = copy; *p != '\0'; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p - 'A' + 'a');
    out->host = copy;
    return true;
}

static void set_port(struct server_address *address, uint16_t port)
{
    if (address->sa.sa_family == AF_INET)
        address->in.sin_port = htons(port);
    else
        address->in6.sin6_port = htons(port);
}

/* True when the host is a numeric address; IPv6 is what stands in brackets. */
static bool read_numeric(const char *host, bool brackets, struct server_address *address)
{
    if (!brackets && inet_pton(AF_INET, host, &address->in.sin_addr) == 1) {
        address->in.sin_family = AF_INET;
        address->len = sizeof address->in;
        return true;
    }
    if (brackets && inet_pton(AF_INET6, host, &address->in6.sin6_addr) == 1) {
        address->in6.sin6_family = AF_INET6;
        address->len = sizeof address->in6;
        return true;
    }
    return false;
}

static bool is_host_name(const char *host)
{
    size_t len = strlen(host);

    return len > 0 && len <= HOST_MAX && strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == len;
}

/* The resolver would read "1.2.3" or "300.1.1.1" in ways that nobody means. */
static bool looks_numeric(const char *host)
{
    const char *dot = strrchr(host, '.'), *last = dot == NULL ? host : dot + 1;

    return last[strspn(last, "0123456789")] == '\0';
}

/* The resolver may give an address once per line of /etc/hosts. */
static void drop_duplicates(struct addresses *addresses)
{
    size_t kept = 0;

    for (size_t i = 0; i < addresses->n; i++) {
        bool known = false;

        for (size_t k = 0; k < kept; k++)
            known = known || server_address_equals(&addresses->list[k], &addresses->list[i]);
        if (!known)
            addresses->list[kept++] = addresses->list[i];
    }
    addresses->n = kept;
}

bool address_parse(struct loader *loader, struct place place, const char *text, uint16_t default_port,
                   struct addresses *addresses)
{
    bool brackets = text[0] == '[';

    memset(addresses, 0, sizeof *addresses);
    if (strncmp(text, unix_prefix, sizeof unix_prefix - 1) == 0)
        return read_unix(loader, place, text, addresses);
    if (!split(loader, place, text, default_port, addresses))
        return false;
    addresses->n = read_numeric(addresses->host, brackets, &addresses->list[0]) ? 1 : 0;
    if (addresses->n == 0 && (brackets || !is_host_name(addresses->host) || looks_numeric(addresses->host)))
        return fail(loader, place, text, "is neither a host name nor an IP address");
    if (addresses->n == 1)
        set_port(&addresses->list[0], addresses->port);
    addresses->name = arena_printf(loader->keep, brackets ? "[%s]:%u" : "%s:%u", addresses->host,
                                   (unsigned)addresses->port);
    return true;
}

bool address_resolve(struct loader *loader, struct place place, const char *what, struct addresses *addresses)
{
    const struct load_hooks *hooks = loader->hooks;

    addresses->n = LOAD_ADDRESSES_MAX;
    if (hooks->resolve(hooks->context, addresses->host, addresses->list, &addresses->n) != 0 || addresses->n == 0) {
        errors_add(loader->errors, place, "host not found in %s", what);
        return false;
    }
    drop_duplicates(addresses);
    for (size_t i = 0; i < addresses->n; i++)
        set_port(&addresses->list[i], addresses->port);
    return true;
}

bool address_read(struct loader *loader, struct place place, const char *text, const char *what,
                  struct addresses *addresses)
{
    /* When the list of findings is full, nothing is gained by asking for more names. */
    if (errors_is_full(loader->errors) || !address_parse(loader, place, text, ADDRESS_PORT, addresses))
        return false;
    return addresses->n > 0 || address_resolve(loader, place, what, addresses);
}

const char *address_print(struct loader *loader, const struct server_address *address)
{
    char text[SERVER_NAME_MAX];

    return arena_printf(loader->keep, "%s", server_address_print(address, text, sizeof text));
}
