/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The places of one name; see places.h. */
#include "control/places.h"

#include "engine/log.h"
#include "proxy/service.h"
#include "upstream/place.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define LISTED_MAX   600u  /* bytes of the addresses in one log line */
#define PAUSE_MIN_MS 5u    /* between looks at a place that was emptied; each pause is twice the last */
#define PAUSE_MAX_MS 1000u /* a long response may take hours */

enum place_state {
    PLACE_FREE,    /* it has no address, and nobody uses it */
    PLACE_USED,    /* it has an address and may serve */
    PLACE_LEAVING, /* its address is gone; somebody may still use it */
};

struct place {
    struct server *server; /* borrowed from the pool */
    enum place_state state;
    uint32_t share;    /* what its record left it last */
    bool behind;       /* in the tier behind the name's own */
    bool tell_health;  /* its letter found no room yet */
    bool asked;        /* since it began to leave */
    uint32_t pause_ms; /* until it is looked at again, then twice that, and so on */
    uint64_t due_ms;
    struct place_question question;
};

struct places {
    const struct named_server *named;
    const struct place_users *users;
    const struct wanted_list *wanted;
    size_t n_waiting; /* addresses, for free places */
    size_t n;
    struct place places[];
};

/* What changed, for one log line. */
struct changes {
    char added[LISTED_MAX], removed[LISTED_MAX];
    size_t added_len, removed_len;
};

static void list_change(char *text, size_t *len, const char *name)
{
    int n = snprintf(text + *len, LISTED_MAX - *len, "%s%s", *len > 0 ? "," : "", name);

    if ((size_t)n < LISTED_MAX - *len)
        *len += (size_t)n;
    else
        text[*len] = '\0'; /* no room for it; the line says what fits */
}

static void set_state(struct place *place, enum place_state state)
{
    static const unsigned edges[] = {
        [PLACE_FREE] = 1u << PLACE_USED,
        [PLACE_USED] = 1u << PLACE_LEAVING,
        [PLACE_LEAVING] = 1u << PLACE_USED | 1u << PLACE_FREE,
    };

    assert(edges[place->state] >> state & 1);
    place->state = state;
}

struct places *places_create(const struct named_server *named, const struct place_users *users)
{
    size_t n = named->found.n_places + named->found.n_backup;
    struct places *places = calloc(1, sizeof(*places) + n * sizeof(places->places[0]));

    if (!places)
        return NULL;
    places->named = named;
    places->users = users;
    places->wanted = &named->found;
    places->n = n;
    for (size_t i = 0; i < n; i++) {
        struct place *place = &places->places[i];

        place->behind = i >= named->found.n_places;
        place->server = pool_server(
            named->pool, place->behind ? named->first_backup + i - named->found.n_places : named->first + i);
        const struct wanted *wanted = wanted_find(places->wanted, &place->server->address, place->behind);
        place->share = wanted ? wanted->share : SHARE_WHOLE;
        place->state = server_flags(place->server) & SERVER_ABSENT ? PLACE_FREE : PLACE_USED;
    }
    return places;
}

void places_destroy(struct places *places)
{
    free(places);
}

/* Telling, and asking. */

static void tell_health(const struct places *places, struct place *place)
{
    const struct place_users *users = places->users;

    place->tell_health =
        users->health &&
        mailbox_post(&users->health->mailbox, (struct letter){users->health_changed, place->server}) != 0;
}

/* On the health thread, which has read the letter before: it has let go of the address. */
static void answer_for_health(void *worker, void *argument)
{
    (void)worker;
    place_answer(argument, 0);
}

/* A letter that finds no room answers itself: then the place is not free, and is asked about again. */
static void post_question(struct worker *worker, struct letter letter, struct place_question *question)
{
    if (mailbox_post(&worker->mailbox, letter) != 0)
        place_answer(question, 1);
}

static void ask(const struct places *places, struct place *place)
{
    const struct place_users *users = places->users;
    struct place_question *question = &place->question;

    place->asked = true;
    place_ask(question, place->server, users->n_workers + (users->health ? 1 : 0));
    for (unsigned i = 0; i < users->n_workers; i++)
        post_question(users->workers[i], (struct letter){service_leave_server, question}, question);
    if (users->health)
        post_question(users->health, (struct letter){answer_for_health, question}, question);
}

static void look_soon(struct place *place, uint64_t now_ms)
{
    place->pause_ms = PAUSE_MIN_MS;
    place->due_ms = now_ms;
}

/* Leaving, and coming. */

static void leave(const struct places *places, struct place *place, struct changes *changes, uint64_t now_ms)
{
    list_change(changes->removed, &changes->removed_len, place->server->name);
    set_state(place, PLACE_LEAVING);
    pool_displace(places->named->pool, place->server, now_ms);
    tell_health(places, place);
    place->asked = false;
    look_soon(place, now_ms);
}

static void enter(const struct places *places, struct place *place, const struct wanted *wanted,
                  struct changes *changes, uint64_t now_ms)
{
    struct pool *pool = places->named->pool;
    char name[SERVER_NAME_MAX];

    server_address_print(&wanted->address, name, sizeof(name));
    place->share = wanted->share;
    pool_set_share(pool, place->server, place->share);
    if (place->state == PLACE_LEAVING)
        pool_replace(pool, place->server, now_ms);
    else
        pool_place(pool, place->server, &wanted->address, name, now_ms);
    set_state(place, PLACE_USED);
    tell_health(places, place);
    look_soon(place, now_ms);
    list_change(changes->added, &changes->added_len, name);
}

static bool has_address(const struct place *place, const struct wanted *wanted)
{
    return place->state != PLACE_FREE && place->behind == wanted->backup &&
           server_address_compare(&place->server->address, &wanted->address) == 0;
}

/* The place that has that address, or had it last; else a free one; else NULL. */
static struct place *find_place(struct places *places, const struct wanted *wanted)
{
    struct place *found = NULL;

    for (size_t i = 0; i < places->n; i++) {
        struct place *place = &places->places[i];

        if (has_address(place, wanted))
            return place;
        if (!found && place->state == PLACE_FREE && place->behind == wanted->backup)
            found = place;
    }
    return found;
}

/* Only when it is another one: an agent may have its own word in between. */
static void set_share(const struct places *places, struct place *place, uint32_t share)
{
    if (place->share != share)
        pool_set_share(places->named->pool, place->server, share);
    place->share = share;
}

static bool is_gone(const struct places *places, const struct place *place)
{
    return place->state == PLACE_USED && !wanted_find(places->wanted, &place->server->address, place->behind);
}

/*
 * The name would be without a server until the first place is free: all of its addresses are gone, and those
 * that came find no place. Then one that is gone serves on till that moment, unless it has the only place
 * that could become free.
 */
static const struct place *find_last_resort(struct places *places)
{
    const struct place *last = NULL;
    size_t n_taken = 0;

    for (size_t i = 0; i < places->wanted->n; i++)
        if (!places->wanted->entries[i].backup && find_place(places, &places->wanted->entries[i]))
            return NULL;
    for (size_t i = 0; i < places->n; i++)
        if (!places->places[i].behind && places->places[i].state != PLACE_FREE) {
            if (is_gone(places, &places->places[i]))
                last = &places->places[i];
            n_taken++;
        }
    return n_taken > 1 ? last : NULL;
}

/* Those that come are there before those that go are gone: else there might be a moment without any. */
static void settle(struct places *places, uint64_t now_ms)
{
    const struct place *last_resort = find_last_resort(places);
    const struct named_server *named = places->named;
    struct changes changes = {.added = "", .removed = ""};

    places->n_waiting = 0;
    for (size_t i = 0; i < places->wanted->n; i++) {
        const struct wanted *wanted = &places->wanted->entries[i];
        struct place *place = find_place(places, wanted);

        if (!place)
            places->n_waiting++;
        else if (place->state == PLACE_USED)
            set_share(places, place, wanted->share);
        else
            enter(places, place, wanted, &changes, now_ms);
    }
    for (size_t i = 0; i < places->n; i++) {
        struct place *place = &places->places[i];

        if (place != last_resort && is_gone(places, place))
            leave(places, place, &changes, now_ms);
    }
    if (changes.added_len == 0 && changes.removed_len == 0)
        return;
    log_write(LOG_NOTICE, "addresses changed pool=%s name=%s added=\"%s\" removed=\"%s\" waiting=%zu",
              pool_name(named->pool), named->host, changes.added, changes.removed, places->n_waiting);
    (void)pool_update_promotion(named->pool);
}

void places_apply(struct places *places, const struct wanted_list *wanted, uint64_t now_ms)
{
    places->wanted = wanted;
    settle(places, now_ms);
}

/* Leaving, or with a letter that waits for room. */
static bool wants_care(const struct place *place)
{
    return place->state == PLACE_LEAVING || place->tell_health;
}

/* True when the place is free now. The health thread is told that a server is gone before it is asked about
 * it. */
static bool tend_place(const struct places *places, struct place *place)
{
    if (place->tell_health)
        tell_health(places, place);
    if (place->state != PLACE_LEAVING || place->tell_health || !place_is_answered(&place->question))
        return false;
    if (!place->asked || !place_is_free(&place->question)) {
        ask(places, place);
        return false;
    }
    set_state(place, PLACE_FREE);
    return true;
}

void places_tend(struct places *places, uint64_t now_ms)
{
    bool freed = false;

    for (size_t i = 0; i < places->n; i++) {
        struct place *place = &places->places[i];

        if (!wants_care(place) || now_ms < place->due_ms)
            continue;
        freed = tend_place(places, place) || freed;
        place->due_ms = now_ms + place->pause_ms;
        place->pause_ms = place->pause_ms * 2 < PAUSE_MAX_MS ? place->pause_ms * 2 : PAUSE_MAX_MS;
    }
    if (freed && places->n_waiting > 0)
        settle(places, now_ms);
}

uint64_t places_due_ms(const struct places *places)
{
    uint64_t due_ms = UINT64_MAX;

    for (size_t i = 0; i < places->n; i++)
        if (wants_care(&places->places[i]) && places->places[i].due_ms < due_ms)
            due_ms = places->places[i].due_ms;
    return due_ms;
}
