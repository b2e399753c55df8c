/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The interface of a balancing strategy, installed as <fairlead/balancer.h>: all that a strategy needs. Building blocks that it may include
 * as well are beside it (turns.h, least.h, draws.h, keys.h).
 *
 * A strategy is one C file built as a shared object NAME.so in the module directory, found by `balance = "NAME"`. It exports one
 * symbol, `const struct fairlead_balancer fairlead_balancer`. It only orders the servers that it may use; whether a server may
 * be used (up, not draining, not failed, not tried already in this request, below its limits, in the tier that serves) is
 * decided by Fairlead, and given as a bitmap with every pick.
 *
 * What a strategy may keep, and who touches it:
 *   plan    immutable; made on the control thread, read by all workers (a hash ring, a table)
 *   shared  one for all workers, so that shares hold over all cores; atomics only (a counter, an average)
 *   state   one per worker, touched by no other thread (a random number generator)
 * plan_create, plan_destroy and shared_init run on the control thread, before the first and after the last pick; all else runs on the worker
 * that owns the state.
 */
#ifndef FAIRLEAD_BALANCER_H
#define FAIRLEAD_BALANCER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FAIRLEAD_BALANCER_VERSION 3u

/* pick's answer when no usable server is there; a normal event, the framework knows what to do. */
#define FAIRLEAD_NONE (-1)

/* The effective weight of a server of weight 1 that has nothing against it: shares below one are whole numbers too. */
#define FAIRLEAD_WEIGHT_ONE 256u

/* One server of a pool, in the order of the configuration. */
struct fairlead_server {
    const char *name; /* as configured; NUL-terminated; lives as long as the set */
    uint64_t hash;    /* of the name, well mixed, the same in every process; servers of equal names differ */
    uint32_t weight;  /* configured, 0 to 65535; one of weight 0 never gets its usable bit */
    uint32_t pad;
};

/*
 * The servers of one tier (primaries, or backups). Immutable. A plan and what is shared may serve several sets in their life, one
 * after the other or at once, that have the same `servers` and differ in nothing but where in_flight points: they may keep pointers to servers
 * and names, and none to the set. State has one set.
 */
struct fairlead_set {
    size_t n_servers; /* 1 to 65535 */
    const struct fairlead_server *servers;
    const atomic_uint *const *in_flight; /* n_servers entries; see fairlead_in_flight */
};

/* How many requests the server is serving now, over all workers. */
static inline unsigned fairlead_in_flight(const struct fairlead_set *set, size_t server)
{
    return atomic_load_explicit(set->in_flight[server], memory_order_relaxed);
}

/* What one pick is given. */
struct fairlead_pick {
    const uint64_t *usable;           /* bit i % 64 of word i / 64: server i may be chosen; (n_servers + 63) / 64 words */
    size_t n_usable;                  /* bits set in it */
    const uint32_t *effective_weight; /* n_servers entries, 0 to weight * FAIRLEAD_WEIGHT_ONE: what slow start and the like leave of it */
    bool full_weights;                /* all effective weights of usable servers are weight * FAIRLEAD_WEIGHT_ONE */
    uint64_t key;                     /* hash of the configured key; 0 unless FAIRLEAD_KEYED or FAIRLEAD_ADDRESSED */
    uint64_t now_ns;                  /* CLOCK_MONOTONIC, as of this turn of the worker's loop */
};

/* Where a pick happens. Each of plan, shared and state is what the strategy made of it; NULL where it has none. */
struct fairlead_tier {
    const struct fairlead_set *set;
    const void *plan;
    void *shared;
    void *state;
};

static inline bool fairlead_usable(const struct fairlead_pick *pick, size_t server)
{
    return (pick->usable[server / 64] >> (server % 64)) & 1;
}

/* Spreads the bits of x: equal numbers give equal ones, near ones far ones (the finaliser of SplitMix64, Steele, Lea, Flood 2014). */
static inline uint64_t fairlead_mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

enum fairlead_outcome {
    FAIRLEAD_OK,       /* a response head came */
    FAIRLEAD_FAILED,   /* refused, reset, timed out, not HTTP, or a status that is configured to count */
    FAIRLEAD_CANCELLED /* the client went away first, or the like: says nothing about the server */
};

enum fairlead_trait {
    FAIRLEAD_KEYED = 1,     /* pick.key is wanted: the hash of the key that is configured, which must be */
    FAIRLEAD_FEEDBACK = 2,  /* done is wanted with outcome and latency */
    FAIRLEAD_WEIGHTED = 4,  /* shares follow the weights: changes nothing but what the conformance suite asks */
    FAIRLEAD_ADDRESSED = 8, /* pick.key is wanted: the hash of the client's network (three octets of IPv4, the whole of IPv6) */
    FAIRLEAD_BALANCED = 16  /* follows in_flight: changes nothing but what the conformance suite asks */
};

enum fairlead_option_type { FAIRLEAD_OPTION_INT, FAIRLEAD_OPTION_BOOL, FAIRLEAD_OPTION_TIME_MS };

/* An option of the strategy, a key of the upstream group in the configuration. The table ends with name NULL. */
struct fairlead_option {
    const char *name;
    enum fairlead_option_type type;
    int64_t min, max, fallback; /* fallback is the value where the key does not stand */
    const char *sentence;       /* for the manual and the configuration reader's hints */
};

struct fairlead_balancer {
    uint32_t version; /* FAIRLEAD_BALANCER_VERSION: checked when loaded */
    uint32_t traits;  /* enum fairlead_trait */
    const char *name; /* equals the file's name without .so */
    const struct fairlead_option *options; /* NULL: none */

    /* Optional, both or none. `options` has one value per entry of the table, in its order. Returns 0 and *plan, or -1 with a sentence in
     * error[0..error_size). Control thread. */
    int (*plan_create)(const struct fairlead_set *set, const int64_t *options, void **plan, char *error,
                       size_t error_size);
    void (*plan_destroy)(void *plan);

    /* Optional, both or none: bytes that all workers share, zeroed and aligned to 64 before shared_init. Cannot fail. Control thread. */
    size_t (*shared_size)(const struct fairlead_set *set, const void *plan);
    void (*shared_init)(void *shared, const struct fairlead_set *set, const void *plan);

    /* Optional, both or none: bytes that one worker keeps, zeroed and aligned to 64 before state_init. Cannot fail. `seed` is 0 on the
     * first worker and differs on the others. */
    size_t (*state_size)(const struct fairlead_set *set, const void *plan);
    void (*state_init)(void *state, const struct fairlead_set *set, const void *plan, uint64_t seed);

    /* Chooses a server: its index in the set, with its usable bit set and an effective weight above 0, or FAIRLEAD_NONE. No lock, no
     * allocation, no system call, no output; bounded. */
    int (*pick)(const struct fairlead_tier *tier, const struct fairlead_pick *pick);

    /* Optional. Exactly once for every request that a server of the set got, on the worker that gave it: by pick, or because the request was
     * bound to that server. latency_ns: from pick to the first byte of the response; 0 unless FAIRLEAD_OK. */
    void (*done)(const struct fairlead_tier *tier, int server, enum fairlead_outcome outcome, uint64_t latency_ns,
                 uint64_t now_ns);
};

#ifdef __cplusplus
}
#endif

#endif
