/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * least_time: the server that is expected to answer first: its time to the first byte, times the requests it
 * would have then, for its effective weight. The time is a peak-sensitive moving average (as Finagle's
 * PeakEwma): a slower answer counts at once, a faster one little by little, and what is known fades with
 * time, so that a server that was slow is tried again. A failure counts as a very slow answer. Those that are
 * equal take weighted turns.
 *
 * A server of which nothing is known is tried first, but by one request at a time, over all workers: it may
 * be slow. Each `decay` halves what is known, with a straight line in between: so a failure, which may be
 * thousands of times an answer, is forgotten after a dozen of them, and there is no exp() in a loop over all
 * servers.
 */
#include <fairlead/least.h>
#include <fairlead/turns.h>

#define SCANS        3  /* when others were first with a server that was to be tried */
#define UPDATE_TRIES 8  /* then the sample is lost: others have just brought theirs */
#define TIME_SHIFT   8  /* a time is kept in units of 256 ns: up to 18 minutes */
#define CLOCK_SHIFT  20 /* and its age in units of 1.05 ms: up to 26 days */
#define HALVINGS_MAX 63 /* so many leave nothing of any time */
#define FADE_SHIFT   10 /* for what halving would leave of a short time */
#define PENALTY_MIN  (UINT64_C(1000000000) >> TIME_SHIFT)
#define PENALTY_MAX  (UINT64_C(60000000000) >> TIME_SHIFT)
#define TIME_MAX     UINT64_C(0xffffffff)

enum { DECAY };

static const struct fairlead_option options_known[] = {
    {.name = "decay",
     .type = FAIRLEAD_OPTION_TIME_MS,
     .min = 100,
     .max = 3600000,
     .fallback = 10000,
     .sentence = "Time after which half of what is known of a server's answers has faded."},
    {.name = NULL},
};

struct plan {
    struct fairlead_turns *turns; /* owned */
    uint32_t decay;               /* in units of 2^CLOCK_SHIFT ns, at least 1 */
};

/* What is known of a server, in one word so that it is always of one piece: its time in the upper half, and
 * when that was in the lower. A time is at least 1; without one the lower half tells whether a request is
 * on its way to find out. */
#define UNKNOWN UINT64_C(0)
#define TRYING  UINT64_C(1)

/* Every worker writes and reads `known`, relaxed: nothing else hangs on it. */
struct shared {
    struct fairlead_turns_shared turns;
    atomic_ullong known[];
};

/* Scratch space of one pick. */
struct state {
    uint32_t now;
    uint64_t tied[];
};

static void plan_destroy(void *plan)
{
    struct plan *made = plan;

    fairlead_turns_destroy(made->turns);
    free(made);
}

static int plan_create(const struct fairlead_set *set, const int64_t *options, void **plan, char *error,
                       size_t error_size)
{
    struct plan *made = calloc(1, sizeof *made);

    if (!made) {
        snprintf(error, error_size, "there is no memory for a plan");
        return -1;
    }
    made->decay = (uint32_t)((uint64_t)options[DECAY] * 1000000 >> CLOCK_SHIFT);
    if (fairlead_turns_create(set, &made->turns, error, error_size) != 0) {
        free(made);
        return -1;
    }
    *plan = made;
    return 0;
}

static size_t shared_size(const struct fairlead_set *set, const void *plan)
{
    (void)plan;
    return sizeof(struct shared) + set->n_servers * sizeof(atomic_ullong);
}

/* Zeroed: nothing is known. */
static void shared_init(void *shared, const struct fairlead_set *set, const void *plan)
{
    (void)shared;
    (void)set;
    (void)plan;
}

static size_t state_size(const struct fairlead_set *set, const void *plan)
{
    (void)plan;
    return sizeof(struct state) + (set->n_servers + 63) / 64 * sizeof(uint64_t);
}

static void state_init(void *state, const struct fairlead_set *set, const void *plan, uint64_t seed)
{
    (void)state;
    (void)set;
    (void)plan;
    (void)seed;
}

/* Another worker's clock may be a little ahead of ours. */
static uint64_t age_of(uint64_t known, uint32_t now)
{
    uint32_t age = now - (uint32_t)known;

    return age > INT32_MAX ? 0 : age;
}

/* A time is to be halved so often, and then divided by base / plan->decay. */
struct fading {
    uint64_t halvings, base;
};

static inline struct fading fade(const struct plan *plan, uint64_t age)
{
    uint64_t halvings;

    if (__builtin_expect(age < plan->decay, true)) /* the usual case, and faster so */
        return (struct fading){0, plan->decay + age};
    halvings = age / plan->decay;
    halvings = halvings < HALVINGS_MAX ? halvings : HALVINGS_MAX;
    return (struct fading){halvings, plan->decay + age - halvings * plan->decay};
}

/* time * 2^-(age / decay) * (in flight + 1) / effective weight, without the factor that all have. */
static inline struct fairlead_load load_of(const struct fairlead_tier *tier, const struct fairlead_pick *pick,
                                           size_t server)
{
    const struct plan *plan = tier->plan;
    const struct shared *shared = tier->shared;
    const struct state *state = tier->state;
    uint64_t known = atomic_load_explicit(&shared->known[server], memory_order_relaxed);
    uint64_t in_flight = fairlead_in_flight(tier->set, server);
    uint64_t weight = pick->effective_weight[server];

    /* One that is being tried comes after all that are known, and as if it were slower than any. */
    uint64_t time = known == TRYING ? TIME_MAX : known >> 32;
    struct fading fading = fade(plan, known == TRYING ? 0 : age_of(known, state->now));

    time = (time << FADE_SHIFT) >> fading.halvings;
    return (struct fairlead_load){.load = (double)(int64_t)(time * (in_flight + 1)),
                                  .capacity = (double)(int64_t)(fading.base * weight)};
}

static int pick(const struct fairlead_tier *tier, const struct fairlead_pick *pick)
{
    const struct plan *plan = tier->plan;
    struct shared *shared = tier->shared;
    struct state *state = tier->state;
    int server = FAIRLEAD_NONE;

    state->now = (uint32_t)(pick->now_ns >> CLOCK_SHIFT);
    for (int i = 0; i < SCANS; i++) {
        unsigned long long known = UNKNOWN;

        if (fairlead_least(tier, pick, load_of, state->tied, &server))
            server = fairlead_turns_pick(plan->turns, &shared->turns, tier->set, state->tied, pick);
        if (server == FAIRLEAD_NONE ||
            atomic_load_explicit(&shared->known[server], memory_order_relaxed) != UNKNOWN ||
            atomic_compare_exchange_strong_explicit(&shared->known[server], &known, TRYING,
                                                    memory_order_relaxed, memory_order_relaxed))
            break;
    }
    return server;
}

/* A failure counts as an answer after a second, or twice the time that is known. */
static uint64_t sample_of(uint64_t known, enum fairlead_outcome outcome, uint64_t latency_ns)
{
    uint64_t sample = latency_ns >> TIME_SHIFT;

    if (outcome == FAIRLEAD_FAILED) {
        uint64_t twice = (known >> 32) * 2;
        return twice < PENALTY_MIN ? PENALTY_MIN : twice > PENALTY_MAX ? PENALTY_MAX : twice;
    }
    return sample == 0 ? 1 : sample > TIME_MAX ? TIME_MAX : sample;
}

/* What is known after a sample. */
static uint64_t learn(uint64_t known, uint64_t sample, uint32_t now, const struct plan *plan)
{
    uint64_t time = known >> 32, age = age_of(known, now);

    if (time == 0 || sample >= time)
        return sample << 32 | now;
    struct fading fading = fade(plan, age);
    uint64_t average = sample + ((time - sample) >> fading.halvings) * plan->decay / fading.base;
    /* A clock that is behind, or within its own unit, leaves the time of the last sample as it is. */
    return (average == 0 ? 1 : average) << 32 | (age == 0 ? (uint32_t)known : now);
}

static void done(const struct fairlead_tier *tier, int server, enum fairlead_outcome outcome,
                 uint64_t latency_ns, uint64_t now_ns)
{
    const struct plan *plan = tier->plan;
    struct shared *shared = tier->shared;
    unsigned long long known = TRYING;

    if (outcome == FAIRLEAD_CANCELLED) {
        /* Whoever was on the way to find out: the next one may. */
        atomic_compare_exchange_strong_explicit(&shared->known[server], &known, UNKNOWN, memory_order_relaxed,
                                                memory_order_relaxed);
        return;
    }
    known = atomic_load_explicit(&shared->known[server], memory_order_relaxed);
    for (int i = 0; i < UPDATE_TRIES; i++) {
        uint64_t sample = sample_of(known, outcome, latency_ns);
        uint64_t learnt = learn(known, sample, (uint32_t)(now_ns >> CLOCK_SHIFT), plan);

        if (atomic_compare_exchange_weak_explicit(&shared->known[server], &known, learnt,
                                                  memory_order_relaxed, memory_order_relaxed))
            return;
    }
}

const struct fairlead_balancer fairlead_balancer = {
    .version = FAIRLEAD_BALANCER_VERSION,
    .traits = FAIRLEAD_FEEDBACK | FAIRLEAD_BALANCED,
    .name = "least_time",
    .options = options_known,
    .plan_create = plan_create,
    .plan_destroy = plan_destroy,
    .shared_size = shared_size,
    .shared_init = shared_init,
    .state_size = state_size,
    .state_init = state_init,
    .pick = pick,
    .done = done,
};
