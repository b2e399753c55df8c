/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Servers; see servers.h. A name that is asked for again stays one member, whatever addresses it has. With `resolve = false` each
 * address is a server like any other, as nginx has it; it is then getaddrinfo that is asked, which knows more
 * sources than the DNS, but neither SRV nor a TTL.
 */
#include "config/servers.h"
#include "config/address.h"
#include "config/reader.h"
#include "config/upstreams.h"
#include "upstream/server_address.h"

static void add_member(struct loader *loader, struct server_list *list, const struct server_spec *spec, const struct named_server *named)
{
    list->members =
        arena_grow(loader->scratch, list->members, &list->room, list->n + 1, sizeof list->members[0]);
    list->members[list->n++] = (struct member){*spec, named};
}

/* How the sentence about a name that is not found ends. */
static const char *describe(struct loader *loader, const char *name)
{
    const char *nearest = upstreams_nearest(loader->storage, name);

    if (nearest == NULL || strcmp(nearest, name) == 0)
        return arena_printf(loader->scratch, "upstream \"%s\"", name);
    return arena_printf(loader->scratch, "upstream \"%s\"; did you mean the upstream \"%s\"?", name, nearest);
}

/* Servers that are there to stay. Several addresses of a name go by themselves. */
static void add_fixed(struct loader *loader, const struct addresses *addresses,
                      const struct server_spec *spec, struct server_list *list)
{
    struct server_spec server = *spec;

    for (size_t i = 0; i < addresses->n; i++) {
        server.address = addresses->list[i];
        server.name = addresses->n == 1 ? addresses->name : address_print(loader, &addresses->list[i]);
        add_member(loader, list, &server, NULL);
    }
}

/* What an SRV record gave once and for all. */
static void add_found(struct loader *loader, const struct named_server *named, const struct server_spec *spec, struct server_list *list)
{
    char name[SERVER_NAME_MAX];

    for (size_t i = 0; i < named->found.n; i++) {
        const struct wanted *wanted = &named->found.entries[i];
        struct server_spec server = *spec;

        server.address = wanted->address;
        server.share = wanted->share;
        server.backup = spec->backup || wanted->backup;
        server_address_print(&wanted->address, name, sizeof name);
        server.name = arena_copy(loader->keep, name, strlen(name));
        add_member(loader, list, &server, NULL);
    }
}

static void add_named(struct loader *loader, struct place place, struct server_entry *entry,
                      const struct addresses *addresses, struct server_list *list)
{
    const struct load_hooks *hooks = loader->hooks;
    struct resolve_answer *answer = arena_alloc(loader->scratch, 1, sizeof *answer);
    struct named_server *named = arena_alloc(loader->keep, 1, sizeof *named);
    const char *what = describe(loader, entry->spec.name);
    int error;

    *named = (struct named_server){.host = addresses->host, .port = addresses->port, .srv = entry->srv};
    entry->spec.name = entry->srv ? addresses->host : addresses->name;
    error =
        hooks->ask(hooks->context, &loader->config->resolver, named->host, named->port, named->srv, answer);
    if (error != 0 || answer->failure != NULL) {
        errors_add(loader->errors, place, "host not found in %s (%s)", what,
                   error != 0 ? strerror(-error) : answer->failure);
        return;
    }
    named->found.n_places = entry->n_addresses;
    named->found.n_backup = entry->srv && !entry->spec.backup ? entry->n_addresses : 0;
    named->found.entries = arena_alloc(loader->keep, named->found.n_places + named->found.n_backup,
                                       sizeof named->found.entries[0]);
    wanted_of_answer(&named->found, answer);
    named->ttl_ms = answer->ttl_ms;
    named->partial = answer->partial;
    if (entry->resolve)
        add_member(loader, list, &entry->spec, named);
    else
        add_found(loader, named, &entry->spec, list);
}

static bool check_srv(struct loader *loader, struct place place, const struct server_entry *entry,
                      const struct addresses *addresses)
{
    if (!entry->srv)
        return true;
    if (addresses->n > 0)
        errors_add(loader->errors, place, "\"%s\" is no name, and \"srv\" needs one", entry->spec.name);
    else if (addresses->has_port)
        errors_add(loader->errors, place, "\"%s\" gets its ports from SRV records: leave out \":%u\"",
                   entry->spec.name, (unsigned)addresses->port);
    else
        return true;
    return false;
}

void servers_add(struct loader *loader, struct place place, struct server_entry *entry,
                 struct server_list *list)
{
    struct addresses addresses;

    /* When the list of findings is full, nothing is gained by asking for more names. */
    if (errors_is_full(loader->errors) ||
        !address_parse(loader, place, entry->spec.name, ADDRESS_PORT, &addresses))
        return;
    entry->srv = entry->srv || (addresses.n == 0 && addresses.host[0] == '_');
    if (!check_srv(loader, place, entry, &addresses))
        return;
    if (addresses.n == 0 && (entry->resolve || entry->srv)) {
        add_named(loader, place, entry, &addresses, list);
        return;
    }
    if (addresses.n == 0 && !address_resolve(loader, place, describe(loader, entry->spec.name), &addresses))
        return;
    entry->spec.name = addresses.name;
    add_fixed(loader, &addresses, &entry->spec, list);
}

void servers_read(struct loader *loader, const struct node *group, struct upstream *upstream,
                  struct server_list *list)
{
    struct node nodes = reader_member(group, "servers", NODE_LIST);

    for (size_t i = 0; i < nodes.n; i++) {
        const struct node *node = &nodes.children[i];
        const struct node *address = node_member(node, "address");
        struct server_entry entry = {0};
        struct targets targets = {.at = {[INTO_SERVER] = &entry}};

        reader_defaults(loader, CONTEXT_SERVER, &targets);
        reader_group(loader, node, CONTEXT_SERVER, &targets, NULL);
        if (entry.spec.name == NULL)
            continue;
        servers_add(loader, address->place, &entry, list);
        upstream->entries = arena_grow(loader->keep, upstream->entries, &list->entries_room,
                                       upstream->n_entries + 1, sizeof upstream->entries[0]);
        upstream->entries[upstream->n_entries++] = entry;
    }
}
