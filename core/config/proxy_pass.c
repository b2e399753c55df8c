/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Takes "http://AUTHORITY[URI]" apart and finds the pool that it means. Control thread.
 */
#include "config/proxy_pass.h"
#include "config/upstreams.h"

static const char scheme[] = "http://";
static const char unix_prefix[] = "unix:";

/* The parts of a URL, in the scratch arena. */
struct url {
    const char *authority;
    const char *uri; /* "": none */
};

static bool fail(struct loader *loader, struct place place, const char *sentence)
{
    errors_add(loader->errors, place, "\"proxy_pass\" %s", sentence);
    return false;
}

/* "unix:PATH" or "unix:PATH:URI" */
static bool split_unix(struct loader *loader, struct place place, const char *text, struct url *url)
{
    const char *path = text + sizeof unix_prefix - 1, *end = strchrnul(path, ':');

    if (end == path)
        return fail(loader, place, "has no socket path, as in \"http://unix:/run/app.sock\"");
    /* Made absolute here, so that equal URLs of files in different directories do not meet. */
    path = load_kept_path(loader, place, arena_copy(loader->scratch, path, (size_t)(end - path)));
    url->authority = arena_printf(loader->scratch, "unix:%s", path);
    url->uri = *end == ':' ? end + 1 : "";
    if (*end == ':' && *url->uri != '/')
        return fail(loader, place, "wants a \"/\" behind \"http://unix:/PATH:\"");
    return true;
}

static bool split(struct loader *loader, struct place place, const char *text, struct url *url)
{
    if (strncmp(text, "https://", 8) == 0)
        return fail(loader, place, "cannot speak https to servers; use \"http://\"");
    if (strncmp(text, scheme, sizeof scheme - 1) != 0)
        return fail(loader, place, "must be a URL, as in \"http://name\" or \"http://name/path\"");
    text += sizeof scheme - 1;
    if (strncmp(text, unix_prefix, sizeof unix_prefix - 1) == 0)
        return split_unix(loader, place, text, url);

    size_t len = strcspn(text, "/");
    url->authority = arena_copy(loader->scratch, text, len);
    url->uri = text + len;
    if (len == 0)
        return fail(loader, place, "has no host");
    if (strpbrk(url->authority, "?#@") != NULL)
        return fail(loader, place, "has \"?\", \"#\" or \"@\" where only host and port may stand");
    return true;
}

/* The URI goes out as it stands here, so it must be what may stand in a request line. */
static bool check_uri(struct loader *loader, struct place place, const char *uri,
                      const struct location *location)
{
    if (*uri != '\0' && location->match == MATCH_REGEX)
        return fail(loader, place, "cannot have a URI part where the location is a regular expression");
    for (const unsigned char *p = (const unsigned char *)uri; *p != '\0'; p++)
        if (*p <= ' ' || *p >= 127 || *p == '#')
            return fail(loader, place, "has a byte in its URI part that must be percent-encoded");
    return true;
}

/* A host that is an upstream's name, with a port: the person means the upstream. */
static bool check_no_port(struct loader *loader, struct place place, const char *authority)
{
    const char *colon = strchr(authority, ':');

    if (colon == NULL)
        return true;
    const char *host = arena_copy(loader->scratch, authority, (size_t)(colon - authority));
    if (upstreams_find(loader->storage, host) == NULL)
        return true;
    errors_add(loader->errors, place,
               "\"%s\" is an upstream, whose servers have ports of their own: leave out \"%s\"", host, colon);
    return false;
}

void proxy_pass_read(struct loader *loader, struct place place, const char *text, struct location *location)
{
    struct url url;
    struct proxy_pass *proxy = &location->proxy;

    if (strchr(text, '$') != NULL) {
        fail(loader, place, "cannot have variables");
        return;
    }
    if (!split(loader, place, text, &url) || !check_uri(loader, place, url.uri, location) ||
        !check_no_port(loader, place, url.authority))
        return;
    const struct upstream *upstream = upstreams_find(loader->storage, url.authority);
    if (upstream == NULL)
        upstream = upstreams_of_url(loader, place, url.authority);
    proxy->group = upstream == NULL ? NULL : &upstream->group;
    proxy->has_uri = *url.uri != '\0';
    proxy->uri.len = strlen(url.uri);
    proxy->uri.p = arena_copy(loader->keep, url.uri, proxy->uri.len);
    /* As written, save that a socket's path has become absolute. */
    bool is_unix = strncmp(url.authority, unix_prefix, sizeof unix_prefix - 1) == 0;
    proxy->url = arena_printf(loader->keep, "http://%s%s%s", url.authority,
                              is_unix && proxy->has_uri ? ":" : "", url.uri);
}
