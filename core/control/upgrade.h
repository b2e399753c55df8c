/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The upgrade in place: a running Fairlead starts the binary anew, gives it the listening sockets and what it knows, and leaves only when the new one says that it is
 * ready. If that one fails in any way, the old one goes on. Control thread of either process; the parent never waits.
 *
 * The two speak over a socket pair whose end the child finds in FAIRLEAD_UPGRADE; the messages are in upgrade_message.h.
 */
#ifndef FAIRLEAD_CONTROL_UPGRADE_H
#define FAIRLEAD_CONTROL_UPGRADE_H

#include "control/listener.h"

#define UPGRADE_TIMEOUT_MS 60000 /* in which the child must be ready */
#define UPGRADE_END_MS     2000  /* how long a child that has failed may take to end by itself */
#define UPGRADE_PARTS_MAX  64u
#define UPGRADE_NAME_MAX   64u   /* bytes of a part's name, the NUL included */
#define UPGRADE_PART_MAX   (64u << 20)

/* Something that the new process is to know: states of servers, secrets. */
struct upgrade_part {
    const char *name; /* of letters, digits, '-', '_', '.' */
    const void *data;
    size_t len;
};

/* ---- The old process ---- */

struct upgrade_offer {
    const char *binary;  /* absolute, as upgrade_find_binary gave it at the start: what is there now is executed */
    char *const *argv;   /* as given at the start */
    const struct listeners *listeners; /* those that are not hushed are passed on */
    size_t n_parts;
    const struct upgrade_part *parts;  /* copied */
    int timeout_ms;      /* 0: UPGRADE_TIMEOUT_MS */
};

enum upgrade_state { UPGRADE_PENDING, UPGRADE_READY, UPGRADE_FAILED };

struct upgrade;

/* The path of the program that was called as `argv0`, absolute but with its symbolic links: what they will lead to is meant. At the start, before
 * the working directory changes. Returns 0 or -ENOENT, -ENAMETOOLONG. */
int upgrade_find_binary(const char *argv0, char *path, size_t size) __attribute__((warn_unused_result));

/* Starts the new process. Returns 0 and *upgrade, or -errno with a sentence; then nothing has happened. */
int upgrade_start(const struct upgrade_offer *offer, struct upgrade **upgrade, char *error, size_t size)
    __attribute__((warn_unused_result));
/* To be polled for POLLIN. */
int upgrade_fd(const struct upgrade *upgrade);
/* In how many milliseconds upgrade_run wants to be called though nothing is readable; at most `most_ms`. */
int upgrade_timeout_ms(const struct upgrade *upgrade, int most_ms);
/*
 * READY: the new process serves; call listeners_give_away and drain. FAILED: the child has ended and upgrade_text says why. Both are final.
 */
enum upgrade_state upgrade_run(struct upgrade *upgrade);
const char *upgrade_text(const struct upgrade *upgrade); /* one line, printable, whatever the child sent */
pid_t upgrade_pid(const struct upgrade *upgrade);
/* A child that is not ready is killed. NULL is allowed. */
void upgrade_destroy(struct upgrade *upgrade);

/* ---- The new process ---- */

#define UPGRADE_PART_STATES "server-states" /* pool_export, of all pools */
#define UPGRADE_PART_SECRET "sticky-secret"

struct upgrade_gift;

/* This process was started by an upgrade_start. */
bool upgrade_is_child(void);
/*
 * Receives everything, waiting at most UPGRADE_END_MS for each message. Returns 0 and *gift; or -errno with a sentence that the old process has been told, too: then
 * this one ends. FAIRLEAD_UPGRADE is removed from the environment.
 */
int upgrade_receive(struct listeners *listeners, struct upgrade_gift **gift, char *error, size_t size)
    __attribute__((warn_unused_result));
/* NULL: the old process had none of that name (another version). Valid until upgrade_gift_destroy. */
const struct upgrade_part *upgrade_gift_part(const struct upgrade_gift *gift, const char *name);
/* When the workers accept. The old process drains from then on. Returns 0, or -errno when it is gone: no reason not to go on. */
int upgrade_tell_ready(struct upgrade_gift *gift);
/* Before ending without being ready: the old process logs the sentence. */
void upgrade_tell_failed(struct upgrade_gift *gift, const char *sentence);
/* Forgets the parts, secrets among them. NULL is allowed. */
void upgrade_gift_destroy(struct upgrade_gift *gift);

#endif
