/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The promises of config/trust.h and engine/file_safety.h, on files of a directory of the test's own:
 * whatever everybody can write to is named and refused, unless it was allowed by who may allow it. One
 * thread.
 */
#include "config_fake.h"

#include <check.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

static char home[64], main_path[128], sites_path[128], module_path[128];

/* The path of a file in the test's directory; good until the fourth call after it. */
static const char *at(const char *name)
{
    static char paths[4][PATH_MAX];
    static unsigned next;

    next = (next + 1) % 4;
    snprintf(paths[next], sizeof paths[next], "%s/%s", home, name);
    return paths[next];
}

static void put(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "we");

    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
    ck_assert_int_eq(chmod(path, mode), 0);
}

static int load(bool allowed)
{
    struct load_hooks hooks = {
        NULL,         LOAD_MEMORY_MAX, load_system_hooks.read_file, load_system_hooks.list_dir,
        fake_resolve, fake_ask};
    struct config_options options = {.balancers_dir = modules_of_the_tree(), .allow_insecure_files = allowed};
    struct config_errors *errors;
    int result = load_config(main_path, &options, &hooks, &fake_config, &errors);

    fake_keep_findings(errors);
    return result;
}

static void begin(void)
{
    strcpy(home, "/tmp/fairlead-trust-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(home));
    ck_assert_int_eq(chmod(home, 0755), 0);
    snprintf(main_path, sizeof main_path, "%s/main.conf", home);
    snprintf(sites_path, sizeof sites_path, "%s/sites", home);
    snprintf(module_path, sizeof module_path, "%s/modules", home);
    ck_assert_int_eq(mkdir(sites_path, 0755), 0);
    ck_assert_int_eq(mkdir(module_path, 0755), 0);
    put(at("sites/one.conf"), "sites = ( { listen = \"8080\"; } );", 0644);
    put(main_path, "sites_enabled = \"sites\";", 0644);
}

static void end(void)
{
    char command[128];

    fake_clear();
    snprintf(command, sizeof command, "rm -rf %s", home);
    ck_assert_int_eq(system(command), 0);
}

static void expect_refused(const char *what)
{
    ck_assert_int_eq(load(false), -EINVAL);
    ck_assert_msg(strstr(fake_findings, what) != NULL, "\"%s\" does not say \"%s\"", fake_findings, what);
}

START_TEST(files_that_their_owners_and_groups_write_are_read)
{
    ck_assert_int_eq(chmod(main_path, 0664), 0);
    ck_assert_int_eq(chmod(at("sites/one.conf"), 0660), 0);
    ck_assert_msg(load(false) == 0, "%s", fake_findings);
    ck_assert_uint_eq(fake_config->n_sites, 1);
}
END_TEST

START_TEST(a_main_file_that_all_can_write_is_refused_and_cannot_allow_itself)
{
    char sentence[512];

    put(main_path, "sites_enabled = \"sites\"; allow_insecure_files = true;", 0666);
    snprintf(sentence, sizeof sentence,
             "[emerg] \"%s\" can be written by everybody on this machine: chmod o-w %s (or start with -I) in "
             "%s:0\n",
             main_path, main_path, main_path);
    expect_refused(sentence);
    ck_assert_msg(load(true) == 0, "%s", fake_findings);
}
END_TEST

START_TEST(a_site_that_all_can_write_is_refused_unless_the_main_file_allows_it)
{
    ck_assert_int_eq(chmod(at("sites/one.conf"), 0646), 0);
    expect_refused("sites/one.conf (or set allow_insecure_files) in ");
    put(main_path, "sites_enabled = \"sites\"; allow_insecure_files = true;", 0644);
    ck_assert_msg(load(false) == 0, "%s", fake_findings);
}
END_TEST

START_TEST(an_included_file_that_all_can_write_is_refused_and_cannot_allow_itself)
{
    put(main_path, "@include \"part.conf\"\n", 0644);
    put(at("part.conf"), "allow_insecure_files = true;", 0666);
    expect_refused("part.conf (or set allow_insecure_files) in ");
    expect_refused("must stand in the main file itself");
}
END_TEST

START_TEST(the_target_of_a_link_counts_and_so_does_its_directory)
{
    ck_assert_int_eq(mkdir(at("shared"), 0755), 0);
    put(at("shared/two.conf"), "", 0666);
    ck_assert_int_eq(symlink(at("shared/two.conf"), at("sites/two.conf")), 0);
    expect_refused("sites/two.conf\" can be written by everybody");
    ck_assert_int_eq(chmod(at("shared/two.conf"), 0644), 0);
    ck_assert_msg(load(false) == 0, "%s", fake_findings);
    fake_clear();
    ck_assert_int_eq(chmod(at("shared"), 0777), 0);
    expect_refused("/shared (or set allow_insecure_files) in ");
    /* Where the sticky bit is, nobody can replace it. */
    ck_assert_int_eq(chmod(at("shared"), 01777), 0);
    ck_assert_msg(load(false) == 0, "%s", fake_findings);
}
END_TEST

START_TEST(a_directory_of_sites_that_all_can_write_is_refused_even_if_it_is_sticky)
{
    ck_assert_int_eq(chmod(sites_path, 01777), 0);
    expect_refused("sites\" can be written by everybody");
}
END_TEST

START_TEST(an_error_page_that_all_can_write_is_refused)
{
    put(at("page.html"), "x", 0666);
    put(main_path,
        "sites = ( { listen = \"8080\"; error_pages = ( { status = 502; file = \"page.html\"; } ); } );",
        0644);
    expect_refused("page.html\" can be written by everybody");
}
END_TEST

START_TEST(strategies_that_all_can_write_are_refused)
{
    put(main_path, "balancers_dir = \"modules\"; sites_enabled = \"sites\";", 0644);
    put(at("modules/evil.so"), "", 0666);
    expect_refused("modules/evil.so\" can be written by everybody");
    ck_assert_int_eq(unlink(at("modules/evil.so")), 0);
    ck_assert_int_eq(chmod(module_path, 0777), 0);
    expect_refused("modules\" can be written by everybody");
    ck_assert_msg(load(true) == 0, "%s", fake_findings);
}
END_TEST

START_TEST(secrets_are_not_shown_unless_asked_for)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    put(main_path,
        "upstreams: { g: { sticky: { type = \"insert\"; secret = \"hush\"; }; servers = ( { address = "
        "\"127.0.0.1\"; } ); }; };",
        0644);
    ck_assert_msg(load(false) == 0, "%s", fake_findings);
    config_print(fake_config, false, out);
    fclose(out);
    ck_assert_ptr_null(strstr(text, "hush"));
    ck_assert_ptr_nonnull(strstr(text, "secret = \"" CONFIG_SECRET_MASK "\";"));
    fake_clear();
    /* What is not the configuration must not be taken for it. */
    put(main_path, text, 0644);
    expect_refused("as -T prints it in place of the real one");
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config_trust");
    TCase *tests = tcase_create("promises");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, files_that_their_owners_and_groups_write_are_read);
    tcase_add_test(tests, a_main_file_that_all_can_write_is_refused_and_cannot_allow_itself);
    tcase_add_test(tests, a_site_that_all_can_write_is_refused_unless_the_main_file_allows_it);
    tcase_add_test(tests, an_included_file_that_all_can_write_is_refused_and_cannot_allow_itself);
    tcase_add_test(tests, the_target_of_a_link_counts_and_so_does_its_directory);
    tcase_add_test(tests, a_directory_of_sites_that_all_can_write_is_refused_even_if_it_is_sticky);
    tcase_add_test(tests, an_error_page_that_all_can_write_is_refused);
    tcase_add_test(tests, strategies_that_all_can_write_are_refused);
    tcase_add_test(tests, secrets_are_not_shown_unless_asked_for);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
