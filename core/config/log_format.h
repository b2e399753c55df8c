/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The form of a line of the access log: one of those that are built in, or a text with variables. Compiled when the
 * configuration is read, so that a line only copies runs. Immutable, shared by all threads.
 */
#ifndef FAIRLEAD_CONFIG_LOG_FORMAT_H
#define FAIRLEAD_CONFIG_LOG_FORMAT_H

#include "config/template.h"

#include <stdbool.h>

/* X(identifier, name in the configuration, sentence). Times of the upstream are those of the last attempt. */
#define LOG_VARIABLES(X)                                                                                     \
    X(LOG_VAR_REMOTE_ADDR, "remote_addr", "the client's address")                                                \
    X(LOG_VAR_REMOTE_PORT, "remote_port", "the client's port")                                                   \
    X(LOG_VAR_REMOTE_USER, "remote_user", "the user of `Authorization: Basic`, as the client claims it")         \
    X(LOG_VAR_TIME_LOCAL, "time_local", "local time as in the combined form")                                    \
    X(LOG_VAR_TIME_ISO8601, "time_iso8601", "local time, `2026-11-23T05:14:01+01:00`")                           \
    X(LOG_VAR_MSEC, "msec", "seconds since 1970, with milliseconds")                                             \
    X(LOG_VAR_REQUEST, "request", "the request line as it came")                                                 \
    X(LOG_VAR_REQUEST_METHOD, "request_method", "the method")                                                    \
    X(LOG_VAR_REQUEST_URI, "request_uri", "path and query as received")                                          \
    X(LOG_VAR_URI, "uri", "the normalised path")                                                                 \
    X(LOG_VAR_ARGS, "args", "the query, without its question mark")                                              \
    X(LOG_VAR_QUERY_STRING, "query_string", "the same")                                                          \
    X(LOG_VAR_SERVER_PROTOCOL, "server_protocol", "the request's version, `HTTP/1.1`")                           \
    X(LOG_VAR_STATUS, "status", "the status sent; 499: the client went away before")                             \
    X(LOG_VAR_BODY_BYTES_SENT, "body_bytes_sent", "bytes of the response's content")                             \
    X(LOG_VAR_BYTES_SENT, "bytes_sent", "bytes sent to the client, heads and framing included")                  \
    X(LOG_VAR_REQUEST_LENGTH, "request_length", "bytes of the request: its head and its content")                \
    X(LOG_VAR_REQUEST_TIME, "request_time", "seconds from the request's head to this line, with milliseconds")   \
    X(LOG_VAR_HOST, "host", "host of the request, without port")                                                 \
    X(LOG_VAR_SERVER_PORT, "server_port", "the port that the request came in by")                                \
    X(LOG_VAR_SCHEME, "scheme", "http or https")                                                                 \
    X(LOG_VAR_REQUEST_ID, "request_id", "32 hexadecimal digits, different for every request")                    \
    X(LOG_VAR_CONNECTION, "connection", "a number of the client's connection, different for each")               \
    X(LOG_VAR_CONNECTION_REQUESTS, "connection_requests", "requests that this connection has brought so far")    \
    X(LOG_VAR_PID, "pid", "the process id")                                                                      \
    X(LOG_VAR_UPSTREAM_ADDR, "upstream_addr", "the server that was tried last")                                  \
    X(LOG_VAR_UPSTREAM_STATUS, "upstream_status", "the status that the server gave, where it was passed on")     \
    X(LOG_VAR_UPSTREAM_CONNECT_TIME, "upstream_connect_time", "seconds until the server was connected")          \
    X(LOG_VAR_UPSTREAM_HEADER_TIME, "upstream_header_time", "seconds until the first byte of its response")      \
    X(LOG_VAR_UPSTREAM_RESPONSE_TIME, "upstream_response_time", "seconds until the end of its response")         \
    X(LOG_VAR_BACKEND, "backend", "the group of servers (HAProxy: `%b`)")                                        \
    X(LOG_VAR_SERVER, "server", "the server that was tried last (`%s`)")                                         \
    X(LOG_VAR_RETRIES, "retries", "attempts after the first (`%rc`)")                                            \
    X(LOG_VAR_TERMINATION_STATE, "termination_state", "who ended it, and in which phase (`%ts`); see below")     \
    X(LOG_VAR_WHY, "why", "what went wrong, in words")                                                           \
    X(LOG_VAR_TIMER_REQUEST, "TR", "ms from the first byte of the request's head to its end")                    \
    X(LOG_VAR_TIMER_QUEUE, "Tw", "ms in the queue")                                                              \
    X(LOG_VAR_TIMER_CONNECT, "Tc", "ms until a server was connected, failed attempts included; -1: none was")    \
    X(LOG_VAR_TIMER_RESPONSE, "Tr", "ms until the server's response began; -1: it did not")                      \
    X(LOG_VAR_TIMER_ACTIVE, "Ta", "ms from the first byte of the request to this line")

enum log_variable {
#define X(id, name, sentence) id,
    LOG_VARIABLES(X)
#undef X
    LOG_VAR_HTTP_FIELD /* $http_NAME */
};

/* X(identifier, name, text or NULL: it has code of its own) */
#define LOG_PRESETS(X)                                                                                       \
    X(LOG_PRESET_COMBINED, "combined", NULL)                                                                 \
    X(LOG_PRESET_JSON, "json", NULL)                                                                         \
    X(LOG_PRESET_TIMING, "timing",                                                                           \
      "$remote_addr:$remote_port [$time_local] $backend $server $TR/$Tw/$Tc/$Tr/$Ta $status $bytes_sent "    \
      "$termination_state $retries $request_id \"$host\" \"$request\"")

enum log_preset {
#define X(id, name, text) id,
    LOG_PRESETS(X)
#undef X
    LOG_PRESET_NONE
};

struct log_format {
    enum log_preset preset;
    const char *source;      /* as written */
    struct template *text;   /* owned; NULL of those that have code of their own */
};

/* Returns 0, or -EINVAL with a sentence: a text without a variable is taken for a misspelt name. The caller destroys. */
int log_format_compile(const char *source, struct log_format **format, char *error, size_t error_size)
    __attribute__((warn_unused_result));
void log_format_destroy(struct log_format *format);

#endif
