/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How other threads ask a worker to do something: a bounded queue of letters with many writers and one
 * reader, and an eventfd that the reader's ring watches. The eventfd is written only when the reader said
 * that it is about to sleep, so a busy worker costs a sender no system call.
 */
#ifndef FAIRLEAD_ENGINE_MAILBOX_H
#define FAIRLEAD_ENGINE_MAILBOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define MAILBOX_LETTERS 256u /* a power of two */

struct letter {
    void (*run)(void *owner, void *argument); /* on the reader's thread */
    void *argument;                           /* whoever sends it says in its contract who owns it */
};

struct mailbox_cell {
    atomic_uint sequence;
    struct letter letter;
};

struct mailbox {
    _Alignas(64) atomic_uint head; /* writers */
    _Alignas(64) unsigned tail;    /* the reader's own */
    atomic_bool sleeping;
    int event_fd; /* owned; blocking, for a ring's read of 8 bytes */
    struct mailbox_cell cells[MAILBOX_LETTERS];
};

/* Returns 0 or -errno of eventfd. */
int mailbox_init(struct mailbox *mailbox) __attribute__((warn_unused_result));
void mailbox_fini(struct mailbox *mailbox);
/* Any thread; wakes the reader when needed. Returns 0, or -EAGAIN when the box is full. */
int mailbox_post(struct mailbox *mailbox, struct letter letter) __attribute__((warn_unused_result));
/* Reader: runs at most MAILBOX_LETTERS letters. Returns how many. */
unsigned mailbox_run(struct mailbox *mailbox, void *owner);
/* Reader, before it waits: returns true when it may sleep, false when letters are there (then it must not).
 */
bool mailbox_prepare_sleep(struct mailbox *mailbox);
/* Reader, after it woke. */
void mailbox_awake(struct mailbox *mailbox);

#endif
