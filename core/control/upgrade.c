/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The old process of an upgrade; see upgrade.h. It works on copies, of descriptors too: what is offered stays as it was when the upgrade began, whatever
 * a reload does meanwhile.
 */
#include "control/upgrade.h"

#include "control/upgrade_message.h"
#include "engine/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_CHANNEL 3   /* its number in the child */
#define TEXT_MAX      512u
#define STALL_MS      10  /* the kernel has too many descriptors under way: tried again */
#define PACKETS_MAX   64u /* sent in one call of upgrade_run */

extern char **environ;

/* Of the channel. In ENDING the child has failed and is waited for. */
enum phase { SAYING_HELLO, SENDING_SOCKETS, SENDING_PARTS, SAYING_END, WAITING, ENDING, DONE };

struct copied_part {
    char name[UPGRADE_NAME_MAX];
    char *data; /* owned */
    size_t len;
};

struct upgrade {
    enum upgrade_state state;
    enum phase phase;
    int channel, process, poller; /* owned; -1: closed. process: a pidfd */
    pid_t pid;
    bool reaped, stalled, killed;
    uint64_t deadline_ns;
    size_t n_fds, fds_sent;
    int *fds;                     /* owned copies */
    unsigned char *flags;         /* likewise */
    size_t n_parts, part, offset; /* what is sent next */
    bool named;                   /* the name of `part` has been sent */
    struct copied_part parts[UPGRADE_PARTS_MAX];
    char text[TEXT_MAX];
    struct upgrade_message message; /* scratch for an answer */
};

static int join(const char *directory, size_t len, const char *name, char *path, size_t size)
{
    int n = snprintf(path, size, "%.*s/%s", (int)len, directory, name);

    if (n < 0 || (size_t)n >= size)
        return -ENAMETOOLONG;
    return access(path, X_OK) == 0 ? 0 : -ENOENT;
}

int upgrade_find_binary(const char *argv0, char *path, size_t size)
{
    const char *search = getenv("PATH");
    char here[4096];

    if (strchr(argv0, '/')) {
        if (argv0[0] == '/')
            return join("", 0, argv0 + 1, path, size);
        return getcwd(here, sizeof(here)) ? join(here, strlen(here), argv0, path, size) : -ENOENT;
    }
    while (search) {
        const char *end = strchrnul(search, ':');

        if (*search == '/' && join(search, (size_t)(end - search), argv0, path, size) == 0)
            return 0;
        search = *end ? end + 1 : NULL;
    }
    return -ENOENT;
}

/* Variables that are about the old process, or will be set anew. WATCHDOG_USEC stays: the new process is to answer the watchdog in its place. */
static bool is_ours(const char *variable)
{
    static const char *const names[] = {UPGRADE_VARIABLE "=", "LISTEN_PID=", "LISTEN_FDS=", "LISTEN_FDNAMES=",
                                        "WATCHDOG_PID="};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strncmp(variable, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

static char **make_environment(char *channel)
{
    size_t n = 0, kept = 0;
    char **made;

    while (environ[n])
        n++;
    made = calloc(n + 2, sizeof(*made));
    if (!made)
        return NULL;
    for (size_t i = 0; i < n; i++)
        if (!is_ours(environ[i]))
            made[kept++] = environ[i];
    made[kept] = channel;
    return made;
}

/* The child begins with default signals, none blocked, the three usual descriptors and its end of the channel. */
static int spawn(const struct upgrade_offer *offer, int channel, pid_t *pid)
{
    char variable[] = UPGRADE_VARIABLE "=" "3";
    char **environment = make_environment(variable);
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    int error;

    if (!environment)
        return -ENOMEM;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    error = posix_spawn_file_actions_adddup2(&files, channel, CHILD_CHANNEL);
    if (!error)
        error = posix_spawn_file_actions_addclosefrom_np(&files, CHILD_CHANNEL + 1);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (!error)
        error = posix_spawn(pid, offer->binary, &files, &attributes, offer->argv, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    free(environment);
    return -error;
}

static int copy_sockets(struct upgrade *upgrade, const struct listeners *listeners)
{
    const struct listener *first = listeners ? listeners_first(listeners) : NULL;
    size_t n = 0;

    for (const struct listener *listener = first; listener; listener = listener->next)
        n += listener->hushed ? 0 : listener->n_fds;
    upgrade->fds = calloc(n + 1, sizeof(*upgrade->fds));
    upgrade->flags = calloc(n + 1, sizeof(*upgrade->flags));
    if (!upgrade->fds || !upgrade->flags)
        return -ENOMEM;
    for (const struct listener *listener = first; listener; listener = listener->next)
        for (unsigned i = 0; !listener->hushed && i < listener->n_fds; i++) {
            int fd = fcntl(listener->fds[i], F_DUPFD_CLOEXEC, 0);

            if (fd < 0)
                return -errno;
            upgrade->flags[upgrade->n_fds] = listener->file_is_ours ? UPGRADE_FILE_IS_OURS : 0;
            upgrade->fds[upgrade->n_fds++] = fd;
        }
    return 0;
}

static int copy_parts(struct upgrade *upgrade, const struct upgrade_offer *offer)
{
    if (offer->n_parts > UPGRADE_PARTS_MAX)
        return -E2BIG;
    for (size_t i = 0; i < offer->n_parts; i++) {
        const struct upgrade_part *part = &offer->parts[i];
        struct copied_part *copy = &upgrade->parts[i];

        if (part->len > UPGRADE_PART_MAX || strlen(part->name) >= sizeof(copy->name))
            return -E2BIG;
        copy->data = malloc(part->len + 1);
        if (!copy->data)
            return -ENOMEM;
        memcpy(copy->name, part->name, strlen(part->name));
        if (part->len > 0)
            memcpy(copy->data, part->data, part->len);
        copy->len = part->len;
        upgrade->n_parts++;
    }
    return 0;
}

static void set_deadline(struct upgrade *upgrade, int ms)
{
    upgrade->deadline_ns = clock_monotonic_ns() + (uint64_t)ms * 1000000u;
}

static int watch(struct upgrade *upgrade, int fd, uint32_t events, int operation)
{
    struct epoll_event event = {.events = events};

    return epoll_ctl(upgrade->poller, operation, fd, &event) == 0 ? 0 : -errno;
}

static int start(struct upgrade *upgrade, const struct upgrade_offer *offer)
{
    int ends[2];
    int error = copy_sockets(upgrade, offer->listeners);

    if (!error)
        error = copy_parts(upgrade, offer);
    if (error)
        return error;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return -errno;
    upgrade->channel = ends[0];
    if (fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0 || (upgrade->poller = epoll_create1(EPOLL_CLOEXEC)) < 0) {
        error = -errno;
        close(ends[1]);
        return error;
    }
    error = spawn(offer, ends[1], &upgrade->pid);
    close(ends[1]);
    if (error) {
        upgrade->pid = 0;
        return error;
    }
    upgrade->process = (int)syscall(SYS_pidfd_open, upgrade->pid, 0); /* the kernel sets CLOEXEC */
    if (upgrade->process < 0)
        return -errno;
    error = watch(upgrade, upgrade->process, EPOLLIN, EPOLL_CTL_ADD);
    return error ? error : watch(upgrade, upgrade->channel, EPOLLIN | EPOLLOUT, EPOLL_CTL_ADD);
}

int upgrade_start(const struct upgrade_offer *offer, struct upgrade **result, char *error, size_t size)
{
    struct upgrade *upgrade = calloc(1, sizeof(*upgrade));
    int code;

    *result = NULL;
    if (!upgrade) {
        snprintf(error, size, "out of memory");
        return -ENOMEM;
    }
    upgrade->channel = upgrade->process = upgrade->poller = -1;
    set_deadline(upgrade, offer->timeout_ms > 0 ? offer->timeout_ms : UPGRADE_TIMEOUT_MS);
    code = start(upgrade, offer);
    if (code) {
        snprintf(error, size, "cannot start \"%s\" (%d: %s)", offer->binary, -code, strerror(-code));
        upgrade_destroy(upgrade);
        return code;
    }
    *result = upgrade;
    return 0;
}

static void forget_sockets(struct upgrade *upgrade)
{
    while (upgrade->fds_sent < upgrade->n_fds)
        close(upgrade->fds[upgrade->fds_sent++]);
}

static int send_header(struct upgrade *upgrade, enum upgrade_kind kind, uint32_t a, uint32_t b)
{
    struct upgrade_header header = {UPGRADE_MAGIC, UPGRADE_VERSION, (uint16_t)kind, a, b};

    return upgrade_send(upgrade->channel, &header, NULL, 0, NULL, 0);
}

static int send_sockets(struct upgrade *upgrade)
{
    size_t n = upgrade->n_fds - upgrade->fds_sent;
    int error;

    if (n > UPGRADE_FDS_PER_PACKET)
        n = UPGRADE_FDS_PER_PACKET;
    struct upgrade_header header = {UPGRADE_MAGIC, UPGRADE_VERSION, UPGRADE_SOCKETS, (uint32_t)n, 0};
    error = upgrade_send(upgrade->channel, &header, upgrade->flags + upgrade->fds_sent, n,
                         upgrade->fds + upgrade->fds_sent, n);
    for (size_t i = 0; !error && i < n; i++)
        close(upgrade->fds[upgrade->fds_sent++]);
    return error;
}

static int send_part(struct upgrade *upgrade)
{
    const struct copied_part *part = &upgrade->parts[upgrade->part];
    struct upgrade_header header = {UPGRADE_MAGIC, UPGRADE_VERSION, UPGRADE_PART, (uint32_t)part->len, 0};
    size_t n = part->len - upgrade->offset;
    int error;

    if (!upgrade->named) {
        error = upgrade_send(upgrade->channel, &header, part->name, strlen(part->name), NULL, 0);
        upgrade->named = !error;
    } else {
        if (n > UPGRADE_BODY_MAX)
            n = UPGRADE_BODY_MAX;
        header = (struct upgrade_header){UPGRADE_MAGIC, UPGRADE_VERSION, UPGRADE_DATA, 0, 0};
        error = upgrade_send(upgrade->channel, &header, part->data + upgrade->offset, n, NULL, 0);
        upgrade->offset += error ? 0 : n;
    }
    if (!error && upgrade->offset == part->len) {
        upgrade->part++;
        upgrade->offset = 0;
        upgrade->named = false;
    }
    return error;
}

/* One packet. */
static int send_next(struct upgrade *upgrade)
{
    int error = 0;

    switch (upgrade->phase) {
    case SAYING_HELLO:
        error = send_header(upgrade, UPGRADE_HELLO, (uint32_t)upgrade->n_fds, (uint32_t)upgrade->n_parts);
        break;
    case SENDING_SOCKETS:
        if (upgrade->fds_sent < upgrade->n_fds)
            error = send_sockets(upgrade);
        if (error || upgrade->fds_sent < upgrade->n_fds)
            return error;
        break;
    case SENDING_PARTS:
        if (upgrade->part < upgrade->n_parts)
            error = send_part(upgrade);
        if (error || upgrade->part < upgrade->n_parts)
            return error;
        break;
    default:
        error = send_header(upgrade, UPGRADE_END, 0, 0);
    }
    upgrade->phase += !error;
    return error;
}

/* A child that does not listen any more has most likely said why: that is read before it is judged. */
static void send_more(struct upgrade *upgrade)
{
    int error = 0;

    upgrade->stalled = false;
    for (unsigned i = 0; !error && i < PACKETS_MAX && upgrade->phase < WAITING; i++)
        error = send_next(upgrade);
    if (error == -ETOOMANYREFS || error == -ENOBUFS || error == -ENOMEM)
        upgrade->stalled = true;
    else if (error && error != -EAGAIN && error != -EINTR)
        upgrade->phase = WAITING;
    (void)watch(upgrade, upgrade->channel,
                upgrade->phase < WAITING && !upgrade->stalled ? EPOLLIN | EPOLLOUT : EPOLLIN, EPOLL_CTL_MOD);
}

/* From now on only the child's end is waited for. */
static void give_up(struct upgrade *upgrade, bool at_once, const char *reason, size_t len)
{
    size_t n = 0;

    for (; n < len && n < sizeof(upgrade->text) - 100; n++)
        upgrade->text[n] = reason[n] >= ' ' && reason[n] <= '~' ? reason[n] : '?';
    upgrade->text[n] = '\0';
    upgrade->phase = ENDING;
    close(upgrade->channel);
    upgrade->channel = -1;
    forget_sockets(upgrade);
    set_deadline(upgrade, at_once ? 0 : UPGRADE_END_MS);
}

static bool has_ended(const struct upgrade *upgrade)
{
    struct pollfd process = {.fd = upgrade->process, .events = POLLIN};

    return poll(&process, 1, 0) == 1;
}

static void read_answer(struct upgrade *upgrade)
{
    static const char closed[] = "it ended or closed its channel before it was ready", garbage[] = "its answer is no answer";
    const struct upgrade_header *header = &upgrade->message.header;
    int result = upgrade_get(upgrade->channel, &upgrade->message);

    /* A process of the child's own may hold the channel open after its end. */
    if (result == -EAGAIN && !has_ended(upgrade))
        return;
    if (result == -EAGAIN || result == 0 || result == -ECONNRESET) {
        give_up(upgrade, false, closed, sizeof(closed) - 1);
        return;
    }
    if (result > 0)
        upgrade_close_fds(&upgrade->message);
    if (result > 0 && header->kind == UPGRADE_HAS_FAILED) {
        give_up(upgrade, false, upgrade->message.body, upgrade->message.len);
    } else if (result > 0 && header->kind == UPGRADE_IS_READY && header->version == UPGRADE_VERSION &&
               upgrade->phase == WAITING && upgrade->fds_sent == upgrade->n_fds && upgrade->part == upgrade->n_parts) {
        upgrade->phase = DONE;
        upgrade->state = UPGRADE_READY;
    } else {
        give_up(upgrade, true, garbage, sizeof(garbage) - 1);
    }
}

static void reap(struct upgrade *upgrade)
{
    size_t len = strlen(upgrade->text);
    int status;

    if (waitpid(upgrade->pid, &status, WNOHANG) != upgrade->pid)
        return;
    upgrade->reaped = true;
    upgrade->phase = DONE;
    upgrade->state = UPGRADE_FAILED;
    if (WIFEXITED(status))
        snprintf(upgrade->text + len, sizeof(upgrade->text) - len, "; exit status %d", WEXITSTATUS(status));
    else
        snprintf(upgrade->text + len, sizeof(upgrade->text) - len, "; ended by signal %d%s", WTERMSIG(status),
                 upgrade->killed ? " that it was sent for that" : "");
}

enum upgrade_state upgrade_run(struct upgrade *upgrade)
{
    static const char late[] = "it was not ready in time";

    if (upgrade->phase < WAITING)
        send_more(upgrade);
    if (upgrade->phase <= WAITING)
        read_answer(upgrade);
    if (upgrade->phase <= WAITING && clock_monotonic_ns() > upgrade->deadline_ns)
        give_up(upgrade, true, late, sizeof(late) - 1);
    if (upgrade->phase == ENDING)
        reap(upgrade);
    if (upgrade->phase == ENDING && !upgrade->killed && clock_monotonic_ns() > upgrade->deadline_ns) {
        upgrade->killed = true;
        (void)kill(upgrade->pid, SIGKILL);
    }
    return upgrade->state;
}

int upgrade_fd(const struct upgrade *upgrade)
{
    return upgrade->poller;
}

int upgrade_timeout_ms(const struct upgrade *upgrade, int most_ms)
{
    uint64_t now_ns = clock_monotonic_ns();
    int left_ms = upgrade->deadline_ns <= now_ns ? 1 : (int)((upgrade->deadline_ns - now_ns) / 1000000u) + 1;

    if (upgrade->phase == DONE || upgrade->killed)
        return most_ms;
    if (upgrade->stalled && left_ms > STALL_MS)
        left_ms = STALL_MS;
    return most_ms < 0 || left_ms < most_ms ? left_ms : most_ms;
}

const char *upgrade_text(const struct upgrade *upgrade)
{
    return upgrade->text;
}

pid_t upgrade_pid(const struct upgrade *upgrade)
{
    return upgrade->pid;
}

static void close_one(int fd)
{
    if (fd >= 0)
        close(fd);
}

void upgrade_destroy(struct upgrade *upgrade)
{
    if (!upgrade)
        return;
    if (upgrade->pid > 0 && upgrade->state != UPGRADE_READY && !upgrade->reaped) {
        (void)kill(upgrade->pid, SIGKILL);
        while (waitpid(upgrade->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    close_one(upgrade->channel);
    close_one(upgrade->process);
    close_one(upgrade->poller);
    if (upgrade->fds)
        forget_sockets(upgrade);
    for (size_t i = 0; i < upgrade->n_parts; i++) {
        explicit_bzero(upgrade->parts[i].data, upgrade->parts[i].len);
        free(upgrade->parts[i].data);
    }
    free(upgrade->fds);
    free(upgrade->flags);
    free(upgrade);
}
