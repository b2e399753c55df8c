/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the two processes of an upgrade say to each other, one message per packet of a SOCK_SEQPACKET pair, numbers as this machine has them. The old one: HELLO,
 * SOCKETS until all that were announced are there, for each part a PART and its DATA, END. The new one: READY or FAILED. Another version may
 * change anything but the header, HELLO being first, and FAILED: so that versions can refuse each other politely.
 */
#ifndef FAIRLEAD_CONTROL_UPGRADE_MESSAGE_H
#define FAIRLEAD_CONTROL_UPGRADE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define UPGRADE_VARIABLE       "FAIRLEAD_UPGRADE"
#define UPGRADE_MAGIC          0x464c5550u /* "FLUP" */
#define UPGRADE_VERSION        1u
#define UPGRADE_BODY_MAX       32768u
#define UPGRADE_FDS_PER_PACKET 250u /* the kernel takes 253 */

enum upgrade_kind {
    UPGRADE_HELLO = 1, /* a: sockets, b: parts */
    UPGRADE_SOCKETS,   /* a: descriptors that come along; a byte for each: enum upgrade_socket_flag */
    UPGRADE_PART,      /* a: bytes of data; the name */
    UPGRADE_DATA,      /* bytes of the part begun last */
    UPGRADE_END,
    UPGRADE_IS_READY,
    UPGRADE_HAS_FAILED /* a sentence */
};

enum upgrade_socket_flag { UPGRADE_FILE_IS_OURS = 1 };

struct upgrade_header {
    uint32_t magic;
    uint16_t version, kind;
    uint32_t a, b;
};

struct upgrade_message {
    struct upgrade_header header;
    size_t len, n_fds;
    char body[UPGRADE_BODY_MAX + 1]; /* one more, to see what is too long */
    int fds[UPGRADE_FDS_PER_PACKET];
};

/* Returns 0 or -errno (-EAGAIN: no room). `fds` come along, and stay the caller's. */
int upgrade_send(int channel, const struct upgrade_header *header, const void *body, size_t len, const int *fds,
                 size_t n_fds) __attribute__((warn_unused_result));
/* Returns 1, 0 at the end, or -errno; -EBADMSG for what is no message. Descriptors that came are the caller's when it returns 1. */
int upgrade_get(int channel, struct upgrade_message *message) __attribute__((warn_unused_result));
void upgrade_close_fds(struct upgrade_message *message);

#endif
