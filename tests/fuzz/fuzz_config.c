/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Fuzzes the configuration reader. The input is up to four files with a byte 1 between them: the main file,
 * one that it may include
 * ("part.conf"), one of sites_enabled, and an error page. It checks that a load gives either a snapshot or
 * findings, that every finding has a place, and that what is printed of a snapshot reads and prints the same.
 * Opens no file and resolves no name; strategies come from FAIRLEAD_BALANCERS (default "balancers") only.
 */
#include "config/load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#define INPUT_MAX 32768u
#define N_FILES   4u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

static const char *const names[N_FILES] = {"main.conf", "part.conf", "site.conf", "page.html"};
static struct span files[N_FILES];

/* libconfig 1.5 loses the string that it was reading when it meets a syntax error. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libconfig";
}

static void check(bool promise)
{
    if (!promise)
        abort();
}

static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

static int read_file(void *context, struct arena *arena, const char *path, size_t limit, struct span *bytes)
{
    (void)context;
    for (size_t i = 0; i < N_FILES; i++) {
        if (strcmp(names[i], base_of(path)) != 0)
            continue;
        if (files[i].len > limit)
            return -EFBIG;
        *bytes = (struct span){arena_copy(arena, files[i].p, files[i].len), files[i].len};
        return 0;
    }
    return -ENOENT;
}

static int list_dir(void *context, struct arena *arena, const char *path, size_t *n, const char ***found)
{
    (void)context;
    (void)path;
    *n = 1;
    *found = arena_alloc(arena, 1, sizeof(char *));
    (*found)[0] = names[2];
    return 0;
}

/* A name has as many addresses as its first letter says: none to three. */
static int resolve(void *context, const char *host, struct server_address *addresses, size_t *n)
{
    (void)context;
    *n = (size_t)host[0] % 4;
    for (size_t i = 0; i < *n; i++) {
        addresses[i].len = sizeof addresses[i].in;
        addresses[i].in.sin_family = AF_INET;
        addresses[i].in.sin_addr.s_addr = htonl(0x7f000001u + (uint32_t)i);
    }
    return *n > 0 ? 0 : -ENOENT;
}

/* The same, with priorities and weights. */
static int ask(void *context, const struct resolver_settings *settings, const char *host, uint16_t port, bool srv,
               struct resolve_answer *answer)
{
    struct server_address found[3];

    (void)settings;
    memset(answer, 0, sizeof *answer);
    answer->n = 3;
    if (resolve(context, host, found, &answer->n) != 0)
        answer->failure = "not found";
    for (size_t i = 0; i < answer->n; i++) {
        answer->records[i] = (struct resolve_record){found[i], srv ? (uint16_t)(i / 2) : 0, srv ? (uint16_t)i : 0};
        answer->records[i].address.in.sin_port = htons(port);
    }
    answer->ttl_ms = 1000;
    return 0;
}

static void check_findings(struct config_errors *errors)
{
    char *text = NULL, *line = NULL;
    size_t size = 0, n = 0;
    FILE *out = open_memstream(&text, &size);

    config_errors_print(errors, out);
    fclose(out);
    for (char *rest = text; (line = strsep(&rest, "\n")) != NULL && *line != '\0'; n++) {
        const char *colon = strrchr(line, ':');

        check(strncmp(line, "fairlead: [emerg] ", 18) == 0);
        check(strstr(line, " in ") != NULL && colon[1 + strspn(colon + 1, "0123456789")] == '\0');
    }
    check(n == config_errors_count(errors) && n <= CONFIG_ERRORS_MAX);
    free(text);
}

static struct config *load(void)
{
    static const struct load_hooks hooks = {NULL, (size_t)64 << 20, read_file, list_dir, resolve, ask};
    const char *dir = getenv("FAIRLEAD_BALANCERS");
    struct config_options options = {.balancers_dir = dir != NULL ? dir : "balancers"};
    struct config *config;
    struct config_errors *errors;
    int result = load_config(names[0], &options, &hooks, &config, &errors);

    check((result == 0) == (config != NULL));
    check((result == 0) == (config_errors_count(errors) == 0));
    check_findings(errors);
    config_errors_destroy(errors);
    return config;
}

static struct span print(const struct config *config)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    config_print(config, true, out);
    fclose(out);
    return (struct span){text, size};
}

/* Without the comment that tells sites_enabled, whose files are sites like any other once they are printed. */
static struct span without_comment(struct span text)
{
    const char *end = text.len > 0 && text.p[0] == '#' ? memchr(text.p, '\n', text.len) : NULL;
    size_t skipped = end ? (size_t)(end + 1 - text.p) : 0;

    return (struct span){text.p + skipped, text.len - skipped};
}

/* Not after an include has multiplied the sites, so that what is printed is larger than a file may be. */
static void check_printed(const struct config *config)
{
    struct span first = print(config);

    if (first.len <= LOAD_FILE_BYTES_MAX) {
        files[0] = first;
        struct config *again = load();
        check(again != NULL);
        struct span second = print(again);
        check(span_equals(without_comment(first), second));
        config_destroy(again);
        free((void *)(uintptr_t)second.p);
    }
    free((void *)(uintptr_t)first.p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char elsewhere[] = "balancers_dir";
    const char *p = (const char *)data, *end = p + size;

    /* The key that would load code from anywhere. */
    if (size > INPUT_MAX || memmem(data, size, elsewhere, sizeof elsewhere - 1) != NULL)
        return 0;
    for (size_t i = 0; i < N_FILES; i++) {
        const char *separator = i + 1 < N_FILES ? memchr(p, 1, (size_t)(end - p)) : NULL;
        const char *stop = separator == NULL ? end : separator;

        files[i] = (struct span){p, (size_t)(stop - p)};
        p = separator == NULL ? end : separator + 1;
    }
    struct config *config = load();
    if (config != NULL)
        check_printed(config);
    config_destroy(config);
    return 0;
}
