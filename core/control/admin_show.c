/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the control socket tells of the process: version, status, counters, sessions. */
#include "control/admin_private.h"

#include "control/standing.h"
#include "engine/clock.h"
#include "engine/log.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *admin_age(uint64_t ms, char *text)
{
    unsigned long long s = ms / 1000;

    if (s >= 86400)
        snprintf(text, ADMIN_AGE_MAX, "%llud %lluh", s / 86400, s / 3600 % 24);
    else if (s >= 3600)
        snprintf(text, ADMIN_AGE_MAX, "%lluh %llum", s / 3600, s / 60 % 60);
    else if (s >= 60)
        snprintf(text, ADMIN_AGE_MAX, "%llum %llus", s / 60, s % 60);
    else
        snprintf(text, ADMIN_AGE_MAX, "%llus", s);
    return text;
}

ADMIN_COMMAND(admin_version)
{
    (void)admin, (void)request, (void)survey;
    reply_print(reply, "fairlead %s\n", FAIRLEAD_VERSION);
}

ADMIN_COMMAND(admin_help)
{
    (void)admin, (void)request, (void)survey;
    for (const struct command *command = admin_commands; command->name; command++)
        reply_print(reply, "%s%s%s\n        %s\n", command->name, *command->arguments ? " " : "", command->arguments, command->sentence);
}

/* ---- The log's own counters ---- */

static const struct {
    const char *name, *sentence;
    size_t offset; /* in struct log_counters */
} log_sums[] = {
    {"log_lines", "lines that the log thread has taken", offsetof(struct log_counters, lines)},
    {"log_dropped", "lines that are in no file, though they should be", offsetof(struct log_counters, dropped)},
    {"log_dropped_access", "of those, access lines that the file did not take", offsetof(struct log_counters, sink_dropped[LOG_SINK_ACCESS])},
    {"log_dropped_error", "of those, error lines that the file did not take", offsetof(struct log_counters, sink_dropped[LOG_SINK_ERROR])},
    {"log_write_errors", "failures to write or reopen a file", offsetof(struct log_counters, write_errors)},
    {"syslog_lines", "lines that syslog took", offsetof(struct log_counters, syslog_lines)},
    {"syslog_dropped", "lines that syslog did not take", offsetof(struct log_counters, syslog_dropped)},
};
#define N_LOG_SUMS (sizeof(log_sums) / sizeof(log_sums[0]))

static uint64_t log_sum(const struct log_counters *log, size_t i)
{
    uint64_t value;

    memcpy(&value, (const char *)log + log_sums[i].offset, sizeof(value));
    return value;
}

/* ---- Status ---- */

struct status {
    struct admin_view view;
    struct log_counters log;
    uint64_t uptime_ms;
    size_t n_servers, n_serving; /* of all pools, those without an address left out */
    size_t n_pools_down;
    struct survey_sum sums[SURVEY_SUMS_MAX];
    size_t n_sums;
};

static uint64_t sum_of(const struct status *status, const char *name)
{
    for (size_t i = 0; i < status->n_sums; i++)
        if (strcmp(status->sums[i].name, name) == 0)
            return status->sums[i].value;
    return 0;
}

static void read_status(struct admin *admin, const struct survey *survey, struct status *status)
{
    const struct admin_host *host = admin_host(admin);
    uint64_t now_ms = clock_monotonic_ms();

    *status = (struct status){0};
    host->view(host->context, &status->view);
    log_counters(&status->log);
    status->uptime_ms = now_ms - status->view.started_ms;
    status->n_sums = survey_sums(survey, status->sums);
    for (size_t i = 0; i < status->view.n_pools; i++) {
        struct pool_standing pool;

        standing_of_pool(status->view.pools[i], now_ms, &pool);
        status->n_servers += pool.n;
        status->n_serving += pool.active + pool.backup;
        status->n_pools_down += strcmp(pool.sum.status, "DOWN") == 0;
    }
}

static uint64_t per_second(const struct status *status, uint64_t count)
{
    return status->uptime_ms > 0 ? count * 1000 / status->uptime_ms : 0;
}

/* The names are those of `status --json` and of `sample`. */
static void tell_status(const struct status *status, struct reply *reply, void (*tell)(struct reply *, const char *name, uint64_t value))
{
    tell(reply, "pid", (uint64_t)getpid());
    tell(reply, "uptime_ms", status->uptime_ms);
    tell(reply, "workers", status->view.n_workers);
    tell(reply, "stopping", status->view.stopping);
    tell(reply, "reloads", status->view.reloads);
    tell(reply, "reloads_failed", status->view.reloads_failed);
    tell(reply, "snapshots", status->view.n_snapshots);
    tell(reply, "listeners", status->view.config->n_listens);
    tell(reply, "sites", status->view.config->n_sites);
    tell(reply, "pools", status->view.n_pools);
    tell(reply, "pools_down", status->n_pools_down);
    tell(reply, "servers", status->n_servers);
    tell(reply, "servers_serving", status->n_serving);
    tell(reply, "connections_per_second", per_second(status, sum_of(status, "connections")));
    tell(reply, "requests_per_second", per_second(status, sum_of(status, "requests")));
    for (size_t i = 0; i < N_LOG_SUMS; i++)
        tell(reply, log_sums[i].name, log_sum(&status->log, i));
    for (size_t i = 0; i < status->n_sums && status->sums[i].gauge; i++)
        tell(reply, status->sums[i].name, status->sums[i].value);
    tell(reply, "connections", sum_of(status, "connections"));
    tell(reply, "requests", sum_of(status, "requests"));
    tell(reply, "responses", sum_of(status, "responses"));
}

static void tell_line(struct reply *reply, const char *name, uint64_t value)
{
    reply_print(reply, "%s %llu\n", name, (unsigned long long)value);
}

static void print_log_lines(const struct status *status, struct reply *reply)
{
    reply_print(reply, "log           %llu lines, %llu dropped, %llu write errors\n", (unsigned long long)status->log.lines,
                (unsigned long long)status->log.dropped, (unsigned long long)status->log.write_errors);
    reply_print(reply, "syslog        %llu lines, %llu dropped\n", (unsigned long long)status->log.syslog_lines,
                (unsigned long long)status->log.syslog_dropped);
}

static void print_status(const struct status *status, struct reply *reply)
{
    const struct admin_view *view = &status->view;
    uint64_t requests = sum_of(status, "requests"), connections = sum_of(status, "connections");
    char age[ADMIN_AGE_MAX];

    reply_print(reply, "fairlead %s, pid %d, up %s%s\n\n", FAIRLEAD_VERSION, (int)getpid(), admin_age(status->uptime_ms, age),
                view->stopping ? ", stopping" : "");
    reply_print(reply, "workers       %u, %zu listeners, %zu sites\n", view->n_workers, view->config->n_listens, view->config->n_sites);
    reply_print(reply, "reloads       %llu, %llu refused, %u snapshots in use\n", view->reloads, view->reloads_failed, view->n_snapshots);
    reply_print(reply, "connections   %llu open, %llu since the start (%llu/s)\n", (unsigned long long)sum_of(status, "clients"),
                (unsigned long long)connections, (unsigned long long)per_second(status, connections));
    reply_print(reply, "requests      %llu being served, %llu since the start (%llu/s)\n", (unsigned long long)sum_of(status, "exchanges"),
                (unsigned long long)requests, (unsigned long long)per_second(status, requests));
    reply_print(reply, "responses     %llu complete, %llu cut, %llu clients went away first\n", (unsigned long long)sum_of(status, "responses"),
                (unsigned long long)sum_of(status, "responses_cut"), (unsigned long long)sum_of(status, "client_aborts"));
    reply_print(reply, "attempts      %llu failed, %llu tried again, %llu found no server\n", (unsigned long long)sum_of(status, "upstream_failures"),
                (unsigned long long)sum_of(status, "upstream_retries"), (unsigned long long)sum_of(status, "no_upstream"));
    reply_print(reply, "servers       %zu of %zu serve; %zu of %zu pools are down\n", status->n_serving, status->n_servers, status->n_pools_down,
                view->n_pools);
    reply_print(reply, "idle links    %llu\n", (unsigned long long)sum_of(status, "idle_links"));
    print_log_lines(status, reply);
}

ADMIN_COMMAND(admin_status)
{
    struct status status;

    read_status(admin, survey, &status);
    if (request->flags & REQUEST_JSON) {
        reply_open(reply, NULL, '{');
        reply_string(reply, "version", FAIRLEAD_VERSION, strlen(FAIRLEAD_VERSION));
        tell_status(&status, reply, reply_number);
        reply_close(reply, '}');
    } else {
        print_status(&status, reply);
    }
}

ADMIN_COMMAND(admin_sample)
{
    static const struct request servers = {.flags = REQUEST_CSV, .n = 1};
    struct status status;

    (void)request;
    read_status(admin, survey, &status);
    reply_print(reply, "version %s\n", FAIRLEAD_VERSION);
    tell_status(&status, reply, tell_line);
    reply_text(reply, "\n", 1);
    admin_servers(admin, &servers, NULL, reply);
}

/* ---- Counters ---- */

static void tell_counter(struct reply *reply, bool json, const char *name, uint64_t value, const char *sentence)
{
    if (json)
        reply_number(reply, name, value);
    else
        reply_print(reply, "%-24s %14llu  %s\n", name, (unsigned long long)value, sentence);
}

ADMIN_COMMAND(admin_counters)
{
    struct survey_sum sums[SURVEY_SUMS_MAX];
    size_t n = survey_sums(survey, sums);
    bool json = request->flags & REQUEST_JSON;
    struct log_counters log;

    (void)admin;
    log_counters(&log);
    if (json)
        reply_open(reply, NULL, '{');
    for (size_t i = 0; i < n; i++)
        tell_counter(reply, json, sums[i].name, sums[i].value, sums[i].sentence);
    for (size_t i = 0; i < N_LOG_SUMS; i++)
        tell_counter(reply, json, log_sums[i].name, log_sum(&log, i), log_sums[i].sentence);
    if (json)
        reply_close(reply, '}');
}

/* ---- Sessions ---- */

/* In the order of a session's line (survey.c). */
static const struct {
    const char *name;
    bool is_string;
    int width;
} session_columns[] = {{"client", true, 22},   {"listen", true, 18},  {"state", true, 9},   {"requests", false, 8}, {"bytes_in", false, 10}, {"bytes_out", false, 10},
                       {"exchange", true, 10}, {"age_ms", false, 8}, {"pool", true, 12}, {"server", true, 22},  {"request", true, 0}};
#define N_SESSION_COLUMNS (sizeof(session_columns) / sizeof(session_columns[0]))

/* The next field of a line, which ends with a newline. */
static struct span next_field(const char **at)
{
    size_t len = strcspn(*at, "\t\n");
    struct span field = {*at, len};

    *at += len + ((*at)[len] == '\t');
    return field;
}

static void tell_session(struct reply *reply, const char *line, bool json)
{
    if (json)
        reply_open(reply, NULL, '{');
    for (size_t i = 0; i < N_SESSION_COLUMNS; i++) {
        struct span field = next_field(&line);
        bool is_empty = field.len == 1 && *field.p == '-';

        if (!json)
            reply_print(reply, "%s%*.*s", i > 0 ? " " : "", session_columns[i].is_string ? -session_columns[i].width : session_columns[i].width,
                        (int)field.len, field.p);
        else if (!is_empty && session_columns[i].is_string)
            reply_string(reply, session_columns[i].name, field.p, field.len);
        else if (!is_empty)
            reply_number(reply, session_columns[i].name, strtoull(field.p, NULL, 10));
    }
    if (json)
        reply_close(reply, '}');
    else
        reply_text(reply, "\n", 1);
}

static void tell_part(struct reply *reply, const struct survey_part *part, bool json)
{
    const char *line = part->text;
    const char *end = line + part->len;

    while (line < end) {
        tell_session(reply, line, json);
        line = (const char *)memchr(line, '\n', (size_t)(end - line)) + 1;
    }
}

static void print_session_heads(struct reply *reply)
{
    for (size_t i = 0; i < N_SESSION_COLUMNS; i++)
        reply_print(reply, "%s%*s", i > 0 ? " " : "", session_columns[i].is_string ? -session_columns[i].width : session_columns[i].width,
                    session_columns[i].name);
    reply_text(reply, "\n", 1);
}

ADMIN_COMMAND(admin_sessions)
{
    bool json = request->flags & REQUEST_JSON;
    uint64_t more = 0;

    (void)admin;
    if (json) {
        reply_open(reply, NULL, '{');
        reply_open(reply, "sessions", '[');
    } else {
        print_session_heads(reply);
    }
    for (unsigned i = 0; i < survey->n; i++) {
        tell_part(reply, &survey->parts[i], json);
        more += survey->parts[i].clients - survey->parts[i].n_lines;
    }
    if (json) {
        reply_close(reply, ']');
        reply_number(reply, "more", more);
        reply_close(reply, '}');
    } else if (more > 0) {
        reply_print(reply, "%llu more\n", (unsigned long long)more);
    }
}
