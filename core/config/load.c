/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The order of loading: the main file, the files of sites_enabled, upstreams, sites, listens, and what
 * concerns several keys. Control thread. Gives a whole snapshot or none.
 */
#include "config/load.h"
#include "config/capabilities.h"
#include "config/listens.h"
#include "config/logs.h"
#include "config/reader.h"
#include "config/resolver.h"
#include "config/sites.h"
#include "config/source.h"
#include "config/trust.h"
#include "config/upstreams.h"
#include "config/value.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#define WORKERS_MAX 512

const char *load_path(struct loader *loader, struct place place, const char *path)
{
    const char *file = place.file == NULL ? "" : place.file->name, *slash = strrchr(file, '/');

    if (path[0] == '/' || slash == NULL)
        return path;
    return arena_printf(loader->scratch, "%.*s/%s", (int)(slash - file), file, path);
}

const char *load_kept_path(struct loader *loader, struct place place, const char *path)
{
    char directory[4096];
    const char *joined = load_path(loader, place, path);

    if (joined[0] == '/' || getcwd(directory, sizeof directory) == NULL)
        return arena_copy(loader->keep, joined, strlen(joined));
    return arena_printf(loader->keep, "%s/%s", directory, joined);
}

/* Returns 0, -ENOENT or -EINVAL. */
static int read_document(struct loader *loader, const char *path, enum context context,
                         const struct targets *targets)
{
    struct source source;
    const struct node *root;
    int result = source_read(loader, path, &source);

    if (result == 0)
        result = document_parse(&source, loader->scratch, loader->errors, &root);
    if (result != 0)
        return result;
    reader_group(loader, root, context, targets, NULL);
    loader->documents[loader->n_documents++] = root;
    return 0;
}

static void read_sites_enabled(struct loader *loader, struct place place)
{
    const struct load_hooks *hooks = loader->hooks;
    const char *dir = load_path(loader, place, loader->sites_enabled), **names;
    struct targets nothing = {0};
    size_t n;
    int result;

    loader->storage->sites_dir = load_kept_path(loader, place, loader->sites_enabled);
    result = hooks->list_dir(hooks->context, loader->scratch, dir, &n, &names);

    if (result < 0) {
        errors_add(loader->errors, place, "cannot read the directory \"%s\": %s", dir, strerror(-result));
        return;
    }
    if (result != FILE_SAFE)
        trust_note(loader, place, dir, (enum file_danger)result);
    for (size_t i = 0; i < n && loader->n_files < LOAD_FILES_MAX; i++)
        (void)read_document(loader, arena_printf(loader->scratch, "%s/%s", dir, names[i]), CONTEXT_FILE,
                            &nothing);
    if (n > 0 && loader->n_files >= LOAD_FILES_MAX)
        errors_add(loader->errors, place, "more than %u files", LOAD_FILES_MAX);
}

static unsigned count_processors(void)
{
    cpu_set_t set;
    int n =
        sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : (int)sysconf(_SC_NPROCESSORS_ONLN);

    if (n < 1)
        return 1;
    return n > WORKERS_MAX ? WORKERS_MAX : (unsigned)n;
}

/* What the files leave to the machine, or to another key. */
static void resolve_defaults(struct loader *loader)
{
    struct config *config = loader->config;
    struct storage *storage = loader->storage;
    const char *given = loader->options == NULL ? NULL : loader->options->balancers_dir;

    if (config->workers == 0)
        config->workers = count_processors();
    if (storage->balancers_dir == NULL)
        storage->balancers_dir =
            load_kept_path(loader, (struct place){0}, given != NULL ? given : FAIRLEAD_BALANCERS_DIR);
}

static uint32_t round_up_to_power(uint32_t n)
{
    uint32_t power = 1;

    while (power < n)
        power *= 2;
    return power;
}

/* What no single key can tell. */
static void check_engine(struct loader *loader, struct place place)
{
    const struct engine_settings *engine = &loader->config->engine;

    /* The kernel rounds both up, and refuses a ring whose completion queue is the smaller one. */
    if (round_up_to_power(engine->cq_entries) < round_up_to_power(engine->sq_entries))
        errors_add(loader->errors, place, "\"cq_entries\" (%u) must not be less than \"sq_entries\" (%u)",
                   engine->cq_entries, engine->sq_entries);
    if (engine->recv_buffers_max < engine->recv_buffers)
        errors_add(loader->errors, place,
                   "\"recv_buffers_max\" (%u) must not be less than \"recv_buffers\" (%u)",
                   engine->recv_buffers_max, engine->recv_buffers);
}

/* The socket's path, and its permissions: three or four octal digits, the last of them 0. */
static void check_control(struct loader *loader, struct place place)
{
    struct control_settings *control = &loader->config->control;
    size_t len = strlen(control->mode_text);

    if (len < 3 || len > 4 || strspn(control->mode_text, "01234567") != len || (len == 4 && control->mode_text[0] != '0'))
        errors_add(loader->errors, place, "\"%s\" is not a \"mode\" in octal, as \"0660\"", control->mode_text);
    else if (control->mode_text[len - 1] != '0')
        errors_add(loader->errors, place, "the \"mode\" \"%s\" lets all users control this process: its last digit must be 0",
                   control->mode_text);
    else
        control->mode = (uint32_t)strtoul(control->mode_text, NULL, 8);
    if (control->socket != NULL && strlen(control->socket) >= sizeof ((struct sockaddr_un *)0)->sun_path)
        errors_add(loader->errors, place, "\"%s\" is longer than the path of a unix socket may be", control->socket);
}

static struct place place_of(const struct node *root, const char *name)
{
    const struct node *node = node_member(root, name);

    return node == NULL ? root->place : node->place;
}

/* Who the process becomes. Whether they exist is asked at the start (control/privileges.h): the file may be tested elsewhere. */
static void check_identity(struct loader *loader, const struct node *root)
{
    if (loader->config->group != NULL && loader->config->user == NULL)
        errors_add(loader->errors, place_of(root, "group"), "\"group\" needs a \"user\"");
    if (loader->config->chroot != NULL && loader->config->user == NULL)
        errors_add(loader->errors, place_of(root, "chroot"), "\"chroot\" needs a \"user\": root can leave any chroot");
    capabilities_read(loader, root);
}

static int read_all(struct loader *loader, const char *path)
{
    struct config *config = loader->config;
    struct targets targets = {.at = {[INTO_LOADER] = loader,
                                     [INTO_STORAGE] = loader->storage,
                                     [INTO_CONFIG] = config,
                                     [INTO_SETTINGS] = &config->settings}};

    reader_defaults(loader, CONTEXT_MAIN, &targets);
    int result = read_document(loader, path, CONTEXT_MAIN, &targets);
    if (result != 0)
        return result;
    const struct node *root = loader->documents[0];
    trust_decide(loader, root);
    resolve_defaults(loader);
    trust_modules(loader, place_of(root, "balancers_dir"), loader->storage->balancers_dir);
    check_identity(loader, root);
    check_engine(loader, place_of(root, "engine"));
    check_control(loader, place_of(root, "control"));
    resolver_read(loader, root);
    logs_read(loader, root);
    if (loader->sites_enabled != NULL)
        read_sites_enabled(loader, place_of(root, "sites_enabled"));
    for (size_t i = 0; i < loader->n_documents; i++)
        upstreams_read(loader, loader->documents[i]);
    sites_read(loader);
    listens_build(loader);
    if (errors_has_any(loader->errors))
        return -EINVAL;
    upstreams_publish(loader);
    return 0;
}

/* The frame that arena_alloc jumps back to when memory is short; it has nothing of its own to lose. */
static int run(struct loader *loader, const char *path)
{
    jmp_buf short_of_memory;

    if (setjmp(short_of_memory) != 0) {
        struct source_file file = {.name = path};

        errors_add(loader->errors, (struct place){&file, 0},
                   "memory is short, or the configuration too large");
        return -ENOMEM;
    }
    arena_set_exit(loader->keep, &short_of_memory);
    arena_set_exit(loader->scratch, &short_of_memory);
    loader->config = arena_alloc(loader->keep, 1, sizeof *loader->config);
    loader->storage = arena_alloc(loader->keep, 1, sizeof *loader->storage);
    loader->storage->arena = loader->keep;
    loader->storage->upstreams = arena_alloc(loader->keep, LOAD_UPSTREAMS_MAX, sizeof(struct upstream *));
    loader->documents = arena_alloc(loader->scratch, LOAD_FILES_MAX, sizeof(struct node *));
    loader->config->memory = loader->storage;
    return read_all(loader, path);
}

int load_config(const char *path, const struct config_options *options, const struct load_hooks *hooks,
                struct config **config, struct config_errors **errors)
{
    int result = -ENOMEM;
    struct loader loader = {.hooks = hooks, .options = options};

    *config = NULL;
    *errors = loader.errors = errors_create();
    loader.keep = arena_create(hooks->memory_max);
    loader.scratch = arena_create(hooks->memory_max);
    if (loader.errors != NULL && loader.keep != NULL && loader.scratch != NULL)
        result = run(&loader, path);
    arena_destroy(loader.scratch);
    if (loader.errors != NULL)
        errors_sort(loader.errors);
    if (result != 0) {
        arena_destroy(loader.keep);
        return result;
    }
    *config = loader.config;
    return 0;
}

int config_load(const char *path, const struct config_options *options, struct config **config,
                struct config_errors **errors)
{
    bool without_names = options != NULL && options->without_names;

    return load_config(path, options, without_names ? &load_nameless_hooks : &load_system_hooks, config, errors);
}

void config_destroy(struct config *config)
{
    if (config == NULL)
        return;
    const struct storage *storage = config->memory;
    arena_destroy(storage->arena);
}
