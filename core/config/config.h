/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The configuration as the rest of Fairlead sees it: an immutable snapshot, made whole or not at all. Built by the control thread (config_load),
 * read by every thread without locks, destroyed by the control thread when nobody uses it. All memory belongs to the snapshot; every
 * pointer below is valid as long as it is. Times are milliseconds, sizes bytes.
 */
#ifndef FAIRLEAD_CONFIG_CONFIG_H
#define FAIRLEAD_CONFIG_CONFIG_H

#include "config/log_format.h"
#include "config/pattern.h"
#include "config/template.h"
#include "engine/log.h"
#include "health/spec.h"
#include "http/span.h"
#include "upstream/wanted.h"

#include <stdio.h>

/* A header to set, change, or (value empty) remove. */
struct header_rule {
    struct span name;
    struct template *value; /* NULL: remove */
};

struct header_rules {
    size_t n;
    const struct header_rule *rules;
};

/* What may be set for all sites, for one site, and for one location; the innermost wins. */
struct http_settings {
    uint64_t client_max_body_size;   /* 0: no limit */
    uint32_t client_body_timeout_ms; /* between two reads of a request body */
    uint32_t client_min_rate;        /* bytes/s that a body must at least move in either direction; 0: any */
    uint32_t send_timeout_ms;        /* between two writes to a client that make progress */
    uint32_t proxy_connect_timeout_ms, proxy_send_timeout_ms, proxy_read_timeout_ms;
};

/* A set of the statuses 100 to 599. */
struct status_set {
    uint64_t words[8];
};

static inline void status_set_add(struct status_set *set, int status)
{
    set->words[(status - 100) / 64] |= UINT64_C(1) << ((status - 100) % 64);
}

static inline bool status_set_has(const struct status_set *set, int status)
{
    return status >= 100 && status < 600 && (set->words[(status - 100) / 64] >> ((status - 100) % 64) & 1);
}

/* After what a request is tried at another server; bits. That no connection could be made always is a reason. */
enum retry_cause {
    RETRY_ERROR = 1,          /* the connection broke before the response */
    RETRY_TIMEOUT = 2,        /* the server was silent */
    RETRY_INVALID_HEADER = 4, /* what came was not HTTP */
    RETRY_NON_IDEMPOTENT = 8  /* no reason: the others count for POST and the like, too */
};

enum sticky_kind { STICKY_OFF, STICKY_INSERT, STICKY_ROUTE };

/* A server that is given by a name which is asked for again and again: as many servers as the name has addresses. */
struct named_server {
    const char *host;                /* what is asked for, in lower case */
    uint16_t port;                   /* unless srv */
    bool srv;
    struct wanted_list found;        /* what it had when the files were read; n_places and n_backup: the most that are used */
    uint32_t ttl_ms;                 /* how long that holds */
    bool partial;                    /* that was not all */
};

/* A server of a group as the files have it. */
struct member {
    struct server_spec spec;          /* without an address where `named` */
    const struct named_server *named; /* NULL: the address is the spec's */
};

/* A group of servers: what its pool is made of, and what the proxy does around it. */
struct group {
    uint32_t index;                /* of the group and of its pool, in the snapshot */
    struct pool_spec spec;         /* without servers */
    size_t n_members;
    const struct member *members;  /* in the order of the file */
    const struct health_spec *health; /* NULL: not checked, and no agent is asked */
    struct template *key;          /* of a keyed strategy; NULL: none */
    struct {
        uint32_t causes;           /* enum retry_cause */
        struct status_set statuses; /* responses that count as a reason */
        uint32_t attempts;         /* servers tried for one request, the first included; 0: all */
        uint32_t timeout_ms;       /* since the request began, after which none is tried any more; 0: no limit */
        uint32_t budget;           /* percent of the requests that may be retried once they were sent */
        uint64_t body;             /* bytes of a request body that are kept for another server */
    } retry;
    struct status_set fail_statuses; /* responses that the passive check counts as failures */
    uint32_t queue_size, queue_timeout_ms; /* requests that wait for max_conns; 0: none */
    struct {
        enum sticky_kind kind;
        const char *cookie, *secret, *path; /* secret NULL: a random one of this process */
        uint32_t max_age_s;        /* 0: as long as the browser runs */
        bool secure;
    } sticky;
};

enum action_kind { ACTION_PROXY, ACTION_RESPOND, ACTION_REDIRECT };

struct respond {
    int status;
    struct template *body;         /* may be NULL: empty */
    const char *content_type; /* "text/plain" by default */
};

struct proxy_pass {
    const struct group *group;
    bool has_uri;           /* the URL had a URI part: it replaces the part of the path that the location matched */
    struct span uri;        /* that part */
    const char *url;        /* as written, for logs */
};

enum match_kind { MATCH_EXACT, MATCH_PREFIX, MATCH_PREFIX_STOP /* "^~": no regex after it */, MATCH_REGEX };

struct location {
    enum match_kind match;
    struct span path;              /* without the modifier; for MATCH_REGEX the source text */
    struct pattern *pattern;       /* of MATCH_REGEX */
    enum action_kind action;
    struct proxy_pass proxy;
    struct respond respond;
    struct { int status; struct template *to; } redirect;
    struct http_settings settings;
    struct header_rules request_headers;  /* site's rules, then the location's; later ones win */
    struct header_rules response_headers;
    bool access_log;
};

struct error_page {
    int status;
    struct span body;
    const char *content_type;
};

struct site {
    size_t n_names;
    struct span *names;            /* lower case; "*.example.com" and "www.*" are wildcards, "_" and "" match nothing */
    size_t n_locations;
    struct location *locations;    /* in the order of the file */
    size_t n_error_pages;
    const struct error_page *error_pages;
    struct http_settings settings;
    const char *file;              /* where it was defined */
    unsigned line;
};

/* One address to listen on, and the sites behind it. The first, or the one marked default, answers for unknown names. */
struct listen {
    struct server_address address;
    const char *name;              /* "0.0.0.0:80", "[::]:80", "unix:/path" */
    uint16_t port;                 /* 0 for unix sockets */
    int backlog;
    size_t n_sites;
    struct site **sites;
    struct site *default_site;
};

struct log_settings {
    const char *access;            /* path, "stderr", "syslog", or NULL: off */
    const struct log_format *access_format;
    bool access_escape_json;       /* of a format with variables; else as nginx */
    bool access_syslog;            /* as written; see to_syslog */
    int access_facility;           /* as written, -1: that of syslog_facility; see facility */
    int access_severity;           /* LOG_* of <syslog.h> */
    const char *error;             /* path, "stderr", or "syslog" */
    int level;                     /* least severe LOG_* of <syslog.h> that is logged */
    int syslog_facility;           /* as written: LOG_DAEMON, ...; -1: off */
    bool to_syslog[LOG_SINKS];     /* what follows from all that */
    int facility[LOG_SINKS];
    const char *syslog_tag;
    const char *syslog_server;     /* as written */
    enum log_syslog_kind syslog_kind;
    struct server_address syslog_address;
    uint32_t queue_size;           /* bytes per thread, a power of two */
};

/* Runtime control (core/control/admin.h). */
struct control_settings {
    const char *socket;            /* path; NULL: none */
    const char *owner, *group;     /* names; NULL: as it was made */
    const char *mode_text;         /* as written */
    uint32_t mode;                 /* the same, read */
    const char *state;             /* file of the changes that outlive a reload; NULL: none */
};

struct engine_settings {           /* the rare-event knobs of DESIGN.md 5.8 are here */
    uint32_t sq_entries, cq_entries;
    uint32_t recv_buffers;         /* in the provided ring of one worker, a power of two */
    uint32_t recv_buffers_max;     /* in all, of one worker */
    uint32_t recv_buffer_size;
    uint32_t bulk_buffers;         /* large buffers of one worker */
    uint32_t bulk_buffer_size;
    uint32_t socket_send_buffer;   /* SO_SNDBUF; 0: the kernel's autotuning */
    bool multishot_accept, multishot_recv;
    bool pin;                      /* pin workers to cores */
};

struct config {
    unsigned workers;              /* resolved: 1 to 512 */
    const char *user;              /* NULL: stay */
    const char *group;             /* NULL: the user's */
    const char *chroot;            /* NULL: none */
    uint64_t capabilities;         /* kept after the start: bit 1 << CAP_* of <linux/capability.h> */
    uint32_t rlimit_files;         /* 0: as many as the connections need */
    uint64_t rlimit_memlock;       /* 0: as it is */
    const char *pid_file;          /* NULL: none */
    struct log_settings log;
    struct control_settings control;
    struct engine_settings engine;
    struct resolver_settings resolver;
    struct http_settings settings; /* defaults of all sites */

    /* Before the site is known. */
    uint32_t client_header_timeout_ms, keepalive_timeout_ms;
    uint32_t keepalive_requests;
    uint32_t client_header_size;   /* bytes of a request head */
    uint32_t client_uri_size;      /* bytes of the request target */
    uint32_t client_field_size;    /* bytes of one field line */
    uint32_t client_header_count;
    bool reject_underscores;       /* a name with '_' makes the request invalid; else such a field is dropped */
    uint32_t upstream_header_size; /* bytes of a response head */
    uint32_t upstream_header_count;
    uint32_t worker_connections;   /* clients of one worker */
    uint32_t lingering_timeout_ms, lingering_size; /* RFC 9112 9.6 */
    uint32_t shutdown_timeout_ms;  /* how long a graceful stop may take */
    uint32_t shutdown_idle_timeout_ms; /* how long a connection may wait for one more request then */
    uint32_t health_probes;        /* in flight at a time, of all pools */

    size_t n_listens;
    struct listen *listens;
    size_t n_sites;
    struct site *sites;
    size_t n_groups;
    const struct group **groups;
    struct pool **pools;           /* one per group, as of when the files were read; a reference each */

    void *memory;                  /* private to core/config */
};

/* Errors found while loading, in the order of the files. The reader goes on after an error as far as it can, up to CONFIG_ERRORS_MAX. */
#define CONFIG_ERRORS_MAX 50
struct config_errors;

/* A worker count, or what the command line gives, for what the file does not decide. */
struct config_options {
    const char *balancers_dir;     /* NULL: the built-in module directory, unless the file names one */
    /*
     * Makes the pool of each group, for that many workers, or gives a reference on one that serves already; NULL: pool_create. Returns 0, or
     * -errno with a sentence in error[0..size).
     */
    int (*make_pool)(void *context, const struct pool_spec *spec, unsigned n_workers, struct pool **pool, char *error, size_t size);
    void *context;
    bool allow_insecure_files;     /* files that everybody may write to are not refused, the main file included */
    bool without_names;            /* names of servers and listens are not looked up, and get addresses that nobody has: for reading the rest */
};

/*
 * Reads `path` and all it names, resolves names (a server's name that is not found is an error, as in nginx), loads strategies and error pages, compiles patterns. Control thread; blocks on
 * files and on name resolution. Returns 0 and *config, or -EINVAL / -ENOENT / -ENOMEM with at least one line in *errors. Warnings may
 * be in *errors also on success. The caller frees *errors in both cases.
 */
int config_load(const char *path, const struct config_options *options, struct config **config,
                struct config_errors **errors) __attribute__((warn_unused_result));
/*
 * The pool of the group, whose reference becomes the caller's. What has served must be taken: the configuration frees what it still has as if nobody
 * had ever used it.
 */
struct pool *config_take_pool(struct config *config, size_t index);
/* libconfig exports a function of the same name and calls it by that name, so ours goes by another in object files. */
void config_destroy(struct config *config) __asm__("fairlead_config_destroy");

/* Prints one line per finding: "fairlead: [emerg] SENTENCE in FILE:LINE", as nginx does. */
void config_errors_print(const struct config_errors *errors, FILE *out);
size_t config_errors_count(const struct config_errors *errors);
void config_errors_destroy(struct config_errors *errors);

/*
 * -T: the effective configuration, every key with its value, defaults included, in the file format; the directory of sites_enabled is told in
 * the first line, a comment. With `secrets` what it prints can be read again; without, each secret is CONFIG_SECRET_MASK, which the reader refuses.
 */
#define CONFIG_SECRET_MASK "(not shown)"
void config_print(const struct config *config, bool secrets, FILE *out);

#endif
