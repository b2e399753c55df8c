/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * hash: all requests with one key go to one server. Without `consistent` by weighted draws, which are
 * exact in their shares, but move most keys when the list of servers changes. With it by a ring (Karger and
 * others, STOC 1997; 160 points for a weight of 1, as libketama has): a server that leaves or joins moves its
 * own keys only, and shares are off by some 8 % for a weight of 1. Keeps nothing but its table.
 *
 * A server's points depend on its name and their number only. Weights are not divided by what divides all of
 * them, for then a server that leaves could change the points of all others.
 */
#include <fairlead/keys.h>
#include <fairlead/weights.h>

#define POINTS_PER_WEIGHT 160u
#define POINTS_MAX        1000000u /* above it each server has fewer, in proportion */
#define WALK_MAX          64 /* points of servers that are out, before the key is given to whom it suits best */

enum { CONSISTENT };

static const struct fairlead_option options_known[] = {
    {.name = "consistent",
     .type = FAIRLEAD_OPTION_BOOL,
     .min = 0,
     .max = 1,
     .fallback = 0,
     .sentence = "Whether few keys move when a server is added or removed, at the price of shares that are "
                 "less even."},
    {.name = NULL},
};

struct point {
    uint32_t at, server;
};

/* The index has an entry for each value of the top bits of a place: the first point that is not before it. */
struct ring {
    uint32_t n_points;
    unsigned shift;       /* of a place, to get its top bits */
    struct point *points; /* owned; by place */
    uint32_t *index;      /* owned; 2^(32 - shift) entries */
};

/* One of the two is there. */
struct plan {
    struct fairlead_draws *draws; /* owned */
    struct ring ring;
};

static int compare_points(const void *left, const void *right)
{
    const struct point *a = left, *b = right;

    if (a->at != b->at)
        return a->at < b->at ? -1 : 1;
    return a->server < b->server ? -1 : a->server > b->server;
}

static void place_points(struct ring *ring, const struct fairlead_set *set, const uint32_t *n_points)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < set->n_servers; i++) {
        uint64_t number = set->servers[i].hash;

        for (uint32_t k = 0; k < n_points[i]; k++) {
            number = fairlead_rehash(number);
            ring->points[n++] = (struct point){(uint32_t)(number >> 32), i};
        }
    }
    qsort(ring->points, n, sizeof *ring->points, compare_points);
}

static void fill_index(struct ring *ring)
{
    uint32_t point = 0;

    for (uint64_t top = 0; top < UINT64_C(1) << (32 - ring->shift); top++) {
        while (point < ring->n_points && ring->points[point].at >> ring->shift < top)
            point++;
        ring->index[top] = point;
    }
}

/* About as many entries in the index as there are points, so that a search takes one or two steps. */
static int make_ring(struct ring *ring, const struct fairlead_set *set, uint32_t *n_points)
{
    for (size_t i = 0; i < set->n_servers; i++)
        n_points[i] = set->servers[i].weight * POINTS_PER_WEIGHT;
    ring->n_points = (uint32_t)fairlead_weights_fit(n_points, set->n_servers, POINTS_MAX);
    ring->shift = 31;
    while (UINT64_C(1) << (32 - ring->shift) < ring->n_points)
        ring->shift--;
    ring->points = calloc(ring->n_points + 1u, sizeof *ring->points);
    ring->index = calloc((size_t)1 << (32 - ring->shift), sizeof *ring->index);
    if (!ring->points || !ring->index)
        return -1;
    place_points(ring, set, n_points);
    fill_index(ring);
    return 0;
}

static void plan_destroy(void *plan)
{
    struct plan *made = plan;

    fairlead_draws_destroy(made->draws);
    free(made->ring.points);
    free(made->ring.index);
    free(made);
}

static int plan_create(const struct fairlead_set *set, const int64_t *options, void **plan, char *error,
                       size_t error_size)
{
    struct plan *made = calloc(1, sizeof *made);
    uint32_t *n_points = calloc(set->n_servers, sizeof *n_points);
    int result = -1;

    if (!made || !n_points || (options[CONSISTENT] && make_ring(&made->ring, set, n_points) != 0))
        snprintf(error, error_size, "there is no memory for a ring of %zu servers", set->n_servers);
    else
        result = options[CONSISTENT] ? 0 : fairlead_draws_create(set, &made->draws, error, error_size);
    free(n_points);
    if (result == 0)
        *plan = made;
    else if (made)
        plan_destroy(made);
    return result;
}

static int pick_from_ring(const struct ring *ring, const struct fairlead_set *set,
                          const struct fairlead_pick *pick)
{
    uint32_t at = (uint32_t)(fairlead_mix(pick->key) >> 32);
    uint32_t point = ring->index[at >> ring->shift];

    while (point < ring->n_points && ring->points[point].at < at)
        point++;
    for (int i = 0; i < WALK_MAX && ring->n_points > 0; i++, point++) {
        if (point >= ring->n_points)
            point = 0;
        if (fairlead_takes_key(set, pick, ring->points[point].server))
            return (int)ring->points[point].server;
    }
    return fairlead_suits_best(set, pick);
}

static int pick(const struct fairlead_tier *tier, const struct fairlead_pick *pick)
{
    const struct plan *plan = tier->plan;

    return plan->draws ? fairlead_draw_for_key(plan->draws, tier->set, pick)
                       : pick_from_ring(&plan->ring, tier->set, pick);
}

const struct fairlead_balancer fairlead_balancer = {
    .version = FAIRLEAD_BALANCER_VERSION,
    .traits = FAIRLEAD_KEYED | FAIRLEAD_WEIGHTED,
    .name = "hash",
    .options = options_known,
    .plan_create = plan_create,
    .plan_destroy = plan_destroy,
    .pick = pick,
};
