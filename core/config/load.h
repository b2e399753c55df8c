/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the parts of the reader share while one configuration is loaded, and the outside world as they see it:
 * tests and the fuzzer put their own in its place. Private to core/config. Control thread.
 */
#ifndef FAIRLEAD_CONFIG_LOAD_H
#define FAIRLEAD_CONFIG_LOAD_H

#include "config/arena.h"
#include "config/config.h"
#include "config/errors.h"
#include "engine/file_safety.h"

/* Where the built-in strategies are installed; configure gives the real one. */
#ifndef FAIRLEAD_BALANCERS_DIR
#define FAIRLEAD_BALANCERS_DIR "/usr/local/lib/fairlead/balancers"
#endif

#define LOAD_FILE_BYTES_MAX (1u << 20)
#define LOAD_BYTES_MAX      (64u << 20) /* of all files together */
#define LOAD_FILES_MAX      1000u       /* included files count each time */
#define LOAD_INCLUDE_DEPTH  10u
#define LOAD_LOCATIONS_MAX  10000u /* sites and locations together */
#define LOAD_UPSTREAMS_MAX  4096u  /* written ones and those of proxy_pass to a URL */
#define LOAD_LISTENS_MAX    512u
#define LOAD_ADDRESSES_MAX  64u  /* of one name */
#define LOAD_HEADERS_MAX    128u /* rules of one set_headers */
#define LOAD_EXPECT_MAX     64u  /* statuses and ranges of one check */
#define LOAD_MEMORY_MAX     ((size_t)512 << 20)

/*
 * The outside world. Each returns 0 or -errno, and what it gives belongs to the arena. read_file and list_dir also return an
 * enum file_danger above 0, with what was asked for.
 */
struct load_hooks {
    void *context;
    size_t memory_max; /* bytes of the snapshot, and of what is needed while loading */
    /* At most `limit` bytes of a regular file, NUL-terminated; -EFBIG when there are more. */
    int (*read_file)(void *context, struct arena *arena, const char *path, size_t limit, struct span *bytes);
    /* The names in a directory that end in ".conf" and do not begin with '.', sorted. */
    int (*list_dir)(void *context, struct arena *arena, const char *path, size_t *n, const char ***names);
    /* Addresses of a host name by the system's own means, ports left 0; *n is the room on entry. -ENOENT when there are none. */
    int (*resolve)(void *context, const char *host, struct server_address *addresses, size_t *n);
    /* What resolve_now does (upstream/resolve.h): /etc/hosts and the DNS, as the name will be asked for again. */
    int (*ask)(void *context, const struct resolver_settings *settings, const char *host, uint16_t port, bool srv,
               struct resolve_answer *answer);
};

extern const struct load_hooks load_system_hooks;
/* The same, but every name is found, at an address of 198.18.0.0/15 (RFC 2544) made of its bytes, without asking anybody. */
extern const struct load_hooks load_nameless_hooks;

/* A server as written: one address, or a name. */
struct server_entry {
    struct server_spec spec; /* its name is the address as written, the port added */
    bool resolve;            /* a name is asked for again and again */
    bool srv;                /* a name is asked for its SRV records */
    uint32_t n_addresses;    /* of a name that are used at most */
};

/* The group `health` of an upstream. */
struct checks {
    bool written; /* stands in the file */
    struct health_spec spec;
    const char *expect_body; /* as written; NULL: any body will do */
    struct header_rules headers;
};

/* An upstream group, written or made for a URL. Lives in the snapshot's arena. */
struct upstream {
    const char *name;
    struct place place;
    bool written;      /* stands in the file; else made for a proxy_pass */
    struct pool *pool; /* NULL: it had errors, which have been reported; or it was taken */
    void **pool_slot;  /* of the arena: holds the reference on the pool */
    struct pool_spec spec;
    struct group group;
    size_t n_entries;
    struct server_entry *entries; /* the servers as written */
    int64_t *options; /* of the strategy, in the order of option_keys */
    const struct key *option_keys;
    size_t n_options;
    struct checks checks;
};

/* What config_print needs beyond the snapshot; config->memory. */
struct storage {
    struct arena *arena;
    const char *balancers_dir;
    const char *sites_dir; /* sites_enabled, whole; NULL: none */
    bool allow_insecure_files;
    size_t n_upstreams;
    struct upstream **upstreams; /* LOAD_UPSTREAMS_MAX places */
    const char ***page_files;    /* per site, per error page: its file */
};

/* A site while it is read. */
struct draft {
    const struct node *node;
    struct site *site;
};

/* Dangers of files, until it is known whether they are allowed; see trust.h. */
struct trust {
    bool decided;
    size_t n, room;
    struct noted_danger *noted; /* in the scratch arena */
};

struct loader {
    const struct load_hooks *hooks;
    const struct config_options *options;
    struct arena *keep;    /* the snapshot's */
    struct arena *scratch; /* for the time of loading */
    struct config_errors *errors;
    struct config *config;
    struct storage *storage;
    const char *sites_enabled; /* key of the main file; NULL: none */
    size_t n_files, n_bytes, n_locations;
    size_t n_documents;
    const struct node **documents; /* LOAD_FILES_MAX places; the main file's first */
    struct draft *drafts;          /* one per site of the snapshot */
    struct trust trust;
};

/* config_load with another world outside. */
int load_config(const char *path, const struct config_options *options, const struct load_hooks *hooks,
                struct config **config, struct config_errors **errors) __attribute__((warn_unused_result));

/* `path` as seen from the directory of the place that names it. In the scratch arena, or `path` itself. */
const char *load_path(struct loader *loader, struct place place, const char *path);
/* The same, absolute, in the snapshot's arena: a daemon may change its directory. */
const char *load_kept_path(struct loader *loader, struct place place, const char *path);

#endif
