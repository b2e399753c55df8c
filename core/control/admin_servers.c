/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The table of servers: one list of columns, printed for people, as JSON, or as CSV. Where a column means what one of HAProxy's statistics means, it has that name; the
 * others are ours. As there, a pool ends with a row called BACKEND.
 */
#include "control/admin_private.h"

#include "config/nearest.h"
#include "control/standing.h"
#include "engine/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CELL_MAX 320u

/* What a row is made of. `server` NULL: the row of the pool. */
struct row {
    const struct pool *pool;
    const struct server *server;
    struct standing standing;
    struct pool_standing whole;
};

/* X(name, is a string, width for people (0: not shown), value). "pxname" to "algo" are HAProxy's names. */
#define COLUMNS(X)                                                                                           \
    X(pxname, 1, 16, text(cell, pool_name(row->pool)))                                                       \
    X(svname, 1, 24, text(cell, row->server ? row->server->name : "BACKEND"))                               \
    X(status, 1, 14, text(cell, row->standing.status))                                                       \
    X(weight, 0, 6, number(cell, row->server ? row->server->weight : row->whole.weight))                     \
    X(act, 0, 4, number(cell, row->server ? !row->server->backup : row->whole.active))                       \
    X(bck, 0, 4, number(cell, row->server ? row->server->backup : row->whole.backup))                        \
    X(scur, 0, 7, number(cell, row->standing.in_flight))                                                     \
    X(slim, 0, 7, row->server && row->server->max_conns ? number(cell, row->server->max_conns) : none(cell)) \
    X(stot, 0, 12, number(cell, row->standing.picked))                                                       \
    X(failed, 0, 8, number(cell, row->standing.failed))                                                      \
    X(ejected, 0, 8, number(cell, row->standing.ejected))                                                    \
    X(out_ms, 0, 7, number(cell, row->standing.out_ms))                                                      \
    X(chkfail, 0, 7, number(cell, row->standing.check_failures))                                             \
    X(chkdown, 0, 7, number(cell, row->standing.check_downs))                                                \
    X(lastchg, 0, 8, row->standing.has_changed ? number(cell, row->standing.changed_ms / 1000) : none(cell)) \
    X(downtime, 0, 8, row->server ? number(cell, row->standing.down_ms / 1000) : none(cell))                 \
    X(check_status, 1, 12, text(cell, row->standing.check_status))                                           \
    X(check_code, 0, 10, row->standing.check_code ? number(cell, row->standing.check_code) : none(cell))     \
    X(check_duration, 0, 14, row->standing.check_status[0] ? number(cell, row->standing.check_duration_ms) : none(cell)) \
    X(share, 0, 0, row->server ? number(cell, row->standing.share) : none(cell))                             \
    X(panics, 0, 0, row->server ? none(cell) : number(cell, read_counter(&pool_counters(row->pool)->panics))) \
    X(backup_picks, 0, 0, row->server ? none(cell) : number(cell, read_counter(&pool_counters(row->pool)->backup_picks))) \
    X(type, 0, 0, number(cell, row->server ? 2 : 1))                                                         \
    X(algo, 1, 0, text(cell, row->server ? "" : pool_strategy(row->pool)))

static unsigned long long read_counter(const atomic_ullong *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void text(char *cell, const char *value)
{
    snprintf(cell, CELL_MAX, "%s", value);
}

static void number(char *cell, unsigned long long value)
{
    snprintf(cell, CELL_MAX, "%llu", value);
}

static void none(char *cell)
{
    cell[0] = '\0';
}

struct column {
    const char *name;
    bool is_string;
    int width;
    void (*print)(const struct row *row, char *cell);
};

#define X(name, is_string, width, value) \
    static void print_##name(const struct row *row, char *cell) { value; }
COLUMNS(X)
#undef X

static const struct column columns[] = {
#define X(name, is_string, width, value) {#name, is_string, width, print_##name},
    COLUMNS(X)
#undef X
};
#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))

static void print_json(struct reply *reply, const struct row *row)
{
    reply_open(reply, NULL, '{');
    for (size_t i = 0; i < N_COLUMNS; i++) {
        char cell[CELL_MAX];

        columns[i].print(row, cell);
        if (cell[0] == '\0')
            continue;
        if (columns[i].is_string)
            reply_string(reply, columns[i].name, cell, strlen(cell));
        else
            reply_number(reply, columns[i].name, strtoull(cell, NULL, 10));
    }
    reply_close(reply, '}');
}

/* A name with a comma or a quotation mark stands in quotation marks, where its own are doubled (RFC 4180 2). */
static void print_csv_cell(struct reply *reply, const char *cell)
{
    if (!strpbrk(cell, ",\"")) {
        reply_text(reply, cell, strlen(cell));
        return;
    }
    reply_text(reply, "\"", 1);
    for (; *cell; cell++)
        reply_text(reply, *cell == '"' ? "\"\"" : cell, *cell == '"' ? 2 : 1);
    reply_text(reply, "\"", 1);
}

static void print_csv(struct reply *reply, const struct row *row)
{
    for (size_t i = 0; i < N_COLUMNS; i++) {
        char cell[CELL_MAX];

        columns[i].print(row, cell);
        print_csv_cell(reply, cell);
        reply_text(reply, i + 1 < N_COLUMNS ? "," : "\n", 1);
    }
}

static void print_table(struct reply *reply, const struct row *row)
{
    for (size_t i = 0; i < N_COLUMNS; i++) {
        char cell[CELL_MAX];

        if (columns[i].width == 0)
            continue;
        columns[i].print(row, cell);
        reply_print(reply, "%s%*s", i > 0 ? " " : "", columns[i].is_string ? -columns[i].width : columns[i].width, cell[0] ? cell : "-");
    }
    reply_text(reply, "\n", 1);
}

static void print_heads(struct reply *reply, unsigned flags)
{
    if (flags & REQUEST_CSV)
        reply_text(reply, "# ", 2);
    for (size_t i = 0; i < N_COLUMNS; i++) {
        if (flags & REQUEST_CSV)
            reply_print(reply, "%s%s", columns[i].name, i + 1 < N_COLUMNS ? "," : "\n");
        else if (columns[i].width > 0)
            reply_print(reply, "%s%*s", i > 0 ? " " : "", columns[i].is_string ? -columns[i].width : columns[i].width, columns[i].name);
    }
    if (!(flags & REQUEST_CSV))
        reply_text(reply, "\n", 1);
}

static void print_pool(struct reply *reply, const struct pool *pool, void (*print)(struct reply *reply, const struct row *row))
{
    uint64_t now_ms = clock_monotonic_ms();
    struct row row = {.pool = pool};

    for (size_t i = 0; i < pool_n_servers(pool); i++) {
        row.server = pool_server(pool, i);
        standing_read(row.server, now_ms, &row.standing);
        print(reply, &row);
    }
    row.server = NULL;
    standing_of_pool(pool, now_ms, &row.whole);
    row.standing = row.whole.sum;
    print(reply, &row);
}

struct pool *admin_find_pool(const struct admin_view *view, const char *name, struct reply *reply)
{
    struct nearest nearest = {.word = name};

    for (size_t i = 0; i < view->n_pools; i++) {
        if (strcmp(pool_name(view->pools[i]), name) == 0)
            return view->pools[i];
        nearest_offer(&nearest, pool_name(view->pools[i]));
    }
    if (nearest.best)
        reply_fail(reply, "there is no pool \"%s\"; did you mean \"%s\"?", name, nearest.best);
    else
        reply_fail(reply, "there is no pool \"%s\"; \"servers\" lists them", name);
    return NULL;
}

struct pool *admin_split(const struct admin_view *view, const char *both, const char **rest, struct reply *reply)
{
    const char *slash = strchr(both, '/');
    struct pool *found = NULL;
    char name[CHANGES_POOL_MAX];
    size_t best = 0;

    for (size_t i = 0; i < view->n_pools; i++) {
        size_t len = strlen(pool_name(view->pools[i]));

        if (len >= best && strncmp(both, pool_name(view->pools[i]), len) == 0 && both[len] == '/') {
            found = view->pools[i];
            best = len;
        }
    }
    *rest = both + best + 1;
    if (found && **rest)
        return found;
    if (found || !slash || !slash[1]) {
        reply_fail(reply, "\"%s\" is not POOL/NAME, as in \"web/10.0.0.5:8080\"", both);
        return NULL;
    }
    snprintf(name, sizeof(name), "%.*s", (int)(slash - both < 255 ? slash - both : 255), both);
    (void)admin_find_pool(view, name, reply); /* which says what is near */
    return NULL;
}

static void print_pools(const struct admin_view *view, const struct pool *only, struct reply *reply,
                        void (*print)(struct reply *reply, const struct row *row))
{
    for (size_t i = 0; i < view->n_pools; i++)
        if (!only || only == view->pools[i])
            print_pool(reply, view->pools[i], print);
}

ADMIN_COMMAND(admin_servers)
{
    const struct admin_host *host = admin_host(admin);
    const struct pool *only = NULL;
    struct admin_view view;

    (void)survey;
    host->view(host->context, &view);
    if (request->n > 1 && !(only = admin_find_pool(&view, request->words[1], reply)))
        return;
    if (request->flags & REQUEST_JSON) {
        reply_open(reply, NULL, '[');
        print_pools(&view, only, reply, print_json);
        reply_close(reply, ']');
        return;
    }
    print_heads(reply, request->flags);
    print_pools(&view, only, reply, request->flags & REQUEST_CSV ? print_csv : print_table);
}
