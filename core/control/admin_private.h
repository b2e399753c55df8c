/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of the control socket share. Control thread. */
#ifndef FAIRLEAD_CONTROL_ADMIN_PRIVATE_H
#define FAIRLEAD_CONTROL_ADMIN_PRIVATE_H

#include "control/admin.h"
#include "control/reply.h"
#include "ctl/protocol.h"
#include "proxy/survey.h"

enum request_flag { REQUEST_JSON = 1, REQUEST_CSV = 2, REQUEST_PERSIST = 4 };

/* A request line, cut into its words; those that begin with "--" are flags. */
struct request {
    unsigned flags; /* enum request_flag */
    size_t n;
    char *words[CTL_WORDS_MAX]; /* point into the line; words[0] is the command */
};

struct command {
    const char *name, *arguments, *sentence;
    unsigned flags;                   /* that it takes */
    size_t least, most;               /* words, its name included */
    enum { ASKS_NOBODY, ASKS_COUNTERS, ASKS_SESSIONS } asks; /* a survey is made before it runs */
    void (*run)(struct admin *admin, const struct request *request, const struct survey *survey, struct reply *reply);
};

/* Cuts line[0..len), without its newline, in place. Returns false with the reply failed: control characters, too many words, or a flag that is unknown. */
bool request_parse(char *line, size_t len, struct request *request, struct reply *reply);
/* The command, or NULL with the reply failed: it is unknown, or has other words or flags than it takes. */
const struct command *request_command(const struct request *request, struct reply *reply);

extern const struct command admin_commands[]; /* ends with a name that is NULL */

const struct admin_host *admin_host(const struct admin *admin);

/* "5d 3h", "12m 4s": for people. `text` has ADMIN_AGE_MAX bytes; returns it. */
#define ADMIN_AGE_MAX 32u
const char *admin_age(uint64_t ms, char *text);

/* The pool of that name, or NULL with the reply failed. */
struct pool *admin_find_pool(const struct admin_view *view, const char *name, struct reply *reply);
/* Splits "POOL/NAME", where either may hold a '/' itself: the pool is the longest that fits. NULL with the reply failed. *rest is the name. */
struct pool *admin_split(const struct admin_view *view, const char *both, const char **rest, struct reply *reply);

/* The commands. */
#define ADMIN_COMMAND(name) \
    void name(struct admin *admin, const struct request *request, const struct survey *survey, struct reply *reply)
ADMIN_COMMAND(admin_version);
ADMIN_COMMAND(admin_help);
ADMIN_COMMAND(admin_status);
ADMIN_COMMAND(admin_counters);
ADMIN_COMMAND(admin_sessions);
ADMIN_COMMAND(admin_sample);
ADMIN_COMMAND(admin_servers);
ADMIN_COMMAND(admin_server);
ADMIN_COMMAND(admin_reload);
ADMIN_COMMAND(admin_act);

#endif
