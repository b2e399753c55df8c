/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The interface of a balancing strategy: the only header that a strategy includes, installed as <fairlead/balancer.h>.
 *
 * A strategy is one C file built as a shared object NAME.so in the module directory, found by `balance = "NAME"`. It exports one
 * symbol, `const struct fairlead_balancer fairlead_balancer`. It only orders the servers that it may use; whether a server may
 * be used (up, not draining, not failed, not tried already in this request, below its limits, in the tier that serves) is
 * decided by Fairlead, and given as a bitmap with every pick.
 *
 * Threads: plan_create and plan_destroy run on the control thread, before the first and after the last pick that uses the plan. All else
 * runs on the worker that owns the state; no two threads ever share one state. A plan is shared by all workers and immutable.
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

#define FAIRLEAD_BALANCER_VERSION 1u

/* pick's answer when no usable server is there; a normal event, the framework knows what to do. */
#define FAIRLEAD_NONE (-1)

/* One server of a pool, in the order of the configuration. */
struct fairlead_server {
    const char *name;                  /* as configured, for hashing; NUL-terminated; lives as long as the set */
    uint32_t weight;                   /* configured, 1 to 65535 */
    uint32_t pad;
    const atomic_uint *in_flight;      /* requests being served now, over all workers; read with memory_order_relaxed */
};

/* The servers of one tier (primaries, or backups). Immutable; the same for every pick with this plan or state. */
struct fairlead_set {
    size_t n_servers;                  /* 1 to 65535 */
    const struct fairlead_server *servers;
};

/* What one pick is given. */
struct fairlead_pick {
    const uint64_t *usable;            /* bit i % 64 of word i / 64: server i may be chosen; (n_servers + 63) / 64 words */
    size_t n_usable;                   /* bits set in it */
    const uint32_t *effective_weight;  /* n_servers entries, 0 to weight: what slow start and the like leave of it */
    uint64_t key;                      /* hash of the configured key; 0 unless FAIRLEAD_KEYED */
    uint64_t now_ns;                   /* CLOCK_MONOTONIC, as of this turn of the worker's loop */
};

static inline bool fairlead_usable(const struct fairlead_pick *pick, size_t server)
{
    return (pick->usable[server / 64] >> (server % 64)) & 1;
}

enum fairlead_outcome {
    FAIRLEAD_OK,       /* a response head came */
    FAIRLEAD_FAILED,   /* refused, reset, timed out, or not HTTP */
    FAIRLEAD_CANCELLED /* the client went away first: says nothing about the server */
};

enum fairlead_trait {
    FAIRLEAD_KEYED = 1,    /* pick.key is wanted */
    FAIRLEAD_FEEDBACK = 2, /* done is wanted with outcome and latency */
    FAIRLEAD_WEIGHTED = 4  /* shares follow the weights: changes nothing but what the conformance suite asks */
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

    /* Optional. Makes what all workers share. `options` has one value per entry of the table, in its order. Returns 0 and *plan,
     * or -1 with a sentence in error[0..error_size). Control thread. */
    int (*plan_create)(const struct fairlead_set *set, const int64_t *options, void **plan, char *error,
                       size_t error_size);
    void (*plan_destroy)(void *plan);

    /* Bytes of state that one worker needs for this set; 0 is fine. */
    size_t (*state_size)(const struct fairlead_set *set, const void *plan);
    /* Gets state_size bytes of zeroed memory, aligned to 64. Cannot fail. `seed` is 0 on the first worker and differs on the
     * others, so that they start at different places. */
    void (*state_init)(void *state, const struct fairlead_set *set, const void *plan, uint64_t seed);

    /* Chooses a server: its index in the set, with its usable bit set and an effective weight above 0, or FAIRLEAD_NONE. No lock, no
     * allocation, no system call, no output; bounded. */
    int (*pick)(void *state, const struct fairlead_set *set, const void *plan, const struct fairlead_pick *pick);

    /* Optional. Exactly once for every pick that gave a server, on the worker that picked. latency_ns: from pick to the first byte of
     * the response; 0 unless FAIRLEAD_OK. */
    void (*done)(void *state, const struct fairlead_set *set, const void *plan, int server,
                 enum fairlead_outcome outcome, uint64_t latency_ns);
};

#ifdef __cplusplus
}
#endif

#endif
