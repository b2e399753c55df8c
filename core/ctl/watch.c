/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The loop behind `watch`; see watch.h. Signals are read, not handled, so that the terminal is given back whatever ends it. A process that goes away (an upgrade, a
 * restart) is waited for: the last picture stays, and says so.
 */
#include "ctl/watch.h"

#include "ctl/client.h"
#include "ctl/screen.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define PERIOD_MS 1000

struct view {
    const char *socket_path;
    bool terminal;           /* standard output is one */
    bool keys;               /* and so is standard input */
    int signals;
    struct termios before;   /* of standard input */
    struct screen screen;
    struct sample now, last;
    char trouble[256];
};

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

/* Returns 0, or the exit status after a message. */
static int take_sample(struct view *view)
{
    struct ctl_answer answer;
    struct sample sample;
    int result = ctl_ask(view->socket_path, "sample", CTL_SILENCE_S, &answer);

    if (result == 0 && answer.refused) {
        snprintf(view->trouble, sizeof(view->trouble), "%s", answer.text);
        free(answer.text);
        return 1;
    }
    if (result == 0)
        result = sample_parse(answer.text, now_ms(), &sample);
    if (result) {
        snprintf(view->trouble, sizeof(view->trouble), "cannot ask %s: %s", view->socket_path, strerror(-result));
        return 1;
    }
    view->trouble[0] = '\0';
    sample_fini(&view->last);
    view->last = view->now;
    view->now = sample;
    sample_compare(&view->now, &view->last);
    return 0;
}

static void measure(struct view *view)
{
    struct winsize size = {0};
    int width = 80, height = 24;

    if (view->terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
        width = size.ws_col;
        height = size.ws_row;
    }
    view->screen.width = width < SCREEN_WIDTH_MIN ? SCREEN_WIDTH_MIN : width > SCREEN_WIDTH_MAX ? SCREEN_WIDTH_MAX : width;
    view->screen.height = !view->terminal ? 0 : height > SCREEN_HEIGHT_MAX ? SCREEN_HEIGHT_MAX : height;
}

/* Each line is written over the old one, and only its rest is cleared: nothing flickers. */
static void show_on_terminal(const struct screen *screen)
{
    const char *line = screen->text;
    int n = 0;

    fputs("\033[H", stdout);
    for (const char *end; n < screen->height && (end = strchr(line, '\n')); line = end + 1, n++)
        printf("%s%.*s\033[K", n > 0 ? "\r\n" : "", (int)(end - line), line);
    fputs("\033[J", stdout);
}

static void show(struct view *view)
{
    view->screen.trouble = view->trouble[0] ? view->trouble : NULL;
    screen_draw(&view->screen, &view->now, &view->last);
    if (view->screen.failed)
        return;
    if (view->terminal)
        show_on_terminal(&view->screen);
    else
        printf("%s\n", view->screen.text);
    fflush(stdout);
}

/* Returns true when it is over. */
static bool read_keys(struct view *view)
{
    char keys[32];
    ssize_t n = read(STDIN_FILENO, keys, sizeof(keys));

    if (n <= 0)
        view->keys = false;
    for (ssize_t i = 0; i < n; i++) {
        bool arrow = i >= 2 && keys[i - 2] == '\033' && keys[i - 1] == '[';

        if (keys[i] == 'q' || keys[i] == 'Q')
            return true;
        if (keys[i] == 'j' || (arrow && keys[i] == 'B'))
            view->screen.scroll++;
        else if ((keys[i] == 'k' || (arrow && keys[i] == 'A')) && view->screen.scroll > 0)
            view->screen.scroll--;
        else if (keys[i] == ' ')
            view->screen.scroll += (size_t)view->screen.height / 2;
    }
    return false;
}

/* Until it is time for the next sample. Returns true when it is over. */
static bool wait_for_next(struct view *view, uint64_t until_ms)
{
    for (uint64_t now = now_ms(); now < until_ms; now = now_ms()) {
        struct pollfd ready[] = {{.fd = view->signals, .events = POLLIN}, {.fd = view->keys ? STDIN_FILENO : -1, .events = POLLIN}};
        struct signalfd_siginfo info;

        if (poll(ready, 2, (int)(until_ms - now)) <= 0)
            continue;
        if (ready[1].revents && read_keys(view))
            return true;
        if (ready[0].revents && read(view->signals, &info, sizeof(info)) == sizeof(info) && info.ssi_signo != SIGWINCH)
            return true;
        measure(view);
        if (view->terminal)
            show(view);
    }
    return false;
}

static bool open_signals(struct view *view)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGWINCH);
    sigprocmask(SIG_BLOCK, &set, NULL);
    view->signals = signalfd(-1, &set, SFD_CLOEXEC);
    return view->signals >= 0;
}

/* The other screen, without a cursor, and without wrapping lines where it is narrow; keys come at once, and are not shown. */
static void take_terminal(struct view *view)
{
    struct termios raw;

    view->keys = view->terminal && isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &view->before) == 0;
    if (view->keys) {
        raw = view->before;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        raw.c_cc[VSUSP] = raw.c_cc[VMIN] = raw.c_cc[VTIME] = 0;
        raw.c_cc[VMIN] = 1;
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    if (view->terminal)
        fputs("\033[?1049h\033[?25l\033[?7l\033[2J", stdout);
}

static void give_terminal_back(const struct view *view, bool had_keys)
{
    if (view->terminal)
        fputs("\033[?7h\033[?25h\033[?1049l", stdout);
    fflush(stdout);
    if (had_keys)
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &view->before);
}

static void run(struct view *view, unsigned long count)
{
    uint64_t next_ms = now_ms();

    for (unsigned long i = 1;; i++) {
        measure(view);
        show(view);
        next_ms += PERIOD_MS;
        if (i == count || wait_for_next(view, next_ms))
            return;
        (void)take_sample(view); /* what is wrong is shown */
        if (now_ms() > next_ms + PERIOD_MS)
            next_ms = now_ms();
    }
}

int watch(const char *socket_path, unsigned long count)
{
    struct view view = {.socket_path = socket_path, .terminal = isatty(STDOUT_FILENO)};
    const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");
    bool had_keys;

    setlocale(LC_CTYPE, "");
    view.screen.unicode = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    view.screen.colours = view.terminal && !(no_colour && *no_colour) && !(terminal && strcmp(terminal, "dumb") == 0);
    if (take_sample(&view) != 0 || !open_signals(&view)) {
        fprintf(stderr, "fairleadctl: %s\n", view.trouble[0] ? view.trouble : strerror(errno));
        return 1;
    }
    take_terminal(&view);
    had_keys = view.keys;
    run(&view, count);
    give_terminal_back(&view, had_keys);
    screen_fini(&view.screen);
    sample_fini(&view.now);
    sample_fini(&view.last);
    close(view.signals);
    return 0;
}
