/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From the group `health` of a file to the spec of the health thread. Control thread; the tests of a body run
 * on the health thread, each with a scratch of its own.
 */
#include "config/checks.h"
#include "config/headers.h"
#include "config/reader.h"
#include "http/names.h"

#include <stdlib.h>

/* What a body must hold: a text, or a pattern. Lives in the snapshot's arena. */
struct body_test {
    struct span text;
    struct pattern *pattern;
    struct pattern_scratch *scratch;
};

static bool body_holds(const void *context, const char *body, size_t len)
{
    const struct body_test *test = context;

    return memmem(body, len, test->text.p, test->text.len) != NULL;
}

static bool body_fits(const void *context, const char *body, size_t len)
{
    const struct body_test *test = context;

    return pattern_matches(test->pattern, test->scratch, (struct span){body, len});
}

static void release_pattern(void *pattern)
{
    pattern_destroy(pattern);
}

static void release_scratch(void *scratch)
{
    pattern_scratch_destroy(scratch);
}

/* Where a member stands, or the group if it is not written. */
static struct place place_of(const struct node *health, const char *name)
{
    const struct node *member = node_member(health, name);

    return member != NULL ? member->place : health->place;
}

static void compile_body(struct loader *loader, struct place place, struct body_test *test, const char *text)
{
    const bool nocase = text[1] == '*';
    char error[256];
    void **pattern_slot = arena_slot(loader->keep, release_pattern);
    void **scratch_slot = arena_slot(loader->keep, release_scratch);

    text += nocase ? 2 : 1;
    text += strspn(text, " ");
    if (pattern_compile(text, nocase, &test->pattern, error, sizeof error) != 0) {
        errors_add(loader->errors, place, "\"expect_body\" has a regex that cannot be used: %s", error);
        return;
    }
    *pattern_slot = test->pattern;
    test->scratch = pattern_scratch_create();
    *scratch_slot = test->scratch;
    if (test->scratch == NULL)
        errors_add(loader->errors, place, "memory is short");
}

static bool is_regex(const char *text)
{
    return strncmp(text, "~ ", 2) == 0 || strncmp(text, "~* ", 3) == 0;
}

static void read_body(struct loader *loader, const struct node *health, struct checks *checks)
{
    struct place place = place_of(health, "expect_body");
    struct body_test *test;

    if (checks->expect_body == NULL)
        return;
    if (strcmp(checks->spec.method, "HEAD") == 0) {
        errors_add(loader->errors, place, "\"expect_body\" needs a body, and the method HEAD gets none");
        return;
    }
    test = arena_alloc(loader->keep, 1, sizeof *test);
    checks->spec.body_context = test;
    checks->spec.body = checks->expect_body;
    if (is_regex(checks->expect_body)) {
        checks->spec.body_matches = body_fits;
        compile_body(loader, place, test, checks->expect_body);
        return;
    }
    checks->spec.body_matches = body_holds;
    test->text = (struct span){checks->expect_body, strlen(checks->expect_body)};
    if (test->text.len > HEALTH_BODY_MAX)
        errors_add(loader->errors, place,
                   "\"expect_body\" is longer than the %u bytes of a body that are looked at",
                   HEALTH_BODY_MAX);
}

/* "200" or "200-399". */
static bool parse_range(const char *text, struct health_range *range)
{
    char *end;
    long from, to;

    if (*text < '0' || *text > '9')
        return false;
    from = to = strtol(text, &end, 10);
    if (*end == '-' && end[1] >= '0' && end[1] <= '9')
        to = strtol(end + 1, &end, 10);
    if (*end != '\0' || from < 100 || to > 599 || from > to)
        return false;
    *range = (struct health_range){(uint16_t)from, (uint16_t)to};
    return true;
}

static bool read_range(struct loader *loader, const struct node *node, struct health_range *range)
{
    const char *text =
        node->kind == NODE_INT ? arena_printf(loader->scratch, "%lld", node->integer) : node->string;

    if (parse_range(text, range))
        return true;
    errors_add(
        loader->errors, node->place,
        "\"expect\" has \"%s\", but wants statuses of 100 to 599, as in expect = [ \"200-399\", \"404\" ]",
        text);
    return false;
}

/* The kinds were checked by the reader. */
static void read_expect(struct loader *loader, const struct node *health, struct checks *checks)
{
    const struct node *node = node_member(health, "expect");
    const struct node fallback = {.kind = NODE_STRING,
                                  .string = schema_find(CONTEXT_HEALTH, "expect")->fallback};
    struct node alone = {.kind = NODE_LIST, .n = 1, .children = node != NULL ? node : &fallback};
    const struct node *list = node != NULL && node->kind == NODE_LIST ? node : &alone;
    struct health_range *ranges = arena_alloc(loader->keep, list->n, sizeof *ranges);

    checks->spec.expect = ranges;
    if (list->n == 0 || list->n > LOAD_EXPECT_MAX)
        errors_add(loader->errors, list->place, "\"expect\" must have 1 to %u statuses or ranges",
                   LOAD_EXPECT_MAX);
    for (size_t i = 0; i < list->n && i < LOAD_EXPECT_MAX; i++) {
        const struct node *member = &list->children[i];

        if ((member->kind == NODE_STRING || member->kind == NODE_INT) &&
            read_range(loader, member, &ranges[checks->spec.n_expect]))
            checks->spec.n_expect++;
    }
}

/* Nothing of a request is there that a variable could stand for. NULL with the finding added. */
static const char *write_header(struct loader *loader, struct place place, const struct header_rule *rule)
{
    const char *text = "";

    if (span_equals_nocase(rule->name, SPAN_LITERAL("Host"))) {
        errors_add(loader->errors, place, "\"Host\" of a check is set by its key \"host\"");
        return NULL;
    }
    for (size_t i = 0; rule->value != NULL && i < rule->value->n_parts; i++) {
        const struct template_part *part = &rule->value->parts[i];

        if (part->variable >= 0) {
            errors_add(loader->errors, place,
                       "the header \"%s\" of a check has a variable, but there is no request to take it from",
                       rule->name.p);
            return NULL;
        }
        text = arena_printf(loader->scratch, "%s%.*s", text, (int)part->literal.len, part->literal.p);
    }
    return arena_printf(loader->scratch, "%s: %s\r\n", rule->name.p, text);
}

static void read_headers(struct loader *loader, const struct node *health, struct checks *checks)
{
    const struct header_rules none = {0};
    const char *text = "";

    checks->headers = headers_read(loader, health, "headers", &none);
    for (size_t i = 0; i < checks->headers.n; i++) {
        const char *line = write_header(loader, place_of(health, "headers"), &checks->headers.rules[i]);

        if (line == NULL)
            return;
        text = arena_printf(loader->scratch, "%s%s", text, line);
    }
    checks->spec.headers = arena_copy(loader->keep, text, strlen(text));
}

static bool is_visible(const char *text)
{
    while (*text > ' ' && *text < 127)
        text++;
    return *text == '\0';
}

static void check_request(struct loader *loader, const struct node *health, const struct health_spec *spec)
{
    const struct span method = {spec->method, strlen(spec->method)};
    size_t len = method.len + strlen(spec->path) + (spec->host != NULL ? strlen(spec->host) : 0);

    if (!http_is_token(method) || http_method_id(method) == METHOD_CONNECT)
        errors_add(
            loader->errors, place_of(health, "method"),
            "\"method\" is \"%s\", but must be a method that asks for a response, as in method = \"GET\"",
            spec->method);
    if ((spec->path[0] != '/' && strcmp(spec->path, "*") != 0) || !is_visible(spec->path))
        errors_add(
            loader->errors, place_of(health, "path"),
            "\"path\" is \"%s\", but must begin with '/' and have no blanks, as in path = \"/healthz\"",
            spec->path);
    if (spec->host != NULL && !is_visible(spec->host))
        errors_add(loader->errors, place_of(health, "host"),
                   "\"host\" is \"%s\", but must be a host name, as in host = \"example.com\"", spec->host);
    if (spec->headers != NULL && len + strlen(spec->headers) > HEALTH_REQUEST_MAX)
        errors_add(loader->errors, health->place,
                   "method, path, host and headers of a check are longer than %u bytes together",
                   HEALTH_REQUEST_MAX);
}

/* A key that would do nothing is a mistake that waits to be found. */
static void refuse_http_keys(struct loader *loader, const struct node *health, struct checks *checks)
{
    static const char *const names[] = {"method", "path", "host", "headers", "expect", "expect_body"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (node_member(health, names[i]) != NULL)
            errors_add(loader->errors, place_of(health, names[i]),
                       "\"%s\" is of use only with type = \"http\"", names[i]);
    checks->spec.method = checks->spec.path = NULL;
}

void checks_read(struct loader *loader, const struct node *group, struct checks *checks)
{
    const struct node *health = node_member(group, "health");
    struct health_spec *spec = &checks->spec;

    if (health == NULL || health->kind != NODE_GROUP)
        return;
    checks->written = true;
    if (spec->fast_interval_ms == 0)
        spec->fast_interval_ms = spec->interval_ms;
    if (spec->agent_interval_ms == 0)
        spec->agent_interval_ms = spec->interval_ms;
    if (spec->type != HEALTH_HTTP) {
        refuse_http_keys(loader, health, checks);
        return;
    }
    read_expect(loader, health, checks);
    read_headers(loader, health, checks);
    read_body(loader, health, checks);
    check_request(loader, health, spec);
}

bool checks_are_wanted(const struct checks *checks)
{
    return checks->written && (checks->spec.type != HEALTH_NONE || checks->spec.agent_port != 0);
}
