/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One row per type: how it is read and how it is printed. Control thread. Never knows a single key by its
 * name.
 */
#include "config/value.h"
#include "config/units.h"
#include "config/nearest.h"
#include "http/names.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

/* One value on its way in. */
struct reading {
    struct loader *loader;
    const struct key *key;
    const struct node *node;
    void *field;
};

struct type {
    const char *wants;
    const char *example; /* where the key has no fallback */
    bool quoted;         /* stands in quotes */
    bool (*read)(const struct reading *r);
    void (*print)(const struct key *key, const void *field, FILE *out);
};

static const struct type types[];

bool value_is_single(const struct key *key)
{
    return key->type < KEY_GROUP;
}

void value_store(const struct key *key, void *field, int64_t value)
{
    uint8_t one = (uint8_t)value;
    uint16_t two = (uint16_t)value;
    uint32_t four = (uint32_t)value;

    assert(key->width == 1 || key->width == 2 || key->width == 4 || key->width == 8);
    if (key->width == 1)
        memcpy(field, &one, sizeof one);
    else if (key->width == 2)
        memcpy(field, &two, sizeof two);
    else if (key->width == 4)
        memcpy(field, &four, sizeof four);
    else
        memcpy(field, &value, sizeof value);
}

/* Fields of 4 bytes hold an int (words, where -1 may stand) or an unsigned below INT32_MAX. */
static int64_t load_number(const struct key *key, const void *field)
{
    uint16_t two;
    int32_t four;
    int64_t eight;

    if (key->width == 1)
        return *(const uint8_t *)field;
    if (key->width == 2) {
        memcpy(&two, field, sizeof two);
        return two;
    }
    if (key->width == 4) {
        memcpy(&four, field, sizeof four);
        return four;
    }
    memcpy(&eight, field, sizeof eight);
    return eight;
}

static void *load_pointer(const void *field)
{
    void *pointer;

    memcpy(&pointer, field, sizeof pointer);
    return pointer;
}

static void store_pointer(void *field, const void *pointer)
{
    memcpy(field, &pointer, sizeof pointer);
}

/* "one of "combined", "json"" */
static void describe_words(const struct word *words, char *phrase, size_t size)
{
    size_t len = (size_t)snprintf(phrase, size, "one of");

    for (const struct word *word = words; word->name != NULL && len < size; word++)
        len += (size_t)snprintf(phrase + len, size - len, "%s \"%s\"", word == words ? "" : ",", word->name);
}

const char *value_describe(const struct key *key, char *phrase, size_t size)
{
    const struct type *type = &types[key->type];
    const char *example = key->fallback != NULL && value_is_single(key) ? key->fallback : type->example;
    const char *quote = type->quoted ? "\"" : "";

    if (key->type == KEY_WORD)
        describe_words(key->words, phrase, size);
    else if (key->type == KEY_INT && key->words != NULL)
        snprintf(phrase, size, "a number or \"%s\"", key->words->name);
    else
        snprintf(phrase, size, "%s, as in %s = %s%s%s", type->wants, key->name, quote, example, quote);
    return phrase;
}

static const char *example_of(const struct key *key)
{
    return key->fallback != NULL ? key->fallback : types[key->type].example;
}

static bool fail_type(const struct reading *r)
{
    char phrase[320];

    errors_add(r->loader->errors, r->node->place, "\"%s\" must be %s", r->key->name,
               value_describe(r->key, phrase, sizeof phrase));
    return false;
}

static bool fail_range(const struct reading *r, int64_t value, const struct unit *units)
{
    char texts[3][UNITS_TEXT_MAX];

    if (units == NULL) {
        errors_add(r->loader->errors, r->node->place,
                   "\"%s\" is %" PRId64 ", but must be %" PRId64 " to %" PRId64, r->key->name, value,
                   r->key->min, r->key->max);
        return false;
    }
    errors_add(r->loader->errors, r->node->place, "\"%s\" is %s, but must be %s to %s", r->key->name,
               units_format(value, units, texts[0]), units_format(r->key->min, units, texts[1]),
               units_format(r->key->max, units, texts[2]));
    return false;
}

static bool store_checked(const struct reading *r, int64_t value, const struct unit *units)
{
    if (value < r->key->min || value > r->key->max)
        return fail_range(r, value, units);
    if ((r->key->flags & KEY_POWER_OF_TWO) != 0 && (value & (value - 1)) != 0) {
        errors_add(r->loader->errors, r->node->place, "\"%s\" must be a power of two", r->key->name);
        return false;
    }
    value_store(r->key, r->field, value);
    return true;
}

static bool read_bool(const struct reading *r)
{
    if (r->node->kind != NODE_BOOL)
        return fail_type(r);
    value_store(r->key, r->field, r->node->integer);
    return true;
}

static bool read_word(const struct reading *r)
{
    const struct word *word = r->key->words;
    struct nearest nearest = {.word = r->node->string};

    if (r->node->kind != NODE_STRING)
        return fail_type(r);
    for (; word->name != NULL; word++) {
        nearest_offer(&nearest, word->name);
        if (strcmp(word->name, r->node->string) == 0) {
            value_store(r->key, r->field, word->value);
            return true;
        }
    }
    if (nearest.best == NULL)
        return fail_type(r);
    errors_add(r->loader->errors, r->node->place, "\"%s\" cannot be \"%s\"; did you mean \"%s\"?",
               r->key->name, r->node->string, nearest.best);
    return false;
}

static bool read_int(const struct reading *r)
{
    if (r->key->words != NULL && r->node->kind == NODE_STRING)
        return read_word(r);
    if (r->node->kind != NODE_INT)
        return fail_type(r);
    return store_checked(r, r->node->integer, NULL);
}

static bool read_with_unit(const struct reading *r, const struct unit *units, const char *names)
{
    int64_t value = 0;
    const char *key = r->key->name;
    struct config_errors *errors = r->loader->errors;

    /* Zero is the same in every unit. */
    if (r->node->kind == NODE_INT && r->node->integer == 0)
        return store_checked(r, 0, units);
    if (r->node->kind == NODE_INT) {
        errors_add(errors, r->node->place, "\"%s\" needs a unit (%s), as in \"%s\"", key, names,
                   example_of(r->key));
        return false;
    }
    if (r->node->kind != NODE_STRING)
        return fail_type(r);
    switch (units_parse(r->node->string, units, &value)) {
    case UNITS_OK:
        return store_checked(r, value, units);
    case UNITS_NO_NUMBER:
        return fail_type(r);
    case UNITS_TOO_LARGE:
        errors_add(errors, r->node->place, "\"%s\" is \"%s\", which is too large", key, r->node->string);
        return false;
    case UNITS_NO_UNIT:
    case UNITS_UNKNOWN_UNIT:
        break;
    }
    errors_add(errors, r->node->place, "\"%s\" is \"%s\", but needs one of the units %s, as in \"%s\"", key,
               r->node->string, names, example_of(r->key));
    return false;
}

static bool read_time(const struct reading *r)
{
    return read_with_unit(r, units_time, "ms, s, m, h or d");
}

static bool read_size(const struct reading *r)
{
    return read_with_unit(r, units_size, "b, k, m or g");
}

/* What every kind of string has in common. */
static bool check_string(const struct reading *r)
{
    const char *text = r->node->string;

    if (r->node->kind != NODE_STRING)
        return fail_type(r);
    if ((r->key->flags & KEY_NOT_EMPTY) != 0 && *text == '\0') {
        errors_add(r->loader->errors, r->node->place, "\"%s\" must not be empty", r->key->name);
        return false;
    }
    if ((r->key->flags & KEY_SECRET) != 0 && strcmp(text, CONFIG_SECRET_MASK) == 0) {
        errors_add(r->loader->errors, r->node->place, "\"%s\" is \"%s\", as -T prints it in place of the real one", r->key->name,
                   text);
        return false;
    }
    if ((r->key->flags & KEY_FIELD_VALUE) != 0 && !http_is_field_value((struct span){text, strlen(text)})) {
        errors_add(r->loader->errors, r->node->place, "\"%s\" must not have line ends or control characters",
                   r->key->name);
        return false;
    }
    return true;
}

static bool read_string(const struct reading *r)
{
    if (!check_string(r))
        return false;
    store_pointer(r->field, arena_copy(r->loader->keep, r->node->string, strlen(r->node->string)));
    return true;
}

static bool read_path(const struct reading *r)
{
    if (!check_string(r))
        return false;
    store_pointer(r->field, load_kept_path(r->loader, r->node->place, r->node->string));
    return true;
}

static bool read_destination(const struct reading *r)
{
    const char *text = r->node->string;

    if (!check_string(r))
        return false;
    if (r->key->words != NULL && strcmp(text, r->key->words->name) == 0) {
        store_pointer(r->field, NULL);
        return true;
    }
    if (strcmp(text, "stderr") == 0 || strcmp(text, "syslog") == 0)
        return read_string(r);
    if (*text == '\0')
        return fail_type(r);
    return read_path(r);
}

static void release_template(void *template)
{
    template_destroy(template);
}

static bool read_template(const struct reading *r)
{
    char error[256];
    struct template *template;

    if (!check_string(r))
        return false;
    void **slot = arena_slot(r->loader->keep, release_template);
    if (template_compile_text(r->node->string, &template, error, sizeof error) != 0) {
        errors_add(r->loader->errors, r->node->place, "\"%s\" has %s", r->key->name, error);
        return false;
    }
    *slot = template;
    store_pointer(r->field, template);
    return true;
}

static void release_log_format(void *format)
{
    log_format_destroy(format);
}

static bool read_log_format(const struct reading *r)
{
    char error[320];
    struct log_format *format;

    if (!check_string(r))
        return false;
    void **slot = arena_slot(r->loader->keep, release_log_format);
    if (log_format_compile(r->node->string, &format, error, sizeof error) != 0) {
        errors_add(r->loader->errors, r->node->place, "\"%s\" %s", r->key->name, error);
        return false;
    }
    *slot = format;
    store_pointer(r->field, format);
    return true;
}

static void print_bool(const struct key *key, const void *field, FILE *out)
{
    fputs(load_number(key, field) != 0 ? "true" : "false", out);
}

static void print_int(const struct key *key, const void *field, FILE *out)
{
    int64_t value = load_number(key, field);

    /* libconfig wants to be told of what does not fit in an int. */
    fprintf(out, "%" PRId64 "%s", value, value < INT32_MIN || value > INT32_MAX ? "L" : "");
}

static void print_time(const struct key *key, const void *field, FILE *out)
{
    char text[UNITS_TEXT_MAX];

    fprintf(out, "\"%s\"", units_format(load_number(key, field), units_time, text));
}

static void print_size(const struct key *key, const void *field, FILE *out)
{
    char text[UNITS_TEXT_MAX];

    fprintf(out, "\"%s\"", units_format(load_number(key, field), units_size, text));
}

static void print_word(const struct key *key, const void *field, FILE *out)
{
    const struct word *word = key->words;

    while (word->value != load_number(key, field))
        word++;
    fprintf(out, "\"%s\"", word->name);
}

void value_print_string(const char *text, FILE *out)
{
    putc('"', out);
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '"' || *p == '\\')
            fprintf(out, "\\%c", *p);
        else if (*p == '\n')
            fputs("\\n", out);
        else if ((unsigned char)*p < ' ' || *p == 127)
            fprintf(out, "\\x%02X", (unsigned char)*p);
        else
            putc(*p, out);
    }
    putc('"', out);
}

static void print_string(const struct key *key, const void *field, FILE *out)
{
    const char *text = load_pointer(field);

    value_print_string(text != NULL ? text : key->words->name, out);
}

static void print_log_format(const struct key *key, const void *field, FILE *out)
{
    const struct log_format *format = load_pointer(field);

    (void)key;
    value_print_string(format->source, out);
}

static void print_template(const struct key *key, const void *field, FILE *out)
{
    const struct template *template = load_pointer(field);

    (void)key;
    value_print_string(template->source.p, out);
}

static const struct type types[] = {
    [KEY_BOOL] = {"true or false", "true", false, read_bool, print_bool},
    [KEY_INT] = {"a number", "1", false, read_int, print_int},
    [KEY_TIME] = {"a time", "10s", true, read_time, print_time},
    [KEY_SIZE] = {"a size", "16k", true, read_size, print_size},
    [KEY_WORD] = {"a word", "off", true, read_word, print_word},
    [KEY_STRING] = {"a string", "...", true, read_string, print_string},
    [KEY_PATH] = {"a path", "file", true, read_path, print_string},
    [KEY_DESTINATION] = {"\"stderr\", \"syslog\" or a path", "stderr", true, read_destination, print_string},
    [KEY_LOG_FORMAT] = {"a form", "combined", true, read_log_format, print_log_format},
    [KEY_TEMPLATE] = {"a string", "...", true, read_template, print_template},
    [KEY_GROUP] = {"a group", "{ ... }", false, NULL, NULL},
    [KEY_NAMED] = {"a group of groups", "{ a = { ... }; b = { ... }; }", false, NULL, NULL},
    [KEY_LIST] = {"a list of groups", "( { ... }, { ... } )", false, NULL, NULL},
    [KEY_STRINGS] = {"a list of strings", "[ \"a\", \"b\" ]", false, NULL, NULL},
    [KEY_STATUSES] = {"a list of statuses", "[ 502, 503 ]", false, NULL, NULL},
    [KEY_RANGES] = {"a list of statuses or ranges", "[ \"200-399\", \"404\" ]", false, NULL, NULL},
    [KEY_HEADERS] = {"a group of headers", "{ X-Name = \"value\"; }", false, NULL, NULL},
};

bool value_read(struct loader *loader, const struct key *key, const struct node *node, void *field)
{
    struct reading reading = {loader, key, node, field};

    return types[key->type].read(&reading);
}

void value_read_fallback(struct loader *loader, const struct key *key, void *field)
{
    struct node node = {.kind = NODE_STRING, .name = key->name, .string = key->fallback};

    if (key->fallback == NULL) {
        memset(field, 0, key->width);
        return;
    }
    if (key->type == KEY_BOOL) {
        node.kind = NODE_BOOL;
        node.integer = strcmp(key->fallback, "true") == 0;
    } else if (key->type == KEY_INT && key->words == NULL) {
        node.kind = NODE_INT;
        node.integer = strtoll(key->fallback, NULL, 10);
    }
    bool good = value_read(loader, key, &node, field);
    assert(good);
}

bool value_is_present(const struct key *key, const void *field)
{
    bool pointer = key->type == KEY_STRING || key->type == KEY_PATH || key->type == KEY_TEMPLATE;

    return !pointer || load_pointer(field) != NULL;
}

void value_print(const struct key *key, const void *field, FILE *out)
{
    types[key->type].print(key, field, out);
}
