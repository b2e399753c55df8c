/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The policy of retries; see retry.h. */
#include "proxy/retry.h"

#include "http/names.h"
#include "proxy/queue.h"

#define BUDGET_UNIT 100u          /* of the budget, for one retry; a request pays in `budget` percent of it */
#define BUDGET_MAX  (50u * BUDGET_UNIT) /* what may be saved up: at the start, and in quiet times */

static uint32_t *budget_of(const struct exchange *exchange)
{
    return line_budget(exchange->service, exchange->line);
}

void retry_begin(struct exchange *exchange)
{
    const struct group *group = exchange_group(exchange);
    uint32_t *budget = budget_of(exchange);

    *budget = *budget + group->retry.budget < BUDGET_MAX ? *budget + group->retry.budget : BUDGET_MAX;
    if (http_method_is_idempotent(exchange->request.method_id) || group->retry.causes & RETRY_NON_IDEMPOTENT)
        body_keep(&exchange->upload, (uint32_t)group->retry.body);
}

uint32_t retry_initial_budget(const struct group *group)
{
    return group->retry.budget == 0 ? 0 : BUDGET_MAX;
}

/* Whether the number of servers and the time allow one more. */
static bool has_attempts_left(const struct exchange *exchange)
{
    const struct group *group = exchange_group(exchange);
    uint64_t passed_ms = (exchange->service->worker->now_ns - exchange->started_ns) / 1000000u;

    return (group->retry.attempts == 0 || exchange->attempt.count < group->retry.attempts) &&
           exchange->attempt.count < pool_n_servers(exchange->pool) &&
           (group->retry.timeout_ms == 0 || passed_ms < group->retry.timeout_ms);
}

bool retry_may_connect(const struct exchange *exchange)
{
    return !exchange->head_sent && exchange->n_interim == 0 && body_can_replay(&exchange->upload) && has_attempts_left(exchange);
}

bool retry_may_resend(const struct exchange *exchange, enum retry_cause cause)
{
    const struct group *group = exchange_group(exchange);

    if (cause != 0 && !(group->retry.causes & cause))
        return false;
    if (!http_method_is_idempotent(exchange->request.method_id) && !(group->retry.causes & RETRY_NON_IDEMPOTENT))
        return false;
    if (!retry_may_connect(exchange))
        return false;
    if (*budget_of(exchange) >= BUDGET_UNIT)
        return true;
    exchange->service->counters.retry_budget_empty++;
    return false;
}

void retry_pay(struct exchange *exchange)
{
    uint32_t *budget = budget_of(exchange);

    *budget -= *budget < BUDGET_UNIT ? *budget : BUDGET_UNIT;
}
