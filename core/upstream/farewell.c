/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Farewell; see farewell.h. */
#include "upstream/farewell.h"

#include <assert.h>

void state_ask(struct state_question *question, struct server_state *state, unsigned n)
{
    assert(state_is_answered(question));
    question->state = state;
    atomic_store_explicit(&question->users, 0, memory_order_relaxed);
    atomic_store_explicit(&question->unanswered, n, memory_order_relaxed); /* the letters publish it */
}

/* Each answer is released, and who sees the last one has acquired them all: a read-modify-write goes on with the release of the one
 * before. */
void state_answer(struct state_question *question, unsigned users)
{
    atomic_fetch_add_explicit(&question->users, users, memory_order_relaxed);
    atomic_fetch_sub_explicit(&question->unanswered, 1, memory_order_release);
}

bool state_is_answered(const struct state_question *question)
{
    return atomic_load_explicit(&question->unanswered, memory_order_acquire) == 0;
}

bool state_is_free(const struct state_question *question)
{
    return atomic_load_explicit(&question->users, memory_order_relaxed) == 0 &&
           atomic_load_explicit(question->state->in_flight, memory_order_relaxed) == 0;
}
