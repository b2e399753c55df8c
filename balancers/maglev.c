/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * maglev: all requests with one key go to one server, by the lookup table of Google's balancer (Eisenbud and
 * others, Maglev: A Fast and Reliable Software Network Load Balancer, NSDI 2016, section 3.4). Shares are
 * almost exact, and a server that leaves or joins moves its own keys and a few others. Each server has an
 * order of its own in which it likes the entries of the table; they take turns, by their weights, in taking
 * the next free one. Keeps nothing but its table.
 */
#include <fairlead/keys.h>
#include <fairlead/turns.h>

/* Primes both: the order in which a server likes the entries visits all of them only then. */
#define TABLE_SIZE_MIN 1009
#define TABLE_SIZE_MAX 1048573

enum { TABLE_SIZE };

static const struct fairlead_option options_known[] = {
    {.name = "table_size",
     .type = FAIRLEAD_OPTION_INT,
     .min = TABLE_SIZE_MIN,
     .max = TABLE_SIZE_MAX,
     .fallback = 65537,
     .sentence = "Entries of the lookup table, a prime; a hundred for each server, or more, give even shares "
                 "and few moves."},
    {.name = NULL},
};

struct table {
    uint32_t n_entries; /* 0 when no server has a weight */
    uint16_t servers[];
};

#define FREE UINT16_MAX /* no index: sets have at most 65535 servers */

static bool is_prime(uint32_t number)
{
    if (number < 2)
        return false;
    for (uint32_t i = 2; i * i <= number; i++) {
        if (number % i == 0)
            return false;
    }
    return true;
}

/* A place in a server's order: after it comes the one that is `skip` further on. */
struct liking {
    uint32_t next, skip;
};

static void make_likings(struct liking *likings, const struct fairlead_set *set, uint32_t n_entries)
{
    for (size_t i = 0; i < set->n_servers; i++) {
        uint64_t hash = set->servers[i].hash;

        likings[i].next = (uint32_t)(fairlead_mix(hash) % n_entries);
        likings[i].skip = (uint32_t)(fairlead_rehash(hash) % (n_entries - 1)) + 1;
    }
}

/* As there is a free entry, and the order visits them all, this ends. Over all turns that is n_entries times
 * the logarithm of n_entries steps. */
static uint32_t take_entry(const struct table *table, struct liking *liking)
{
    uint32_t entry;

    do {
        entry = liking->next;
        liking->next += liking->skip;
        if (liking->next >= table->n_entries)
            liking->next -= table->n_entries;
    } while (table->servers[entry] != FREE);
    return entry;
}

static int fill(struct table *table, const struct fairlead_set *set, const struct fairlead_turns *turns)
{
    struct liking *likings = calloc(set->n_servers, sizeof *likings);

    if (!likings)
        return -1;
    make_likings(likings, set, table->n_entries);
    for (uint32_t i = 0; i < table->n_entries; i++)
        table->servers[i] = FREE;
    for (uint32_t i = 0, turn = 0; i < table->n_entries; i++) {
        uint16_t server = turns->turns[turn].server;

        table->servers[take_entry(table, &likings[server])] = server;
        turn = turn + 1 == turns->n_turns ? 0 : turn + 1;
    }
    free(likings);
    return 0;
}

static int make_table(const struct fairlead_set *set, uint32_t n_entries, void **plan, char *error,
                      size_t error_size)
{
    struct table *table = calloc(1, sizeof *table + n_entries * sizeof *table->servers);
    struct fairlead_turns *turns;

    if (fairlead_turns_create(set, &turns, error, error_size) != 0) {
        free(table);
        return -1;
    }
    if (table && turns->n_turns > 0)
        table->n_entries = n_entries;
    if (!table || (table->n_entries > 0 && fill(table, set, turns) != 0)) {
        snprintf(error, error_size, "there is no memory for a table of %u entries", n_entries);
        free(table);
        table = NULL;
    }
    fairlead_turns_destroy(turns);
    *plan = table;
    return table ? 0 : -1;
}

static int plan_create(const struct fairlead_set *set, const int64_t *options, void **plan, char *error,
                       size_t error_size)
{
    uint32_t wanted = (uint32_t)options[TABLE_SIZE], prime = wanted;

    while (!is_prime(prime))
        prime++;
    if (prime != wanted) {
        snprintf(error, error_size, "table_size must be a prime: %u is not, %u is", wanted, prime);
        return -1;
    }
    if (wanted < set->n_servers) {
        snprintf(error, error_size, "a table_size of %u is not enough for %zu servers", wanted,
                 set->n_servers);
        return -1;
    }
    return make_table(set, wanted, plan, error, error_size);
}

static int pick(const struct fairlead_tier *tier, const struct fairlead_pick *pick)
{
    const struct table *table = tier->plan;
    uint64_t number = fairlead_mix(pick->key);

    for (int i = 0; i < FAIRLEAD_KEYS_THROWS && table->n_entries > 0; i++) {
        uint64_t entry = (uint64_t)(((unsigned __int128)number * table->n_entries) >> 64);
        uint16_t server = table->servers[entry];

        if (fairlead_takes_key(tier->set, pick, server))
            return server;
        number = fairlead_rehash(number);
    }
    return fairlead_suits_best(tier->set, pick);
}

const struct fairlead_balancer fairlead_balancer = {
    .version = FAIRLEAD_BALANCER_VERSION,
    .traits = FAIRLEAD_KEYED | FAIRLEAD_WEIGHTED,
    .name = "maglev",
    .options = options_known,
    .plan_create = plan_create,
    .plan_destroy = free,
    .pick = pick,
};
