/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The outside world of the loader: files, directories, names. Control thread; blocks. Never reads what is not
 * a regular file.
 */
#include "config/load.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SITE_SUFFIX ".conf"

/* Reads up to `size` bytes. Returns how many, or -errno. */
static ssize_t read_whole(int fd, char *bytes, size_t size)
{
    size_t len = 0;

    while (len < size) {
        ssize_t n = read(fd, bytes + len, size - len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    return (ssize_t)len;
}

static int read_open(struct arena *arena, int fd, size_t limit, struct span *bytes)
{
    struct stat status;

    if (fstat(fd, &status) != 0)
        return -errno;
    if (!S_ISREG(status.st_mode))
        return S_ISDIR(status.st_mode) ? -EISDIR : -EINVAL;
    if ((size_t)status.st_size > limit)
        return -EFBIG;
    size_t size = (size_t)status.st_size;
    char *memory = arena_try_alloc(arena, size + 1, 1);
    if (memory == NULL)
        return -ENOMEM;
    ssize_t len = read_whole(fd, memory, size);
    if (len < 0)
        return (int)len;
    *bytes = (struct span){memory, (size_t)len};
    return 0;
}

static int read_file(void *context, struct arena *arena, const char *path, size_t limit, struct span *bytes)
{
    (void)context;
    /* Without O_NONBLOCK, opening a FIFO would wait for somebody to write to it. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -errno;
    int result = read_open(arena, fd, limit, bytes);
    if (result == 0)
        result = (int)file_danger(fd, path);
    close(fd);
    return result;
}

static int is_site_file(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name), suffix = sizeof SITE_SUFFIX - 1;

    return entry->d_name[0] != '.' && len > suffix && strcmp(entry->d_name + len - suffix, SITE_SUFFIX) == 0;
}

static int compare_names(const void *left, const void *right)
{
    const char *const *a = left, *const *b = right;

    return strcmp(*a, *b);
}

static void release_dir(void *dir)
{
    closedir(dir);
}

static int list_dir(void *context, struct arena *arena, const char *path, size_t *n, const char ***names)
{
    size_t room = 0;
    void **slot = arena_slot(arena, release_dir);
    DIR *dir = opendir(path);

    (void)context;
    if (dir == NULL)
        return -errno;
    *slot = dir;
    *n = 0;
    *names = NULL;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (!is_site_file(entry))
            continue;
        *names = arena_grow(arena, *names, &room, *n + 1, sizeof(char *));
        (*names)[(*n)++] = arena_copy(arena, entry->d_name, strlen(entry->d_name));
    }
    /* The order of the names is the order of the sites, and so decides which is the default. */
    if (*n > 0)
        qsort(*names, *n, sizeof(char *), compare_names);
    return (int)dir_danger(dirfd(dir));
}

static size_t copy_addresses(const struct addrinfo *found, struct server_address *addresses, size_t room)
{
    size_t n = 0;

    for (; found != NULL && n < room; found = found->ai_next) {
        if (found->ai_addrlen > sizeof(struct sockaddr_in6))
            continue;
        addresses[n] = (struct server_address){.len = found->ai_addrlen};
        memcpy(&addresses[n].sa, found->ai_addr, found->ai_addrlen);
        n++;
    }
    return n;
}

static int resolve(void *context, const char *host, struct server_address *addresses, size_t *n)
{
    struct addrinfo *found = NULL;
    /* Addresses of a family that this machine has no route for are left out, unless nothing else is there. */
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};

    (void)context;
    if (getaddrinfo(host, NULL, &hints, &found) != 0) {
        hints.ai_flags = 0;
        if (getaddrinfo(host, NULL, &hints, &found) != 0)
            return -ENOENT;
    }
    *n = copy_addresses(found, addresses, *n);
    freeaddrinfo(found);
    return *n > 0 ? 0 : -ENOENT;
}

static int ask(void *context, const struct resolver_settings *settings, const char *host, uint16_t port, bool srv,
               struct resolve_answer *answer)
{
    (void)context;
    return resolve_now(settings, host, port, srv, answer);
}

const struct load_hooks load_system_hooks = {NULL, LOAD_MEMORY_MAX, read_file, list_dir, resolve, ask};

static struct server_address invent_address(const char *host, uint16_t port)
{
    struct server_address address = {.len = sizeof(struct sockaddr_in)};
    uint32_t sum = 0;

    for (; *host != '\0'; host++)
        sum = sum * 31 + (unsigned char)*host;
    address.in = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(0xc6120000u | (sum & 0x1ffffu))};
    return address;
}

static int resolve_nothing(void *context, const char *host, struct server_address *addresses, size_t *n)
{
    (void)context;
    addresses[0] = invent_address(host, 0);
    *n = 1;
    return 0;
}

static int ask_nobody(void *context, const struct resolver_settings *settings, const char *host, uint16_t port, bool srv,
                      struct resolve_answer *answer)
{
    (void)context;
    *answer = (struct resolve_answer){.ttl_ms = settings->ttl_min_ms, .n = 1};
    answer->records[0].address = invent_address(host, srv ? 1 : port);
    return 0;
}

const struct load_hooks load_nameless_hooks = {NULL, LOAD_MEMORY_MAX, read_file, list_dir, resolve_nothing, ask_nobody};
