/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The new process of an upgrade; see upgrade.h. Everything received is checked: another version, or another program, may be the sender. */
#include "control/upgrade.h"
#include "control/upgrade_message.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

struct received_part {
    char name[UPGRADE_NAME_MAX];
    char *data; /* owned, with a NUL behind it */
    size_t len, got;
};

struct upgrade_gift {
    int channel; /* owned; -1: closed */
    size_t sockets_wanted, sockets_got, parts_wanted, n_parts;
    struct received_part received[UPGRADE_PARTS_MAX];
    struct upgrade_part parts[UPGRADE_PARTS_MAX];
    struct upgrade_message message; /* scratch */
};

/* Where the sentence about what is wrong goes. */
struct complaint {
    char *text;
    size_t size;
};

static int complain(struct complaint *complaint, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

static int complain(struct complaint *complaint, int code, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    vsnprintf(complaint->text, complaint->size, format, list);
    va_end(list);
    return code;
}

bool upgrade_is_child(void)
{
    return getenv(UPGRADE_VARIABLE) != NULL;
}

/* The variable may be anybody's: it must be a number, and the number of a packet socket. */
static int find_channel(struct complaint *complaint)
{
    const char *text = getenv(UPGRADE_VARIABLE);
    struct timeval patience = {.tv_sec = UPGRADE_END_MS / 1000};
    int type = 0;
    socklen_t len = sizeof(type);
    char *end = NULL;
    long fd = text && *text >= '0' && *text <= '9' ? strtol(text, &end, 10) : -1;

    if (fd < 3 || fd > 1 << 20 || *end != '\0' || getsockopt((int)fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0 ||
        type != SOCK_SEQPACKET)
        return complain(complaint, -EINVAL, "the variable " UPGRADE_VARIABLE " does not name the channel of an upgrade");
    (void)unsetenv(UPGRADE_VARIABLE);
    (void)fcntl((int)fd, F_SETFD, FD_CLOEXEC);
    (void)setsockopt((int)fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    return (int)fd;
}

static int get(struct upgrade_gift *gift, struct complaint *complaint)
{
    int result = upgrade_get(gift->channel, &gift->message);

    if (result > 0)
        return 0;
    if (result == 0)
        return complain(complaint, -EPIPE, "the old process ended in the middle of the upgrade");
    if (result == -EAGAIN)
        return complain(complaint, -ETIMEDOUT, "the old process has stopped sending");
    return complain(complaint, result, "the old process sent something that is no message (%d: %s)", -result,
                    strerror(-result));
}

static int take_hello(struct upgrade_gift *gift, struct complaint *complaint)
{
    const struct upgrade_header *header = &gift->message.header;
    int error = get(gift, complaint);

    if (error)
        return error;
    upgrade_close_fds(&gift->message);
    if (header->version != UPGRADE_VERSION)
        return complain(complaint, -EPROTONOSUPPORT, "the running process offers an upgrade of version %u, and this one takes version %u",
                        header->version, UPGRADE_VERSION);
    if (header->kind != UPGRADE_HELLO || header->a > LISTENER_FDS_MAX || header->b > UPGRADE_PARTS_MAX)
        return complain(complaint, -EBADMSG, "the upgrade began with a wrong message");
    gift->sockets_wanted = header->a;
    gift->parts_wanted = header->b;
    return 0;
}

static int take_sockets(struct upgrade_gift *gift, struct listeners *listeners, struct complaint *complaint)
{
    struct upgrade_message *message = &gift->message;

    if (message->n_fds == 0 || message->header.a != message->n_fds || message->len != message->n_fds ||
        message->n_fds > gift->sockets_wanted - gift->sockets_got || gift->n_parts > 0)
        return complain(complaint, -EBADMSG, "the sockets of the upgrade do not agree with what was announced");
    for (size_t i = 0; i < message->n_fds; i++) {
        bool file_is_ours = message->body[i] & UPGRADE_FILE_IS_OURS;
        int error = listeners_inherit(listeners, message->fds[i], file_is_ours, complaint->text, complaint->size);

        if (error)
            return error;
        message->fds[i] = -1;
        gift->sockets_got++;
    }
    message->n_fds = 0;
    return 0;
}

static bool is_name(const char *name, size_t len)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

    if (len == 0 || len >= UPGRADE_NAME_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        if (name[i] == '\0' || !strchr(allowed, name[i]))
            return false;
    return true;
}

static bool is_whole(const struct upgrade_gift *gift)
{
    const struct received_part *last = gift->n_parts > 0 ? &gift->received[gift->n_parts - 1] : NULL;

    return gift->sockets_got == gift->sockets_wanted && (!last || last->got == last->len);
}

static int take_part(struct upgrade_gift *gift, struct complaint *complaint)
{
    struct received_part *part = &gift->received[gift->n_parts];
    size_t len = gift->message.header.a;

    if (!is_whole(gift) || gift->n_parts == gift->parts_wanted || !is_name(gift->message.body, gift->message.len) ||
        len > UPGRADE_PART_MAX)
        return complain(complaint, -EBADMSG, "a part of the upgrade does not agree with what was announced");
    part->data = calloc(1, len + 1);
    if (!part->data)
        return complain(complaint, -ENOMEM, "out of memory");
    memcpy(part->name, gift->message.body, gift->message.len);
    part->len = len;
    gift->parts[gift->n_parts++] = (struct upgrade_part){part->name, part->data, len};
    return 0;
}

static int take_data(struct upgrade_gift *gift, struct complaint *complaint)
{
    struct received_part *part = gift->n_parts > 0 ? &gift->received[gift->n_parts - 1] : NULL;

    if (!part || gift->message.len == 0 || gift->message.len > part->len - part->got)
        return complain(complaint, -EBADMSG, "the data of the upgrade do not agree with what was announced");
    memcpy(part->data + part->got, gift->message.body, gift->message.len);
    part->got += gift->message.len;
    return 0;
}

/* Returns 1 at the END, 0 to go on. Each message brings the whole nearer, or is refused: so there is an end. */
static int take_message(struct upgrade_gift *gift, struct listeners *listeners, struct complaint *complaint)
{
    int error = get(gift, complaint);
    unsigned kind = gift->message.header.kind;

    if (error)
        return error;
    if (gift->message.header.version != UPGRADE_VERSION || (gift->message.n_fds > 0 && kind != UPGRADE_SOCKETS))
        return complain(complaint, -EBADMSG, "a message of the upgrade is wrong");
    if (kind == UPGRADE_SOCKETS)
        return take_sockets(gift, listeners, complaint);
    if (kind == UPGRADE_PART)
        return take_part(gift, complaint);
    if (kind == UPGRADE_DATA)
        return take_data(gift, complaint);
    if (kind == UPGRADE_END && is_whole(gift) && gift->n_parts == gift->parts_wanted)
        return 1;
    return complain(complaint, -EBADMSG, "a message of the upgrade is wrong, or comes too early");
}

static void close_rest(struct upgrade_message *message)
{
    for (size_t i = 0; i < message->n_fds; i++)
        if (message->fds[i] >= 0)
            close(message->fds[i]);
    message->n_fds = 0;
}

int upgrade_receive(struct listeners *listeners, struct upgrade_gift **result, char *error, size_t size)
{
    struct complaint complaint = {error, size};
    struct upgrade_gift *gift = calloc(1, sizeof(*gift));
    int code;

    *result = NULL;
    if (!gift)
        return complain(&complaint, -ENOMEM, "out of memory");
    gift->channel = find_channel(&complaint);
    code = gift->channel < 0 ? gift->channel : take_hello(gift, &complaint);
    while (code == 0)
        code = take_message(gift, listeners, &complaint);
    if (code > 0) {
        *result = gift;
        return 0;
    }
    close_rest(&gift->message);
    upgrade_tell_failed(gift, error);
    upgrade_gift_destroy(gift);
    return code;
}

const struct upgrade_part *upgrade_gift_part(const struct upgrade_gift *gift, const char *name)
{
    for (size_t i = 0; i < gift->n_parts; i++)
        if (strcmp(gift->parts[i].name, name) == 0)
            return &gift->parts[i];
    return NULL;
}

int upgrade_tell_ready(struct upgrade_gift *gift)
{
    struct upgrade_header header = {UPGRADE_MAGIC, UPGRADE_VERSION, UPGRADE_IS_READY, 0, 0};

    return upgrade_send(gift->channel, &header, NULL, 0, NULL, 0);
}

/* If it cannot be told, the exit status has to do. */
void upgrade_tell_failed(struct upgrade_gift *gift, const char *sentence)
{
    struct upgrade_header header = {UPGRADE_MAGIC, UPGRADE_VERSION, UPGRADE_HAS_FAILED, 0, 0};
    size_t len = strnlen(sentence, UPGRADE_BODY_MAX);

    if (gift->channel >= 0 && upgrade_send(gift->channel, &header, sentence, len, NULL, 0) != 0)
        return;
}

void upgrade_gift_destroy(struct upgrade_gift *gift)
{
    if (!gift)
        return;
    if (gift->channel >= 0)
        close(gift->channel);
    for (size_t i = 0; i < gift->n_parts; i++) {
        explicit_bzero(gift->received[i].data, gift->received[i].len);
        free(gift->received[i].data);
    }
    explicit_bzero(gift, sizeof(*gift));
    free(gift);
}
