/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whether two specs ask the same; see spec.h. */
#include "health/spec.h"

#include <string.h>

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_ranges(const struct health_spec *a, const struct health_spec *b)
{
    if (a->n_expect != b->n_expect)
        return false;
    for (size_t i = 0; i < a->n_expect; i++)
        if (a->expect[i].from != b->expect[i].from || a->expect[i].to != b->expect[i].to)
            return false;
    return true;
}

static bool same_question(const struct health_spec *a, const struct health_spec *b)
{
    return a->type == b->type && a->port == b->port && same_text(a->method, b->method) &&
           same_text(a->path, b->path) && same_text(a->host, b->host) && same_text(a->headers, b->headers);
}

/* A test of the body that nobody can compare is another one. */
static bool same_answer(const struct health_spec *a, const struct health_spec *b)
{
    const bool same_body = a->body_matches == b->body_matches &&
                           (a->body_context == b->body_context || (a->body && same_text(a->body, b->body)));

    return same_ranges(a, b) && same_body;
}

static bool same_pace(const struct health_spec *a, const struct health_spec *b)
{
    return a->interval_ms == b->interval_ms && a->fast_interval_ms == b->fast_interval_ms &&
           a->timeout_ms == b->timeout_ms && a->jitter == b->jitter && a->rise == b->rise &&
           a->fall == b->fall;
}

bool health_spec_same_check(const struct health_spec *a, const struct health_spec *b)
{
    return same_question(a, b) && same_answer(a, b) && same_pace(a, b);
}

bool health_spec_same_agent(const struct health_spec *a, const struct health_spec *b)
{
    return a->agent_port == b->agent_port && a->agent_interval_ms == b->agent_interval_ms &&
           a->timeout_ms == b->timeout_ms && a->jitter == b->jitter;
}
