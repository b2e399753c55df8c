/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The tables of HTTP words: character classes, known fields, methods, status phrases, and the Date format.
 * Pure and constant; any thread.
 */
#ifndef FAIRLEAD_HTTP_NAMES_H
#define FAIRLEAD_HTTP_NAMES_H

#include "http/h1.h"

#include <time.h>

bool http_is_token(struct span text);        /* RFC 9110 5.6.2, not empty */
bool http_is_field_value(struct span text);  /* no CR, LF, NUL or other control but HTAB; may be empty */
enum field_id http_field_id(struct span name);
enum h1_method http_method_id(struct span method);
bool http_method_is_idempotent(enum h1_method method); /* RFC 9110 9.2.2; METHOD_OTHER is not */
const char *http_reason(int status);         /* RFC 9110 15 phrase, "Unknown" otherwise */

#define HTTP_DATE_LEN 29 /* "Sun, 06 Nov 1994 08:49:37 GMT" */
/* Writes the IMF-fixdate (RFC 9110 5.6.7) of `when`, in UTC, and a NUL. */
void http_date(time_t when, char out[HTTP_DATE_LEN + 1]);

#endif
