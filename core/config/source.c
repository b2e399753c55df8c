/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reads a file, puts the text of its includes in their places, and refuses what libconfig would take for
 * something else: NUL bytes (it stops there), numbers that it cuts to 32 bits, groups nested without end.
 * Knows no more of the language than where comments and strings are. Control thread. Never opens a file but
 * by the hook.
 */
#include "config/source.h"
#include "config/load.h"
#include "config/trust.h"

#include <errno.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>

#define NESTING_MAX 32u

enum state { CODE, LINE_COMMENT, BLOCK_COMMENT, STRING };

/* Lines from `first` of the text on are lines from `place` on, up to the next run. */
struct source_run {
    unsigned first;
    struct place place;
};

/* The text being written. */
struct scan {
    struct loader *loader;
    struct source *source;
    char *out;
    size_t len, room;
    size_t runs_room;
    unsigned line;    /* of the text */
    unsigned nesting; /* brackets open */
    unsigned depth;   /* files open */
};

/* The file being read. */
struct cursor {
    const struct source_file *file;
    const char *p, *end;
    unsigned line;
    enum state state;
    unsigned opened; /* the line where the string or comment began */
    bool line_start; /* only white space since the line began */
    bool in_word;    /* p is inside a name or a number */
};

static int scan_file(struct scan *scan, const char *path, struct place named_at);

static struct place here(const struct cursor *c)
{
    return (struct place){c->file, c->line};
}

static void put(struct scan *s, char c)
{
    s->out = arena_grow(s->loader->scratch, s->out, &s->room, s->len + 1, 1);
    s->out[s->len++] = c;
    s->line += c == '\n';
}

static void begin_run(struct scan *s, struct place place)
{
    struct source *source = s->source;

    source->runs = arena_grow(s->loader->scratch, source->runs, &s->runs_room, source->n_runs + 1,
                              sizeof source->runs[0]);
    source->runs[source->n_runs++] = (struct source_run){s->line, place};
}

/* Copies one byte. */
static void take(struct scan *s, struct cursor *c)
{
    if (*c->p == '\n') {
        c->line++;
        c->line_start = true;
    } else if (*c->p != ' ' && *c->p != '\t') {
        c->line_start = false;
    }
    put(s, *c->p++);
}

static bool looking_at(const struct cursor *c, const char *text)
{
    size_t len = strlen(text);

    return (size_t)(c->end - c->p) >= len && memcmp(c->p, text, len) == 0;
}

/* At `@include "` (libconfig allows blanks before the quote, and wants one). Gives the quote. */
static const char *find_include(const struct cursor *c)
{
    const char *p = c->p + sizeof "@include" - 1;

    if (!c->line_start || !looking_at(c, "@include"))
        return NULL;
    while (p < c->end && (*p == ' ' || *p == '\t'))
        p++;
    return p < c->end && *p == '"' ? p : NULL;
}

static int take_include(struct scan *s, struct cursor *c, const char *quote)
{
    struct loader *loader = s->loader;
    size_t left = (size_t)(c->end - quote - 1);
    const char *end = memchr(quote + 1, '"', left), *line_end = memchr(quote + 1, '\n', left);

    if (end == NULL || (line_end != NULL && line_end < end)) {
        errors_add(loader->errors, here(c), "the file name of @include has no closing quote");
        return -EINVAL;
    }
    const char *name = arena_copy(loader->scratch, quote + 1, (size_t)(end - quote - 1));
    put(s, '\n');
    if (scan_file(s, load_path(loader, here(c), name), here(c)) != 0)
        return -EINVAL;
    put(s, '\n');
    begin_run(s, here(c));
    c->p = end + 1;
    return 0;
}

/* libconfig 1.5 cuts a number to an int without a word, unless there is an L behind it. */
static bool is_too_large(const char *number)
{
    char *end;
    bool hexadecimal = number[0] == '0' && (number[1] == 'x' || number[1] == 'X');

    errno = 0;
    unsigned long long value = strtoull(number, &end, hexadecimal ? 16 : 10);
    return errno == ERANGE || value > (*end == 'L' ? INT64_MAX : INT32_MAX);
}

static int check_number(struct scan *s, struct cursor *c)
{
    char b = *c->p;
    bool digit = b >= '0' && b <= '9', first = digit && !c->in_word;
    bool letter = (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || b == '*';

    /* These are in names, but no name begins with them. */
    c->in_word = letter || digit || (c->in_word && (b == '-' || b == '_'));
    if (!first || !is_too_large(c->p))
        return 0;
    errors_add(s->loader->errors, here(c), "a number above %d", INT32_MAX);
    return -EINVAL;
}

static int count_bracket(struct scan *s, struct cursor *c)
{
    if (strchr("{[(", *c->p) != NULL && ++s->nesting > NESTING_MAX) {
        errors_add(s->loader->errors, here(c), "more than %u brackets are open", NESTING_MAX);
        return -EINVAL;
    }
    if (strchr("}])", *c->p) != NULL && s->nesting > 0)
        s->nesting--;
    return 0;
}

static int take_code(struct scan *s, struct cursor *c)
{
    const char *quote = find_include(c);

    if (quote != NULL)
        return take_include(s, c, quote);
    if (check_number(s, c) != 0 || count_bracket(s, c) != 0)
        return -EINVAL;
    c->opened = c->line;
    if (*c->p == '"') {
        c->state = STRING;
    } else if (looking_at(c, "/*")) {
        c->state = BLOCK_COMMENT;
        take(s, c);
    } else if (*c->p == '#' || looking_at(c, "//")) {
        c->state = LINE_COMMENT;
    }
    take(s, c);
    return 0;
}

static int take_string(struct scan *s, struct cursor *c)
{
    if (looking_at(c, "\\x00") || looking_at(c, "\\X00")) {
        errors_add(s->loader->errors, here(c), "a NUL in a string");
        return -EINVAL;
    }
    if (looking_at(c, "\\\\") || looking_at(c, "\\\""))
        take(s, c);
    else if (*c->p == '"')
        c->state = CODE;
    take(s, c);
    return 0;
}

static int take_next(struct scan *s, struct cursor *c)
{
    switch (c->state) {
    case CODE:
        return take_code(s, c);
    case STRING:
        return take_string(s, c);
    case LINE_COMMENT:
        if (*c->p == '\n')
            c->state = CODE;
        take(s, c);
        return 0;
    case BLOCK_COMMENT:
        if (looking_at(c, "*/")) {
            c->state = CODE;
            take(s, c);
        }
        take(s, c);
        return 0;
    }
    return 0;
}

static int scan_bytes(struct scan *s, const struct source_file *file, struct span bytes)
{
    struct cursor c = {.file = file, .p = bytes.p, .end = bytes.p + bytes.len, .line = 1, .line_start = true};

    if (looking_at(&c, "\xef\xbb\xbf"))
        c.p += 3; /* the byte order mark that some editors write */
    begin_run(s, here(&c));
    while (c.p < c.end)
        if (take_next(s, &c) != 0)
            return -EINVAL;
    if (c.state == STRING || c.state == BLOCK_COMMENT) {
        struct place place = {file, c.opened};

        errors_add(s->loader->errors, place, "a %s that is not closed",
                   c.state == STRING ? "string" : "comment");
        return -EINVAL;
    }
    return 0;
}

static int check_limits(struct scan *s, struct place place, struct span bytes)
{
    struct loader *loader = s->loader;

    loader->n_bytes += bytes.len;
    if (loader->n_bytes > LOAD_BYTES_MAX)
        errors_add(loader->errors, place, "all files together have more than %u MiB", LOAD_BYTES_MAX >> 20);
    else if (memchr(bytes.p, '\0', bytes.len) != NULL)
        errors_add(loader->errors, place, "a NUL byte: this is not a text file");
    else
        return 0;
    return -EINVAL;
}

/* The file that could not be read is named by the sentence where another file includes it, else by the place.
 */
static void report_unreadable(struct loader *loader, const struct source_file *file, struct place named_at,
                              int result)
{
    const char *why = result == -EFBIG ? "more than 1 MiB" : strerror(-result);
    struct place whole = {file, 0};

    if (named_at.file != NULL)
        errors_add(loader->errors, named_at, "cannot read the included file \"%s\": %s", file->name, why);
    else
        errors_add(loader->errors, whole, "cannot read the configuration: %s", why);
}

/* `named_at` without a file: not included. */
static int scan_file(struct scan *s, const char *path, struct place named_at)
{
    struct loader *loader = s->loader;
    struct source_file *file = arena_alloc(loader->keep, 1, sizeof *file);
    struct place whole = {file, 0};
    struct span bytes;

    file->name = arena_copy(loader->keep, path, strlen(path));
    file->number = (unsigned)loader->n_files++;
    if (loader->n_files > LOAD_FILES_MAX) {
        errors_add(loader->errors, named_at.file != NULL ? named_at : whole, "more than %u files",
                   LOAD_FILES_MAX);
        return -EINVAL;
    }
    if (s->depth == LOAD_INCLUDE_DEPTH) {
        errors_add(loader->errors, named_at, "includes are nested more than %u deep", LOAD_INCLUDE_DEPTH);
        return -EINVAL;
    }
    int result =
        loader->hooks->read_file(loader->hooks->context, loader->scratch, path, LOAD_FILE_BYTES_MAX, &bytes);
    if (result < 0) {
        report_unreadable(loader, file, named_at, result);
        return -ENOENT;
    }
    if (result != FILE_SAFE)
        trust_note(loader, whole, file->name, (enum file_danger)result);
    if (check_limits(s, whole, bytes) != 0)
        return -EINVAL;
    s->depth++;
    result = scan_bytes(s, file, bytes);
    s->depth--;
    return result;
}

int source_read(struct loader *loader, const char *path, struct source *source)
{
    struct scan scan = {.loader = loader, .source = source, .line = 1};
    struct place nowhere = {NULL, 0};

    *source = (struct source){0};
    int result = scan_file(&scan, path, nowhere);
    if (result != 0)
        return result;
    /* libconfig 1.5 wants an end of line behind a comment. */
    if (scan.len == 0 || scan.out[scan.len - 1] != '\n')
        put(&scan, '\n');
    put(&scan, '\0');
    source->text = (struct span){scan.out, scan.len - 1};
    return 0;
}

struct place source_place(const struct source *source, unsigned line)
{
    size_t low = 0, high = source->n_runs;

    /* The last run that begins at or before the line; several may begin on one line, and the last is the one.
     */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;

        if (source->runs[middle].first <= line)
            low = middle;
        else
            high = middle;
    }
    struct place place = source->runs[low].place;
    place.line += line - source->runs[low].first;
    return place;
}
