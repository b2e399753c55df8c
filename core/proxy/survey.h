/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A survey: what the workers count and whom they serve, asked while they run. Their counters are plain words that nobody else may read, so each
 * worker copies its own into its part of the survey, by a letter. The control thread makes a survey, posts it, and looks
 * at it when the last worker has answered (event_fd becomes readable), or when it has waited long enough; it must keep the memory until
 * all have answered, or have ended.
 */
#ifndef FAIRLEAD_PROXY_SURVEY_H
#define FAIRLEAD_PROXY_SURVEY_H

#include "proxy/service.h"

#define SURVEY_SESSIONS      1000u /* lines about sessions, of all workers together */
#define SURVEY_SESSION_BYTES 768u  /* of one of them, at most */

/* X(name, sentence): sums that are not the service's own counters. The first are as of now, the others since the start. */
#define SURVEY_GAUGES(X)                                                                                     \
    X(clients, "client connections that are open")                                                          \
    X(exchanges, "requests being served")                                                                   \
    X(idle_links, "idle connections to servers")

#define SURVEY_COUNTERS(X)                                                                                   \
    X(upstream_connections, "connections made to servers")                                                  \
    X(upstream_reused, "requests over a connection to a server that was kept")                              \
    X(upstream_idle_closed, "idle connections to servers that were closed")                                 \
    X(accept_failures, "connections that could not be accepted for want of descriptors or memory")          \
    X(turns, "turns of the workers' loops")                                                                 \
    X(enters, "system calls of the rings")                                                                  \
    X(submitted, "operations submitted")                                                                    \
    X(completed, "operations completed")                                                                    \
    X(stale, "completions of operations that nobody knew: always a defect")                                 \
    X(sq_full, "times that the submission queue was full")                                                  \
    X(cq_overflow, "turns that found the completion queue overflowed")                                      \
    X(enter_errors, "failed system calls of the rings")                                                     \
    X(starvations, "times that a connection waited for a buffer")                                           \
    X(blocks, "small buffers that were made")                                                               \
    X(bulk, "large buffers that were made")                                                                 \
    X(buffers_refused, "buffers that were not to be had")

/* Written by the worker before it answers, read by the control thread afterwards. */
struct survey_part {
    struct survey *survey;
    atomic_bool answered; /* release after all the others; acquire before they are read */
    struct counters counters;
#define X(name, sentence) uint64_t name;
    SURVEY_GAUGES(X)
    SURVEY_COUNTERS(X)
#undef X
    uint32_t n_lines;     /* in `text`; clients without a line are left out */
    size_t len;
    char *text;           /* owned by the survey; NULL unless sessions were asked for */
};

struct survey {
    atomic_uint unanswered;
    int event_fd;         /* borrowed; an eventfd that the last one to answer writes */
    unsigned n;
    uint32_t lines_each;  /* of sessions; 0: they are not asked for */
    struct survey_part parts[];
};

/* Control thread. NULL: memory is short. */
struct survey *survey_create(unsigned n_workers, bool sessions, int event_fd) __attribute__((warn_unused_result));
/* All who were asked must have answered, or have ended. NULL is allowed. */
void survey_destroy(struct survey *survey);
/* Asks as many workers as it was made for. One whose mailbox is full is not asked, and does not answer. */
void survey_post(struct survey *survey, struct worker *const *workers);
/* Whether all who were asked have answered; then it may be destroyed, and everything read. */
bool survey_is_over(const struct survey *survey);
/* Whether this worker has answered: its part may be read. */
bool survey_has(const struct survey *survey, unsigned worker);

/* A number's name, its meaning, and its sum over those who have answered. */
struct survey_sum {
    const char *name, *sentence;
    uint64_t value;
    bool gauge; /* as of now; else since the start */
};
#define SURVEY_SUMS_MAX 64u
/* Fills sums[0..SURVEY_SUMS_MAX); the gauges first. Returns how many. */
size_t survey_sums(const struct survey *survey, struct survey_sum *sums);

#endif
