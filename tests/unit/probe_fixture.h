/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the tests of single probes share: a probe on a real worker against a listener of the test, which plays
 * the server. Included by one file per program.
 */
#ifndef FAIRLEAD_TESTS_PROBE_FIXTURE_H
#define FAIRLEAD_TESTS_PROBE_FIXTURE_H

#include "health/probe.h"

#include "probed_server.h"

#include <arpa/inet.h>
#include <stdio.h>

#define TIMEOUT_MS 10000u /* of probes that are to end by themselves */
#define SHORT_MS   50u    /* of probes that are to run into it */

struct trial {
    struct probe probe; /* first; the worker's */
    struct probe_plan plan;
    struct health_spec spec;
    const struct probe_place *place;
    enum probe_kind kind;
    int started;
    unsigned n_results, n_gone;
    enum probe_outcome outcome;
    enum check_result result;
    char reason[PROBE_REASON_MAX];
    bool agent_down;
    uint32_t agent_share;
};

static int listening = -1;
static struct sockaddr_in address;
static struct probe_place place;
static const struct health_range usual = {200, 399};

static inline void note_result(struct probe *probe)
{
    struct trial *trial = probe->owner;

    trial->n_results++;
    trial->outcome = probe->outcome;
    trial->result = probe->result;
    memcpy(trial->reason, probe->reason, sizeof(trial->reason));
    if (probe->kind == PROBE_AGENT && probe->outcome == PROBE_GOOD) {
        trial->agent_down = probe->report.service == AGENT_DOWN;
        trial->agent_share = probe->report.has_share ? probe->report.share : UINT32_MAX;
    }
}

static inline void note_gone(struct probe *probe)
{
    struct trial *trial = probe->owner;

    trial->n_gone++;
}

static const struct probe_events events = {note_result, note_gone};

static inline void step_probe(struct step *step)
{
    struct trial *trial = (struct trial *)(uintptr_t)step->data;

    trial->probe.events = &events;
    trial->probe.owner = trial;
    trial->started = probe_start(&trial->probe, engine, &trial->plan, trial->kind, trial->place);
}

static inline void step_see(struct step *step)
{
    step->n = ((const struct trial *)step->data)->n_gone;
    step->result = (int)((const struct trial *)step->data)->n_results;
}

static inline struct health_spec spec_of(enum health_type type)
{
    return (struct health_spec){.type = type,
                                .method = "GET",
                                .path = "/healthz",
                                .headers = "",
                                .expect = &usual,
                                .n_expect = 1,
                                .timeout_ms = TIMEOUT_MS};
}

static inline struct trial *begin(enum probe_kind kind, struct health_spec spec)
{
    struct trial *trial = calloc(1, sizeof(*trial));

    ck_assert_ptr_nonnull(trial);
    trial->spec = spec;
    trial->kind = kind;
    trial->place = &place;
    ck_assert_int_eq(probe_plan_init(&trial->plan, &trial->spec), 0);
    on_worker(step_probe, (struct step){.data = trial});
    return trial;
}

static inline struct trial *begin_http(void)
{
    return begin(PROBE_HTTP, spec_of(HEALTH_HTTP));
}

/* Waits for its end, and for that it came once. */
static inline void finish_as(struct trial *trial, enum probe_outcome outcome, const char *result,
                             const char *reason)
{
    ck_assert_int_eq(trial->started, 0);
    UNTIL_SEEN(on_worker(step_see, (struct step){.data = trial}), it.n == 1);
    ck_assert_uint_eq(trial->n_results, 1);
    ck_assert_msg(strcmp(trial->reason, reason) == 0, "\"%s\" is not \"%s\"", trial->reason, reason);
    ck_assert_int_eq(trial->outcome, outcome);
    if (result)
        ck_assert_str_eq(health_result_name(trial->result), result);
    probe_plan_fini(&trial->plan);
    free(trial);
}

static inline void finish(struct trial *trial, enum probe_outcome outcome, const char *reason)
{
    finish_as(trial, outcome, NULL, reason);
}

static inline int accept_one(void)
{
    return accept_from(listening);
}

static inline int accept_request(void)
{
    int fd = accept_one();

    (void)read_request(fd);
    return fd;
}

static inline void setup(void)
{
    struct worker_config config = engine_config();

    engine_begin(&config);
    listening = tcp_listen(&address);
    place = (struct probe_place){.address.len = sizeof(address)};
    place.address.in = address;
    snprintf(place.name, sizeof(place.name), "127.0.0.1:%u", ntohs(address.sin_port));
}

static inline void teardown(void)
{
    close(listening);
    engine_end();
}

#endif
