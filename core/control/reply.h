/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The text of an answer at the control socket: it grows as it is written, up to a limit, beyond which it becomes an error that says so.
 * Nothing here can fail for its caller. Control thread.
 */
#ifndef FAIRLEAD_CONTROL_REPLY_H
#define FAIRLEAD_CONTROL_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPLY_DEPTH_MAX 8u   /* of nested JSON */
#define REPLY_ERROR_MAX 4608u /* bytes of an error */

struct reply {
    char *data;   /* owned; the first line included */
    size_t len, size, limit;
    bool failed;  /* reply_fail was called, or memory or room was short: what is written from then on is thrown away */
    unsigned depth;
    bool first[REPLY_DEPTH_MAX]; /* JSON: nothing stands in that level yet */
};

/* Begins with "ok". `limit`: bytes in all. */
void reply_init(struct reply *reply, size_t limit);
void reply_fini(struct reply *reply);
void reply_print(struct reply *reply, const char *format, ...) __attribute__((format(printf, 2, 3)));
void reply_text(struct reply *reply, const char *text, size_t len);
/* Takes back what was written, and is the error instead: a sentence, or several lines, without a newline at the end. */
void reply_fail(struct reply *reply, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* JSON. `name` NULL: in a list, or the whole. Strings may hold any bytes. */
void reply_open(struct reply *reply, const char *name, char bracket);
void reply_close(struct reply *reply, char bracket);
void reply_string(struct reply *reply, const char *name, const char *text, size_t len);
void reply_number(struct reply *reply, const char *name, uint64_t number);
void reply_flag(struct reply *reply, const char *name, bool flag);

#endif
