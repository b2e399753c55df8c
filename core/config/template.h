/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Strings with variables: "$host$request_uri", "X-${request_id}". Compiled when the configuration is read, so that a request only
 * copies runs. "$$" is a dollar sign. Immutable, shared by all threads.
 */
#ifndef FAIRLEAD_CONFIG_TEMPLATE_H
#define FAIRLEAD_CONFIG_TEMPLATE_H

#include "http/span.h"

#include <sys/types.h>

/* X(identifier, name in the configuration, sentence) */
#define TEMPLATE_VARIABLES(X)                                                                               \
    X(VAR_HOST, "host", "host of the request, lower case, without port")                                     \
    X(VAR_HTTP_HOST, "http_host", "Host as the client sent it, with its port")                               \
    X(VAR_REMOTE_ADDR, "remote_addr", "the client's address")                                               \
    X(VAR_REMOTE_PORT, "remote_port", "the client's port")                                                  \
    X(VAR_PROXY_ADD_X_FORWARDED_FOR, "proxy_add_x_forwarded_for",                                           \
      "X-Forwarded-For of the request with $remote_addr appended")                                          \
    X(VAR_SCHEME, "scheme", "http or https")                                                                \
    X(VAR_SERVER_PORT, "server_port", "the port that the request came in by")                               \
    X(VAR_REQUEST_ID, "request_id", "32 hexadecimal digits, different for every request")                   \
    X(VAR_REQUEST_METHOD, "request_method", "the method")                                                   \
    X(VAR_REQUEST_URI, "request_uri", "path and query as received")                                         \
    X(VAR_URI, "uri", "the normalised path")                                                                \
    X(VAR_UPSTREAM_ADDR, "upstream_addr", "the server that was tried last")

enum template_variable {
#define X(id, name, sentence) id,
    TEMPLATE_VARIABLES(X)
#undef X
    VAR_HTTP_FIELD /* $http_NAME: the request's first field of that name; '_' stands for '-' */
};

struct template_part {
    struct span literal;  /* of a literal part; of VAR_HTTP_FIELD the field name, lower case, with '-' */
    int variable;         /* enum template_variable, or -1 for a literal */
};

struct template {
    struct span source;
    size_t n_parts;
    const struct template_part *parts;
};

/* Returns 0, or -EINVAL with a sentence (unknown variable, with the nearest known one; a value with CR, LF or NUL). */
int template_compile(const char *source, struct template **template, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* The same for bodies: CR and LF are text like any other. */
int template_compile_text(const char *source, struct template **template, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* What a kind of template may have in it: the names by their number, and the number of $http_NAME. */
struct template_names {
    const char *const *names;
    size_t n;
    int http_field;
};
/* The same with other variables; line ends are text like any other. */
int template_compile_names(const char *source, const struct template_names *names, struct template **template, char *error,
                           size_t error_size) __attribute__((warn_unused_result));
void template_destroy(struct template *template);

/* Gives the value of one variable; the span must stay valid until template_expand returns. */
typedef struct span template_resolver(void *context, int variable, struct span field);

/* Writes the expansion to out[0..size). Returns its length, or -1 when it does not fit. */
ssize_t template_expand(const struct template *template, template_resolver *resolve, void *context, char *out,
                        size_t size) __attribute__((warn_unused_result));

#endif
