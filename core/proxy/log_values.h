/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The values of the variables of the access log (config/log_format.h) for one exchange that ends. Worker
 * thread. */
#ifndef FAIRLEAD_PROXY_LOG_VALUES_H
#define FAIRLEAD_PROXY_LOG_VALUES_H

#include "config/log_format.h"
#include "proxy/exchange.h"
#include "proxy/text.h"

#define LOG_URI_MAX   1024u /* bytes of a request line or target that are logged, escapes included */
#define LOG_FIELD_MAX 512u  /* of a field, and of all else */

/* The exchange was just made: remembers what its own numbers are counted from. */
void log_values_begin(struct exchange *exchange);
/* Writes the line, without its end. What does not fit is left out. `json`: values are escaped for JSON
 * strings, and empty where there is none; else as nginx does, and "-". */
void log_values_put(struct text *text, struct exchange *exchange, const struct template *format, bool json);

/* Escaped: `max` bytes of the text, and of what becomes of it, at most. */
void log_put_escaped(struct text *text, struct span value, size_t max, bool json);
/* The request line as it came, without the empty line that may stand before it. */
struct span log_request_line(const struct exchange *exchange);
/* Of the response's content. */
uint64_t log_body_bytes(const struct exchange *exchange);

#endif
