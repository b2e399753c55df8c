/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What an agent says of its server: one line of words, as HAProxy's agent-check has it (its configuration
 * manual, "agent-check"). Pure: bytes in, struct out, no state between calls. Any thread.
 *
 *     75%             the server's share of its weight; above 100% counts as 100%; 0% drains
 *     ready           takes drain and maint back
 *     drain           no new requests but those that are bound to the server
 *     maint           out of service, on purpose
 *     up              takes down, fail and stopped back
 *     down            out of service; also fail, failed, stopped
 *     #...            the rest of the line is the reason
 *
 * Words are separated by blanks, tabs and commas, in any case of letters. The last word of a kind counts;
 * what is not said stays as it is.
 */
#ifndef FAIRLEAD_HEALTH_AGENT_H
#define FAIRLEAD_HEALTH_AGENT_H

#include "http/span.h"

#include <stdint.h>

#define AGENT_LINE_MAX 256u /* bytes, its line end not counted */

enum agent_mode { AGENT_MODE_SAME, AGENT_READY, AGENT_DRAIN, AGENT_MAINT };
enum agent_service { AGENT_SERVICE_SAME, AGENT_UP, AGENT_DOWN };

struct agent_report {
    enum agent_mode mode;
    enum agent_service service;
    bool has_share;
    uint32_t share;     /* percent, 0 to 100 */
    struct span word;   /* the one that says `service`, as it came */
    struct span reason; /* without '#' and the blanks around; empty: none */
    uint32_t n_known, n_unknown;
    struct span unknown; /* the first word that means nothing here */
};

/*
 * Looks at data[0..len); `ended`: nothing more will come, so that what is there is the line. The spans of the
 * report point into data. Returns the bytes of the line with its line end (> 0; with `ended` they may be 0
 * for an empty line), -EAGAIN when more is needed, or -EMSGSIZE when the line is longer than AGENT_LINE_MAX.
 */
int agent_parse(const char *data, size_t len, bool ended, struct agent_report *report)
    __attribute__((warn_unused_result));

#endif
