/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What single fields say about the framing and the connection of a message (RFC 9112 6, 7 and 9):
 * Content-Length, Transfer-Encoding, Connection, TE, Host, Expect. It gathers; h1_request.c and h1_response.c
 * judge the whole. Pure; any thread; it never looks at a body.
 */
#include "http/h1_private.h"

#include "http/names.h"
#include "http/target.h"

static struct span value_of(const struct h1_message *m, const struct field *field)
{
    return (struct span){m->data + field->value, field->value_len};
}

static struct span trim(struct span text)
{
    while (text.len > 0 && (text.p[0] == ' ' || text.p[0] == '\t')) {
        text.p++;
        text.len--;
    }
    while (text.len > 0 && (text.p[text.len - 1] == ' ' || text.p[text.len - 1] == '\t'))
        text.len--;
    return text;
}

/* Cuts the next member off a comma-separated list (RFC 9110 5.6.1), which may be empty. False at the end of
 * it. */
static bool next_member(struct span *list, struct span *member)
{
    if (list->p == NULL)
        return false;
    const char *comma = list->len > 0 ? memchr(list->p, ',', list->len) : NULL;
    size_t len = comma != NULL ? (size_t)(comma - list->p) : list->len;
    *member = trim((struct span){list->p, len});
    *list = comma != NULL ? (struct span){comma + 1, list->len - len - 1} : (struct span){NULL, 0};
    return true;
}

/*
 * One number, 1*DIGIT (RFC 9110 8.6, requirements 43 and 44). Lists and repetitions are refused even where
 * they agree, and so are leading zeros. It ends below 2^63, so that sums of lengths cannot wrap.
 */
static int note_content_length(struct h1_message *m, struct span value)
{
    uint64_t length = 0;
    if (h1_seen(m, FIELD_CONTENT_LENGTH) || value.len == 0 || (value.p[0] == '0' && value.len > 1))
        return H1_BAD_LENGTH;
    for (size_t i = 0; i < value.len; i++) {
        if (!http_has_class(value.p[i], CLASS_DIGIT) || __builtin_mul_overflow(length, 10u, &length) ||
            __builtin_add_overflow(length, (unsigned)(value.p[i] - '0'), &length))
            return H1_BAD_LENGTH;
    }
    if (length > INT64_MAX)
        return H1_BAD_LENGTH;
    m->content_length = length;
    return 0;
}

static bool is_registered_coding(struct span name)
{
    static const struct span codings[] = {
        {"gzip", 4}, {"deflate", 7}, {"compress", 8}, {"x-gzip", 6}, {"x-compress", 10}, {"identity", 8},
    };
    for (size_t i = 0; i < sizeof(codings) / sizeof(codings[0]); i++) {
        if (span_equals_nocase(name, codings[i]))
            return true;
    }
    return false;
}

/*
 * Parameters and empty members are refused, the latter against RFC 9110 5.6.1.2: no sender has a reason to
 * write
 * ",chunked" but the hope that some hop does not see the coding.
 */
static int note_transfer_encoding(struct h1_message *m, struct span list)
{
    struct span name;
    while (next_member(&list, &name)) {
        if (!http_is_token(name))
            return H1_BAD_CODING;
        m->codings.chunked_last = span_equals_nocase(name, SPAN_LITERAL("chunked"));
        if (m->codings.chunked_last) {
            m->codings.n_chunked++;
            continue;
        }
        m->codings.other = true;
        if (!is_registered_coding(name))
            m->codings.unknown = true;
    }
    return 0;
}

/* Fields that a Connection option need not, or must not, take out: they are hop-by-hop anyway, or they frame
 * and route the message, which the proxy does from the parsed state (requirement 3). */
static bool is_known_option(struct h1_message *m, struct span name)
{
    if (span_equals_nocase(name, SPAN_LITERAL("close"))) {
        m->close = true;
        return true;
    }
    switch (http_field_id(name)) {
    case FIELD_KEEP_ALIVE:
        m->keep_alive = true;
        return true;
    case FIELD_UPGRADE:
        m->names_upgrade = true;
        return true;
    case FIELD_TE:
        m->names_te = true;
        return true;
    case FIELD_HOST:
    case FIELD_CONTENT_LENGTH:
    case FIELD_TRANSFER_ENCODING:
        return true;
    default:
        return false;
    }
}

/* Members are bounded, because each is compared with every field of the head (requirements 1 and 7). */
static int note_connection(struct h1_message *m, struct span list)
{
    struct span name;
    while (next_member(&list, &name)) {
        if (name.len == 0) {
            if (++m->n_empty_members > H1_CONNECTION_MAX)
                return H1_BAD_CONNECTION;
            continue;
        }
        if (!http_is_token(name) || ++m->n_members > H1_CONNECTION_MAX)
            return H1_BAD_CONNECTION;
        if (!is_known_option(m, name))
            m->named[m->n_named++] = name;
    }
    return 0;
}

static void note_te(struct h1_message *m, struct span list)
{
    struct span member;
    while (next_member(&list, &member)) {
        if (span_equals_nocase(member, SPAN_LITERAL("trailers")))
            m->lists_trailers = true;
    }
}

/* An empty Host is valid where the target has no authority (RFC 9112 3.2); h1_request.c knows. */
static int note_host(struct h1_message *m, struct span value)
{
    size_t host_len;
    if (m->kind != H1_REQUEST)
        return 0;
    if (h1_seen(m, FIELD_HOST))
        return H1_MANY_HOSTS;
    m->host = m->n_fields;
    return value.len == 0 || target_authority_valid(value, &host_len) ? 0 : H1_BAD_HOST;
}

static void note_expect(struct h1_message *m, struct span value)
{
    if (span_equals_nocase(value, SPAN_LITERAL("100-continue")))
        m->expects_continue = true;
    else
        m->expects_other = true;
}

int h1_note_field(struct h1_message *m, const struct field *field)
{
    struct span value = value_of(m, field);
    int rc = 0;
    switch (field->id) {
    case FIELD_HOST:
        rc = note_host(m, value);
        break;
    case FIELD_CONTENT_LENGTH:
        rc = note_content_length(m, value);
        break;
    case FIELD_TRANSFER_ENCODING:
        rc = note_transfer_encoding(m, value);
        break;
    case FIELD_CONNECTION:
        rc = note_connection(m, value);
        break;
    case FIELD_TE:
        note_te(m, value);
        break;
    case FIELD_UPGRADE:
        m->upgrade_value = m->upgrade_value || value.len > 0;
        break;
    case FIELD_EXPECT:
        note_expect(m, value);
        break;
    default:
        break;
    }
    m->seen |= 1u << field->id;
    return rc;
}

static bool is_named(const struct h1_message *m, struct span name)
{
    for (size_t i = 0; i < m->n_named; i++) {
        if (span_equals_nocase(name, m->named[i]))
            return true;
    }
    return false;
}

void h1_mark_named(struct h1_message *m)
{
    if (m->n_named == 0)
        return;
    for (size_t i = 0; i < m->n_fields; i++) {
        struct field *field = &m->fields[i];
        if (is_named(m, (struct span){m->data + field->name, field->name_len}))
            field->flags |= FIELD_HOP;
    }
}

void h1_mark_id(struct h1_message *m, enum field_id id)
{
    if (!h1_seen(m, id))
        return;
    for (size_t i = 0; i < m->n_fields; i++) {
        if (m->fields[i].id == id)
            m->fields[i].flags |= FIELD_HOP;
    }
}
