/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See termination.h. */
#include "proxy/termination.h"

#include <errno.h>

/* R: the request's head; Q: the queue; C: connecting; H: the response's head; D: data. */
static const char phases[EXCHANGE_N_STATES] = {
    [EXCHANGE_ROUTING] = 'R',  [EXCHANGE_QUEUED] = 'Q',   [EXCHANGE_CONNECTING] = 'C',
    [EXCHANGE_AWAITING] = 'H', [EXCHANGE_RELAYING] = 'D', [EXCHANGE_DONE] = 'L'};

void termination_note_in(struct exchange *exchange, enum termination_cause cause, enum exchange_state state)
{
    exchange->ended[0] = (char)cause;
    exchange->ended[1] = phases[state];
}

void termination_note(struct exchange *exchange, enum termination_cause cause)
{
    if (exchange)
        termination_note_in(exchange, cause, exchange->state);
}

void termination_assume(struct exchange *exchange, enum termination_cause cause)
{
    if (!exchange->ended[0])
        termination_note(exchange, cause);
}

void termination_note_failure(struct exchange *exchange, int error)
{
    switch (error) {
    case -ETIMEDOUT:
        termination_note(exchange, TERMINATION_SERVER_TIMEOUT);
        break;
    case -EMFILE:
    case -ENFILE:
    case -ENOBUFS:
    case -ENOMEM:
    case -EADDRNOTAVAIL:
        termination_note(exchange, TERMINATION_RESOURCE);
        break;
    default:
        termination_note(exchange, TERMINATION_SERVER);
        break;
    }
}

void termination_text(const struct exchange *exchange, char text[3])
{
    const char *ended = exchange->ended[0] ? exchange->ended : exchange->own_answer ? "LR" : "--";

    text[0] = ended[0];
    text[1] = ended[1];
    text[2] = '\0';
}
