/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From the `listen` strings of all sites to one list of addresses with the sites behind each. Finds two
 * defaults and names that stand twice on one address. Control thread.
 */
#include "config/listens.h"
#include "config/address.h"
#include "config/nearest.h"
#include "config/schema.h"

#include <stdlib.h>

/* A listen while sites are added. */
struct growing {
    struct listen *listen;
    size_t room;
    struct place default_place; /* file NULL: nobody claims it */
};

/* A site's "listen" string, taken apart. */
struct request {
    const char *address;
    bool is_default;
    int backlog; /* 0: not given */
};

/* A server name of a site behind a listen. */
struct claim {
    struct span name;
    const struct site *site;
    size_t order;
};

struct builder {
    struct loader *loader;
    size_t n;
    struct growing *growing; /* LOAD_LISTENS_MAX places */
};

static bool read_backlog(const char *word, int *backlog)
{
    static const char prefix[] = "backlog=";
    const size_t len = sizeof prefix - 1;
    char *end;

    if (strncmp(word, prefix, len) != 0)
        return false;
    long value = strtol(word + len, &end, 10);
    *backlog = (int)value;
    return end != word + len && *end == '\0' && value >= 1 && value <= 65535;
}

static bool read_option(struct loader *loader, struct place place, const char *word, struct request *request)
{
    struct nearest nearest = {.word = word};

    if (strcmp(word, "default_server") == 0) {
        request->is_default = true;
        return true;
    }
    if (read_backlog(word, &request->backlog))
        return true;
    nearest_offer(&nearest, "default_server");
    if (nearest.best != NULL)
        errors_add(loader->errors, place, "unknown word \"%s\" in \"listen\"; did you mean \"%s\"?", word,
                   nearest.best);
    else
        errors_add(loader->errors, place,
                   "unknown word \"%s\" in \"listen\"; known are default_server and backlog=N (1 to 65535)",
                   word);
    return false;
}

/* A port alone and "*" mean every IPv4 address, as in nginx. */
static const char *complete_address(struct loader *loader, const char *text)
{
    if (text[0] != '\0' && text[strspn(text, "0123456789")] == '\0')
        return arena_printf(loader->scratch, "0.0.0.0:%s", text);
    if (text[0] == '*' && (text[1] == ':' || text[1] == '\0'))
        return arena_printf(loader->scratch, "0.0.0.0%s", text + 1);
    return text;
}

static bool read_request(struct loader *loader, struct place place, const char *text, struct request *request)
{
    char *rest = arena_copy(loader->scratch, text, strlen(text)), *next = NULL;
    const char *address = strtok_r(rest, " \t", &next);

    *request = (struct request){0};
    if (address == NULL) {
        errors_add(loader->errors, place, "\"listen\" must not be empty");
        return false;
    }
    for (const char *word; (word = strtok_r(NULL, " \t", &next)) != NULL;)
        if (!read_option(loader, place, word, request))
            return false;
    request->address = complete_address(loader, address);
    return true;
}

/* The listen of that address, made when it is the first; NULL with the finding added when there are too many.
 */
static struct growing *find_listen(struct builder *b, struct place place,
                                   const struct server_address *address, uint16_t port)
{
    struct loader *loader = b->loader;

    for (size_t i = 0; i < b->n; i++)
        if (server_address_equals(&b->growing[i].listen->address, address))
            return &b->growing[i];
    if (b->n == LOAD_LISTENS_MAX) {
        errors_add(loader->errors, place, "more than %u addresses to listen on", LOAD_LISTENS_MAX);
        return NULL;
    }
    struct growing *growing = &b->growing[b->n++];
    growing->listen = &loader->config->listens[loader->config->n_listens++];
    growing->listen->address = *address;
    growing->listen->name = address_print(loader, address);
    growing->listen->port = port;
    growing->listen->backlog = LISTEN_BACKLOG;
    return growing;
}

static void claim_default(struct loader *loader, struct place place, struct growing *growing,
                          struct site *site)
{
    struct place first = growing->default_place;

    if (first.file != NULL) {
        errors_add(loader->errors, place, "a second default_server for %s: first in %s:%u",
                   growing->listen->name, first.file->name, first.line);
        return;
    }
    growing->default_place = place;
    growing->listen->default_site = site;
}

static void add_site(struct loader *loader, struct place place, struct growing *growing, struct site *site)
{
    struct listen *listen = growing->listen;

    /* Sites come one after the other, so a site that is there already was added last. */
    if (listen->n_sites > 0 && listen->sites[listen->n_sites - 1] == site) {
        errors_add(loader->errors, place, "%s stands twice in \"listen\"", listen->name);
        return;
    }
    listen->sites =
        arena_grow(loader->keep, listen->sites, &growing->room, listen->n_sites + 1, sizeof(struct site *));
    listen->sites[listen->n_sites++] = site;
    if (listen->n_sites == 1)
        listen->default_site = site;
}

static void read_listen(struct builder *b, struct place place, const char *text, struct site *site)
{
    struct loader *loader = b->loader;
    struct request request;
    struct addresses addresses;

    if (!read_request(loader, place, text, &request))
        return;
    const char *what = arena_printf(loader->scratch, "listen \"%s\"", request.address);
    if (!address_read(loader, place, request.address, what, &addresses))
        return;
    for (size_t i = 0; i < addresses.n; i++) {
        struct growing *growing = find_listen(b, place, &addresses.list[i], addresses.port);

        if (growing == NULL)
            return;
        add_site(loader, place, growing, site);
        if (request.is_default)
            claim_default(loader, place, growing, site);
        if (request.backlog > 0)
            growing->listen->backlog = request.backlog;
    }
}

static void read_site(struct builder *b, const struct draft *draft)
{
    const struct node *node = node_member(draft->node, "listen");

    if (draft->node->kind != NODE_GROUP)
        return;
    if (node == NULL) {
        read_listen(b, draft->node->place, schema_find(CONTEXT_SITE, "listen")->fallback, draft->site);
        return;
    }
    const struct node *nodes = node->kind == NODE_LIST ? node->children : node;
    for (size_t i = 0; i < (node->kind == NODE_LIST ? node->n : 1); i++)
        if (nodes[i].kind == NODE_STRING)
            read_listen(b, nodes[i].place, nodes[i].string, draft->site);
    if (node->kind == NODE_LIST && node->n == 0)
        errors_add(b->loader->errors, node->place,
                   "\"listen\" has no address: no request could reach the site");
}

static int compare_claims(const void *left, const void *right)
{
    const struct claim *a = left, *b = right;
    size_t len = a->name.len < b->name.len ? a->name.len : b->name.len;
    int order = memcmp(a->name.p, b->name.p, len);

    if (order != 0)
        return order;
    if (a->name.len != b->name.len)
        return a->name.len < b->name.len ? -1 : 1;
    return (a->order > b->order) - (a->order < b->order);
}

/* "_" and "" match nothing, so many sites may have them. */
static bool matches_something(struct span name)
{
    return name.len > 0 && !span_equals(name, SPAN_LITERAL("_"));
}

static size_t collect_claims(const struct listen *listen, struct claim *claims)
{
    size_t n = 0;

    for (size_t i = 0; i < listen->n_sites; i++) {
        const struct site *site = listen->sites[i];

        for (size_t k = 0; k < site->n_names; k++) {
            if (!matches_something(site->names[k]))
                continue;
            if (claims != NULL)
                claims[n] = (struct claim){site->names[k], site, n};
            n++;
        }
    }
    return n;
}

/* The places are those of the sites, as a name has none of its own in the snapshot. */
static void check_names(struct loader *loader, const struct listen *listen)
{
    size_t n = collect_claims(listen, NULL);
    struct claim *claims = arena_alloc(loader->scratch, n, sizeof *claims);

    collect_claims(listen, claims);
    if (n > 0)
        qsort(claims, n, sizeof *claims, compare_claims);
    for (size_t i = 1; i < n; i++) {
        const struct site *first = claims[i - 1].site, *second = claims[i].site;

        if (!span_equals(claims[i - 1].name, claims[i].name))
            continue;
        const struct draft *draft = &loader->drafts[second - loader->config->sites];
        errors_add(loader->errors, draft->node->place,
                   "the server name \"%s\" stands twice on %s: first in %s:%u", claims[i].name.p,
                   listen->name, first->file, first->line);
    }
}

void listens_build(struct loader *loader)
{
    struct config *config = loader->config;
    struct builder builder = {.loader = loader};

    if (loader->drafts == NULL)
        return;
    builder.growing = arena_alloc(loader->scratch, LOAD_LISTENS_MAX, sizeof builder.growing[0]);
    config->listens = arena_alloc(loader->keep, LOAD_LISTENS_MAX, sizeof config->listens[0]);
    for (size_t i = 0; i < config->n_sites; i++)
        read_site(&builder, &loader->drafts[i]);
    for (size_t i = 0; i < config->n_listens; i++)
        check_names(loader, &config->listens[i]);
}
