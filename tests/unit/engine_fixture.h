/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the tests of streams, acceptors and workers share: a worker that really runs on a thread and a ring of
 * its own, a way to do something on its thread and to wait for it, streams that note what happens to them,
 * and connected pairs of sockets. engine_end sees to it that every stream came to its end, that every buffer
 * was given back, and that no completion came too late. One includer per program.
 */
#ifndef FAIRLEAD_TESTS_ENGINE_FIXTURE_H
#define FAIRLEAD_TESTS_ENGINE_FIXTURE_H

#include "engine/clock.h"
#include "engine/log.h"
#include "engine/stream.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS 10000u /* how long something that must happen may take */
#define QUIET_MS    60u    /* how long it is watched that something does not happen */

enum event { ON_INPUT = 1, ON_SENT = 2, ON_TIMER = 4, ON_CONNECTED = 8 };

/* The worker's end of a connection. All of it belongs to the worker's thread: tests look at copies (see). */
struct end {
    struct stream stream; /* first */
    unsigned n_input, n_sent, n_timer, n_connected, n_gone;
    int connect_error;
    bool holds;           /* consumes nothing by itself */
    struct end *relay_to; /* what comes goes there, as far as there is room */
    struct end *relay_from;
    unsigned close_in; /* events in which it closes itself */
    bool close_resets;
    uint8_t *bytes; /* what was consumed */
    size_t n_bytes, room;
    struct end *next;
};

/* Something to do on the worker's thread, with what it needs and what it gives. */
struct step {
    struct end *end, *other;
    const void *data;
    size_t n;
    int fd;
    bool flag;
    int result;
    struct sockaddr_in *address;
    void (*run)(struct step *step);
    sem_t done;
};

/* A copy of what the worker owns. */
struct worker_view {
    struct buffers buffers;
    struct ring_counters ring;
    uint64_t starvations, turns;
    bool someone_starves, someone_wants_bulk;
};

static struct worker *engine;
static struct end *all_ends;

static inline struct worker_config engine_config(void)
{
    return (struct worker_config){
        .ring = {.sq_entries = 64,
                 .cq_entries = 256,
                 .actors_max = 4096,
                 .multishot_accept = true,
                 .multishot_recv = true,
                 .buffers = {.ring_entries = 16,
                             .blocks_max = 64,
                             .block_size = 4096,
                             .bulk_max = 16,
                             .bulk_size = 65536,
                             .heap_max = 1u << 20}},
    };
}

static inline void run_letter(void *owner, void *argument)
{
    struct step *step = argument;

    (void)owner;
    step->run(step);
    sem_post(&step->done);
}

static inline struct step on_worker(void (*run)(struct step *step), struct step step)
{
    step.run = run;
    ck_assert_int_eq(sem_init(&step.done, 0, 0), 0);
    ck_assert_int_eq(mailbox_post(&engine->mailbox, (struct letter){run_letter, &step}), 0);
    while (sem_wait(&step.done) != 0)
        ck_assert_int_eq(errno, EINTR);
    sem_destroy(&step.done);
    return step;
}

static inline void engine_begin(const struct worker_config *config)
{
    const struct log_config nowhere = {.level = LOG_DEBUG, .queue_size = 4 * LOG_LINE_MAX};
    const char *path;

    ck_assert_int_eq(log_open(&nowhere, &path), 0);
    ck_assert_int_eq(log_start(), 0);
    ck_assert_int_eq(worker_create(config, &engine), 0);
    ck_assert_int_eq(worker_run(engine), 0);
}

/* Looking. */

static inline void copy_end(struct step *step)
{
    *step->other = *step->end;
}

static inline struct end see(struct end *end)
{
    struct end copy;

    on_worker(copy_end, (struct step){.end = end, .other = &copy});
    return copy;
}

static inline void copy_worker(struct step *step)
{
    struct worker_view *view = (struct worker_view *)(uintptr_t)step->data;

    *view = (struct worker_view){*worker_buffers(engine),       *ring_counters(engine->ring),
                                 engine->starvations,           engine->turns,
                                 engine->starved.first != NULL, engine->bulk_queue.first != NULL};
}

static inline struct worker_view see_worker(void)
{
    struct worker_view view;

    on_worker(copy_worker, (struct step){.data = &view});
    return view;
}

/* Looks until `condition` holds for `it`, a fresh copy each time. */
#define UNTIL_SEEN(look, condition)                                                                          \
    for (uint64_t give_up_ns = clock_monotonic_ns() + PATIENCE_MS * 1000000u;; usleep(500)) {                \
        __auto_type it = look;                                                                               \
        if (condition)                                                                                       \
            break;                                                                                           \
        ck_assert_msg(clock_monotonic_ns() < give_up_ns, "in vain: %s", #condition);                         \
    }
#define UNTIL(end, condition)   UNTIL_SEEN(see(end), condition)
#define UNTIL_WORKER(condition) UNTIL_SEEN(see_worker(), condition)

/* The streams. */

static inline bool closes_in(struct end *end, enum event event)
{
    if (!(end->close_in & (unsigned)event))
        return false;
    stream_close(&end->stream, end->close_resets);
    return true;
}

static inline void keep(struct end *end, const char *data, size_t len)
{
    if (end->n_bytes + len > end->room) {
        end->room = 2 * (end->n_bytes + len);
        end->bytes = realloc(end->bytes, end->room);
        ck_assert_ptr_nonnull(end->bytes);
    }
    memcpy(end->bytes + end->n_bytes, data, len);
    end->n_bytes += len;
}

static inline void take_input(struct end *end, size_t most)
{
    size_t len;
    const char *data;

    while (most > 0 && (data = stream_peek(&end->stream, &len)) != NULL) {
        len = len < most ? len : most;
        keep(end, data, len);
        stream_consume(&end->stream, len);
        most -= len;
    }
}

static inline void relay(struct end *from, struct end *to)
{
    size_t len, room;

    while (stream_peek(&from->stream, &len) != NULL && (room = stream_room(&to->stream)) > 0)
        if (stream_move(&from->stream, &to->stream, len < room ? len : room) == 0)
            break;
    stream_pause(&from->stream, stream_room(&to->stream) == 0);
}

static inline void end_on_input(struct stream *stream)
{
    struct end *end = (struct end *)stream;

    end->n_input++;
    if (closes_in(end, ON_INPUT))
        return;
    if (end->relay_to)
        relay(end, end->relay_to);
    else if (!end->holds)
        take_input(end, SIZE_MAX);
}

static inline void end_on_sent(struct stream *stream)
{
    struct end *end = (struct end *)stream;

    end->n_sent++;
    if (!closes_in(end, ON_SENT) && end->relay_from)
        relay(end->relay_from, end);
}

static inline void end_on_timer(struct stream *stream)
{
    struct end *end = (struct end *)stream;

    end->n_timer++;
    (void)closes_in(end, ON_TIMER);
}

static inline void end_on_connected(struct stream *stream, int error)
{
    struct end *end = (struct end *)stream;

    end->n_connected++;
    end->connect_error = error;
    (void)closes_in(end, ON_CONNECTED);
}

static inline void end_on_gone(struct stream *stream)
{
    struct end *end = (struct end *)stream;

    ck_assert_int_eq(stream->fd, -1);
    end->n_gone++;
}

static const struct stream_type end_type = {end_on_input, end_on_sent, end_on_timer, end_on_connected,
                                            end_on_gone};

static inline struct end *end_create(void)
{
    struct end *end = calloc(1, sizeof(*end));

    ck_assert_ptr_nonnull(end);
    end->next = all_ends;
    all_ends = end;
    return end;
}

static inline void step_open(struct step *step)
{
    ck_assert(stream_open(&step->end->stream, engine, &end_type, step->fd));
}

/* A stream on a connected descriptor, which it owns. */
static inline struct end *end_open(int fd, bool holds)
{
    struct end *end = end_create();

    end->holds = holds;
    on_worker(step_open, (struct step){.end = end, .fd = fd});
    return end;
}

static inline void step_relay(struct step *step)
{
    step->end->relay_to = step->other;
    step->other->relay_from = step->end;
    relay(step->end, step->other);
}

/* From now on what comes by one end goes out by the other. */
static inline void end_relay(struct end *from, struct end *to)
{
    on_worker(step_relay, (struct step){.end = from, .other = to});
}

static inline void step_close(struct step *step)
{
    stream_close(&step->end->stream, step->flag);
}

static inline void end_close(struct end *end, bool reset)
{
    on_worker(step_close, (struct step){.end = end, .flag = reset});
    UNTIL(end, it.n_gone == 1);
}

static inline void step_write(struct step *step)
{
    step->flag = stream_write(&step->end->stream, step->data, step->n);
}

static inline bool end_write(struct end *end, const void *data, size_t n)
{
    return on_worker(step_write, (struct step){.end = end, .data = data, .n = n}).flag;
}

static inline void step_write_static(struct step *step)
{
    step->flag = stream_write_static(&step->end->stream, step->data, step->n);
}

static inline bool end_write_static(struct end *end, const void *data, size_t n)
{
    return on_worker(step_write_static, (struct step){.end = end, .data = data, .n = n}).flag;
}

static inline void step_take(struct step *step)
{
    take_input(step->end, step->n);
}

static inline void end_take(struct end *end, size_t most)
{
    on_worker(step_take, (struct step){.end = end, .n = most});
}

static inline void step_deadline(struct step *step)
{
    stream_deadline(&step->end->stream, step->n == SIZE_MAX ? UINT64_MAX : engine->now_ms + step->n);
}

static inline void end_deadline(struct end *end, size_t in_ms)
{
    on_worker(step_deadline, (struct step){.end = end, .n = in_ms});
}

/* Sockets. */

struct pair {
    int ours, theirs;
};

static inline struct pair unix_pair(void)
{
    int fds[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    return (struct pair){fds[0], fds[1]};
}

/* On 127.0.0.1, at a port of the kernel's choice. */
static inline int tcp_listen(struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof(*address);

    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    ck_assert_int_eq(bind(fd, (struct sockaddr *)address, len), 0);
    ck_assert_int_eq(listen(fd, 64), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)address, &len), 0);
    return fd;
}

/* `small`: the buffers of both ends as small as the kernel has them. */
static inline struct pair tcp_pair(bool small)
{
    struct sockaddr_in address;
    int listening = tcp_listen(&address), one = 1;
    struct pair pair = {.theirs = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};

    if (small)
        ck_assert_int_eq(setsockopt(pair.theirs, SOL_SOCKET, SO_RCVBUF, &one, sizeof(one)), 0);
    ck_assert_int_eq(connect(pair.theirs, (struct sockaddr *)&address, sizeof(address)), 0);
    pair.ours = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
    ck_assert_int_ge(pair.ours, 0);
    if (small)
        ck_assert_int_eq(setsockopt(pair.ours, SOL_SOCKET, SO_SNDBUF, &one, sizeof(one)), 0);
    close(listening);
    return pair;
}

static inline void close_with_reset(int fd)
{
    struct linger now = {.l_onoff = 1};

    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    close(fd);
}

/* Bytes that tell where they belong. */
static inline uint8_t *pattern(size_t n)
{
    uint8_t *bytes = malloc(n + 1);

    ck_assert_ptr_nonnull(bytes);
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(i * 7 + (i >> 8) * 13 + (i >> 16) * 5);
    return bytes;
}

static inline void send_all(int fd, const void *data, size_t n)
{
    const char *from = data;

    while (n > 0) {
        ssize_t sent = send(fd, from, n, MSG_NOSIGNAL);

        ck_assert_msg(sent > 0, "cannot send: %s", strerror(errno));
        from += sent;
        n -= (size_t)sent;
    }
}

static inline bool readable(int fd, unsigned within_ms)
{
    struct pollfd wanted = {.fd = fd, .events = POLLIN};

    return poll(&wanted, 1, (int)within_ms) == 1;
}

/* Reads n bytes, which must be `expected`. */
static inline void expect_bytes(int fd, const void *expected, size_t n)
{
    uint8_t chunk[16384];
    const uint8_t *at = expected;

    while (n > 0) {
        ssize_t got;

        ck_assert_msg(readable(fd, PATIENCE_MS), "%zu bytes are missing", n);
        got = recv(fd, chunk, n < sizeof(chunk) ? n : sizeof(chunk), 0);
        ck_assert_int_gt(got, 0);
        ck_assert_mem_eq(chunk, at, (size_t)got);
        at += got;
        n -= (size_t)got;
    }
}

/* The other side has ended: 0 with a regular end, else errno. */
static inline int expect_end(int fd)
{
    char byte[256];
    ssize_t got;

    do {
        ck_assert(readable(fd, PATIENCE_MS));
        got = recv(fd, byte, sizeof(byte), 0);
    } while (got > 0);
    return got == 0 ? 0 : errno;
}

/* The end. */

static inline void step_stop(struct step *step)
{
    (void)step;
    worker_stop(engine);
}

static inline void check_balance(const struct worker_view *last)
{
    const struct buffers *buffers = worker_buffers(engine);
    uint64_t blocks = buffers->in_ring;

    for (const struct buffer *spare = buffers->spare_blocks; spare; spare = spare->next)
        blocks++;
    ck_assert_uint_eq(blocks, buffers->counters.blocks);
    ck_assert_uint_eq(buffers->bulk_in_use, 0);
    ck_assert_uint_eq(buffers->counters.heap_bytes, 0);
    ck_assert_ptr_null(engine->closing);
    ck_assert_uint_eq(last->ring.stale, 0);
    ck_assert_uint_eq(last->ring.enter_errors, 0);
}

static inline void engine_end(void)
{
    struct worker_view last;

    for (struct end *end = all_ends; end; end = end->next)
        if (see(end).stream.worker)
            end_close(end, false);
    last = see_worker();
    on_worker(step_stop, (struct step){.n = 0});
    ck_assert_int_eq(worker_join(engine), 0);
    check_balance(&last);
    worker_destroy(engine);
    while (all_ends) {
        struct end *end = all_ends;

        all_ends = end->next;
        ck_assert_uint_le(end->n_gone, 1);
        free(end->bytes);
        free(end);
    }
    log_stop();
}

#endif
