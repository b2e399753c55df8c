/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Keeps doc/configuration.md equal to the schema. The tables of that page stand between two comments each,
 * <!-- keys: CONTEXT --> and
 * <!-- end -->; they are made here from schema_keys(), the table of variables from TEMPLATE_VARIABLES. What
 * stands between the tables is written by people. `test_manual --write FILE` makes the tables of FILE anew;
 * without arguments the tests ask whether that would change anything. One thread.
 */
#include "config/log_format.h"
#include "config/schema.h"
#include "config/template.h"
#include "config/units.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BEGIN "<!-- keys: "
#define END   "<!-- end -->"

static bool is_inherited(const struct key *key, enum context context)
{
    return (context == CONTEXT_SITE || context == CONTEXT_LOCATION) && schema_stands_in(key, CONTEXT_MAIN);
}

static void put_words(const struct key *key, FILE *out)
{
    for (const struct word *word = key->words; word != NULL && word->name != NULL; word++)
        fprintf(out, "%s`\"%s\"`", word == key->words ? "" : ", ", word->name);
}

static void put_type(const struct key *key, FILE *out)
{
    static const char *const names[] = {[KEY_BOOL] = "`true` or `false`",
                                        [KEY_INT] = "number",
                                        [KEY_TIME] = "time",
                                        [KEY_SIZE] = "size",
                                        [KEY_STRING] = "string",
                                        [KEY_PATH] = "path",
                                        [KEY_DESTINATION] = "string",
                                        [KEY_LOG_FORMAT] = "string",
                                        [KEY_TEMPLATE] = "string with variables",
                                        [KEY_GROUP] = "group",
                                        [KEY_NAMED] = "group of named groups",
                                        [KEY_LIST] = "list of groups",
                                        [KEY_STRINGS] = "string, or list of strings",
                                        [KEY_STATUSES] = "number, or list of numbers",
                                        [KEY_RANGES] = "number, range, or list of them",
                                        [KEY_HEADERS] = "group, or list of groups"};

    if (key->type == KEY_WORD) {
        put_words(key, out);
        return;
    }
    fputs(names[key->type], out);
    if (key->unit != NULL)
        fprintf(out, ", %s", key->unit);
    if (key->type == KEY_INT && key->words != NULL) {
        fputs(", or ", out);
        put_words(key, out);
    }
    if (key->flags & KEY_POWER_OF_TWO)
        fputs(", a power of two", out);
}

static void put_range(const struct key *key, FILE *out)
{
    const struct unit *units = key->type == KEY_TIME ? units_time : units_size;
    char text[UNITS_TEXT_MAX];

    if (key->type == KEY_INT || key->type == KEY_STATUSES || key->type == KEY_RANGES) {
        fprintf(out, "%" PRId64 " to %" PRId64, key->min, key->max);
    } else if (key->type == KEY_TIME || key->type == KEY_SIZE) {
        fprintf(out, "%s to ", units_format(key->min, units, text));
        fputs(units_format(key->max, units, text), out);
    }
}

static void put_fallback(const struct key *key, enum context context, FILE *out)
{
    if (key->flags & KEY_REQUIRED)
        fputs("required", out);
    else if (is_inherited(key, context))
        fputs("as outside", out);
    else if (key->fallback == NULL)
        fputs("none", out);
    else if (key->type == KEY_INT && key->words == NULL)
        fprintf(out, "`%s`", key->fallback);
    else
        fprintf(out, key->type == KEY_BOOL ? "`%s`" : "`\"%s\"`", key->fallback);
}

/* A bar would end the cell. */
static void put_sentence(const char *text, FILE *out)
{
    for (; *text != '\0'; text++)
        fprintf(out, *text == '|' ? "\\%c" : "%c", *text);
}

static void put_keys(enum context context, FILE *out)
{
    size_t n;
    const struct key *keys = schema_keys(&n);

    fputs("| key | type | range | default | what it is |\n|---|---|---|---|---|\n", out);
    for (size_t i = 0; i < n; i++) {
        if (!schema_stands_in(&keys[i], context))
            continue;
        fprintf(out, "| `%s` | ", keys[i].name);
        put_type(&keys[i], out);
        fputs(" | ", out);
        put_range(&keys[i], out);
        fputs(" | ", out);
        put_fallback(&keys[i], context, out);
        fputs(" | ", out);
        put_sentence(keys[i].sentence, out);
        fputs(" |\n", out);
    }
}

static void put_variables(FILE *out)
{
    fputs("| variable | what it is |\n|---|---|\n", out);
#define X(id, name, sentence) fputs("| `$" name "` | " sentence " |\n", out);
    TEMPLATE_VARIABLES(X)
#undef X
}

static void put_log_variables(FILE *out)
{
    fputs("| variable | what it is |\n|---|---|\n| `$http_NAME` | a field of the request, `_` for `-`: `$http_user_agent` |\n", out);
#define X(id, name, sentence) fputs("| `$" name "` | " sentence " |\n", out);
    LOG_VARIABLES(X)
#undef X
}

/* Writes the table of that name. Returns false when there is none. */
static bool put_table(const char *name, size_t len, FILE *out)
{
    for (enum context c = 0; c < N_CONTEXTS; c++)
        if (strlen(schema_context_name(c)) == len && strncmp(schema_context_name(c), name, len) == 0) {
            put_keys(c, out);
            return true;
        }
    if (len == strlen("log variables") && strncmp(name, "log variables", len) == 0) {
        put_log_variables(out);
        return true;
    }
    if (len != strlen("variables") || strncmp(name, "variables", len) != 0)
        return false;
    put_variables(out);
    return true;
}

/* Copies the page with its tables made anew. The caller frees. NULL, with *fault, when its comments do not
 * fit together. */
static char *renew(const char *page, const char **fault)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    const char *at = page, *begin;

    *fault = NULL;
    while (*fault == NULL && (begin = strstr(at, BEGIN)) != NULL) {
        const char *name = begin + strlen(BEGIN), *close = strstr(name, " -->\n"), *end = strstr(name, END);

        if (close == NULL || end == NULL || close > end) {
            *fault = "a table has no end";
            break;
        }
        fwrite(at, 1, (size_t)(close + 5 - at), out);
        if (!put_table(name, (size_t)(close - name), out))
            *fault = "a table has a name that nothing has";
        at = end;
    }
    fputs(at, out);
    fclose(out);
    if (*fault == NULL)
        return text;
    free(text);
    return NULL;
}

/* The caller frees. NULL when it cannot be read. */
static char *read_page(const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t size = 0;

    if (file == NULL)
        return NULL;
    if (getdelim(&text, &size, '\0', file) < 0) {
        free(text);
        text = NULL;
    }
    fclose(file);
    return text;
}

static char *read_manual(void)
{
    const char *root = getenv("FAIRLEAD_SRCDIR");
    char path[4096];
    char *page;

    snprintf(path, sizeof(path), "%s/doc/configuration.md", root != NULL ? root : ".");
    page = read_page(path);
    ck_assert_msg(page != NULL, "cannot read %s", path);
    return page;
}

START_TEST(the_manual_says_what_the_schema_says)
{
    char *page = read_manual();
    const char *fault;
    char *again = renew(page, &fault);

    ck_assert_msg(again != NULL, "doc/configuration.md: %s", fault);
    ck_assert_msg(
        strcmp(page, again) == 0,
        "doc/configuration.md is out of date: run tests/unit/test_manual --write doc/configuration.md");
    free(again);
    free(page);
}
END_TEST

START_TEST(the_manual_has_each_table_once)
{
    char *page = read_manual();
    char mark[128];

    for (int c = 0; c <= N_CONTEXTS; c++) {
        const char *first;

        snprintf(mark, sizeof(mark), BEGIN "%s -->",
                 c < N_CONTEXTS ? schema_context_name((enum context)c) : "variables");
        first = strstr(page, mark);
        ck_assert_msg(first != NULL && strstr(first + 1, mark) == NULL, "%s: not once", mark);
    }
    free(page);
}
END_TEST

static int write_manual(const char *path)
{
    const char *fault = "cannot be read";
    char *page = read_page(path), *again = page != NULL ? renew(page, &fault) : NULL;
    FILE *file = again != NULL ? fopen(path, "we") : NULL;
    bool written = file != NULL && fputs(again, file) >= 0;

    if (file != NULL && fclose(file) != 0)
        written = false;
    if (!written)
        fprintf(stderr, "%s: %s\n", path, fault != NULL ? fault : "cannot be written");
    free(again);
    free(page);
    return written ? 0 : 1;
}

int main(int argc, char **argv)
{
    Suite *suite;
    TCase *tcase;
    SRunner *runner;
    int failed;

    if (argc == 3 && strcmp(argv[1], "--write") == 0)
        return write_manual(argv[2]);
    suite = suite_create("manual");
    tcase = tcase_create("configuration.md");
    tcase_add_test(tcase, the_manual_says_what_the_schema_says);
    tcase_add_test(tcase, the_manual_has_each_table_once);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
