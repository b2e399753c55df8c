/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the tests of the ring share: a real io_uring whose worker is the test's own thread, and actors that
 * issue what they are told to and note what comes. One includer per program.
 */
#ifndef FAIRLEAD_TESTS_RING_FIXTURE_H
#define FAIRLEAD_TESTS_RING_FIXTURE_H

#include "engine/ring.h"

#include "engine/clock.h"

#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#define SLOTS     4096u /* slots come in chunks of so many */
#define NOTES_MAX 512u
#define SECOND_NS 1000000000u

/* An actor that issues `wanted` operations by `issue`, and notes what comes. */
struct witness {
    struct actor actor;
    bool (*issue)(struct witness *witness);
    unsigned wanted, issued, n_flushes, n_notes;
    int fd;
    bool single, keeps;
    char data[16];
    struct completion notes[NOTES_MAX];
};

static struct ring *ring;
static struct witness first, second;
static int pair[2];

static inline struct ring_config usual(void)
{
    return (struct ring_config){
        .sq_entries = 8,
        .cq_entries = 64,
        .actors_max = SLOTS,
        .multishot_accept = true,
        .multishot_recv = true,
        .buffers = {.ring_entries = 4,
                    .blocks_max = 4,
                    .block_size = 64,
                    .bulk_max = 1,
                    .bulk_size = 4096,
                    .heap_max = 4096},
    };
}

static inline void note(struct actor *actor, const struct completion *completion)
{
    struct witness *witness = (struct witness *)actor;

    ck_assert_uint_lt(witness->n_notes, NOTES_MAX);
    witness->notes[witness->n_notes++] = *completion;
    if (completion->has_buffer && !witness->keeps)
        buffer_put(buffers_taken(ring_buffers(ring), completion->buffer, (uint32_t)completion->result));
}

static inline bool flush(struct actor *actor)
{
    struct witness *witness = (struct witness *)actor;

    witness->n_flushes++;
    while (witness->issued < witness->wanted) {
        if (!witness->issue(witness))
            return false;
        witness->issued++;
    }
    return true;
}

static const struct actor_type witness_type = {note, flush};

static inline void witness_start(struct witness *witness, int fd)
{
    memset(witness, 0, sizeof(*witness));
    witness->fd = fd;
    ck_assert(ring_add(ring, &witness->actor, &witness_type));
}

static inline void want(struct witness *witness, bool (*issue)(struct witness *witness), unsigned n)
{
    witness->issue = issue;
    witness->wanted += n;
    ring_mark(ring, &witness->actor);
}

static inline void turn(uint64_t wait_ns)
{
    ck_assert_int_eq(ring_wait(ring, wait_ns), 0);
    ring_dispatch(ring);
}

static inline void until_noted(const struct witness *witness, unsigned n)
{
    for (unsigned i = 0; witness->n_notes < n && i < 1000; i++)
        turn(SECOND_NS / 100);
    ck_assert_uint_eq(witness->n_notes, n);
}

static inline void begin(struct ring_config config)
{
    ck_assert_int_eq(ring_create(&config, &ring), 0);
    ck_assert_int_eq(ring_enable(ring), 0);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    witness_start(&first, pair[0]);
    witness_start(&second, pair[1]);
}

static inline void setup(void)
{
    begin(usual());
}

static inline void end(void)
{
    ring_destroy(ring);
    close(pair[0]);
    close(pair[1]);
}

static inline void again(struct ring_config config)
{
    end();
    begin(config);
}

static inline bool issue_recv(struct witness *witness)
{
    return ring_recv(ring, &witness->actor, witness->fd, witness->single, false);
}

static inline bool issue_recv_into(struct witness *witness)
{
    return ring_recv_into(ring, &witness->actor, witness->fd, witness->data, sizeof(witness->data));
}

/* Sends one byte, which tells its number. */
static inline bool issue_send(struct witness *witness)
{
    static char letters[] = "abcdefghijklmnopqrstuvwxyz";
    struct iovec iov = {&letters[witness->issued % 26], 1};

    return ring_send(ring, &witness->actor, witness->fd, &iov, 1);
}

static inline bool issue_gathered(struct witness *witness)
{
    static char letters[] = "abcdefghijklmnop";
    struct iovec iov[RING_IOV_MAX];

    for (unsigned i = 0; i < RING_IOV_MAX; i++)
        iov[i] = (struct iovec){&letters[i], 1};
    iov[0].iov_base = &letters[witness->issued % 16];
    if (!ring_send(ring, &witness->actor, witness->fd, iov, RING_IOV_MAX))
        return false;
    memset(iov, 0xff, sizeof(iov)); /* the array was copied */
    return true;
}

static inline bool issue_cancel_recv(struct witness *witness)
{
    return ring_cancel(ring, &witness->actor, RING_RECV);
}

static inline bool issue_poll(struct witness *witness)
{
    return ring_poll(ring, &witness->actor, witness->fd);
}

static inline bool issue_accept(struct witness *witness)
{
    return ring_accept(ring, &witness->actor, witness->fd);
}

static inline void expect_note(const struct witness *witness, unsigned index, enum ring_operation operation,
                               int result)
{
    ck_assert_uint_lt(index, witness->n_notes);
    ck_assert_int_eq(witness->notes[index].operation, operation);
    ck_assert_int_eq(witness->notes[index].result, result);
}

#endif
