/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One array for the sites of all files, since listens and the proxy point into it; then each site with its
 * names, settings, locations and pages. Control thread.
 */
#include "config/sites.h"
#include "config/error_pages.h"
#include "config/headers.h"
#include "config/locations.h"
#include "config/reader.h"

/* A host name with at most one "*", as its first or its last label; or "_", or "". */
static bool is_server_name(const char *name)
{
    size_t len = strlen(name);
    const char *star = strchr(name, '*');

    if (len == 0 || strcmp(name, "_") == 0)
        return true;
    if (name[0] == '[') /* an IPv6 literal, as it stands in Host */
        return len > 2 && strspn(name + 1, "0123456789abcdef:.") == len - 2 && name[len - 1] == ']';
    if (len > 255 || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.*") != len)
        return false;
    if (name[0] == '.' || name[len - 1] == '.' || strstr(name, "..") != NULL)
        return false;
    if (star == NULL)
        return true;
    if (strchr(star + 1, '*') != NULL || len < 3)
        return false;
    return (star == name && star[1] == '.') || (star[1] == '\0' && star[-1] == '.');
}

static void read_name(struct loader *loader, const struct node *node, struct site *site)
{
    size_t len = strlen(node->string);
    char *name = arena_copy(loader->keep, node->string, len);

    for (char *p = name; *p != '\0'; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p - 'A' + 'a');
    if (is_server_name(name))
        site->names[site->n_names++] = (struct span){name, len};
    else if (name[0] == '~')
        errors_add(loader->errors, node->place, "a server name cannot be a regular expression");
    else
        errors_add(loader->errors, node->place,
                   "\"%s\" is not a server name: wanted is \"example.com\", \"*.example.com\" or \"www.*\"",
                   node->string);
}

static void read_names(struct loader *loader, const struct node *group, struct site *site)
{
    const struct node *node = node_member(group, "server_name");

    if (node == NULL)
        return;
    size_t n = node->kind == NODE_LIST ? node->n : 1;
    const struct node *nodes = node->kind == NODE_LIST ? node->children : node;
    site->names = arena_alloc(loader->keep, n, sizeof site->names[0]);
    for (size_t i = 0; i < n; i++)
        if (nodes[i].kind == NODE_STRING)
            read_name(loader, &nodes[i], site);
}

static void read_site(struct loader *loader, const struct node *group, struct site *site,
                      const char ***page_files)
{
    const struct header_rules none = {0};
    struct targets targets = {.at = {[INTO_SETTINGS] = &site->settings}};

    site->file = group->place.file->name;
    site->line = group->place.line;
    site->settings = loader->config->settings;
    reader_defaults(loader, CONTEXT_SITE, &targets);
    reader_group(loader, group, CONTEXT_SITE, &targets, NULL);
    read_names(loader, group, site);
    struct site_headers headers = {
        .request = headers_read(loader, group, "set_headers", &none),
        .response = headers_read(loader, group, "set_response_headers", &none),
    };
    locations_read(loader, group, &headers, site);
    *page_files = error_pages_read(loader, group, site);
}

/* False with the finding added when there are too many. */
static bool count_sites(struct loader *loader)
{
    size_t n = 0;

    for (size_t i = 0; i < loader->n_documents; i++) {
        struct node sites = reader_member(loader->documents[i], "sites", NODE_LIST);

        n += sites.n;
        if (n > LOAD_LOCATIONS_MAX) {
            errors_add(loader->errors, loader->documents[i]->place, "more than %u sites and locations",
                       LOAD_LOCATIONS_MAX);
            return false;
        }
    }
    loader->config->n_sites = loader->n_locations = n;
    return true;
}

void sites_read(struct loader *loader)
{
    struct config *config = loader->config;
    size_t next = 0;

    if (!count_sites(loader))
        return;
    config->sites = arena_alloc(loader->keep, config->n_sites, sizeof config->sites[0]);
    loader->storage->page_files =
        arena_alloc(loader->keep, config->n_sites, sizeof loader->storage->page_files[0]);
    loader->drafts = arena_alloc(loader->scratch, config->n_sites, sizeof loader->drafts[0]);
    for (size_t i = 0; i < loader->n_documents; i++) {
        struct node sites = reader_member(loader->documents[i], "sites", NODE_LIST);

        for (size_t k = 0; k < sites.n; k++, next++) {
            loader->drafts[next] = (struct draft){&sites.children[k], &config->sites[next]};
            if (sites.children[k].kind == NODE_GROUP)
                read_site(loader, &sites.children[k], &config->sites[next],
                          &loader->storage->page_files[next]);
        }
    }
}
