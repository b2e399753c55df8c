/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The one table of all keys: what a key is called, where it may stand, what it may hold, where its value
 * goes, and one sentence. The reader, the hints, -T and the manual page are driven by it. Constant; any
 * thread.
 */
#ifndef FAIRLEAD_CONFIG_SCHEMA_H
#define FAIRLEAD_CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a key may stand. X(identifier, "in %s" of messages) */
#define CONTEXTS(X)                                                                                          \
    X(CONTEXT_MAIN, "the main file")                                                                         \
    X(CONTEXT_FILE, "a file of sites_enabled")                                                               \
    X(CONTEXT_LOG, "log")                                                                                    \
    X(CONTEXT_CONTROL, "control")                                                                            \
    X(CONTEXT_ENGINE, "engine")                                                                              \
    X(CONTEXT_RESOLVER, "resolver")                                                                          \
    X(CONTEXT_UPSTREAM, "an upstream")                                                                       \
    X(CONTEXT_HEALTH, "health")                                                                              \
    X(CONTEXT_SERVER, "a server of an upstream")                                                             \
    X(CONTEXT_RETRY, "retry")                                                                                \
    X(CONTEXT_PASSIVE, "passive")                                                                            \
    X(CONTEXT_QUEUE, "queue")                                                                                \
    X(CONTEXT_STICKY, "sticky")                                                                              \
    X(CONTEXT_SITE, "a site")                                                                                \
    X(CONTEXT_LOCATION, "a location")                                                                        \
    X(CONTEXT_RESPOND, "respond")                                                                            \
    X(CONTEXT_REDIRECT, "redirect")                                                                          \
    X(CONTEXT_ERROR_PAGE, "an error page")                                                                   \
    X(CONTEXT_HEADER, "a header rule")

enum context {
#define X(id, name) id,
    CONTEXTS(X)
#undef X
        N_CONTEXTS
};

enum key_type {
    KEY_BOOL,
    KEY_INT,  /* or one of `words` */
    KEY_TIME, /* ms */
    KEY_SIZE, /* bytes */
    KEY_WORD, /* one of `words` */
    KEY_STRING,
    KEY_PATH,
    KEY_DESTINATION, /* of a log: "stderr", "syslog", a path, or a word of `words` for none */
    KEY_TEMPLATE,
    KEY_LOG_FORMAT, /* the name of a form that is built in, or a text with variables (log_format.h) */
    /* From here on there is no single value; the code that owns the context looks at the members. */
    KEY_GROUP,    /* a group of the context `inside`, read into the same structs */
    KEY_NAMED,    /* a group of such groups, each with a name */
    KEY_LIST,     /* a list of such groups */
    KEY_STRINGS,  /* a string or a list of strings */
    KEY_STATUSES, /* a number or a list of numbers */
    KEY_RANGES,   /* a status, a range of them as a string, or a list of such */
    KEY_HEADERS   /* a group of name = value, or a list of groups of the context CONTEXT_HEADER */
};

/* The struct that a value goes into. */
enum into {
    INTO_NOTHING,
    INTO_LOADER,
    INTO_STORAGE,
    INTO_CONFIG,
    INTO_SETTINGS, /* struct http_settings */
    INTO_POOL,     /* struct pool_spec */
    INTO_CHECKS,   /* struct checks */
    INTO_GROUP,    /* struct group */
    INTO_OPTIONS,  /* int64_t per option of the strategy */
    INTO_SERVER,   /* struct server_entry */
    INTO_LOCATION, /* struct location */
    INTO_TEXT,     /* struct text */
    N_INTO
};

/* Strings that are looked at before they become something else. */
struct text {
    const char *path, *proxy_pass;   /* of a location */
    const char *file, *content_type; /* of an error page */
    const char *name, *value;        /* of a header rule */
};

/* Where each of them is; what a context has no keys for may be NULL. */
struct targets {
    void *at[N_INTO];
};

enum key_flag {
    KEY_REQUIRED = 1,
    KEY_POWER_OF_TWO = 2,
    KEY_FIELD_VALUE = 4, /* becomes (a part of) an HTTP field: no line ends or controls */
    KEY_NOT_EMPTY = 8,
    KEY_SECRET = 16 /* not shown unless asked for */
};

struct word {
    const char *name; /* NULL ends a table */
    int value;
};

struct key {
    const char *name;
    unsigned contexts; /* bit 1 << enum context */
    enum key_type type;
    unsigned flags;
    enum into into;
    uint16_t offset, width;
    const char *fallback; /* as a person would write it; NULL: none */
    int64_t min, max;
    const struct word *words;
    enum context inside;
    const char *unit; /* of KEY_INT, for the manual; NULL: a count */
    const char *example; /* a value as a person would write it; NULL: the fallback shows it, or for a bool its contrary */
    const char *sentence;
};

/* All keys, in the order of the manual. */
const struct key *schema_keys(size_t *n);
const char *schema_context_name(enum context context);

/* The key of that name in that context, or NULL. */
const struct key *schema_find(enum context context, const char *name);
static inline bool schema_stands_in(const struct key *key, enum context context)
{
    return (key->contexts >> context) & 1;
}

#endif
