/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The letters on their way to one worker. A cell's sequence says whose turn it is: equal to the position, a
 * writer may fill it; one more, the reader may empty it. Writers run on any thread and never wait for each
 * other; the reader never waits for a writer.
 *
 * Why no wake-up is lost: a writer publishes its cell and then reads `sleeping`; the reader sets `sleeping`
 * and then reads the cell. These four are sequentially consistent, so in their one order at least one side
 * sees what the other did: the writer wakes, or the reader stays awake. With release and acquire alone both
 * could read the old value. (Operations and not a fence between them, because ThreadSanitizer understands
 * those; on x86 the price is the same.)
 */
#include "engine/mailbox.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <unistd.h>

_Static_assert((MAILBOX_LETTERS & (MAILBOX_LETTERS - 1)) == 0, "positions are masked");

static struct mailbox_cell *cell_at(struct mailbox *mailbox, unsigned position)
{
    return &mailbox->cells[position & (MAILBOX_LETTERS - 1)];
}

/* The eventfd is a blocking one: a ring's read of it then waits inside the ring instead of failing with
 * EAGAIN. */
int mailbox_init(struct mailbox *mailbox)
{
    const int fd = eventfd(0, EFD_CLOEXEC);

    if (fd < 0)
        return -errno;
    atomic_init(&mailbox->head, 0);
    mailbox->tail = 0;
    atomic_init(&mailbox->sleeping, false);
    mailbox->event_fd = fd;
    for (unsigned i = 0; i < MAILBOX_LETTERS; i++)
        atomic_init(&mailbox->cells[i].sequence, i);
    return 0;
}

void mailbox_fini(struct mailbox *mailbox)
{
    close(mailbox->event_fd);
    mailbox->event_fd = -1;
}

/* Whoever takes the flag writes, so one sleep costs one write however many post. The counter cannot overflow,
 * hence no blocking. */
static void wake_reader(struct mailbox *mailbox)
{
    const uint64_t one = 1;
    ssize_t written;

    if (!atomic_exchange(&mailbox->sleeping, false))
        return;
    do
        written = write(mailbox->event_fd, &one, sizeof(one));
    while (written < 0 && errno == EINTR);
    assert(written == sizeof(one));
}

int mailbox_post(struct mailbox *mailbox, struct letter letter)
{
    unsigned position = atomic_load_explicit(&mailbox->head, memory_order_relaxed);
    struct mailbox_cell *cell;

    assert(letter.run != NULL);
    for (;;) {
        cell = cell_at(mailbox, position);
        const unsigned sequence = atomic_load_explicit(&cell->sequence, memory_order_acquire);

        if ((int)(sequence - position) < 0)
            return -EAGAIN;
        if (sequence != position)
            position = atomic_load_explicit(&mailbox->head, memory_order_relaxed);
        else if (atomic_compare_exchange_weak_explicit(&mailbox->head, &position, position + 1,
                                                       memory_order_relaxed, memory_order_relaxed))
            break;
    }
    cell->letter = letter;
    atomic_store(&cell->sequence, position + 1);
    if (atomic_load(&mailbox->sleeping))
        wake_reader(mailbox);
    return 0;
}

unsigned mailbox_run(struct mailbox *mailbox, void *owner)
{
    unsigned n_run = 0;

    for (; n_run < MAILBOX_LETTERS; n_run++) {
        struct mailbox_cell *cell = cell_at(mailbox, mailbox->tail);

        if (atomic_load_explicit(&cell->sequence, memory_order_acquire) != mailbox->tail + 1)
            break;
        const struct letter letter = cell->letter;

        /* The cell is free before the letter runs, so a letter may post the next one. */
        atomic_store_explicit(&cell->sequence, mailbox->tail + MAILBOX_LETTERS, memory_order_release);
        mailbox->tail++;
        letter.run(owner, letter.argument);
    }
    return n_run;
}

bool mailbox_prepare_sleep(struct mailbox *mailbox)
{
    atomic_store(&mailbox->sleeping, true);
    if (atomic_load(&cell_at(mailbox, mailbox->tail)->sequence) != mailbox->tail + 1)
        return true;
    mailbox_awake(mailbox);
    return false;
}

/* Relaxed: a writer that still reads true writes the eventfd once too often, which only costs a wake-up. */
void mailbox_awake(struct mailbox *mailbox)
{
    atomic_store_explicit(&mailbox->sleeping, false, memory_order_relaxed);
}
