/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Places; see place.h. */
#include "upstream/place.h"
#include "upstream/passive.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <string.h>

int server_address_compare(const struct server_address *a, const struct server_address *b)
{
    int order = (a->sa.sa_family > b->sa.sa_family) - (a->sa.sa_family < b->sa.sa_family);

    if (order == 0 && a->sa.sa_family == AF_INET)
        order = memcmp(&a->in.sin_addr, &b->in.sin_addr, sizeof(a->in.sin_addr));
    else if (order == 0)
        order = memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof(a->in6.sin6_addr));
    if (order == 0 && a->sa.sa_family == AF_INET)
        return (int)ntohs(a->in.sin_port) - (int)ntohs(b->in.sin_port);
    if (order == 0)
        return (int)ntohs(a->in6.sin6_port) - (int)ntohs(b->in6.sin6_port);
    return order;
}

const char *server_address_print(const struct server_address *address, char *text, size_t size)
{
    char host[INET6_ADDRSTRLEN];

    if (address->sa.sa_family == AF_INET) {
        inet_ntop(AF_INET, &address->in.sin_addr, host, sizeof(host));
        snprintf(text, size, "%s:%u", host, (unsigned)ntohs(address->in.sin_port));
    } else {
        inet_ntop(AF_INET6, &address->in6.sin6_addr, host, sizeof(host));
        snprintf(text, size, "[%s]:%u", host, (unsigned)ntohs(address->in6.sin6_port));
    }
    return text;
}

void pool_place(struct pool *pool, struct server *server, const struct server_address *address,
                const char *name, uint64_t now_ms)
{
    assert(server_flags(server) & SERVER_ABSENT);
    assert(atomic_load_explicit(server->in_flight, memory_order_relaxed) == 0);
    assert(address->len > 0);
    server->address = *address;
    snprintf(server->name, sizeof(server->name), "%s", name);
    passive_begin_anew(pool, server, now_ms);
    atomic_store_explicit(&server->picked, 0, memory_order_relaxed);
    atomic_store_explicit(&server->failed, 0, memory_order_relaxed);
    atomic_store_explicit(&server->ejected, 0, memory_order_relaxed);
    pool_replace(pool, server, now_ms);
}

void pool_displace(struct pool *pool, struct server *server, uint64_t now_ms)
{
    (void)pool_change_flags(pool, server, SERVER_ABSENT, 0, now_ms);
    passive_withdraw(pool, server);
}

void pool_replace(struct pool *pool, struct server *server, uint64_t now_ms)
{
    assert(server->address.len > 0);
    (void)pool_change_flags(pool, server, 0, SERVER_ABSENT, now_ms);
}

void place_ask(struct place_question *question, struct server *server, unsigned n)
{
    assert(place_is_answered(question));
    question->server = server;
    atomic_store_explicit(&question->users, 0, memory_order_relaxed);
    atomic_store_explicit(&question->unanswered, n, memory_order_relaxed); /* the letters publish it */
}

/* Each answer is released, and who sees the last one has acquired them all: a read-modify-write goes on with
 * the release of the one before. */
void place_answer(struct place_question *question, unsigned users)
{
    atomic_fetch_add_explicit(&question->users, users, memory_order_relaxed);
    atomic_fetch_sub_explicit(&question->unanswered, 1, memory_order_release);
}

bool place_is_answered(const struct place_question *question)
{
    return atomic_load_explicit(&question->unanswered, memory_order_acquire) == 0;
}

bool place_is_free(const struct place_question *question)
{
    return atomic_load_explicit(&question->users, memory_order_relaxed) == 0 &&
           atomic_load_explicit(question->server->in_flight, memory_order_relaxed) == 0;
}
