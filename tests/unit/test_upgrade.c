/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The promises of control/upgrade.h. The new process is this program, called with a way to behave in UPGRADE_TEST_CHILD; a malformed upgrade is written by
 * hand into the channel of this process.
 */
#include "control/upgrade.h"
#include "control/upgrade_message.h"

#include "engine/clock.h"
#include "engine/log.h"

#include "listener_queue.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BEHAVIOUR   "UPGRADE_TEST_CHILD"
#define LONG_PART   200000u
#define PATIENCE_MS 20000

static char self[4096];
static char *arguments[] = {(char *)"fairlead", (char *)"-c", (char *)"file", NULL};

/* ---- The child ---- */

static int open_files(void)
{
    DIR *directory = opendir("/proc/self/fd");
    int n = 0;

    while (readdir(directory))
        n++;
    closedir(directory);
    return n - 3; /* ".", ".." and the directory itself */
}

static bool is_as_given(const struct upgrade_gift *gift, const struct listeners *listeners, int argc)
{
    const struct upgrade_part *part = upgrade_gift_part(gift, "states"), *empty = upgrade_gift_part(gift, "empty");
    unsigned n = 0, files = 0;
    sigset_t blocked;

    for (const struct listener *listener = listeners_first(listeners); listener; listener = listener->next) {
        n += listener->n_fds;
        files += listener->file_is_ours;
    }
    sigprocmask(SIG_SETMASK, NULL, &blocked);
    for (size_t i = 0; part && i < part->len; i++)
        if (((const char *)part->data)[i] != (char)(i % 251))
            return false;
    return part && part->len == LONG_PART && empty && empty->len == 0 && !upgrade_gift_part(gift, "nothing") &&
           n == (unsigned)atoi(getenv("UPGRADE_TEST_SOCKETS")) && files <= 1 && argc == 3 &&
           open_files() == (int)n + 4 && !sigismember(&blocked, SIGHUP) && signal(SIGPIPE, SIG_DFL) == SIG_DFL &&
           !getenv("WATCHDOG_PID") && !getenv("LISTEN_FDS") && !upgrade_is_child();
}

/* Accepts one connection, greets it, and ends. */
static void serve_one(const struct listeners *listeners)
{
    int fd = accept(listeners_first(listeners)->fds[0], NULL, NULL);

    (void)!write(fd, "new", 3);
    close(fd);
}

static int behave_well(const char *how, int argc)
{
    struct listeners *listeners = NULL;
    struct upgrade_gift *gift = NULL;
    char error[256] = "";

    if (listeners_create(&listeners) != 0 || upgrade_receive(listeners, &gift, error, sizeof(error)) != 0)
        return 4;
    if (strcmp(how, "fail") == 0) {
        upgrade_tell_failed(gift, "the file is\nwrong");
        return 7;
    }
    if (!is_as_given(gift, listeners, argc)) {
        upgrade_tell_failed(gift, "not as given");
        return 5;
    }
    if (upgrade_tell_ready(gift) != 0)
        return 6;
    upgrade_gift_destroy(gift);
    if (strcmp(how, "serve") == 0)
        serve_one(listeners);
    return 0;
}

static void answer(uint32_t magic, uint16_t version, uint16_t kind, const char *text)
{
    struct upgrade_header header = {magic, version, kind, 0, 0};

    (void)!upgrade_send(3, &header, text, strlen(text), NULL, 0);
}

static int behave(const char *how, int argc)
{
    if (strcmp(how, "exit") == 0)
        return 3;
    if (strcmp(how, "crash") == 0)
        raise(SIGKILL);
    if (strcmp(how, "hang") == 0)
        pause();
    if (strcmp(how, "close") == 0) {
        close(3);
        pause();
    }
    if (strcmp(how, "orphan") == 0) { /* its own child keeps the channel */
        if (fork() == 0) {
            alarm(20);
            pause();
        }
        return 9;
    }
    if (strcmp(how, "noise") == 0)
        (void)!send(3, "noise and more noise", 20, 0);
    if (strcmp(how, "magic") == 0)
        answer(1, UPGRADE_VERSION, UPGRADE_IS_READY, "");
    if (strcmp(how, "early") == 0)
        answer(UPGRADE_MAGIC, UPGRADE_VERSION, UPGRADE_IS_READY, "");
    if (strcmp(how, "hello") == 0)
        answer(UPGRADE_MAGIC, UPGRADE_VERSION, UPGRADE_HELLO, "");
    if (strcmp(how, "other") == 0)
        answer(UPGRADE_MAGIC, UPGRADE_VERSION + 1, UPGRADE_HAS_FAILED, "version 2 takes no version 1");
    if (strcmp(how, "other") == 0)
        return 8;
    if (strcmp(how, "noise") == 0 || strcmp(how, "magic") == 0 || strcmp(how, "early") == 0 || strcmp(how, "hello") == 0)
        pause();
    return behave_well(how, argc);
}

/* ---- The old process ---- */

static struct listeners *listeners;
static struct listen listens[2];
static struct config config = {.n_listens = 2, .listens = listens};
static struct listener *opened[2];
static char directory[] = "/tmp/fairlead-upgrade-XXXXXX";
static char error[512];
static char states[LONG_PART];
static struct upgrade_part parts[] = {{"states", states, LONG_PART}, {"empty", NULL, 0}};
static struct upgrade_offer offer;

static void open_sockets(unsigned n)
{
    char text[16];

    listens[0] = (struct listen){.name = "IP", .backlog = 16, .address = {.len = sizeof(struct sockaddr_in)}};
    listens[0].address.in = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    listens[1] = (struct listen){.name = "PATH", .backlog = 16, .address = {.len = sizeof(struct sockaddr_un)}};
    listens[1].address.un.sun_family = AF_UNIX;
    snprintf(listens[1].address.un.sun_path, sizeof(listens[1].address.un.sun_path), "%s/s", directory);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    socklen_t len = sizeof(struct sockaddr_in);
    ck_assert_int_eq(bind(fd, &listens[0].address.sa, len), 0);
    ck_assert_int_eq(getsockname(fd, &listens[0].address.sa, &len), 0);
    close(fd);
    ck_assert_msg(listeners_open(listeners, &config, n, opened, error, sizeof(error)) == 0, "%s", error);
    snprintf(text, sizeof(text), "%u", n + 1);
    setenv("UPGRADE_TEST_SOCKETS", text, 1);
}

static void setup(void)
{
    const struct log_config nowhere = {.level = LOG_DEBUG, .queue_size = 4 * LOG_LINE_MAX};
    const char *path;

    ck_assert_int_eq(log_open(&nowhere, &path), 0);
    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert_int_eq(listeners_create(&listeners), 0);
    for (size_t i = 0; i < LONG_PART; i++)
        states[i] = (char)(i % 251);
    offer = (struct upgrade_offer){self, arguments, listeners, 2, parts, PATIENCE_MS};
}

static void teardown(void)
{
    listeners_destroy(listeners);
    rmdir(directory);
}

/* Until it is over. The text is in `error`. */
static enum upgrade_state upgrade_as(const char *how)
{
    struct upgrade *upgrade;
    enum upgrade_state state = UPGRADE_PENDING;
    int before = open_files();
    uint64_t give_up_ns = clock_monotonic_ns() + 2ull * PATIENCE_MS * 1000000u;

    setenv(BEHAVIOUR, how, 1);
    ck_assert_msg(upgrade_start(&offer, &upgrade, error, sizeof(error)) == 0, "%s", error);
    while (state == UPGRADE_PENDING) {
        struct pollfd ready = {.fd = upgrade_fd(upgrade), .events = POLLIN};

        ck_assert(clock_monotonic_ns() < give_up_ns);
        ck_assert_int_ge(poll(&ready, 1, upgrade_timeout_ms(upgrade, 1000)), 0);
        state = upgrade_run(upgrade);
    }
    ck_assert_int_eq(upgrade_run(upgrade), state);
    snprintf(error, sizeof(error), "%s", upgrade_text(upgrade));
    ck_assert_int_gt(upgrade_pid(upgrade), 0);
    upgrade_destroy(upgrade);
    ck_assert_int_eq(open_files(), before);
    return state;
}

START_TEST(the_new_process_gets_the_sockets_and_what_the_old_one_knows)
{
    sigset_t blocked;

    /* The second time more than fit into one message. */
    open_sockets(_i ? 2 * UPGRADE_FDS_PER_PACKET + 3 : 2);
    setenv("LISTEN_FDS", "1", 1);
    setenv("WATCHDOG_PID", "1", 1);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGHUP);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    signal(SIGPIPE, SIG_IGN);
    int leaked = dup(0); /* without CLOEXEC: it must not reach the child */
    ck_assert_msg(upgrade_as("ready") == UPGRADE_READY, "%s", error);
    close(leaked);
}
END_TEST

START_TEST(who_waits_in_the_queue_is_served_by_the_new_process)
{
    char greeting[3];
    int client;

    open_sockets(1);
    listener_put(opened[1]);
    setenv("UPGRADE_TEST_SOCKETS", "1", 1);
    client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(client, &listens[0].address.sa, listens[0].address.len), 0);
    ck_assert_msg(upgrade_as("serve") == UPGRADE_READY, "%s", error);
    listeners_give_away(listeners);
    listener_put(opened[0]);
    ck_assert_int_eq(recv(client, greeting, 3, MSG_WAITALL), 3);
    ck_assert_int_eq(memcmp(greeting, "new", 3), 0);
    close(client);
}
END_TEST

static const struct {
    const char *how, *text;
    int timeout_ms;
} failures[] = {
    {"fail", "the file is?wrong; exit status 7", 0},
    {"exit", "it ended or closed its channel before it was ready; exit status 3", 0},
    {"crash", "it ended or closed its channel before it was ready; ended by signal 9", 0},
    {"hang", "it was not ready in time; ended by signal 9 that it was sent for that", 50},
    {"close", "it ended or closed its channel before it was ready; ended by signal 9 that it was sent for that", 0},
    {"orphan", "it ended or closed its channel before it was ready; exit status 9", 0},
    {"noise", "its answer is no answer; ended by signal 9 that it was sent for that", 0},
    {"magic", "its answer is no answer; ended by signal 9 that it was sent for that", 0},
    {"early", "its answer is no answer; ended by signal 9 that it was sent for that", 0},
    {"hello", "its answer is no answer; ended by signal 9 that it was sent for that", 0},
    {"other", "version 2 takes no version 1; exit status 8", 0},
};
#define N_FAILURES ((int)(sizeof(failures) / sizeof(failures[0])))

START_TEST(a_new_process_that_fails_leaves_the_old_one_as_it_was)
{
    int client;

    open_sockets(1);
    if (failures[_i].timeout_ms)
        offer.timeout_ms = failures[_i].timeout_ms;
    /* More than the channel holds: so this one answers before all has been sent. */
    if (strcmp(failures[_i].how, "early") == 0)
        parts[0] = (struct upgrade_part){"big", calloc(1, 8u << 20), 8u << 20};
    ck_assert_int_eq(upgrade_as(failures[_i].how), UPGRADE_FAILED);
    ck_assert_str_eq(error, failures[_i].text);
    client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(client, &listens[0].address.sa, listens[0].address.len), 0);
    ck_assert(listener_has_waiting(opened[0]));
    close(client);
}
END_TEST

START_TEST(what_cannot_be_executed_is_told_at_once)
{
    struct upgrade *upgrade;

    offer.binary = "/nonexistent/fairlead";
    ck_assert_int_eq(upgrade_start(&offer, &upgrade, error, sizeof(error)), -ENOENT);
    ck_assert_str_eq(error, "cannot start \"/nonexistent/fairlead\" (2: No such file or directory)");
    ck_assert_ptr_null(upgrade);
}
END_TEST

START_TEST(a_pending_child_is_ended_with_the_upgrade)
{
    struct upgrade *upgrade;

    setenv(BEHAVIOUR, "hang", 1);
    ck_assert_int_eq(upgrade_start(&offer, &upgrade, error, sizeof(error)), 0);
    pid_t pid = upgrade_pid(upgrade);
    ck_assert_int_eq(upgrade_run(upgrade), UPGRADE_PENDING);
    upgrade_destroy(upgrade);
    ck_assert_int_eq(kill(pid, 0), -1);
    ck_assert_int_eq(errno, ESRCH);
}
END_TEST

START_TEST(the_binary_is_found_as_the_shell_found_it)
{
    char path[64], tiny[4];

    ck_assert_int_eq(upgrade_find_binary("/bin/sh", path, sizeof(path)), 0);
    ck_assert_str_eq(path, "/bin/sh"); /* not what the link leads to */
    setenv("PATH", "relative:/nonexistent:/bin", 1);
    ck_assert_int_eq(upgrade_find_binary("sh", path, sizeof(path)), 0);
    ck_assert_str_eq(path, "/bin/sh");
    ck_assert_int_eq(chdir("/bin"), 0);
    ck_assert_int_eq(upgrade_find_binary("./sh", path, sizeof(path)), 0);
    ck_assert_int_eq(access(path, X_OK), 0);
    ck_assert_int_eq(upgrade_find_binary("no-such-program", path, sizeof(path)), -ENOENT);
    ck_assert_int_eq(upgrade_find_binary("/bin/sh", tiny, sizeof(tiny)), -ENAMETOOLONG);
}
END_TEST

/* ---- Malformed upgrades ---- */

static int ends[2];
static int sockets[3];

static void begin_by_hand(void)
{
    char text[16];

    setup();
    open_sockets(2);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    snprintf(text, sizeof(text), "%d", ends[1]);
    setenv(UPGRADE_VARIABLE, text, 1);
    for (int i = 0; i < 2; i++)
        sockets[i] = opened[0]->fds[i];
    sockets[2] = ends[0]; /* listens to nobody */
}

/* A step: kind, a, b, bytes of the body, descriptors from sockets[first]. */
struct packet {
    int kind;
    uint32_t a, b;
    const char *body;
    unsigned len, first, n_fds;
    uint16_t version;
    uint32_t magic;
};

static const struct script {
    const char *text; /* of the refusal; NULL: it is received */
    struct packet packets[8];
} scripts[] = {
    {NULL, {{.kind = UPGRADE_HELLO}, {.kind = UPGRADE_END}}},
    {NULL, {{.kind = UPGRADE_HELLO, .a = 2}, {.kind = UPGRADE_SOCKETS, .a = 2, .body = "\1\1", .len = 2, .n_fds = 2}, {.kind = UPGRADE_END}}},
    {NULL, {{.kind = UPGRADE_HELLO, .a = 2}, {.kind = UPGRADE_SOCKETS, .a = 1, .body = "", .len = 1, .n_fds = 1}, {.kind = UPGRADE_SOCKETS, .a = 1, .body = "", .len = 1, .first = 1, .n_fds = 1}, {.kind = UPGRADE_END}}},
    {NULL, {{.kind = UPGRADE_HELLO, .b = 2}, {.kind = UPGRADE_PART, .a = 3, .body = "a", .len = 1}, {.kind = UPGRADE_DATA, .body = "12", .len = 2}, {.kind = UPGRADE_DATA, .body = "3", .len = 1}, {.kind = UPGRADE_PART, .body = "b", .len = 1}, {.kind = UPGRADE_END}}},
    {"began with a wrong message", {{.kind = UPGRADE_END}}},
    {"began with a wrong message", {{.kind = UPGRADE_SOCKETS, .a = 1, .body = "", .len = 1, .n_fds = 1}}},
    {"began with a wrong message", {{.kind = UPGRADE_HELLO, .a = LISTENER_FDS_MAX + 1}}},
    {"began with a wrong message", {{.kind = UPGRADE_HELLO, .b = UPGRADE_PARTS_MAX + 1}}},
    {"offers an upgrade of version 2, and this one takes version 1", {{.kind = UPGRADE_HELLO, .version = 2}}},
    {"no message", {{.kind = UPGRADE_HELLO, .magic = 7}}},
    {"no message", {{.kind = -1, .body = "short", .len = 5}}},
    {"no message", {{.kind = UPGRADE_HELLO, .b = 1}, {.kind = UPGRADE_PART, .a = 60000, .body = "a", .len = 1}, {.kind = UPGRADE_DATA, .len = UPGRADE_BODY_MAX + 1}}},
    {"a message of the upgrade is wrong", {{.kind = UPGRADE_HELLO}, {.kind = UPGRADE_HELLO}}},
    {"a message of the upgrade is wrong", {{.kind = UPGRADE_HELLO}, {.kind = UPGRADE_IS_READY}}},
    {"a message of the upgrade is wrong", {{.kind = UPGRADE_HELLO}, {.kind = 99}}},
    {"a message of the upgrade is wrong", {{.kind = UPGRADE_HELLO}, {.kind = UPGRADE_END, .version = 2}}},
    {"a message of the upgrade is wrong", {{.kind = UPGRADE_HELLO}, {.kind = UPGRADE_END, .n_fds = 1}}},
    {"a message of the upgrade is wrong, or comes too early", {{.kind = UPGRADE_HELLO, .a = 1}, {.kind = UPGRADE_END}}},
    {"a message of the upgrade is wrong, or comes too early", {{.kind = UPGRADE_HELLO, .b = 1}, {.kind = UPGRADE_END}}},
    {"a message of the upgrade is wrong, or comes too early", {{.kind = UPGRADE_HELLO, .b = 1}, {.kind = UPGRADE_PART, .a = 3, .body = "a", .len = 1}, {.kind = UPGRADE_END}}},
    {"sockets of the upgrade do not agree", {{.kind = UPGRADE_HELLO, .a = 1}, {.kind = UPGRADE_SOCKETS}}},
    {"sockets of the upgrade do not agree", {{.kind = UPGRADE_HELLO, .a = 1}, {.kind = UPGRADE_SOCKETS, .a = 2, .body = "\0\0", .len = 2, .n_fds = 2}}},
    {"sockets of the upgrade do not agree", {{.kind = UPGRADE_HELLO, .a = 2}, {.kind = UPGRADE_SOCKETS, .a = 2, .body = "", .len = 1, .n_fds = 2}}},
    {"sockets of the upgrade do not agree", {{.kind = UPGRADE_HELLO, .a = 2}, {.kind = UPGRADE_SOCKETS, .a = 1, .body = "\0\0", .len = 2, .n_fds = 2}}},
    {"sockets of the upgrade do not agree", {{.kind = UPGRADE_HELLO}, {.kind = UPGRADE_SOCKETS, .a = 1, .body = "", .len = 1, .n_fds = 1}}},
    {"is not a stream socket that listens", {{.kind = UPGRADE_HELLO, .a = 3}, {.kind = UPGRADE_SOCKETS, .a = 3, .body = "\0\0\0", .len = 3, .n_fds = 3}}},
    {"a part of the upgrade", {{.kind = UPGRADE_HELLO}, {.kind = UPGRADE_PART, .body = "a", .len = 1}}},
    {"a part of the upgrade", {{.kind = UPGRADE_HELLO, .b = 1}, {.kind = UPGRADE_PART, .body = ""}}},
    {"a part of the upgrade", {{.kind = UPGRADE_HELLO, .b = 1}, {.kind = UPGRADE_PART, .body = "a/b", .len = 3}}},
    {"a part of the upgrade", {{.kind = UPGRADE_HELLO, .b = 1}, {.kind = UPGRADE_PART, .body = "a\0b", .len = 3}}},
    {"a part of the upgrade", {{.kind = UPGRADE_HELLO, .b = 1}, {.kind = UPGRADE_PART, .body = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", .len = 64}}},
    {"a part of the upgrade", {{.kind = UPGRADE_HELLO, .b = 1}, {.kind = UPGRADE_PART, .a = UPGRADE_PART_MAX + 1, .body = "a", .len = 1}}},
    {"a part of the upgrade", {{.kind = UPGRADE_HELLO, .b = 2}, {.kind = UPGRADE_PART, .a = 1, .body = "a", .len = 1}, {.kind = UPGRADE_PART, .a = 1, .body = "b", .len = 1}}},
    {"a part of the upgrade", {{.kind = UPGRADE_HELLO, .a = 1, .b = 1}, {.kind = UPGRADE_PART, .a = 1, .body = "a", .len = 1}}},
    {"data of the upgrade", {{.kind = UPGRADE_HELLO, .b = 1}, {.kind = UPGRADE_DATA, .body = "a", .len = 1}}},
    {"data of the upgrade", {{.kind = UPGRADE_HELLO, .b = 1}, {.kind = UPGRADE_PART, .a = 2, .body = "a", .len = 1}, {.kind = UPGRADE_DATA, .body = ""}}},
    {"data of the upgrade", {{.kind = UPGRADE_HELLO, .b = 1}, {.kind = UPGRADE_PART, .a = 2, .body = "a", .len = 1}, {.kind = UPGRADE_DATA, .body = "123", .len = 3}}},
    {"ended in the middle", {{.kind = UPGRADE_HELLO, .b = 1}}},
};
#define N_SCRIPTS ((int)(sizeof(scripts) / sizeof(scripts[0])))

static void send_packet(const struct packet *packet)
{
    static const char zeroes[UPGRADE_BODY_MAX + 1];
    struct upgrade_header header = {packet->magic ? packet->magic : UPGRADE_MAGIC,
                                    packet->version ? packet->version : (uint16_t)UPGRADE_VERSION,
                                    (uint16_t)packet->kind, packet->a, packet->b};

    if (packet->kind < 0)
        ck_assert_int_eq(send(ends[0], packet->body, packet->len, 0), (int)packet->len);
    else
        ck_assert_int_eq(upgrade_send(ends[0], &header, packet->body ? packet->body : zeroes, packet->len,
                                      sockets + packet->first, packet->n_fds), 0);
}

START_TEST(a_malformed_upgrade_is_refused_and_leaves_nothing_open)
{
    const struct script *script = &scripts[_i];
    struct listeners *received;
    struct upgrade_gift *gift;
    struct upgrade_message reply;
    int code, before;

    for (const struct packet *packet = script->packets; packet->kind; packet++)
        send_packet(packet);
    ck_assert_int_eq(shutdown(ends[0], SHUT_WR), 0);
    ck_assert_int_eq(listeners_create(&received), 0);
    before = open_files() - 1; /* the child's end is closed by it */
    error[0] = '\0';
    code = upgrade_receive(received, &gift, error, sizeof(error));
    ck_assert(!upgrade_is_child());
    if (script->text) {
        ck_assert_int_lt(code, 0);
        ck_assert_msg(strstr(error, script->text) != NULL, "%s", error);
        ck_assert_int_eq(upgrade_get(ends[0], &reply), 1);
        ck_assert_uint_eq(reply.header.kind, UPGRADE_HAS_FAILED);
        ck_assert_int_eq(strncmp(reply.body, error, reply.len), 0);
    } else {
        ck_assert_msg(code == 0, "%s", error);
        upgrade_gift_destroy(gift);
    }
    listeners_give_away(received);
    listeners_destroy(received);
    ck_assert_int_eq(open_files(), before);
}
END_TEST

START_TEST(a_variable_that_names_no_channel_is_refused)
{
    static const char *const values[] = {"", "x", "-1", "0", "2", "3x", "99999999999999999999", "9999", "1048577"};
    struct listeners *received;
    struct upgrade_gift *gift;

    ck_assert_int_eq(listeners_create(&received), 0);
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        setenv(UPGRADE_VARIABLE, values[i], 1);
        ck_assert_int_eq(upgrade_receive(received, &gift, error, sizeof(error)), -EINVAL);
        ck_assert_ptr_null(gift);
    }
    listeners_destroy(received);
}
END_TEST

START_TEST(to_be_ready_when_the_old_process_is_gone_is_an_error_that_does_no_harm)
{
    struct listeners *received;
    struct upgrade_gift *gift;
    struct packet hello = {.kind = UPGRADE_HELLO}, end = {.kind = UPGRADE_END};

    ck_assert_int_eq(listeners_create(&received), 0);
    send_packet(&hello);
    send_packet(&end);
    ck_assert_int_eq(upgrade_receive(received, &gift, error, sizeof(error)), 0);
    close(ends[0]);
    ck_assert_int_eq(upgrade_tell_ready(gift), -EPIPE);
    upgrade_gift_destroy(gift);
    listeners_destroy(received);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("upgrade");
    TCase *tests = tcase_create("promises"), *by_hand = tcase_create("malformed");
    SRunner *runner = srunner_create(suite);
    const char *how = getenv(BEHAVIOUR);
    int failed;

    (void)argv;
    if (how && getenv(UPGRADE_VARIABLE))
        _exit(behave(how, argc)); /* it ends as it is: a sanitizer would give a status of its own for what it still holds */
    if (readlink("/proc/self/exe", self, sizeof(self) - 1) <= 0)
        return EXIT_FAILURE;
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, the_new_process_gets_the_sockets_and_what_the_old_one_knows, 0, 2);
    tcase_add_test(tests, who_waits_in_the_queue_is_served_by_the_new_process);
    tcase_add_loop_test(tests, a_new_process_that_fails_leaves_the_old_one_as_it_was, 0, N_FAILURES);
    tcase_add_test(tests, what_cannot_be_executed_is_told_at_once);
    tcase_add_test(tests, a_pending_child_is_ended_with_the_upgrade);
    tcase_add_test(tests, the_binary_is_found_as_the_shell_found_it);
    tcase_add_checked_fixture(by_hand, begin_by_hand, teardown);
    tcase_add_loop_test(by_hand, a_malformed_upgrade_is_refused_and_leaves_nothing_open, 0, N_SCRIPTS);
    tcase_add_test(by_hand, a_variable_that_names_no_channel_is_refused);
    tcase_add_test(by_hand, to_be_ready_when_the_old_process_is_gone_is_an_error_that_does_no_harm);
    suite_add_tcase(suite, tests);
    suite_add_tcase(suite, by_hand);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
