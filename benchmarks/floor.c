/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The floor: a byte relay between a listening port and an upstream port on 127.0.0.1, on one io_uring ring,
 * with no HTTP in it. What it costs is what the kernel costs, so it is what the proxy is measured against.
 * One thread. One upstream connection per client; multishot accept and recv, one provided-buffer ring, one
 * send in flight per socket, straight from the receive buffers. It never limits what a slow reader holds
 * back, and has no timeouts: it is for measuring between honest peers only.
 *
 * floor LISTEN_PORT UPSTREAM_PORT [BUFFER_SIZE [BUFFERS]]; SIGTERM or SIGINT ends it, with its counters on
 * stdout.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define SQ_ENTRIES  1024u
#define CQ_ENTRIES  16384u
#define BUFFERS_MAX 32768u
#define SIDES_MAX   65536u
#define IOVECS      16u
#define NO_BUFFER   UINT32_MAX

/* In the low bits of user_data, beside the pointer to a side, which is aligned to 64. */
enum operation { OP_RECV, OP_SEND, OP_CONNECT, OP_ACCEPT, OP_SIGNAL, OP_MASK = 7 };

/* A filled receive buffer that waits to be sent, or is being sent. */
struct chunk {
    uint32_t offset, len;
    uint32_t next;
};

/* One socket of a pair. Freed, with its peer, when no operation of either is in flight. */
struct side {
    _Alignas(64) struct side *peer;
    int fd;
    uint32_t in_flight;   /* operations whose last completion has not come */
    uint32_t first, last; /* chunks to send, NO_BUFFER: none */
    uint32_t sending;     /* bytes of the send in flight; 0: none */
    bool dirty;           /* on the list of this turn */
    bool starved;         /* on the list of those who wait for buffers */
    bool eof;             /* nothing more will be received from it */
    bool shut;            /* our end of stream has been sent to it */
    bool aborted;
    struct msghdr message;
    struct iovec iovecs[IOVECS];
};

struct counters {
    uint64_t enters, completions, accepted, no_buffers, short_sends;
};

static struct io_uring ring;
static struct io_uring_buf_ring *buffer_ring;
static uint8_t *buffers;
static struct chunk *chunks;
static uint32_t n_buffers = 128, buffer_size = 16384;
static int returned;       /* buffers added to the ring in this turn, not yet published */
static uint32_t available; /* buffers in the ring, those not yet published included */
static struct side *dirty[SIDES_MAX], *starved[SIDES_MAX];
static uint32_t n_dirty, n_starved;
static uint32_t n_sides;
static int listener, signals;
static struct signalfd_siginfo signal_info;
static struct sockaddr_in upstream;
static struct counters counters;
static bool stopping;

static void die(const char *what, int error)
{
    fprintf(stderr, "floor: %s: %s\n", what, strerror(error));
    exit(1);
}

static struct io_uring_sqe *get_sqe(void)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

    if (!sqe) {
        counters.enters++;
        io_uring_submit(&ring);
        sqe = io_uring_get_sqe(&ring);
    }
    if (!sqe)
        die("submission queue", EBUSY);
    return sqe;
}

static void tag(struct io_uring_sqe *sqe, struct side *side, enum operation operation)
{
    sqe->user_data = (uint64_t)(uintptr_t)side | operation;
    if (side)
        side->in_flight++;
}

static void arm_accept(void)
{
    struct io_uring_sqe *sqe = get_sqe();

    io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
    tag(sqe, NULL, OP_ACCEPT);
}

static void arm_signal(void)
{
    struct io_uring_sqe *sqe = get_sqe();

    io_uring_prep_read(sqe, signals, &signal_info, sizeof(signal_info), 0);
    tag(sqe, NULL, OP_SIGNAL);
}

static void arm_recv(struct side *side)
{
    struct io_uring_sqe *sqe = get_sqe();

    io_uring_prep_recv_multishot(sqe, side->fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = 0;
    tag(sqe, side, OP_RECV);
}

static void return_buffer(uint32_t id)
{
    io_uring_buf_ring_add(buffer_ring, buffers + (size_t)id * buffer_size, buffer_size, (unsigned short)id,
                          io_uring_buf_ring_mask(n_buffers), returned++);
    available++;
}

static void mark_dirty(struct side *side)
{
    if (side->dirty)
        return;
    side->dirty = true;
    dirty[n_dirty++] = side;
}

/* Both sockets die at once; operations in flight complete because of the shutdown, and the last of them lets
 * settle free the pair. */
static void abort_pair(struct side *side)
{
    if (side->aborted)
        return;
    side->aborted = side->peer->aborted = true;
    shutdown(side->fd, SHUT_RDWR);
    shutdown(side->peer->fd, SHUT_RDWR);
    mark_dirty(side);
}

static struct side *pair_create(int client, int server)
{
    struct side *pair = aligned_alloc(64, 2 * sizeof(*pair));

    if (!pair)
        return NULL;
    memset(pair, 0, 2 * sizeof(*pair));
    for (int i = 0; i < 2; i++) {
        pair[i].peer = &pair[!i];
        pair[i].first = pair[i].last = NO_BUFFER;
    }
    pair[0].fd = client;
    pair[1].fd = server;
    n_sides += 2;
    return pair;
}

static void drop_chunks(struct side *side)
{
    while (side->first != NO_BUFFER) {
        return_buffer(side->first);
        side->first = chunks[side->first].next;
    }
}

static void pair_destroy(struct side *side)
{
    struct side *pair = side < side->peer ? side : side->peer;

    for (int i = 0; i < 2; i++) {
        drop_chunks(&pair[i]);
        close(pair[i].fd);
    }
    n_sides -= 2;
    free(pair);
}

static void on_accept(int client, uint32_t flags)
{
    int server = -1, on = 1;
    struct side *pair = NULL;
    struct io_uring_sqe *sqe;

    if (!(flags & IORING_CQE_F_MORE))
        arm_accept();
    if (client < 0)
        return;
    counters.accepted++;
    if (n_sides + 2 <= SIDES_MAX)
        server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server >= 0)
        pair = pair_create(client, server);
    if (!pair) {
        close(client);
        if (server >= 0)
            close(server);
        return;
    }
    setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    sqe = get_sqe();
    io_uring_prep_connect(sqe, server, (struct sockaddr *)&upstream, sizeof(upstream));
    tag(sqe, &pair[1], OP_CONNECT);
}

static void on_connect(struct side *side, int result)
{
    if (result < 0) {
        abort_pair(side);
        return;
    }
    arm_recv(side->peer);
    arm_recv(side);
}

static void queue_chunk(struct side *to, uint32_t id, uint32_t len)
{
    chunks[id] = (struct chunk){.len = len, .next = NO_BUFFER};
    if (to->first == NO_BUFFER)
        to->first = id;
    else
        chunks[to->last].next = id;
    to->last = id;
    mark_dirty(to);
}

static void wait_for_buffers(struct side *side)
{
    if (side->starved)
        return;
    side->starved = true;
    starved[n_starved++] = side;
}

static void on_recv(struct side *side, int result, uint32_t flags)
{
    if (flags & IORING_CQE_F_BUFFER)
        available--;
    if (result > 0)
        queue_chunk(side->peer, flags >> IORING_CQE_BUFFER_SHIFT, (uint32_t)result);
    else if (flags & IORING_CQE_F_BUFFER)
        return_buffer(flags >> IORING_CQE_BUFFER_SHIFT);
    if (flags & IORING_CQE_F_MORE)
        return;
    if (result == -ENOBUFS) {
        counters.no_buffers++;
        wait_for_buffers(side);
    } else if (result > 0 && !side->aborted) {
        arm_recv(side);
    } else if (result == 0) {
        side->eof = true;
        mark_dirty(side->peer);
    } else {
        abort_pair(side);
    }
}

static void on_send(struct side *side, int result)
{
    uint32_t left = result > 0 ? (uint32_t)result : 0;

    if (result < 0) {
        side->sending = 0;
        abort_pair(side);
        return;
    }
    if (left < side->sending)
        counters.short_sends++;
    side->sending = 0;
    while (side->first != NO_BUFFER && left >= chunks[side->first].len) {
        left -= chunks[side->first].len;
        return_buffer(side->first);
        side->first = chunks[side->first].next;
    }
    if (left > 0) {
        chunks[side->first].offset += left;
        chunks[side->first].len -= left;
    }
    if (side->first != NO_BUFFER || side->peer->eof || side->aborted)
        mark_dirty(side);
}

static void start_send(struct side *side)
{
    struct io_uring_sqe *sqe = get_sqe();
    size_t n = 0;

    for (uint32_t id = side->first; id != NO_BUFFER && n < IOVECS; id = chunks[id].next) {
        side->iovecs[n].iov_base = buffers + (size_t)id * buffer_size + chunks[id].offset;
        side->iovecs[n++].iov_len = chunks[id].len;
        side->sending += chunks[id].len;
    }
    if (n == 1) {
        io_uring_prep_send(sqe, side->fd, side->iovecs[0].iov_base, side->iovecs[0].iov_len,
                           MSG_NOSIGNAL | MSG_WAITALL);
    } else {
        side->message = (struct msghdr){.msg_iov = side->iovecs, .msg_iovlen = n};
        io_uring_prep_sendmsg(sqe, side->fd, &side->message, MSG_NOSIGNAL | MSG_WAITALL);
    }
    tag(sqe, side, OP_SEND);
}

/* What one side needs at the end of a turn: the next send, the end of stream, or its own end. */
static void settle(struct side *side)
{
    struct side *peer = side->peer;
    bool idle = side->in_flight == 0 && peer->in_flight == 0 && !side->starved && !peer->starved;

    side->dirty = false;
    if (side->aborted) {
        /* At once: what waits for buffers may wait for these, and be one of this pair. */
        if (side->sending == 0)
            drop_chunks(side);
        if (peer->sending == 0)
            drop_chunks(peer);
        if (idle && !peer->dirty)
            pair_destroy(side);
        return;
    }
    if (side->sending > 0)
        return;
    if (side->first != NO_BUFFER) {
        start_send(side);
        return;
    }
    if (peer->eof && !side->shut) {
        side->shut = true;
        shutdown(side->fd, SHUT_WR);
    }
    if (side->shut && peer->shut && idle && !peer->dirty)
        pair_destroy(side);
}

/* As many starved sides as there are buffers are armed again, oldest first; without buffers they would only fail once more. Not as many
 * as came back just now: a side that has nothing to receive takes none, and those behind it would wait for ever. */
static void feed_starved(void)
{
    uint32_t n = n_starved < available ? n_starved : available;

    for (uint32_t i = 0; i < n; i++) {
        starved[i]->starved = false;
        if (starved[i]->aborted)
            mark_dirty(starved[i]);
        else
            arm_recv(starved[i]);
    }
    n_starved -= n;
    memmove(starved, starved + n, n_starved * sizeof(starved[0]));
}

static void on_completion(const struct io_uring_cqe *cqe)
{
    struct side *side = (struct side *)(uintptr_t)(cqe->user_data & ~(uint64_t)OP_MASK);
    enum operation operation = (enum operation)(cqe->user_data & OP_MASK);

    if (side && !(cqe->flags & IORING_CQE_F_MORE))
        side->in_flight--;
    switch (operation) {
    case OP_RECV:
        on_recv(side, cqe->res, cqe->flags);
        break;
    case OP_SEND:
        on_send(side, cqe->res);
        break;
    case OP_CONNECT:
        on_connect(side, cqe->res);
        break;
    case OP_ACCEPT:
        on_accept(cqe->res, cqe->flags);
        break;
    case OP_SIGNAL:
    case OP_MASK:
        stopping = true;
        break;
    }
    if (side && side->aborted)
        mark_dirty(side);
}

static void turn(void)
{
    struct io_uring_cqe *cqe;
    unsigned head, n = 0;
    int error = io_uring_submit_and_wait(&ring, 1);

    counters.enters++;
    if (error < 0 && error != -EINTR && error != -EBUSY)
        die("io_uring_enter", -error);
    io_uring_for_each_cqe(&ring, head, cqe)
    {
        on_completion(cqe);
        n++;
    }
    io_uring_cq_advance(&ring, n);
    counters.completions += n;
    for (uint32_t i = 0; i < n_dirty; i++)
        settle(dirty[i]);
    n_dirty = 0;
    if (returned > 0)
        io_uring_buf_ring_advance(buffer_ring, returned);
    returned = 0;
    feed_starved();
}

static void *map(size_t size)
{
    void *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

    if (memory == MAP_FAILED)
        die("mmap", errno);
    return memory;
}

static void open_ring(void)
{
    struct io_uring_params params = {.cq_entries = CQ_ENTRIES};
    struct io_uring_buf_reg registration = {.ring_entries = n_buffers};
    int error;

    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL |
                   IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
    error = io_uring_queue_init_params(SQ_ENTRIES, &ring, &params);
    if (error)
        die("io_uring_setup", -error);
    io_uring_register_ring_fd(&ring);
    buffer_ring = map(n_buffers * sizeof(struct io_uring_buf));
    buffers = map((size_t)n_buffers * buffer_size);
    chunks = calloc(n_buffers, sizeof(*chunks));
    if (!chunks)
        die("memory", ENOMEM);
    registration.ring_addr = (uint64_t)(uintptr_t)buffer_ring;
    error = io_uring_register_buf_ring(&ring, &registration, 0);
    if (error)
        die("register buffer ring", -error);
    io_uring_buf_ring_init(buffer_ring);
    for (uint32_t id = 0; id < n_buffers; id++)
        return_buffer(id);
    io_uring_buf_ring_advance(buffer_ring, returned);
    returned = 0;
}

static void open_listener(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int on = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0)
        die("socket", errno);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    /* Accepted sockets inherit it. */
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 4096))
        die("listen", errno);
}

static void open_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signals = signalfd(-1, &set, SFD_CLOEXEC);
    if (signals < 0)
        die("signalfd", errno);
}

static uint32_t number(const char *text, uint32_t max)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (*end || end == text || value == 0 || value > max) {
        fprintf(stderr, "floor: \"%s\" is not a number from 1 to %u\n", text, max);
        exit(2);
    }
    return (uint32_t)value;
}

int main(int argc, char **argv)
{
    if (argc < 3 || argc > 5) {
        fprintf(stderr, "usage: floor LISTEN_PORT UPSTREAM_PORT [BUFFER_SIZE [BUFFERS]]\n");
        return 2;
    }
    if (argc > 3)
        buffer_size = number(argv[3], 1u << 24);
    if (argc > 4)
        n_buffers = number(argv[4], BUFFERS_MAX);
    if (n_buffers & (n_buffers - 1)) {
        fprintf(stderr, "floor: BUFFERS must be a power of two\n");
        return 2;
    }
    upstream.sin_family = AF_INET;
    upstream.sin_port = htons((uint16_t)number(argv[2], UINT16_MAX));
    upstream.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    open_signals();
    open_listener((uint16_t)number(argv[1], UINT16_MAX));
    open_ring();
    arm_accept();
    arm_signal();
    while (!stopping)
        turn();
    printf("counters enters=%lu completions=%lu accepted=%lu no_buffers=%lu short_sends=%lu\n",
           counters.enters, counters.completions, counters.accepted, counters.no_buffers,
           counters.short_sends);
    return 0;
}
