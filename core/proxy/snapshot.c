/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Making, handing on, and letting go of snapshots; see snapshot.h. */
#include "proxy/snapshot.h"

#include "engine/worker.h"
#include "http/h1.h"
#include "proxy/listening.h"
#include "proxy/queue.h"
#include "proxy/sticky.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct loaded {
    unsigned refs;
    struct config *config; /* owned */
    struct router *router; /* owned */
};

struct loaded *loaded_create(struct config *config)
{
    struct loaded *loaded = calloc(1, sizeof(*loaded));

    if (!loaded || router_create(config, &loaded->router) != 0) {
        free(loaded);
        config_destroy(config);
        return NULL;
    }
    loaded->config = config;
    loaded->refs = 1;
    return loaded;
}

struct loaded *loaded_get(struct loaded *loaded)
{
    loaded->refs++;
    return loaded;
}

void loaded_put(struct loaded *loaded)
{
    if (!loaded)
        return;
    assert(loaded->refs > 0);
    if (--loaded->refs > 0)
        return;
    router_destroy(loaded->router);
    config_destroy(loaded->config);
    free(loaded);
}

struct config *loaded_config(const struct loaded *loaded)
{
    return loaded->config;
}

/* Making. */

size_t snapshot_find_listener(const struct snapshot *snapshot, const void *identity)
{
    size_t i = 0;

    while (i < snapshot->n_listeners && snapshot->listeners[i].identity != identity)
        i++;
    return i;
}

size_t snapshot_find_group(const struct snapshot *snapshot, const char *name, size_t hint)
{
    size_t i = 0;

    if (hint < snapshot->n_groups && strcmp(snapshot->config->groups[hint]->spec.name, name) == 0)
        return hint;
    while (i < snapshot->n_groups && strcmp(snapshot->config->groups[i]->spec.name, name) != 0)
        i++;
    return i;
}

static int add_listening(struct view *view, size_t index, int fd)
{
    struct listening *listening = listening_create(view, &view->snapshot->config->listens[index], &view->snapshot->listeners[index], fd);

    if (!listening)
        return -ENOMEM;
    listening->next = view->fresh;
    view->fresh = listening;
    return 0;
}

/* A socket in a worker's hand for each listener that is new. */
static int create_listenings(struct snapshot *snapshot, const struct snapshot *previous)
{
    int error = 0;

    for (size_t i = 0; i < snapshot->n_listeners; i++) {
        const struct snapshot_listener *listener = &snapshot->listeners[i];

        if (previous && snapshot_find_listener(previous, listener->identity) < previous->n_listeners)
            continue;
        for (unsigned w = 0; w < snapshot->n_workers; w++)
            for (unsigned k = 0; error == 0 && k < listener->n_fds; k++)
                if (snapshot_listener_is_for(listener->n_fds, k, w, snapshot->n_workers))
                    error = add_listening(&snapshot->views[w], i, listener->fds[k]);
    }
    return error;
}

static int create_views(struct snapshot *snapshot)
{
    const struct config *config = snapshot->config;
    size_t n_fields = config->client_header_count > config->upstream_header_count ? config->client_header_count
                                                                                   : config->upstream_header_count;

    snapshot->views = aligned_alloc(_Alignof(struct view), snapshot->n_workers * sizeof(struct view));
    if (!snapshot->views)
        return -ENOMEM;
    memset(snapshot->views, 0, snapshot->n_workers * sizeof(struct view));
    for (unsigned i = 0; i < snapshot->n_workers; i++) {
        snapshot->views[i].snapshot = snapshot;
        snapshot->views[i].fields = calloc(n_fields, sizeof(struct field));
        if (!snapshot->views[i].fields)
            return -ENOMEM;
    }
    return 0;
}

static int create_lines(struct snapshot *snapshot, const struct snapshot_parts *parts, const struct snapshot *previous)
{
    const struct config *config = snapshot->config;

    for (size_t i = 0; i < snapshot->n_groups; i++) {
        size_t before = previous ? snapshot_find_group(previous, config->groups[i]->spec.name, i) : 0;

        snapshot->lines[i] = previous && before < previous->n_groups
                                 ? line_get(previous->lines[before])
                                 : line_create(config->groups[i], parts->workers, parts->n_workers);
        if (!snapshot->lines[i])
            return -ENOMEM;
    }
    return 0;
}

static int copy_listeners(struct snapshot *snapshot, const struct snapshot_parts *parts)
{
    size_t n = snapshot->config->n_listens;

    snapshot->listeners = calloc(n ? n : 1, sizeof(*snapshot->listeners));
    if (!snapshot->listeners)
        return -ENOMEM;
    if (n > 0)
        memcpy(snapshot->listeners, parts->listeners, n * sizeof(*snapshot->listeners));
    snapshot->n_listeners = n;
    return 0;
}

static int build(struct snapshot *snapshot, const struct snapshot_parts *parts, const struct snapshot *previous)
{
    size_t n = snapshot->n_groups ? snapshot->n_groups : 1;
    struct sticky_values *sticky = NULL;
    int error;

    snapshot->pools = calloc(n, sizeof(*snapshot->pools));
    snapshot->lines = calloc(n, sizeof(*snapshot->lines));
    if (!snapshot->pools || !snapshot->lines)
        return -ENOMEM;
    error = sticky_create(snapshot->config, parts->pools, parts->secret, &sticky);
    snapshot->sticky = sticky;
    if (!error)
        error = create_views(snapshot);
    if (!error)
        error = create_lines(snapshot, parts, previous);
    if (!error)
        error = copy_listeners(snapshot, parts);
    if (!error)
        error = create_listenings(snapshot, previous);
    return error;
}

int snapshot_create(const struct snapshot_parts *parts, const struct snapshot *previous, struct snapshot **result)
{
    struct snapshot *snapshot = calloc(1, sizeof(*snapshot));
    int error;

    if (!snapshot)
        return -ENOMEM;
    snapshot->loaded = loaded_get(parts->loaded);
    snapshot->config = parts->loaded->config;
    snapshot->router = parts->loaded->router;
    snapshot->n_groups = snapshot->config->n_groups;
    snapshot->n_workers = parts->n_workers;
    atomic_init(&snapshot->users, parts->n_workers);
    error = build(snapshot, parts, previous);
    if (error) {
        (void)snapshot_destroy(snapshot);
        return error;
    }
    for (size_t i = 0; i < snapshot->n_groups; i++)
        snapshot->pools[i] = parts->pools[i];
    *result = snapshot;
    return 0;
}

/* Also takes what snapshot_create had made before it failed: everything not made yet is zero. */
struct server_state *snapshot_destroy(struct snapshot *snapshot)
{
    struct server_state *orphans = NULL, **end = &orphans;

    for (unsigned i = 0; snapshot->views && i < snapshot->n_workers; i++) {
        listenings_destroy(snapshot->views[i].fresh);
        free(snapshot->views[i].fields);
    }
    for (size_t i = 0; snapshot->lines && i < snapshot->n_groups; i++)
        line_put(snapshot->lines[i]);
    for (size_t i = 0; snapshot->pools && i < snapshot->n_groups; i++) {
        *end = snapshot->pools[i] ? pool_put(snapshot->pools[i]) : NULL;
        while (*end)
            end = &(*end)->next;
    }
    sticky_destroy((struct sticky_values *)(uintptr_t)snapshot->sticky);
    free(snapshot->views);
    free(snapshot->lines);
    free(snapshot->pools);
    free(snapshot->listeners);
    loaded_put(snapshot->loaded);
    free(snapshot);
    return orphans;
}

/* Letting go. */

bool snapshot_is_unused(const struct snapshot *snapshot)
{
    return atomic_load_explicit(&snapshot->users, memory_order_acquire) == 0;
}

static void farewell(void *worker, void *argument)
{
    struct snapshot *snapshot = argument;

    (void)worker;
    atomic_fetch_sub_explicit(&snapshot->farewells, 1, memory_order_release);
}

bool snapshot_say_farewell(struct snapshot *snapshot, struct worker *const *workers, unsigned *next)
{
    if (*next == 0)
        atomic_store_explicit(&snapshot->farewells, snapshot->n_workers, memory_order_relaxed); /* the letters publish it */
    for (; *next < snapshot->n_workers; (*next)++)
        if (mailbox_post(&workers[*next]->mailbox, (struct letter){farewell, snapshot}) != 0)
            return false;
    return true;
}

bool snapshot_is_left(const struct snapshot *snapshot)
{
    return atomic_load_explicit(&snapshot->farewells, memory_order_acquire) == 0;
}

/* Release: the last use of the snapshot happened before. */
static void leave(struct view *view)
{
    atomic_fetch_sub_explicit(&view->snapshot->users, 1, memory_order_release);
}

void view_put(struct view *view)
{
    assert(view->refs > 0);
    if (--view->refs == 0 && !view->current)
        leave(view);
}

void view_retire(struct view *view)
{
    assert(view->current);
    view->current = false;
    if (view->refs == 0)
        leave(view);
}
