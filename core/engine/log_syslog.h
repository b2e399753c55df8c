/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The connection to a syslog daemon, here or elsewhere. It never waits: messages stand in a buffer until the
 * daemon takes them, and when that is full the next ones are dropped and counted. A connection that breaks is
 * made anew, at growing intervals while that fails. Log thread only (control thread while there is none).
 */
#ifndef FAIRLEAD_ENGINE_LOG_SYSLOG_H
#define FAIRLEAD_ENGINE_LOG_SYSLOG_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

#include "engine/log.h"
#include "engine/log_file.h"

#define LOG_SYSLOG_BUFFER  (256u * 1024u) /* bytes of messages that wait */
#define LOG_SYSLOG_MESSAGE 9216u          /* bytes of one, at most */
#define LOG_SYSLOG_BURST                                                                                     \
    64u /* UDP: messages of one flush; more at once would overrun the receiver's buffer */
#define LOG_SYSLOG_RETRY_MS     200u   /* after the first attempt to connect that fails; then twice that */
#define LOG_SYSLOG_RETRY_MAX_MS 10000u /* at most; a second where the daemon is on this machine */
/* Of TCP: how long bytes may stay unsent or without an answer. A daemon that hangs for that long is left,
 * too: so it is not short. */
#define LOG_SYSLOG_TIMEOUT_MS 60000u
#define LOG_SYSLOG_LOOK_MS    100u  /* how often a daemon that takes nothing is offered something */
#define LOG_SYSLOG_NEWS_MS    1000u /* between two pieces of news, so that a struggle is no flood */

struct log_syslog {
    enum log_syslog_kind kind;
    char name[256];
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    } address;
    socklen_t address_len;

    int fd;              /* owned; -1 while there is no connection */
    bool connecting;     /* TCP: it is not there yet */
    bool proving;        /* UDP after a refusal: one message is out, and may be refused, too */
    bool gone;           /* the last attempt to reach it has failed */
    bool moved;          /* this flush has sent something */
    bool renewed;        /* this flush has made a new connection to a local daemon */
    int error;           /* errno of that attempt */
    uint32_t backoff_ms; /* 0: the next attempt is made at once */
    uint64_t retry_ms;   /* CLOCK_MONOTONIC: not before it is a new attempt made */

    /* Messages, each with its length in front as over TCP: "12 <14>1 ..." */
    char *buffer; /* owned; NULL: syslog is not used */
    size_t start; /* of the first message that the daemon's machine has not taken as a whole */
    size_t sent;  /* TCP: up to here the kernel has been given them; at or after start */
    size_t end;

    uint64_t lost;      /* messages since the last LOG_BACK */
    enum log_news told; /* what the last news was */
    uint64_t told_ms;
    struct log_tally *tally; /* borrowed for good */
};

/* Connects to nothing yet. `server` is copied. Returns 0 or -ENOMEM. */
int log_syslog_init(struct log_syslog *syslog, const struct log_syslog_server *server,
                    struct log_tally *tally) __attribute__((warn_unused_result));
/* What waits still is lost, and counted. */
void log_syslog_fini(struct log_syslog *syslog);
bool log_syslog_is_same(const struct log_syslog *a, const struct log_syslog *b);

/* Two parts of one message, at most LOG_SYSLOG_MESSAGE bytes together. */
void log_syslog_add(struct log_syslog *syslog, const char *prefix, size_t prefix_len, const char *text,
                    size_t len);
/* Sends what can be sent. Returns false when it may pay to wait a little for more to be taken. */
bool log_syslog_flush(struct log_syslog *syslog, uint64_t now_ms);
/* In how many milliseconds a flush is due though no line has come; UINT32_MAX: not at all. */
uint32_t log_syslog_wait_ms(const struct log_syslog *syslog, uint64_t now_ms);
/* What has changed since the last call, after a flush; *lost: messages that were dropped, of LOG_BACK. */
enum log_news log_syslog_news(struct log_syslog *syslog, uint64_t now_ms, uint64_t *lost);

#endif
