/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The keys of doc/man/fairlead.conf.5, in the man macros. A key that may stand in several contexts is told of
 * once, in the outermost. Lines end behind each sentence and stay short, as mandoc asks.
 */
#include "manual.h"

#include "config/log_format.h"
#include "config/template.h"

#include <stdlib.h>
#include <string.h>

#define LINE_MAX_COLUMNS 68

static bool is_outermost(const struct key *key, enum context context)
{
    return schema_stands_in(key, context) && (key->contexts & ((1u << context) - 1)) == 0;
}

static bool has_keys(enum context context)
{
    size_t n;
    const struct key *keys = schema_keys(&n);

    for (size_t i = 0; i < n; i++)
        if (is_outermost(&keys[i], context))
            return true;
    return false;
}

/* One character so that roff shows it as it is. Returns how many bytes were written. */
static size_t put_character(char c, FILE *out)
{
    static const char *const escapes[128] = {
        ['\\'] = "\\e",  ['"'] = "\\(dq", ['\''] = "\\(aq", ['-'] = "\\-",
        ['^'] = "\\(ha", ['~'] = "\\(ti", ['`'] = "\\(ga"};
    const char *escape = (unsigned char)c < 128 ? escapes[(unsigned char)c] : NULL;

    if (escape == NULL) {
        fputc(c, out);
        return 1;
    }
    fputs(escape, out);
    return strlen(escape);
}

static bool ends_sentence(const char *word, size_t len)
{
    return len > 0 && (word[len - 1] == '.' || word[len - 1] == '?' || word[len - 1] == '!');
}

/* Text, word by word, in lines that roff may fill; ends with a line end. */
static void put_text(const char *text, FILE *out)
{
    size_t column = 0;

    while (*text != '\0') {
        size_t len = strcspn(text, " ");

        if (column > 0 && column + len >= LINE_MAX_COLUMNS) {
            fputc('\n', out);
            column = 0;
        }
        if (column > 0)
            column += (size_t)(fputc(' ', out) == ' ');
        else if (*text == '.' || *text == '\'')
            fputs("\\&", out);
        for (size_t i = 0; i < len; i++)
            column += put_character(text[i], out);
        if (ends_sentence(text, len) && text[len] != '\0') {
            fputc('\n', out);
            column = 0;
        }
        text += len;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

static void put_contexts(const struct key *key, FILE *out)
{
    const char *before = "; in ";

    for (enum context c = 0; c < N_CONTEXTS; c++)
        if (schema_stands_in(key, c)) {
            fprintf(out, "%s%s", before, schema_context_name(c));
            before = ", ";
        }
}

static const char *unit_of(const struct key *key)
{
    return key->type == KEY_TIME ? " (ms, s, m, h, d)" : key->type == KEY_SIZE ? " (b, k, m, g)" : "";
}

/* "Type: time (ms, s, m, h, d), 1ms to 1d; default "60s"; in the main file." The caller frees. */
static char *facts_of(const struct key *key, enum context context)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    fputs("Type: ", out);
    manual_put_type(key, "", out);
    fputs(unit_of(key), out);
    if (key->min < key->max)
        fputs(", ", out);
    manual_put_range(key, out);
    fputs(key->flags & KEY_REQUIRED ? "; " : "; default ", out);
    manual_put_fallback(key, context, "", out);
    put_contexts(key, out);
    fputs(".", out);
    fclose(out);
    return text;
}

static void put_example(const struct key *key, FILE *out)
{
    char value[MANUAL_EXAMPLE_MAX], text[MANUAL_EXAMPLE_MAX + 128];
    bool named = key->type == KEY_GROUP || key->type == KEY_NAMED;

    if (!manual_example(key, value))
        return;
    snprintf(text, sizeof(text), "%s%s %s;", key->name, named ? ":" : " =", value);
    fputs(".br\nExample:\n", out);
    put_text(text, out);
}

static void put_keys(enum context context, FILE *out)
{
    size_t n;
    const struct key *keys = schema_keys(&n);

    for (size_t i = 0; i < n; i++) {
        char *facts;

        if (!is_outermost(&keys[i], context))
            continue;
        fprintf(out, ".TP\n.B %s\n", keys[i].name);
        put_text(keys[i].sentence, out);
        fputs(".br\n", out);
        facts = facts_of(&keys[i], context);
        put_text(facts, out);
        free(facts);
        put_example(&keys[i], out);
    }
}

/* A sentence as Markdown has it: its marks for what a person types are left out. */
static void put_variable(const char *name, const char *sentence, FILE *out)
{
    char text[256];
    size_t len = 0;

    for (; *sentence != '\0' && len + 1 < sizeof(text); sentence++)
        if (*sentence != '`')
            text[len++] = *sentence;
    text[len] = '\0';
    fprintf(out, ".TP\n.B $%s\n", name);
    put_text(text, out);
}

static void put_variables(FILE *out)
{
#define X(id, name, sentence) put_variable(name, sentence, out);
    TEMPLATE_VARIABLES(X)
#undef X
}

static void put_log_variables(FILE *out)
{
    put_variable("http_NAME", "a field of the request, _ for `-`: $http_user_agent", out);
#define X(id, name, sentence) put_variable(name, sentence, out);
    LOG_VARIABLES(X)
#undef X
}

const struct manual_style manual_man = {".\\\" keys: ", "\n",          ".\\\" end",      has_keys,
                                        put_keys,       put_variables, put_log_variables};
