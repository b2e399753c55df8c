/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The list of runtime changes; see changes.h. */
#include "control/changes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const words[] = {
#define X(kind, word, sentence) word,
    CHANGE_KINDS(X)
#undef X
};

const char *change_word(enum change_kind kind)
{
    return words[kind];
}

void changes_fini(struct changes *changes)
{
    free(changes->list);
    *changes = (struct changes){0};
}

int changes_copy(const struct changes *changes, struct changes *copy)
{
    *copy = (struct changes){0};
    if (changes->n == 0)
        return 0;
    copy->list = malloc(changes->n * sizeof(*copy->list));
    if (!copy->list)
        return -ENOMEM;
    memcpy(copy->list, changes->list, changes->n * sizeof(*copy->list));
    copy->n = copy->room = changes->n;
    return 0;
}

static bool same_server(const struct change *a, const struct change *b)
{
    return strcmp(a->server, b->server) == 0 && strcmp(a->pool, b->pool) == 0;
}

static bool is_mode(enum change_kind kind)
{
    return kind == CHANGE_UP || kind == CHANGE_DOWN || kind == CHANGE_DRAIN;
}

/*
 * Whether `later` leaves nothing of `earlier`. What persists outlives what does not. `again`: an earlier addition of the server is made void, and with
 * it what was said between the two; a removal before it stays, for the files may have the server, too.
 */
static bool is_void(const struct change *earlier, const struct change *later, bool again)
{
    if (!same_server(earlier, later) || (earlier->persist && !later->persist))
        return false;
    if (later->kind == CHANGE_REMOVE || (later->kind == CHANGE_ADD && again))
        return true;
    return earlier->kind == later->kind || (is_mode(earlier->kind) && is_mode(later->kind));
}

/* How many changes there are up to the last addition of the server that outlives `later`. */
static size_t find_standing_addition(const struct changes *changes, const struct change *later)
{
    size_t n = changes->n;

    while (n > 0 && !(changes->list[n - 1].kind == CHANGE_ADD && same_server(&changes->list[n - 1], later) &&
                      !is_void(&changes->list[n - 1], later, false)))
        n--;
    return n;
}

/* Drops what is void, but for a removal that makes room for an addition that stands. Returns whether an addition was dropped. */
static bool drop_void(struct changes *changes, const struct change *later)
{
    const size_t standing = find_standing_addition(changes, later);
    bool again = false;
    size_t kept = 0;

    for (size_t i = 0; i < changes->n; i++) {
        const struct change *earlier = &changes->list[i];

        if (!is_void(earlier, later, again) || (earlier->kind == CHANGE_REMOVE && i < standing))
            changes->list[kept++] = *earlier;
        else
            again = again || earlier->kind == CHANGE_ADD;
    }
    changes->n = kept;
    return again;
}

/* Whether there is the server that `removal` is about, without it. */
static bool is_there(const struct changes *changes, const struct change *removal)
{
    bool there = removal->configured;

    for (size_t i = 0; i < changes->n; i++)
        if (same_server(&changes->list[i], removal) && (changes->list[i].kind == CHANGE_ADD || changes->list[i].kind == CHANGE_REMOVE))
            there = changes->list[i].kind == CHANGE_ADD;
    return there;
}

static int make_room(struct changes *changes)
{
    size_t room = changes->room ? changes->room * 2 : 16;
    struct change *list;

    if (changes->n >= CHANGES_MAX)
        return -ENOSPC;
    if (changes->n < changes->room)
        return 0;
    list = realloc(changes->list, room * sizeof(*list));
    if (!list)
        return -ENOMEM;
    changes->list = list;
    changes->room = room;
    return 0;
}

int changes_add(struct changes *changes, const struct change *change)
{
    const struct change added = *change; /* it may be one of the list */
    const bool met_addition = drop_void(changes, &added);
    int error;

    if (added.kind == CHANGE_REMOVE && met_addition && !is_there(changes, &added))
        return 0;
    error = make_room(changes);
    if (!error)
        changes->list[changes->n++] = added;
    return error;
}

static int find_server(const struct pool_spec *spec, const struct server_spec *servers, const char *name)
{
    for (size_t i = 0; i < spec->n_servers; i++)
        if (strcmp(servers[i].name, name) == 0)
            return (int)i;
    return -1;
}

static const char *add_server(struct pool_spec *spec, struct server_spec *servers, const struct change *change)
{
    struct server_spec *server = &servers[spec->n_servers];
    char name[SERVER_NAME_MAX];

    if (find_server(spec, servers, change->server) >= 0)
        return "the group has this server already";
    if (spec->n_servers >= POOL_SERVERS_MAX)
        return "the group has as many servers as it may have";
    *server = spec->n_servers > 0 ? servers[0] : (struct server_spec){.max_fails = 1, .fail_timeout_ms = 10000};
    if (!changes_read_address(change->server, &server->address, name))
        return "this is not an address with a port";
    server->name = change->server;
    server->route = NULL;
    server->weight = change->weight;
    server->max_conns = change->max_conns;
    server->backup = change->backup;
    server->down = server->drain = false;
    server->share = 0;
    spec->n_servers++;
    return NULL;
}

static const char *remove_server(struct pool_spec *spec, struct server_spec *servers, size_t index)
{
    if (spec->n_servers == 1)
        return "it is the last server of the group";
    spec->n_servers--;
    memmove(&servers[index], &servers[index + 1], (spec->n_servers - index) * sizeof(*servers));
    return NULL;
}

/* Returns NULL, or why not. */
static const char *apply_one(struct pool_spec *spec, struct server_spec *servers, const struct change *change)
{
    int index = find_server(spec, servers, change->server);

    if (change->kind == CHANGE_ADD)
        return add_server(spec, servers, change);
    if (index < 0)
        return "the group has no such server";
    if (change->kind == CHANGE_REMOVE)
        return remove_server(spec, servers, (size_t)index);
    if (change->kind == CHANGE_WEIGHT) {
        servers[index].weight = change->weight;
    } else {
        servers[index].down = change->kind == CHANGE_DOWN;
        servers[index].drain = change->kind == CHANGE_DRAIN;
    }
    return NULL;
}

int changes_apply(const struct changes *changes, struct pool_spec *spec, const struct changes_report *report,
                  struct server_spec **servers)
{
    size_t n = 0;

    *servers = NULL;
    for (size_t i = 0; i < changes->n; i++)
        n += strcmp(changes->list[i].pool, spec->name) == 0;
    if (n == 0)
        return 0;
    *servers = calloc(spec->n_servers + n, sizeof(**servers));
    if (!*servers)
        return -ENOMEM;
    if (spec->n_servers > 0)
        memcpy(*servers, spec->servers, spec->n_servers * sizeof(**servers));
    spec->servers = *servers;
    for (size_t i = 0; i < changes->n; i++) {
        const struct change *change = &changes->list[i];
        const char *refused = strcmp(change->pool, spec->name) == 0 ? apply_one(spec, *servers, change) : NULL;

        if (refused)
            report->refused(report->context, change, refused);
    }
    return 0;
}

void changes_report_unknown(const struct changes *changes, const char *const *pools, size_t n_pools, const struct changes_report *report)
{
    for (size_t i = 0; i < changes->n; i++) {
        bool known = false;

        for (size_t k = 0; k < n_pools && !known; k++)
            known = strcmp(changes->list[i].pool, pools[k]) == 0;
        if (!known)
            report->refused(report->context, &changes->list[i], "there is no such group");
    }
}

static bool read_unix(const char *text, struct server_address *address, char name[SERVER_NAME_MAX])
{
    size_t len = strlen(text + 5);

    if (text[5] != '/' || len >= sizeof(address->un.sun_path) || len + 6 > SERVER_NAME_MAX)
        return false;
    address->un.sun_family = AF_UNIX;
    memcpy(address->un.sun_path, text + 5, len + 1);
    address->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    memcpy(name, text, len + 6);
    return true;
}

/* 1 to 65535, digits only; 0: it is not. */
static uint16_t read_port(const char *text)
{
    size_t len = strlen(text);
    unsigned long port;

    if (len == 0 || len > 5 || strspn(text, "0123456789") != len)
        return 0;
    port = strtoul(text, NULL, 10);
    return port <= 65535 ? (uint16_t)port : 0;
}

bool changes_read_address(const char *text, struct server_address *address, char name[SERVER_NAME_MAX])
{
    char host[INET6_ADDRSTRLEN];
    bool brackets = text[0] == '[';
    const char *end = brackets ? strchr(text, ']') : strchr(text, ':');
    size_t len = end ? (size_t)(end - text) - brackets : 0;
    uint16_t port = end && (!brackets || end[1] == ':') ? read_port(end + 1 + brackets) : 0;

    *address = (struct server_address){0};
    if (strncmp(text, "unix:", 5) == 0)
        return read_unix(text, address, name);
    if (port == 0 || len == 0 || len >= sizeof(host))
        return false;
    memcpy(host, text + brackets, len);
    host[len] = '\0';
    if (brackets && inet_pton(AF_INET6, host, &address->in6.sin6_addr) == 1) {
        address->in6.sin6_family = AF_INET6;
        address->in6.sin6_port = htons(port);
        address->len = sizeof(address->in6);
        inet_ntop(AF_INET6, &address->in6.sin6_addr, host, sizeof(host));
        snprintf(name, SERVER_NAME_MAX, "[%s]:%u", host, port);
    } else if (!brackets && inet_pton(AF_INET, host, &address->in.sin_addr) == 1) {
        address->in.sin_family = AF_INET;
        address->in.sin_port = htons(port);
        address->len = sizeof(address->in);
        snprintf(name, SERVER_NAME_MAX, "%s:%u", host, port);
    } else {
        return false;
    }
    return true;
}

void change_print(const struct change *change, char *text, size_t size)
{
    int n = snprintf(text, size, "pool=%s server=%s change=%s", change->pool, change->server, change_word(change->kind));

    if (n > 0 && (size_t)n < size && (change->kind == CHANGE_WEIGHT || change->kind == CHANGE_ADD))
        n += snprintf(text + n, size - (size_t)n, " weight=%u", change->weight);
    if (n > 0 && (size_t)n < size && change->kind == CHANGE_ADD)
        snprintf(text + n, size - (size_t)n, " max_conns=%u backup=%d", change->max_conns, change->backup);
}
