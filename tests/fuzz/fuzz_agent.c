/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Fuzzes the parser of an agent's line. It checks that the verdict on a prefix never contradicts that on the
 * whole, that what is behind the line changes nothing, that spans stay inside the line, and that numbers stay
 * in their ranges.
 */
#include "health/agent.h"

#include <errno.h>
#include <stdlib.h>

#define INPUT_MAX 1024

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool promise)
{
    if (!promise)
        abort();
}

static void check_span(struct span span, const char *line, size_t len)
{
    check(span.len == 0 || (span.p >= line && span.p + span.len <= line + len));
}

static void check_report(const struct agent_report *report, const char *line, size_t len)
{
    check_span(report->word, line, len);
    check_span(report->reason, line, len);
    check_span(report->unknown, line, len);
    check(report->share <= 100 && (report->has_share || report->share == 0));
    check((report->service == AGENT_SERVICE_SAME) == (report->word.len == 0));
    check((report->n_unknown == 0) == (report->unknown.len == 0));
    check(report->n_known + report->n_unknown <= AGENT_LINE_MAX / 2 + 1);
}

static bool says_the_same(const struct agent_report *a, const struct agent_report *b)
{
    return a->mode == b->mode && a->service == b->service && a->has_share == b->has_share &&
           a->share == b->share && a->n_known == b->n_known && a->n_unknown == b->n_unknown &&
           span_equals(a->reason, b->reason);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct agent_report whole, part, alone;
    size_t line = 0;

    if (size > INPUT_MAX)
        return 0;
    while (line < size && text[line] != '\n' && text[line] != '\r')
        line++;
    const int verdict = agent_parse(text, size, false, &whole);

    check((verdict == -EMSGSIZE) == (line > AGENT_LINE_MAX));
    check((verdict == -EAGAIN) == (line == size && line <= AGENT_LINE_MAX));
    if (verdict > 0) {
        check((size_t)verdict > line && (size_t)verdict <= line + 2 && (size_t)verdict <= size);
        check_report(&whole, text, line);
    }
    for (size_t n = 0; n <= line && n <= AGENT_LINE_MAX; n++)
        check(agent_parse(text, n, false, &part) == -EAGAIN);
    if (line > AGENT_LINE_MAX)
        return 0;
    /* The end of the connection is as good as the end of the line. */
    check(agent_parse(text, line, true, &alone) == (int)line);
    check_report(&alone, text, line);
    if (verdict > 0)
        check(says_the_same(&whole, &alone));
    return 0;
}
