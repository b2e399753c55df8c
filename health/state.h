/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The state of one server as its checks show it, and when the next check is due. Pure: time and randomness
 * are arguments. Any thread; the health thread owns the objects.
 */
#ifndef FAIRLEAD_HEALTH_STATE_H
#define FAIRLEAD_HEALTH_STATE_H

#include "health/spec.h"

/* X(state, sentence); the edges are in state.c and in doc/health.dot. */
#define CHECK_STATES(X)                                                                                      \
    X(UP, "in service: the last check was good")                                                             \
    X(FALLING, "in service: the last checks failed, but fewer than fall")                                    \
    X(DOWN, "out of service: the last check failed")                                                         \
    X(RISING, "out of service: the last checks were good, but fewer than rise")

enum check_state {
#define X(state, sentence) CHECK_##state,
    CHECK_STATES(X)
#undef X
        CHECK_N_STATES
};

enum check_news {
    CHECK_SAME,
    CHECK_WENT_UP,  /* into service */
    CHECK_WENT_DOWN /* out of it */
};

struct check {
    enum check_state state;
    uint32_t in_a_row; /* checks that spoke for the change; 0 while UP and DOWN */
    uint64_t since_ms; /* since when it is in, or out of, service */
};

/* The state before the first check: spec->initial, as if it had been so since now_ms. */
void check_init(struct check *check, const struct health_spec *spec, uint64_t now_ms);
/* One check has ended. With news, *lasted_ms is how long the server was on the other side; else it is left
 * alone. */
enum check_news check_count(struct check *check, const struct health_spec *spec, bool good, uint64_t now_ms,
                            uint64_t *lasted_ms);
bool check_in_service(const struct check *check);
/* The state is known from before: it has been UP or DOWN since now_ms. */
void check_resume(struct check *check, bool in_service, uint64_t now_ms);
/* The checks so far were of another kind: what they said stands, what they had begun to say does not. */
void check_settle(struct check *check, uint64_t now_ms);

/* From the start of one check to the start of the next: `random` moves it by up to spec->jitter percent,
 * evenly. At least 1 ms. */
uint64_t check_delay(const struct check *check, const struct health_spec *spec, uint64_t random);
/* The same for any interval. */
uint64_t check_jitter(uint64_t interval_ms, uint32_t percent, uint64_t random);
/* The first check's delay: those of `places` servers are spread evenly over an interval, the first of them is
 * at once. place < places. */
uint64_t check_first_delay(uint64_t interval_ms, uint64_t place, uint64_t places);

/* For logs and tests. */
const char *check_state_name(enum check_state state);
bool check_edge_allowed(enum check_state from, enum check_state to);

#endif
