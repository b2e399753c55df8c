/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The places of one name: which address is where, and which place may get another one. Addresses that stay
 * keep their places; those that go are taken out of service at once, and their places are free when every
 * thread has said that it does not use them any more. Control thread; what the workers and the health thread
 * do to it, they do by answering letters.
 */
#ifndef FAIRLEAD_CONTROL_PLACES_H
#define FAIRLEAD_CONTROL_PLACES_H

#include "config/config.h"
#include "engine/worker.h"

/* The threads that use servers. They take letters as long as there are places. */
struct place_users {
    struct worker *const *workers; /* with a service (proxy/service.h) each; borrowed */
    unsigned n_workers;
    struct worker *health;                              /* NULL: none; borrowed */
    void (*health_changed)(void *worker, void *server); /* the letter that it wants about each change */
};

struct places;

/* As the configuration has filled them. `named` and `users` are borrowed. Returns NULL when memory is short.
 */
struct places *places_create(const struct named_server *named, const struct place_users *users);
/* After the threads that use servers have ended. NULL is allowed. */
void places_destroy(struct places *places);

/* Takes the list, as far as places are free; what finds none waits for one. The list is borrowed until the
 * next one. */
void places_apply(struct places *places, const struct wanted_list *wanted, uint64_t now_ms);
/* Asks about places that were emptied, reads answers, and fills what has become free. */
void places_tend(struct places *places, uint64_t now_ms);
/* When places_tend is wanted next; UINT64_MAX: not at all. */
uint64_t places_due_ms(const struct places *places);

#endif
