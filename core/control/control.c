/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The control thread; see control.h. The order of start is: configuration, signals, logs, pid file, limits, sockets,
 * privileges (chroot, user, capabilities), probe, health thread, workers and their rings; the order of stop is its reverse.
 */
#include "control/control.h"

#include "config/config.h"
#include "control/limits.h"
#include "control/listener.h"
#include "control/logs.h"
#include "control/names.h"
#include "control/pid_file.h"
#include "control/privileges.h"
#include "control/report.h"
#include "engine/clock.h"
#include "engine/log.h"
#include "engine/probe.h"
#include "engine/worker.h"
#include "health/health.h"
#include "proxy/queue.h"
#include "proxy/service.h"
#include "proxy/sticky.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define TEXT_MAX      512u
#define TICK_MS       250 /* how often the end of a graceful stop is looked for */
#define HEAP_PER_CORE (256ull << 20) /* bytes that incomplete and waiting heads of one worker may take */
#define HEALTH_HEAP   (64ull << 20)  /* the same of the health thread */
#define HEALTH_SQ     256u          /* entries of its submission queue, at most */

struct control {
    struct config *config;
    struct listeners listeners;
    struct router *router;
    struct queues *queues;
    struct sticky_values *sticky;
    struct probe probe;
    struct worker **workers;
    struct service **services;
    struct names *names;
    unsigned n_created, n_running;
    struct health *health; /* NULL: nothing is to be checked */
    int signals;
};

static int load(const struct control_options *options, struct config **config)
{
    struct config_options given = {.balancers_dir = options->balancers_dir,
                                   .allow_insecure_files = options->allow_insecure_files};
    struct config_errors *errors = NULL;
    int error = config_load(options->config_path, &given, config, &errors);

    if (errors) {
        config_errors_print(errors, stderr);
        config_errors_destroy(errors);
    }
    return error;
}

static int fail(const char *sentence)
{
    fprintf(stderr, "fairlead: [emerg] %s\n", sentence);
    return -EINVAL;
}

static int open_logs(const struct config *config)
{
    struct log_config log;
    const char *path = NULL;
    char text[TEXT_MAX];
    int error;

    logs_config(config, &log);
    error = log_open(&log, &path);
    if (error) {
        snprintf(text, sizeof(text), "open() \"%s\" failed (%d: %s)", path ? path : "", -error, strerror(-error));
        return fail(text);
    }
    return 0;
}

int control_test(const struct control_options *options, _Bool print)
{
    struct config *config = NULL;
    char text[TEXT_MAX];

    if (load(options, &config) != 0) {
        fprintf(stderr, "fairlead: configuration file %s test failed\n", options->config_path);
        return 1;
    }
    fprintf(stderr, "fairlead: the configuration file %s syntax is ok\n", options->config_path);
    if ((privileges_check(config, text, sizeof(text)) != 0 && fail(text) != 0) || open_logs(config) != 0) {
        fprintf(stderr, "fairlead: configuration file %s test failed\n", options->config_path);
        config_destroy(config);
        return 1;
    }
    fprintf(stderr, "fairlead: configuration file %s test is successful\n", options->config_path);
    if (print)
        config_print(config, options->show_secrets, stdout);
    config_destroy(config);
    return 0;
}

/* Signals are read, not handled: no code of ours runs in a signal handler. A peer that is gone is an error code, not a signal. */
static int open_signals(void)
{
    sigset_t set;
    int fd;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGQUIT);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    fd = signalfd(-1, &set, SFD_CLOEXEC);
    return fd >= 0 ? fd : -errno;
}

static struct worker_config worker_settings(const struct control *control, unsigned number)
{
    const struct engine_settings *engine = &control->config->engine;

    return (struct worker_config){
        .number = number,
        .pin = engine->pin,
        .socket_send_buffer = engine->socket_send_buffer,
        .ring = {.sq_entries = engine->sq_entries,
                 .cq_entries = engine->cq_entries,
                 .actors_max = 4 * control->config->worker_connections + (uint32_t)control->config->n_listens + 64,
                 .multishot_accept = engine->multishot_accept && control->probe.multishot_accept,
                 .multishot_recv = engine->multishot_recv && control->probe.multishot_recv,
                 .buffers = {.ring_entries = engine->recv_buffers,
                             .blocks_max = engine->recv_buffers_max,
                             .block_size = engine->recv_buffer_size,
                             .bulk_max = engine->bulk_buffers,
                             .bulk_size = engine->bulk_buffer_size,
                             .heap_max = HEAP_PER_CORE}},
    };
}

/* Probes are short: a ring and buffers of a size that does not grow with the servers. */
static struct worker_config health_settings(const struct control *control)
{
    struct worker_config settings = worker_settings(control, control->config->workers);

    settings.pin = false;
    /* Not more than the workers': cq_entries is theirs, and may not be less. */
    if (settings.ring.sq_entries > HEALTH_SQ)
        settings.ring.sq_entries = HEALTH_SQ;
    settings.ring.buffers = (struct buffers_config){.ring_entries = 64,
                                                    .blocks_max = 1024,
                                                    .block_size = 4096,
                                                    .bulk_max = 16,
                                                    .bulk_size = 16384,
                                                    .heap_max = HEALTH_HEAP};
    return settings;
}

/* The first states stand before a worker can pick. */
static int start_health(struct control *control)
{
    const struct config *config = control->config;
    const struct health_config health = {.pools = config->health,
                                         .n_pools = config->n_health,
                                         .probes_max = config->health_probes,
                                         .worker = health_settings(control)};
    char text[TEXT_MAX];
    int error;

    if (config->n_health == 0)
        return 0;
    error = health_create(&health, &control->health);
    if (!error)
        error = health_start(control->health);
    if (error) {
        snprintf(text, sizeof(text), "cannot start the health thread (%d: %s)", -error, strerror(-error));
        return fail(text);
    }
    return 0;
}

/* What the workers share. */
static int create_shared(struct control *control)
{
    unsigned n = control->config->workers;

    control->workers = calloc(n, sizeof(*control->workers));
    control->services = calloc(n, sizeof(*control->services));
    if (!control->workers || !control->services || router_create(control->config, &control->router) != 0)
        return -ENOMEM;
    control->queues = queues_create(control->config, control->workers);
    return control->queues ? sticky_create(control->config, &control->sticky) : -ENOMEM;
}

static int create_workers(struct control *control)
{
    unsigned n = control->config->workers;
    int error = create_shared(control);
    struct shared shared = {control->config, control->router, control->queues, control->sticky};

    if (error)
        return error;
    for (unsigned i = 0; i < n; i++, control->n_created++) {
        struct worker_config settings = worker_settings(control, i);

        error = worker_create(&settings, &control->workers[i]);
        if (error)
            return error;
        error = service_create(control->workers[i], &shared, listeners_of_worker(&control->listeners, i),
                               &control->services[i]);
        if (error) {
            worker_destroy(control->workers[i]);
            return error;
        }
    }
    return 0;
}

/* Names that are to be asked for again; most configurations have none. */
static int start_names(struct control *control)
{
    struct place_users users = {.workers = control->workers,
                                .n_workers = control->n_running,
                                .health = control->health ? health_worker(control->health) : NULL,
                                .health_changed = health_server_changed};

    return control->config->n_named > 0 ? names_create(control->config, &users, &control->names) : 0;
}

static int start_workers(struct control *control)
{
    char text[TEXT_MAX];
    int error = create_workers(control);

    for (unsigned i = 0; !error && i < control->n_created; i++) {
        error = worker_run(control->workers[i]);
        control->n_running += !error;
    }
    if (!error)
        error = start_names(control);
    if (error) {
        snprintf(text, sizeof(text), "cannot start the workers (%d: %s)", -error, strerror(-error));
        return fail(text);
    }
    return 0;
}

static int start(struct control *control)
{
    struct privileges_told told;
    char text[TEXT_MAX];
    int error;

    limits_raise(control->config);
    if (listeners_open(&control->listeners, control->config, control->config->workers, text, sizeof(text)) != 0 ||
        privileges_drop(control->config, &told, text, sizeof(text)) != 0 ||
        probe_kernel(&control->probe, text, sizeof(text)) != 0)
        return fail(text);
    if (log_start() != 0 || log_attach() != 0)
        return fail("cannot start the log thread");
    log_write(LOG_NOTICE, "starting version=%s pid=%d workers=%u %s", FAIRLEAD_VERSION, (int)getpid(),
              control->config->workers, control->probe.line);
    limits_report(control->config);
    privileges_report(&told);
    error = start_health(control);
    return error ? error : start_workers(control);
}

/* Posts to every worker; a full mailbox means that it has more urgent letters, and is tried again by the caller's next signal. */
static void tell_workers(struct control *control, void (*what)(void *worker, void *argument))
{
    for (unsigned i = 0; i < control->n_running; i++)
        if (mailbox_post(&control->workers[i]->mailbox, (struct letter){what, NULL}) != 0)
            log_write(LOG_ERR, "a worker's mailbox is full worker=%u", i);
}

static bool all_ended(const struct control *control)
{
    for (unsigned i = 0; i < control->n_running; i++)
        if (!worker_has_ended(control->workers[i]))
            return false;
    return true;
}

static bool any_ended(const struct control *control)
{
    if (control->health && worker_has_ended(health_worker(control->health)))
        return true;
    for (unsigned i = 0; i < control->n_running; i++)
        if (worker_has_ended(control->workers[i]))
            return true;
    return false;
}

/* Returns the signal, or 0 after at most `timeout_ms`. What names have to do is done meanwhile. */
static int next_signal(const struct control *control, int timeout_ms)
{
    struct pollfd ready[] = {{.fd = control->signals, .events = POLLIN},
                             {.fd = control->names ? names_fd(control->names) : -1, .events = POLLIN}};
    struct signalfd_siginfo info;
    int n;

    if (control->names)
        timeout_ms = names_timeout_ms(control->names, timeout_ms);
    n = poll(ready, 2, timeout_ms);
    if (control->names)
        names_run(control->names);
    if (n <= 0 || !(ready[0].revents & POLLIN) || read(control->signals, &info, sizeof(info)) != sizeof(info))
        return 0;
    return (int)info.ssi_signo;
}

static bool is_stop(int signal)
{
    return signal == SIGTERM || signal == SIGINT || signal == SIGQUIT;
}

/* Until a signal says stop, or a worker has ended by itself (which has been logged). */
static void wait_for_stop(const struct control *control)
{
    for (;;) {
        int signal = next_signal(control, 1000);

        if (signal == SIGUSR1) {
            log_write(LOG_NOTICE, "reopening logs");
            log_reopen();
        } else if (signal == SIGHUP) {
            log_write(LOG_WARNING, "reloading is not available in this version: restart to apply a new configuration");
        } else if (is_stop(signal)) {
            log_write(LOG_NOTICE, "stopping signal=%s timeout_ms=%u", sigabbrev_np(signal),
                      control->config->shutdown_timeout_ms);
            return;
        } else if (any_ended(control)) {
            return;
        }
    }
}

static void stop_gracefully(struct control *control)
{
    uint64_t deadline_ns = clock_monotonic_ns() + (uint64_t)control->config->shutdown_timeout_ms * 1000000u;

    tell_workers(control, service_stop);
    while (!all_ended(control)) {
        int signal = next_signal(control, TICK_MS / 10);

        if (is_stop(signal) || clock_monotonic_ns() > deadline_ns) {
            log_write(LOG_NOTICE, "stopping at once reason=%s", is_stop(signal) ? "signal" : "shutdown_timeout");
            break;
        }
    }
    tell_workers(control, service_stop_now);
}

static int finish(struct control *control)
{
    int status = 0;

    for (unsigned i = 0; i < control->n_running; i++)
        if (worker_join(control->workers[i]) != 0)
            status = 1;
    if (control->health && health_stop(control->health) != 0)
        status = 1;
    if (control->n_running > 0)
        report_counters(control->workers, control->services, control->n_running);
    names_destroy(control->names);
    for (unsigned i = 0; i < control->n_created; i++) {
        service_destroy(control->services[i]);
        worker_destroy(control->workers[i]);
    }
    free(control->workers);
    free(control->services);
    health_destroy(control->health);
    router_destroy(control->router);
    queues_destroy(control->queues);
    sticky_destroy(control->sticky);
    listeners_close(&control->listeners);
    log_write(LOG_NOTICE, "stopped");
    log_detach();
    log_stop();
    return status;
}

static int write_pid(const struct config *config)
{
    char text[TEXT_MAX];

    return pid_file_write(config->pid_file, false, text, sizeof(text)) == 0 ? 0 : fail(text);
}

int control_serve(const struct control_options *options)
{
    struct control control = {0};
    int status = 1;

    if (load(options, &control.config) != 0)
        return 1;
    if (control.config->n_listens == 0) {
        fail("nothing to serve: no site has a listen address");
        config_destroy(control.config);
        return 1;
    }
    control.signals = open_signals();
    if (control.signals < 0)
        fail("cannot read signals: signalfd() failed");
    else if (open_logs(control.config) == 0 && write_pid(control.config) == 0) {
        if (start(&control) == 0) {
            wait_for_stop(&control);
            stop_gracefully(&control);
            status = 0;
        } else {
            tell_workers(&control, service_stop_now);
        }
        if (finish(&control) != 0)
            status = 1;
        pid_file_remove(control.config->pid_file);
    }
    if (control.signals >= 0)
        close(control.signals);
    config_destroy(control.config);
    return status;
}
