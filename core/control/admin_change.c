/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the control socket changes. A request is checked here against what there is, and done by the host. */
#include "control/admin_private.h"

#include "config/nearest.h"
#include "engine/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *word;
    enum admin_action action;
    const char *done;
} actions[] = {{"reopen", ADMIN_REOPEN, "the logs are opened anew"},
               {"quit", ADMIN_QUIT, "stopping once the open requests are answered"},
               {"stop", ADMIN_STOP, "stopping"},
               {"upgrade", ADMIN_UPGRADE, "the new binary is being started"}};

/* The host's sentence, or ours. */
static void tell(struct reply *reply, int result, const char *text, const char *done, const char *failed)
{
    size_t len = strlen(text);

    while (len > 0 && text[len - 1] == '\n')
        len--;
    text = len > 0 ? text : result == 0 ? done : failed;
    len = len > 0 ? len : strlen(text);
    if (result == 0)
        reply_print(reply, "%.*s\n", (int)len, text);
    else
        reply_fail(reply, "%.*s", (int)len, text);
}

static void refuse_missing(struct reply *reply, const char *what)
{
    reply_fail(reply, "\"%s\" is not available in this process", what);
}

ADMIN_COMMAND(admin_act)
{
    const struct admin_host *host = admin_host(admin);
    char text[ADMIN_SENTENCE_MAX] = "";
    size_t i = 0;

    (void)survey;
    while (strcmp(actions[i].word, request->words[0]) != 0)
        i++;
    if (!host->act) {
        refuse_missing(reply, request->words[0]);
        return;
    }
    log_write(LOG_NOTICE, "asked by the control socket to %s", actions[i].word);
    tell(reply, host->act(host->context, actions[i].action, text, sizeof(text)), text, actions[i].done, "it did not work");
}

ADMIN_COMMAND(admin_reload)
{
    const struct admin_host *host = admin_host(admin);
    char text[ADMIN_SENTENCE_MAX] = "";

    (void)survey, (void)request;
    if (!host->reload) {
        refuse_missing(reply, "reload");
        return;
    }
    tell(reply, host->reload(host->context, text, sizeof(text)), text, "reloaded", "the old configuration stays");
}

static const struct server *find_server(const struct pool *pool, const char *name, struct nearest *nearest)
{
    for (size_t i = 0; i < pool_n_servers(pool); i++) {
        const struct server *server = pool_server(pool, i);

        if (strcmp(server->name, name) == 0)
            return server;
        nearest_offer(nearest, server->name);
    }
    return NULL;
}

/* Digits, at most `most`. */
static bool read_number(const char *word, uint32_t most, uint32_t *number)
{
    size_t len = strlen(word);
    unsigned long long value;

    if (len == 0 || len > 10 || strspn(word, "0123456789") != len)
        return false;
    value = strtoull(word, NULL, 10);
    *number = (uint32_t)value;
    return value <= most;
}

/* "up", "down", "drain", "weight N", of words[2] on. */
static bool read_mode(const struct request *request, struct change *change, struct reply *reply)
{
    static const enum change_kind kinds[] = {CHANGE_UP, CHANGE_DOWN, CHANGE_DRAIN, CHANGE_WEIGHT};
    const char *word = request->words[2];

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(change_word(kinds[i]), word) != 0)
            continue;
        change->kind = kinds[i];
        if (request->n == (kinds[i] == CHANGE_WEIGHT ? 4 : 3) &&
            (kinds[i] != CHANGE_WEIGHT || read_number(request->words[3], CHANGE_WEIGHT_MAX, &change->weight)))
            return true;
        reply_fail(reply, kinds[i] == CHANGE_WEIGHT ? "a weight is a number from 0 to 65535" : "behind \"%s\" nothing but --persist may stand", word);
        return false;
    }
    reply_fail(reply, "\"%s\" is none of up, down, drain, weight N", word);
    return false;
}

/* "weight=N", "max_conns=N", "backup", of words[3] on. */
static bool read_settings(const struct request *request, struct change *change, struct reply *reply)
{
    change->weight = 1;
    for (size_t i = 3; i < request->n; i++) {
        const char *word = request->words[i];
        bool good = false;

        if (strncmp(word, "weight=", 7) == 0)
            good = read_number(word + 7, CHANGE_WEIGHT_MAX, &change->weight);
        else if (strncmp(word, "max_conns=", 10) == 0)
            good = read_number(word + 10, INT32_MAX, &change->max_conns);
        else if (strcmp(word, "backup") == 0)
            good = change->backup = true;
        if (!good) {
            reply_fail(reply, "\"%s\" is none of weight=N (0 to 65535), max_conns=N, backup", word);
            return false;
        }
    }
    return true;
}

static bool set_names(struct change *change, const struct pool *pool, const char *server, struct reply *reply)
{
    if (strlen(pool_name(pool)) < sizeof(change->pool) && strlen(server) < sizeof(change->server)) {
        strcpy(change->pool, pool_name(pool));
        strcpy(change->server, server);
        return true;
    }
    reply_fail(reply, "the name of a pool is too long to be changed here");
    return false;
}

/* A server that is there, of "POOL/NAME". */
static bool name_known(const struct admin_view *view, const char *both, struct change *change, struct reply *reply)
{
    const char *name;
    const struct pool *pool = admin_split(view, both, &name, reply);
    struct nearest nearest = {.word = name};

    if (!pool)
        return false;
    if (find_server(pool, name, &nearest))
        return set_names(change, pool, name, reply);
    if (nearest.best)
        reply_fail(reply, "the pool \"%s\" has no server \"%s\"; did you mean \"%s\"?", pool_name(pool), name, nearest.best);
    else
        reply_fail(reply, "the pool \"%s\" has no server \"%s\"; \"servers %s\" lists them", pool_name(pool), name, pool_name(pool));
    return false;
}

/* A server that is not there yet. */
static bool name_new(const struct admin_view *view, const char *both, struct change *change, struct reply *reply)
{
    const char *text;
    const struct pool *pool = admin_split(view, both, &text, reply);
    struct server_address address;
    char name[SERVER_NAME_MAX];
    struct nearest nearest = {.word = name};

    if (!pool)
        return false;
    if (!changes_read_address(text, &address, name)) {
        reply_fail(reply, "\"%s\" is not an address with a port, as \"10.0.0.5:8080\", \"[2001:db8::5]:8080\" or \"unix:/path\"", text);
        return false;
    }
    if (find_server(pool, name, &nearest)) {
        reply_fail(reply, "the pool \"%s\" has the server \"%s\" already", pool_name(pool), name);
        return false;
    }
    return set_names(change, pool, name, reply);
}

static bool read_change(const struct admin_view *view, const struct request *request, struct change *change, struct reply *reply)
{
    *change = (struct change){.persist = request->flags & REQUEST_PERSIST};
    if (change->persist && !view->config->control.state) {
        reply_fail(reply, "the configuration names no \"state\" file in \"control\", so nothing can persist");
        return false;
    }
    if (strcmp(request->words[1], "add") == 0) {
        change->kind = CHANGE_ADD;
        return read_settings(request, change, reply) && name_new(view, request->words[2], change, reply);
    }
    if (strcmp(request->words[1], "remove") == 0) {
        change->kind = CHANGE_REMOVE;
        return name_known(view, request->words[2], change, reply);
    }
    return read_mode(request, change, reply) && name_known(view, request->words[1], change, reply);
}

/* It may be changed nevertheless, and only not kept: the answer says which. */
static void log_failure(const char *change, const char *answer)
{
    char escaped[ADMIN_SENTENCE_MAX];
    size_t len = log_escape(escaped, sizeof(escaped), answer, strlen(answer));

    log_write(LOG_WARNING, "a change of a server is answered with an error %s answer=\"%.*s\"", change, (int)len, escaped);
}

ADMIN_COMMAND(admin_server)
{
    const struct admin_host *host = admin_host(admin);
    char text[ADMIN_SENTENCE_MAX] = "", done[ADMIN_SENTENCE_MAX];
    struct admin_view view;
    struct change change;
    int result;

    (void)survey;
    host->view(host->context, &view);
    if (!read_change(&view, request, &change, reply))
        return;
    if (!host->change) {
        refuse_missing(reply, "server");
        return;
    }
    change_print(&change, done, sizeof(done));
    result = host->change(host->context, &change, text, sizeof(text));
    if (result != 0)
        log_failure(done, text);
    tell(reply, result, text, done, "it did not work");
}
