/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From members and addresses to the specification of a pool; see compose.h. */
#include "config/compose.h"

#include "upstream/server_address.h"

#include <errno.h>
#include <stdlib.h>

static const struct wanted_list *list_of(const struct group *group, const struct wanted_list *const *lists, size_t member)
{
    return lists && lists[member] ? lists[member] : &group->members[member].named->found;
}

static size_t count_servers(const struct group *group, const struct wanted_list *const *lists)
{
    size_t n = 0;

    for (size_t i = 0; i < group->n_members; i++)
        n += group->members[i].named ? list_of(group, lists, i)->n : 1;
    return n;
}

static void add_named(struct composition *result, const struct member *member, const struct wanted_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        const struct wanted *wanted = &list->entries[i];
        size_t position = result->spec.n_servers++;
        struct server_spec *server = &result->servers[position];

        *server = member->spec;
        server->address = wanted->address;
        server->share = wanted->share;
        server->backup = member->spec.backup || wanted->backup;
        server->name = server_address_print(&wanted->address, result->names[position], SERVER_NAME_MAX);
    }
}

int compose(const struct group *group, const struct wanted_list *const *lists, size_t spare, struct composition *result)
{
    size_t n = count_servers(group, lists) + spare;

    *result = (struct composition){.spec = group->spec, .room = n};
    result->servers = calloc(n ? n : 1, sizeof(*result->servers));
    result->names = calloc(n ? n : 1, sizeof(*result->names));
    if (!result->servers || !result->names)
        return -ENOMEM;
    result->spec.servers = result->servers;
    result->spec.n_servers = 0;
    for (size_t i = 0; i < group->n_members; i++) {
        const struct member *member = &group->members[i];

        if (member->named)
            add_named(result, member, list_of(group, lists, i));
        else
            result->servers[result->spec.n_servers++] = member->spec;
    }
    return 0;
}

void compose_fini(struct composition *composition)
{
    free(composition->servers);
    free(composition->names);
    *composition = (struct composition){0};
}
