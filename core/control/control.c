/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The control thread; see control.h. From signals and the control socket to what is to be done, until a stop; the start is in start.c, reloading in reload.c.
 */
#include "control/private.h"

#include "control/activation.h"
#include "control/logs.h"
#include "control/pid_file.h"
#include "control/privileges.h"
#include "control/report.h"
#include "engine/clock.h"
#include "engine/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define TICK_MS      1000 /* how often it is looked whether a thread has ended by itself */
#define STOP_TICK_MS 25   /* the same during a stop */
#define EXPORT_SLACK 1024u /* bytes by which the lines of a pool may grow while they are written */

/* Findings are whole lines. */
static int load(struct control *control)
{
    char text[RELOAD_TEXT_MAX];
    int error = serving_read(&control->serving, &control->config, text, sizeof(text));

    fputs(text, stderr);
    if (error && control->gift) {
        text[strcspn(text, "\n")] = '\0'; /* the first one is enough for the other process's log */
        upgrade_tell_failed(control->gift, text);
    }
    return error;
}

static void init(struct control *control, const struct control_options *options)
{
    *control = (struct control){.options = options, .signals = -1, .started_ms = clock_monotonic_ms()};
    control->serving = (struct serving){.options = options, .threads = &control->threads, .editions = &control->editions};
    editions_init(&control->editions, &control->threads);
}

static int open_logs(const struct control *control)
{
    char text[RELOAD_TEXT_MAX];

    return logs_open(control->config, text, sizeof(text)) == 0 ? 0 : control_fail(control, text);
}

static int check_privileges(const struct control *control)
{
    char text[RELOAD_TEXT_MAX];

    return privileges_check(control->config, text, sizeof(text)) == 0 ? 0 : control_fail(control, text);
}

/* A start leaves it aside (reload.c); a reload does not take it. */
static void warn_of_state(const struct control *control)
{
    char text[RELOAD_TEXT_MAX];

    if (serving_check(control->config, text, sizeof(text)) != 0)
        fprintf(stderr, "fairlead: [warn] %s\n", text);
}

int control_test(const struct control_options *options, _Bool print)
{
    struct control control;
    bool sound;

    init(&control, options);
    sound = load(&control) == 0;
    if (sound && !options->quiet)
        fprintf(stderr, "fairlead: the configuration file %s syntax is ok\n", options->config_path);
    sound = sound && check_privileges(&control) == 0 && open_logs(&control) == 0;
    if (sound)
        warn_of_state(&control);
    if (!sound)
        fprintf(stderr, "fairlead: configuration file %s test failed\n", options->config_path);
    else if (!options->quiet)
        fprintf(stderr, "fairlead: configuration file %s test is successful\n", options->config_path);
    if (sound && print)
        config_print(control.config, options->show_secrets, stdout);
    config_destroy(control.config);
    return sound ? 0 : 1;
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
    sigaddset(&set, SIGUSR2);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    fd = signalfd(-1, &set, SFD_CLOEXEC);
    return fd >= 0 ? fd : -errno;
}

/* Reloading and upgrading. */

int control_reload(struct control *control, char *text, size_t size)
{
    int error;

    if (control->upgrade) {
        snprintf(text, size, "an upgrade is under way");
        log_write(LOG_ERR, "not reloaded: %s", text);
        return -EBUSY;
    }
    (void)notify_reloading(&control->notify, "reloading");
    error = serving_reload(&control->serving, text, size);
    (void)notify_ready(&control->notify, error ? "serving; the last reload failed, see the log" : "serving");
    return error;
}

/* What the next process is to know of the servers; the caller frees it. NULL: memory is short. */
static char *export_states(const struct snapshot *snapshot, size_t *len)
{
    size_t size = 1;
    char *text;

    for (size_t i = 0; i < snapshot->n_groups; i++)
        size += pool_export(snapshot->pools[i], NULL, 0) + EXPORT_SLACK;
    text = malloc(size);
    *len = 0;
    for (size_t i = 0; text && i < snapshot->n_groups; i++) {
        size_t n = pool_export(snapshot->pools[i], text + *len, size - *len);

        /* Counters may have grown by some digits since they were measured; lines that do not fit are left out whole. */
        *len += n < size - *len ? n : strlen(text + *len);
    }
    return text;
}

/* The control socket goes along with the others, under its path. */
static void lend_admin(struct control *control)
{
    char text[RELOAD_TEXT_MAX];
    int fd = admin_listener(control->admin);

    fd = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
    if (fd < 0)
        return;
    if (listeners_inherit(control->listeners, fd, false, text, sizeof(text)) != 0) {
        log_write(LOG_WARNING, "the control socket cannot be passed on: %s", text);
        close(fd);
    }
}

static void take_admin_back(struct control *control)
{
    const char *path = loaded_config(control->first)->control.socket;
    int fd = path ? listeners_take_unix(control->listeners, path) : -1;

    if (fd >= 0)
        close(fd);
}

int control_upgrade(struct control *control, char *text, size_t size)
{
    struct upgrade_part parts[] = {{UPGRADE_PART_STATES, NULL, 0},
                                   {UPGRADE_PART_SECRET, control->editions.secret, sizeof(control->editions.secret)}};
    struct upgrade_offer offer = {.binary = control->binary,
                                  .argv = control->options->argv,
                                  .listeners = control->listeners,
                                  .n_parts = 2,
                                  .parts = parts};
    char *states;
    int error;

    if (control->upgrade || control->binary[0] == '\0') {
        snprintf(text, size, control->upgrade ? "an upgrade is under way" : "the path of the program is not known");
        log_write(LOG_ERR, "not upgraded: %s", text);
        return -EBUSY;
    }
    lend_admin(control);
    states = export_states(editions_current(&control->editions), &parts[0].len);
    parts[0].data = states;
    error = states ? upgrade_start(&offer, &control->upgrade, text, size) : -ENOMEM;
    free(states);
    if (error) {
        take_admin_back(control);
        log_write(LOG_ERR, "not upgraded: %s", text);
        return error;
    }
    snprintf(text, size, "started process %d", (int)upgrade_pid(control->upgrade));
    log_write(LOG_NOTICE, "upgrading binary=\"%s\" pid=%d", control->binary, (int)upgrade_pid(control->upgrade));
    return 0;
}

/* What was asked for during the upgrade: the process that serves now does it. */
static void reload_now(struct control *control, bool upgraded, pid_t pid)
{
    char text[RELOAD_TEXT_MAX];

    if (!control->reload_later)
        return;
    control->reload_later = false;
    if (!upgraded)
        (void)control_reload(control, text, sizeof(text));
    else if (kill(pid, SIGHUP) != 0)
        log_write(LOG_ERR, "the new process cannot be told to reload pid=%d error=\"%s\"", (int)pid, strerror(errno));
}

/* READY: the sockets are the new process's too, and this one leaves. */
static void run_upgrade(struct control *control)
{
    enum upgrade_state state = upgrade_run(control->upgrade);
    pid_t pid = upgrade_pid(control->upgrade);

    if (state == UPGRADE_PENDING)
        return;
    if (state == UPGRADE_READY) {
        log_write(LOG_NOTICE, "upgraded pid=%d, this process drains", (int)upgrade_pid(control->upgrade));
        serving_tell_forgotten(&control->serving, "upgrade");
        listeners_give_away(control->listeners);
        admin_hand_over(control->admin);
        control->given_away = true;
        control->wanted = SIGQUIT;
    } else {
        log_write(LOG_ERR, "the upgrade failed, this process goes on: %s", upgrade_text(control->upgrade));
    }
    take_admin_back(control);
    upgrade_destroy(control->upgrade);
    control->upgrade = NULL;
    reload_now(control, state == UPGRADE_READY, pid);
}

/* Waiting. */

static int timeout_of(const struct control *control, int timeout_ms)
{
    if (control->serving.names)
        timeout_ms = names_timeout_ms(control->serving.names, timeout_ms);
    if (control->upgrade)
        timeout_ms = upgrade_timeout_ms(control->upgrade, timeout_ms);
    timeout_ms = admin_timeout_ms(control->admin, timeout_ms);
    timeout_ms = notify_watchdog_ms(&control->notify, clock_monotonic_ms(), timeout_ms);
    if (control->n_rearms > 0 && timeout_ms > (int)CONTROL_REARM_MS)
        timeout_ms = (int)CONTROL_REARM_MS;
    return editions_timeout_ms(&control->editions, timeout_ms);
}

static void run_parts(struct control *control)
{
    if (control->serving.names)
        names_run(control->serving.names);
    if (control->upgrade)
        run_upgrade(control);
    admin_run(control->admin);
    if (notify_watchdog(&control->notify, clock_monotonic_ms(), pulse_is_there(&control->pulse, &control->threads)))
        pulse_take(&control->pulse, &control->threads);
    editions_run(&control->editions);
    if (control->n_rearms > 0 && clock_monotonic_ms() >= control->rearm_ms) {
        control->n_rearms--;
        control->rearm_ms = clock_monotonic_ms() + CONTROL_REARM_MS;
        (void)threads_tell(&control->threads, service_rearm, NULL);
    }
}

/* Returns the signal, or 0 after at most `timeout_ms`. What the other parts have to do is done meanwhile. */
static int next_signal(struct control *control, int timeout_ms)
{
    struct pollfd ready[] = {{.fd = control->signals, .events = POLLIN},
                             {.fd = control->serving.names ? names_fd(control->serving.names) : -1, .events = POLLIN},
                             {.fd = control->upgrade ? upgrade_fd(control->upgrade) : -1, .events = POLLIN},
                             {.fd = admin_fd(control->admin), .events = POLLIN}};
    struct signalfd_siginfo info;
    int n = poll(ready, sizeof(ready) / sizeof(ready[0]), timeout_of(control, timeout_ms)), wanted;

    run_parts(control);
    wanted = control->wanted;
    control->wanted = 0;
    if (wanted != 0)
        return wanted;
    if (n <= 0 || !(ready[0].revents & POLLIN) || read(control->signals, &info, sizeof(info)) != sizeof(info))
        return 0;
    return (int)info.ssi_signo;
}

static bool is_fast_stop(int signal)
{
    return signal == SIGTERM || signal == SIGINT;
}

int control_reopen(struct control *control, char *text, size_t size)
{
    log_write(LOG_NOTICE, "reopening logs");
    return logs_reopen(editions_current(&control->editions)->config, text, size);
}

/* What fails is in the error log. */
static void reopen(struct control *control)
{
    char text[RELOAD_TEXT_MAX];

    (void)control_reopen(control, text, sizeof(text));
}

/* What does not end the process. */
static void serve_signal(struct control *control, int signal)
{
    char text[RELOAD_TEXT_MAX];

    if (signal == SIGUSR1)
        reopen(control);
    else if (signal == SIGHUP && control->upgrade)
        control->reload_later = true;
    else if (signal == SIGHUP)
        (void)control_reload(control, text, sizeof(text));
    else if (signal == SIGUSR2)
        (void)control_upgrade(control, text, sizeof(text));
}

/* Until a signal says stop, or a thread has ended by itself (which has been logged). Returns the signal, or 0. */
static int wait_for_stop(struct control *control)
{
    for (;;) {
        int signal = next_signal(control, TICK_MS);

        if (signal == SIGQUIT || is_fast_stop(signal)) {
            log_write(LOG_NOTICE, "stopping signal=%s timeout_ms=%u", sigabbrev_np(signal),
                      is_fast_stop(signal) ? 0 : editions_current(&control->editions)->config->shutdown_timeout_ms);
            return signal;
        }
        if (signal == 0 && threads_any_ended(&control->threads))
            return 0;
        serve_signal(control, signal);
    }
}

/* Stopping. */

/* The sockets are hushed in a moment, which the new process would inherit. */
static void give_up_upgrade(struct control *control)
{
    if (!control->upgrade)
        return;
    log_write(LOG_WARNING, "the upgrade is given up, this process stops pid=%d", (int)upgrade_pid(control->upgrade));
    take_admin_back(control);
    upgrade_destroy(control->upgrade);
    control->upgrade = NULL;
}

static void stop_gracefully(struct control *control)
{
    uint64_t deadline_ms = clock_monotonic_ms() + editions_current(&control->editions)->config->shutdown_timeout_ms;

    control->stopping = true;
    serving_stop(&control->serving);
    give_up_upgrade(control);
    (void)threads_tell(&control->threads, control->given_away ? service_stop_shared : service_stop, NULL);
    editions_stop(&control->editions, control->given_away);
    while (!threads_have_ended(&control->threads)) {
        int signal = next_signal(control, STOP_TICK_MS);

        if (is_fast_stop(signal) || clock_monotonic_ms() > deadline_ms) {
            log_write(LOG_NOTICE, "stopping at once reason=%s", is_fast_stop(signal) ? "signal" : "shutdown_timeout");
            return;
        }
        if (signal == SIGUSR1)
            reopen(control);
    }
}

/* A process that never came to serve in the place of another: files of sockets stay that one's. */
static void leave_sockets(struct control *control)
{
    if (!control->gift)
        return;
    listeners_give_away(control->listeners);
    admin_hand_over(control->admin);
}

static int finish(struct control *control)
{
    struct threads *threads = &control->threads;
    int status = threads_join(threads);

    if (threads->n_running > 0)
        report_counters(threads->workers, threads->services, threads->n_running, editions_current(&control->editions));
    leave_sockets(control);
    admin_destroy(control->admin);
    control->admin = NULL;
    upgrade_destroy(control->upgrade);
    serving_fini(&control->serving);
    threads_fini(threads);
    editions_fini(&control->editions);
    if (!control->first && !control->serving.begun)
        config_destroy(control->config);
    loaded_put(control->first);
    log_write(LOG_NOTICE, "stopped");
    log_detach();
    log_stop();
    return status;
}

static int serve(struct control *control)
{
    int status = 1, signal;

    if (control_start(control) == 0) {
        signal = wait_for_stop(control);
        if (!control->given_away)
            (void)notify_stopping(&control->notify, signal == SIGQUIT ? "finishing requests" : "stopping");
        if (signal == SIGQUIT)
            stop_gracefully(control);
        status = signal == 0;
    }
    (void)threads_tell(&control->threads, service_stop_now, NULL);
    return finish(control) == 0 ? status : 1;
}

/* Sockets that others have opened for us, before descriptors of our own are. */
static int take_sockets(struct control *control)
{
    char text[RELOAD_TEXT_MAX];
    int error = listeners_create(&control->listeners);

    control->serving.listeners = control->listeners;
    if (error)
        return control_fail(control, "out of memory");
    if (upgrade_is_child())
        error = upgrade_receive(control->listeners, &control->gift, text, sizeof(text));
    else if (activation_take(control->listeners, text, sizeof(text)) < 0)
        error = -EINVAL;
    return error ? control_fail(control, text) : 0;
}

/* The file of the process before this one is left alone until this one is ready. */
static int write_pid(struct control *control)
{
    char text[RELOAD_TEXT_MAX];

    if (control->config->pid_file)
        control->pid_file = strdup(control->config->pid_file);
    if (control->gift)
        return 0;
    return pid_file_write(control->pid_file, false, text, sizeof(text)) == 0 ? 0 : control_fail(control, text);
}

static int prepare(struct control *control)
{
    control->signals = open_signals();
    if (control->signals < 0)
        return control_fail(control, "cannot read signals: signalfd() failed");
    if (control->config->n_listens == 0)
        return control_fail(control, "nothing to serve: no site has a listen address");
    return open_logs(control) == 0 ? write_pid(control) : -EINVAL;
}

int control_serve(const struct control_options *options)
{
    struct control control;
    int status = 1;

    init(&control, options);
    notify_open(&control.notify);
    if (options->argv && upgrade_find_binary(options->argv[0], control.binary, sizeof(control.binary)) != 0)
        control.binary[0] = '\0';
    if (take_sockets(&control) == 0 && load(&control) == 0) {
        if (prepare(&control) == 0) {
            status = serve(&control);
            pid_file_remove(control.pid_file);
        } else {
            config_destroy(control.config);
        }
    }
    leave_sockets(&control);
    upgrade_gift_destroy(control.gift);
    listeners_destroy(control.listeners);
    notify_close(&control.notify);
    if (control.signals >= 0)
        close(control.signals);
    free(control.pid_file);
    return status;
}
