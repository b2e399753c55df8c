/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the tests of the health thread share: a pool of real servers on the loopback with its spec, in
 * versions as snapshots have them, each with memory of its own that is freed as soon as the next one has been
 * adopted. One includer per program.
 */
#ifndef FAIRLEAD_TESTS_HEALTH_FIXTURE_H
#define FAIRLEAD_TESTS_HEALTH_FIXTURE_H

#include "health/health.h"

#include "modules.h"
#include "probed_server.h"
#include "suite.h"

#include <stdio.h>

#define SERVERS_MAX 16
#define OK_RESPONSE "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define NEVER_MS    3600000u /* an interval that no test sees the end of */

/* What one snapshot has of the pool. */
struct version {
    struct pool *pool;
    struct health_spec spec;
    char *path, *body;
    struct health_range *expect;
};

/* What the next version is made of. */
static struct health_spec spec;
static bool is_checked;
static struct server_spec servers[SERVERS_MAX];
static size_t n_servers;

static struct health *health;
static struct version *current;
static char names[SERVERS_MAX][32];
static int listening[SERVERS_MAX]; /* in the order of add_server, whatever comes of the servers */
static size_t n_places;
static char log_path[64];
static bool is_logging;

static inline uint64_t now_ms(void)
{
    return clock_monotonic_ns() / 1000000u;
}

/* A place on the loopback where someone listens, or nobody. */
static inline struct server_address place(bool listens, int *fd)
{
    struct server_address address = {.len = sizeof(address.in)};

    *fd = tcp_listen(&address.in);
    if (!listens) {
        close(*fd);
        *fd = -1;
    }
    return address;
}

static inline struct server_spec *add_server(bool listens)
{
    struct server_spec *server = &servers[n_servers++];

    snprintf(names[n_places], sizeof(names[0]), "server-%zu", n_places);
    *server = (struct server_spec){.name = names[n_places],
                                   .address = place(listens, &listening[n_places]),
                                   .weight = 1,
                                   .fail_timeout_ms = 1000};
    n_places++;
    return server;
}

static inline void remove_server(size_t index)
{
    n_servers--;
    memmove(&servers[index], &servers[index + 1], (n_servers - index) * sizeof(servers[0]));
}

static inline struct pool *make_pool(const char *name, struct pool *previous)
{
    struct pool *made;
    char error[512];
    const struct pool_spec pool_spec = {.name = name,
                                        .balancers_dir = modules_of_the_tree(),
                                        .n_servers = n_servers,
                                        .servers = servers,
                                        .max_ejected = 100,
                                        .max_eject_time_ms = 1000};

    ck_assert_msg(pool_create(&pool_spec, 1, previous, &made, error, sizeof(error)) == 0, "%s", error);
    pool_commit(made, previous, now_ms());
    return made;
}

static inline void put_pool(struct pool *pool)
{
    struct server_state *state = pool_put(pool), *next;

    for (; state; state = next) {
        next = state->next;
        server_state_free(state);
    }
}

static inline void *copy_of(const void *data, size_t size)
{
    void *copy = data ? malloc(size) : NULL;

    if (copy)
        memcpy(copy, data, size);
    return copy;
}

static inline struct version *make_version(struct pool *previous)
{
    struct version *made = calloc(1, sizeof(*made));

    ck_assert_ptr_nonnull(made);
    made->pool = make_pool("pool", previous);
    made->spec = spec;
    made->spec.path = made->path = copy_of(spec.path, spec.path ? strlen(spec.path) + 1 : 0);
    made->spec.body = made->body = copy_of(spec.body, spec.body ? strlen(spec.body) + 1 : 0);
    made->spec.body_context = made->body;
    made->spec.expect = made->expect = copy_of(spec.expect, spec.n_expect * sizeof(spec.expect[0]));
    return made;
}

static inline void free_version(struct version *version)
{
    put_pool(version->pool);
    free(version->path);
    free(version->body);
    free(version->expect);
    free(version);
}

static inline struct health_pool checked(const struct version *version)
{
    return (struct health_pool){version->pool, is_checked ? &version->spec : NULL};
}

/* The health thread of the pool `current`, which may have been made before. */
static inline void create(uint32_t probes_max)
{
    struct health_pool pool;

    if (!current)
        current = make_version(NULL);
    pool = checked(current);
    ck_assert_int_eq(health_create(&(struct health_config){.pools = &pool,
                                                           .n_pools = 1,
                                                           .probes_max = probes_max,
                                                           .worker = engine_config()},
                                   &health),
                     0);
}

static inline void run(uint32_t probes_max)
{
    create(probes_max);
    ck_assert_int_eq(health_start(health), 0);
}

struct adoption {
    struct health_plan *plan;
    sem_t freed, done;
};

/* The thread takes no further step before all that it may no longer use has been freed. */
static inline void adopt_and_wait(void *worker, void *argument)
{
    struct adoption *adoption = argument;

    health_adopt(worker, adoption->plan);
    sem_wait(&adoption->freed);
    sem_post(&adoption->done);
}

/* Has the health thread take these pools over; `old` goes, or NULL. */
static inline void adopt_pools(const struct health_pool *pools, size_t n, struct version *old)
{
    struct adoption adoption;

    ck_assert_int_eq(health_plan_create(pools, n, &adoption.plan), 0);
    ck_assert_int_eq(sem_init(&adoption.freed, 0, 0), 0);
    ck_assert_int_eq(sem_init(&adoption.done, 0, 0), 0);
    ck_assert_int_eq(
        mailbox_post(&health_worker(health)->mailbox, (struct letter){adopt_and_wait, &adoption}), 0);
    UNTIL_SEEN(health_plan_is_adopted(adoption.plan), it);
    health_plan_destroy(adoption.plan);
    if (old)
        free_version(old);
    sem_post(&adoption.freed);
    while (sem_wait(&adoption.done) != 0)
        ck_assert_int_eq(errno, EINTR);
    sem_destroy(&adoption.freed);
    sem_destroy(&adoption.done);
}

/* What the control thread does with a new snapshot; nothing is left of the old one. */
static inline void adopt(void)
{
    struct version *next = make_version(current->pool);
    const struct health_pool pool = checked(next);

    adopt_pools(&pool, 1, current);
    current = next;
}

static inline struct server *server_at(size_t index)
{
    return pool_server(current->pool, index);
}

static inline uint32_t flags_of(size_t index)
{
    return server_flags(server_at(index));
}

static inline bool is_up(size_t index)
{
    return server_is_in_service(server_at(index));
}

#define UNTIL_FLAGS(index, expected) UNTIL_SEEN(flags_of(index), it == (uint32_t)(expected))

/* The server's side of a probe. */

static inline int accept_one(size_t at)
{
    return accept_from(listening[at]);
}

static inline bool nobody_comes(size_t at)
{
    return !readable(listening[at], QUIET_MS);
}

static inline void answer_agent(size_t at, const char *line)
{
    const int fd = accept_one(at);

    (void)!send(fd, line, strlen(line), MSG_NOSIGNAL);
    close(fd);
}

static inline int accept_request(size_t at)
{
    const int fd = accept_one(at);

    (void)read_request(fd);
    return fd;
}

/* The thread has given the probe up. */
static inline void expect_given_up(int fd)
{
    ck_assert_int_eq(expect_end(fd), ECONNRESET);
    close(fd);
}

static inline void answer(int fd, const char *text)
{
    send_all(fd, text, strlen(text));
    close(fd);
}

static inline void answer_status(size_t at, unsigned status)
{
    char text[64];

    snprintf(text, sizeof(text), "HTTP/1.1 %u So\r\nContent-Length: 0\r\n\r\n", status);
    answer(accept_request(at), text);
}

static inline void use_http(void)
{
    static const struct health_range good = {200, 299};

    spec.type = HEALTH_HTTP;
    spec.method = "GET";
    spec.path = "/";
    spec.expect = &good;
    spec.n_expect = 1;
}

/* A check that comes once, unless something asks for another. */
static inline void use_rare_http(void)
{
    use_http();
    spec.interval_ms = spec.fast_interval_ms = NEVER_MS;
}

static inline void setup(void)
{
    const struct log_config to_file = {.sinks = {[LOG_SINK_ERROR] = {.path = log_path}},
                                       .level = LOG_DEBUG,
                                       .queue_size = 16 * LOG_LINE_MAX};
    const char *path;

    snprintf(log_path, sizeof(log_path), "/tmp/fairlead-health-%d.log", (int)getpid());
    ck_assert_int_eq(log_open(&to_file, &path), 0);
    ck_assert_int_eq(log_start(), 0);
    ck_assert_int_eq(log_attach(), 0);
    is_logging = true;
    memset(listening, -1, sizeof(listening));
    is_checked = true;
    spec = (struct health_spec){.type = HEALTH_TCP,
                                .interval_ms = 20,
                                .fast_interval_ms = 20,
                                .timeout_ms = PATIENCE_MS,
                                .rise = 2,
                                .fall = 2,
                                .initial = HEALTH_FULLY_UP,
                                .agent_interval_ms = 20};
}

static inline void end_health(void)
{
    if (health)
        ck_assert_int_eq(health_stop(health), 0);
    health_destroy(health);
    health = NULL;
    if (current)
        free_version(current);
    current = NULL;
}

/* After end_health: all that was logged is in the file. */
static inline void end_log(void)
{
    if (is_logging) {
        log_detach();
        log_stop();
    }
    is_logging = false;
}

static inline size_t count_logged(const char *text)
{
    FILE *file = fopen(log_path, "r");
    char line[512];
    size_t n = 0;

    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof(line), file))
        n += strstr(line, text) != NULL;
    fclose(file);
    return n;
}

static inline void teardown(void)
{
    end_health();
    end_log();
    (void)unlink(log_path);
    for (size_t i = 0; i < SERVERS_MAX; i++)
        if (listening[i] >= 0)
            close(listening[i]);
}

/* Runs the tests, each with its own thread, log and servers. Returns what main does. */
static inline int health_main(const char *name, void (*add_tests)(TCase *tests))
{
    return suite_run(&(struct suite){name, 120, setup, teardown, add_tests});
}

#endif
