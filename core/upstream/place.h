/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Places: servers of a pool whose addresses come and go, because they are those of a name. The control thread
 * fills and empties them; that a place which was emptied is used by nobody any more is found out by a
 * question to every thread that may.
 */
#ifndef FAIRLEAD_UPSTREAM_PLACE_H
#define FAIRLEAD_UPSTREAM_PLACE_H

#include "upstream/pool.h"

/* Negative, 0 or positive, as strcmp: by family, address, and port. Internet addresses only. */
int server_address_compare(const struct server_address *a, const struct server_address *b);
/* "127.0.0.1:80", "[::1]:80"; returns `text`. SERVER_NAME_MAX bytes are enough. Internet addresses only. */
const char *server_address_print(const struct server_address *address, char *text, size_t size);

/*
 * Gives an ABSENT server its address and its name for logs (copied, and cut at SERVER_NAME_MAX), and lets it
 * serve. Nobody may be using it: it is new, or a question has said so. Counters and the passive check begin
 * anew. What is hashed stays the name of its spec. Control thread.
 */
void pool_place(struct pool *pool, struct server *server, const struct server_address *address,
                const char *name, uint64_t now_ms);
/* Takes a server out of service, or puts one back that still has the right address. What runs goes on.
 * Control thread. */
void pool_displace(struct pool *pool, struct server *server, uint64_t now_ms);
void pool_replace(struct pool *pool, struct server *server, uint64_t now_ms);

/*
 * A question about a server that is ABSENT: does anybody still use it? Owned by the asker, who keeps it until
 * it is answered. Asked of `n` threads by letters; each calls place_answer once, with the connections to it
 * that it still has.
 */
struct place_question {
    struct server *server;  /* borrowed */
    atomic_uint unanswered; /* by so many threads */
    atomic_uint users;
};

/* Control thread; the question before must have been answered. */
void place_ask(struct place_question *question, struct server *server, unsigned n);
/* Any thread, once per question. */
void place_answer(struct place_question *question, unsigned users);
/* Control thread: have all answered? */
bool place_is_answered(const struct place_question *question);
/* Control thread, of a question that is answered: may the server get another address? */
bool place_is_free(const struct place_question *question);

#endif
