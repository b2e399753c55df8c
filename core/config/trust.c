/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Dangers wait in a list until the main file has said what is allowed; see trust.h. */
#include "config/trust.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#define MODULE_SUFFIX ".so"

struct noted_danger {
    struct place place;
    const char *path;
    enum file_danger danger;
};

/* The main file itself, and not something that it names. */
static bool is_main_file(const struct noted_danger *noted)
{
    return noted->place.file->number == 0 && noted->path == noted->place.file->name;
}

static void report(struct loader *loader, const struct noted_danger *noted)
{
    const char *way = is_main_file(noted) ? "start with -I" : "set allow_insecure_files";
    char text[2 * PATH_MAX + 128];

    if (loader->options != NULL && loader->options->allow_insecure_files)
        return;
    if (loader->storage->allow_insecure_files && !is_main_file(noted))
        return;
    file_danger_explain(noted->danger, noted->path, text, sizeof text);
    errors_add(loader->errors, noted->place, "%s (or %s)", text, way);
}

void trust_note(struct loader *loader, struct place place, const char *path, enum file_danger danger)
{
    struct trust *trust = &loader->trust;
    struct noted_danger noted = {place, path, danger};

    if (trust->decided) {
        report(loader, &noted);
        return;
    }
    trust->noted =
        arena_grow(loader->scratch, trust->noted, &trust->room, trust->n + 1, sizeof trust->noted[0]);
    trust->noted[trust->n++] = noted;
}

void trust_decide(struct loader *loader, const struct node *root)
{
    const struct node *key = node_member(root, "allow_insecure_files");

    /* Else a file that everybody can write to could allow itself. */
    if (key != NULL && key->place.file->number != 0) {
        errors_add(loader->errors, key->place,
                   "\"allow_insecure_files\" must stand in the main file itself, and not in an included one");
        loader->storage->allow_insecure_files = false;
    }
    loader->trust.decided = true;
    for (size_t i = 0; i < loader->trust.n; i++)
        report(loader, &loader->trust.noted[i]);
}

static int only_modules(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name), suffix = sizeof MODULE_SUFFIX - 1;

    return entry->d_name[0] != '.' && len > suffix &&
           strcmp(entry->d_name + len - suffix, MODULE_SUFFIX) == 0;
}

static void look_at(struct loader *loader, struct place place, const char *path,
                    enum file_danger (*danger_of)(int fd, const char *path))
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    enum file_danger danger = fd < 0 ? FILE_SAFE : danger_of(fd, path);

    if (fd >= 0)
        close(fd);
    if (danger != FILE_SAFE)
        trust_note(loader, place, arena_copy(loader->scratch, path, strlen(path)), danger);
}

static enum file_danger danger_of_dir(int fd, const char *path)
{
    (void)path;
    return dir_danger(fd);
}

void trust_modules(struct loader *loader, struct place place, const char *dir)
{
    struct dirent **found;
    int n = scandir(dir, &found, only_modules, alphasort);
    char path[PATH_MAX];

    look_at(loader, place, dir, danger_of_dir);
    for (int i = 0; i < n; i++) {
        if ((size_t)snprintf(path, sizeof path, "%s/%s", dir, found[i]->d_name) < sizeof path)
            look_at(loader, place, path, file_danger);
        free(found[i]);
    }
    if (n >= 0)
        free(found);
}
