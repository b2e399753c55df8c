/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Picking a server; see picker.h. A picker belongs to one worker; it meets the others in the atomics of struct server_state and
 * struct pool_state (doc/threads.md). What may be used is looked at anew only when the pool's version has moved or a time has come; a pick then costs what the
 * strategy costs. The passive check is in passive.c.
 */
#include "upstream/picker.h"

#include "engine/bounded.h"
#include "upstream/passive.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_MS    1000000u
#define NEVER_MS     UINT64_MAX
#define WHOLE        65536u /* a fraction of one, for slow start and shares */
#define RAMP_STEPS   100u   /* in which a slow start goes up */
#define RAMP_STEP_MS 10u    /* but no more often than this */

/* What the worker knows of one tier. */
struct view {
    const struct tier *tier;
    struct fairlead_tier seen; /* as the strategy gets it; its state is owned */
    uint64_t *usable;          /* owned; as of picker->version */
    uint64_t *narrowed;        /* owned; usable without what this pick may not use */
    uint32_t *effective;       /* owned; weights, by position */
    size_t n_usable;           /* bits set in usable */
    bool full_weights;
};

/* This picker's trial of a server: the deadline that it has set, and when; deadline 0 where it has none. */
struct trial {
    uint64_t deadline_ms, picked_ms;
};

struct picker {
    struct pool *pool; /* borrowed; outlives the picker */
    struct view views[N_TIERS];
    uint64_t version;        /* of the pool, when the views were made */
    uint64_t next_change_ms; /* when a server that is out may be tried again, or a slow start goes on */
    size_t n_in_service;     /* servers that are usable and not out by the passive check */
    struct trial *trials;    /* owned; per server */
    bool panic_began, panic_ended;
};

/* What one pick has come to. */
struct search {
    const struct pick_request *request;
    struct fairlead_pick pick;
    uint64_t now_ms;
    bool insisting;  /* the passive check is passed over */
    bool found_full; /* a server was left out only because it is at max_conns */
};

static size_t n_words(size_t n_servers)
{
    return (n_servers + 63) / 64;
}

static void set_bit(uint64_t *words, size_t bit)
{
    words[bit / 64] |= UINT64_C(1) << (bit % 64);
}

static void clear_bit(uint64_t *words, size_t bit)
{
    words[bit / 64] &= ~(UINT64_C(1) << (bit % 64));
}

/* Making. */

static void destroy_view(struct view *view)
{
    free(view->seen.state);
    free(view->usable);
    free(view->narrowed);
    free(view->effective);
}

static int make_state(struct view *view, const struct fairlead_balancer *balancer, unsigned worker)
{
    const void *plan = view->seen.plan;

    if (!balancer->state_size)
        return 0;
    view->seen.state = allocate_lines(balancer->state_size(&view->tier->set, plan));
    if (!view->seen.state)
        return -1;
    balancer->state_init(view->seen.state, &view->tier->set, plan, worker);
    return 0;
}

/* In whole cache lines: what belongs to another worker is beside it in memory. */
static int create_view(struct view *view, const struct pool *pool, const struct tier *tier, unsigned worker)
{
    size_t n = tier->set.n_servers;

    view->tier = tier;
    if (n == 0)
        return 0;
    view->seen = (struct fairlead_tier){.set = &tier->set, .plan = tier->plan->plan, .shared = tier->plan->shared};
    view->usable = allocate_lines(n_words(n) * sizeof *view->usable);
    view->narrowed = allocate_lines(n_words(n) * sizeof *view->narrowed);
    view->effective = allocate_lines(n * sizeof *view->effective);
    if (!view->usable || !view->narrowed || !view->effective)
        return -1;
    return make_state(view, pool->strategy.balancer, worker);
}

struct picker *picker_create(struct pool *pool, unsigned worker)
{
    struct picker *picker = allocate_lines(sizeof *picker);

    if (!picker)
        return NULL;
    picker->pool = pool;
    picker->trials = allocate_lines(pool->n_servers * sizeof *picker->trials);
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

/* Looking at the servers. */

static struct server *server_at(const struct picker *picker, const struct view *view, size_t position)
{
    return &picker->pool->servers[view->tier->indices[position]];
}

static void look_again_at(struct picker *picker, uint64_t when_ms)
{
    if (when_ms < picker->next_change_ms)
        picker->next_change_ms = when_ms;
}

/* How much of its weight a server has now, of WHOLE: what a DNS record and an agent leave it, and how far its slow start has come. */
static uint32_t fraction(struct picker *picker, const struct server *server, uint64_t now_ms)
{
    uint64_t begun = atomic_load_explicit(&server->state->ramp_start_ms, memory_order_relaxed);
    uint64_t share = (uint64_t)server->share * atomic_load_explicit(&server->state->share, memory_order_relaxed);
    uint64_t part = WHOLE * share / (SHARE_WHOLE * SHARE_WHOLE);
    uint64_t passed = now_ms > begun ? now_ms - begun : 0, step;

    if (begun == 0 || passed >= server->slow_start_ms)
        return (uint32_t)part;
    step = server->slow_start_ms / RAMP_STEPS;
    look_again_at(picker, now_ms + (step > RAMP_STEP_MS ? step : RAMP_STEP_MS));
    part = part * (passed + 1) / server->slow_start_ms;
    return part > 0 ? (uint32_t)part : 1;
}

/*
 * Weights matter beside each other only: the server with the most of its own has all of it, so that a whole pool in its slow start
 * is served as usual.
 */
static void weigh(struct picker *picker, struct view *view, uint64_t now_ms)
{
    size_t n = view->tier->set.n_servers;
    uint32_t most = 1, least = WHOLE;

    for (size_t i = 0; i < n; i++) {
        uint32_t part;

        if (!((view->usable[i / 64] >> (i % 64)) & 1))
            continue;
        view->effective[i] = part = fraction(picker, server_at(picker, view, i), now_ms);
        most = part > most ? part : most;
        least = part < least ? part : least;
    }
    view->full_weights = least >= most;
    for (size_t i = 0; i < n; i++) {
        uint64_t weight = (uint64_t)view->tier->set.servers[i].weight * FAIRLEAD_WEIGHT_ONE;

        if (!view->full_weights && ((view->usable[i / 64] >> (i % 64)) & 1))
            weight = weight * view->effective[i] / most;
        view->effective[i] = weight > 0 || view->tier->set.servers[i].weight == 0 ? (uint32_t)weight : 1;
    }
}

/* `insisting`: servers that the passive check has out count too. */
static void refresh_view(struct picker *picker, struct view *view, uint64_t now_ms, bool insisting)
{
    size_t n = view->tier->set.n_servers;

    view->n_usable = 0;
    if (n == 0)
        return;
    memset(view->usable, 0, n_words(n) * sizeof *view->usable);
    for (size_t i = 0; i < n; i++) {
        const struct server *server = server_at(picker, view, i);
        uint64_t out_until = atomic_load_explicit(&server->state->out_until_ms, memory_order_relaxed);

        if (!server_is_in_service(server) || server->weight == 0)
            continue;
        picker->n_in_service += out_until == 0;
        if (insisting || out_until <= now_ms) {
            set_bit(view->usable, i);
            view->n_usable++;
        } else {
            look_again_at(picker, out_until);
        }
    }
    weigh(picker, view, now_ms);
}

static void refresh_views(struct picker *picker, uint64_t now_ms, bool insisting)
{
    picker->next_change_ms = NEVER_MS;
    picker->n_in_service = 0;
    for (int i = 0; i < N_TIERS; i++)
        refresh_view(picker, &picker->views[i], now_ms, insisting);
}

/* Looks at every server, but only if something has changed, or if it is time for a trial or for the next step of a slow start. */
static void refresh(struct picker *picker, uint64_t now_ms)
{
    /* Acquire: pairs with pool_changed, so that the change is seen which moved the version. */
    uint64_t version = atomic_load_explicit(&picker->pool->state->version, memory_order_acquire);

    if (version == picker->version && now_ms < picker->next_change_ms)
        return;
    /* Noted before the servers are read: a change in between moves the version again and costs one more look. */
    picker->version = version;
    refresh_views(picker, now_ms, false);
    if (picker->n_in_service > 0 && atomic_load_explicit(&picker->pool->state->panic, memory_order_relaxed) &&
        atomic_exchange_explicit(&picker->pool->state->panic, false, memory_order_relaxed))
        picker->panic_ended = true;
}

/* Choosing. */

static bool is_full(const struct server *server)
{
    return server->max_conns > 0 &&
           atomic_load_explicit(server->state->in_flight, memory_order_relaxed) >= server->max_conns;
}

/* Counts a request in, unless that would be one too many: exact over all workers. */
static bool enter(struct server *server)
{
    if (server->max_conns > 0)
        return bounded_increment(server->state->in_flight, server->max_conns);
    atomic_fetch_add_explicit(server->state->in_flight, 1, memory_order_relaxed);
    return true;
}

static bool is_tried(const struct tried *tried, size_t index)
{
    return tried && tried->count > 0 && ((tried->words[index / 64] >> (index % 64)) & 1);
}

static void leave_out(struct view *view, struct fairlead_pick *pick, size_t position)
{
    clear_bit(view->narrowed, position);
    pick->n_usable--;
}

/* What the strategy may choose from: `usable` without the servers that were tried or are full. */
static void narrow(const struct picker *picker, struct view *view, struct search *search)
{
    struct fairlead_pick *pick = &search->pick;
    const struct tried *tried = search->request->tried;

    pick->usable = view->usable;
    pick->n_usable = view->n_usable;
    pick->effective_weight = view->effective;
    pick->full_weights = view->full_weights;
    if (!picker->pool->limited && (!tried || tried->count == 0))
        return;
    memcpy(view->narrowed, view->usable, n_words(view->tier->set.n_servers) * sizeof *view->narrowed);
    pick->usable = view->narrowed;
    for (size_t word = 0; word < n_words(view->tier->set.n_servers); word++) {
        for (uint64_t bits = view->usable[word]; bits != 0; bits &= bits - 1) {
            size_t position = word * 64 + (size_t)__builtin_ctzll(bits);
            const struct server *server = server_at(picker, view, position);

            if (is_tried(tried, server->index)) {
                leave_out(view, pick, position);
            } else if (is_full(server)) {
                search->found_full = true;
                leave_out(view, pick, position);
            }
        }
    }
}

static int ask(const struct picker *picker, const struct view *view, const struct fairlead_pick *pick)
{
    int position = picker->pool->strategy.balancer->pick(&view->seen, pick);

    if (position == FAIRLEAD_NONE)
        return position;
    /* A module that breaks these would make us write outside of our tables, or use a server that is down. */
    assert(position >= 0 && (size_t)position < view->tier->set.n_servers);
    assert(fairlead_usable(pick, (size_t)position));
    return position;
}

static void tell_strategy(const struct picker *picker, const struct view *view, int position,
                          enum fairlead_outcome outcome, uint64_t latency_ns, uint64_t now_ns)
{
    const struct fairlead_balancer *balancer = picker->pool->strategy.balancer;

    if (balancer->done)
        balancer->done(&view->seen, position, outcome, latency_ns, now_ns);
}

/* Takes the server for this request: the passive check's leave, then its place among max_conns. */
static bool take(struct picker *picker, struct server *server, struct search *search)
{
    uint64_t trial = 0;

    if (!search->insisting && !passive_claim(picker->pool, server, search->now_ms, &trial))
        return false;
    if (!enter(server)) {
        search->found_full = true;
        passive_forget_trial(picker->pool, server, trial, search->now_ms);
        return false;
    }
    if (trial != 0)
        picker->trials[server->index] = (struct trial){trial, search->now_ms};
    return true;
}

/* Picks from one tier; NULL when there is none to use. Each round without a result takes one bit away, so it ends. */
static struct server *pick_from(struct picker *picker, struct view *view, struct search *search)
{
    struct fairlead_pick *pick = &search->pick;

    if (view->n_usable == 0)
        return NULL;
    narrow(picker, view, search);
    while (pick->n_usable > 0) {
        int position = ask(picker, view, pick);
        struct server *server;

        if (position == FAIRLEAD_NONE)
            return NULL;
        server = server_at(picker, view, (size_t)position);
        if (take(picker, server, search))
            return server;
        /* Another worker was quicker: it took the server out, has its trial, or its last place. */
        tell_strategy(picker, view, position, FAIRLEAD_CANCELLED, 0, pick->now_ns);
        if (pick->usable == view->usable) {
            memcpy(view->narrowed, view->usable, n_words(view->tier->set.n_servers) * sizeof *view->narrowed);
            pick->usable = view->narrowed;
        }
        leave_out(view, pick, (size_t)position);
    }
    return NULL;
}

/* The backups first while they are promoted: no primary is in service then, or it came back this very moment. */
static struct server *pick_any(struct picker *picker, struct search *search)
{
    int first = pool_backups_promoted(picker->pool) ? TIER_BACKUP : TIER_PRIMARY;
    struct server *server = NULL;

    for (int i = 0; !server && i < N_TIERS; i++)
        server = pick_from(picker, &picker->views[(first + i) % N_TIERS], search);
    if (server && server->backup)
        atomic_fetch_add_explicit(&picker->pool->state->counters.backup_picks, 1, memory_order_relaxed);
    return server;
}

/* The server that the request is bound to. The strategy is not asked, and so is not told. NULL: it cannot serve now. */
static struct server *pick_bound(struct picker *picker, struct search *search)
{
    struct server *server;

    if (search->request->bound == PICKER_NONE)
        return NULL;
    server = &picker->pool->servers[search->request->bound];
    if ((server_flags(server) & (SERVER_OUT & ~SERVER_DRAINS)) != 0 || is_tried(search->request->tried, server->index) ||
        !passive_allows(server, search->now_ms) || !take(picker, server, search))
        return NULL;
    return server;
}

/*
 * Only the passive check stands in the way: refusing all requests until the first time is over would help nobody. The servers stay out, and
 * whichever answers comes back. The views that this leaves are for this pick alone.
 */
static struct server *pick_in_panic(struct picker *picker, struct search *search)
{
    struct pool *pool = picker->pool;
    struct server *server;

    /* Acquire: pairs with leave_place. Those that the view has out may be back by now, and then the version has moved. */
    if (atomic_load_explicit(&pool->state->n_ejected, memory_order_acquire) == 0 &&
        atomic_load_explicit(&pool->state->version, memory_order_relaxed) == picker->version)
        return NULL;
    search->insisting = true;
    refresh_views(picker, search->now_ms, true);
    picker->version = 0; /* no version is 0, so that the next pick looks again */
    server = pick_any(picker, search);
    if (server && picker->n_in_service == 0 && !atomic_exchange_explicit(&pool->state->panic, true, memory_order_relaxed)) {
        atomic_fetch_add_explicit(&pool->state->counters.panics, 1, memory_order_relaxed);
        picker->panic_began = true;
    }
    return server;
}

int picker_pick(struct picker *picker, const struct pick_request *request, uint64_t now_ns)
{
    struct search search = {
        .request = request, .pick = {.key = request->key, .now_ns = now_ns}, .now_ms = now_ns / NS_PER_MS};
    struct server *server;

    refresh(picker, search.now_ms);
    server = pick_bound(picker, &search);
    if (!server)
        server = pick_any(picker, &search);
    if (!server && !search.found_full)
        server = pick_in_panic(picker, &search);
    if (!server)
        return search.found_full ? PICKER_FULL : PICKER_NONE;
    if (request->tried) {
        set_bit(request->tried->words, server->index);
        request->tried->count++;
    }
    atomic_fetch_add_explicit(&server->state->picked, 1, memory_order_relaxed);
    return (int)server->index;
}

/* Outcomes. */

/* The deadline of the trial, if the request that was picked at picked_ms is it. Older ones to the same server are not. */
static uint64_t end_of_trial(struct picker *picker, const struct server *server, uint64_t picked_ms)
{
    struct trial *trial = &picker->trials[server->index];
    uint64_t deadline_ms = picked_ms >= trial->picked_ms ? trial->deadline_ms : 0;

    if (deadline_ms != 0)
        *trial = (struct trial){0};
    return deadline_ms;
}

static enum picker_news judge(struct picker *picker, struct server *server, enum fairlead_outcome outcome, uint64_t picked_ms,
                              uint64_t now_ms)
{
    uint64_t trial = end_of_trial(picker, server, picked_ms);
    bool was_out = atomic_load_explicit(&server->state->out_until_ms, memory_order_relaxed) != 0;

    switch (outcome) {
    case FAIRLEAD_FAILED:
        atomic_fetch_add_explicit(&server->state->failed, 1, memory_order_relaxed);
        if (!passive_failure(picker->pool, server, trial, picked_ms, now_ms))
            return PICKER_NO_NEWS;
        return trial != 0 ? PICKER_STAYED_OUT : PICKER_EJECTED;
    case FAIRLEAD_OK:
        /* One that was sent before the server went out says nothing of now, unless all of them are out. */
        if (was_out && trial == 0 && !atomic_load_explicit(&picker->pool->state->panic, memory_order_relaxed))
            return PICKER_NO_NEWS;
        return passive_success(picker->pool, server, was_out, now_ms) ? PICKER_RETURNED : PICKER_NO_NEWS;
    case FAIRLEAD_CANCELLED:
        passive_forget_trial(picker->pool, server, trial, now_ms);
        break;
    }
    return PICKER_NO_NEWS;
}

static struct server *picked_server(const struct picker *picker, int server)
{
    assert(server >= 0 && (size_t)server < picker->pool->n_servers);
    return &picker->pool->servers[server];
}

enum picker_news picker_outcome(struct picker *picker, int server, enum fairlead_outcome outcome, uint64_t elapsed_ns, uint64_t now_ns)
{
    struct server *served = picked_server(picker, server);

    tell_strategy(picker, &picker->views[served->backup], (int)picker->pool->positions[server], outcome,
                  outcome == FAIRLEAD_OK ? elapsed_ns : 0, now_ns);
    return judge(picker, served, outcome, (now_ns - elapsed_ns) / NS_PER_MS, now_ns / NS_PER_MS);
}

enum picker_news picker_late_failure(struct picker *picker, int server, uint64_t elapsed_ns, uint64_t now_ns)
{
    return judge(picker, picked_server(picker, server), FAIRLEAD_FAILED, (now_ns - elapsed_ns) / NS_PER_MS,
                 now_ns / NS_PER_MS);
}

void picker_release(struct picker *picker, int server)
{
    unsigned before = atomic_fetch_sub_explicit(picked_server(picker, server)->state->in_flight, 1, memory_order_relaxed);

    assert(before > 0);
}

uint64_t picker_time_out_ms(const struct server *server, uint64_t now_ns)
{
    uint64_t until = atomic_load_explicit(&server->state->out_until_ms, memory_order_relaxed);

    return until > now_ns / NS_PER_MS ? until - now_ns / NS_PER_MS : 0;
}

void picker_panic_news(struct picker *picker, bool *began, bool *ended)
{
    *began = picker->panic_began;
    *ended = picker->panic_ended;
    picker->panic_began = picker->panic_ended = false;
}
