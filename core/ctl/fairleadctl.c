/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fairleadctl: speaks to a running Fairlead over its control socket. What a command means is the process's own knowledge: here words are only passed on, except for `watch`, and `help` where nobody
 * answers. Exit status: 0 done, 1 refused or nobody there, 2 wrong usage.
 */
#include "ctl/client.h"
#include "ctl/protocol.h"
#include "ctl/watch.h"

#include <errno.h>
#include <stdbool.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DONE, FAILED, MISUSED };

static void usage(FILE *out)
{
    fputs("usage: fairleadctl [-S SOCKET] COMMAND\n"
          "  -S SOCKET  where Fairlead listens (default " CTL_SOCKET ")\n"
          "  -h         print this\n"
          "  -V         print the version of fairleadctl and stop\n"
          "\n"
          "  status [--json]                          how the process is doing\n"
          "  servers [POOL] [--json|--csv]            the servers, in HAProxy's columns\n"
          "  server POOL/NAME up|down|drain|weight N  changes a server at once\n"
          "  server add POOL/ADDRESS [weight=N] [max_conns=N] [backup]\n"
          "  server remove POOL/NAME\n"
          "                                           these three: with --persist, for good\n"
          "  watch [-n COUNT]                         a live view\n"
          "  sessions [--json]                        who is being served now\n"
          "  counters [--json]                        all that is counted\n"
          "  reload | reopen | upgrade                configuration, logs, binary\n"
          "  quit | stop                              in peace, at once\n"
          "  version                                  of the running process\n"
          "  help                                     what the running process understands\n",
          out);
}

/* The words with single spaces between them. Returns false when a word cannot be one. */
static bool join(char *const *words, char line[CTL_REQUEST_MAX])
{
    size_t len = 0;

    for (; *words; words++) {
        size_t word = strlen(*words);

        if (word == 0 || strpbrk(*words, " \t\r\n") || len + word + 2 > CTL_REQUEST_MAX)
            return false;
        if (len > 0)
            line[len++] = ' ';
        memcpy(line + len, *words, word);
        len += word;
    }
    line[len] = '\0';
    return true;
}

static int explain(const char *socket_path, const char *request, int error)
{
    const char *hint = "";

    if (error == -ETIMEDOUT) {
        fprintf(stderr, "fairleadctl: %s: no answer within %u s: Fairlead is stopped, stuck, or busy with a reload; its log may tell\n", socket_path,
                ctl_silence_s(request));
        return FAILED;
    }
    if (error == -ENOENT || error == -ECONNREFUSED)
        hint = ": is Fairlead running, with a \"socket\" in \"control\"?";
    else if (error == -EACCES)
        hint = ": its owner, group and mode are set in \"control\"";
    fprintf(stderr, "fairleadctl: cannot ask %s (%s)%s\n", socket_path, strerror(-error), hint);
    return FAILED;
}

static int ask(const char *socket_path, char *const *words)
{
    char line[CTL_REQUEST_MAX];
    struct ctl_answer answer;
    int error, status = DONE;

    if (!join(words, line)) {
        fputs("fairleadctl: a word is empty, holds a space, or is too long\n", stderr);
        return MISUSED;
    }
    error = ctl_ask(socket_path, line, ctl_silence_s(line), &answer);
    if (error)
        return explain(socket_path, line, error);
    if (answer.refused) {
        /* Findings of a configuration say for themselves where they come from. */
        fprintf(stderr, "%s%s\n", strncmp(answer.text, "fairlead: ", 10) == 0 ? "" : "fairleadctl: ", answer.text);
        status = FAILED;
    } else if (fwrite(answer.text, 1, answer.len, stdout) != answer.len || fflush(stdout) != 0) {
        perror("fairleadctl");
        status = FAILED;
    }
    free(answer.text);
    return status;
}

static int start_watch(const char *socket_path, int argc, char **argv)
{
    unsigned long count = 0;
    char *end = NULL;
    int option;

    optind = 1;
    while ((option = getopt(argc, argv, "n:")) != -1) {
        if (option == 'n')
            count = strtoul(optarg, &end, 10);
        if (option != 'n' || *end || count == 0) {
            fputs("usage: fairleadctl watch [-n COUNT], COUNT from 1\n", stderr);
            return MISUSED;
        }
    }
    if (optind < argc) {
        fputs("usage: fairleadctl watch [-n COUNT]\n", stderr);
        return MISUSED;
    }
    return watch(socket_path, count);
}

/* When nobody answers, what is known here is told. */
static int help(const char *socket_path, char *const *words)
{
    if (access(socket_path, W_OK) == 0)
        return ask(socket_path, words);
    usage(stdout);
    return DONE;
}

/* What is asked of every program. */
static const struct option words[] = {{"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'V'}, {0}};

int main(int argc, char **argv)
{
    const char *socket_path = CTL_SOCKET;
    int option;

    while ((option = getopt_long(argc, argv, "+S:hV", words, NULL)) != -1) {
        switch (option) {
        case 'S':
            socket_path = optarg;
            break;
        case 'h':
            usage(stdout);
            return DONE;
        case 'V':
            puts("fairleadctl " FAIRLEAD_VERSION);
            return DONE;
        default:
            usage(stderr);
            return MISUSED;
        }
    }
    if (optind == argc) {
        usage(stderr);
        return MISUSED;
    }
    if (strcmp(argv[optind], "watch") == 0)
        return start_watch(socket_path, argc - optind, argv + optind);
    if (strcmp(argv[optind], "help") == 0)
        return help(socket_path, argv + optind);
    return ask(socket_path, argv + optind);
}
