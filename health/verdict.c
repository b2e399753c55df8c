/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What results mean: from a probe's outcome to the state of the server, from that to its flags, which the
 * workers read, and to one line in the log per change. Health thread; subject_reset and watch_look also run
 * on the control thread before there is one.
 */
#include "health/watch.h"

#include "engine/log.h"

#define AGENT_FLAGS (SERVER_AGENT_DOWN | SERVER_AGENT_MAINT | SERVER_AGENT_DRAIN)

enum pool_service watch_look(const struct watch *watch)
{
    enum pool_service service = BY_NONE;

    for (size_t i = 0; i < watch->n_subjects; i++) {
        const struct server *server = watch->subjects[i].server;

        if (server_flags(server) != 0)
            continue;
        if (!server->backup)
            return BY_PRIMARIES;
        service = BY_BACKUPS;
    }
    return service;
}

void watch_update(struct watch *watch)
{
    const enum pool_service service = watch_look(watch);
    const char *name = pool_name(watch->pool);

    (void)pool_update_promotion(watch->pool);
    if (service == watch->service)
        return;
    watch->service = service;
    switch (service) {
    case BY_PRIMARIES:
        log_write(LOG_NOTICE, "primaries are back pool=%s", name);
        break;
    case BY_BACKUPS:
        log_write(LOG_WARNING, "backups are promoted pool=%s", name);
        break;
    case BY_NONE:
        log_write(LOG_ERR, "no server is left pool=%s", name);
        break;
    }
}

/* One change of one server, told once. */
struct change {
    const char *what, *from, *to;
    const char *reason;
    uint64_t lasted_ms;
};

static void tell(struct subject *subject, int priority, const struct change *change)
{
    subject->transitions++;
    log_write(priority, "%s pool=%s server=%s from=%s to=%s reason=\"%s\" lasted_ms=%llu", change->what,
              pool_name(subject->watch->pool), subject->place.name, change->from, change->to, change->reason,
              (unsigned long long)change->lasted_ms);
}

static void change_flags(const struct subject *subject, uint32_t set, uint32_t clear, uint64_t now_ms)
{
    (void)pool_change_flags(subject->watch->pool, subject->server, set, clear & ~set, now_ms);
}

void subject_reset(struct subject *subject, uint64_t now_ms)
{
    const struct health_spec *spec = subject_spec(subject);

    check_init(&subject->check, spec, now_ms);
    subject->mode = AGENT_READY;
    subject->service = AGENT_UP;
    subject->share = SHARE_WHOLE;
    subject->agent_silent = subject->agent_odd = false;
    subject->mode_since_ms = subject->service_since_ms = now_ms;
    change_flags(subject,
                 spec->type != HEALTH_NONE && !check_in_service(&subject->check) ? SERVER_CHECK_DOWN : 0,
                 SERVER_CHECK_DOWN | AGENT_FLAGS, now_ms);
    if (spec->agent_port != 0)
        pool_set_share(subject->watch->pool, subject->server, SHARE_WHOLE);
}

static void judge_check(struct subject *subject, const struct probe *probe, uint64_t now_ms)
{
    const bool good = probe->outcome == PROBE_GOOD;
    uint64_t lasted_ms = 0;
    const enum check_news news =
        check_count(&subject->check, subject_spec(subject), good, now_ms, &lasted_ms);

    subject->check_task.failures += !good;
    if (news == CHECK_WENT_DOWN) {
        change_flags(subject, SERVER_CHECK_DOWN, 0, now_ms);
        tell(subject, LOG_WARNING,
             &(struct change){"server is down", "UP", "DOWN", probe->reason, lasted_ms});
    } else if (news == CHECK_WENT_UP) {
        change_flags(subject, 0, SERVER_CHECK_DOWN, now_ms);
        tell(subject, LOG_NOTICE, &(struct change){"server is up", "DOWN", "UP", probe->reason, lasted_ms});
    } else if (!good && check_in_service(&subject->check)) {
        log_write(LOG_INFO, "a check failed pool=%s server=%s reason=\"%s\" in_a_row=%u",
                  pool_name(subject->watch->pool), subject->place.name, probe->reason,
                  subject->check.in_a_row);
    }
    if (news != CHECK_SAME)
        watch_update(subject->watch);
}

static void tell_service(struct subject *subject, const struct probe *probe, uint64_t now_ms)
{
    const bool up = subject->service == AGENT_UP;

    tell(subject, up ? LOG_NOTICE : LOG_WARNING,
         &(struct change){up ? "server is up" : "server is down", up ? "DOWN" : "UP", up ? "UP" : "DOWN",
                          probe->reason, now_ms - subject->service_since_ms});
    subject->service_since_ms = now_ms;
}

static void tell_mode(struct subject *subject, enum agent_mode before, const struct probe *probe,
                      uint64_t now_ms)
{
    static const char *const names[] = {
        [AGENT_READY] = "READY", [AGENT_DRAIN] = "DRAIN", [AGENT_MAINT] = "MAINT"};
    static const char *const words[] = {[AGENT_READY] = "server is ready",
                                        [AGENT_DRAIN] = "server is draining",
                                        [AGENT_MAINT] = "server is in maintenance"};

    tell(subject, LOG_NOTICE,
         &(struct change){words[subject->mode], names[before], names[subject->mode], probe->reason,
                          now_ms - subject->mode_since_ms});
    subject->mode_since_ms = now_ms;
}

/* A share may change with every answer of an agent; only one that drains the server, or ends that, is a
 * change of state. */
static void take_share(struct subject *subject, uint32_t share)
{
    const uint32_t before = subject->share;
    const bool drains = before == 0 || share == 0;

    if (share == before)
        return;
    subject->share = share;
    subject->transitions += drains;
    if (share > 0)
        pool_set_share(subject->watch->pool, subject->server, share);
    log_write(drains ? LOG_NOTICE : LOG_INFO, "server has another share pool=%s server=%s from=%u to=%u",
              pool_name(subject->watch->pool), subject->place.name, before, share);
}

static void note_words(struct subject *subject, const struct agent_report *report)
{
    char word[4 * AGENT_LINE_MAX + 1];
    const bool odd = report->n_unknown > 0;

    if (odd && !subject->agent_odd) {
        word[log_escape(word, sizeof(word) - 1, report->unknown.p, report->unknown.len)] = '\0';
        log_write(LOG_NOTICE, "an agent said what is not understood pool=%s server=%s word=\"%s\"",
                  pool_name(subject->watch->pool), subject->place.name, word);
    }
    subject->agent_odd = odd;
}

static uint32_t agent_flags(const struct subject *subject)
{
    uint32_t flags = subject->service == AGENT_DOWN ? SERVER_AGENT_DOWN : 0;

    if (subject->mode == AGENT_MAINT)
        flags |= SERVER_AGENT_MAINT;
    if (subject->mode == AGENT_DRAIN || subject->share == 0)
        flags |= SERVER_AGENT_DRAIN;
    return flags;
}

/* What the agent does not say stays as it is. */
static void apply_report(struct subject *subject, const struct probe *probe, uint64_t now_ms)
{
    const struct agent_report *report = &probe->report;
    const enum agent_mode mode_before = subject->mode;
    const enum agent_service service_before = subject->service;

    if (report->has_share)
        take_share(subject, report->share);
    if (report->mode != AGENT_MODE_SAME)
        subject->mode = report->mode;
    if (report->service != AGENT_SERVICE_SAME)
        subject->service = report->service;
    change_flags(subject, agent_flags(subject), AGENT_FLAGS, now_ms);
    if (subject->mode != mode_before)
        tell_mode(subject, mode_before, probe, now_ms);
    if (subject->service != service_before)
        tell_service(subject, probe, now_ms);
    note_words(subject, report);
    watch_update(subject->watch);
}

/* An agent that cannot be asked changes nothing, as with HAProxy: the check finds a server that is gone. */
static void judge_agent(struct subject *subject, const struct probe *probe, uint64_t now_ms)
{
    const bool silent = probe->outcome == PROBE_BAD;

    subject->agent_task.failures += silent;
    if (silent && !subject->agent_silent)
        log_write(LOG_WARNING, "an agent does not answer pool=%s server=%s reason=\"%s\"",
                  pool_name(subject->watch->pool), subject->place.name, probe->reason);
    else if (!silent && subject->agent_silent)
        log_write(LOG_NOTICE, "an agent answers again pool=%s server=%s", pool_name(subject->watch->pool),
                  subject->place.name);
    subject->agent_silent = silent;
    if (!silent)
        apply_report(subject, probe, now_ms);
}

void subject_judge(struct subject *subject, const struct probe *probe)
{
    const uint64_t now_ms = health_now_ms(subject->watch->health);

    if (probe->kind == PROBE_AGENT)
        judge_agent(subject, probe, now_ms);
    else
        judge_check(subject, probe, now_ms);
}
