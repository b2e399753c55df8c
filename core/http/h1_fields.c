/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The field lines of requests, responses and trailer sections (RFC 9112 5), in one pass: name, colon, value,
 * CR LF. What the fields mean is told to h1_framing.c line by line. Pure; any thread; it never copies or
 * allocates.
 */
#include "http/h1_private.h"

#include "http/names.h"

#include <endian.h>

static inline bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

/*
 * Skips to the first control byte (0x00 to 0x1f, 0x7f) before `stop`, or to `stop`, eight bytes a step; `end`
 * (at or behind `stop`) is what may be read. A subtraction in one byte can disturb only the bytes above it,
 * so the lowest mark is always exact; that it be the first byte asks for little endian.
 */
static inline const char *skip_text(const char *p, const char *stop, const char *end)
{
    const uint64_t ones = 0x0101010101010101u;
    while (p < stop && end - p >= 8) {
        uint64_t word;
        memcpy(&word, p, sizeof(word));
        word = le64toh(word);
        uint64_t no_del = word ^ (ones * 0x7f);
        uint64_t marks = (((word - ones * 0x20) & ~word) | ((no_del - ones) & ~no_del)) & (ones * 0x80);
        if (marks != 0) {
            p += __builtin_ctzll(marks) / 8;
            return p < stop ? p : stop;
        }
        p += 8;
    }
    while (p < stop && (unsigned char)*p >= 0x20 && *p != 0x7f)
        p++;
    return p < stop ? p : stop;
}

/* One field line while it is read. */
struct line {
    const char *start;
    const char *stop; /* where judging ends: of what is at hand, or one byte more than a line may have */
};

/* The verdict on a line that has no end before line->stop. */
static int cut_line(const struct h1_message *m, const struct line *line)
{
    return (size_t)(line->stop - line->start) > m->limits->field_max ? H1_LONG_FIELD : 0;
}

/* White space was found behind a name. It is an error in requests, stripped in responses (RFC 9112 5.1). */
static int skip_space_before_colon(const struct h1_message *m, const struct line *line, const char **at)
{
    const char *p = *at;
    while (p < line->stop && is_space(*p))
        p++;
    *at = p;
    if (p == line->stop)
        return cut_line(m, line);
    if (*p != ':')
        return H1_BAD_FIELD_NAME;
    return m->kind == H1_RESPONSE ? 1 : H1_SPACE_BEFORE_COLON;
}

/*
 * Origins that hand fields on as environment variables take '_' for '-', so that Content_Length could frame
 * there what it does not frame here (requirement 37). Nothing of the kind threatens clients: names in
 * responses may have it.
 */
static int judge_low_line(const struct h1_message *m, struct field *field)
{
    if (m->kind == H1_RESPONSE)
        return 1;
    if (m->limits->reject_underscores)
        return H1_UNDERSCORE;
    field->flags = FIELD_HOP;
    return 1;
}

/* Reads the name and its colon; m->at is then behind the colon. */
static int parse_name(struct h1_message *m, const struct line *line, struct field *field)
{
    const char *p = line->start;
    bool low_line = false;
    while (p < line->stop && http_has_class(*p, CLASS_TOKEN | CLASS_LOW_LINE)) {
        low_line |= *p == '_';
        p++;
    }
    if (p == line->stop)
        return cut_line(m, line);
    if (p == line->start)
        return H1_BAD_FIELD_NAME;

    field->name = (uint16_t)(line->start - m->data);
    field->name_len = (uint16_t)(p - line->start);
    if (is_space(*p)) {
        int rc = skip_space_before_colon(m, line, &p);
        if (rc <= 0)
            return rc;
    }
    if (*p != ':')
        return *p == '\n' ? H1_BAD_LINE_END : H1_BAD_FIELD_NAME;
    m->at = p + 1;
    return low_line ? judge_low_line(m, field) : 1;
}

/* Reads the value and the line end; m->at is then at the next line. */
static int parse_value(struct h1_message *m, const struct line *line, struct field *field)
{
    const char *p = m->at;
    while (p < line->stop && is_space(*p))
        p++;
    const char *start = p;
    p = skip_text(p, line->stop, m->end);
    while (p < line->stop && *p == '\t')
        p = skip_text(p + 1, line->stop, m->end);
    if (p == line->stop)
        return cut_line(m, line);

    m->at = p;
    if (*p != '\r' && *p != '\n')
        return H1_BAD_FIELD_VALUE;
    int rc = h1_parse_line_end(m);
    if (rc <= 0)
        return rc;
    while (p > start && is_space(p[-1]))
        p--;
    field->value = (uint16_t)(start - m->data);
    field->value_len = (uint16_t)(p - start);
    return 1;
}

/* Hop-by-hop on their own, named by Connection or not (RFC 9110 7.6.1, 11.7.2; requirements 2 and 12). */
#define ALWAYS_HOP                                                                                           \
    (1u << FIELD_CONNECTION | 1u << FIELD_PROXY_CONNECTION | 1u << FIELD_KEEP_ALIVE | 1u << FIELD_TE |       \
     1u << FIELD_TRANSFER_ENCODING | 1u << FIELD_UPGRADE | 1u << FIELD_PROXY_AUTHORIZATION)

static int parse_line(struct h1_message *m)
{
    if (is_space(*m->at))
        return H1_OBS_FOLD;
    if (m->n_fields == m->limits->fields_max)
        return H1_MANY_FIELDS;

    size_t at_hand = (size_t)(m->end - m->at);
    size_t most = (size_t)m->limits->field_max + 1;
    struct line line = {m->at, m->at + (at_hand < most ? at_hand : most)};
    struct field *field = &m->fields[m->n_fields];
    field->flags = 0;
    int rc = parse_name(m, &line, field);
    if (rc <= 0)
        return rc;
    rc = parse_value(m, &line, field);
    if (rc <= 0)
        return rc;

    field->id = (uint8_t)http_field_id((struct span){m->data + field->name, field->name_len});
    if (field->id != FIELD_OTHER) {
        if ((ALWAYS_HOP >> field->id & 1u) != 0)
            field->flags = FIELD_HOP;
        rc = m->kind == H1_TRAILERS ? 0 : h1_note_field(m, field);
        if (rc < 0)
            return rc;
    }
    m->n_fields++;
    return 1;
}

int h1_parse_fields(struct h1_message *m)
{
    while (m->at < m->end) {
        if (*m->at == '\r' || *m->at == '\n')
            return h1_parse_line_end(m);
        int rc = parse_line(m);
        if (rc <= 0)
            return rc;
    }
    return 0;
}
