/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The tables of HTTP words: character classes, known fields, methods, status phrases, and the Date format.
 * Constant data and pure functions, for any thread. It takes no lock, also not the one in gmtime_r, because
 * every worker writes dates.
 */
#include "http/names.h"

#include "http/h1_private.h"

#define BETWEEN(c, low, high) ((c) >= (low) && (c) <= (high))
#define IS_ALNUM(c)           (BETWEEN(c, '0', '9') || BETWEEN(c, 'A', 'Z') || BETWEEN(c, 'a', 'z'))
#define IS_HEX(c)             (BETWEEN(c, '0', '9') || BETWEEN(c, 'A', 'F') || BETWEEN(c, 'a', 'f'))
#define IS_TOKEN(c)                                                                                          \
    (IS_ALNUM(c) || (c) == '!' || BETWEEN(c, '#', '\'') || (c) == '*' || (c) == '+' || (c) == '-' ||         \
     (c) == '.' || (c) == '^' || (c) == '`' || (c) == '|' || (c) == '~')
#define IS_HOST(c)                                                                                           \
    (IS_ALNUM(c) || (c) == '!' || (c) == '$' || BETWEEN(c, '&', '+') || (c) == '-' || (c) == '.' ||          \
     (c) == ';' || (c) == '=' || (c) == '_' || (c) == '~')
#define IS_TEXT(c)   ((c) == '\t' || BETWEEN(c, 0x20, 0x7e) || (c) >= 0x80)
#define IS_TARGET(c) (BETWEEN(c, 0x21, 0x7e) && (c) != '#')
#define IS_PATH(c)   (IS_HOST(c) || (c) == ',' || (c) == ':' || (c) == '@' || (c) == '/')

#define CLASSES(c)                                                                                           \
    ((IS_TOKEN(c) ? CLASS_TOKEN : 0) | ((c) == '_' ? CLASS_LOW_LINE : 0) |                                   \
     (IS_TARGET(c) ? CLASS_TARGET : 0) | (IS_HOST(c) ? CLASS_HOST : 0) | (IS_HEX(c) ? CLASS_HEX : 0) |       \
     (IS_TEXT(c) ? CLASS_TEXT : 0) | (IS_PATH(c) ? CLASS_PATH : 0) |                                         \
     (BETWEEN(c, '0', '9') ? CLASS_DIGIT : 0))
#define CLASSES_4(c)  CLASSES(c), CLASSES((c) + 1), CLASSES((c) + 2), CLASSES((c) + 3)
#define CLASSES_16(c) CLASSES_4(c), CLASSES_4((c) + 4), CLASSES_4((c) + 8), CLASSES_4((c) + 12)
#define CLASSES_64(c) CLASSES_16(c), CLASSES_16((c) + 16), CLASSES_16((c) + 32), CLASSES_16((c) + 48)

const uint8_t http_class[256] = {CLASSES_64(0), CLASSES_64(64), CLASSES_64(128), CLASSES_64(192)};

static bool all_of(struct span text, unsigned classes)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!http_has_class(text.p[i], classes))
            return false;
    }
    return true;
}

bool http_is_token(struct span text)
{
    return text.len > 0 && all_of(text, CLASS_TOKEN | CLASS_LOW_LINE);
}

bool http_is_field_value(struct span text)
{
    return all_of(text, CLASS_TEXT);
}

/*
 * Compares a token of the literal's length with a literal in lower case, in two overlapping words. Bit 5 is
 * the case of letters; of the bytes of known names only '-' would take another byte (CR) for its equal, and
 * no token has that.
 */
static inline bool token_equals(const char *token, const char *lower, size_t len)
{
    const uint64_t cases = 0x2020202020202020u;
    uint64_t head = 0, tail = 0, lower_head = 0, lower_tail = 0;
    size_t word = len >= 8 ? 8 : len >= 4 ? 4 : 2;
    memcpy(&head, token, word);
    memcpy(&tail, token + len - word, word);
    memcpy(&lower_head, lower, word);
    memcpy(&lower_tail, lower + len - word, word);
    if ((head | cases) != (lower_head | cases) || (tail | cases) != (lower_tail | cases))
        return false;
    return len <= 16 || strncasecmp(token + 8, lower + 8, len - 16) == 0;
}

#define FIELD_IF(name, literal, id)                                                                          \
    (token_equals((name).p, literal, sizeof(literal) - 1) ? (id) : FIELD_OTHER)

/* Where several known names have one length, a byte that tells them apart chooses the only one to compare
 * with. */
static enum field_id field_id_of_6(struct span name)
{
    switch (name.p[0] | 0x20) {
    case 's':
        return FIELD_IF(name, "server", FIELD_SERVER);
    case 'c':
        return FIELD_IF(name, "cookie", FIELD_COOKIE);
    default:
        return FIELD_IF(name, "expect", FIELD_EXPECT);
    }
}

static enum field_id field_id_of_7(struct span name)
{
    switch (name.p[0] | 0x20) {
    case 'u':
        return FIELD_IF(name, "upgrade", FIELD_UPGRADE);
    case 't':
        return FIELD_IF(name, "trailer", FIELD_TRAILER);
    default:
        return FIELD_IF(name, "referer", FIELD_REFERER);
    }
}

static enum field_id field_id_of_10(struct span name)
{
    switch (name.p[0] | 0x20) {
    case 'c':
        return FIELD_IF(name, "connection", FIELD_CONNECTION);
    case 'k':
        return FIELD_IF(name, "keep-alive", FIELD_KEEP_ALIVE);
    default:
        return FIELD_IF(name, "user-agent", FIELD_USER_AGENT);
    }
}

enum field_id http_field_id(struct span name)
{
    switch (name.len) {
    case 2:
        return FIELD_IF(name, "te", FIELD_TE);
    case 3:
        return FIELD_IF(name, "via", FIELD_VIA);
    case 4:
        return (name.p[0] | 0x20) == 'h' ? FIELD_IF(name, "host", FIELD_HOST)
                                         : FIELD_IF(name, "date", FIELD_DATE);
    case 6:
        return field_id_of_6(name);
    case 7:
        return field_id_of_7(name);
    case 9:
        return FIELD_IF(name, "x-real-ip", FIELD_X_REAL_IP);
    case 10:
        return field_id_of_10(name);
    case 12:
        return FIELD_IF(name, "max-forwards", FIELD_MAX_FORWARDS);
    case 14:
        return FIELD_IF(name, "content-length", FIELD_CONTENT_LENGTH);
    case 15:
        return FIELD_IF(name, "x-forwarded-for", FIELD_X_FORWARDED_FOR);
    case 16:
        return FIELD_IF(name, "proxy-connection", FIELD_PROXY_CONNECTION);
    case 17:
        return (name.p[0] | 0x20) == 't' ? FIELD_IF(name, "transfer-encoding", FIELD_TRANSFER_ENCODING)
                                         : FIELD_IF(name, "x-forwarded-proto", FIELD_X_FORWARDED_PROTO);
    case 18:
        return FIELD_IF(name, "proxy-authenticate", FIELD_PROXY_AUTHENTICATE);
    case 19:
        return FIELD_IF(name, "proxy-authorization", FIELD_PROXY_AUTHORIZATION);
    default:
        return FIELD_OTHER;
    }
}

#define METHOD_IF(method, literal, id) (span_equals(method, SPAN_LITERAL(literal)) ? (id) : METHOD_OTHER)

/* Methods are case-sensitive (RFC 9110 9.1). */
enum h1_method http_method_id(struct span method)
{
    switch (method.len) {
    case 3:
        return method.p[0] == 'G' ? METHOD_IF(method, "GET", METHOD_GET)
                                  : METHOD_IF(method, "PUT", METHOD_PUT);
    case 4:
        return method.p[0] == 'H' ? METHOD_IF(method, "HEAD", METHOD_HEAD)
                                  : METHOD_IF(method, "POST", METHOD_POST);
    case 5:
        return method.p[0] == 'T' ? METHOD_IF(method, "TRACE", METHOD_TRACE)
                                  : METHOD_IF(method, "PATCH", METHOD_PATCH);
    case 6:
        return METHOD_IF(method, "DELETE", METHOD_DELETE);
    case 7:
        return method.p[0] == 'C' ? METHOD_IF(method, "CONNECT", METHOD_CONNECT)
                                  : METHOD_IF(method, "OPTIONS", METHOD_OPTIONS);
    default:
        return METHOD_OTHER;
    }
}

bool http_method_is_idempotent(enum h1_method method)
{
    switch (method) {
    case METHOD_GET:
    case METHOD_HEAD:
    case METHOD_PUT:
    case METHOD_DELETE:
    case METHOD_OPTIONS:
    case METHOD_TRACE:
        return true;
    default:
        return false;
    }
}

/* The status codes of RFC 9110 15, of RFC 6585, 7725, 8297 and 8470, and 422 and 102 of WebDAV. */
#define STATUSES(X)                                                                                          \
    X(100, "Continue")                                                                                       \
    X(101, "Switching Protocols")                                                                            \
    X(102, "Processing")                                                                                     \
    X(103, "Early Hints")                                                                                    \
    X(200, "OK")                                                                                             \
    X(201, "Created")                                                                                        \
    X(202, "Accepted")                                                                                       \
    X(203, "Non-Authoritative Information")                                                                  \
    X(204, "No Content")                                                                                     \
    X(205, "Reset Content")                                                                                  \
    X(206, "Partial Content")                                                                                \
    X(300, "Multiple Choices")                                                                               \
    X(301, "Moved Permanently")                                                                              \
    X(302, "Found")                                                                                          \
    X(303, "See Other")                                                                                      \
    X(304, "Not Modified")                                                                                   \
    X(305, "Use Proxy")                                                                                      \
    X(307, "Temporary Redirect")                                                                             \
    X(308, "Permanent Redirect")                                                                             \
    X(400, "Bad Request")                                                                                    \
    X(401, "Unauthorized")                                                                                   \
    X(402, "Payment Required")                                                                               \
    X(403, "Forbidden")                                                                                      \
    X(404, "Not Found")                                                                                      \
    X(405, "Method Not Allowed")                                                                             \
    X(406, "Not Acceptable")                                                                                 \
    X(407, "Proxy Authentication Required")                                                                  \
    X(408, "Request Timeout")                                                                                \
    X(409, "Conflict")                                                                                       \
    X(410, "Gone")                                                                                           \
    X(411, "Length Required")                                                                                \
    X(412, "Precondition Failed")                                                                            \
    X(413, "Content Too Large")                                                                              \
    X(414, "URI Too Long")                                                                                   \
    X(415, "Unsupported Media Type")                                                                         \
    X(416, "Range Not Satisfiable")                                                                          \
    X(417, "Expectation Failed")                                                                             \
    X(421, "Misdirected Request")                                                                            \
    X(422, "Unprocessable Content")                                                                          \
    X(425, "Too Early")                                                                                      \
    X(426, "Upgrade Required")                                                                               \
    X(428, "Precondition Required")                                                                          \
    X(429, "Too Many Requests")                                                                              \
    X(431, "Request Header Fields Too Large")                                                                \
    X(451, "Unavailable For Legal Reasons")                                                                  \
    X(500, "Internal Server Error")                                                                          \
    X(501, "Not Implemented")                                                                                \
    X(502, "Bad Gateway")                                                                                    \
    X(503, "Service Unavailable")                                                                            \
    X(504, "Gateway Timeout")                                                                                \
    X(505, "HTTP Version Not Supported")

const char *http_reason(int status)
{
    switch (status) {
#define X(code, phrase)                                                                                      \
    case code:                                                                                               \
        return phrase;
        STATUSES(X)
#undef X
    default:
        return "Unknown";
    }
}

struct civil_day {
    unsigned year, month, day; /* month 0 to 11, day from 1 */
};

/* Counts years from 1 March, so that the leap day is the last of its year and months need no table. */
static struct civil_day civil_day_of(unsigned days_since_1970)
{
    unsigned days = days_since_1970 + 719468; /* since 1 March of the year 0 */
    unsigned era = days / 146097;             /* 400 years */
    unsigned in_era = days % 146097;
    unsigned year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    unsigned in_year = in_era - (365 * year + year / 4 - year / 100);
    unsigned from_march = (5 * in_year + 2) / 153;
    return (struct civil_day){
        .year = era * 400 + year + (from_march >= 10 ? 1 : 0),
        .month = (from_march + 2) % 12,
        .day = in_year - (153 * from_march + 2) / 5 + 1,
    };
}

static void put_two_digits(char *out, unsigned value)
{
    out[0] = (char)('0' + value / 10 % 10);
    out[1] = (char)('0' + value % 10);
}

#define SECONDS_PER_DAY 86400
#define LAST_SECOND     253402300799 /* of the year 9999: the format has no room for more */

void http_date(time_t when, char out[HTTP_DATE_LEN + 1])
{
    static const char weekdays[] = "ThuFriSatSunMonTueWed"; /* 1 January 1970 was a Thursday */
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int64_t seconds = when < 0 ? 0 : when > LAST_SECOND ? LAST_SECOND : when;
    unsigned days = (unsigned)(seconds / SECONDS_PER_DAY);
    unsigned second = (unsigned)(seconds % SECONDS_PER_DAY);
    struct civil_day civil = civil_day_of(days);

    memcpy(out, "Thu, 01 Jan 1970 00:00:00 GMT", HTTP_DATE_LEN + 1);
    memcpy(out, &weekdays[3 * (days % 7)], 3);
    put_two_digits(out + 5, civil.day);
    memcpy(out + 8, &months[3 * civil.month], 3);
    put_two_digits(out + 12, civil.year / 100);
    put_two_digits(out + 14, civil.year % 100);
    put_two_digits(out + 17, second / 3600);
    put_two_digits(out + 20, second / 60 % 60);
    put_two_digits(out + 23, second % 60);
}
