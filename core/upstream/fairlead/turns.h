/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A building block for strategies, installed as <fairlead/turns.h>: weighted turns that hold over all workers
 * together. With weights 5, 1, 1 the order is a a b a c a a, whoever asks.
 *
 * The plan holds one cycle of smooth weighted round robin (as nginx's: each turn pays every server its
 * weight, the richest one serves and pays the sum) written out; all that the workers share is the number of
 * the next turn. A turn of a server that may not be used is passed over for good, so the others keep their
 * shares of what is left. A server at a fraction of its weight takes that fraction of its turns, evenly
 * spread.
 *
 * A cycle has at most FAIRLEAD_TURNS_MAX turns: the weights are divided by what divides all of them, and
 * above the limit they are scaled; fairlead_weights_fit says how far that can be off. No lock, no allocation
 * after fairlead_turns_create.
 */
#ifndef FAIRLEAD_TURNS_H
#define FAIRLEAD_TURNS_H

#include <fairlead/balancer.h>
#include <fairlead/weights.h>

#include <stdio.h>
#include <stdlib.h>

#define FAIRLEAD_TURNS_MAX   65536u
#define FAIRLEAD_TURNS_NEAR  32 /* turns looked at one by one, before those of each candidate are */
#define FAIRLEAD_TURNS_DRAWS 8  /* a turn that others took meanwhile is drawn again so often */

/* Both fit: a server's index is at most 65534, and so is the number of its turn, counted from 0 within the
 * cycle. */
struct fairlead_turn {
    uint16_t server, ordinal;
};

/* Immutable. Owned by the plan that made it; destroyed with fairlead_turns_destroy. */
struct fairlead_turns {
    uint32_t n_turns;            /* in a cycle; 0 when every weight is 0 */
    struct fairlead_turn *turns; /* owned; n_turns, in their order */
    uint32_t *first;             /* owned; n_servers + 1: where a server's entries in `places` begin */
    uint16_t *places; /* owned; n_turns: the places in the cycle of each server's turns, ascending */
};

/* What all workers share: nothing else is on its cache line. */
struct fairlead_turns_shared {
    _Alignas(64)
        atomic_ullong next; /* the number of the next turn, over all cycles; relaxed, it guards nothing */
};

/* Servers of one weight. Among themselves they serve one after the other, in the order of the set. */
struct fairlead_turns_group {
    uint32_t weight, begin, end, next; /* of the sorted servers */
    int64_t rounds;                    /* turns that each of them has had */
};

struct fairlead_turns_entry {
    uint32_t weight, server;
};

static inline int fairlead_turns_compare(const void *left, const void *right)
{
    const struct fairlead_turns_entry *a = left, *b = right;

    if (a->weight != b->weight)
        return a->weight < b->weight ? -1 : 1;
    return a->server < b->server ? -1 : 1;
}

static inline void fairlead_turns_destroy(struct fairlead_turns *turns)
{
    if (!turns)
        return;
    free(turns->turns);
    free(turns->first);
    free(turns->places);
    free(turns);
}

/* Fills `groups`, one for each weight above 0, from the sorted entries. Returns how many. */
static inline size_t fairlead_turns_split(const struct fairlead_turns_entry *entries, size_t n_entries,
                                          struct fairlead_turns_group *groups)
{
    size_t n = 0;

    for (uint32_t i = 0; i < n_entries; i++) {
        if (entries[i].weight == 0)
            continue;
        if (n == 0 || groups[n - 1].weight != entries[i].weight)
            groups[n++] = (struct fairlead_turns_group){.weight = entries[i].weight, .begin = i, .next = i};
        groups[n - 1].end = i + 1;
    }
    return n;
}

/* Who has turn number `turn`, from 1: the group with the richest server; of equals the first listed. What a
 * server has after so many turns is turn * weight - n_turns * its own turns. */
static inline struct fairlead_turns_group *fairlead_turns_richest(const struct fairlead_turns_entry *entries,
                                                                  struct fairlead_turns_group *groups,
                                                                  size_t n_groups, int64_t turn,
                                                                  int64_t n_turns)
{
    struct fairlead_turns_group *best = groups;
    int64_t most = INT64_MIN;

    for (size_t i = 0; i < n_groups; i++) {
        int64_t balance = turn * groups[i].weight - n_turns * groups[i].rounds;

        if (balance > most ||
            (balance == most && entries[groups[i].next].server < entries[best->next].server)) {
            most = balance;
            best = &groups[i];
        }
    }
    return best;
}

/* Writes the cycle. So many different weights cannot add up to more than FAIRLEAD_TURNS_MAX that this were
 * slow: there are 361 groups at most. */
static inline void fairlead_turns_write(struct fairlead_turns *turns,
                                        const struct fairlead_turns_entry *entries,
                                        struct fairlead_turns_group *groups, size_t n_groups)
{
    for (uint32_t i = 0; i < turns->n_turns; i++) {
        struct fairlead_turns_group *group =
            fairlead_turns_richest(entries, groups, n_groups, (int64_t)i + 1, turns->n_turns);
        uint32_t server = entries[group->next].server;

        turns->turns[i] = (struct fairlead_turn){(uint16_t)server, (uint16_t)group->rounds};
        turns->places[turns->first[server] + group->rounds] = (uint16_t)i;
        if (++group->next == group->end) {
            group->next = group->begin;
            group->rounds++;
        }
    }
}

/* Sorts the servers by their reduced weights, and makes the tables from them. Returns 0, or -1 without
 * memory. */
static inline int fairlead_turns_build(struct fairlead_turns *turns, const uint32_t *weights,
                                       size_t n_servers)
{
    struct fairlead_turns_entry *entries = calloc(n_servers, sizeof *entries);
    struct fairlead_turns_group *groups = calloc(n_servers, sizeof *groups);
    int result = -1;

    turns->turns = calloc(turns->n_turns + 1u, sizeof *turns->turns);
    turns->places = calloc(turns->n_turns + 1u, sizeof *turns->places);
    turns->first = calloc(n_servers + 1, sizeof *turns->first);
    if (entries && groups && turns->turns && turns->places && turns->first) {
        for (uint32_t i = 0; i < n_servers; i++) {
            entries[i] = (struct fairlead_turns_entry){weights[i], i};
            turns->first[i + 1] = turns->first[i] + weights[i];
        }
        qsort(entries, n_servers, sizeof *entries, fairlead_turns_compare);
        fairlead_turns_write(turns, entries, groups, fairlead_turns_split(entries, n_servers, groups));
        result = 0;
    }
    free(entries);
    free(groups);
    return result;
}

/* For plan_create, and with its rules: makes the cycle for the set's weights. Returns 0, or -1 with a
 * sentence. */
static inline int fairlead_turns_create(const struct fairlead_set *set, struct fairlead_turns **turns,
                                        char *error, size_t error_size)
{
    struct fairlead_turns *made = calloc(1, sizeof *made);
    uint32_t *weights = calloc(set->n_servers, sizeof *weights);
    int result = -1;

    if (made && weights) {
        for (size_t i = 0; i < set->n_servers; i++)
            weights[i] = set->servers[i].weight;
        fairlead_weights_reduce(weights, set->n_servers);
        made->n_turns = (uint32_t)fairlead_weights_fit(weights, set->n_servers, FAIRLEAD_TURNS_MAX);
        result = fairlead_turns_build(made, weights, set->n_servers);
    }
    free(weights);
    if (result != 0) {
        fairlead_turns_destroy(made);
        snprintf(error, error_size, "there is no memory for the turns of %zu servers", set->n_servers);
        return -1;
    }
    *turns = made;
    return 0;
}

/* Does the server take turn number k of its own, from 0? With effective weight e of a full weight W it takes
 * those at which the whole part of k * e / W rises: e of every W, evenly spread. */
static inline bool fairlead_turns_taken(uint64_t k, uint64_t e, uint64_t full)
{
    return e >= full || (e != 0 && k % full * e % full + e >= full);
}

/* The first turn from k on that it takes; e is at least 1. */
static inline uint64_t fairlead_turns_next_taken(uint64_t k, uint64_t e, uint64_t full)
{
    uint64_t rest = k % full;

    return e >= full ? k : k + ((rest * e / full + 1) * full + e - 1) / e - 1 - rest;
}

static inline bool fairlead_turns_candidate(const uint64_t *candidates, size_t server)
{
    return (candidates[server / 64] >> (server % 64)) & 1;
}

/* Looks at the next few turns. Finds one in nearly every case, unless most servers are out. */
static inline int fairlead_turns_find_near(const struct fairlead_turns *turns, const struct fairlead_set *set,
                                           const uint64_t *candidates, const struct fairlead_pick *pick,
                                           uint64_t *turn)
{
    uint64_t cycle = *turn / turns->n_turns;
    uint32_t place = (uint32_t)(*turn % turns->n_turns);

    for (int i = 0; i < FAIRLEAD_TURNS_NEAR; i++) {
        struct fairlead_turn at = turns->turns[place];

        if (fairlead_turns_candidate(candidates, at.server)) {
            uint64_t n_own = turns->first[at.server + 1] - turns->first[at.server];

            if (pick->full_weights ||
                fairlead_turns_taken(cycle * n_own + at.ordinal, pick->effective_weight[at.server],
                                     (uint64_t)set->servers[at.server].weight * FAIRLEAD_WEIGHT_ONE)) {
                *turn += (uint64_t)i;
                return at.server;
            }
        }
        if (++place == turns->n_turns) {
            place = 0;
            cycle++;
        }
    }
    return FAIRLEAD_NONE;
}

/* The number of the first turn from `turn` on that this server takes; it has an effective weight. */
static inline uint64_t fairlead_turns_of_server(const struct fairlead_turns *turns,
                                                const struct fairlead_set *set,
                                                const struct fairlead_pick *pick, size_t server,
                                                uint64_t turn)
{
    const uint16_t *places = turns->places + turns->first[server];
    uint64_t n_own = turns->first[server + 1] - turns->first[server], low = 0, high = n_own;

    while (low < high) {
        uint64_t middle = (low + high) / 2;
        if (places[middle] < turn % turns->n_turns)
            low = middle + 1;
        else
            high = middle;
    }
    uint64_t k =
        fairlead_turns_next_taken(turn / turns->n_turns * n_own + low, pick->effective_weight[server],
                                  (uint64_t)set->servers[server].weight * FAIRLEAD_WEIGHT_ONE);
    return k / n_own * turns->n_turns + places[k % n_own];
}

/* Asks every candidate for its next turn; the first of them is it. Exact however few there are. */
static inline int fairlead_turns_find_far(const struct fairlead_turns *turns, const struct fairlead_set *set,
                                          const uint64_t *candidates, const struct fairlead_pick *pick,
                                          uint64_t *turn)
{
    uint64_t nearest = UINT64_MAX;
    int found = FAIRLEAD_NONE;

    for (size_t word = 0; word < (set->n_servers + 63) / 64; word++) {
        for (uint64_t bits = candidates[word]; bits != 0; bits &= bits - 1) {
            size_t server = word * 64 + (size_t)__builtin_ctzll(bits);

            if (turns->first[server + 1] == turns->first[server] || pick->effective_weight[server] == 0)
                continue;
            uint64_t distance = fairlead_turns_of_server(turns, set, pick, server, *turn) - *turn;
            if (distance < nearest) {
                nearest = distance;
                found = (int)server;
            }
        }
    }
    *turn += nearest;
    return found;
}

/* Makes a later turn ours, and passes over those before it. False when others have drawn it meanwhile. When
 * others keep changing the number, it gives up and serves out of turn. */
static inline bool fairlead_turns_claim(struct fairlead_turns_shared *shared, uint64_t turn)
{
    unsigned long long next = atomic_load_explicit(&shared->next, memory_order_relaxed);

    for (int i = 0; i < FAIRLEAD_TURNS_DRAWS; i++) {
        if ((int64_t)(turn - next) < 0)
            return false;
        if (atomic_compare_exchange_weak_explicit(&shared->next, &next, turn + 1, memory_order_relaxed,
                                                  memory_order_relaxed))
            return true;
    }
    return true;
}

/*
 * For pick, and with its rules: whose turn is it among `candidates`, a bitmap as pick->usable is, and a part
 * of it? Returns an index, or FAIRLEAD_NONE. Any worker.
 */
static inline int fairlead_turns_pick(const struct fairlead_turns *turns,
                                      struct fairlead_turns_shared *shared, const struct fairlead_set *set,
                                      const uint64_t *candidates, const struct fairlead_pick *pick)
{
    int server = FAIRLEAD_NONE;

    for (int draw = 0; draw < FAIRLEAD_TURNS_DRAWS && turns->n_turns != 0; draw++) {
        uint64_t drawn = atomic_fetch_add_explicit(&shared->next, 1, memory_order_relaxed);
        uint64_t turn = drawn;

        server = fairlead_turns_find_near(turns, set, candidates, pick, &turn);
        if (server == FAIRLEAD_NONE)
            server = fairlead_turns_find_far(turns, set, candidates, pick, &turn);
        if (server == FAIRLEAD_NONE || turn == drawn || fairlead_turns_claim(shared, turn))
            break;
    }
    return server;
}

/* The operations of a strategy whose plan and shared memory are turns and nothing else, as struct fairlead_balancer wants them. */

static inline int fairlead_turns_plan_create(const struct fairlead_set *set, const int64_t *options, void **plan,
                                             char *error, size_t error_size)
{
    struct fairlead_turns *turns;

    (void)options;
    if (fairlead_turns_create(set, &turns, error, error_size) != 0)
        return -1;
    *plan = turns;
    return 0;
}

static inline void fairlead_turns_plan_destroy(void *plan)
{
    fairlead_turns_destroy(plan);
}

static inline size_t fairlead_turns_shared_size(const struct fairlead_set *set, const void *plan)
{
    (void)set;
    (void)plan;
    return sizeof(struct fairlead_turns_shared);
}

/* Zeroed is the first turn. */
static inline void fairlead_turns_shared_init(void *shared, const struct fairlead_set *set, const void *plan)
{
    (void)shared;
    (void)set;
    (void)plan;
}

#endif
