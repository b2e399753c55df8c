/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tiers of a pool, and what the strategy makes of them. Control thread. */
#include "upstream/hash.h"
#include "upstream/tier.h"

#include <errno.h>

static void put_plan(const struct pool *pool, struct tier_plan *plan)
{
    if (!plan || --plan->refs > 0)
        return;
    if (plan->plan)
        pool->strategy.balancer->plan_destroy(plan->plan);
    free(plan->shared);
    free(plan->servers);
    free(plan->names);
    free(plan);
}

void tiers_destroy(struct pool *pool)
{
    for (int i = 0; i < N_TIERS; i++) {
        struct tier *tier = &pool->tiers[i];

        put_plan(pool, tier->plan);
        free(tier->in_flight);
        free(tier->indices);
    }
}

static size_t count_servers(const struct pool *pool, bool backup)
{
    size_t n = 0;

    for (size_t i = 0; i < pool->n_servers; i++)
        n += pool->servers[i].backup == backup;
    return n;
}

/* The indices of its servers, and where their requests in flight are counted. */
static int list_servers(struct pool *pool, struct tier *tier, bool backup)
{
    size_t n = count_servers(pool, backup);
    uint32_t position = 0;

    if (n == 0)
        return 0;
    tier->indices = calloc(n, sizeof *tier->indices);
    tier->in_flight = allocate_lines(n * sizeof *tier->in_flight);
    if (!tier->indices || !tier->in_flight)
        return -ENOMEM;
    for (uint32_t i = 0; i < pool->n_servers; i++) {
        if (pool->servers[i].backup != backup)
            continue;
        tier->indices[position] = i;
        tier->in_flight[position] = pool->servers[i].state->in_flight;
        pool->positions[i] = position++;
    }
    tier->set.n_servers = n;
    tier->set.in_flight = tier->in_flight;
    return 0;
}

/* How many servers before this one in the tier have its name. */
static uint64_t count_namesakes(const struct tier_plan *plan, uint32_t position)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < position; i++)
        n += strcmp(plan->names[i], plan->names[position]) == 0;
    return n;
}

static int name_servers(struct tier_plan *plan, const struct pool *pool, const struct tier *tier)
{
    plan->n_servers = tier->set.n_servers;
    plan->servers = calloc(plan->n_servers, sizeof *plan->servers);
    plan->names = calloc(plan->n_servers, sizeof *plan->names);
    if (!plan->servers || !plan->names)
        return -ENOMEM;
    for (uint32_t i = 0; i < plan->n_servers; i++) {
        const struct server *server = &pool->servers[tier->indices[i]];

        memcpy(plan->names[i], server->name, SERVER_NAME_MAX);
        plan->servers[i] = (struct fairlead_server){
            .name = plan->names[i],
            .hash = hash_text(server->name, strlen(server->name), count_namesakes(plan, i)),
            .weight = server->weight,
        };
    }
    return 0;
}

/* What all workers share with the strategy. */
static int make_shared(struct tier_plan *plan, const struct fairlead_balancer *balancer, const struct fairlead_set *set)
{
    if (!balancer->shared_size)
        return 0;
    plan->shared = allocate_lines(balancer->shared_size(set, plan->plan));
    if (!plan->shared)
        return -ENOMEM;
    balancer->shared_init(plan->shared, set, plan->plan);
    return 0;
}

static int make_plan(const struct pool *pool, struct tier *tier, const struct complaint *complaint)
{
    const struct fairlead_balancer *balancer = pool->strategy.balancer;
    void *made = NULL;

    tier->plan = calloc(1, sizeof *tier->plan);
    if (!tier->plan)
        return out_of_memory(complaint);
    tier->plan->refs = 1;
    if (name_servers(tier->plan, pool, tier) != 0)
        return out_of_memory(complaint);
    tier->set.servers = tier->plan->servers;
    if (balancer->plan_create &&
        balancer->plan_create(&tier->set, pool->settings.options, &made, complaint->text, complaint->size) != 0)
        return -EINVAL;
    tier->plan->plan = made;
    return make_shared(tier->plan, balancer, &tier->set) == 0 ? 0 : out_of_memory(complaint);
}

/* Another file of the same name, after an update, is another strategy. */
static bool is_same_strategy(const struct pool *pool, const struct pool *previous, size_t n_options)
{
    return pool->strategy.balancer == previous->strategy.balancer &&
           memcmp(pool->settings.options, previous->settings.options, n_options * sizeof pool->settings.options[0]) == 0;
}

static bool fits(const struct tier_plan *plan, const struct pool *pool, const struct tier *tier)
{
    if (!plan || plan->n_servers != tier->set.n_servers)
        return false;
    for (size_t i = 0; i < plan->n_servers; i++) {
        const struct server *server = &pool->servers[tier->indices[i]];

        if (plan->servers[i].weight != server->weight || strcmp(plan->names[i], server->name) != 0)
            return false;
    }
    return true;
}

static void share_plan(struct tier *tier, struct tier_plan *plan)
{
    tier->plan = plan;
    tier->set.servers = plan->servers;
    plan->refs++;
}

int tiers_create(struct pool *pool, const struct pool *previous, size_t n_options, const struct complaint *complaint)
{
    bool inherits = previous && is_same_strategy(pool, previous, n_options);
    int result = 0;

    for (int i = 0; result == 0 && i < N_TIERS; i++) {
        struct tier *tier = &pool->tiers[i];

        if (list_servers(pool, tier, i == TIER_BACKUP) != 0)
            return out_of_memory(complaint);
        if (tier->set.n_servers == 0)
            continue;
        if (inherits && fits(previous->tiers[i].plan, pool, tier))
            share_plan(tier, previous->tiers[i].plan);
        else
            result = make_plan(pool, tier, complaint);
    }
    return result;
}
