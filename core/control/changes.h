/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What was changed while running: a bounded list, applied to what the configuration says of a group of servers before its pool is made. The
 * later of two changes wins. Those that persist are kept in the state file, which every load and reload applies; the others are forgotten
 * by a reload. Control thread; nothing here knows a pool that runs.
 */
#ifndef FAIRLEAD_CONTROL_CHANGES_H
#define FAIRLEAD_CONTROL_CHANGES_H

#include "upstream/pool.h"

#define CHANGES_MAX      4096u
#define CHANGES_POOL_MAX 256u /* bytes of a pool's name, its NUL included */
#define CHANGES_FILE_MAX (4u << 20) /* bytes of a state file */

/* X(kind, word, sentence): the word of the state file and of the command line. */
#define CHANGE_KINDS(X)                                                                                      \
    X(UP, "up", "in service")                                                                               \
    X(DOWN, "down", "out of service")                                                                       \
    X(DRAIN, "drain", "only requests that are bound to it")                                                 \
    X(WEIGHT, "weight", "another weight")                                                                   \
    X(ADD, "add", "a server that the configuration does not have")                                          \
    X(REMOVE, "remove", "a server that the configuration has, and that is not to be used")

enum change_kind {
#define X(kind, word, sentence) CHANGE_##kind,
    CHANGE_KINDS(X)
#undef X
    CHANGE_N_KINDS
};

struct change {
    enum change_kind kind;
    bool persist;
    bool backup;                     /* of ADD */
    bool configured;                 /* of REMOVE: the files have the server, or may have it; else only changes do */
    uint32_t weight;                 /* of WEIGHT and ADD; 0 to CHANGE_WEIGHT_MAX */
    uint32_t max_conns;              /* of ADD; 0: any number */
    char pool[CHANGES_POOL_MAX];
    char server[SERVER_NAME_MAX];    /* as the pool calls it: "10.0.0.5:8080", "[::1]:80", "unix:/path" */
};

#define CHANGE_WEIGHT_MAX 65535u

/* Starts as {0}. */
struct changes {
    size_t n, room;
    struct change *list; /* owned; in the order in which they are applied */
};

void changes_fini(struct changes *changes);
/* Returns 0 or -ENOMEM; on an error *copy is as after changes_fini. The copy is the caller's. */
int changes_copy(const struct changes *changes, struct changes *copy) __attribute__((warn_unused_result));
/*
 * Adds one at the end and drops those that it makes void: an earlier word about the same thing, and everything about a server that was
 * added and is removed, the removal included unless the server is `configured`. One that does not persist makes none void that does. Returns 0, -ENOSPC when the list is full, or -ENOMEM; the
 * void ones are gone in any case, so work on a copy.
 */
int changes_add(struct changes *changes, const struct change *change) __attribute__((warn_unused_result));

/* Told of each change that could not be applied, and why; the others are applied. */
struct changes_report {
    void *context;
    void (*refused)(void *context, const struct change *change, const char *sentence);
};

/*
 * Applies what concerns spec->name. Where something does, spec->servers becomes a new array, which goes to *servers for the caller to free
 * once the pool is made; else *servers is NULL, and the spec as it was. Names in the new array are borrowed from `changes`. A server that is added gets the
 * settings of the group's first one but for those that the change gives. Returns 0 or -ENOMEM.
 */
int changes_apply(const struct changes *changes, struct pool_spec *spec, const struct changes_report *report,
                  struct server_spec **servers) __attribute__((warn_unused_result));
/* Tells of those that name a pool that is not among these. */
void changes_report_unknown(const struct changes *changes, const char *const *pools, size_t n_pools, const struct changes_report *report);

/*
 * Reads "10.0.0.5:8080", "[::1]:80" or "unix:/path", without asking anybody: a port is needed, a host name is none of these. `name` gets it as a
 * pool would call it. Returns false when it is no such address, or too long.
 */
bool changes_read_address(const char *text, struct server_address *address, char name[SERVER_NAME_MAX]);
const char *change_word(enum change_kind kind);
/* For the log: "pool=web server=10.0.0.5:80 change=weight weight=5"; always ends in a NUL. */
void change_print(const struct change *change, char *text, size_t size);

/* The text of a state file; see changes_file.c. `len` bytes become changes that persist. Returns 0, or -EINVAL with the line's number
 * and what is wrong in error[0..size), or -ENOSPC, -ENOMEM; on an error *changes is empty. */
int changes_parse(const char *text, size_t len, struct changes *changes, char *error, size_t size)
    __attribute__((warn_unused_result));
/* The same of a file. One that is not there holds none. Blocks. Returns 0 or -errno with a sentence. */
int changes_read(const char *path, struct changes *changes, char *error, size_t size) __attribute__((warn_unused_result));
/* Writes those that persist beside the file, and puts that in its place once it is on the disk: a crash leaves the old one or the new one.
 * Blocks. Returns 0 or -errno with a sentence. */
int changes_write(const char *path, const struct changes *changes, char *error, size_t size)
    __attribute__((warn_unused_result));

#endif
