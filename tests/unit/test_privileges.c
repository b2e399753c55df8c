/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The promises of control/privileges.h, identity.h and limits.h that need no running proxy;
 * tests/e2e/privileges.py has the others. Each test has a process of its own, whose privileges it may give
 * up. Those that need root pass without a word where it is not to be had.
 */
#include "control/identity.h"
#include "control/limits.h"
#include "control/privileges.h"

#include "config/capabilities.h"

#include <check.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOBODY "nobody"

static char error[512];
static struct privileges_told told;

static bool is_told(const char *what)
{
    for (size_t i = 0; i < told.n; i++)
        if (strstr(told.warnings[i], what))
            return true;
    return false;
}

START_TEST(a_user_that_is_not_there_is_named_with_what_to_do)
{
    struct config config = {.user = "no-such-user"};

    if (geteuid() != 0)
        return;
    ck_assert_int_lt(privileges_drop(&config, &told, error, sizeof(error)), 0);
    ck_assert_ptr_nonnull(strstr(error, "no-such-user"));
    ck_assert_ptr_nonnull(strstr(error, "adduser"));
    ck_assert_int_lt(privileges_check(&config, error, sizeof(error)), 0);
    ck_assert_int_eq(geteuid(), 0);
}
END_TEST

START_TEST(a_group_that_is_not_there_is_named_with_what_to_do)
{
    struct config config = {.user = NOBODY, .group = "no-such-group"};

    if (geteuid() != 0)
        return;
    ck_assert_int_lt(privileges_drop(&config, &told, error, sizeof(error)), 0);
    ck_assert_ptr_nonnull(strstr(error, "no-such-group"));
    ck_assert_ptr_nonnull(strstr(error, "addgroup"));
}
END_TEST

START_TEST(after_the_drop_there_is_no_way_back)
{
    struct config config = {.user = NOBODY, .group = "daemon"};

    if (geteuid() != 0)
        return;
    ck_assert_msg(privileges_drop(&config, &told, error, sizeof(error)) == 0, "%s", error);
    ck_assert_int_ne(getuid(), 0);
    ck_assert_int_ne(setuid(0), 0);
    ck_assert_int_ne(setgid(0), 0);
    ck_assert_int_ne(prctl(PR_GET_DUMPABLE), 1);
    ck_assert_ptr_nonnull(strstr(told.line, "user=nobody group=daemon "));
    ck_assert_ptr_nonnull(strstr(told.line, "capabilities=none no_new_privs=1"));
    ck_assert_uint_eq(told.n, 0);
}
END_TEST

START_TEST(what_is_configured_is_kept_for_what_is_executed_too)
{
    struct config config = {.user = NOBODY, .capabilities = UINT64_C(1) << CAP_NET_BIND_SERVICE};
    char line[64] = "";
    FILE *executed;

    if (geteuid() != 0)
        return;
    ck_assert_msg(privileges_drop(&config, &told, error, sizeof(error)) == 0, "%s", error);
    ck_assert_int_eq(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_NET_BIND_SERVICE, 0, 0), 1);
    ck_assert_int_eq(prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0), 0);
    ck_assert_ptr_nonnull(strstr(told.line, "capabilities=net_bind_service "));
    ck_assert_int_ne(setuid(0), 0);
    executed = popen("grep CapEff: /proc/self/status", "re");
    ck_assert_ptr_nonnull(executed);
    ck_assert_ptr_nonnull(fgets(line, sizeof(line), executed));
    ck_assert_int_eq(pclose(executed), 0);
    ck_assert_str_eq(line, "CapEff:\t0000000000000400\n");
}
END_TEST

START_TEST(root_without_a_user_is_warned_of)
{
    struct config config = {0};

    if (geteuid() != 0)
        return;
    ck_assert_msg(privileges_drop(&config, &told, error, sizeof(error)) == 0, "%s", error);
    ck_assert(is_told("running as root"));
    ck_assert_int_eq(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
}
END_TEST

START_TEST(who_is_not_root_stays_and_is_told_so)
{
    struct config first = {.user = NOBODY},
                  config = {.user = "root", .capabilities = UINT64_C(1) << CAP_NET_RAW, .chroot = "/"};

    if (geteuid() == 0)
        ck_assert_msg(privileges_drop(&first, &told, error, sizeof(error)) == 0, "%s", error);
    uid_t uid = geteuid();
    ck_assert_msg(privileges_drop(&config, &told, error, sizeof(error)) == 0, "%s", error);
    ck_assert_int_eq(geteuid(), uid);
    ck_assert(is_told("\"user\" has no effect"));
    ck_assert(is_told("\"chroot\" has no effect"));
    ck_assert(is_told("missing=net_raw"));
    ck_assert_int_eq(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
}
END_TEST

START_TEST(a_root_that_its_user_could_write_to_is_refused)
{
    struct identity identity = {
        .uid = 1234567, .gid = 1234567, .user = "x", .n_groups = 2, .groups = {1234567, 0}};
    char directory[] = "/tmp/fairlead-jail-XXXXXX";

    if (geteuid() != 0)
        return;
    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert_int_eq(chmod(directory, 0755), 0);
    ck_assert_int_eq(identity_check_root(&identity, directory, error, sizeof(error)), 0);
    ck_assert_int_eq(chmod(directory, 0757), 0);
    ck_assert_int_eq(identity_check_root(&identity, directory, error, sizeof(error)), -EPERM);
    ck_assert_int_eq(chmod(directory, 0775), 0); /* by its group 0 */
    ck_assert_int_eq(identity_check_root(&identity, directory, error, sizeof(error)), -EPERM);
    ck_assert_int_eq(chmod(directory, 0555), 0);
    ck_assert_int_eq(chown(directory, 1234567, 0), 0);
    ck_assert_int_eq(identity_check_root(&identity, directory, error, sizeof(error)), -EPERM);
    ck_assert_ptr_nonnull(strstr(error, "chown root:root"));
    ck_assert_int_eq(rmdir(directory), 0);
    ck_assert_int_eq(identity_check_root(&identity, directory, error, sizeof(error)), -ENOTDIR);
}
END_TEST

START_TEST(only_a_plain_file_of_roots_is_given_away)
{
    struct identity identity = {.uid = 1234567};
    char directory[] = "/tmp/fairlead-give-XXXXXX", path[64], link_path[64];
    struct stat status;
    FILE *file;

    if (geteuid() != 0)
        return;
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/log", directory);
    snprintf(link_path, sizeof(link_path), "%s/link", directory);
    file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    fclose(file);
    ck_assert_int_eq(symlink(path, link_path), 0);
    ck_assert_int_eq(identity_give(&identity, link_path), 0);
    ck_assert_int_eq(unlink(link_path), 0);
    ck_assert_int_eq(link(path, link_path), 0);
    ck_assert_int_eq(identity_give(&identity, path), 0);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_uid, 0);
    ck_assert_int_eq(unlink(link_path), 0);
    ck_assert_int_eq(identity_give(&identity, path), 0);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_uid, 1234567);
    ck_assert_int_eq(identity_give(&identity, "stderr"), 0);
    ck_assert_int_eq(identity_give(&identity, NULL), 0);
    unlink(path);
    rmdir(directory);
}
END_TEST

START_TEST(clients_that_fit_are_those_whose_two_sides_do)
{
    struct config config = {.workers = 4, .worker_connections = 1000, .health_probes = 256};

    ck_assert_uint_eq(limits_files_needed(&config), 4 * 1000 * 2 + 256 + 256);
    ck_assert_uint_eq(limits_clients(&config, limits_files_needed(&config)), 4000);
    ck_assert_uint_eq(limits_clients(&config, 1024), 256);
    ck_assert_uint_eq(limits_clients(&config, 100), 0);
}
END_TEST

START_TEST(limits_are_raised_as_far_as_they_may_be)
{
    struct config config = {.workers = 1, .worker_connections = 100, .health_probes = 1};
    struct rlimit limit = {64, 300};

    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    limits_raise(&config);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    /* 300 where the hard limit may not be raised, all of the wanted where it may. */
    ck_assert(limit.rlim_cur == 300 || limit.rlim_cur == 457);
    config.rlimit_files = 100;
    limits_raise(&config);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_uint_eq(limit.rlim_cur, 100);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("privileges");
    TCase *tests = tcase_create("promises");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tests, a_user_that_is_not_there_is_named_with_what_to_do);
    tcase_add_test(tests, a_group_that_is_not_there_is_named_with_what_to_do);
    tcase_add_test(tests, after_the_drop_there_is_no_way_back);
    tcase_add_test(tests, what_is_configured_is_kept_for_what_is_executed_too);
    tcase_add_test(tests, root_without_a_user_is_warned_of);
    tcase_add_test(tests, who_is_not_root_stays_and_is_told_so);
    tcase_add_test(tests, a_root_that_its_user_could_write_to_is_refused);
    tcase_add_test(tests, only_a_plain_file_of_roots_is_given_away);
    tcase_add_test(tests, clients_that_fit_are_those_whose_two_sides_do);
    tcase_add_test(tests, limits_are_raised_as_far_as_they_may_be);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
