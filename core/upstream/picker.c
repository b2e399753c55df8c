/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Picking a server, and what its outcome does to it: the passive check. A picker belongs to one worker; it
 * meets the others in the atomics of struct server and in the pool's version (doc/threads.md). It takes no
 * lock, and allocates and calls the system only in picker_create.
 *
 * The passive check is nginx's: max_fails failures within fail_timeout take a server out for fail_timeout;
 * after that one pick is let through as a trial, and its success puts the server back. When nothing else is
 * left, all are put back. Unlike nginx, a window starts with its first failure and does not grow with the
 * later ones, and a trial whose client went away frees the way for the next one.
 */
#include "upstream/picker.h"

#include "upstream/tier.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_MS 1000000u
#define NEVER_MS  UINT64_MAX

/* What the worker knows of one tier. */
struct view {
    const struct tier *tier;
    void *state;        /* owned; the strategy's */
    uint64_t *usable;   /* owned; as of picker->version */
    uint64_t *narrowed; /* owned; usable without what the request has tried */
    size_t n_usable;    /* bits set in usable */
};

struct picker {
    struct pool *pool; /* borrowed; outlives the picker */
    struct view views[N_TIERS];
    uint64_t version;        /* of the pool, when the views were made */
    uint64_t next_change_ms; /* when the first server that is out may be tried again */
    /* Owned; per server the out_until_ms that this picker's trial has set, 0 where it has none. An older
     * request to the same server that ends meanwhile is taken for the trial: picks carry no mark, and the
     * next window would put that right. */
    uint64_t *trials;
};

static size_t n_words(size_t n_servers)
{
    return (n_servers + 63) / 64;
}

static void clear_bit(uint64_t *words, size_t bit)
{
    words[bit / 64] &= ~(UINT64_C(1) << (bit % 64));
}

static bool is_tried(const struct tried *tried, size_t server)
{
    return tried && ((tried->words[server / 64] >> (server % 64)) & 1);
}

static void destroy_view(struct view *view)
{
    free(view->state);
    free(view->usable);
    free(view->narrowed);
}

static int create_view(struct view *view, const struct pool *pool, const struct tier *tier, unsigned worker)
{
    const struct fairlead_balancer *balancer = pool->strategy.balancer;

    view->tier = tier;
    if (tier->set.n_servers == 0)
        return 0;
    /* Whole cache lines, at least one: no other worker's state shares them, and size 0 gives a pointer too.
     */
    size_t size = (balancer->state_size(&tier->set, tier->plan) / 64 + 1) * 64;
    view->state = aligned_alloc(64, size);
    view->usable = calloc(n_words(tier->set.n_servers), sizeof *view->usable);
    view->narrowed = calloc(n_words(tier->set.n_servers), sizeof *view->narrowed);
    if (!view->state || !view->usable || !view->narrowed)
        return -1;
    memset(view->state, 0, size);
    balancer->state_init(view->state, &tier->set, tier->plan, worker);
    return 0;
}

struct picker *picker_create(struct pool *pool, unsigned worker)
{
    struct picker *picker = calloc(1, sizeof *picker);

    if (!picker)
        return NULL;
    picker->pool = pool;
    picker->trials = calloc(pool->n_servers, sizeof *picker->trials);
    if (!picker->trials)
        goto fail;
    for (int i = 0; i < N_TIERS; i++) {
        if (create_view(&picker->views[i], pool, &pool->tiers[i], worker) != 0)
            goto fail;
    }
    return picker;
fail:
    picker_destroy(picker);
    return NULL;
}

void picker_destroy(struct picker *picker)
{
    if (!picker)
        return;
    for (int i = 0; i < N_TIERS; i++)
        destroy_view(&picker->views[i]);
    free(picker->trials);
    free(picker);
}

/* Called after each change of an out_until_ms. Release: whoever sees the new version sees that change too
 * (is_stale). */
static void tell_all(struct pool *pool)
{
    atomic_fetch_add_explicit(&pool->version, 1, memory_order_release);
}

static void refresh_view(struct picker *picker, struct view *view, uint64_t now_ms)
{
    const struct tier *tier = view->tier;

    view->n_usable = 0;
    if (tier->set.n_servers == 0)
        return;
    memset(view->usable, 0, n_words(tier->set.n_servers) * sizeof *view->usable);
    for (size_t i = 0; i < tier->set.n_servers; i++) {
        const struct server *server = &picker->pool->servers[tier->indices[i]];
        uint64_t out_until = atomic_load_explicit(&server->out_until_ms, memory_order_relaxed);

        if (server->down)
            continue;
        if (out_until <= now_ms) {
            view->usable[i / 64] |= UINT64_C(1) << (i % 64);
            view->n_usable++;
        } else if (out_until < picker->next_change_ms) {
            picker->next_change_ms = out_until;
        }
    }
}

/* Looks at every server, but only if one went out or came back, or if it is time for a trial. */
static void refresh(struct picker *picker, uint64_t now_ms)
{
    /* Acquire: pairs with tell_all, so that the change is seen which moved the version. */
    uint64_t version = atomic_load_explicit(&picker->pool->version, memory_order_acquire);

    if (version == picker->version && now_ms < picker->next_change_ms)
        return;
    /* Noted before the servers are read: a change in between moves the version again and costs one more look.
     */
    picker->version = version;
    picker->next_change_ms = NEVER_MS;
    for (int i = 0; i < N_TIERS; i++)
        refresh_view(picker, &picker->views[i], now_ms);
}

/*
 * True when the server may be used: it is in service, or this picker got its trial. The exchange is relaxed:
 * it decides only between those who want the trial, and publishes nothing.
 */
static bool claim(struct picker *picker, struct server *server, uint64_t now_ms)
{
    unsigned long long out_until = atomic_load_explicit(&server->out_until_ms, memory_order_relaxed);
    uint64_t next = now_ms + server->fail_timeout_ms;

    if (out_until == 0)
        return true;
    if (out_until > now_ms)
        return false;
    if (!atomic_compare_exchange_strong_explicit(&server->out_until_ms, &out_until, next,
                                                 memory_order_relaxed, memory_order_relaxed))
        return out_until == 0;
    picker->trials[server->index] = next;
    tell_all(picker->pool);
    return true;
}

/* The usable servers that the request has not tried yet. */
static void narrow(const struct picker *picker, const struct view *view, const struct tried *tried,
                   struct fairlead_pick *pick)
{
    const struct pool *pool = picker->pool;

    pick->usable = view->usable;
    pick->n_usable = view->n_usable;
    if (!tried || tried->count == 0)
        return;
    memcpy(view->narrowed, view->usable, n_words(view->tier->set.n_servers) * sizeof *view->narrowed);
    pick->usable = view->narrowed;
    for (size_t word = 0; word < n_words(pool->n_servers); word++) {
        for (uint64_t bits = tried->words[word]; bits != 0; bits &= bits - 1) {
            size_t index = word * 64 + (size_t)__builtin_ctzll(bits);
            size_t position = pool->positions[index];

            if (&pool->tiers[pool->servers[index].backup] != view->tier || !fairlead_usable(pick, position))
                continue;
            clear_bit(view->narrowed, position);
            pick->n_usable--;
        }
    }
}

static void *plan_of(const struct view *view)
{
    return view->tier->plan;
}

static int ask(const struct picker *picker, const struct view *view, const struct fairlead_pick *pick)
{
    const struct fairlead_set *set = &view->tier->set;
    int position = picker->pool->strategy.balancer->pick(view->state, set, plan_of(view), pick);

    if (position == FAIRLEAD_NONE)
        return position;
    /* A module that breaks these would make us write outside of our tables, or use a server that is down. */
    assert(position >= 0 && (size_t)position < set->n_servers);
    assert(fairlead_usable(pick, (size_t)position));
    return position;
}

static void tell_strategy(const struct picker *picker, const struct view *view, int position,
                          enum fairlead_outcome outcome, uint64_t latency_ns)
{
    const struct fairlead_balancer *balancer = picker->pool->strategy.balancer;

    if (balancer->done)
        balancer->done(view->state, &view->tier->set, plan_of(view), position, outcome, latency_ns);
}

/* Picks from one tier; NULL when there is none to use. Each round without a result takes one bit away, so it
 * ends. */
static struct server *pick_from(struct picker *picker, struct view *view, const struct tried *tried,
                                struct fairlead_pick *pick, bool insisting)
{
    uint64_t now_ms = pick->now_ns / NS_PER_MS;

    while (view->n_usable > 0) {
        narrow(picker, view, tried, pick);
        if (pick->n_usable == 0)
            return NULL;
        pick->effective_weight = view->tier->weights;
        int position = ask(picker, view, pick);
        if (position == FAIRLEAD_NONE)
            return NULL;
        struct server *server = &picker->pool->servers[view->tier->indices[position]];
        if (insisting || claim(picker, server, now_ms))
            return server;
        /* Another worker was quicker: it took the server out, or has its trial. The version moves with that,
         * if it has not yet. */
        tell_strategy(picker, view, position, FAIRLEAD_CANCELLED, 0);
        clear_bit(view->usable, (size_t)position);
        view->n_usable--;
    }
    return NULL;
}

static struct server *pick_any(struct picker *picker, const struct tried *tried, struct fairlead_pick *pick,
                               bool insisting)
{
    struct server *server = NULL;

    for (int i = 0; !server && i < N_TIERS; i++)
        server = pick_from(picker, &picker->views[i], tried, pick, insisting);
    return server;
}

/* Puts a server back into service. False when it was in service already. */
static bool put_back(struct server *server)
{
    if (atomic_load_explicit(&server->out_until_ms, memory_order_relaxed) == 0)
        return false;
    /* Release: a worker that sees the server in service counts its next failure from zero (count_failure). */
    atomic_store_explicit(&server->fails, 0, memory_order_relaxed);
    return atomic_exchange_explicit(&server->out_until_ms, 0, memory_order_release) != 0;
}

/*
 * Everything that is up has failed: refusing all requests until the first window ends would help nobody, so
 * all that this request could still use come back at once. Another worker may do the same, or take one out
 * again meanwhile; the views that this leaves, for this pick only, therefore ask nobody: all servers that are
 * not down.
 */
static void recover(struct picker *picker, const struct tried *tried)
{
    struct pool *pool = picker->pool;
    bool any = false;

    for (size_t i = 0; i < pool->n_servers; i++) {
        if (!pool->servers[i].down && !is_tried(tried, i))
            any |= put_back(&pool->servers[i]);
    }
    if (any)
        tell_all(pool);
    for (int i = 0; i < N_TIERS; i++)
        refresh_view(picker, &picker->views[i], NEVER_MS);
    /* No version is 0, so that the next pick looks again. */
    picker->version = 0;
}

int picker_pick(struct picker *picker, struct tried *tried, uint64_t key, uint64_t now_ns)
{
    struct fairlead_pick pick = {.key = key, .now_ns = now_ns};
    struct server *server;

    refresh(picker, now_ns / NS_PER_MS);
    server = pick_any(picker, tried, &pick, false);
    if (!server) {
        recover(picker, tried);
        server = pick_any(picker, tried, &pick, true);
    }
    if (!server)
        return PICKER_NONE;
    if (tried) {
        tried->words[server->index / 64] |= UINT64_C(1) << (server->index % 64);
        tried->count++;
    }
    atomic_fetch_add_explicit(&server->in_flight, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&server->picked, 1, memory_order_relaxed);
    return (int)server->index;
}

/* Ends a trial by moving its own deadline; one that is no longer in place was overtaken by a later trial or
 * by recover. */
static bool end_trial(struct pool *pool, struct server *server, unsigned long long claimed,
                      uint64_t out_until)
{
    /* Zero is no deadline but "in service". */
    if (out_until == 0)
        out_until = 1;
    if (!atomic_compare_exchange_strong_explicit(&server->out_until_ms, &claimed, out_until,
                                                 memory_order_relaxed, memory_order_relaxed))
        return false;
    tell_all(pool);
    return true;
}

/*
 * Failures in the current window, with this one. The two words are not changed together: of failures that two
 * workers see in the same instant, at a window's start, one may go uncounted. Each call answers at least 1,
 * so max_fails = 1 is exact.
 */
static uint32_t count_failure(struct server *server, uint64_t now_ms)
{
    unsigned long long start = atomic_load_explicit(&server->window_start_ms, memory_order_relaxed);
    uint32_t fails = atomic_load_explicit(&server->fails, memory_order_relaxed);
    bool fresh = fails == 0 || now_ms - start >= server->fail_timeout_ms;

    if (fresh && atomic_compare_exchange_strong_explicit(&server->window_start_ms, &start, now_ms,
                                                         memory_order_relaxed, memory_order_relaxed)) {
        atomic_store_explicit(&server->fails, 1, memory_order_relaxed);
        return 1;
    }
    return atomic_fetch_add_explicit(&server->fails, 1, memory_order_relaxed) + 1;
}

/* True when this failure took the server out. */
static bool on_failure(struct pool *pool, struct server *server, uint64_t claimed, uint64_t now_ms)
{
    uint64_t until = now_ms + server->fail_timeout_ms;
    unsigned long long in_service = 0;

    if (pool->single || server->max_fails == 0 || server->fail_timeout_ms == 0)
        return false;
    if (claimed != 0 && end_trial(pool, server, claimed, until))
        return false;
    /* A request from before the server went out says nothing new. Acquire: pairs with put_back. */
    if (atomic_load_explicit(&server->out_until_ms, memory_order_acquire) != 0)
        return false;
    if (count_failure(server, now_ms) < server->max_fails)
        return false;
    if (!atomic_compare_exchange_strong_explicit(&server->out_until_ms, &in_service, until,
                                                 memory_order_relaxed, memory_order_relaxed))
        return false;
    tell_all(pool);
    return true;
}

static bool judge(struct picker *picker, struct server *server, enum fairlead_outcome outcome,
                  uint64_t now_ms)
{
    uint64_t claimed = picker->trials[server->index];

    picker->trials[server->index] = 0;
    switch (outcome) {
    case FAIRLEAD_FAILED:
        return on_failure(picker->pool, server, claimed, now_ms);
    case FAIRLEAD_OK:
        /* As in nginx, a success within the window does not forgive its failures; only a trial's does. */
        if (claimed != 0 && put_back(server))
            tell_all(picker->pool);
        return false;
    case FAIRLEAD_CANCELLED:
        if (claimed != 0)
            (void)end_trial(picker->pool, server, claimed, now_ms);
        return false;
    }
    return false;
}

bool picker_done(struct picker *picker, int server, enum fairlead_outcome outcome, uint64_t latency_ns,
                 uint64_t now_ns)
{
    struct pool *pool = picker->pool;

    assert(server >= 0 && (size_t)server < pool->n_servers);
    struct server *served = &pool->servers[server];
    uint32_t in_flight = atomic_fetch_sub_explicit(&served->in_flight, 1, memory_order_relaxed);
    assert(in_flight > 0);
    if (outcome == FAIRLEAD_FAILED)
        atomic_fetch_add_explicit(&served->failed, 1, memory_order_relaxed);
    tell_strategy(picker, &picker->views[served->backup], (int)pool->positions[server], outcome,
                  outcome == FAIRLEAD_OK ? latency_ns : 0);
    return judge(picker, served, outcome, now_ns / NS_PER_MS);
}
