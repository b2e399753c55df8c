/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The connections of the control socket; see admin.h. Each goes READING -> (ASKING ->) WRITING and is closed. Everything that waits has a deadline. A survey that is
 * given up stands in `late` until its last answer has come.
 *
 * One descriptor is held in reserve, for the time when the process has no other left: just then the administrator wants to look. A client that
 * was accepted with it becomes the reserve again when it ends.
 */
#include "control/admin_private.h"

#include "control/admin_socket.h"
#include "engine/clock.h"
#include "engine/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define EVENTS_MAX 32

enum state { FREE, READING, ASKING, WRITING };

struct connection {
    enum state state;
    int fd;
    uint64_t number; /* those that were accepted later have a higher one */
    uint64_t deadline_ms;
    size_t len, sent; /* of the line, of the reply */
    char line[CTL_REQUEST_MAX];
    struct request request;
    const struct command *command;
    struct survey *survey; /* owned; NULL unless ASKING */
    struct reply reply;    /* owned, while WRITING */
};

struct admin {
    struct admin_host host;
    int listener, epoll_fd, event_fd;
    int reserve; /* a descriptor of nothing; -1: used, or it could not be had */
    bool accepting;
    uint64_t retry_ms; /* when accepting is tried again for those who had to wait; 0: nobody had to */
    uint64_t n_accepted;
    char *path; /* owned; of the socket's file, as long as that is ours */
    dev_t device;
    ino_t inode;
    struct connection connections[ADMIN_CLIENTS_MAX];
    unsigned n_connections;
    struct survey *late[ADMIN_SURVEYS_MAX];
};

/* What an event is about: a connection's number, or one of these. */
enum { ABOUT_LISTENER = ADMIN_CLIENTS_MAX, ABOUT_SURVEY };

const struct admin_host *admin_host(const struct admin *admin)
{
    return &admin->host;
}

static int watch(const struct admin *admin, int operation, int fd, uint32_t events, uint32_t about)
{
    struct epoll_event event = {.events = events, .data.u32 = about};

    return epoll_ctl(admin->epoll_fd, operation, fd, &event) == 0 ? 0 : -errno;
}

/* Of something that we have anyway: no file is needed, which a chroot may not have. */
static void fill_reserve(struct admin *admin)
{
    if (admin->reserve < 0)
        admin->reserve = fcntl(admin->event_fd, F_DUPFD_CLOEXEC, 0);
}

/* Those that do not fit wait in the kernel's queue. */
static void set_accepting(struct admin *admin, bool accepting)
{
    if (admin->listener < 0 || admin->accepting == accepting)
        return;
    admin->accepting = watch(admin, EPOLL_CTL_MOD, admin->listener, accepting ? EPOLLIN : 0, ABOUT_LISTENER) == 0 ? accepting : admin->accepting;
}

static void give_up_survey(struct admin *admin, struct connection *connection)
{
    struct survey *survey = connection->survey;

    connection->survey = NULL;
    if (!survey)
        return;
    if (survey_is_over(survey)) {
        survey_destroy(survey);
        return;
    }
    for (unsigned i = 0; i < ADMIN_SURVEYS_MAX; i++) /* survey_begin saw to it that there is a place */
        if (!admin->late[i]) {
            admin->late[i] = survey;
            return;
        }
}

static void close_connection(struct admin *admin, struct connection *connection)
{
    give_up_survey(admin, connection);
    reply_fini(&connection->reply);
    if (admin->reserve < 0 && dup3(admin->event_fd, connection->fd, O_CLOEXEC) >= 0) /* at once: no other thread gets it in between */
        admin->reserve = connection->fd;
    else
        close(connection->fd);
    connection->state = FREE;
    admin->n_connections--;
    admin->retry_ms = 0;
    set_accepting(admin, true);
}

static void write_reply(struct admin *admin, struct connection *connection)
{
    while (connection->sent < connection->reply.len) {
        ssize_t n = send(connection->fd, connection->reply.data + connection->sent, connection->reply.len - connection->sent, MSG_NOSIGNAL);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0)
            break;
        connection->sent += (size_t)n;
        connection->deadline_ms = clock_monotonic_ms() + ADMIN_PATIENCE_MS;
    }
    close_connection(admin, connection);
}

/* The reply is whole. Most go out at once. */
static void begin_writing(struct admin *admin, struct connection *connection)
{
    connection->state = WRITING;
    connection->sent = 0;
    connection->deadline_ms = clock_monotonic_ms() + ADMIN_PATIENCE_MS;
    if (watch(admin, EPOLL_CTL_MOD, connection->fd, EPOLLOUT, (uint32_t)(connection - admin->connections)) != 0)
        close_connection(admin, connection);
    else
        write_reply(admin, connection);
}

/* Those who have not answered in time make it a failure: half of the numbers would look like all of them. */
static void end_survey(struct admin *admin, struct connection *connection)
{
    struct survey *survey = connection->survey;
    unsigned missing = 0;

    while (missing < survey->n && survey_has(survey, missing))
        missing++;
    if (missing < survey->n)
        reply_fail(&connection->reply, "worker %u did not answer within %u ms", missing, ADMIN_ANSWER_MS);
    else
        connection->command->run(admin, &connection->request, survey, &connection->reply);
    give_up_survey(admin, connection);
    begin_writing(admin, connection);
}

static unsigned count_surveys(const struct admin *admin)
{
    unsigned n = 0;

    for (unsigned i = 0; i < ADMIN_SURVEYS_MAX; i++)
        n += admin->late[i] != NULL;
    for (unsigned i = 0; i < ADMIN_CLIENTS_MAX; i++)
        n += admin->connections[i].state != FREE && admin->connections[i].survey != NULL;
    return n;
}

/* Returns false with the reply failed. */
static bool begin_survey(struct admin *admin, struct connection *connection)
{
    struct admin_view view;

    admin->host.view(admin->host.context, &view);
    if (count_surveys(admin) >= ADMIN_SURVEYS_MAX)
        reply_fail(&connection->reply, "the workers have not answered %u requests yet", ADMIN_SURVEYS_MAX);
    else
        connection->survey = survey_create(view.n_workers, connection->command->asks == ASKS_SESSIONS, admin->event_fd);
    if (!connection->survey) {
        reply_fail(&connection->reply, "memory is short");
        return false;
    }
    survey_post(connection->survey, view.workers);
    connection->state = ASKING;
    connection->deadline_ms = clock_monotonic_ms() + ADMIN_ANSWER_MS;
    (void)watch(admin, EPOLL_CTL_MOD, connection->fd, 0, (uint32_t)(connection - admin->connections));
    if (survey_is_over(connection->survey))
        end_survey(admin, connection);
    return true;
}

static void run_request(struct admin *admin, struct connection *connection, size_t line_len)
{
    reply_init(&connection->reply, CTL_ANSWER_MAX);
    connection->command = NULL;
    if (request_parse(connection->line, line_len, &connection->request, &connection->reply))
        connection->command = request_command(&connection->request, &connection->reply);
    if (connection->command && connection->command->asks != ASKS_NOBODY && begin_survey(admin, connection))
        return;
    if (connection->command && connection->command->asks == ASKS_NOBODY)
        connection->command->run(admin, &connection->request, NULL, &connection->reply);
    begin_writing(admin, connection);
}

static void read_request(struct admin *admin, struct connection *connection)
{
    ssize_t n = recv(connection->fd, connection->line + connection->len, sizeof(connection->line) - connection->len, 0);
    const char *newline;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0 || (n == 0 && connection->len == 0)) {
        close_connection(admin, connection);
        return;
    }
    connection->len += (size_t)n;
    newline = memchr(connection->line, '\n', connection->len);
    if (newline) {
        run_request(admin, connection, (size_t)(newline - connection->line));
    } else if (n == 0) { /* the end of the stream is as good as that of the line */
        run_request(admin, connection, connection->len);
    } else if (connection->len == sizeof(connection->line)) {
        reply_init(&connection->reply, CTL_ANSWER_MAX);
        reply_fail(&connection->reply, "the request is longer than %u bytes", CTL_REQUEST_MAX - 1);
        begin_writing(admin, connection);
    }
}

static void accept_one(struct admin *admin, int fd)
{
    struct connection *connection = admin->connections;

    while (connection->state != FREE)
        connection++;
    connection->state = READING;
    connection->fd = fd;
    connection->number = admin->n_accepted++;
    connection->len = 0;
    connection->deadline_ms = clock_monotonic_ms() + ADMIN_PATIENCE_MS;
    admin->n_connections++;
    if (watch(admin, EPOLL_CTL_ADD, fd, EPOLLIN, (uint32_t)(connection - admin->connections)) != 0)
        close_connection(admin, connection);
}

/* A client that has had the time to say what it wants, and has not. */
static bool is_silent(const struct connection *connection, uint64_t grace_ms)
{
    char byte;

    return connection->state == READING && clock_monotonic_ms() >= connection->deadline_ms - ADMIN_PATIENCE_MS + grace_ms &&
           recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

/* The one of them that came first makes room. Returns false when there is none. */
static bool evict(struct admin *admin, uint64_t grace_ms)
{
    struct connection *oldest = NULL;

    for (unsigned i = 0; i < ADMIN_CLIENTS_MAX; i++) {
        struct connection *connection = &admin->connections[i];

        if ((!oldest || connection->number < oldest->number) && is_silent(connection, grace_ms))
            oldest = connection;
    }
    if (oldest)
        close_connection(admin, oldest);
    return oldest != NULL;
}

static int accept_once(const struct admin *admin)
{
    int fd = accept4(admin->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    return fd >= 0 ? fd : -errno;
}

/* Returns the client, or -errno. */
static int accept_fd(struct admin *admin)
{
    int fd = accept_once(admin);

    if (fd != -EMFILE && fd != -ENFILE)
        return fd;
    if (admin->reserve < 0)
        (void)evict(admin, ADMIN_RESERVE_MS); /* its descriptor is the reserve then */
    if (admin->reserve < 0)
        return fd;
    close(admin->reserve);
    admin->reserve = -1;
    return accept_once(admin);
}

/* The listener stays readable, so that not waiting for something else would be a loop. */
static void pause_accepting(struct admin *admin)
{
    admin->retry_ms = clock_monotonic_ms() + ADMIN_RETRY_MS;
    set_accepting(admin, false);
}

static void retry_accepting(struct admin *admin)
{
    if (admin->retry_ms == 0 || clock_monotonic_ms() < admin->retry_ms)
        return;
    admin->retry_ms = 0;
    fill_reserve(admin);
    set_accepting(admin, true);
}

/* Returns false when nobody is to be accepted now. */
static bool make_place(struct admin *admin)
{
    struct pollfd waiting = {.fd = admin->listener, .events = POLLIN};

    if (admin->n_connections < ADMIN_CLIENTS_MAX)
        return true;
    if (poll(&waiting, 1, 0) <= 0)
        return false;
    if (evict(admin, ADMIN_GRACE_MS))
        return true;
    pause_accepting(admin);
    return false;
}

static void accept_all(struct admin *admin)
{
    for (unsigned n = 0; n < ADMIN_BACKLOG && make_place(admin); n++) {
        int fd = accept_fd(admin);

        if (fd < 0) {
            if (fd != -EAGAIN && fd != -EINTR && fd != -ECONNABORTED)
                pause_accepting(admin);
            return;
        }
        accept_one(admin, fd);
    }
}

static void reap_late(struct admin *admin)
{
    uint64_t n;

    (void)!read(admin->event_fd, &n, sizeof(n));
    for (unsigned i = 0; i < ADMIN_SURVEYS_MAX; i++)
        if (admin->late[i] && survey_is_over(admin->late[i])) {
            survey_destroy(admin->late[i]);
            admin->late[i] = NULL;
        }
    for (unsigned i = 0; i < ADMIN_CLIENTS_MAX; i++)
        if (admin->connections[i].state == ASKING && survey_is_over(admin->connections[i].survey))
            end_survey(admin, &admin->connections[i]);
}

static void on_event(struct admin *admin, const struct epoll_event *event)
{
    uint32_t about = event->data.u32;
    struct connection *connection = about < ADMIN_CLIENTS_MAX ? &admin->connections[about] : NULL;

    if (about == ABOUT_LISTENER)
        accept_all(admin);
    else if (about == ABOUT_SURVEY)
        reap_late(admin);
    else if (connection->state == READING)
        read_request(admin, connection);
    else if (connection->state == WRITING)
        write_reply(admin, connection);
    else if (connection->state == ASKING && (event->events & (EPOLLHUP | EPOLLERR)))
        close_connection(admin, connection);
}

static void expire(struct admin *admin)
{
    uint64_t now = clock_monotonic_ms();

    for (unsigned i = 0; i < ADMIN_CLIENTS_MAX; i++) {
        struct connection *connection = &admin->connections[i];

        if (connection->state == FREE || now < connection->deadline_ms)
            continue;
        if (connection->state == ASKING)
            end_survey(admin, connection);
        else
            close_connection(admin, connection);
    }
}

void admin_run(struct admin *admin)
{
    struct epoll_event events[EVENTS_MAX];
    int n;

    if (!admin)
        return;
    retry_accepting(admin);
    n = epoll_wait(admin->epoll_fd, events, EVENTS_MAX, 0);
    for (int i = 0; i < n; i++)
        on_event(admin, &events[i]);
    expire(admin);
}

int admin_fd(const struct admin *admin)
{
    return admin ? admin->epoll_fd : -1;
}

int admin_timeout_ms(const struct admin *admin, int most_ms)
{
    uint64_t now = clock_monotonic_ms(), soonest = now + (uint64_t)most_ms;

    if (admin && admin->retry_ms > 0 && admin->retry_ms < soonest)
        soonest = admin->retry_ms;
    for (unsigned i = 0; admin && i < ADMIN_CLIENTS_MAX; i++)
        if (admin->connections[i].state != FREE && admin->connections[i].deadline_ms < soonest)
            soonest = admin->connections[i].deadline_ms;
    return soonest > now ? (int)(soonest - now) : 0;
}

int admin_listener(const struct admin *admin)
{
    return admin ? admin->listener : -1;
}

static void stop_listening(struct admin *admin)
{
    if (admin->listener >= 0)
        close(admin->listener);
    admin->listener = -1;
}

void admin_hand_over(struct admin *admin)
{
    if (!admin || admin->listener < 0)
        return;
    (void)epoll_ctl(admin->epoll_fd, EPOLL_CTL_DEL, admin->listener, NULL); /* closing is not enough while another process has it too */
    stop_listening(admin);
    free(admin->path);
    admin->path = NULL;
}

/* The file may be that of the process after us. */
static void remove_file(const struct admin *admin)
{
    struct stat status;

    if (admin->path && lstat(admin->path, &status) == 0 && status.st_dev == admin->device && status.st_ino == admin->inode)
        unlink(admin->path);
}

void admin_destroy(struct admin *admin)
{
    if (!admin)
        return;
    for (unsigned i = 0; i < ADMIN_CLIENTS_MAX; i++)
        if (admin->connections[i].state != FREE) {
            survey_destroy(admin->connections[i].survey);
            admin->connections[i].survey = NULL;
            close_connection(admin, &admin->connections[i]);
        }
    for (unsigned i = 0; i < ADMIN_SURVEYS_MAX; i++)
        survey_destroy(admin->late[i]);
    remove_file(admin);
    stop_listening(admin);
    if (admin->reserve >= 0)
        close(admin->reserve);
    if (admin->event_fd >= 0)
        close(admin->event_fd);
    if (admin->epoll_fd >= 0)
        close(admin->epoll_fd);
    free(admin->path);
    free(admin);
}

static int open_all(struct admin *admin, const struct admin_config *config, char *error, size_t size)
{
    const struct control_settings *settings = config->settings;
    const struct admin_socket wanted = {settings->socket, settings->owner, settings->group, settings->mode};
    struct stat status;
    int result;

    admin->listener = config->inherited_fd >= 0 ? config->inherited_fd : admin_socket_open(&wanted, ADMIN_BACKLOG, error, size);
    if (admin->listener < 0)
        return admin->listener;
    (void)fcntl(admin->listener, F_SETFL, O_NONBLOCK);
    admin->path = strdup(settings->socket);
    if (admin->path && lstat(admin->path, &status) == 0) {
        admin->device = status.st_dev;
        admin->inode = status.st_ino;
    }
    admin->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    admin->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    result = admin->path && admin->epoll_fd >= 0 && admin->event_fd >= 0 ? 0 : -ENOMEM;
    if (!result)
        result = watch(admin, EPOLL_CTL_ADD, admin->listener, EPOLLIN, ABOUT_LISTENER);
    if (!result)
        result = watch(admin, EPOLL_CTL_ADD, admin->event_fd, EPOLLIN, ABOUT_SURVEY);
    fill_reserve(admin);
    if (result)
        snprintf(error, size, "cannot watch the control socket (%d: %s)", -result, strerror(-result));
    return result;
}

int admin_create(const struct admin_config *config, const struct admin_host *host, struct admin **result, char *error, size_t size)
{
    struct admin *admin;
    int code;

    *result = NULL;
    if (!config->settings->socket)
        return 0;
    admin = calloc(1, sizeof(*admin));
    if (!admin) {
        snprintf(error, size, "memory is short");
        return -ENOMEM;
    }
    admin->host = *host;
    admin->accepting = true;
    admin->listener = admin->epoll_fd = admin->event_fd = admin->reserve = -1;
    code = open_all(admin, config, error, size);
    if (code) {
        admin_destroy(admin);
        return code;
    }
    *result = admin;
    return 0;
}
