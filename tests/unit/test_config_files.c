/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Runs the configuration reader over the files of tests/config and etc: each of good/ loads, and what is
 * printed of it loads and prints the same; each of bad/ gives exactly the lines of its .expected.
 * Environment: FAIRLEAD_SRCDIR or srcdir, and FAIRLEAD_BALANCERS. Names are resolved by a fake.
 */
#include <check.h>
#include <glob.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_fake.h"

static char fixtures[PATH_MAX], modules[PATH_MAX], top[PATH_MAX];
static glob_t good, bad;

/* The files of the tree, save that "printed.conf" is the context. */
static int read_file(void *context, struct arena *arena, const char *path, size_t limit, struct span *bytes)
{
    if (context == NULL || strcmp(path, "printed.conf") != 0)
        return load_system_hooks.read_file(NULL, arena, path, limit, bytes);
    *bytes = (struct span){context, strlen(context)};
    return 0;
}

static int load_beside(const char *path, char *printed)
{
    struct load_hooks hooks = {printed,      LOAD_MEMORY_MAX, read_file, load_system_hooks.list_dir,
                               fake_resolve, fake_ask};

    return fake_load_with(path, &hooks);
}

static int load(const char *path)
{
    return load_beside(path, NULL);
}

static char *read_text(const char *path)
{
    char *text = calloc(1, 65536);
    FILE *in = fopen(path, "r");

    ck_assert_msg(in != NULL, "%s: %s", path, strerror(errno));
    (void)!fread(text, 1, 65535, in);
    fclose(in);
    return text;
}

static void expect_good(const char *path)
{
    ck_assert_msg(load(path) == 0, "%s", fake_findings);
    char *first = fake_print(fake_config);
    fake_clear();
    ck_assert_msg(load_beside("printed.conf", first) == 0, "what was printed of %s: %s", path, fake_findings);
    char *second = fake_print(fake_config);
    /* But for the comment that tells sites_enabled, whose files are sites like any other once they are printed. */
    ck_assert_str_eq(first + (first[0] == '#' ? strcspn(first, "\n") + 1 : 0), second);
    free(first);
    free(second);
}

START_TEST(what_is_printed_reads_and_prints_the_same)
{
    expect_good(good.gl_pathv[_i]);
}
END_TEST

START_TEST(every_fault_is_named_with_file_and_line)
{
    char expected_path[PATH_MAX];
    const char *path = bad.gl_pathv[_i];

    snprintf(expected_path, sizeof expected_path, "%.*sexpected", (int)(strlen(path) - strlen("conf")), path);
    char *expected = read_text(expected_path);
    ck_assert_int_eq(load(path), -EINVAL);
    ck_assert_ptr_null(fake_config);
    ck_assert_str_eq(fake_findings, expected);
    free(expected);
}
END_TEST

START_TEST(the_shipped_files_load)
{
    static const char *const files[] = {
        "etc/demo.conf",
        "etc/fairlead/fairlead.conf",
        "etc/fairlead/sites-available/default.conf",
        "etc/fairlead/sites-available/reverse-proxy.conf",
        "etc/fairlead/sites-available/load-balancer.conf",
    };

    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[2 * PATH_MAX];

        snprintf(path, sizeof path, "%s/%s", top, files[i]);
        expect_good(path);
        fake_clear();
    }
}
END_TEST

START_TEST(the_demo_balances_three_origins_behind_port_8080)
{
    char path[2 * PATH_MAX];

    snprintf(path, sizeof path, "%s/etc/demo.conf", top);
    ck_assert_msg(load(path) == 0, "%s", fake_findings);
    ck_assert_uint_eq(fake_config->n_listens, 4);
    ck_assert_str_eq(fake_config->listens[0].name, "0.0.0.0:8080");
    ck_assert_uint_eq(pool_n_servers(fake_config->pools[0]), 3);
    ck_assert_str_eq(fake_config->log.access, "stderr");
}
END_TEST

START_TEST(a_file_that_cannot_be_read_is_enoent)
{
    ck_assert_int_eq(load("bad/missing.conf"), -ENOENT);
    ck_assert_str_eq(fake_findings,
                     "fairlead: [emerg] cannot read the configuration: No such file or directory"
                     " in bad/missing.conf:0\n");
    ck_assert_int_eq(load("bad"), -ENOENT);
}
END_TEST

START_TEST(a_fifo_is_refused_and_not_waited_for)
{
    char name[] = "/tmp/fairlead-fifo-XXXXXX";

    ck_assert_ptr_nonnull(mkdtemp(name));
    char *path;
    ck_assert_int_gt(asprintf(&path, "%s/fifo", name), 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(load(path), -ENOENT);
    unlink(path);
    rmdir(name);
    free(path);
}
END_TEST

static void find_fixtures(void)
{
    const char *source = getenv("FAIRLEAD_SRCDIR") != NULL ? getenv("FAIRLEAD_SRCDIR") : getenv("srcdir");

    if (realpath(modules_of_the_tree(), modules) == NULL ||
        realpath(source != NULL ? source : ".", top) == NULL) {
        perror("the modules or the sources");
        exit(1);
    }
    setenv("FAIRLEAD_BALANCERS", modules, 1);
    snprintf(fixtures, sizeof fixtures, "%.4000s/tests/config", top);
    if (chdir(fixtures) != 0 || glob("good/*.conf", 0, NULL, &good) != 0 ||
        glob("bad/*.conf", 0, NULL, &bad) != 0) {
        perror(fixtures);
        exit(1);
    }
}

int main(void)
{
    find_fixtures();
    Suite *suite = suite_create("config_files");
    TCase *tests = tcase_create("all");
    SRunner *runner = srunner_create(suite);

    suite_add_tcase(suite, tests);
    tcase_set_timeout(tests, 30);
    tcase_add_checked_fixture(tests, NULL, fake_clear);
    tcase_add_loop_test(tests, what_is_printed_reads_and_prints_the_same, 0, (int)good.gl_pathc);
    tcase_add_loop_test(tests, every_fault_is_named_with_file_and_line, 0, (int)bad.gl_pathc);
    tcase_add_test(tests, the_shipped_files_load);
    tcase_add_test(tests, the_demo_balances_three_origins_behind_port_8080);
    tcase_add_test(tests, a_file_that_cannot_be_read_is_enoent);
    tcase_add_test(tests, a_fifo_is_refused_and_not_waited_for);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    globfree(&good);
    globfree(&bad);
    return failed == 0 ? 0 : 1;
}
