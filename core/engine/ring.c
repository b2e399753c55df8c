/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One io_uring instance; see ring.h. The set-up follows the facts in doc/io_uring.md: SINGLE_ISSUER and DEFER_TASKRUN run completion
 * work only inside our own wait, so a turn of the loop is one system call. Nothing here knows what an actor is for.
 */
#include "engine/ring.h"
#include "engine/ring_restrictions.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SLOTS_PER_CHUNK 4096u
#define BATCH_MAX  8u     /* completions that one entry waits for at most */
#define BATCH_NS   50000u /* how long at most, where one is there already */
#define BATCH_HOLD 256u   /* turns without, after a wait in vain */
#define DISPATCH_FACTOR 4u /* completions of one dispatch, in submission queue lengths: then submit, so that nothing starves */

struct slot {
    struct actor *actor; /* NULL: free */
    uint32_t next_free;
    uint16_t generation;
};

/* What the kernel reads of a gathered send until it has been submitted; one per submission queue entry. */
struct gather {
    struct msghdr header;
    struct iovec iov[RING_IOV_MAX];
};

/* How many completions an entry waits for; see learn_batch. */
struct batch {
    unsigned want, hold;
};

struct ring {
    struct io_uring uring;
    struct batch batch;
    struct ring_config config;
    struct ring_counters counters;
    struct buffers buffers;
    struct slot **chunks;
    uint32_t n_slots, first_free; /* first_free: a slot number + 1, 0 for none */
    struct actor *marked, **marked_end;
    struct gather *gathers;
};

struct buffers *ring_buffers(struct ring *ring)
{
    return &ring->buffers;
}

const struct ring_counters *ring_counters(const struct ring *ring)
{
    return &ring->counters;
}

static int setup(struct ring *ring)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
        .cq_entries = ring->config.cq_entries,
    };

    int error = io_uring_queue_init_params(ring->config.sq_entries, &ring->uring, &params);

    if (error)
        return error;
    error = ring_restrict(ring->uring.ring_fd);
    if (error && error != -EINVAL) {
        io_uring_queue_exit(&ring->uring);
        return error;
    }
    return 0; /* a kernel without restrictions has told so in the line of the start (probe.c) */
}

int ring_create(const struct ring_config *config, struct ring **result)
{
    struct ring *ring = calloc(1, sizeof(*ring));
    int error = -ENOMEM;

    if (!ring)
        return -ENOMEM;
    ring->config = *config;
    ring->marked_end = &ring->marked;
    ring->chunks = calloc(config->actors_max / SLOTS_PER_CHUNK + 1, sizeof(struct slot *));
    if (!ring->chunks)
        goto free_tables;
    error = buffers_init(&ring->buffers, &config->buffers);
    if (error)
        goto free_tables;
    error = setup(ring);
    if (error)
        goto free_buffers;
    /* The kernel may have rounded the queue's length up. */
    ring->gathers = calloc(ring->uring.sq.ring_entries, sizeof(struct gather));
    if (!ring->gathers) {
        error = -ENOMEM;
        goto exit_ring;
    }
    *result = ring;
    return 0;

exit_ring:
    io_uring_queue_exit(&ring->uring);
free_buffers:
    buffers_fini(&ring->buffers);
free_tables:
    free(ring->chunks);
    free(ring);
    return error;
}

void ring_destroy(struct ring *ring)
{
    if (!ring)
        return;
    io_uring_queue_exit(&ring->uring);
    for (uint32_t i = 0; i * SLOTS_PER_CHUNK < ring->n_slots; i++)
        free(ring->chunks[i]);
    buffers_fini(&ring->buffers);
    free(ring->gathers);
    free(ring->chunks);
    free(ring);
}

/* liburing 2.3 declares io_uring_enable_rings and forgets to export it. */
static int enable(const struct ring *ring)
{
    long result =
        syscall(__NR_io_uring_register, ring->uring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);

    return result < 0 ? -errno : 0;
}

int ring_enable(struct ring *ring)
{
    struct io_uring_buf_reg registration = {
        .ring_addr = (uintptr_t)ring->buffers.ring,
        .ring_entries = ring->config.buffers.ring_entries,
    };
    int error = enable(ring);

    if (error)
        return error;
    error = io_uring_register_buf_ring(&ring->uring, &registration, 0);
    if (error)
        return error;
    /* Saves a look-up of the descriptor with every enter. Without it all works as well. */
    (void)io_uring_register_ring_fd(&ring->uring);
    return 0;
}

/* Slots. A generation is 16 bits, a slot 32: user_data = generation << 48 | slot << 8 | operation. */

static struct slot *slot_at(struct ring *ring, uint32_t number)
{
    return &ring->chunks[number / SLOTS_PER_CHUNK][number % SLOTS_PER_CHUNK];
}

static bool grow_slots(struct ring *ring)
{
    uint32_t first = ring->n_slots;
    struct slot *chunk;

    if (first >= ring->config.actors_max)
        return false;
    chunk = calloc(SLOTS_PER_CHUNK, sizeof(*chunk));
    if (!chunk)
        return false;
    ring->chunks[first / SLOTS_PER_CHUNK] = chunk;
    ring->n_slots = first + SLOTS_PER_CHUNK;
    for (uint32_t i = SLOTS_PER_CHUNK; i-- > 0;) {
        chunk[i].next_free = ring->first_free;
        ring->first_free = first + i + 1;
    }
    return true;
}

bool ring_add(struct ring *ring, struct actor *actor, const struct actor_type *type)
{
    struct slot *slot;

    if (!ring->first_free && !grow_slots(ring))
        return false;
    *actor = (struct actor){.type = type, .slot = ring->first_free - 1};
    slot = slot_at(ring, actor->slot);
    ring->first_free = slot->next_free;
    slot->actor = actor;
    actor->generation = slot->generation;
    return true;
}

void ring_remove(struct ring *ring, struct actor *actor)
{
    struct slot *slot = slot_at(ring, actor->slot);

    assert(actor->in_flight == 0 && !actor->marked && slot->actor == actor);
    slot->actor = NULL;
    slot->generation++;
    slot->next_free = ring->first_free;
    ring->first_free = actor->slot + 1;
}

void ring_mark(struct ring *ring, struct actor *actor)
{
    if (actor->marked)
        return;
    actor->marked = true;
    actor->next_marked = NULL;
    *ring->marked_end = actor;
    ring->marked_end = &actor->next_marked;
}

/* Operations. */

static uint64_t user_data(const struct actor *actor, enum ring_operation operation)
{
    return (uint64_t)actor->generation << 48 | (uint64_t)actor->slot << 8 | (uint64_t)operation;
}

static struct io_uring_sqe *next_entry(struct ring *ring)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);

    if (!sqe)
        ring->counters.sq_full++;
    return sqe;
}

static bool issue(struct io_uring_sqe *sqe, struct actor *actor, enum ring_operation operation)
{
    io_uring_sqe_set_data64(sqe, user_data(actor, operation));
    actor->in_flight++;
    return true;
}

bool ring_accept(struct ring *ring, struct actor *actor, int fd)
{
    struct io_uring_sqe *sqe = next_entry(ring);

    if (!sqe)
        return false;
    if (ring->config.multishot_accept)
        io_uring_prep_multishot_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC);
    else
        io_uring_prep_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC);
    return issue(sqe, actor, RING_ACCEPT);
}

bool ring_recv(struct ring *ring, struct actor *actor, int fd, bool single, bool poll_first)
{
    struct io_uring_sqe *sqe = next_entry(ring);

    if (!sqe)
        return false;
    /* Never first a poll for a multishot: where bytes and a reset are there already, Linux (6.18) brings the bytes and waits for ever. */
    if (ring->config.multishot_recv && !single)
        io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
    else
        io_uring_prep_recv(sqe, fd, NULL, 0, 0);
    if (poll_first && (single || !ring->config.multishot_recv))
        sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = 0;
    return issue(sqe, actor, RING_RECV);
}

bool ring_recv_into(struct ring *ring, struct actor *actor, int fd, void *data, size_t len)
{
    struct io_uring_sqe *sqe = next_entry(ring);

    if (!sqe)
        return false;
    io_uring_prep_recv(sqe, fd, data, len, 0);
    return issue(sqe, actor, RING_RECV);
}

bool ring_send(struct ring *ring, struct actor *actor, int fd, const struct iovec *iov, unsigned n)
{
    struct io_uring_sqe *sqe = next_entry(ring);
    struct gather *gather;

    assert(n > 0 && n <= RING_IOV_MAX);
    if (!sqe)
        return false;
    if (n == 1) {
        io_uring_prep_send(sqe, fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL);
        return issue(sqe, actor, RING_SEND);
    }
    gather = &ring->gathers[sqe - ring->uring.sq.sqes];
    memcpy(gather->iov, iov, n * sizeof(*iov));
    gather->header = (struct msghdr){.msg_iov = gather->iov, .msg_iovlen = n};
    io_uring_prep_sendmsg(sqe, fd, &gather->header, MSG_NOSIGNAL);
    return issue(sqe, actor, RING_SEND);
}

bool ring_connect(struct ring *ring, struct actor *actor, int fd, const struct sockaddr *address, socklen_t len)
{
    struct io_uring_sqe *sqe = next_entry(ring);

    if (!sqe)
        return false;
    io_uring_prep_connect(sqe, fd, address, len);
    return issue(sqe, actor, RING_CONNECT);
}

bool ring_poll(struct ring *ring, struct actor *actor, int fd)
{
    struct io_uring_sqe *sqe = next_entry(ring);

    if (!sqe)
        return false;
    io_uring_prep_poll_multishot(sqe, fd, POLLIN);
    return issue(sqe, actor, RING_POLL);
}

bool ring_cancel(struct ring *ring, struct actor *actor, enum ring_operation operation)
{
    struct io_uring_sqe *sqe = next_entry(ring);

    if (!sqe)
        return false;
    io_uring_prep_cancel64(sqe, user_data(actor, operation), IORING_ASYNC_CANCEL_ALL);
    return issue(sqe, actor, RING_CANCEL);
}

/* The turn. */

static void flush_marked(struct ring *ring)
{
    struct actor *actor = ring->marked;

    ring->marked = NULL;
    ring->marked_end = &ring->marked;
    while (actor) {
        struct actor *next = actor->next_marked;

        actor->marked = false;
        if (!actor->type->flush(actor))
            ring_mark(ring, actor);
        actor = next;
    }
}

/*
 * Under load one entry takes in several completions: it waits for as many as came by themselves lately, one more each time that more came than
 * were waited for. When they do not come within BATCH_NS, which is all the delay that it can cost, the next BATCH_HOLD turns wait for one only.
 */
static void learn_batch(struct ring *ring, bool in_vain)
{
    struct batch *batch = &ring->batch;

    if (in_vain) {
        batch->want = 1;
        batch->hold = BATCH_HOLD;
    } else if (batch->hold > 0) {
        batch->hold--;
    } else if (batch->want < BATCH_MAX && io_uring_cq_ready(&ring->uring) > batch->want) {
        batch->want++;
    }
}

static int enter(struct ring *ring, uint64_t wait_ns)
{
    bool batching = ring->batch.want > 1 && wait_ns > BATCH_NS;
    struct __kernel_timespec timeout = {.tv_sec = (int64_t)(wait_ns / 1000000000u),
                                        .tv_nsec = (int64_t)(wait_ns % 1000000000u)};
    struct io_uring_cqe *cqe;
    int result;

    ring->counters.enters++;
    ring->counters.submitted += io_uring_sq_ready(&ring->uring);
    if (wait_ns == 0)
        return io_uring_submit_and_get_events(&ring->uring);
    if (batching)
        timeout = (struct __kernel_timespec){.tv_nsec = BATCH_NS};
    result = io_uring_submit_and_wait_timeout(&ring->uring, &cqe, batching ? ring->batch.want : 1, &timeout, NULL);
    learn_batch(ring, batching && io_uring_cq_ready(&ring->uring) < ring->batch.want);
    return result;
}

int ring_wait(struct ring *ring, uint64_t wait_ns)
{
    int result;

    flush_marked(ring);
    buffers_provide(&ring->buffers);
    if (io_uring_cq_has_overflow(&ring->uring))
        ring->counters.cq_overflow++;
    /* What could not be issued for want of room goes out after this submit: then we must not sleep. */
    result = enter(ring, ring->marked ? 0 : wait_ns);
    if (result >= 0 || result == -ETIME || result == -EINTR)
        return 0;
    ring->counters.enter_errors++;
    /* EBUSY: the completion queue must be drained first. EAGAIN, ENOMEM: memory is short for a moment. */
    return result == -EBUSY || result == -EAGAIN || result == -ENOMEM ? 0 : result;
}

static void complete(struct ring *ring, const struct io_uring_cqe *cqe)
{
    uint32_t number = (uint32_t)(cqe->user_data >> 8);
    uint16_t generation = (uint16_t)(cqe->user_data >> 48);
    struct slot *slot = number < ring->n_slots ? slot_at(ring, number) : NULL;
    struct completion completion = {
        .result = cqe->res,
        .operation = (uint8_t)cqe->user_data,
        .more = cqe->flags & IORING_CQE_F_MORE,
        .has_buffer = cqe->flags & IORING_CQE_F_BUFFER,
        .buffer = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT),
    };

    if (!slot || !slot->actor || slot->generation != generation) {
        ring->counters.stale++;
        if (completion.has_buffer)
            buffer_put(buffers_taken(&ring->buffers, completion.buffer, 0));
        return;
    }
    if (!completion.more)
        slot->actor->in_flight--;
    slot->actor->type->complete(slot->actor, &completion);
}

unsigned ring_dispatch(struct ring *ring)
{
    unsigned limit = ring->config.sq_entries * DISPATCH_FACTOR;
    struct io_uring_cqe *cqe;
    unsigned head, n = 0;

    io_uring_for_each_cqe(&ring->uring, head, cqe) {
        complete(ring, cqe);
        if (++n == limit)
            break;
    }
    io_uring_cq_advance(&ring->uring, n);
    ring->counters.completed += n;
    return n;
}
