/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The table of what rings may do; see ring_restrictions.h. It lists what ring.c issues, and nothing else. */
#include "engine/ring_restrictions.h"

#include <errno.h>
#include <liburing.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAY_SUBMIT(which)                                                                                    \
    {                                                                                                        \
        .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = (which)                                               \
    }
#define MAY_REGISTER(which)                                                                                  \
    {                                                                                                        \
        .opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = (which)                                     \
    }
#define MAY_FLAG(which)                                                                                      \
    {                                                                                                        \
        .opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED, .sqe_flags = (which)                                 \
    }

static const struct io_uring_restriction restrictions[] = {
    MAY_SUBMIT(IORING_OP_ACCEPT),
    MAY_SUBMIT(IORING_OP_RECV),
    MAY_SUBMIT(IORING_OP_SEND),
    MAY_SUBMIT(IORING_OP_SENDMSG),
    MAY_SUBMIT(IORING_OP_CONNECT),
    MAY_SUBMIT(IORING_OP_POLL_ADD), /* the mailbox */
    MAY_SUBMIT(IORING_OP_ASYNC_CANCEL),
    MAY_FLAG(IOSQE_BUFFER_SELECT),
    MAY_REGISTER(IORING_REGISTER_PBUF_RING),
    MAY_REGISTER(IORING_REGISTER_RING_FDS),
    MAY_REGISTER(IORING_UNREGISTER_RING_FDS),
};

/* liburing 2.3 declares io_uring_register_restrictions and forgets to export it. */
int ring_restrict(int ring_fd)
{
    long result = syscall(__NR_io_uring_register, ring_fd, IORING_REGISTER_RESTRICTIONS, restrictions,
                          sizeof(restrictions) / sizeof(restrictions[0]));

    return result < 0 ? -errno : 0;
}
