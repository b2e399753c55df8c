/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The group `log`; see logs.h. */
#include "config/logs.h"
#include "config/address.h"
#include "config/reader.h"

#include <syslog.h>

#define SYSLOG_UDP_PORT 514u /* RFC 5426 3.3 */
#define SYSLOG_TCP_PORT 601u /* RFC 3195 9.2; RFC 6587 leaves it open */

static const struct {
    const char *prefix;
    enum log_syslog_kind kind;
    uint16_t port;
} schemes[] = {
    {"udp:", LOG_SYSLOG_UDP, SYSLOG_UDP_PORT},
    {"tcp:", LOG_SYSLOG_TCP, SYSLOG_TCP_PORT},
    {"unix:", LOG_SYSLOG_LOCAL, 0},
};

static bool is_syslog(const char *destination)
{
    return destination != NULL && strcmp(destination, "syslog") == 0;
}

static struct place place_in(const struct node *group, const char *name)
{
    const struct node *node = node_member(group, name);

    return node == NULL ? group->place : node->place;
}

/* Behind the prefix stands an address; that of a unix socket has the prefix itself. */
static void read_server(struct loader *loader, struct place place, struct log_settings *log)
{
    const char *text = log->syslog_server;
    struct addresses addresses;
    size_t i = 0;

    while (i < sizeof schemes / sizeof schemes[0] &&
           strncmp(text, schemes[i].prefix, strlen(schemes[i].prefix)) != 0)
        i++;
    if (i == sizeof schemes / sizeof schemes[0]) {
        errors_add(loader->errors, place,
                   "\"syslog_server\" is \"%s\", but must be as in \"unix:/dev/log\", \"udp:10.0.0.1:514\" "
                   "or \"tcp:[::1]:601\"",
                   text);
        return;
    }
    if (schemes[i].kind != LOG_SYSLOG_LOCAL)
        text += strlen(schemes[i].prefix);
    if (!address_parse(loader, place, text, schemes[i].port, &addresses))
        return;
    if (addresses.n == 0 && !address_resolve(loader, place, "\"syslog_server\"", &addresses))
        return;
    log->syslog_kind = schemes[i].kind;
    log->syslog_address = addresses.list[0];
}

static void check_tag(struct loader *loader, struct place place, const char *tag)
{
    size_t len = strlen(tag);

    if (len <= LOG_TAG_MAX &&
        strspn(tag, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./") == len)
        return;
    errors_add(loader->errors, place,
               "\"syslog_tag\" must be 1 to %u letters, digits and characters of \"-_./\"", LOG_TAG_MAX);
}

void logs_read(struct loader *loader, const struct node *document)
{
    struct node group = reader_member(document, "log", NODE_GROUP);
    struct log_settings *log = &loader->config->log;

    log->to_syslog[LOG_SINK_ERROR] = log->syslog_facility >= 0 || is_syslog(log->error);
    log->to_syslog[LOG_SINK_ACCESS] = log->access != NULL && (log->access_syslog || is_syslog(log->access));
    log->facility[LOG_SINK_ERROR] = log->syslog_facility >= 0 ? log->syslog_facility : LOG_DAEMON;
    log->facility[LOG_SINK_ACCESS] =
        log->access_facility >= 0 ? log->access_facility : log->facility[LOG_SINK_ERROR];
    check_tag(loader, place_in(&group, "syslog_tag"), log->syslog_tag);
    read_server(loader, place_in(&group, "syslog_server"), log);
}
