/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Farewell: does any worker still have links to a server that no pool has any more? The control thread asks by letters, every worker
 * answers once, after it has closed its idle links to the server; it is asked again until nobody has any.
 */
#ifndef FAIRLEAD_UPSTREAM_FAREWELL_H
#define FAIRLEAD_UPSTREAM_FAREWELL_H

#include "upstream/state.h"

/* Owned by the asker, who keeps it until it is answered. Begins zeroed. */
struct state_question {
    struct server_state *state; /* borrowed */
    atomic_uint unanswered;     /* by so many workers */
    atomic_uint users;          /* links that those who answered still have */
};

/* Control thread; the question before must have been answered. To be published by `n` letters. */
void state_ask(struct state_question *question, struct server_state *state, unsigned n);
/* Worker thread, once per question: the links to it that it still has (links_close_state). */
void state_answer(struct state_question *question, unsigned users);
/* Control thread: have all answered? */
bool state_is_answered(const struct state_question *question);
/* Control thread, of a question that is answered: may server_state_free have it? If not, ask again later. */
bool state_is_free(const struct state_question *question);

#endif
