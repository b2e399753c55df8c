/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tests of the module loader: it loads what is a strategy of this version, refuses everything else with a
 * sentence that helps, and leaves nothing loaded that it refused. The modules come from tests/strategies.
 */
#include "upstream/strategy.h"

#include <check.h>
#include <dlfcn.h>
#include <errno.h>
#include <unistd.h>

#include "modules.h"

static struct strategy strategy;
static char error[512];

static void expect(int result, const char *dir, const char *name, const char *part)
{
    int got = strategy_load(dir, name, &strategy, error, sizeof error);

    ck_assert_msg(got == result, "%s: %d instead of %d: %s", name, got, result, error);
    ck_assert_msg(strstr(error, part) != NULL, "%s: no \"%s\" in: %s", name, part, error);
}

START_TEST(loads_the_default_strategy_of_the_tree)
{
    ck_assert_int_eq(strategy_load(modules_of_the_tree(), "round_robin", &strategy, error, sizeof error), 0);
    ck_assert_str_eq(strategy.balancer->name, "round_robin");
    strategy_unload(&strategy);
    ck_assert_ptr_null(strategy.balancer);
    ck_assert_ptr_null(strategy.handle);
}
END_TEST

START_TEST(loads_a_strategy_from_outside_of_the_tree)
{
    ck_assert_int_eq(strategy_load(modules_dir, "first_free", &strategy, error, sizeof error), 0);
    ck_assert_str_eq(strategy.balancer->options[0].name, "first_free_limit");
    strategy_unload(&strategy);
}
END_TEST

START_TEST(takes_a_strategy_that_keeps_nothing)
{
    ck_assert_int_eq(strategy_load(modules_dir, "rendezvous", &strategy, error, sizeof error), 0);
    ck_assert(!strategy.balancer->plan_create && !strategy.balancer->shared_size &&
              !strategy.balancer->state_size);
    strategy_unload(&strategy);
}
END_TEST

START_TEST(finds_a_directory_that_is_named_without_a_slash)
{
    ck_assert_int_eq(chdir(modules_dir), 0);
    ck_assert_int_eq(strategy_load(".", "first_free", &strategy, error, sizeof error), 0);
    strategy_unload(&strategy);
    ck_assert_int_eq(symlink(".", "plain"), 0);
    ck_assert_int_eq(strategy_load("plain", "first_free", &strategy, error, sizeof error), 0);
    strategy_unload(&strategy);
    unlink("plain");
}
END_TEST

START_TEST(keeps_a_module_until_its_last_reference_is_put)
{
    struct strategy other;
    char path[MODULES_PATH_MAX + 32];

    snprintf(path, sizeof path, "%s/tally.so", modules_dir);
    ck_assert_int_eq(strategy_load(modules_dir, "tally", &strategy, error, sizeof error), 0);
    ck_assert_int_eq(strategy_load(modules_dir, "tally", &other, error, sizeof error), 0);
    ck_assert_ptr_eq(strategy.balancer, other.balancer);
    strategy_unload(&strategy);
    ck_assert_str_eq(other.balancer->name, "tally");
    strategy_unload(&other);
    ck_assert_ptr_null(dlopen(path, RTLD_NOW | RTLD_NOLOAD));
}
END_TEST

START_TEST(refuses_a_name_that_could_be_a_path)
{
    static const char *const names[] = {"", "../first_free", "First", "a.b", "a-b", "a b", "/tmp/x"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        expect(-EINVAL, modules_dir, names[i], "[a-z0-9_]");
    expect(-EINVAL, modules_dir, "a23456789_a23456789_a23456789_a23456789_a23456789_a23456789_12345",
           "at most 64");
}
END_TEST

START_TEST(lists_what_is_there_when_a_module_is_not)
{
    expect(-ENOENT, modules_dir, "first_fee", "; there are: first_free, rendezvous, tally");
    expect(-ENOENT, "/nonexistent/directory", "first_free", "cannot be read");
    char empty[MODULES_PATH_MAX + 16];
    snprintf(empty, sizeof empty, "%s/include", modules_dir);
    expect(-ENOENT, empty, "first_free", "none at all");
}
END_TEST

START_TEST(never_writes_past_the_room_for_the_sentence)
{
    for (size_t size = 1; size < 100; size++) {
        char *small = malloc(size);
        ck_assert_int_eq(strategy_load(modules_dir, "first_fee", &strategy, small, size), -ENOENT);
        ck_assert_uint_lt(strlen(small), size);
        free(small);
    }
}
END_TEST

static const struct {
    const char *name, *part;
} refused[] = {
    {"wrong_version", "version 4, and version 3 is needed"},
    {"missing_symbol", "no symbol fairlead_balancer"},
    {"wrong_name", "calls itself \"right_name\""},
    {"no_pick", "pick is missing"},
    {"no_done", "has no done"},
    {"half_plan", "only one of plan_create and plan_destroy"},
    {"half_shared", "only one of shared_size and shared_init"},
    {"half_state", "only one of state_size and state_init"},
    {"new_trait", "a trait that this version does not know"},
    {"two_keys", "asks for two keys"},
    {"bad_option", "outside its range"},
};

START_TEST(refuses_and_unloads_what_is_no_strategy_of_this_version)
{
    char path[MODULES_PATH_MAX + 64];

    expect(-EINVAL, modules_broken, refused[_i].name, refused[_i].part);
    snprintf(path, sizeof path, "%s/%s.so", modules_broken, refused[_i].name);
    ck_assert_ptr_null(dlopen(path, RTLD_NOW | RTLD_NOLOAD));
}
END_TEST

START_TEST(refuses_a_file_that_is_no_shared_object)
{
    char path[MODULES_PATH_MAX + 64];

    snprintf(path, sizeof path, "%s/text.so", modules_broken);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs("not an ELF file\n", file);
    fclose(file);
    expect(-EINVAL, modules_broken, "text", "cannot be loaded");
    unlink(path);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("strategy");
    TCase *tcase = tcase_create("loader");

    if (modules_build() != 0)
        return 1;
    tcase_add_test(tcase, loads_the_default_strategy_of_the_tree);
    tcase_add_test(tcase, loads_a_strategy_from_outside_of_the_tree);
    tcase_add_test(tcase, takes_a_strategy_that_keeps_nothing);
    tcase_add_test(tcase, finds_a_directory_that_is_named_without_a_slash);
    tcase_add_test(tcase, keeps_a_module_until_its_last_reference_is_put);
    tcase_add_test(tcase, refuses_a_name_that_could_be_a_path);
    tcase_add_test(tcase, lists_what_is_there_when_a_module_is_not);
    tcase_add_test(tcase, never_writes_past_the_room_for_the_sentence);
    tcase_add_loop_test(tcase, refuses_and_unloads_what_is_no_strategy_of_this_version, 0,
                        (int)(sizeof refused / sizeof *refused));
    tcase_add_test(tcase, refuses_a_file_that_is_no_shared_object);
    suite_add_tcase(suite, tcase);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    modules_remove();
    return failed != 0;
}
