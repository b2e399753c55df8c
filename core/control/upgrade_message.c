/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Packets of an upgrade; see upgrade_message.h. */
#include "control/upgrade_message.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

union control_room {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(UPGRADE_FDS_PER_PACKET * sizeof(int))];
};

int upgrade_send(int channel, const struct upgrade_header *header, const void *body, size_t len, const int *fds,
                 size_t n_fds)
{
    struct iovec iov[] = {{(void *)(uintptr_t)header, sizeof(*header)}, {(void *)(uintptr_t)body, len}};
    union control_room room = {0};
    struct msghdr message = {.msg_iov = iov, .msg_iovlen = len > 0 ? 2 : 1};

    if (n_fds > 0) {
        struct cmsghdr *rights;

        message.msg_control = room.bytes;
        message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        rights = CMSG_FIRSTHDR(&message);
        *rights = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(n_fds * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(rights), fds, n_fds * sizeof(int));
    }
    return sendmsg(channel, &message, MSG_NOSIGNAL) >= 0 ? 0 : -errno;
}

/* Descriptors are there as soon as the kernel has made the packet ours: all of them are kept, so that all can be closed. */
static void take_fds(struct msghdr *packet, struct upgrade_message *message)
{
    for (struct cmsghdr *rights = CMSG_FIRSTHDR(packet); rights; rights = CMSG_NXTHDR(packet, rights)) {
        size_t n;

        if (rights->cmsg_level != SOL_SOCKET || rights->cmsg_type != SCM_RIGHTS)
            continue;
        n = (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        if (n > UPGRADE_FDS_PER_PACKET - message->n_fds)
            n = UPGRADE_FDS_PER_PACKET - message->n_fds;
        memcpy(message->fds + message->n_fds, CMSG_DATA(rights), n * sizeof(int));
        message->n_fds += n;
    }
}

int upgrade_get(int channel, struct upgrade_message *message)
{
    struct iovec iov[] = {{&message->header, sizeof(message->header)}, {message->body, sizeof(message->body)}};
    union control_room room;
    struct msghdr packet = {
        .msg_iov = iov, .msg_iovlen = 2, .msg_control = room.bytes, .msg_controllen = sizeof(room.bytes)};
    ssize_t n;

    message->n_fds = 0;
    do
        n = recvmsg(channel, &packet, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    take_fds(&packet, message);
    if (n == 0 && message->n_fds == 0)
        return 0;
    message->len = (size_t)n - sizeof(message->header);
    if ((packet.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || (size_t)n < sizeof(message->header) ||
        message->len > UPGRADE_BODY_MAX || message->header.magic != UPGRADE_MAGIC) {
        upgrade_close_fds(message);
        return -EBADMSG;
    }
    return 1;
}

void upgrade_close_fds(struct upgrade_message *message)
{
    while (message->n_fds > 0)
        close(message->fds[--message->n_fds]);
}
