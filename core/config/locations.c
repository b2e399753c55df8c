/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One location: its path, its settings, its one action. Control thread.
 */
#include "config/locations.h"
#include "config/headers.h"
#include "config/proxy_pass.h"
#include "config/reader.h"

static const struct modifier {
    const char *text;
    enum match_kind match;
    bool nocase;
} modifiers[] = {
    {"~*", MATCH_REGEX, true}, /* before "~", of which it begins with */
    {"~", MATCH_REGEX, false}, {"^~", MATCH_PREFIX_STOP, false},
    {"=", MATCH_EXACT, false}, {"", MATCH_PREFIX, false},
};

static void release_pattern(void *pattern)
{
    pattern_destroy(pattern);
}

static void compile_pattern(struct loader *loader, struct place place, bool nocase, struct location *location)
{
    char error[256];
    void **slot = arena_slot(loader->keep, release_pattern);

    if (pattern_compile(location->path.p, nocase, &location->pattern, error, sizeof error) != 0) {
        errors_add(loader->errors, place, "the regular expression \"%s\" has a fault: %s", location->path.p,
                   error);
        location->pattern = NULL;
    }
    *slot = location->pattern;
}

static void read_path(struct loader *loader, struct place place, const char *text, struct location *location)
{
    const struct modifier *modifier = modifiers;

    while (strncmp(text, modifier->text, strlen(modifier->text)) != 0)
        modifier++;
    const char *path = text + strlen(modifier->text);
    path += strspn(path, " \t");
    location->match = modifier->match;
    location->path.len = strlen(path);
    location->path.p = arena_copy(loader->keep, path, location->path.len);
    if (modifier->match == MATCH_REGEX && *path != '\0')
        compile_pattern(loader, place, modifier->nocase, location);
    else if (*path != '/')
        errors_add(loader->errors, place,
                   "\"path\" is \"%s\", but must begin with \"/\", \"= /\", \"^~ /\", \"~ \" or \"~* \"",
                   text);
}

static void read_redirect(struct loader *loader, const struct node *group, struct location *location)
{
    const struct node *status = node_member(group, "status");

    location->action = ACTION_REDIRECT;
    switch (location->redirect.status) {
    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
        return;
    }
    errors_add(loader->errors, status == NULL ? group->place : status->place,
               "the status of a redirect must be 301, 302, 303, 307 or 308");
}

/* Exactly one of the three. */
static void read_action(struct loader *loader, const struct node *group, const char *url,
                        struct location *location)
{
    const struct node *proxy = node_member(group, "proxy_pass");
    const struct node *respond = node_member(group, "respond");
    const struct node *redirect = node_member(group, "redirect");
    int n = (proxy != NULL) + (respond != NULL) + (redirect != NULL);

    if (n != 1) {
        errors_add(loader->errors, group->place, "a location must have %s proxy_pass, respond and redirect",
                   n == 0 ? "one of" : "only one of");
        return;
    }
    location->action = ACTION_PROXY;
    if (respond != NULL)
        location->action = ACTION_RESPOND;
    else if (redirect != NULL)
        read_redirect(loader, redirect, location);
    else if (url != NULL)
        proxy_pass_read(loader, proxy->place, url, location);
}

static void read_location(struct loader *loader, const struct node *group, const struct site_headers *headers,
                          struct location *location)
{
    const struct node *path = node_member(group, "path");
    struct text text = {0};
    struct targets targets = {
        .at = {[INTO_SETTINGS] = &location->settings, [INTO_LOCATION] = location, [INTO_TEXT] = &text}};

    reader_defaults(loader, CONTEXT_LOCATION, &targets);
    reader_group(loader, group, CONTEXT_LOCATION, &targets, NULL);
    if (text.path != NULL)
        read_path(loader, path->place, text.path, location);
    read_action(loader, group, text.proxy_pass, location);
    location->request_headers = headers_read(loader, group, "set_headers", &headers->request);
    location->response_headers = headers_read(loader, group, "set_response_headers", &headers->response);
}

/* Of two locations that match the same paths in the same way, one could never be meant. */
static bool is_same(const struct location *a, const struct location *b)
{
    bool exact = a->match == MATCH_EXACT;

    return a->path.p != NULL && b->path.p != NULL && a->match != MATCH_REGEX && b->match != MATCH_REGEX &&
           exact == (b->match == MATCH_EXACT) && span_equals(a->path, b->path);
}

static void check_duplicates(struct loader *loader, const struct node *nodes, const struct site *site,
                             size_t index)
{
    for (size_t i = 0; i < index; i++) {
        struct place first = nodes[i].place;

        if (!is_same(&site->locations[i], &site->locations[index]))
            continue;
        errors_add(loader->errors, nodes[index].place,
                   "the location \"%s\" stands twice in its site: first in %s:%u",
                   site->locations[index].path.p, first.file->name, first.line);
        return;
    }
}

void locations_read(struct loader *loader, const struct node *group, const struct site_headers *headers,
                    struct site *site)
{
    struct node nodes = reader_member(group, "locations", NODE_LIST);

    loader->n_locations += nodes.n;
    if (loader->n_locations > LOAD_LOCATIONS_MAX) {
        errors_add(loader->errors, group->place, "more than %u sites and locations", LOAD_LOCATIONS_MAX);
        return;
    }
    site->locations = arena_alloc(loader->keep, nodes.n, sizeof site->locations[0]);
    site->n_locations = nodes.n;
    for (size_t i = 0; i < nodes.n; i++) {
        site->locations[i].settings = site->settings;
        if (nodes.children[i].kind == NODE_GROUP)
            read_location(loader, &nodes.children[i], headers, &site->locations[i]);
        check_duplicates(loader, nodes.children, site, i);
    }
}
