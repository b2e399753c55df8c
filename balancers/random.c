/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * random: draws some servers by their weights, and gives the request to the one with the fewest requests in
 * flight for its weight. Two draws are enough to avoid the crowded ones (Mitzenmacher, The Power of Two
 * Choices in Randomized Load Balancing, 2001), at a cost that does not grow with the pool, and many Fairleads
 * that do not know of each other do not all choose the same server. State: one generator per worker.
 */
#include <fairlead/draws.h>

/* Draws of servers that are out, or that are the best already, are thrown again; so often, for each choice.
 */
#define THROWS 8

enum { CHOICES };

static const struct fairlead_option options_known[] = {
    {.name = "choices",
     .type = FAIRLEAD_OPTION_INT,
     .min = 1,
     .max = 8,
     .fallback = 2,
     .sentence = "Servers drawn for a request; the least busy of them serves it."},
    {.name = NULL},
};

struct plan {
    struct fairlead_draws *draws; /* owned */
    size_t n_choices;
};

static void plan_destroy(void *plan)
{
    struct plan *made = plan;

    fairlead_draws_destroy(made->draws);
    free(made);
}

static int plan_create(const struct fairlead_set *set, const int64_t *options, void **plan, char *error,
                       size_t error_size)
{
    struct plan *made = calloc(1, sizeof *made);

    if (!made) {
        snprintf(error, error_size, "there is no memory for a plan");
        return -1;
    }
    made->n_choices = (size_t)options[CHOICES];
    if (fairlead_draws_create(set, &made->draws, error, error_size) != 0) {
        free(made);
        return -1;
    }
    *plan = made;
    return 0;
}

/* SplitMix64 (Steele, Lea, Flood 2014). */
struct generator {
    uint64_t state;
};

static uint64_t next_number(struct generator *generator)
{
    generator->state += UINT64_C(0x9e3779b97f4a7c15);
    return fairlead_mix(generator->state);
}

static size_t state_size(const struct fairlead_set *set, const void *plan)
{
    (void)set;
    (void)plan;
    return sizeof(struct generator);
}

/* Mixed twice, so that workers whose seeds are near each other do not walk the same numbers at a distance. */
static void state_init(void *state, const struct fairlead_set *set, const void *plan, uint64_t seed)
{
    struct generator *generator = state;

    (void)set;
    (void)plan;
    generator->state = fairlead_mix(fairlead_mix(seed + 1) + 1);
}

/* At a fraction of its weight a server takes that fraction of the draws. */
static bool takes_draw(const struct fairlead_tier *tier, const struct fairlead_pick *pick, size_t server)
{
    if (!fairlead_usable(pick, server))
        return false;
    if (pick->full_weights)
        return true;
    uint64_t full = (uint64_t)tier->set->servers[server].weight * FAIRLEAD_WEIGHT_ONE;

    return (next_number(tier->state) >> 32) * full >> 32 < pick->effective_weight[server];
}

/* a / b < c / d as a * d < c * b: 32 bits by 24. */
static bool is_less_busy(const struct fairlead_tier *tier, const struct fairlead_pick *pick, int one,
                         int other)
{
    uint64_t load = fairlead_in_flight(tier->set, (size_t)one);
    uint64_t other_load = fairlead_in_flight(tier->set, (size_t)other);

    return load * pick->effective_weight[other] < other_load * pick->effective_weight[one];
}

/* One draw from exactly those that are usable. Looks at every server. */
static int draw_among_usable(const struct fairlead_tier *tier, const struct fairlead_pick *pick)
{
    uint64_t total = 0;

    for (size_t i = 0; i < tier->set->n_servers; i++)
        total += fairlead_usable(pick, i) ? pick->effective_weight[i] : 0;
    uint64_t left = (uint64_t)(((unsigned __int128)next_number(tier->state) * total) >> 64);

    for (size_t i = 0; total > 0 && i < tier->set->n_servers; i++) {
        uint64_t weight = fairlead_usable(pick, i) ? pick->effective_weight[i] : 0;

        if (left < weight)
            return (int)i;
        left -= weight;
    }
    return FAIRLEAD_NONE;
}

static int pick(const struct fairlead_tier *tier, const struct fairlead_pick *pick)
{
    const struct plan *plan = tier->plan;
    size_t n_choices = plan->n_choices < pick->n_usable ? plan->n_choices : pick->n_usable;
    int best = FAIRLEAD_NONE;

    for (size_t throws = n_choices * THROWS; n_choices > 0 && throws > 0; throws--) {
        int server = fairlead_draw(plan->draws, next_number(tier->state));

        if (server == FAIRLEAD_NONE || server == best || !takes_draw(tier, pick, (size_t)server))
            continue;
        n_choices--;
        /* Of equals the first drawn stays: draws follow the weights, and so do the shares of an idle pool. */
        if (best == FAIRLEAD_NONE || is_less_busy(tier, pick, server, best))
            best = server;
    }
    return best == FAIRLEAD_NONE ? draw_among_usable(tier, pick) : best;
}

const struct fairlead_balancer fairlead_balancer = {
    .version = FAIRLEAD_BALANCER_VERSION,
    .traits = FAIRLEAD_WEIGHTED | FAIRLEAD_BALANCED,
    .name = "random",
    .options = options_known,
    .plan_create = plan_create,
    .plan_destroy = plan_destroy,
    .state_size = state_size,
    .state_init = state_init,
    .pick = pick,
};
