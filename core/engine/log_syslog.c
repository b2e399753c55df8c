/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The connection to a syslog daemon; see log_syslog.h. Our own and not syslog(3)'s, which may block for as
 * long as the daemon hangs, and then every log would stand still.
 *
 * Over TCP a message leaves the buffer only when the peer's kernel has acknowledged it: what was on the way
 * when the connection broke is sent again over the next one. So a daemon that is restarted loses only what it
 * had and did not read; but a message may come twice.
 */
#include "engine/log_syslog.h"

#include <assert.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOCAL_PATH         "/dev/log"
#define LOCAL_RETRY_MAX_MS 1000u
#define LENGTH_MAX         8u /* bytes of a length and its blank */

static void copy_address(struct log_syslog *syslog, const struct log_syslog_server *server)
{
    if (server->address != NULL) {
        assert(server->address_len <= sizeof(syslog->address));
        memcpy(&syslog->address, server->address, server->address_len);
        syslog->address_len = server->address_len;
    } else {
        syslog->address.un = (struct sockaddr_un){.sun_family = AF_UNIX, .sun_path = LOCAL_PATH};
        syslog->address_len = sizeof(syslog->address.un);
    }
    snprintf(syslog->name, sizeof(syslog->name), "%s",
             server->name != NULL ? server->name : "unix:" LOCAL_PATH);
}

int log_syslog_init(struct log_syslog *syslog, const struct log_syslog_server *server,
                    struct log_tally *tally)
{
    char *buffer = mmap(NULL, LOG_SYSLOG_BUFFER, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    *syslog = (struct log_syslog){.kind = server->kind, .fd = -1, .tally = tally};
    if (buffer == MAP_FAILED)
        return -ENOMEM;
    syslog->buffer = buffer;
    copy_address(syslog, server);
    return 0;
}

bool log_syslog_is_same(const struct log_syslog *a, const struct log_syslog *b)
{
    return a->buffer != NULL && b->buffer != NULL && a->kind == b->kind && a->address_len == b->address_len &&
           memcmp(&a->address, &b->address, a->address_len) == 0;
}

/* The message at `at`: where it begins, and where it ends. */
static void frame_at(const struct log_syslog *syslog, size_t at, size_t *begin, size_t *end)
{
    size_t len = 0;

    for (; syslog->buffer[at] != ' '; at++)
        len = len * 10 + (size_t)(syslog->buffer[at] - '0');
    *begin = at + 1;
    *end = at + 1 + len;
    assert(*end <= syslog->end);
}

static void count_lost(struct log_syslog *syslog)
{
    log_tally_add(&syslog->tally->syslog_dropped, 1);
    syslog->lost++;
}

static void close_connection(struct log_syslog *syslog)
{
    if (syslog->fd >= 0)
        close(syslog->fd);
    syslog->fd = -1;
    syslog->connecting = syslog->proving = false;
}

void log_syslog_fini(struct log_syslog *syslog)
{
    size_t begin;

    close_connection(syslog);
    if (syslog->buffer == NULL)
        return;
    while (syslog->start < syslog->end) {
        frame_at(syslog, syslog->start, &begin, &syslog->start);
        count_lost(syslog);
    }
    munmap(syslog->buffer, LOG_SYSLOG_BUFFER);
    syslog->buffer = NULL;
}

/* Moved together only when that gives much: so a byte is moved a few times at most, however slow the daemon.
 */
static bool make_room(struct log_syslog *syslog, size_t size)
{
    if (LOG_SYSLOG_BUFFER - syslog->end >= size)
        return true;
    if (syslog->start < LOG_SYSLOG_BUFFER / 4)
        return false;
    memmove(syslog->buffer, syslog->buffer + syslog->start, syslog->end - syslog->start);
    syslog->end -= syslog->start;
    syslog->sent -= syslog->start;
    syslog->start = 0;
    return true;
}

void log_syslog_add(struct log_syslog *syslog, const char *prefix, size_t prefix_len, const char *text,
                    size_t len)
{
    assert(prefix_len + len <= LOG_SYSLOG_MESSAGE);
    if (!make_room(syslog, LENGTH_MAX + prefix_len + len)) {
        count_lost(syslog);
        return;
    }
    char *at = syslog->buffer + syslog->end;

    at += snprintf(at, LENGTH_MAX, "%zu ", prefix_len + len);
    memcpy(at, prefix, prefix_len);
    memcpy(at + prefix_len, text, len);
    syslog->end = (size_t)(at - syslog->buffer) + prefix_len + len;
}

/* Connecting. */

/* The daemon cannot be reached: the next attempt has to wait. */
static void stay_away(struct log_syslog *syslog, int error, uint64_t now_ms)
{
    const uint32_t most = syslog->kind == LOG_SYSLOG_LOCAL ? LOCAL_RETRY_MAX_MS : LOG_SYSLOG_RETRY_MAX_MS;
    const uint32_t wanted = syslog->backoff_ms == 0 ? LOG_SYSLOG_RETRY_MS : 2 * syslog->backoff_ms;

    close_connection(syslog);
    syslog->backoff_ms = wanted < most ? wanted : most;
    syslog->retry_ms = now_ms + syslog->backoff_ms;
    syslog->error = error;
    syslog->gone = true;
}

static void be_back(struct log_syslog *syslog)
{
    syslog->gone = false;
    syslog->backoff_ms = 0;
}

static int open_socket(const struct log_syslog *syslog)
{
    const int type = syslog->kind == LOG_SYSLOG_TCP ? SOCK_STREAM : SOCK_DGRAM;
    const unsigned timeout_ms = LOG_SYSLOG_TIMEOUT_MS;
    const int fd = socket(syslog->address.sa.sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd >= 0 && syslog->kind == LOG_SYSLOG_TCP)
        setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
    return fd;
}

static bool begin_connection(struct log_syslog *syslog, uint64_t now_ms)
{
    if (now_ms < syslog->retry_ms)
        return false;
    syslog->sent = syslog->start;
    syslog->fd = open_socket(syslog);
    if (syslog->fd >= 0 && connect(syslog->fd, &syslog->address.sa, syslog->address_len) == 0)
        return true;
    if (syslog->fd >= 0 && errno == EINPROGRESS)
        return syslog->connecting = true;
    stay_away(syslog, errno, now_ms);
    return false;
}

static int pending_error(int fd)
{
    int error = 0;
    socklen_t len = sizeof(error);

    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 ? error : errno;
}

/* TCP: has the connection come about? */
static bool end_connection_attempt(struct log_syslog *syslog, uint64_t now_ms)
{
    struct pollfd ready = {.fd = syslog->fd, .events = POLLOUT};
    int error;

    if (poll(&ready, 1, 0) == 0)
        return false;
    error = pending_error(syslog->fd);
    if (error != 0) {
        stay_away(syslog, error, now_ms);
        return false;
    }
    syslog->connecting = false;
    return true;
}

/* UDP: was the one message refused that was sent to see whether it would be? */
static bool end_proof(struct log_syslog *syslog, uint64_t now_ms)
{
    const int error = pending_error(syslog->fd);

    if (error != 0) {
        count_lost(syslog);
        stay_away(syslog, error, now_ms);
        return false;
    }
    syslog->proving = false;
    be_back(syslog);
    return true;
}

static bool is_connected(struct log_syslog *syslog, uint64_t now_ms)
{
    if (syslog->fd < 0 && !begin_connection(syslog, now_ms))
        return false;
    if (syslog->connecting)
        return end_connection_attempt(syslog, now_ms);
    if (syslog->proving)
        return end_proof(syslog, now_ms);
    return true;
}

/* Sending. */

/* These mean that the connection is fine and nothing more is taken now. */
static bool is_no_room(int error)
{
    return error == EAGAIN || error == ENOBUFS || error == ENOMEM;
}

/*
 * A send of datagrams has failed. Returns true when it is worth going on at once. A local daemon that was
 * restarted leaves a dead connection, and a new one may be had now. Of UDP the refusal is that of a message
 * before, which is lost; whether the next is refused is not known before its answer comes.
 */
static bool datagram_failed(struct log_syslog *syslog, int error, size_t next, uint64_t now_ms)
{
    if (is_no_room(error))
        return false;
    if (error == EMSGSIZE) {
        count_lost(syslog);
        syslog->start = next;
        return true;
    }
    if (syslog->kind == LOG_SYSLOG_UDP) {
        if (error == ECONNREFUSED)
            count_lost(syslog);
        stay_away(syslog, error, now_ms);
        return false;
    }
    if (syslog->renewed) {
        stay_away(syslog, error, now_ms);
        return false;
    }
    close_connection(syslog);
    syslog->renewed = true;
    return begin_connection(syslog, now_ms);
}

static void send_datagrams(struct log_syslog *syslog, uint64_t now_ms)
{
    unsigned left = syslog->kind == LOG_SYSLOG_UDP ? LOG_SYSLOG_BURST : UINT32_MAX;

    while (syslog->start < syslog->end && left-- > 0) {
        size_t begin, next;

        frame_at(syslog, syslog->start, &begin, &next);
        if (send(syslog->fd, syslog->buffer + begin, next - begin, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) {
            log_tally_add(&syslog->tally->syslog_lines, 1);
            syslog->start = next;
            syslog->moved = true;
            if (syslog->gone && syslog->kind == LOG_SYSLOG_UDP) {
                syslog->proving = true;
                return;
            }
            be_back(syslog);
        } else if (errno != EINTR && !datagram_failed(syslog, errno, next, now_ms)) {
            return;
        }
    }
}

/* Lets go of the messages that have arrived. The kernel still answers this for a connection that has broken.
 */
static void settle_stream(struct log_syslog *syslog)
{
    int unsettled = 0;
    size_t begin, next;

    if (ioctl(syslog->fd, SIOCOUTQ, &unsettled) != 0 || (size_t)unsettled > syslog->sent - syslog->start)
        return;
    const size_t arrived = syslog->sent - (size_t)unsettled;

    while (syslog->start < arrived) {
        frame_at(syslog, syslog->start, &begin, &next);
        if (next > arrived)
            return;
        syslog->start = next;
        log_tally_add(&syslog->tally->syslog_lines, 1);
        be_back(syslog);
    }
}

/* A daemon says nothing; what it says all the same is thrown away. Returns 0 when the connection stands. */
static int read_end(const struct log_syslog *syslog)
{
    char nothing[256];
    const ssize_t len = recv(syslog->fd, nothing, sizeof(nothing), MSG_DONTWAIT);

    if (len > 0 || (len < 0 && (errno == EAGAIN || errno == EINTR)))
        return 0;
    return len == 0 ? EPIPE : errno;
}

static void stream_broken(struct log_syslog *syslog, int error, uint64_t now_ms)
{
    settle_stream(syslog);
    stay_away(syslog, error, now_ms);
    syslog->sent = syslog->start;
}

static void send_stream(struct log_syslog *syslog, uint64_t now_ms)
{
    int error = read_end(syslog);

    while (error == 0 && syslog->sent < syslog->end) {
        const ssize_t sent = send(syslog->fd, syslog->buffer + syslog->sent, syslog->end - syslog->sent,
                                  MSG_DONTWAIT | MSG_NOSIGNAL);

        if (sent >= 0) {
            syslog->sent += (size_t)sent;
            syslog->moved = true;
        } else if (errno != EINTR) {
            error = errno;
        }
    }
    if (error != 0 && !is_no_room(error))
        stream_broken(syslog, error, now_ms);
    else
        settle_stream(syslog);
}

bool log_syslog_flush(struct log_syslog *syslog, uint64_t now_ms)
{
    if (syslog->buffer == NULL)
        return true;
    syslog->moved = syslog->renewed = false;
    if (syslog->start == syslog->end && !syslog->proving)
        return true;
    if (!is_connected(syslog, now_ms))
        return syslog->fd < 0;
    if (syslog->kind == LOG_SYSLOG_TCP)
        send_stream(syslog, now_ms);
    else
        send_datagrams(syslog, now_ms);
    if (syslog->start == syslog->end)
        syslog->start = syslog->sent = syslog->end = 0;
    return syslog->start == syslog->end || syslog->fd < 0;
}

static enum log_news state_of(const struct log_syslog *syslog)
{
    if (syslog->gone)
        return LOG_GONE;
    if (syslog->lost > 0 && syslog->end - syslog->start > LOG_SYSLOG_BUFFER / 2)
        return LOG_FULL;
    return LOG_NO_NEWS;
}

static bool has_news(const struct log_syslog *syslog)
{
    const enum log_news now = state_of(syslog);

    return now != syslog->told || (now == LOG_NO_NEWS && syslog->lost > 0);
}

static uint32_t work_wait_ms(const struct log_syslog *syslog, uint64_t now_ms)
{
    if (syslog->start == syslog->end && !syslog->proving)
        return UINT32_MAX;
    if (syslog->fd < 0)
        return syslog->retry_ms > now_ms ? (uint32_t)(syslog->retry_ms - now_ms) : 1;
    if (syslog->moved)
        return 1;
    return syslog->proving || syslog->connecting ? LOG_DRAIN_MS : LOG_SYSLOG_LOOK_MS;
}

uint32_t log_syslog_wait_ms(const struct log_syslog *syslog, uint64_t now_ms)
{
    const uint32_t wait_ms = work_wait_ms(syslog, now_ms);

    return has_news(syslog) && wait_ms > LOG_SYSLOG_NEWS_MS ? LOG_SYSLOG_NEWS_MS : wait_ms;
}

enum log_news log_syslog_news(struct log_syslog *syslog, uint64_t now_ms, uint64_t *lost)
{
    const enum log_news now = state_of(syslog);

    if (!has_news(syslog))
        return LOG_NO_NEWS;
    if (syslog->told_ms != 0 && now_ms - syslog->told_ms < LOG_SYSLOG_NEWS_MS)
        return LOG_NO_NEWS;
    syslog->told_ms = now_ms;
    syslog->told = now;
    *lost = syslog->lost;
    if (now != LOG_NO_NEWS)
        return now;
    syslog->lost = 0;
    return LOG_BACK;
}
