/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A world for the configuration reader that is made of strings: files, directories and host names are what a
 * test says. Included by one file per program. The strategies are those of the tree (see modules.h).
 */
#ifndef FAIRLEAD_TESTS_CONFIG_FAKE_H
#define FAIRLEAD_TESTS_CONFIG_FAKE_H

#include "config/load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "modules.h"

#define FAKE_FILES_MAX 16

struct fake_file {
    const char *path, *text;
};

static struct fake_file fake_files[FAKE_FILES_MAX];
static struct config *fake_config;
static unsigned fake_workers; /* that the pools have pickers for; 0: as many as the configuration says */
static char fake_findings[16384]; /* what config_errors_print wrote last */

static inline int fake_read_file(void *context, struct arena *arena, const char *path, size_t limit,
                                 struct span *bytes)
{
    (void)context;
    for (size_t i = 0; i < FAKE_FILES_MAX && fake_files[i].path != NULL; i++) {
        if (strcmp(fake_files[i].path, path) != 0)
            continue;
        *bytes = (struct span){fake_files[i].text, strlen(fake_files[i].text)};
        if (bytes->len > limit)
            return -EFBIG;
        bytes->p = arena_copy(arena, bytes->p, bytes->len);
        return 0;
    }
    return -ENOENT;
}

/* The files whose path begins with the directory's, as they stand. */
static inline int fake_list_dir(void *context, struct arena *arena, const char *path, size_t *n,
                                const char ***names)
{
    size_t len = strlen(path);

    (void)context;
    *n = 0;
    *names = arena_alloc(arena, FAKE_FILES_MAX, sizeof(char *));
    for (size_t i = 0; i < FAKE_FILES_MAX && fake_files[i].path != NULL; i++)
        if (strncmp(fake_files[i].path, path, len) == 0 && fake_files[i].path[len] == '/')
            (*names)[(*n)++] = fake_files[i].path + len + 1;
    return *n > 0 ? 0 : -ENOENT;
}

/* "localhost" is 127.0.0.1, "two.test" 127.0.0.1 (which is given twice) and 127.0.0.2; nothing else is known.
 */
static inline int fake_resolve(void *context, const char *host, struct server_address *addresses, size_t *n)
{
    static const uint32_t two[] = {0x7f000001, 0x7f000001, 0x7f000002};

    (void)context;
    *n = strcmp(host, "localhost") == 0 ? 1 : strcmp(host, "two.test") == 0 ? 3 : 0;
    for (size_t i = 0; i < *n; i++) {
        addresses[i].len = sizeof addresses[i].in;
        addresses[i].in.sin_family = AF_INET;
        addresses[i].in.sin_addr.s_addr = htonl(two[i]);
    }
    return *n > 0 ? 0 : -ENOENT;
}

/*
 * The same names for the DNS, with a TTL of 30 s, and "_http._tcp.test": two servers of weights 3 and 1, and
 * one behind them.
 */
static inline int fake_ask(void *context, const struct resolver_settings *settings, const char *host,
                           uint16_t port, bool srv, struct resolve_answer *answer)
{
    struct server_address found[RESOLVE_RECORDS_MAX];
    size_t n = 3;

    (void)settings;
    memset(answer, 0, sizeof *answer);
    if (fake_resolve(context, strcmp(host, "_http._tcp.test") == 0 ? "two.test" : host, found, &n) != 0 ||
        srv != (host[0] == '_')) {
        answer->failure = "Domain name not found";
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        answer->records[i].address = found[i];
        answer->records[i].address.in.sin_port = htons(srv ? (uint16_t)(9001 + i) : port);
        answer->records[i].priority = srv && i == 2 ? 20 : 0;
        answer->records[i].weight = !srv ? 0 : i == 0 ? 3 : 1;
    }
    /* Without SRV an address is given once. */
    if (!srv && n == 3)
        answer->records[1] = answer->records[2];
    answer->n = !srv && n == 3 ? 2 : n;
    answer->ttl_ms = 30000;
    return 0;
}

static const struct load_hooks fake_hooks = {NULL,          LOAD_MEMORY_MAX, fake_read_file,
                                             fake_list_dir, fake_resolve,    fake_ask};

static inline void fake_keep_findings(struct config_errors *errors)
{
    FILE *out = fmemopen(fake_findings, sizeof fake_findings, "w");

    config_errors_print(errors, out);
    fputc('\0', out);
    fclose(out);
    config_errors_destroy(errors);
}

static inline int fake_make_pool(void *context, const struct pool_spec *spec, unsigned n_workers, struct pool **pool, char *error, size_t size)
{
    (void)context;
    return pool_create(spec, fake_workers ? fake_workers : n_workers, NULL, pool, error, size);
}

static inline int fake_load_with(const char *path, const struct load_hooks *hooks)
{
    struct config_options options = {.balancers_dir = modules_of_the_tree(), .make_pool = fake_make_pool};
    struct config_errors *errors;
    int result = load_config(path, &options, hooks, &fake_config, &errors);

    fake_keep_findings(errors);
    return result;
}

/* Loads `text` as etc/main.conf, beside what is in fake_files from the second place on. */
static inline int fake_load(const char *text)
{
    fake_files[0] = (struct fake_file){"etc/main.conf", text};
    return fake_load_with("etc/main.conf", &fake_hooks);
}

static inline void fake_clear(void)
{
    config_destroy(fake_config);
    fake_config = NULL;
    memset(fake_files, 0, sizeof fake_files);
}

/* config_print's text; the caller frees it. */
static inline char *fake_print(const struct config *config)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    config_print(config, true, out);
    fclose(out);
    return text;
}

#endif
