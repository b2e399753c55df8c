/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The state machine of one server's checks; see state.h. */
#include "health/state.h"

#include <assert.h>

#define TO(state) (1u << CHECK_##state)

static const unsigned edges[CHECK_N_STATES] = {
    [CHECK_UP] = TO(FALLING) | TO(DOWN),
    [CHECK_FALLING] = TO(UP) | TO(DOWN),
    [CHECK_DOWN] = TO(RISING) | TO(UP),
    [CHECK_RISING] = TO(DOWN) | TO(UP),
};

static const char *const names[CHECK_N_STATES] = {
#define X(state, sentence) [CHECK_##state] = #state,
    CHECK_STATES(X)
#undef X
};

const char *check_state_name(enum check_state state)
{
    assert(state < CHECK_N_STATES);
    return names[state];
}

bool check_edge_allowed(enum check_state from, enum check_state to)
{
    return (edges[from] >> to) & 1;
}

static bool serves(enum check_state state)
{
    return state == CHECK_UP || state == CHECK_FALLING;
}

bool check_in_service(const struct check *check)
{
    return serves(check->state);
}

/* The time is of the service, not of the state: FALLING is still the same time up. */
static void set_state(struct check *check, enum check_state state, uint64_t now_ms)
{
    assert(check_edge_allowed(check->state, state));
    if (serves(check->state) != serves(state))
        check->since_ms = now_ms;
    check->state = state;
    check->in_a_row = 0;
}

/* "up" and "down" are one check away from the other side: as if all but one had been in. */
void check_init(struct check *check, const struct health_spec *spec, uint64_t now_ms)
{
    *check = (struct check){.since_ms = now_ms};
    switch (spec->initial) {
    case HEALTH_UP:
        check->in_a_row = spec->fall - 1;
        check->state = check->in_a_row > 0 ? CHECK_FALLING : CHECK_UP;
        break;
    case HEALTH_FULLY_UP:
        check->state = CHECK_UP;
        break;
    case HEALTH_DOWN:
        check->in_a_row = spec->rise - 1;
        check->state = check->in_a_row > 0 ? CHECK_RISING : CHECK_DOWN;
        break;
    case HEALTH_FULLY_DOWN:
        check->state = CHECK_DOWN;
        break;
    }
}

void check_resume(struct check *check, bool in_service, uint64_t now_ms)
{
    *check = (struct check){.state = in_service ? CHECK_UP : CHECK_DOWN, .since_ms = now_ms};
}

void check_settle(struct check *check, uint64_t now_ms)
{
    const enum check_state settled = serves(check->state) ? CHECK_UP : CHECK_DOWN;

    if (check->state != settled)
        set_state(check, settled, now_ms);
}

enum check_news check_count(struct check *check, const struct health_spec *spec, bool good, uint64_t now_ms,
                            uint64_t *lasted_ms)
{
    const bool up = serves(check->state);
    const enum check_state settled = up ? CHECK_UP : CHECK_DOWN;
    const enum check_state changing = up ? CHECK_FALLING : CHECK_RISING;
    const uint32_t wanted = up ? spec->fall : spec->rise;
    const uint64_t since_ms = check->since_ms;

    if (good == up) {
        if (check->state != settled)
            set_state(check, settled, now_ms);
        return CHECK_SAME;
    }
    if (check->in_a_row + 1 < wanted) {
        const uint32_t in_a_row = check->in_a_row + 1;

        if (check->state != changing)
            set_state(check, changing, now_ms);
        check->in_a_row = in_a_row;
        return CHECK_SAME;
    }
    set_state(check, up ? CHECK_DOWN : CHECK_UP, now_ms);
    *lasted_ms = now_ms - since_ms;
    return up ? CHECK_WENT_DOWN : CHECK_WENT_UP;
}

uint64_t check_jitter(uint64_t interval_ms, uint32_t percent, uint64_t random)
{
    const uint64_t most = interval_ms * percent / 100;
    const uint64_t delay = interval_ms - most + random % (2 * most + 1);

    return delay > 0 ? delay : 1;
}

uint64_t check_delay(const struct check *check, const struct health_spec *spec, uint64_t random)
{
    const bool changing = check->state == CHECK_FALLING || check->state == CHECK_RISING;

    return check_jitter(changing ? spec->fast_interval_ms : spec->interval_ms, spec->jitter, random);
}

uint64_t check_first_delay(uint64_t interval_ms, uint64_t place, uint64_t places)
{
    assert(place < places);
    return interval_ms * place / places;
}
