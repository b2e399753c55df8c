/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The promises of control/changes.h: which changes outlive which, what they make of a group's servers, and what a state file may hold. */
#include "control/changes.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct changes changes;
static struct server_spec configured[2];
static struct pool_spec spec;
static struct server_spec *servers;
static char refused[512];

static void set_up(void)
{
    changes = (struct changes){0};
    memset(configured, 0, sizeof(configured));
    configured[0] = (struct server_spec){.name = "10.0.0.1:80", .route = "r1", .weight = 3, .max_fails = 7, .slow_start_ms = 5000};
    configured[1] = (struct server_spec){.name = "10.0.0.2:80", .weight = 1, .down = true};
    spec = (struct pool_spec){.name = "web", .n_servers = 2, .servers = configured};
    servers = NULL;
    refused[0] = '\0';
}

static void tear_down(void)
{
    changes_fini(&changes);
    free(servers);
}

static void note(void *context, const struct change *change, const char *sentence)
{
    (void)context;
    snprintf(refused + strlen(refused), sizeof(refused) - strlen(refused), "%s %s: %s;", change_word(change->kind), change->server, sentence);
}

static const struct changes_report report = {.refused = note};

static int add(enum change_kind kind, const char *server, uint32_t weight, bool persist)
{
    struct change change = {.kind = kind, .persist = persist, .weight = weight, .pool = "web"};

    for (size_t i = 0; i < sizeof(configured) / sizeof(configured[0]); i++)
        change.configured = change.configured || (kind == CHANGE_REMOVE && configured[i].name && strcmp(configured[i].name, server) == 0);
    snprintf(change.server, sizeof(change.server), "%s", server);
    return changes_add(&changes, &change);
}

/* "down 10.0.0.1:80;" for each, "!" behind those that persist. */
static const char *listed(void)
{
    static char text[1024];
    size_t len = 0;

    text[0] = '\0';
    for (size_t i = 0; i < changes.n; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s %s%s;", change_word(changes.list[i].kind), changes.list[i].server,
                                changes.list[i].persist ? "!" : "");
    return text;
}

static void apply(void)
{
    ck_assert_int_eq(changes_apply(&changes, &spec, &report, &servers), 0);
}

/* As a reload does: what is kept is in the file. */
static void forget(void)
{
    size_t kept = 0;

    for (size_t i = 0; i < changes.n; i++)
        if (changes.list[i].persist)
            changes.list[kept++] = changes.list[i];
    changes.n = kept;
}

START_TEST(the_later_word_about_a_server_wins)
{
    ck_assert_int_eq(add(CHANGE_DOWN, "10.0.0.1:80", 0, false), 0);
    ck_assert_int_eq(add(CHANGE_WEIGHT, "10.0.0.1:80", 5, false), 0);
    ck_assert_int_eq(add(CHANGE_DRAIN, "10.0.0.2:80", 0, false), 0);
    ck_assert_int_eq(add(CHANGE_UP, "10.0.0.1:80", 0, false), 0);
    ck_assert_int_eq(add(CHANGE_WEIGHT, "10.0.0.1:80", 9, false), 0);
    ck_assert_str_eq(listed(), "drain 10.0.0.2:80;up 10.0.0.1:80;weight 10.0.0.1:80;");
    ck_assert_uint_eq(changes.list[2].weight, 9);
}
END_TEST

START_TEST(what_persists_outlives_what_does_not)
{
    ck_assert_int_eq(add(CHANGE_DOWN, "10.0.0.1:80", 0, true), 0);
    ck_assert_int_eq(add(CHANGE_UP, "10.0.0.1:80", 0, false), 0);
    ck_assert_str_eq(listed(), "down 10.0.0.1:80!;up 10.0.0.1:80;");
    apply();
    ck_assert(!servers[0].down);
    forget();
    ck_assert_str_eq(listed(), "down 10.0.0.1:80!;");
    ck_assert_int_eq(add(CHANGE_DRAIN, "10.0.0.1:80", 0, false), 0);
    ck_assert_int_eq(add(CHANGE_UP, "10.0.0.1:80", 0, true), 0);
    ck_assert_str_eq(listed(), "up 10.0.0.1:80!;");
}
END_TEST

START_TEST(a_server_added_and_removed_leaves_nothing)
{
    ck_assert_int_eq(add(CHANGE_ADD, "10.0.0.9:80", 1, false), 0);
    ck_assert_int_eq(add(CHANGE_WEIGHT, "10.0.0.9:80", 4, false), 0);
    ck_assert_int_eq(add(CHANGE_DOWN, "10.0.0.9:80", 0, false), 0);
    ck_assert_int_eq(add(CHANGE_REMOVE, "10.0.0.9:80", 0, false), 0);
    ck_assert_str_eq(listed(), "");
}
END_TEST

START_TEST(a_configured_server_removed_added_and_removed_stays_away)
{
    ck_assert_int_eq(add(CHANGE_DOWN, "10.0.0.1:80", 0, false), 0);
    ck_assert_int_eq(add(CHANGE_REMOVE, "10.0.0.1:80", 0, false), 0);
    ck_assert_str_eq(listed(), "remove 10.0.0.1:80;");
    ck_assert_int_eq(add(CHANGE_ADD, "10.0.0.1:80", 2, false), 0);
    ck_assert_str_eq(listed(), "remove 10.0.0.1:80;add 10.0.0.1:80;");
    ck_assert_int_eq(add(CHANGE_REMOVE, "10.0.0.1:80", 0, false), 0);
    ck_assert_str_eq(listed(), "remove 10.0.0.1:80;");
    apply();
    ck_assert_uint_eq(spec.n_servers, 1);
    ck_assert_str_eq(servers[0].name, "10.0.0.2:80");
    ck_assert_str_eq(refused, "");
}
END_TEST

/* The files have a server of today that was added yesterday. */
START_TEST(a_server_added_and_then_configured_can_be_removed)
{
    ck_assert_int_eq(add(CHANGE_ADD, "10.0.0.1:80", 1, true), 0);
    ck_assert_int_eq(add(CHANGE_WEIGHT, "10.0.0.1:80", 5, true), 0);
    ck_assert_int_eq(add(CHANGE_REMOVE, "10.0.0.1:80", 0, true), 0);
    ck_assert_str_eq(listed(), "remove 10.0.0.1:80!;");
    apply();
    ck_assert_uint_eq(spec.n_servers, 1);
    ck_assert_str_eq(servers[0].name, "10.0.0.2:80");
    ck_assert_str_eq(refused, "");
}
END_TEST

START_TEST(a_removal_that_does_not_persist_leaves_the_addition_that_does)
{
    ck_assert_int_eq(add(CHANGE_ADD, "10.0.0.9:80", 1, true), 0);
    ck_assert_int_eq(add(CHANGE_REMOVE, "10.0.0.9:80", 0, false), 0);
    ck_assert_str_eq(listed(), "add 10.0.0.9:80!;remove 10.0.0.9:80;");
    apply();
    ck_assert_uint_eq(spec.n_servers, 2);
    ck_assert_str_eq(refused, "");
    ck_assert_int_eq(add(CHANGE_ADD, "10.0.0.9:80", 1, true), 0);
    ck_assert_str_eq(listed(), "add 10.0.0.9:80!;");
}
END_TEST

/* Whatever persists: what the list says is what was said last, nothing of it is refused, and it does not grow. */
START_TEST(additions_and_removals_may_be_repeated)
{
    static const char *const names[] = {"10.0.0.1:80", "10.0.0.9:80"};
    const char *name = names[_i & 1];
    unsigned order = (unsigned)_i >> 1;
    bool there = !(_i & 1);

    for (unsigned step = 0; step < 12; step++) {
        struct pool_spec before = spec;
        bool found = false;

        ck_assert_int_eq(add(there ? CHANGE_REMOVE : CHANGE_ADD, name, 1, order >> (step % 6) & 1), 0);
        there = !there;
        ck_assert_msg(changes.n <= 5, "%s", listed());
        apply();
        for (size_t i = 0; i < spec.n_servers; i++)
            found = found || strcmp(spec.servers[i].name, name) == 0;
        ck_assert_msg(found == there && refused[0] == '\0', "step %u: %s refused: %s", step, listed(), refused);
        free(servers);
        servers = NULL;
        spec = before;
    }
}
END_TEST

START_TEST(the_list_is_bounded)
{
    char name[32];

    for (unsigned i = 0; i < CHANGES_MAX; i++) {
        snprintf(name, sizeof(name), "10.0.%u.%u:80", i / 256, i % 256);
        ck_assert_int_eq(add(CHANGE_DOWN, name, 0, false), 0);
    }
    ck_assert_int_eq(add(CHANGE_DOWN, "10.9.9.9:80", 0, false), -ENOSPC);
    ck_assert_int_eq(add(CHANGE_UP, "10.0.0.1:80", 0, false), 0);
}
END_TEST

START_TEST(a_copy_is_its_own)
{
    struct changes copy;

    ck_assert_int_eq(add(CHANGE_DOWN, "10.0.0.1:80", 0, true), 0);
    ck_assert_int_eq(changes_copy(&changes, &copy), 0);
    ck_assert_int_eq(add(CHANGE_UP, "10.0.0.1:80", 0, true), 0);
    ck_assert_uint_eq(copy.n, 1);
    ck_assert_int_eq(copy.list[0].kind, CHANGE_DOWN);
    changes_fini(&copy);
}
END_TEST

START_TEST(what_concerns_another_group_changes_nothing)
{
    ck_assert_int_eq(add(CHANGE_DOWN, "10.0.0.1:80", 0, false), 0);
    spec.name = "api";
    apply();
    ck_assert_ptr_null(servers);
    ck_assert_ptr_eq(spec.servers, configured);
}
END_TEST

START_TEST(modes_and_weights_go_into_the_copy_only)
{
    ck_assert_int_eq(add(CHANGE_DRAIN, "10.0.0.1:80", 0, false), 0);
    ck_assert_int_eq(add(CHANGE_UP, "10.0.0.2:80", 0, false), 0);
    ck_assert_int_eq(add(CHANGE_WEIGHT, "10.0.0.2:80", 8, false), 0);
    apply();
    ck_assert_ptr_eq(spec.servers, servers);
    ck_assert(servers[0].drain && !servers[0].down && servers[0].weight == 3);
    ck_assert(!servers[1].drain && !servers[1].down && servers[1].weight == 8);
    ck_assert(!configured[0].drain && configured[1].down && configured[1].weight == 1);
}
END_TEST

START_TEST(a_server_that_is_added_is_like_the_first_one)
{
    ck_assert_int_eq(add(CHANGE_ADD, "[::1]:8080", 4, false), 0);
    changes.list[0].backup = true;
    changes.list[0].max_conns = 12;
    apply();
    ck_assert_uint_eq(spec.n_servers, 3);
    ck_assert_str_eq(servers[2].name, "[::1]:8080");
    ck_assert_int_eq(servers[2].address.sa.sa_family, AF_INET6);
    ck_assert(servers[2].backup && !servers[2].down && servers[2].route == NULL);
    ck_assert_uint_eq(servers[2].weight, 4);
    ck_assert_uint_eq(servers[2].max_conns, 12);
    ck_assert_uint_eq(servers[2].max_fails, 7);
    ck_assert_uint_eq(servers[2].slow_start_ms, 5000);
}
END_TEST

START_TEST(what_cannot_be_is_told_and_the_rest_is_done)
{
    ck_assert_int_eq(add(CHANGE_DOWN, "10.0.0.7:80", 0, false), 0);
    ck_assert_int_eq(add(CHANGE_ADD, "10.0.0.1:80", 1, false), 0);
    ck_assert_int_eq(add(CHANGE_REMOVE, "10.0.0.2:80", 0, false), 0);
    ck_assert_int_eq(add(CHANGE_WEIGHT, "10.0.0.1:80", 2, false), 0);
    apply();
    ck_assert_str_eq(refused, "down 10.0.0.7:80: the group has no such server;add 10.0.0.1:80: the group has this server already;");
    ck_assert_uint_eq(spec.n_servers, 1);
    ck_assert_uint_eq(servers[0].weight, 2);
}
END_TEST

START_TEST(the_last_server_stays)
{
    ck_assert_int_eq(add(CHANGE_REMOVE, "10.0.0.1:80", 0, false), 0);
    ck_assert_int_eq(add(CHANGE_REMOVE, "10.0.0.2:80", 0, false), 0);
    apply();
    ck_assert_uint_eq(spec.n_servers, 1);
    ck_assert_str_eq(refused, "remove 10.0.0.2:80: it is the last server of the group;");
}
END_TEST

START_TEST(groups_that_are_gone_are_told)
{
    const char *pools[] = {"api", "web"};

    ck_assert_int_eq(add(CHANGE_DOWN, "10.0.0.1:80", 0, false), 0);
    changes_report_unknown(&changes, pools, 2, &report);
    ck_assert_str_eq(refused, "");
    changes_report_unknown(&changes, pools, 1, &report);
    ck_assert_str_eq(refused, "down 10.0.0.1:80: there is no such group;");
}
END_TEST

static const struct {
    const char *text, *name; /* NULL: refused */
} addresses[] = {
    {"10.0.0.5:8080", "10.0.0.5:8080"},
    {"[2001:DB8:0:0::5]:443", "[2001:db8::5]:443"},
    {"unix:/run/app.sock", "unix:/run/app.sock"},
    {"10.0.0.5", NULL},
    {"10.0.0.5:", NULL},
    {"10.0.0.5:0", NULL},
    {"10.0.0.5:65536", NULL},
    {"10.0.0.5:80x", NULL},
    {"10.0.0.5: 80", NULL},
    {"10.0.0:80", NULL},
    {"localhost:80", NULL},
    {"::1:80", NULL},
    {"[::1]", NULL},
    {"[::1]80", NULL},
    {"[::1", NULL},
    {"[]:80", NULL},
    {"[10.0.0.5]:80", NULL},
    {":80", NULL},
    {"", NULL},
    {"unix:", NULL},
    {"unix:relative", NULL},
    {"unix:/0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678", NULL},
};

START_TEST(an_address_is_literal_and_has_one_name)
{
    struct server_address address;
    char name[SERVER_NAME_MAX];
    bool good = changes_read_address(addresses[_i].text, &address, name);

    ck_assert_msg(good == (addresses[_i].name != NULL), "%s", addresses[_i].text);
    if (good)
        ck_assert_str_eq(name, addresses[_i].name);
}
END_TEST

static const char *const bad_files[] = {
    "",
    "fairlead-state 1",
    "fairlead-state 2\n",
    "down web 10.0.0.1:80\n",
    "fairlead-state 1\ndown web 10.0.0.1:80",
    "fairlead-state 1\n\n",
    "fairlead-state 1\ndown web\n",
    "fairlead-state 1\ndown web 10.0.0.1:80 \n",
    "fairlead-state 1\ndown  web 10.0.0.1:80\n",
    "fairlead-state 1\ndown web 10.0.0.1:80 5\n",
    "fairlead-state 1\nsideways web 10.0.0.1:80\n",
    "fairlead-state 1\nweight web 10.0.0.1:80\n",
    "fairlead-state 1\nweight web 10.0.0.1:80 65536\n",
    "fairlead-state 1\nweight web 10.0.0.1:80 -1\n",
    "fairlead-state 1\nweight web 10.0.0.1:80 05\n",
    "fairlead-state 1\nadd web host:80 1 0 primary\n",
    "fairlead-state 1\nadd web 10.0.0.1:80 1 0 second\n",
    "fairlead-state 1\nadd web 10.0.0.1:80 1 0\n",
    "fairlead-state 1\nadd web 10.0.0.1:80 1 4294967296 primary\n",
    "fairlead-state 1\nadd web 10.0.0.1:80 1 0 primary x\n",
    "fairlead-state 1\ndown w%65b 10.0.0.1:80\n",
    "fairlead-state 1\ndown w%2 10.0.0.1:80\n",
    "fairlead-state 1\ndown w%00b 10.0.0.1:80\n",
    "fairlead-state 1\ndown w\tb 10.0.0.1:80\n",
};

START_TEST(a_state_file_that_we_did_not_write_is_refused_whole)
{
    char error[256] = "";

    ck_assert_int_eq(changes_parse(bad_files[_i], strlen(bad_files[_i]), &changes, error, sizeof(error)), -EINVAL);
    ck_assert_uint_eq(changes.n, 0);
    ck_assert_ptr_null(changes.list);
    ck_assert_str_ne(error, "");
}
END_TEST

START_TEST(a_nul_is_refused)
{
    static const char text[] = "fairlead-state 1\ndown web 10.0.0.1:80\0\n";
    char error[256];

    ck_assert_int_eq(changes_parse(text, sizeof(text) - 1, &changes, error, sizeof(error)), -EINVAL);
    ck_assert_str_eq(error, "line 2 is too long, or holds a NUL");
}
END_TEST

static void path_of(char *path, size_t size, const char *name)
{
    snprintf(path, size, "%s/%s", getenv("FAIRLEAD_CHANGES_DIR"), name);
}

START_TEST(what_was_written_is_read_again)
{
    struct changes again;
    struct stat status;
    char path[4096], temporary[5000], error[512] = "";

    path_of(path, sizeof(path), "state");
    snprintf(temporary, sizeof(temporary), "%s.new", path);
    ck_assert_int_eq(add(CHANGE_ADD, "unix:/run/a b%.sock", 4, true), 0);
    changes.list[0].backup = true;
    changes.list[0].max_conns = 17;
    ck_assert_int_eq(add(CHANGE_WEIGHT, "10.0.0.1:80", 0, true), 0);
    ck_assert_int_eq(add(CHANGE_DOWN, "10.0.0.1:80", 0, false), 0);
    ck_assert_int_eq(add(CHANGE_DRAIN, "10.0.0.2:80", 0, true), 0);
    ck_assert_msg(changes_write(path, &changes, error, sizeof(error)) == 0, "%s", error);
    ck_assert_msg(changes_read(path, &again, error, sizeof(error)) == 0, "%s", error);
    forget();
    ck_assert_uint_eq(again.n, changes.n);
    ck_assert_uint_eq(again.n, 3);
    for (size_t i = 0; i < again.n; i++)
        ck_assert_mem_eq(&again.list[i], &changes.list[i], sizeof(again.list[i]));
    ck_assert_int_ne(stat(temporary, &status), 0);
    changes_fini(&again);
}
END_TEST

START_TEST(a_state_file_that_is_not_there_holds_nothing)
{
    char path[4096], error[512] = "";

    path_of(path, sizeof(path), "nothing");
    ck_assert_int_eq(changes_read(path, &changes, error, sizeof(error)), 0);
    ck_assert_uint_eq(changes.n, 0);
    ck_assert_str_eq(error, "");
}
END_TEST

START_TEST(a_broken_state_file_is_named_with_its_line)
{
    char path[4096], error[512] = "";
    FILE *file;

    path_of(path, sizeof(path), "broken");
    file = fopen(path, "w");
    fputs("fairlead-state 1\nup web 10.0.0.1:80\nhello\n", file);
    fclose(file);
    ck_assert_int_eq(changes_read(path, &changes, error, sizeof(error)), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error, path));
    ck_assert_ptr_nonnull(strstr(error, "line 3"));
    ck_assert_uint_eq(changes.n, 0);
}
END_TEST

START_TEST(what_cannot_be_written_leaves_the_old_file)
{
    struct changes again;
    char path[4096], blocked[5000], error[512] = "";

    path_of(path, sizeof(path), "kept");
    snprintf(blocked, sizeof(blocked), "%s.new", path);
    ck_assert_int_eq(add(CHANGE_DOWN, "10.0.0.1:80", 0, true), 0);
    ck_assert_int_eq(changes_write(path, &changes, error, sizeof(error)), 0);
    ck_assert_int_eq(mkdir(blocked, 0700), 0);
    ck_assert_int_eq(add(CHANGE_DOWN, "10.0.0.2:80", 0, true), 0);
    ck_assert_int_lt(changes_write(path, &changes, error, sizeof(error)), 0);
    ck_assert_ptr_nonnull(strstr(error, path));
    ck_assert_int_eq(changes_read(path, &again, error, sizeof(error)), 0);
    ck_assert_uint_eq(again.n, 1);
    changes_fini(&again);
    rmdir(blocked);
}
END_TEST

static void remove_all(const char *directory)
{
    static const char *const names[] = {"state", "broken", "kept"};
    char path[4096];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
        unlink(path);
    }
    rmdir(directory);
}

int main(void)
{
    char directory[] = "/tmp/fairlead-changes-XXXXXX";
    Suite *suite = suite_create("changes");
    TCase *tests = tcase_create("promises");
    SRunner *runner = srunner_create(suite);
    int failed;

    if (!mkdtemp(directory) || setenv("FAIRLEAD_CHANGES_DIR", directory, 1) != 0)
        return EXIT_FAILURE;
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, the_later_word_about_a_server_wins);
    tcase_add_test(tests, what_persists_outlives_what_does_not);
    tcase_add_test(tests, a_server_added_and_removed_leaves_nothing);
    tcase_add_test(tests, a_configured_server_removed_added_and_removed_stays_away);
    tcase_add_test(tests, a_server_added_and_then_configured_can_be_removed);
    tcase_add_test(tests, a_removal_that_does_not_persist_leaves_the_addition_that_does);
    tcase_add_loop_test(tests, additions_and_removals_may_be_repeated, 0, 2 * 64);
    tcase_add_test(tests, the_list_is_bounded);
    tcase_add_test(tests, a_copy_is_its_own);
    tcase_add_test(tests, what_concerns_another_group_changes_nothing);
    tcase_add_test(tests, modes_and_weights_go_into_the_copy_only);
    tcase_add_test(tests, a_server_that_is_added_is_like_the_first_one);
    tcase_add_test(tests, what_cannot_be_is_told_and_the_rest_is_done);
    tcase_add_test(tests, the_last_server_stays);
    tcase_add_test(tests, groups_that_are_gone_are_told);
    tcase_add_loop_test(tests, an_address_is_literal_and_has_one_name, 0, (int)(sizeof(addresses) / sizeof(addresses[0])));
    tcase_add_loop_test(tests, a_state_file_that_we_did_not_write_is_refused_whole, 0, (int)(sizeof(bad_files) / sizeof(bad_files[0])));
    tcase_add_test(tests, a_nul_is_refused);
    tcase_add_test(tests, what_was_written_is_read_again);
    tcase_add_test(tests, a_state_file_that_is_not_there_holds_nothing);
    tcase_add_test(tests, a_broken_state_file_is_named_with_its_line);
    tcase_add_test(tests, what_cannot_be_written_leaves_the_old_file);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    remove_all(directory);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
