/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A building block for strategies, installed as <fairlead/draws.h>: from a number of 64 well mixed bits to a
 * server, in proportion to the weights, in a constant number of steps. Exact for all weights: the alias
 * method (Walker 1977, built as in Vose 1991), in whole numbers. Made on the control thread, then immutable.
 */
#ifndef FAIRLEAD_DRAWS_H
#define FAIRLEAD_DRAWS_H

#include <fairlead/balancer.h>

#include <stdio.h>
#include <stdlib.h>

/* Every server has a cell, all are of one size, and what its own weight does not fill belongs to one other
 * server. */
struct fairlead_draws_cell {
    uint32_t own, other; /* own of draws.total are the server's own, the rest is the other's */
};

struct fairlead_draws {
    uint64_t total; /* of the weights, below 2^32; 0 when every one is 0 */
    size_t n_cells;
    struct fairlead_draws_cell *cells; /* owned */
};

static inline void fairlead_draws_destroy(struct fairlead_draws *draws)
{
    if (!draws)
        return;
    free(draws->cells);
    free(draws);
}

/* `left` is each server's weight times the number of servers, in all as much as all cells hold. `order` has
 * room for all: those that lack something grow from its left, those with more than a cell from its right. */
static inline void fairlead_draws_fill(struct fairlead_draws *draws, uint64_t *left, uint32_t *order)
{
    size_t n_poor = 0, rich = draws->n_cells;

    for (uint32_t i = 0; i < draws->n_cells; i++) {
        draws->cells[i] = (struct fairlead_draws_cell){(uint32_t)draws->total, i};
        if (left[i] < draws->total)
            order[n_poor++] = i;
        else
            order[--rich] = i;
    }
    while (n_poor > 0 && rich < draws->n_cells) {
        uint32_t poor = order[--n_poor], giver = order[rich];

        draws->cells[poor] = (struct fairlead_draws_cell){(uint32_t)left[poor], giver};
        left[giver] -= draws->total - left[poor];
        if (left[giver] < draws->total) {
            rich++;
            order[n_poor++] = giver;
        }
    }
}

/* For plan_create, and with its rules. Returns 0, or -1 with a sentence. */
static inline int fairlead_draws_create(const struct fairlead_set *set, struct fairlead_draws **draws,
                                        char *error, size_t error_size)
{
    struct fairlead_draws *made = calloc(1, sizeof *made);
    struct fairlead_draws_cell *cells = calloc(set->n_servers, sizeof *cells);
    uint64_t *left = calloc(set->n_servers, sizeof *left);
    uint32_t *order = calloc(set->n_servers, sizeof *order);
    bool enough = made && cells && left && order;

    if (enough) {
        *made = (struct fairlead_draws){.n_cells = set->n_servers, .cells = cells};
        for (size_t i = 0; i < set->n_servers; i++) {
            made->total += set->servers[i].weight;
            left[i] = (uint64_t)set->servers[i].weight * set->n_servers;
        }
        fairlead_draws_fill(made, left, order);
        *draws = made;
    } else {
        free(cells);
        free(made);
        snprintf(error, error_size, "there is no memory for a table of %zu servers", set->n_servers);
    }
    free(left);
    free(order);
    return enough ? 0 : -1;
}

/* The server that `number` draws, or FAIRLEAD_NONE when every weight is 0. Equal numbers draw equal servers.
 */
static inline int fairlead_draw(const struct fairlead_draws *draws, uint64_t number)
{
    /* The number, as a fraction of 2^64, of the way through the cells; then what is left, of the way through
     * that one. */
    unsigned __int128 way = (unsigned __int128)number * draws->n_cells;
    uint64_t cell = (uint64_t)(way >> 64);
    uint64_t within = (uint64_t)(((unsigned __int128)(uint64_t)way * draws->total) >> 64);

    if (draws->total == 0)
        return FAIRLEAD_NONE;
    return (int)(within < draws->cells[cell].own ? cell : draws->cells[cell].other);
}

#endif
