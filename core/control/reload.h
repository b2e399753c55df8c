/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From files to the edition that serves: at the start, at a reload, and when servers change while running. What is found wrong leaves everything as it was.
 * Control thread; blocks on files and names, as config_load does.
 */
#ifndef FAIRLEAD_CONTROL_RELOAD_H
#define FAIRLEAD_CONTROL_RELOAD_H

#include "control/changes.h"
#include "control/control.h"
#include "control/editions.h"
#include "control/names.h"

struct serving {
    const struct control_options *options; /* borrowed */
    struct loaded *loaded;     /* of the current edition; a reference */
    struct listeners *listeners; /* owned by the caller */
    struct threads *threads;   /* likewise */
    struct editions *editions; /* likewise */
    struct names *names;       /* owned; NULL: the configuration has none */
    struct changes changes;    /* made while running; owned */
    bool begun;                /* serving_begin has taken the configuration */
    unsigned long long reloads, reloads_failed;
};

/* What a sentence may take: findings come with it, one line each. */
#define RELOAD_TEXT_MAX 4096u

/*
 * Reads the files. Returns 0 and the configuration, or -errno with the findings in text[0..size), one line each, as nginx words them ("fairlead: [emerg] SENTENCE in
 * FILE:LINE"); warnings may be there in both cases.
 */
int serving_read(const struct serving *serving, struct config **config, char *text, size_t size) __attribute__((warn_unused_result));
/*
 * Makes the first edition of a configuration whose listeners are open; it takes both over. `states` is what the process before
 * this one knew of its servers (pool_export); p NULL: there was none. Publishes it as far as that goes without workers. Returns 0, or -errno with
 * a sentence.
 */
int serving_begin(struct serving *serving, struct config *config, struct listener **listeners, struct span states, char *text, size_t size)
    __attribute__((warn_unused_result));
/* Reads the files anew and lets the workers follow. Returns 0, or -errno: then everything is as before. What was found is in text[0..size), and logged. */
int serving_reload(struct serving *serving, char *text, size_t size);
/* Changes a server while running: the pool of its group is made anew. Returns 0, or -errno: then everything is as before; a sentence in either case. */
int serving_change(struct serving *serving, const struct change *change, char *text, size_t size);
/* A graceful stop: names are not asked for any more, since an edition that is made from now on would have no listeners. */
void serving_stop(struct serving *serving);
/* For names_create (names.h); `context` is the serving. */
bool serving_addresses_changed(void *context, size_t group);
/* What was changed without being kept is gone with what comes next, `cause` ("reload", "upgrade"): each is logged. */
void serving_tell_forgotten(const struct serving *serving, const char *cause);
/* -t: whether the state file of the configuration can be used. Returns 0, or -errno with a sentence. */
int serving_check(const struct config *config, char *text, size_t size) __attribute__((warn_unused_result));
/* After the threads were joined and the editions ended. */
void serving_fini(struct serving *serving);

#endif
