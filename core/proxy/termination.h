/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who ended an exchange, and in which phase: two characters for the log, with the meanings that they have in
 * HAProxy as far as those apply. Noted where something ends; what is tried again begins with a clean sheet.
 * Worker thread.
 */
#ifndef FAIRLEAD_PROXY_TERMINATION_H
#define FAIRLEAD_PROXY_TERMINATION_H

#include "proxy/exchange.h"

/* X(identifier, letter, sentence) */
#define TERMINATION_CAUSES(X)                                                                                \
    X(CLIENT, 'C', "the client ended the connection")                                                        \
    X(CLIENT_TIMEOUT, 'c', "the client took too long to send or to take bytes")                              \
    X(SERVER, 'S', "the server refused or ended the connection, or none was there")                          \
    X(SERVER_TIMEOUT, 's', "the server took too long, or its queue")                                         \
    X(PROXY, 'P', "we refused: the request or the response was not as it must be, or over a limit")          \
    X(RESOURCE, 'R', "we ran out of memory, descriptors or ports")                                           \
    X(INTERNAL, 'I', "a fault of ours")                                                                      \
    X(KILLED, 'K', "an administrator ended it: the stop did not wait any longer")

enum termination_cause {
#define X(id, letter, sentence) TERMINATION_##id = letter,
    TERMINATION_CAUSES(X)
#undef X
};

/* Notes the cause, the phase being that of the exchange's state; a later note replaces an earlier one. NULL:
 * nothing. */
void termination_note(struct exchange *exchange, enum termination_cause cause);
/* The same, in the phase of `state`, whatever the exchange's is. */
void termination_note_in(struct exchange *exchange, enum termination_cause cause, enum exchange_state state);
/* The same, unless something was noted. */
void termination_assume(struct exchange *exchange, enum termination_cause cause);
/* A try has failed with -errno, 0: without one. */
void termination_note_failure(struct exchange *exchange, int error);

/* "--": it ended as it should; "LR": answered here. Two characters and NUL. */
void termination_text(const struct exchange *exchange, char text[3]);

#endif
