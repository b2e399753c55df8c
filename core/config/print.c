/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * config_print: the snapshot in the words of the file, driven by the schema. What is inherited stands where
 * it applies, so what is printed can be read again, and printed again the same. Control thread. Never changes
 * the snapshot.
 */
#include "config/capabilities.h"
#include "config/groups.h"
#include "config/listens.h"
#include "config/load.h"
#include "config/value.h"
#include "upstream/server_address.h"

#include <stdlib.h>

/* Where the text goes, and how deep. */
struct printer {
    FILE *out;
    unsigned depth;
    bool secrets; /* are printed */
};

static void print_line_start(const struct printer *p)
{
    fprintf(p->out, "%*s", (int)(p->depth * 2), "");
}

static void print_open(struct printer *p, const char *name, const char *bracket)
{
    print_line_start(p);
    if (name != NULL)
        fprintf(p->out, "%s%s", name, bracket[0] == '{' ? ": " : " = ");
    fprintf(p->out, "%s\n", bracket);
    p->depth++;
}

static void print_close(struct printer *p, const char *bracket)
{
    p->depth--;
    print_line_start(p);
    fprintf(p->out, "%s\n", bracket);
}

/* The end of a list's member; libconfig 1.5 takes no comma behind the last one. */
static void print_member_close(struct printer *p, bool last)
{
    print_close(p, last ? "}" : "},");
}

static void print_key(const struct printer *p, const struct key *key, const void *field)
{
    if (!value_is_present(key, field))
        return;
    print_line_start(p);
    fprintf(p->out, "%s = ", key->name);
    if ((key->flags & KEY_SECRET) != 0 && !p->secrets)
        value_print_string(CONFIG_SECRET_MASK, p->out);
    else
        value_print(key, field, p->out);
    fputs(";\n", p->out);
}

/* All single values of a context; targets that are NULL are left out. */
static void print_values(const struct printer *p, enum context context, const struct targets *targets)
{
    size_t n;
    const struct key *keys = schema_keys(&n);

    for (size_t i = 0; i < n; i++)
        if (schema_stands_in(&keys[i], context) && value_is_single(&keys[i]) &&
            targets->at[keys[i].into] != NULL)
            print_key(p, &keys[i], (char *)targets->at[keys[i].into] + keys[i].offset);
}

static void print_group(struct printer *p, const char *name, enum context context,
                        const struct targets *targets)
{
    print_open(p, name, "{");
    print_values(p, context, targets);
    print_close(p, "};");
}

static void print_server(struct printer *p, const struct server_entry *server, bool last)
{
    struct server_entry copy = *server;
    struct targets targets = {.at = {[INTO_SERVER] = &copy}};

    print_open(p, NULL, "{");
    print_values(p, CONTEXT_SERVER, &targets);
    print_member_close(p, last);
}

static void print_rules(struct printer *p, const char *name, const struct header_rules *rules);

static void print_expect(const struct printer *p, const struct health_spec *spec)
{
    print_line_start(p);
    fputs("expect = [", p->out);
    for (size_t i = 0; i < spec->n_expect; i++) {
        const struct health_range *range = &spec->expect[i];

        fprintf(p->out, range->from == range->to ? "%s \"%u\"" : "%s \"%u-%u\"", i > 0 ? "," : "", range->from,
                range->to);
    }
    fputs(" ];\n", p->out);
}

static void print_checks(struct printer *p, struct checks *checks)
{
    struct targets targets = {.at = {[INTO_CHECKS] = checks}};

    if (!checks->written)
        return;
    print_open(p, "health", "{");
    print_values(p, CONTEXT_HEALTH, &targets);
    if (checks->spec.type == HEALTH_HTTP)
        print_expect(p, &checks->spec);
    print_rules(p, "headers", &checks->headers);
    print_close(p, "};");
}

static void print_upstream(struct printer *p, struct upstream *upstream)
{
    struct targets targets = {.at = {[INTO_POOL] = &upstream->spec, [INTO_GROUP] = &upstream->group}};

    print_open(p, upstream->name, "{");
    print_values(p, CONTEXT_UPSTREAM, &targets);
    for (size_t i = 0; i < upstream->n_options; i++)
        print_key(p, &upstream->option_keys[i], &upstream->options[i]);
    print_checks(p, &upstream->checks);
    print_open(p, "retry", "{");
    print_line_start(p);
    groups_print_causes(&upstream->group, p->out);
    print_values(p, CONTEXT_RETRY, &targets);
    print_close(p, "};");
    print_open(p, "passive", "{");
    print_line_start(p);
    groups_print_statuses(&upstream->group, p->out);
    print_values(p, CONTEXT_PASSIVE, &targets);
    print_close(p, "};");
    print_group(p, "queue", CONTEXT_QUEUE, &targets);
    print_group(p, "sticky", CONTEXT_STICKY, &targets);
    print_open(p, "servers", "(");
    for (size_t i = 0; i < upstream->n_entries; i++)
        print_server(p, &upstream->entries[i], i + 1 == upstream->n_entries);
    print_close(p, ");");
    print_close(p, "};");
}

static void print_upstreams(struct printer *p, const struct storage *storage)
{
    print_open(p, "upstreams", "{");
    for (size_t i = 0; i < storage->n_upstreams; i++)
        if (storage->upstreams[i]->written)
            print_upstream(p, storage->upstreams[i]);
    print_close(p, "};");
}

static void print_resolver(struct printer *p, const struct config *config, const struct targets *targets)
{
    const struct resolver_settings *settings = &config->resolver;
    char text[SERVER_NAME_MAX];

    print_open(p, "resolver", "{");
    if (settings->n_servers > 0) {
        print_line_start(p);
        fputs("servers = [", p->out);
        for (size_t i = 0; i < settings->n_servers; i++) {
            fputs(i > 0 ? ", " : " ", p->out);
            value_print_string(server_address_print(&settings->servers[i], text, sizeof text), p->out);
        }
        fputs(" ];\n", p->out);
    }
    print_values(p, CONTEXT_RESOLVER, targets);
    print_close(p, "};");
}

static void print_rule(struct printer *p, const struct header_rule *rule, bool last)
{
    struct text text = {.name = rule->name.p, .value = rule->value == NULL ? "" : rule->value->source.p};
    struct targets targets = {.at = {[INTO_TEXT] = &text}};

    print_open(p, NULL, "{");
    print_values(p, CONTEXT_HEADER, &targets);
    print_member_close(p, last);
}

static void print_rules(struct printer *p, const char *name, const struct header_rules *rules)
{
    if (rules->n == 0)
        return;
    print_open(p, name, "(");
    for (size_t i = 0; i < rules->n; i++)
        print_rule(p, &rules->rules[i], i + 1 == rules->n);
    print_close(p, ");");
}

static const char *modifier_of(const struct location *location)
{
    switch (location->match) {
    case MATCH_EXACT:
        return "= ";
    case MATCH_PREFIX_STOP:
        return "^~ ";
    case MATCH_REGEX:
        return pattern_is_nocase(location->pattern) ? "~* " : "~ ";
    case MATCH_PREFIX:
        break;
    }
    return "";
}

/* The path with its modifier; the caller frees it. NULL when memory is short. */
static char *write_path(const struct location *location)
{
    char *path;

    return asprintf(&path, "%s%s", modifier_of(location), location->path.p) < 0 ? NULL : path;
}

static void print_location(struct printer *p, const struct location *location, bool last)
{
    char *path = write_path(location);
    struct location copy = *location;
    struct text text = {.path = path,
                        .proxy_pass = location->action == ACTION_PROXY ? location->proxy.url : NULL};
    struct targets first = {.at = {[INTO_TEXT] = &text}};
    struct targets targets = {.at = {[INTO_LOCATION] = &copy, [INTO_SETTINGS] = &copy.settings}};

    print_open(p, NULL, "{");
    print_values(p, CONTEXT_LOCATION, &first);
    print_values(p, CONTEXT_LOCATION, &targets);
    if (location->action == ACTION_RESPOND)
        print_group(p, "respond", CONTEXT_RESPOND, &targets);
    if (location->action == ACTION_REDIRECT)
        print_group(p, "redirect", CONTEXT_REDIRECT, &targets);
    print_rules(p, "set_headers", &location->request_headers);
    print_rules(p, "set_response_headers", &location->response_headers);
    print_member_close(p, last);
    free(path);
}

/* One string per address that has the site; the default is always named, as the order of sites may differ
 * between files. */
static void print_listens(const struct printer *p, const struct config *config, const struct site *site)
{
    const char *separator = "";

    print_line_start(p);
    fputs("listen = [", p->out);
    for (size_t i = 0; i < config->n_listens; i++) {
        const struct listen *listen = &config->listens[i];
        size_t k = 0;

        while (k < listen->n_sites && listen->sites[k] != site)
            k++;
        if (k == listen->n_sites)
            continue;
        fprintf(p->out, "%s ", separator);
        separator = ",";
        char text[256];
        bool is_default = listen->default_site == site;
        int len = snprintf(text, sizeof text, "%s%s", listen->name, is_default ? " default_server" : "");
        if (is_default && listen->backlog != LISTEN_BACKLOG)
            snprintf(text + len, sizeof text - (size_t)len, " backlog=%d", listen->backlog);
        value_print_string(text, p->out);
    }
    fputs(" ];\n", p->out);
}

static void print_names(const struct printer *p, const struct site *site)
{
    print_line_start(p);
    fputs("server_name = [", p->out);
    for (size_t i = 0; i < site->n_names; i++) {
        fputs(i > 0 ? ", " : " ", p->out);
        value_print_string(site->names[i].p, p->out);
    }
    fputs(" ];\n", p->out);
}

static void print_pages(struct printer *p, const struct site *site, const char *const *files)
{
    if (site->n_error_pages == 0)
        return;
    print_open(p, "error_pages", "(");
    for (size_t i = 0; i < site->n_error_pages; i++) {
        struct text text = {.file = files[i], .content_type = site->error_pages[i].content_type};
        struct targets targets = {.at = {[INTO_TEXT] = &text}};

        print_open(p, NULL, "{");
        print_line_start(p);
        fprintf(p->out, "status = [ %d ];\n", site->error_pages[i].status);
        print_values(p, CONTEXT_ERROR_PAGE, &targets);
        print_member_close(p, i + 1 == site->n_error_pages);
    }
    print_close(p, ");");
}

static void print_site(struct printer *p, const struct config *config, size_t index)
{
    const struct storage *storage = config->memory;
    struct site *site = &config->sites[index];
    struct targets targets = {.at = {[INTO_SETTINGS] = &site->settings}};

    print_open(p, NULL, "{");
    print_listens(p, config, site);
    print_names(p, site);
    print_values(p, CONTEXT_SITE, &targets);
    print_pages(p, site, storage->page_files[index]);
    if (site->n_locations > 0) {
        print_open(p, "locations", "(");
        for (size_t i = 0; i < site->n_locations; i++)
            print_location(p, &site->locations[i], i + 1 == site->n_locations);
        print_close(p, ");");
    }
    print_member_close(p, index + 1 == config->n_sites);
}

/* Its sites are printed below, and would be there twice: so the directory is told in a comment, where fairlead-site finds it. */
static void print_sites_dir(const char *directory, FILE *out)
{
    if (directory == NULL)
        return;
    fputs("# sites_enabled = ", out);
    value_print_string(directory, out);
    fputs("\n", out);
}

void config_print(const struct config *config, bool secrets, FILE *out)
{
    struct printer printer = {out, 0, secrets};
    struct config copy = *config;
    struct storage storage = *(const struct storage *)config->memory;
    struct targets targets = {
        .at = {[INTO_CONFIG] = &copy, [INTO_STORAGE] = &storage, [INTO_SETTINGS] = &copy.settings}};

    print_sites_dir(storage.sites_dir, out);
    print_values(&printer, CONTEXT_MAIN, &targets);
    capabilities_print(config->capabilities, out);
    print_group(&printer, "log", CONTEXT_LOG, &targets);
    print_group(&printer, "control", CONTEXT_CONTROL, &targets);
    print_group(&printer, "engine", CONTEXT_ENGINE, &targets);
    print_resolver(&printer, config, &targets);
    print_upstreams(&printer, &storage);
    print_open(&printer, "sites", "(");
    for (size_t i = 0; i < config->n_sites; i++)
        print_site(&printer, config, i);
    print_close(&printer, ");");
}
