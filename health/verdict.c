/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What results mean: from a probe's outcome to the state of the server, from that to its flags, which the
 * workers read, and to one line in the log per change. Health thread; watch_begin also runs on the control
 * thread before there is one.
 */
#include "health/watch.h"

#include "engine/log.h"

#define CHECK_FLAGS (SERVER_CHECK_DOWN | SERVER_CHECKED)
#define AGENT_FLAGS (SERVER_AGENT_DOWN | SERVER_AGENT_MAINT | SERVER_AGENT_DRAIN)

/* What puts a server out whose state changes, as `downs` and `down_ms` count it; maintenance is on purpose.
 */
#define OUT_FLAGS (SERVER_CHECK_DOWN | SERVER_AGENT_DOWN)

static enum pool_service look(const struct watch *watch)
{
    enum pool_service service = BY_NONE;

    for (size_t i = 0; i < watch->n_subjects; i++) {
        const struct server *server = watch->subjects[i]->server;

        if (server_flags(server) & SERVER_OUT)
            continue;
        if (!server->backup)
            return BY_PRIMARIES;
        service = BY_BACKUPS;
    }
    return service;
}

void watch_update(struct watch *watch)
{
    const enum pool_service service = look(watch);
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

/* Counters have one writer. */
static void add(atomic_ullong *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

/* A time out of service counts once, whether the check, the agent or both keep the server out. */
static void note_side(struct subject *subject, uint64_t now_ms)
{
    struct server_checks *checks = &subject->server->state->checks;
    const bool is_out = (server_flags(subject->server) & OUT_FLAGS) != 0;

    if (is_out == subject->is_out)
        return;
    if (is_out)
        add(&checks->downs, 1);
    else
        add(&checks->down_ms, now_ms - subject->out_since_ms);
    atomic_store_explicit(&checks->changed_ms, now_ms, memory_order_relaxed);
    subject->is_out = is_out;
    subject->out_since_ms = now_ms;
}

static void change_flags(struct subject *subject, uint32_t set, uint32_t clear, uint64_t now_ms)
{
    (void)pool_change_flags(subject->watch->pool, subject->server, set, clear & ~set, now_ms);
    note_side(subject, now_ms);
}

/* Returns what is to be set of SERVER_CHECK_DOWN and SERVER_CHECKED; the others of the two are to be cleared.
 */
static uint32_t meet_check(struct subject *subject, uint32_t flags, uint64_t since_ms)
{
    const struct health_spec *spec = subject_spec(subject);

    check_init(&subject->check, spec, since_ms);
    if (spec->type == HEALTH_NONE)
        return 0;
    if (flags & SERVER_CHECKED) {
        check_resume(&subject->check, !(flags & SERVER_CHECK_DOWN), since_ms);
        return flags & CHECK_FLAGS;
    }
    return check_in_service(&subject->check) ? 0 : SERVER_CHECK_DOWN;
}

/* The same of the agent's. A share of 0 has not been told to the pool: beside a word that is not "drain" the
 * flag tells of it. */
static uint32_t meet_agent(struct subject *subject, uint32_t flags, uint64_t since_ms)
{
    subject->mode = AGENT_READY;
    subject->service = AGENT_UP;
    subject->share = SHARE_WHOLE;
    subject->mode_since_ms = subject->service_since_ms = since_ms;
    if (!subject_has_agent(subject)) {
        pool_set_share(subject->watch->pool, subject->server, SHARE_WHOLE);
        return 0;
    }
    subject->share = atomic_load_explicit(&subject->server->state->share, memory_order_relaxed);
    if (flags & SERVER_AGENT_DOWN)
        subject->service = AGENT_DOWN;
    if (flags & SERVER_AGENT_MAINT)
        subject->mode = AGENT_MAINT;
    if (flags & SERVER_AGENT_DRAIN && subject->mode == AGENT_MAINT)
        subject->share = 0;
    else if (flags & SERVER_AGENT_DRAIN)
        subject->mode = AGENT_DRAIN;
    subject->drain_is_guessed = subject->mode == AGENT_DRAIN;
    return flags & AGENT_FLAGS;
}

/* An earlier process may have seen the last change: the clock is the host's. */
static uint64_t known_since(const struct subject *subject, uint64_t now_ms)
{
    const uint64_t changed_ms =
        atomic_load_explicit(&subject->server->state->checks.changed_ms, memory_order_relaxed);

    return changed_ms != 0 && changed_ms < now_ms ? changed_ms : now_ms;
}

void subject_meet(struct subject *subject, uint64_t now_ms)
{
    const uint32_t flags = server_flags(subject->server);
    const uint64_t since_ms = known_since(subject, now_ms);
    const uint32_t set = meet_check(subject, flags, since_ms) | meet_agent(subject, flags, since_ms);

    (void)pool_change_flags(subject->watch->pool, subject->server, set, (CHECK_FLAGS | AGENT_FLAGS) & ~set,
                            now_ms);
    subject->is_out = (set & OUT_FLAGS) != 0;
    subject->out_since_ms = since_ms;
}

void watch_begin(struct watch *watch, struct health *health, uint64_t now_ms)
{
    watch->health = health;
    for (size_t i = 0; i < watch->n_subjects; i++)
        subject_meet(watch->subjects[i], now_ms);
    (void)pool_update_promotion(watch->pool);
    watch->service = look(watch);
}

/* The first check of a server that has served without one: as if it were new. */
static void begin_check(struct subject *subject, uint64_t now_ms)
{
    const uint32_t set = meet_check(subject, 0, now_ms);

    change_flags(subject, set, CHECK_FLAGS, now_ms);
    if (set & SERVER_CHECK_DOWN)
        tell(subject, LOG_WARNING, &(struct change){"server is down", "UP", "DOWN", "not checked yet", 0});
}

static void end_check(struct subject *subject, uint64_t now_ms)
{
    const bool was_out = !check_in_service(&subject->check);

    change_flags(subject, 0, CHECK_FLAGS, now_ms);
    if (was_out)
        tell(subject, LOG_NOTICE,
             &(struct change){"server is up", "DOWN", "UP", "not checked any more",
                              now_ms - subject->check.since_ms});
}

void subject_change_check(struct subject *subject, const struct health_spec *before, uint64_t now_ms)
{
    const struct health_spec *spec = subject_spec(subject);

    subject->check_task.kind = check_kind(spec);
    if (before->type == HEALTH_NONE)
        begin_check(subject, now_ms);
    else if (spec->type == HEALTH_NONE)
        end_check(subject, now_ms);
    else
        check_settle(&subject->check, now_ms);
}

static void judge_check(struct subject *subject, const struct probe *probe, uint64_t now_ms)
{
    const bool good = probe->outcome == PROBE_GOOD;
    uint64_t lasted_ms = 0;
    const enum check_news news =
        check_count(&subject->check, subject_spec(subject), good, now_ms, &lasted_ms);

    subject->check_task.failures += !good;
    add(&subject->server->state->checks.failures, !good);
    change_flags(subject, SERVER_CHECKED | (check_in_service(&subject->check) ? 0 : SERVER_CHECK_DOWN),
                 SERVER_CHECK_DOWN, now_ms);
    if (news == CHECK_WENT_DOWN) {
        tell(subject, LOG_WARNING,
             &(struct change){"server is down", "UP", "DOWN", probe->reason, lasted_ms});
    } else if (news == CHECK_WENT_UP) {
        tell(subject, LOG_NOTICE, &(struct change){"server is up", "DOWN", "UP", probe->reason, lasted_ms});
    } else if (!good && check_in_service(&subject->check)) {
        log_write(LOG_INFO, "a check failed pool=%s server=%s reason=\"%s\" in_a_row=%u",
                  pool_name(subject->watch->pool), subject->place.name, probe->reason,
                  subject->check.in_a_row);
    }
    if (news != CHECK_SAME)
        watch_update(subject->watch);
}

static void tell_service(struct subject *subject, const char *reason, uint64_t now_ms)
{
    const bool up = subject->service == AGENT_UP;

    tell(subject, up ? LOG_NOTICE : LOG_WARNING,
         &(struct change){up ? "server is up" : "server is down", up ? "DOWN" : "UP", up ? "UP" : "DOWN",
                          reason, now_ms - subject->service_since_ms});
    subject->service_since_ms = now_ms;
}

static void tell_mode(struct subject *subject, enum agent_mode before, const char *reason, uint64_t now_ms)
{
    static const char *const names[] = {
        [AGENT_READY] = "READY", [AGENT_DRAIN] = "DRAIN", [AGENT_MAINT] = "MAINT"};
    static const char *const words[] = {[AGENT_READY] = "server is ready",
                                        [AGENT_DRAIN] = "server is draining",
                                        [AGENT_MAINT] = "server is in maintenance"};

    tell(subject, LOG_NOTICE,
         &(struct change){words[subject->mode], names[before], names[subject->mode], reason,
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

/* Whichever began the drain, the agent's next word or share says how it is now. */
static void end_guess(struct subject *subject, const struct agent_report *report)
{
    if (!report->has_share && report->mode == AGENT_MODE_SAME)
        return;
    if (subject->drain_is_guessed)
        subject->mode = AGENT_READY;
    subject->drain_is_guessed = false;
}

/* What the agent does not say stays as it is. */
static void apply_report(struct subject *subject, const struct probe *probe, uint64_t now_ms)
{
    const struct agent_report *report = &probe->report;
    const enum agent_mode mode_before = subject->mode;
    const enum agent_service service_before = subject->service;

    end_guess(subject, report);
    if (report->has_share)
        take_share(subject, report->share);
    if (report->mode != AGENT_MODE_SAME)
        subject->mode = report->mode;
    if (report->service != AGENT_SERVICE_SAME)
        subject->service = report->service;
    change_flags(subject, agent_flags(subject), AGENT_FLAGS, now_ms);
    if (subject->mode != mode_before)
        tell_mode(subject, mode_before, probe->reason, now_ms);
    if (subject->service != service_before)
        tell_service(subject, probe->reason, now_ms);
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

/* It is as if it had said that all is well. */
static void end_agent(struct subject *subject, uint64_t now_ms)
{
    const enum agent_mode mode = subject->mode;
    const enum agent_service service = subject->service;

    subject->mode = AGENT_READY;
    subject->service = AGENT_UP;
    subject->drain_is_guessed = subject->agent_silent = subject->agent_odd = false;
    take_share(subject, SHARE_WHOLE);
    change_flags(subject, 0, AGENT_FLAGS, now_ms);
    if (mode != AGENT_READY)
        tell_mode(subject, mode, "its agent is not asked any more", now_ms);
    if (service != AGENT_UP)
        tell_service(subject, "its agent is not asked any more", now_ms);
}

void subject_change_agent(struct subject *subject, const struct health_spec *before, uint64_t now_ms)
{
    if (before->agent_port != 0 && subject_spec(subject)->agent_port == 0)
        end_agent(subject, now_ms);
}

/* For who looks from outside. Where there is only an agent it is the one that is told of. */
static void publish(struct task *task, const struct probe *probe, uint64_t now_ms)
{
    struct server_checks *checks = &task->subject->server->state->checks;

    if (task->kind == PROBE_AGENT && subject_spec(task->subject)->type != HEALTH_NONE)
        return;
    atomic_store_explicit(&checks->last, (uint32_t)probe->result | (uint32_t)probe->status << 8,
                          memory_order_relaxed);
    atomic_store_explicit(&checks->duration_ms, (uint32_t)(now_ms - task->started_ms), memory_order_relaxed);
}

void subject_judge(struct task *task, const struct probe *probe)
{
    const uint64_t now_ms = health_now_ms(task->subject->watch->health);

    publish(task, probe, now_ms);
    if (probe->outcome == PROBE_NOT_MADE)
        return;
    if (task->kind == PROBE_AGENT)
        judge_agent(task->subject, probe, now_ms);
    else
        judge_check(task->subject, probe, now_ms);
}
