/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The promises of control/signaller.h: whom a pid file names, and what an answer over the control socket means. The whole of `fairlead -s` is in tests/e2e/signals.py. */
#include "control/signaller.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[] = "/tmp/fairlead-signaller-XXXXXX";
static char path[64], error[4608];

static void setup(void)
{
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/f", directory);
}

static void teardown(void)
{
    unlink(path);
    rmdir(directory);
}

static pid_t find_in(const char *text)
{
    FILE *file = fopen(path, "w");

    fputs(text, file);
    fclose(file);
    return signaller_find(path, error, sizeof(error));
}

START_TEST(each_word_has_the_signal_that_nginx_gives_it)
{
    ck_assert_int_eq(signaller_signal("reload"), SIGHUP);
    ck_assert_int_eq(signaller_signal("quit"), SIGQUIT);
    ck_assert_int_eq(signaller_signal("stop"), SIGTERM);
    ck_assert_int_eq(signaller_signal("reopen"), SIGUSR1);
    ck_assert_int_eq(signaller_signal("upgrade"), SIGUSR2);
    ck_assert_int_eq(signaller_signal("relod"), 0);
    ck_assert_int_eq(signaller_signal(""), 0);
}
END_TEST

START_TEST(the_process_of_a_pid_file_is_found)
{
    char text[32];

    snprintf(text, sizeof(text), "%d%s", (int)getpid(), _i ? "\n" : "");
    ck_assert_int_eq(find_in(text), getpid());
}
END_TEST

START_TEST(what_is_no_pid_is_refused)
{
    static const char *const values[] = {"", "\n", "x", "12x", "-1", "0", "1", "99999999999", "12 13", "+5", " 5"};

    ck_assert_int_eq(find_in(values[_i]), 0);
    ck_assert_ptr_nonnull(strstr(error, "invalid PID number \""));
    ck_assert_ptr_nonnull(strstr(error, path));
}
END_TEST

START_TEST(a_pid_file_that_is_not_there_is_told_as_nginx_tells_it)
{
    ck_assert_int_eq(signaller_find("/nonexistent/fairlead.pid", error, sizeof(error)), 0);
    ck_assert_str_eq(error, "open() \"/nonexistent/fairlead.pid\" failed (2: No such file or directory)");
}
END_TEST

START_TEST(another_program_is_not_signalled)
{
    char *arguments[] = {(char *)"sleep", (char *)"60", NULL};
    char text[32], wanted[64];
    int ends[2];
    pid_t pid;

    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        execvp("sleep", arguments);
        _exit(1);
    }
    close(ends[1]);
    ck_assert_int_eq(read(ends[0], text, 1), 0); /* it is another program now */
    close(ends[0]);
    snprintf(text, sizeof(text), "%d\n", (int)pid);
    ck_assert_int_eq(find_in(text), 0);
    snprintf(wanted, sizeof(wanted), "process %d, which \"", (int)pid);
    ck_assert_int_eq(strncmp(error, wanted, strlen(wanted)), 0);
    ck_assert_ptr_nonnull(strstr(error, "is not fairlead but \"sleep\""));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}
END_TEST

/* ---- Asking ---- */

static int listening;
static char asked[64];

/* Answers one request and closes. */
static void *serve(void *text)
{
    int fd = accept(listening, NULL, NULL);
    ssize_t n = recv(fd, asked, sizeof(asked) - 1, 0);

    asked[n < 0 ? 0 : n] = '\0';
    (void)!write(fd, text, strlen(text));
    close(fd);
    return NULL;
}

static int ask(const char *answer)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    pthread_t thread;
    int result;

    strcpy(address.sun_path, path);
    listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(listening, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(listening, 1), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, serve, (void *)(uintptr_t)answer), 0);
    result = signaller_ask(path, "reload", error, sizeof(error));
    pthread_join(thread, NULL);
    close(listening);
    return result;
}

START_TEST(an_answer_is_what_its_first_word_says)
{
    static const struct {
        const char *text, *told;
        int result;
    } answers[] = {
        {"ok\n", "", 0},
        {"ok generation=2\nmore\n", "", 0},
        {"error host not found in f.conf:3\n", "host not found in f.conf:3", 1},
        {"error first f.conf:3\nsecond f.conf:4\n", "first f.conf:3\nsecond f.conf:4", 1},
        {"okay\n", "", -EPROTO},
        {"errors\n", "", -EPROTO},
        {"", "", -EPROTO},
        {"\n", "", -EPROTO},
    };

    ck_assert_int_eq(ask(answers[_i].text), answers[_i].result);
    ck_assert_str_eq(asked, "reload\n");
    ck_assert_str_eq(error, answers[_i].told);
}
END_TEST

START_TEST(that_nobody_listens_is_told_from_a_wrong_answer)
{
    char long_path[200];

    ck_assert_int_eq(signaller_ask(path, "reload", error, sizeof(error)), -ENOENT);
    (void)find_in("x");
    ck_assert_int_eq(signaller_ask(path, "reload", error, sizeof(error)), -ECONNREFUSED);
    memset(long_path, 'x', sizeof(long_path) - 1);
    long_path[sizeof(long_path) - 1] = '\0';
    ck_assert_int_eq(signaller_ask(long_path, "reload", error, sizeof(error)), -ENAMETOOLONG);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("signaller");
    TCase *tests = tcase_create("promises");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, each_word_has_the_signal_that_nginx_gives_it);
    tcase_add_loop_test(tests, the_process_of_a_pid_file_is_found, 0, 2);
    tcase_add_loop_test(tests, what_is_no_pid_is_refused, 0, 11);
    tcase_add_test(tests, a_pid_file_that_is_not_there_is_told_as_nginx_tells_it);
    tcase_add_test(tests, another_program_is_not_signalled);
    tcase_add_loop_test(tests, an_answer_is_what_its_first_word_says, 0, 8);
    tcase_add_test(tests, that_nobody_listens_is_told_from_a_wrong_answer);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
