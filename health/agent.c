/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The words of an agent; see agent.h. Never trusts them: what is not a word of the table is counted and
 * shown, not guessed at. */
#include "health/agent.h"

#include <errno.h>

#define SHARE_DIGITS_MAX 9u /* more do not fit in 32 bits; the word then means nothing */

static const struct {
    struct span name;
    enum agent_mode mode;
    enum agent_service service;
} words[] = {
    {SPAN_LITERAL("ready"), AGENT_READY, AGENT_SERVICE_SAME},
    {SPAN_LITERAL("drain"), AGENT_DRAIN, AGENT_SERVICE_SAME},
    {SPAN_LITERAL("maint"), AGENT_MAINT, AGENT_SERVICE_SAME},
    {SPAN_LITERAL("up"), AGENT_MODE_SAME, AGENT_UP},
    {SPAN_LITERAL("down"), AGENT_MODE_SAME, AGENT_DOWN},
    {SPAN_LITERAL("fail"), AGENT_MODE_SAME, AGENT_DOWN},
    {SPAN_LITERAL("failed"), AGENT_MODE_SAME, AGENT_DOWN},
    {SPAN_LITERAL("stopped"), AGENT_MODE_SAME, AGENT_DOWN},
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* "75%" and nothing else. */
static bool read_share(struct span word, uint32_t *share)
{
    uint32_t value = 0;

    if (word.len < 2 || word.len > SHARE_DIGITS_MAX + 1 || word.p[word.len - 1] != '%')
        return false;
    for (size_t i = 0; i + 1 < word.len; i++) {
        if (word.p[i] < '0' || word.p[i] > '9')
            return false;
        value = value * 10 + (uint32_t)(word.p[i] - '0');
    }
    *share = value > 100 ? 100 : value;
    return true;
}

static bool read_name(struct agent_report *report, struct span word)
{
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (!span_equals_nocase(words[i].name, word))
            continue;
        if (words[i].mode != AGENT_MODE_SAME) {
            report->mode = words[i].mode;
        } else {
            report->service = words[i].service;
            report->word = word;
        }
        return true;
    }
    return false;
}

static void read_word(struct agent_report *report, struct span word)
{
    if (read_share(word, &report->share)) {
        report->has_share = true;
    } else if (!read_name(report, word)) {
        if (report->n_unknown++ == 0)
            report->unknown = word;
        return;
    }
    report->n_known++;
}

static struct span trim(struct span text)
{
    for (; text.len > 0 && is_blank(text.p[0]); text.p++, text.len--)
        ;
    for (; text.len > 0 && is_blank(text.p[text.len - 1]); text.len--)
        ;
    return text;
}

static void read_line(struct agent_report *report, struct span line)
{
    size_t at = 0;

    while (at < line.len && line.p[at] != '#') {
        const size_t begin = at;

        while (at < line.len && line.p[at] != '#' && line.p[at] != ',' && !is_blank(line.p[at]))
            at++;
        if (at > begin)
            read_word(report, (struct span){line.p + begin, at - begin});
        else
            at++;
    }
    if (at < line.len)
        report->reason = trim((struct span){line.p + at + 1, line.len - at - 1});
}

/* A line ends in LF, CR LF, CR or with the connection: HAProxy takes any of them. */
int agent_parse(const char *data, size_t len, bool ended, struct agent_report *report)
{
    size_t end = 0, consumed;

    *report = (struct agent_report){0};
    while (end < len && data[end] != '\n' && data[end] != '\r')
        end++;
    if (end > AGENT_LINE_MAX)
        return -EMSGSIZE;
    if (end == len && !ended)
        return -EAGAIN;
    consumed = end;
    if (consumed < len && data[consumed] == '\r')
        consumed++;
    if (consumed < len && data[consumed] == '\n')
        consumed++;
    read_line(report, (struct span){data, end});
    return (int)consumed;
}
