/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The client's end of the control socket: asks one thing and waits for the whole answer. Blocks; any thread. */
#ifndef FAIRLEAD_CTL_CLIENT_H
#define FAIRLEAD_CTL_CLIENT_H

#include <stddef.h>

#define CTL_SILENCE_S        30u  /* nothing else is done for longer while a process is well */
#define CTL_RELOAD_SILENCE_S 130u /* names are asked for, files are read */

/* `text` is the caller's to free; always ends in a NUL. */
struct ctl_answer {
    int refused;  /* the process answered with an error: `text` is what is wrong, without a newline at its end */
    char *text;
    size_t len;
};

/*
 * `request`: a line without its newline. Returns 0 with *answer, or -errno with text NULL: -ENOENT or -ECONNREFUSED when nobody is there,
 * -ETIMEDOUT when for `silence_s` seconds nothing came, or the request was not taken, -EPROTO when what came is no answer, or is cut, -EMSGSIZE when request or answer are too long.
 */
int ctl_ask(const char *socket_path, const char *request, unsigned silence_s, struct ctl_answer *answer) __attribute__((warn_unused_result));

/* After how many seconds of silence a process is given up that was asked this. */
unsigned ctl_silence_s(const char *request);

#endif
