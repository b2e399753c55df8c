/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `fairlead -s`; see signaller.h. */
#include "control/signaller.h"

#include "config/config.h"
#include "control/pid_file.h"
#include "control/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define UPGRADE_PAUSE_US        20000u
#define UPGRADE_LOOKS           3300u /* a little more than UPGRADE_TIMEOUT_MS */
#define UPGRADE_LOOKS_FOR_CHILD 100u  /* then it was refused: another one is under way, or it cannot be started */
#define TEXT_MAX   4608u /* a path, and a sentence around it */
#define ANSWER_MAX 65536u
#define COMM_MAX   64u

static const struct {
    const char *name;
    int signal;
} commands[] = {
    {"reload", SIGHUP}, {"quit", SIGQUIT}, {"stop", SIGTERM}, {"reopen", SIGUSR1}, {"upgrade", SIGUSR2},
};

int signaller_signal(const char *name)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].signal;
    return 0;
}

static int fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int fail(const char *format, ...)
{
    va_list list;

    fputs("fairlead: [error] ", stderr);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    return 1;
}

/* The first bytes of a file, NUL-terminated. Returns their number or -errno. */
static ssize_t read_start(const char *path, char *bytes, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n;

    if (fd < 0)
        return -errno;
    n = read(fd, bytes, size - 1);
    if (n < 0)
        n = -errno;
    close(fd);
    bytes[n < 0 ? 0 : n] = '\0';
    return n;
}

/* One number above 1 and nothing else: 0, -1 and 1 would be other processes than anybody means. */
static pid_t read_pid(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    long value = 0;

    if (digits == 0 || digits > 9 || text[digits + strspn(text + digits, " \r\n")] != '\0')
        return 0;
    for (size_t i = 0; i < digits; i++)
        value = value * 10 + (text[i] - '0');
    return value > 1 ? (pid_t)value : 0;
}

/* The name of a process's program, as /proc has it. Empty when /proc cannot be read, as in a chroot. */
static void read_program(const char *process, char *name)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%s/comm", process);
    if (read_start(path, name, COMM_MAX) <= 0)
        name[0] = '\0';
    name[strcspn(name, "\n")] = '\0';
}

pid_t signaller_find(const char *pid_file, char *error, size_t size)
{
    char text[32], own[COMM_MAX], program[COMM_MAX];
    ssize_t n = read_start(pid_file, text, sizeof(text));
    pid_t pid = n < 0 ? 0 : read_pid(text);

    if (n < 0) {
        snprintf(error, size, "open() \"%s\" failed (%d: %s)", pid_file, (int)-n, strerror((int)-n));
        return 0;
    }
    text[strcspn(text, "\r\n")] = '\0';
    if (pid == 0) {
        snprintf(error, size, "invalid PID number \"%s\" in \"%s\"", text, pid_file);
        return 0;
    }
    snprintf(text, sizeof(text), "%d", (int)pid);
    read_program("self", own);
    read_program(text, program);
    if (own[0] && program[0] && strcmp(own, program) != 0) {
        snprintf(error, size, "process %d, which \"%s\" names, is not fairlead but \"%s\"", (int)pid, pid_file, program);
        return 0;
    }
    return pid;
}

static int open_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = SIGNALLER_ANSWER_MS / 1000};
    size_t len = strlen(path);
    int fd, error;

    if (len >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, len);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    error = -errno;
    close(fd);
    return error;
}

/* All until the other side closes, as much as there is room for. Returns the length or -errno. */
static ssize_t read_all(int fd, char *bytes, size_t size)
{
    size_t len = 0;

    while (len < size - 1) {
        ssize_t n = recv(fd, bytes + len, size - 1 - len, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? -ETIMEDOUT : -errno;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    bytes[len] = '\0';
    return (ssize_t)len;
}

static int judge(const char *text, char *answer, size_t size)
{
    static const char error[] = "error ";
    size_t word = strcspn(text, " \n");

    if (word == 2 && strncmp(text, "ok", 2) == 0)
        return 0;
    if (strncmp(text, error, sizeof(error) - 1) != 0)
        return -EPROTO;
    snprintf(answer, size, "%s", text + sizeof(error) - 1);
    for (size_t len = strlen(answer); len > 0 && answer[len - 1] == '\n'; len--)
        answer[len - 1] = '\0';
    return 1;
}

int signaller_ask(const char *socket_path, const char *request, char *answer, size_t size)
{
    char line[128], text[ANSWER_MAX];
    int fd = open_socket(socket_path), n;
    ssize_t len;

    answer[0] = '\0';
    if (fd < 0)
        return fd;
    n = snprintf(line, sizeof(line), "%s\n", request);
    if (n < 0 || (size_t)n >= sizeof(line) || send(fd, line, (size_t)n, MSG_NOSIGNAL) != n) {
        close(fd);
        return -EPROTO;
    }
    (void)shutdown(fd, SHUT_WR);
    len = read_all(fd, text, sizeof(text));
    close(fd);
    return len < 0 ? (int)len : judge(text, answer, size);
}

static int send_signal(pid_t pid, int number)
{
    if (kill(pid, number) == 0)
        return 0;
    return fail("kill(%d, %d) failed (%d: %s)", (int)pid, number, errno, strerror(errno));
}

/* The children of the process's first thread, which starts the next one: /proc/PID/task/PID/children. -1: not to be known. */
static int count_children(pid_t pid)
{
    char path[64], text[64];
    ssize_t len;
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    len = read(fd, text, sizeof(text));
    close(fd);
    return len > 0;
}

/* Until another process is in the pid file, or the one that was started has ended, or as long as an upgrade may take. */
static int await_upgrade(pid_t pid, const char *pid_file)
{
    bool begun = false;

    for (unsigned i = 0; i < UPGRADE_LOOKS; i++) {
        pid_t now = pid_file_read(pid_file);
        int n_children = count_children(pid);

        if (now != 0 && now != pid)
            return 0;
        if (n_children < 0 || (begun && n_children == 0) || (i == UPGRADE_LOOKS_FOR_CHILD && !begun))
            break;
        begun = begun || n_children > 0;
        usleep(UPGRADE_PAUSE_US);
    }
    /* The new one writes its number just before the old one may see it go. */
    return pid_file_read(pid_file) != pid ? 0 : fail("the upgrade failed, process %d goes on: its error log says why", (int)pid);
}

/* As -t words them. */
static void print_findings(const char *text)
{
    while (*text) {
        size_t len = strcspn(text, "\n");

        fprintf(stderr, "%s%.*s\n", strncmp(text, "fairlead: ", 10) == 0 ? "" : "fairlead: [emerg] ", (int)len, text);
        text += len + (text[len] == '\n');
    }
}

/* Over the control socket the outcome is known; without one at least what is broken is not sent. */
static int reload(const struct control_options *options, pid_t pid, const char *socket_path)
{
    struct control_options quiet = *options;
    char answer[TEXT_MAX];
    int result = socket_path ? signaller_ask(socket_path, "reload", answer, sizeof(answer)) : -ENOENT;

    if (result == 0)
        return 0;
    if (result == 1) {
        print_findings(answer);
        return fail("the configuration was not reloaded: the old one stays");
    }
    if (result == -EPROTO || result == -ETIMEDOUT)
        return fail("no answer from \"%s\" (%s)", socket_path, strerror(-result));
    quiet.quiet = true;
    return control_test(&quiet, false) == 0 ? send_signal(pid, SIGHUP) : 1;
}

int signaller_run(const struct control_options *options, const char *name)
{
    struct config_options given = {.balancers_dir = options->balancers_dir, .without_names = true};
    struct config_errors *errors = NULL;
    struct config *config = NULL;
    char text[TEXT_MAX];
    pid_t pid = 0;
    int error = config_load(options->config_path, &given, &config, &errors), status;

    if (errors) {
        config_errors_print(errors, stderr);
        config_errors_destroy(errors);
    }
    if (error)
        return 1;
    if (!config->pid_file)
        status = fail("\"pid\" is not set in %s: it names the file to find the process by", options->config_path);
    else if ((pid = signaller_find(config->pid_file, text, sizeof(text))) == 0)
        status = fail("%s", text);
    else if (strcmp(name, "reload") == 0)
        status = reload(options, pid, config->control.socket);
    else if (strcmp(name, "upgrade") == 0)
        status = send_signal(pid, SIGUSR2) == 0 ? await_upgrade(pid, config->pid_file) : 1;
    else
        status = send_signal(pid, signaller_signal(name));
    config_destroy(config);
    return status;
}
