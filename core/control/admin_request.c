/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading a request, and the table of commands. What is wrong is told together with what would be right. Control thread; pure but for the reply. */
#include "control/admin_private.h"

#include "config/nearest.h"

#include <stdio.h>
#include <string.h>

const struct command admin_commands[] = {
    {"status", "[--json]", "how the process is doing", REQUEST_JSON, 1, 1, ASKS_COUNTERS, admin_status},
    {"servers", "[POOL] [--json|--csv]", "the servers, in HAProxy's columns", REQUEST_JSON | REQUEST_CSV, 1, 2, ASKS_NOBODY, admin_servers},
    {"server", "POOL/NAME up|down|drain|weight N [--persist]", "changes a server at once, for all workers", REQUEST_PERSIST, 3, 4, ASKS_NOBODY,
     admin_server},
    {"server", "add POOL/ADDRESS [weight=N] [max_conns=N] [backup] [--persist]", "adds a server", REQUEST_PERSIST, 3, 6, ASKS_NOBODY, admin_server},
    {"server", "remove POOL/NAME [--persist]", "removes a server; its requests end in peace", REQUEST_PERSIST, 3, 3, ASKS_NOBODY, admin_server},
    {"sessions", "[--json]", "who is being served now", REQUEST_JSON, 1, 1, ASKS_SESSIONS, admin_sessions},
    {"counters", "[--json]", "all that is counted", REQUEST_JSON, 1, 1, ASKS_COUNTERS, admin_counters},
    {"reload", "", "reads the configuration anew; on an error the old one stays", 0, 1, 1, ASKS_NOBODY, admin_reload},
    {"reopen", "", "opens the logs anew", 0, 1, 1, ASKS_NOBODY, admin_act},
    {"upgrade", "", "starts the new binary, which takes over", 0, 1, 1, ASKS_NOBODY, admin_act},
    {"quit", "", "stops once the open requests are answered", 0, 1, 1, ASKS_NOBODY, admin_act},
    {"stop", "", "stops at once", 0, 1, 1, ASKS_NOBODY, admin_act},
    {"version", "", "the version of the running process", 0, 1, 1, ASKS_NOBODY, admin_version},
    {"sample", "", "what `watch` reads: names with values, and the servers, as text", 0, 1, 1, ASKS_COUNTERS, admin_sample},
    {"help", "", "this list", 0, 1, 1, ASKS_NOBODY, admin_help},
    {.name = NULL},
};

static const struct flag {
    const char *word;
    enum request_flag flag;
} flags[] = {{"--json", REQUEST_JSON}, {"--csv", REQUEST_CSV}, {"--persist", REQUEST_PERSIST}};

#define N_FLAGS (sizeof(flags) / sizeof(flags[0]))

static bool take_flag(const char *word, struct request *request, struct reply *reply)
{
    struct nearest nearest = {.word = word};

    for (size_t i = 0; i < N_FLAGS; i++) {
        if (strcmp(flags[i].word, word) == 0) {
            request->flags |= flags[i].flag;
            return true;
        }
        nearest_offer(&nearest, flags[i].word);
    }
    if (nearest.best)
        reply_fail(reply, "there is no \"%s\"; did you mean \"%s\"?", word, nearest.best);
    else
        reply_fail(reply, "there is no \"%s\"; there are --json, --csv and --persist", word);
    return false;
}

bool request_parse(char *line, size_t len, struct request *request, struct reply *reply)
{
    char *rest = line;

    *request = (struct request){0};
    if (len > 0 && line[len - 1] == '\r')
        len--;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f) {
            reply_fail(reply, "a request is one line of words; try \"help\"");
            return false;
        }
    line[len] = '\0';
    for (char *word; (word = strsep(&rest, " "));) {
        if (*word == '\0')
            continue;
        if (strncmp(word, "--", 2) == 0) {
            if (!take_flag(word, request, reply))
                return false;
        } else if (request->n == CTL_WORDS_MAX) {
            reply_fail(reply, "a request has at most %u words", CTL_WORDS_MAX);
            return false;
        } else {
            request->words[request->n++] = word;
        }
    }
    if (request->n == 0)
        reply_fail(reply, "the request is empty; try \"help\"");
    return request->n > 0;
}

/* Of several rows with one name, the first tells the flags and the most words that any of them takes. */
static const struct command *find(const char *name, struct reply *reply)
{
    struct nearest nearest = {.word = name};

    for (const struct command *command = admin_commands; command->name; command++) {
        if (strcmp(command->name, name) == 0)
            return command;
        nearest_offer(&nearest, command->name);
    }
    if (nearest.best)
        reply_fail(reply, "there is no command \"%s\"; did you mean \"%s\"?", name, nearest.best);
    else
        reply_fail(reply, "there is no command \"%s\"; try \"help\"", name);
    return NULL;
}

/* "server" has three rows: the second word tells which. */
static const struct command *find_row(const struct request *request, struct reply *reply)
{
    const struct command *command = find(request->words[0], reply);
    const char *second = request->n > 1 ? request->words[1] : "";

    if (!command || strcmp(command->name, "server") != 0)
        return command;
    if (strcmp(second, "add") == 0)
        return command + 1;
    return strcmp(second, "remove") == 0 ? command + 2 : command;
}

const struct command *request_command(const struct request *request, struct reply *reply)
{
    const struct command *command = find_row(request, reply);

    if (!command)
        return NULL;
    if (request->n < command->least || request->n > command->most || (request->flags & ~command->flags)) {
        reply_fail(reply, "usage: %s%s%s", command->name, *command->arguments ? " " : "", command->arguments);
        return NULL;
    }
    if ((request->flags & REQUEST_JSON) && (request->flags & REQUEST_CSV)) {
        reply_fail(reply, "it is either --json or --csv");
        return NULL;
    }
    return command;
}
