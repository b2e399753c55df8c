/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Publishing and freeing; see editions.h. An edition ends in steps: unused by workers and health thread; two rounds of farewell letters read; freed; then the states of servers that
 * went with it, once no worker has a link to them. */
#include "control/editions.h"

#include "engine/clock.h"
#include "engine/log.h"
#include "proxy/queue.h"
#include "upstream/farewell.h"

#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* Letters about lines may have been sent by workers that were reading one while all had left the snapshot already: those have been sent when the first round is read. Who
 * reads them after that knows that nobody waits, and sends none (queue.h). */
#define FAREWELLS    2u
#define PAUSE_MIN_MS 5u    /* between looks at what was left; each pause is twice the last */
#define PAUSE_MAX_MS 500u /* a long response may take hours */
#define ADOPTION_PAUSE_US 100u  /* between looks whether the health thread has adopted a plan */
#define ADOPTION_TRIES    2000u /* then the workers go on without waiting for it */

struct edition {
    struct snapshot *snapshot;   /* owned */
    struct listener **listeners; /* owned, a reference each */
    size_t n_listeners;
    struct health_plan *plan;    /* owned; NULL: none, or adopted and freed */
    uint64_t number;             /* from 1, in the order of publishing */
    unsigned told;               /* workers that the farewell was sent to, in this round */
    unsigned farewells;          /* rounds that were sent to all */
    struct edition *next;
};

/* The state of a server that no pool has any more: workers may have links to it. */
struct leaving {
    struct server_state *state; /* owned */
    struct state_question question;
    bool asked;
    struct leaving *next;
};

/* A listener of an edition that was retired. */
struct closing {
    struct listener *listener; /* a reference */
    bool stopping;             /* nobody will hear it again */
    struct closing *next;
};

static void look_soon(struct editions *editions)
{
    editions->pause_ms = PAUSE_MIN_MS;
    editions->due_ms = clock_monotonic_ms() + PAUSE_MIN_MS;
}

void editions_init(struct editions *editions, struct threads *threads)
{
    *editions = (struct editions){.threads = threads};
    if (getrandom(editions->secret, sizeof(editions->secret), 0) != (ssize_t)sizeof(editions->secret))
        log_write(LOG_ERR, "no random secret: sticky cookies of groups without a secret may be forged");
}

/* Making. */

static void put_pools(struct pool **pools, size_t n)
{
    for (size_t i = 0; i < n; i++)
        server_states_discard(pool_put(pools[i])); /* those of pools that serve have other owners */
}

static void put_listeners(struct listener *const *listeners, size_t n)
{
    for (size_t i = 0; i < n; i++)
        listener_put(listeners[i]);
}

static int copy_listeners(struct edition *edition, const struct edition_parts *parts, size_t n, struct snapshot_listener **result)
{
    struct snapshot_listener *sockets = calloc(n ? n : 1, sizeof(*sockets));

    *result = sockets;
    if (!sockets)
        return -ENOMEM;
    edition->listeners = calloc(n ? n : 1, sizeof(*edition->listeners)); /* who has it has the references, too */
    if (!edition->listeners)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        struct listener *listener = parts->listeners[i];

        edition->listeners[i] = listener;
        sockets[i] = (struct snapshot_listener){listener, &listener->users, listener->fds, listener->n_fds};
    }
    edition->n_listeners = n;
    return 0;
}

struct health_pool *edition_health(const struct edition *edition)
{
    const struct snapshot *snapshot = edition->snapshot;
    struct health_pool *pools = calloc(snapshot->n_groups ? snapshot->n_groups : 1, sizeof(*pools));

    for (size_t i = 0; pools && i < snapshot->n_groups; i++)
        pools[i] = (struct health_pool){snapshot->pools[i], snapshot->config->groups[i]->health};
    return pools;
}

static int create_plan(const struct editions *editions, struct edition *edition)
{
    struct health_pool *pools;
    int error;

    if (!editions->threads->health)
        return 0;
    pools = edition_health(edition);
    error = pools ? health_plan_create(pools, edition->snapshot->n_groups, &edition->plan) : -ENOMEM;
    free(pools);
    return error;
}

static int make_snapshot(const struct editions *editions, struct edition *edition, const struct edition_parts *parts)
{
    size_t n_listens = loaded_config(parts->loaded)->n_listens;
    struct snapshot_listener *sockets;
    int error = copy_listeners(edition, parts, n_listens, &sockets);
    struct snapshot_parts of_snapshot = {.loaded = parts->loaded,
                                         .pools = parts->pools,
                                         .listeners = sockets,
                                         .workers = editions->threads->workers,
                                         .n_workers = editions->threads->n,
                                         .secret = editions->secret};

    if (!error)
        error = snapshot_create(&of_snapshot, editions->current ? editions->current->snapshot : NULL, &edition->snapshot);
    free(sockets);
    return error;
}

int edition_create(struct editions *editions, const struct edition_parts *parts, struct edition **result, char *error, size_t size)
{
    const struct config *config = loaded_config(parts->loaded);
    struct edition *edition = calloc(1, sizeof(*edition));
    int code = edition ? 0 : -ENOMEM;

    editions->n += edition != NULL;
    if (!code && editions->n > EDITIONS_MAX)
        code = -EBUSY;
    if (!code)
        code = make_snapshot(editions, edition, parts);
    if (!edition || !edition->snapshot)
        put_pools(parts->pools, config->n_groups);
    if (!edition || !edition->listeners)
        put_listeners(parts->listeners, config->n_listens);
    if (!code)
        code = create_plan(editions, edition);
    if (code) {
        if (code == -EBUSY)
            snprintf(error, size, "%u configurations are still in use by long requests", EDITIONS_MAX);
        else
            snprintf(error, size, "the configuration cannot be put to use (%d: %s)", -code, strerror(-code));
        edition_discard(editions, edition);
        return code;
    }
    *result = edition;
    return 0;
}

/* The states that go with it, for nobody or for those who look whether a worker has links to them. */
static struct server_state *destroy(struct edition *edition)
{
    struct server_state *orphans = edition->snapshot ? snapshot_destroy(edition->snapshot) : NULL;

    if (edition->listeners)
        put_listeners(edition->listeners, edition->n_listeners);
    if (edition->plan)
        health_plan_destroy(edition->plan);
    free(edition->listeners);
    free(edition);
    return orphans;
}

void edition_discard(struct editions *editions, struct edition *edition)
{
    if (!edition)
        return;
    assert(edition->number == 0);
    editions->n--;
    server_states_discard(destroy(edition));
}

/* Publishing. */

static struct pool *find_pool(const struct snapshot *snapshot, const char *name, size_t hint)
{
    size_t i = snapshot ? snapshot_find_group(snapshot, name, hint) : 0;

    return snapshot && i < snapshot->n_groups ? snapshot->pools[i] : NULL;
}

static void commit_pools(const struct snapshot *snapshot, const struct snapshot *before)
{
    for (size_t i = 0; i < snapshot->n_groups; i++) {
        struct pool *previous = find_pool(before, pool_name(snapshot->pools[i]), i);

        if (previous != snapshot->pools[i])
            pool_commit(snapshot->pools[i], previous, clock_monotonic_ms());
    }
}

static bool has_listener(const struct edition *edition, const struct listener *listener)
{
    return edition && snapshot_find_listener(edition->snapshot, listener) < edition->snapshot->n_listeners;
}

/*
 * Listeners that are left accept a moment longer what has come, and nobody new. They are closed as soon as no worker accepts from them, however long requests of their
 * edition take: or else a client would be told neither yes nor no.
 */
static void close_listeners(struct editions *editions, struct edition *edition, const struct edition *next, bool hush)
{
    for (size_t i = 0; i < edition->n_listeners; i++) {
        struct listener *listener = edition->listeners[i];
        struct closing *closing;

        if (has_listener(next, listener)) {
            listener_put(listener);
            continue;
        }
        if (hush)
            listener_hush(listener);
        closing = calloc(1, sizeof(*closing));
        if (!closing)
            continue; /* memory is short: the listener is lost, not what workers still do with it */
        *closing = (struct closing){listener, next == NULL, editions->closing};
        editions->closing = closing;
    }
    edition->n_listeners = 0;
}

/* Its first states stand before a worker can pick, unless it is very slow to answer. */
static bool tell_health(struct threads *threads, struct health_plan *plan)
{
    if (!threads_tell_health(threads, health_adopt, plan))
        return false;
    for (unsigned i = 0; i < ADOPTION_TRIES && !health_plan_is_adopted(plan); i++)
        usleep(ADOPTION_PAUSE_US);
    return true;
}

bool edition_publish(struct editions *editions, struct edition *edition)
{
    struct edition *before = editions->current;
    bool told = true;

    edition->number = ++editions->published;
    commit_pools(edition->snapshot, before ? before->snapshot : NULL);
    editions->current = edition;
    if (edition->plan)
        told = tell_health(editions->threads, edition->plan);
    else
        editions->adopted = edition->number;
    if (!before)
        return told;
    told = threads_tell(editions->threads, service_follow, edition->snapshot) && told;
    close_listeners(editions, before, edition, true);
    before->next = editions->retired;
    editions->retired = before;
    look_soon(editions);
    return told;
}

const struct snapshot *editions_current(const struct editions *editions)
{
    return editions->current->snapshot;
}

struct snapshot *edition_snapshot(struct edition *edition)
{
    return edition->snapshot;
}

struct listener *const *edition_listeners(const struct edition *edition, size_t *n)
{
    *n = edition->n_listeners;
    return edition->listeners;
}

struct pool *editions_pool(const struct editions *editions, const char *name, size_t hint)
{
    return find_pool(editions->current ? editions->current->snapshot : NULL, name, hint);
}

/* Freeing. */

static void note_adoption(struct editions *editions, struct edition *edition)
{
    if (!edition->plan || edition->number == 0 || !health_plan_is_adopted(edition->plan))
        return;
    if (edition->number > editions->adopted)
        editions->adopted = edition->number;
    health_plan_destroy(edition->plan);
    edition->plan = NULL;
}

static void let_go(struct editions *editions, struct server_state *orphans)
{
    struct server_state *next;

    for (; orphans; orphans = next) {
        struct leaving *leaving = calloc(1, sizeof(*leaving));

        next = orphans->next;
        if (!leaving)
            continue; /* memory is short: the state is lost, not what still points at it */
        leaving->state = orphans;
        leaving->next = editions->leaving;
        editions->leaving = leaving;
    }
}

/* True: it is gone. */
static bool end_edition(struct editions *editions, struct edition *edition)
{
    const struct threads *threads = editions->threads;

    if (edition->plan || editions->adopted <= edition->number || !snapshot_is_unused(edition->snapshot))
        return false;
    if (edition->farewells > 0 && edition->told == 0 && !snapshot_is_left(edition->snapshot))
        return false;
    if (edition->farewells < FAREWELLS) {
        if (snapshot_say_farewell(edition->snapshot, threads->workers, &edition->told)) {
            edition->farewells++;
            edition->told = 0;
            editions->pause_ms = PAUSE_MIN_MS; /* it is answered within a turn of the loop */
        }
        return false;
    }
    let_go(editions, destroy(edition));
    editions->n--;
    editions->n_freed++;
    return true;
}

/* Workers that have no room for the letter are as good as one that still has a link: it is asked again. */
static void ask(const struct threads *threads, struct leaving *leaving)
{
    leaving->asked = true;
    state_ask(&leaving->question, leaving->state, threads->n_running);
    for (unsigned i = 0; i < threads->n_running; i++)
        if (mailbox_post(&threads->workers[i]->mailbox, (struct letter){service_leave_server, &leaving->question}) != 0)
            state_answer(&leaving->question, 1);
}

static bool end_state(const struct editions *editions, struct leaving *leaving)
{
    if (leaving->asked && !state_is_answered(&leaving->question))
        return false;
    if (!leaving->asked || !state_is_free(&leaving->question)) {
        ask(editions->threads, leaving);
        return false;
    }
    server_state_free(leaving->state);
    free(leaving);
    return true;
}

/*
 * The last reference closes the sockets, and needs that no worker touches them any more (acquire). One that is heard again has others: an edition's, or, while one was
 * being made, that edition's; where nothing came of it, it is hushed again.
 */
static bool end_listener(struct closing *closing)
{
    struct listener *listener = closing->listener;

    if (listener->refs == 1 && atomic_load_explicit(&listener->users, memory_order_acquire) > 0) {
        if (!closing->stopping)
            listener_hush(listener);
        return false;
    }
    listener_put(listener);
    free(closing);
    return true;
}

static void end_listeners(struct editions *editions)
{
    struct closing **link = &editions->closing, *next;

    for (struct closing *closing = *link; closing; closing = next) {
        next = closing->next;
        if (end_listener(closing))
            *link = next;
        else
            link = &closing->next;
    }
}

static void end_states(struct editions *editions)
{
    struct leaving **link = &editions->leaving, *next;

    for (struct leaving *leaving = *link; leaving; leaving = next) {
        next = leaving->next;
        if (end_state(editions, leaving))
            *link = next;
        else
            link = &leaving->next;
    }
}

static void end_editions(struct editions *editions)
{
    struct edition **link = &editions->retired, *next;

    for (struct edition *edition = *link; edition; edition = next) {
        next = edition->next;
        if (end_edition(editions, edition))
            *link = next;
        else
            link = &edition->next;
    }
}

int editions_timeout_ms(const struct editions *editions, int most_ms)
{
    uint64_t now = clock_monotonic_ms();

    if (editions->due_ms == 0 || editions->due_ms >= now + (uint64_t)most_ms)
        return most_ms;
    return editions->due_ms > now ? (int)(editions->due_ms - now) : 0;
}

void editions_run(struct editions *editions)
{
    uint64_t now = clock_monotonic_ms();

    if (editions->due_ms == 0 || now < editions->due_ms)
        return;
    note_adoption(editions, editions->current);
    for (struct edition *edition = editions->retired; edition; edition = edition->next)
        note_adoption(editions, edition);
    end_editions(editions);
    end_states(editions);
    end_listeners(editions);
    if (editions->n == 1 && editions->n_freed > 0) {
        /* What many editions took between them lies scattered: given back once they have gone, or a storm of reloads would be paid for until the next restart. */
        (void)malloc_trim(0);
        editions->n_freed = 0;
    }
    editions->due_ms =
        editions->retired || editions->leaving || editions->closing || editions->current->plan ? now + editions->pause_ms : 0;
    editions->pause_ms = editions->pause_ms * 2 < PAUSE_MAX_MS ? editions->pause_ms * 2 : PAUSE_MAX_MS;
}

void editions_stop(struct editions *editions, bool given_away)
{
    close_listeners(editions, editions->current, NULL, !given_away);
    look_soon(editions);
}

void editions_fini(struct editions *editions)
{
    struct edition *next;
    struct leaving *after;

    if (editions->current) {
        editions->current->next = editions->retired;
        editions->retired = editions->current;
    }
    /* All snapshots before any listener: a worker that ended by itself may have left in one what another edition's listener counts. */
    for (struct edition *edition = editions->retired; edition; edition = edition->next) {
        server_states_discard(snapshot_destroy(edition->snapshot));
        edition->snapshot = NULL;
    }
    for (struct edition *edition = editions->retired; edition; edition = next) {
        next = edition->next;
        (void)destroy(edition);
    }
    for (struct leaving *leaving = editions->leaving; leaving; leaving = after) {
        after = leaving->next;
        leaving->state->next = NULL;
        server_states_discard(leaving->state);
        free(leaving);
    }
    for (struct closing *closing = editions->closing, *other; closing; closing = other) {
        other = closing->next;
        listener_put(closing->listener);
        free(closing);
    }
    editions->closing = NULL;
    editions->current = editions->retired = NULL;
    editions->leaving = NULL;
}
