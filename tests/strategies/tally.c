/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tally: picks the first usable server, and counts what it is told, for the tests of the framework. The
 * counters are global, which no real strategy may do: a test reads them through dlsym.
 */
#include <fairlead/balancer.h>

/* Picks that gave a server, and outcomes by kind; over all workers. */
struct tally {
    atomic_ullong picks;
    atomic_ullong outcomes[3];
    atomic_ullong last_latency_ns;
    atomic_ullong last_key;
    atomic_ullong seeds;
    atomic_uint effective[8]; /* of the last pick: the weights of the first servers */
    atomic_uint full_weights;
};

extern struct tally tally;
struct tally tally;

static size_t state_size(const struct fairlead_set *set, const void *plan)
{
    (void)set;
    (void)plan;
    return 1;
}

static void state_init(void *state, const struct fairlead_set *set, const void *plan, uint64_t seed)
{
    (void)state;
    (void)set;
    (void)plan;
    tally.seeds += seed;
}

static int pick(const struct fairlead_tier *tier, const struct fairlead_pick *pick)
{
    tally.full_weights = pick->full_weights;
    for (size_t i = 0; i < tier->set->n_servers && i < 8; i++)
        tally.effective[i] = pick->effective_weight[i];
    for (size_t i = 0; i < tier->set->n_servers; i++) {
        if (!fairlead_usable(pick, i) || pick->effective_weight[i] == 0)
            continue;
        tally.picks++;
        tally.last_key = pick->key;
        return (int)i;
    }
    return FAIRLEAD_NONE;
}

static void done(const struct fairlead_tier *tier, int server, enum fairlead_outcome outcome,
                 uint64_t latency_ns, uint64_t now_ns)
{
    (void)tier;
    (void)server;
    (void)now_ns;
    tally.outcomes[outcome]++;
    tally.last_latency_ns = latency_ns;
}

const struct fairlead_balancer fairlead_balancer = {
    .version = FAIRLEAD_BALANCER_VERSION,
    .traits = FAIRLEAD_FEEDBACK,
    .name = "tally",
    .state_size = state_size,
    .state_init = state_init,
    .pick = pick,
    .done = done,
};
