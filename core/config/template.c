/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Compiling and expanding strings with variables. Compiled on the control thread, expanded by workers. A
 * template is one block of memory; expansion never allocates.
 */
#include "config/template.h"
#include "config/nearest.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define LITERAL (-1)

static const char *const variable_names[] = {
#define X(id, name, sentence) [id] = name,
    TEMPLATE_VARIABLES(X)
#undef X
};
static const struct template_names request_names = {variable_names, sizeof variable_names / sizeof variable_names[0],
                                                     VAR_HTTP_FIELD};

static const char field_prefix[] = "http_";

/* The block that is being filled. `texts` holds the source, then literals and field names. */
struct builder {
    struct template template; /* first: its address is what is freed */
    const struct template_names *names;
    struct template_part *parts;
    char *texts;
    char block[];
};

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static int fail(char *error, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

static int fail(char *error, size_t size, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(error, size, format, arguments);
    va_end(arguments);
    return -EINVAL;
}

/* Every '$' makes at most one variable and one literal after it; no text gets longer than its source. */
static struct builder *create_builder(const char *source)
{
    size_t len = strlen(source), n_parts = 1;

    for (const char *p = source; *p != '\0'; p++)
        n_parts += *p == '$' ? 2 : 0;
    struct builder *b = calloc(1, sizeof *b + n_parts * sizeof(struct template_part) + (len + 1) * 2);
    if (b == NULL)
        return NULL;
    b->parts = (struct template_part *)(void *)b->block;
    b->texts = b->block + n_parts * sizeof(struct template_part);
    memcpy(b->texts, source, len + 1);
    b->template.source = (struct span){b->texts, len};
    b->template.parts = b->parts;
    b->texts += len + 1;
    return b;
}

/* Consecutive literals ("a", "$$", "b") become one run, since their bytes follow each other in `texts`. */
static void add_literal(struct builder *b, char c)
{
    size_t n = b->template.n_parts;

    if (n == 0 || b->parts[n - 1].variable != LITERAL) {
        b->parts[n] = (struct template_part){{b->texts, 0}, LITERAL};
        b->template.n_parts = ++n;
    }
    b->parts[n - 1].literal.len++;
    *b->texts++ = c;
}

static void add_field(struct builder *b, const char *name, size_t len)
{
    struct span field = {b->texts, len};

    for (size_t i = 0; i < len; i++)
        *b->texts++ = name[i] == '_' ? '-' : lower(name[i]);
    b->parts[b->template.n_parts++] = (struct template_part){field, b->names->http_field};
}

static int fail_unknown(const struct template_names *names, const char *name, size_t len, char *error,
                        size_t error_size)
{
    char word[65] = "";
    struct nearest nearest = {.word = word};

    snprintf(word, sizeof word, "%.*s", (int)(len < sizeof word ? len : sizeof word - 1), name);
    for (size_t i = 0; i < names->n; i++)
        nearest_offer(&nearest, names->names[i]);
    if (nearest.best != NULL)
        return fail(error, error_size, "unknown variable \"$%s\"; did you mean \"$%s\"?", word, nearest.best);
    return fail(error, error_size, "unknown variable \"$%s\"; a dollar sign is written \"$$\"", word);
}

static int add_variable(struct builder *b, const char *name, size_t len, char *error, size_t error_size)
{
    const size_t prefix = sizeof field_prefix - 1;

    for (size_t i = 0; i < b->names->n; i++) {
        if (strlen(b->names->names[i]) == len && memcmp(b->names->names[i], name, len) == 0) {
            b->parts[b->template.n_parts++] = (struct template_part){{"", 0}, (int)i};
            return 0;
        }
    }
    if (len <= prefix || memcmp(name, field_prefix, prefix) != 0)
        return fail_unknown(b->names, name, len, error, error_size);
    add_field(b, name + prefix, len - prefix);
    return 0;
}

/* `*at` is behind a '$'. Takes the name, braces included. */
static int take_variable(struct builder *b, const char **at, char *error, size_t error_size)
{
    bool braces = **at == '{';
    const char *name = *at + braces, *end = name;

    while (is_name_char(*end))
        end++;
    if (end == name)
        return fail(error, error_size, "a \"$\" without a variable's name; a dollar sign is written \"$$\"");
    if (braces && *end != '}')
        return fail(error, error_size, "\"${%.*s\" has no closing brace", (int)(end - name), name);
    *at = end + braces;
    return add_variable(b, name, (size_t)(end - name), error, error_size);
}

int template_compile_names(const char *source, const struct template_names *names, struct template **template, char *error,
                           size_t error_size)
{
    struct builder *b = create_builder(source);

    if (b == NULL)
        return fail(error, error_size, "memory is short");
    b->names = names;
    for (const char *p = source; *p != '\0';) {
        if (*p != '$') {
            add_literal(b, *p++);
            continue;
        }
        p++;
        if (*p == '$') {
            add_literal(b, *p++);
        } else if (take_variable(b, &p, error, error_size) != 0) {
            free(b);
            return -EINVAL;
        }
    }
    *template = &b->template;
    return 0;
}

int template_compile_text(const char *source, struct template **template, char *error, size_t error_size)
{
    return template_compile_names(source, &request_names, template, error, error_size);
}

int template_compile(const char *source, struct template **template, char *error, size_t error_size)
{
    if (strpbrk(source, "\r\n") != NULL)
        return fail(error, error_size, "a line end in a value");
    return template_compile_text(source, template, error, error_size);
}

void template_destroy(struct template *template)
{
    free(template);
}

ssize_t template_expand(const struct template *template, template_resolver *resolve, void *context, char *out,
                        size_t size)
{
    size_t used = 0;

    for (size_t i = 0; i < template->n_parts; i++) {
        const struct template_part *part = &template->parts[i];
        struct span text = part->literal;

        if (part->variable != LITERAL)
            text = resolve(context, part->variable, part->literal);
        if (text.len > size - used)
            return -1;
        if (text.len > 0)
            memcpy(out + used, text.p, text.len);
        used += text.len;
    }
    return (ssize_t)used;
}
