/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Every key has an example for the manual, and the reader takes it. Around each example a whole file is made
 * from the schema: the groups that lead to its context, each with the members that it must have.
 */
#include "config_fake.h"
#include "manual.h"

#include <check.h>

/* The key whose value is a group of `context`; the outermost one. */
static const struct key *opener_of(enum context context)
{
    size_t n;
    const struct key *keys = schema_keys(&n);

    if (context == CONTEXT_HEADER)
        return schema_find(CONTEXT_SITE, "set_headers");
    for (size_t i = 0; i < n; i++)
        if ((keys[i].type == KEY_GROUP || keys[i].type == KEY_NAMED || keys[i].type == KEY_LIST) &&
            keys[i].inside == context)
            return &keys[i];
    return NULL;
}

static enum context outermost(const struct key *key)
{
    enum context context = 0;

    while (!schema_stands_in(key, context))
        context++;
    return context;
}

static void put_member(const struct key *key, FILE *out)
{
    char example[MANUAL_EXAMPLE_MAX];

    ck_assert_msg(manual_example(key, example),
                  "%s has no default and no example: give its row in core/config/schema.c a SHOWS",
                  key->name);
    fprintf(out, "%s = %s;\n", key->name, example);
}

/* Members that others are of no use without. */
static const struct companion {
    enum context context;
    const char *of; /* NULL: of all but itself */
    const char *name, *member;
} companions[] = {{CONTEXT_MAIN, "group", "user", "user = \"fairlead\";"},
                  {CONTEXT_MAIN, "capabilities", "user", "user = \"fairlead\";"},
                  {CONTEXT_MAIN, "chroot", "user", "user = \"fairlead\";"},
                  {CONTEXT_HEALTH, NULL, "type", "type = \"http\";"},
                  {CONTEXT_HEALTH, "agent_interval", "agent_port", "agent_port = 8082;"},
                  {CONTEXT_UPSTREAM, "key", "balance", "balance = \"hash\";"},
                  {CONTEXT_SERVER, "srv", "address", "address = \"_http._tcp.test\";"}};
#define N_COMPANIONS (sizeof(companions) / sizeof(companions[0]))

/* A location does one thing, so it must have something to do. */
static bool does_something(const char *name)
{
    return strcmp(name, "proxy_pass") == 0 || strcmp(name, "respond") == 0 || strcmp(name, "redirect") == 0;
}

static bool goes_along(const struct companion *companion, enum context context, const char *given)
{
    return companion->context == context && strcmp(companion->name, given) != 0 &&
           (companion->of == NULL || strcmp(companion->of, given) == 0);
}

static bool is_companion(enum context context, const char *given, const char *name)
{
    for (size_t i = 0; i < N_COMPANIONS; i++)
        if (goes_along(&companions[i], context, given) && strcmp(companions[i].name, name) == 0)
            return true;
    return false;
}

static void put_companions(enum context context, const char *given, FILE *out)
{
    for (size_t i = 0; i < N_COMPANIONS; i++)
        if (goes_along(&companions[i], context, given))
            fprintf(out, "%s\n", companions[i].member);
    if (context == CONTEXT_LOCATION && !does_something(given))
        fputs("respond: { };\n", out);
}

/* What a group of `context` must have beside the member `given`. */
static void put_required(enum context context, const char *given, FILE *out)
{
    size_t n;
    const struct key *keys = schema_keys(&n);

    for (size_t i = 0; i < n; i++)
        if (schema_stands_in(&keys[i], context) && keys[i].flags & KEY_REQUIRED &&
            strcmp(keys[i].name, given) != 0 && !is_companion(context, given, keys[i].name))
            put_member(&keys[i], out);
    put_companions(context, given, out);
}

/* `member` is the text of one member called `name`, of a group of `context`: the whole file around it. The
 * caller frees. */
static char *document_around(enum context context, const char *name, const char *member)
{
    char *text = NULL;
    size_t size;
    FILE *out;
    const struct key *opener = opener_of(context);
    char *whole;

    out = open_memstream(&text, &size);
    if (context == CONTEXT_MAIN) {
        put_companions(context, name, out);
        fputs(member, out);
        fclose(out);
        return text;
    }
    ck_assert_msg(opener != NULL, "nothing opens %s", schema_context_name(context));
    fprintf(out, "%s = %s", opener->name,
            opener->type == KEY_GROUP   ? "{\n"
            : opener->type == KEY_NAMED ? "{ a: {\n"
                                        : "( {\n");
    put_required(context, name, out);
    fputs(member, out);
    if (context == CONTEXT_SERVER) /* a group of backups only is refused */
        fputs("}, { address = \"127.0.0.1:9\"; ", out);
    fprintf(out, "%s;\n", opener->type == KEY_GROUP ? "}" : opener->type == KEY_NAMED ? "}; }" : "} )");
    fclose(out);
    whole = document_around(outermost(opener), opener->name, text);
    free(text);
    return whole;
}

static void expect_read(const struct key *key, enum context context)
{
    char example[MANUAL_EXAMPLE_MAX], member[MANUAL_EXAMPLE_MAX + 128];
    char *text;

    ck_assert_msg(manual_example(key, example),
                  "%s in %s has no default and no example: give its row in core/config/schema.c a SHOWS",
                  key->name, schema_context_name(context));
    snprintf(member, sizeof(member), "%s = %s;\n", key->name, example);
    text = document_around(context, key->name, member);
    fake_files[1] = (struct fake_file){"etc/sites-enabled/a.conf", ""};
    fake_files[2] = (struct fake_file){"/usr/share/fairlead/50x.html", "<p>Sorry.</p>"};
    ck_assert_msg(fake_load(text) == 0, "the example of %s in %s is refused: %s\n%s", key->name,
                  schema_context_name(context), fake_findings, text);
    fake_clear();
    free(text);
}

START_TEST(every_key_has_an_example_that_the_reader_takes)
{
    size_t n;
    const struct key *keys = schema_keys(&n);

    for (size_t i = 0; i < n; i++)
        for (enum context c = 0; c < N_CONTEXTS; c++)
            if (schema_stands_in(&keys[i], c) &&
                c != CONTEXT_FILE) /* a file of sites_enabled has some keys of the main file */
                expect_read(&keys[i], c);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config_examples");
    TCase *tcase = tcase_create("examples");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tcase, every_key_has_an_example_that_the_reader_takes);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
