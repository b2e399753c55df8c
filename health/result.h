/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What came of a check, in the words that HAProxy's `check_status` has for it, so that what reads one reads
 * the other. As a number it stands in the low 8 bits of `server_checks.last` (upstream/pool.h). Pure. Any
 * thread.
 */
#ifndef FAIRLEAD_HEALTH_RESULT_H
#define FAIRLEAD_HEALTH_RESULT_H

/* X(result, sentence) */
#define CHECK_RESULTS(X)                                                                                     \
    X(UNK, "no check has ended yet")                                                                         \
    X(SOCKERR, "not made, for want of something of ours: says nothing of the server")                        \
    X(L4OK, "connected, and no more was asked")                                                              \
    X(L4TOUT, "not connected in time")                                                                       \
    X(L4CON, "refused, or not reached")                                                                      \
    X(L7OK, "the answer was good")                                                                           \
    X(L7TOUT, "connected, but no whole answer in time")                                                      \
    X(L7RSP, "the answer broke off, was none, or had another body")                                          \
    X(L7STS, "the answer had another status")

enum check_result {
#define X(result, sentence) RESULT_##result,
    CHECK_RESULTS(X)
#undef X
        N_CHECK_RESULTS
};

/* "L7OK"; "UNK" also for a number that is no result. */
const char *health_result_name(unsigned result);

#endif
