/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Editions: snapshots in the hands of the control thread, from being made to being freed. An edition has what its snapshot borrows from this thread: the
 * listeners, and the health thread's plan. Publishing tells every thread; what was published before is freed when no thread uses it any more.
 * Control thread; it never waits but for room in a mailbox.
 */
#ifndef FAIRLEAD_CONTROL_EDITIONS_H
#define FAIRLEAD_CONTROL_EDITIONS_H

#include "control/listener.h"
#include "control/threads.h"
#include "proxy/snapshot.h"

#define EDITIONS_MAX 1000u /* that are alive: each is kept by the requests that began with it */

struct edition;

struct editions {
    struct threads *threads;     /* borrowed */
    uint8_t secret[SNAPSHOT_SECRET_SIZE];
    struct edition *current;     /* NULL before the first */
    struct edition *retired;     /* the youngest first */
    unsigned n;                  /* alive, the current one included */
    unsigned n_freed;            /* since memory was given back to the system */
    uint64_t published;          /* number of the current one */
    uint64_t adopted;            /* the health thread uses none before this one */
    struct leaving *leaving;     /* states of servers that no pool has any more */
    struct closing *closing;     /* listeners that are not wanted any more, while workers accept what has come */
    uint64_t due_ms;             /* when editions_run has something to look at; 0: nothing */
    uint32_t pause_ms;
};

/* What a new edition is made of. */
struct edition_parts {
    struct loaded *loaded;      /* a reference is taken */
    struct pool **pools;        /* by group; references that become the edition's, or are put when it fails */
    struct listener **listeners; /* by config->listens; likewise */
};

void editions_init(struct editions *editions, struct threads *threads);
/* Makes one, which changes nothing that is in use. Takes pools and listeners (not their arrays) in any case. Returns 0, or -errno with a sentence. */
int edition_create(struct editions *editions, const struct edition_parts *parts, struct edition **edition, char *error, size_t size)
    __attribute__((warn_unused_result));
/* One that was not published. */
void edition_discard(struct editions *editions, struct edition *edition);
/* It is the current one from now on; the first is only noted (threads_start gives it to the workers). Returns false when a thread could not be told. */
bool edition_publish(struct editions *editions, struct edition *edition);

const struct snapshot *editions_current(const struct editions *editions);
/* The snapshot that the workers begin with. */
struct snapshot *edition_snapshot(struct edition *edition);
/* All of its pools and how they are checked, for the health thread; the caller frees the row. NULL: memory is short. */
struct health_pool *edition_health(const struct edition *edition);
struct listener *const *edition_listeners(const struct edition *edition, size_t *n);
/* Current pool of that name, or NULL; borrowed. `hint`: its likely index. */
struct pool *editions_pool(const struct editions *editions, const char *name, size_t hint);

/* In how many milliseconds editions_run wants to be called; at most `most_ms`. */
int editions_timeout_ms(const struct editions *editions, int most_ms);
/* Frees what nobody uses any more. */
void editions_run(struct editions *editions);
/* A graceful stop. Unless another process goes on with them (`given_away`), the listeners hear nobody new. */
void editions_stop(struct editions *editions, bool given_away);
/* After the threads were joined, and their workers destroyed. */
void editions_fini(struct editions *editions);

#endif
