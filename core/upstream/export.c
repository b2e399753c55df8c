/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a process knows of its servers, as text for the process that takes its place (the upgrade in place). Times are those of CLOCK_MONOTONIC, which is the
 * same for both. A line is "pool POOL NUMBER..." or "server POOL NAME ADDRESS NUMBER...", its words separated by one space, and "\n". A
 * word has no byte outside of '!' to '~': such bytes, and '%', are %XX. Control thread.
 */
#include "upstream/passive.h"
#include "upstream/tier.h"

#include <inttypes.h>

#define OF_HEALTH (SERVER_CHECKED | SERVER_CHECK_DOWN | SERVER_AGENT_DOWN | SERVER_AGENT_MAINT | SERVER_AGENT_DRAIN)

/* The numbers of a server's line, in their order, and the largest that each may be. */
enum {
    V_FLAGS,
    V_SHARE,
    V_RAMP_START,
    V_OUT_UNTIL,
    V_FORGIVEN,
    V_EJECTIONS,
    V_PICKED,
    V_FAILED,
    V_EJECTED,
    V_LAST,
    V_DURATION,
    V_CHANGED,
    V_FAILURES,
    V_DOWNS,
    V_DOWN_TIME,
    N_VALUES
};
static const uint64_t largest[N_VALUES] = {
    [V_FLAGS] = OF_HEALTH,       [V_SHARE] = SHARE_WHOLE,    [V_RAMP_START] = INT64_MAX, [V_OUT_UNTIL] = INT64_MAX,
    [V_FORGIVEN] = INT64_MAX,    [V_EJECTIONS] = UINT32_MAX, [V_PICKED] = UINT64_MAX,    [V_FAILED] = UINT64_MAX,
    [V_EJECTED] = UINT64_MAX,    [V_LAST] = UINT32_MAX,      [V_DURATION] = UINT32_MAX,  [V_CHANGED] = INT64_MAX,
    [V_FAILURES] = UINT64_MAX,   [V_DOWNS] = UINT64_MAX,     [V_DOWN_TIME] = UINT64_MAX,
};
enum { V_PANICS, V_BACKUP_PICKS, N_POOL_VALUES };

/* Writing. */

struct output {
    char *text;
    size_t size;
    size_t len; /* of all that was to be written */
};

static void put_byte(struct output *output, char byte)
{
    if (output->len < output->size)
        output->text[output->len] = byte;
    output->len++;
}

static bool is_plain(unsigned char byte)
{
    return byte >= '!' && byte <= '~' && byte != '%';
}

static const char hex[] = "0123456789ABCDEF";

/* With a space before it. */
static void put_word(struct output *output, const char *text)
{
    put_byte(output, ' ');
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;

        if (is_plain(byte)) {
            put_byte(output, *text);
        } else {
            put_byte(output, '%');
            put_byte(output, hex[byte >> 4]);
            put_byte(output, hex[byte & 15]);
        }
    }
}

static void put_numbers(struct output *output, const uint64_t *values, size_t n)
{
    char text[24];

    for (size_t i = 0; i < n; i++) {
        snprintf(text, sizeof text, "%" PRIu64, values[i]);
        put_word(output, text);
    }
}

static void begin_line(struct output *output, const char *kind, const char *pool)
{
    while (*kind)
        put_byte(output, *kind++);
    put_word(output, pool);
}

/* Returns where the text ends that is whole: behind this line if it has room, and the NUL behind it. */
static size_t end_line(struct output *output, size_t whole)
{
    put_byte(output, '\n');
    return output->len < output->size ? output->len : whole;
}

static void export_server(struct output *output, const char *pool, const struct server_state *state)
{
    const struct server_checks *checks = &state->checks;
    char address[SERVER_NAME_MAX];
    const uint64_t values[N_VALUES] = {
        [V_FLAGS] = atomic_load_explicit(&state->flags, memory_order_relaxed) & OF_HEALTH,
        [V_SHARE] = atomic_load_explicit(&state->share, memory_order_relaxed),
        [V_RAMP_START] = atomic_load_explicit(&state->ramp_start_ms, memory_order_relaxed),
        [V_OUT_UNTIL] = atomic_load_explicit(&state->out_until_ms, memory_order_relaxed),
        [V_FORGIVEN] = atomic_load_explicit(&state->forgiven_ms, memory_order_relaxed),
        [V_EJECTIONS] = atomic_load_explicit(&state->ejections, memory_order_relaxed),
        [V_PICKED] = atomic_load_explicit(&state->picked, memory_order_relaxed),
        [V_FAILED] = atomic_load_explicit(&state->failed, memory_order_relaxed),
        [V_EJECTED] = atomic_load_explicit(&state->ejected, memory_order_relaxed),
        [V_LAST] = atomic_load_explicit(&checks->last, memory_order_relaxed),
        [V_DURATION] = atomic_load_explicit(&checks->duration_ms, memory_order_relaxed),
        [V_CHANGED] = atomic_load_explicit(&checks->changed_ms, memory_order_relaxed),
        [V_FAILURES] = atomic_load_explicit(&checks->failures, memory_order_relaxed),
        [V_DOWNS] = atomic_load_explicit(&checks->downs, memory_order_relaxed),
        [V_DOWN_TIME] = atomic_load_explicit(&checks->down_ms, memory_order_relaxed),
    };

    begin_line(output, "server", pool);
    put_word(output, state->name);
    put_word(output, server_address_print(&state->address, address, sizeof address));
    put_numbers(output, values, N_VALUES);
}

size_t pool_export(const struct pool *pool, char *text, size_t size)
{
    struct output output = {.text = text, .size = size};
    const struct pool_counters *counters = &pool->state->counters;
    const uint64_t values[N_POOL_VALUES] = {
        [V_PANICS] = atomic_load_explicit(&counters->panics, memory_order_relaxed),
        [V_BACKUP_PICKS] = atomic_load_explicit(&counters->backup_picks, memory_order_relaxed),
    };
    size_t whole;

    begin_line(&output, "pool", pool->settings.name);
    put_numbers(&output, values, N_POOL_VALUES);
    whole = end_line(&output, 0);
    for (size_t i = 0; i < pool->n_servers; i++) {
        export_server(&output, pool->settings.name, pool->servers[i].state);
        whole = end_line(&output, whole);
    }
    if (size > 0)
        text[whole] = '\0';
    return output.len;
}

/* Reading. */

/* Bytes from `at` to before `end`: a text, a line, or a word. */
struct span {
    const char *at, *end;
};

struct line {
    bool of_pool; /* else of a server */
    struct span pool, name, address;
    uint64_t values[N_VALUES];
};

static bool is_hex(char byte)
{
    return byte != '\0' && strchr(hex, byte) != NULL;
}

static bool is_word(struct span word)
{
    for (const char *at = word.at; at < word.end; at++) {
        if (is_plain((unsigned char)*at))
            continue;
        if (*at != '%' || word.end - at < 3 || !is_hex(at[1]) || !is_hex(at[2]))
            return false;
        at += 2;
    }
    return word.end > word.at;
}

/* Takes the next word, and the space behind it, from the line. A line that ends in a space leaves an empty word. */
static bool next_word(struct span *line, struct span *word)
{
    const char *space;

    if (!line->at)
        return false;
    space = memchr(line->at, ' ', (size_t)(line->end - line->at));
    *word = (struct span){line->at, space ? space : line->end};
    line->at = space ? space + 1 : NULL;
    return is_word(*word);
}

static bool word_is(struct span word, const char *text)
{
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;

        if (word.end - word.at < (is_plain(byte) ? 1 : 3))
            return false;
        if (is_plain(byte) ? *word.at != *text
                           : word.at[0] != '%' || word.at[1] != hex[byte >> 4] || word.at[2] != hex[byte & 15])
            return false;
        word.at += is_plain(byte) ? 1 : 3;
    }
    return word.at == word.end;
}

static bool next_number(struct span *line, uint64_t most, uint64_t *value)
{
    struct span word;

    if (!next_word(line, &word))
        return false;
    *value = 0;
    for (const char *at = word.at; at < word.end; at++) {
        if (*at < '0' || *at > '9' || __builtin_mul_overflow(*value, 10u, value) ||
            __builtin_add_overflow(*value, (uint64_t)(*at - '0'), value))
            return false;
    }
    return *value <= most;
}

static bool parse_line(struct span text, struct line *line)
{
    struct span kind;
    bool good = next_word(&text, &kind) && next_word(&text, &line->pool);

    if (!good)
        return false;
    line->of_pool = word_is(kind, "pool");
    if (line->of_pool) {
        for (size_t i = 0; good && i < N_POOL_VALUES; i++)
            good = next_number(&text, UINT64_MAX, &line->values[i]);
        return good && !text.at;
    }
    good = word_is(kind, "server") && next_word(&text, &line->name) && next_word(&text, &line->address);
    for (size_t i = 0; good && i < N_VALUES; i++)
        good = next_number(&text, largest[i], &line->values[i]);
    return good && !text.at && line->values[V_SHARE] > 0 && (line->values[V_FLAGS] & ~(uint64_t)OF_HEALTH) == 0;
}

/* Takes the next line from the text. False where it is not well-formed; with no text left it is not asked. */
static bool next_line(struct span *text, struct line *line)
{
    const char *newline = memchr(text->at, '\n', (size_t)(text->end - text->at));
    struct span whole = {text->at, newline};

    if (!newline)
        return false;
    text->at = newline + 1;
    return parse_line(whole, line);
}

/* Of servers with the same name and address, the first that had no line yet. */
static struct server *find_server(const struct pool *pool, const struct line *line, const bool *had_line)
{
    char address[SERVER_NAME_MAX];

    for (size_t i = 0; i < pool->n_servers; i++) {
        const struct server_state *state = pool->servers[i].state;

        if (!had_line[i] && word_is(line->name, state->name) &&
            word_is(line->address, server_address_print(&state->address, address, sizeof address)))
            return &pool->servers[i];
    }
    return NULL;
}

static void import_server(struct pool *pool, struct server *server, const uint64_t *values)
{
    struct server_state *state = server->state;
    struct server_checks *checks = &state->checks;

    atomic_fetch_or_explicit(&state->flags, (unsigned)values[V_FLAGS], memory_order_relaxed);
    atomic_store_explicit(&state->share, (unsigned)values[V_SHARE], memory_order_relaxed);
    atomic_store_explicit(&state->ramp_start_ms, values[V_RAMP_START], memory_order_relaxed);
    passive_resume(pool, server, values[V_OUT_UNTIL]);
    atomic_store_explicit(&state->forgiven_ms, values[V_FORGIVEN], memory_order_relaxed);
    atomic_store_explicit(&state->ejections, (unsigned)values[V_EJECTIONS], memory_order_relaxed);
    atomic_store_explicit(&state->picked, values[V_PICKED], memory_order_relaxed);
    atomic_store_explicit(&state->failed, values[V_FAILED], memory_order_relaxed);
    atomic_store_explicit(&state->ejected, values[V_EJECTED], memory_order_relaxed);
    atomic_store_explicit(&checks->last, (unsigned)values[V_LAST], memory_order_relaxed);
    atomic_store_explicit(&checks->duration_ms, (unsigned)values[V_DURATION], memory_order_relaxed);
    atomic_store_explicit(&checks->changed_ms, values[V_CHANGED], memory_order_relaxed);
    atomic_store_explicit(&checks->failures, values[V_FAILURES], memory_order_relaxed);
    atomic_store_explicit(&checks->downs, values[V_DOWNS], memory_order_relaxed);
    atomic_store_explicit(&checks->down_ms, values[V_DOWN_TIME], memory_order_relaxed);
}

static void import_line(struct pool *pool, const struct line *line, bool *had_line)
{
    struct pool_counters *counters = &pool->state->counters;
    struct server *server;

    if (!word_is(line->pool, pool->settings.name))
        return;
    if (line->of_pool) {
        atomic_store_explicit(&counters->panics, line->values[V_PANICS], memory_order_relaxed);
        atomic_store_explicit(&counters->backup_picks, line->values[V_BACKUP_PICKS], memory_order_relaxed);
        return;
    }
    server = find_server(pool, line, had_line);
    if (!server)
        return;
    had_line[server->index] = true;
    import_server(pool, server, line->values);
}

bool pool_import(struct pool *pool, const char *text, size_t size)
{
    struct span all = {text, text + size};
    bool had_line[POOL_SERVERS_MAX] = {false};
    struct line line;

    for (struct span left = all; left.at < left.end;)
        if (!next_line(&left, &line))
            return false;
    for (struct span left = all; left.at < left.end && next_line(&left, &line);)
        import_line(pool, &line, had_line);
    (void)pool_update_promotion(pool);
    pool_changed(pool);
    return true;
}
