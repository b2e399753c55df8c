/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Keeps the pages of the manual that list keys equal to the schema: doc/configuration.md and
 * doc/man/fairlead.conf.5. The tables of a page stand between two comments each, <!-- keys: CONTEXT --> and
 * <!-- end -->, or .\" keys: CONTEXT and .\" end; they are made here from schema_keys(), the one of variables
 * from TEMPLATE_VARIABLES. What stands between the tables is written by people. `test_manual --write FILE...`
 * makes the tables of each FILE anew; without arguments the tests ask whether that would change anything. One
 * thread.
 */
#include "manual.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *path;
    const struct manual_style *style;
} pages[] = {{"doc/configuration.md", &manual_markdown}, {"doc/man/fairlead.conf.5", &manual_man}};

#define N_PAGES ((int)(sizeof(pages) / sizeof(pages[0])))

static bool is_name(const char *wanted, const char *name, size_t len)
{
    return strlen(wanted) == len && strncmp(wanted, name, len) == 0;
}

/* Writes the table of that name. Returns false when there is none. */
static bool put_table(const struct manual_style *style, const char *name, size_t len, FILE *out)
{
    for (enum context c = 0; c < N_CONTEXTS; c++)
        if (is_name(schema_context_name(c), name, len)) {
            style->put_keys(c, out);
            return true;
        }
    if (is_name("variables", name, len))
        style->put_variables(out);
    else if (is_name("log variables", name, len))
        style->put_log_variables(out);
    else
        return false;
    return true;
}

/* Copies the page with its tables made anew. The caller frees. NULL, with *fault, when its comments do not
 * fit together. */
static char *renew(const struct manual_style *style, const char *page, const char **fault)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    const char *at = page, *begin;

    *fault = NULL;
    while (*fault == NULL && (begin = strstr(at, style->begin)) != NULL) {
        const char *name = begin + strlen(style->begin), *close = strstr(name, style->close);
        const char *end = strstr(name, style->end);

        if (close == NULL || end == NULL || close > end) {
            *fault = "a table has no end";
            break;
        }
        fwrite(at, 1, (size_t)(close - at) + strlen(style->close), out);
        if (!put_table(style, name, (size_t)(close - name), out))
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

static char *read_manual(int page)
{
    const char *root = getenv("FAIRLEAD_SRCDIR");
    char path[4096];
    char *text;

    snprintf(path, sizeof(path), "%s/%s", root != NULL ? root : ".", pages[page].path);
    text = read_page(path);
    ck_assert_msg(text != NULL, "cannot read %s", path);
    return text;
}

START_TEST(the_manual_says_what_the_schema_says)
{
    char *page = read_manual(_i);
    const char *fault;
    char *again = renew(pages[_i].style, page, &fault);

    ck_assert_msg(again != NULL, "%s: %s", pages[_i].path, fault);
    ck_assert_msg(strcmp(page, again) == 0, "%s is out of date: run tests/unit/test_manual --write %s",
                  pages[_i].path, pages[_i].path);
    free(again);
    free(page);
}
END_TEST

/* Every context, and the variables of both kinds. */
#define N_TABLES (N_CONTEXTS + 2)

static const char *table_name(int table)
{
    return table < N_CONTEXTS    ? schema_context_name((enum context)table)
           : table == N_CONTEXTS ? "variables"
                                 : "log variables";
}

START_TEST(the_manual_has_each_table_once)
{
    const struct manual_style *style = pages[_i].style;
    char *page = read_manual(_i);
    char mark[128];

    for (int c = 0; c < N_TABLES; c++) {
        const char *first;

        if (c < N_CONTEXTS && !style->has_keys((enum context)c))
            continue;
        snprintf(mark, sizeof(mark), "%s%s%s", style->begin, table_name(c), style->close);
        first = strstr(page, mark);
        ck_assert_msg(first != NULL && strstr(first + 1, mark) == NULL, "%s: not once: %s", pages[_i].path,
                      mark);
    }
    free(page);
}
END_TEST

static int write_manual(const char *path)
{
    const char *fault = "cannot be read";
    size_t len = strlen(path);
    bool markdown = len > 3 && strcmp(path + len - 3, ".md") == 0;
    char *page = read_page(path);
    char *again = page != NULL ? renew(markdown ? &manual_markdown : &manual_man, page, &fault) : NULL;
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
    int failed = 0;

    if (argc > 2 && strcmp(argv[1], "--write") == 0) {
        for (int i = 2; i < argc; i++)
            failed |= write_manual(argv[i]);
        return failed;
    }
    suite = suite_create("manual");
    tcase = tcase_create("pages");
    tcase_add_loop_test(tcase, the_manual_says_what_the_schema_says, 0, N_PAGES);
    tcase_add_loop_test(tcase, the_manual_has_each_table_once, 0, N_PAGES);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
