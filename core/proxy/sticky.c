/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sticky sessions; see sticky.h. */
#include "proxy/sticky.h"

#include "http/names.h"
#include "tls/mac.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define ID_LEN      16u
#define MAC_KEPT    16u /* bytes of the MAC in the cookie */
#define COOKIES_MAX 8u  /* cookies of the name in one field: a client has one of each path */

typedef char cookie_value[STICKY_VALUE_LEN + 1];

struct sticky_values {
    size_t n_groups;
    cookie_value **groups; /* per group; NULL where it inserts no cookie; then per server */
};

/* Making the values. */

static int make_value(const struct pool *pool, const struct server *server, const void *secret, size_t secret_len, char *value)
{
    uint8_t mac[MAC_SIZE];
    char id[ID_LEN + 1];
    struct mac_part parts[] = {{pool_name(pool), strlen(pool_name(pool)) + 1}, {id, ID_LEN}};
    size_t len;

    len = (size_t)snprintf(id, sizeof(id), "%016llx", (unsigned long long)server->hash);
    if (mac_make(secret, secret_len, parts, 2, mac) != 0)
        return -EINVAL;
    memcpy(value, id, len);
    value[len++] = '.';
    for (size_t i = 0; i < MAC_KEPT; i++, len += 2)
        snprintf(value + len, 3, "%02x", mac[i]);
    return 0;
}

static int make_group(const struct group *group, const struct pool *pool, const uint8_t *common_secret, cookie_value **values)
{
    const char *secret = group->sticky.secret;
    size_t n = pool_n_servers(pool);
    int error = 0;

    *values = calloc(n, sizeof(cookie_value));
    if (!*values)
        return -ENOMEM;
    for (size_t i = 0; error == 0 && i < n; i++)
        error = make_value(pool, pool_server(pool, i), secret ? (const void *)secret : common_secret,
                           secret ? strlen(secret) : SNAPSHOT_SECRET_SIZE, (*values)[i]);
    return error;
}

int sticky_create(const struct config *config, struct pool *const *pools, const uint8_t *secret, struct sticky_values **result)
{
    struct sticky_values *values = calloc(1, sizeof(*values));
    int error = 0;

    if (!values)
        return -ENOMEM;
    values->n_groups = config->n_groups;
    values->groups = calloc(config->n_groups + 1, sizeof(*values->groups));
    if (!values->groups)
        error = -ENOMEM;
    for (size_t i = 0; error == 0 && i < config->n_groups; i++)
        if (config->groups[i]->sticky.kind == STICKY_INSERT)
            error = make_group(config->groups[i], pools[i], secret, &values->groups[i]);
    if (error) {
        sticky_destroy(values);
        return error;
    }
    *result = values;
    return 0;
}

void sticky_destroy(struct sticky_values *values)
{
    if (!values)
        return;
    for (size_t i = 0; values->groups && i < values->n_groups; i++)
        free(values->groups[i]);
    free(values->groups);
    free(values);
}

/* Reading a cookie. */

/* The next "name=value" of a Cookie field (RFC 6265 5.4); false at its end. */
static bool next_pair(struct span *rest, struct span *name, struct span *value)
{
    const char *end, *equals;

    while (rest->len > 0 && (*rest->p == ' ' || *rest->p == ';')) {
        rest->p++;
        rest->len--;
    }
    if (rest->len == 0)
        return false;
    end = memchr(rest->p, ';', rest->len);
    end = end ? end : rest->p + rest->len;
    equals = memchr(rest->p, '=', (size_t)(end - rest->p));
    *name = (struct span){rest->p, (size_t)((equals ? equals : end) - rest->p)};
    *value = equals ? (struct span){equals + 1, (size_t)(end - equals - 1)} : (struct span){end, 0};
    rest->len -= (size_t)(end - rest->p);
    rest->p = end;
    return true;
}

static int server_of_value(const struct exchange *exchange, const struct group *group, struct span value)
{
    const cookie_value *values = exchange->view->snapshot->sticky->groups[group->index];

    if (value.len != STICKY_VALUE_LEN)
        return PICKER_NONE;
    for (size_t i = 0; i < pool_n_servers(exchange->pool); i++)
        if (memcmp(value.p, values[i], ID_LEN) == 0 && mac_equals(value.p, values[i], STICKY_VALUE_LEN))
            return (int)i;
    return PICKER_NONE;
}

/* Whether it is the route, or ends in ".ROUTE". */
static bool names_route(struct span value, struct span route)
{
    size_t before = value.len - route.len;

    return value.len >= route.len && memcmp(value.p + before, route.p, route.len) == 0 &&
           (before == 0 || value.p[before - 1] == '.');
}

/* A route may have dots of its own, and end as another one does: the longest counts. */
static int server_of_route(const struct pool *pool, struct span value)
{
    int found = PICKER_NONE;
    size_t longest = 0;

    for (size_t i = 0; i < pool_n_servers(pool); i++) {
        const char *name = pool_server(pool, i)->route;
        struct span route = {name, name ? strlen(name) : 0};

        if (route.len > longest && names_route(value, route)) {
            longest = route.len;
            found = (int)i;
        }
    }
    return found;
}

/* Of several cookies of the name, the first one that names a server counts; each is compared with all servers, so few are looked at. */
static int server_of_field(const struct exchange *exchange, const struct group *group, struct span rest)
{
    struct span name, value, wanted = {group->sticky.cookie, strlen(group->sticky.cookie)};
    int server = PICKER_NONE;

    for (unsigned looked_at = 0; server == PICKER_NONE && looked_at < COOKIES_MAX && next_pair(&rest, &name, &value);) {
        if (!span_equals(name, wanted))
            continue;
        looked_at++;
        server = group->sticky.kind == STICKY_INSERT ? server_of_value(exchange, group, value) : server_of_route(exchange->pool, value);
    }
    return server;
}

int sticky_server(const struct exchange *exchange, const struct group *group)
{
    int server = PICKER_NONE;

    for (uint16_t i = 0; i < exchange->request.n_fields && server == PICKER_NONE; i++) {
        const struct field *field = &exchange->fields[i];

        if (field->id == FIELD_COOKIE)
            server = server_of_field(exchange, group, (struct span){exchange->head + field->value, field->value_len});
    }
    return server;
}

void sticky_put(struct text *text, const struct exchange *exchange)
{
    const struct group *group = exchange_group(exchange);
    int server = exchange->attempt.server;

    if (group->sticky.kind != STICKY_INSERT || server == PICKER_NONE || server == exchange->attempt.bound)
        return;
    text_literal(text, "Set-Cookie: ");
    text_string(text, group->sticky.cookie);
    text_literal(text, "=");
    text_bytes(text, exchange->view->snapshot->sticky->groups[group->index][server], STICKY_VALUE_LEN);
    text_literal(text, "; Path=");
    text_string(text, group->sticky.path);
    if (group->sticky.max_age_s > 0) {
        text_literal(text, "; Max-Age=");
        text_number(text, group->sticky.max_age_s);
    }
    text_string(text, group->sticky.secure ? "; HttpOnly; SameSite=Lax; Secure\r\n" : "; HttpOnly; SameSite=Lax\r\n");
}
