/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Strategy modules: from a name to a checked `struct fairlead_balancer`. Control thread; reads the module
 * directory and may block. A module is trusted code of the operator, so the checks are for mistakes, not for
 * malice; what they refuse is unloaded again. The dynamic linker counts the references, so that a module
 * stays for as long as any pool holds it.
 */
#include "upstream/strategy.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define NAME_LEN_MAX 64u
#define OPTIONS_MAX  64u
#define LISTED_MAX   32u /* names in the sentence about a missing module */
#define SUFFIX       ".so"

static bool is_name(const char *name, size_t len)
{
    if (len == 0 || len > NAME_LEN_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = name[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'))
            return false;
    }
    return true;
}

static bool is_module(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    size_t suffix = sizeof SUFFIX - 1;

    return len > suffix && strcmp(entry->d_name + len - suffix, SUFFIX) == 0 &&
           is_name(entry->d_name, len - suffix);
}

static int only_modules(const struct dirent *entry)
{
    return is_module(entry);
}

/* Appends ", NAME, NAME" for what the directory holds, as far as there is room. */
static void append_modules(const char *dir, char *text, size_t text_size)
{
    struct dirent **found;
    int n = scandir(dir, &found, only_modules, alphasort);
    size_t used = strlen(text);

    if (n < 0) {
        snprintf(text + used, text_size - used, "; the directory cannot be read");
        return;
    }
    if (n == 0)
        snprintf(text + used, text_size - used, "; there is none at all");
    for (int i = 0; i < n; i++) {
        int stem = (int)(strlen(found[i]->d_name) - (sizeof SUFFIX - 1));

        used = strlen(text);
        if (i < (int)LISTED_MAX)
            snprintf(text + used, text_size - used, "%s%.*s", i == 0 ? "; there are: " : ", ", stem,
                     found[i]->d_name);
        free(found[i]);
    }
    free(found);
}

/* NULL, or what is wrong with the option. */
static const char *option_fault(const struct fairlead_option *option)
{
    if (!is_name(option->name, strlen(option->name)))
        return "an option's name is not of [a-z0-9_]";
    if (option->type != FAIRLEAD_OPTION_INT && option->type != FAIRLEAD_OPTION_BOOL &&
        option->type != FAIRLEAD_OPTION_TIME_MS)
        return "an option has an unknown type";
    if (option->min > option->fallback || option->fallback > option->max)
        return "an option's fallback is outside its range";
    if (!option->sentence)
        return "an option has no sentence";
    return NULL;
}

static const char *options_fault(const struct fairlead_option *options)
{
    size_t n = 0;

    if (!options)
        return NULL;
    for (; options[n].name; n++) {
        const char *fault = option_fault(&options[n]);
        if (fault)
            return fault;
        if (n == OPTIONS_MAX)
            return "its option table has no end";
    }
    return NULL;
}

/* NULL, or which pair of operations is torn: what makes memory and what says how it ends go together. */
static const char *pair_fault(const struct fairlead_balancer *balancer)
{
    if (!balancer->plan_create != !balancer->plan_destroy)
        return "it has only one of plan_create and plan_destroy";
    if (!balancer->shared_size != !balancer->shared_init)
        return "it has only one of shared_size and shared_init";
    if (!balancer->state_size != !balancer->state_init)
        return "it has only one of state_size and state_init";
    return NULL;
}

/* NULL, or what is wrong with the traits. */
static const char *traits_fault(const struct fairlead_balancer *balancer)
{
    uint32_t keys = FAIRLEAD_KEYED | FAIRLEAD_ADDRESSED;

    if (balancer->traits & ~(keys | FAIRLEAD_FEEDBACK | FAIRLEAD_WEIGHTED | FAIRLEAD_BALANCED))
        return "it has a trait that this version does not know";
    if ((balancer->traits & keys) == keys)
        return "it asks for two keys, and a request has one";
    if ((balancer->traits & FAIRLEAD_FEEDBACK) && !balancer->done)
        return "it asks for feedback but has no done";
    return NULL;
}

/* NULL, or what makes the balancer unusable, for the end of a sentence. Its version is known to be ours. */
static const char *balancer_fault(const struct fairlead_balancer *balancer)
{
    const char *fault = balancer->pick ? pair_fault(balancer) : "pick is missing";

    if (!fault)
        fault = traits_fault(balancer);
    return fault ? fault : options_fault(balancer->options);
}

static int check(const struct fairlead_balancer *balancer, const char *path, const char *name, char *error,
                 size_t error_size)
{
    const char *fault;

    if (!balancer) {
        snprintf(error, error_size, "%s is not a strategy: it has no symbol fairlead_balancer", path);
        return -EINVAL;
    }
    /* Nothing behind the version may be looked at before it is known to be ours. */
    if (balancer->version != FAIRLEAD_BALANCER_VERSION) {
        snprintf(error, error_size, "%s has interface version %u, and version %u is needed: compile it anew",
                 path, balancer->version, FAIRLEAD_BALANCER_VERSION);
        return -EINVAL;
    }
    if (!balancer->name || strcmp(balancer->name, name) != 0) {
        snprintf(error, error_size, "%s calls itself \"%s\", and must be named as its file", path,
                 balancer->name ? balancer->name : "");
        return -EINVAL;
    }
    fault = balancer_fault(balancer);
    if (fault) {
        snprintf(error, error_size, "%s cannot be used: %s", path, fault);
        return -EINVAL;
    }
    return 0;
}

/* Makes the module's path, and says what is wrong where there is nothing to load. */
static int find(const char *dir, const char *name, char path[static PATH_MAX], char *error, size_t error_size)
{
    struct stat stat_of;

    if (!is_name(name, strlen(name))) {
        snprintf(error, error_size,
                 "there is no strategy \"%s\": their names are made of [a-z0-9_], at most %u of them", name,
                 NAME_LEN_MAX);
        return -EINVAL;
    }
    /* Without a slash dlopen would look everywhere but in the current directory. */
    const char *here = strchr(dir, '/') ? "" : "./";
    if ((size_t)snprintf(path, PATH_MAX, "%s%s/%s" SUFFIX, here, dir, name) >= PATH_MAX) {
        snprintf(error, error_size, "the path of the module directory is too long");
        return -EINVAL;
    }
    if (stat(path, &stat_of) != 0 && (errno == ENOENT || errno == ENOTDIR)) {
        snprintf(error, error_size, "no strategy \"%s\" in %s", name, dir);
        append_modules(dir, error, error_size);
        return -ENOENT;
    }
    return 0;
}

int strategy_load(const char *dir, const char *name, struct strategy *strategy, char *error,
                  size_t error_size)
{
    char path[PATH_MAX];
    int result = find(dir, name, path, error, error_size);

    if (result != 0)
        return result;
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        snprintf(error, error_size, "%s cannot be loaded: %s", path, dlerror());
        return -EINVAL;
    }
    const struct fairlead_balancer *balancer = dlsym(handle, "fairlead_balancer");
    result = check(balancer, path, name, error, error_size);
    if (result != 0) {
        dlclose(handle);
        return result;
    }
    *strategy = (struct strategy){.balancer = balancer, .handle = handle};
    return 0;
}

void strategy_unload(struct strategy *strategy)
{
    if (strategy->handle)
        dlclose(strategy->handle);
    *strategy = (struct strategy){0};
}
