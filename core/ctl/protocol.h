/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What both ends of the control socket agree on. One connection is one request: the client sends a line of words with single
 * spaces between them, and reads until the end of the stream. The first line of the answer is "ok", and the answer itself
 * follows; or the whole is "error SENTENCE", which may be several lines. The whole is in doc/architecture.md.
 */
#ifndef FAIRLEAD_CTL_PROTOCOL_H
#define FAIRLEAD_CTL_PROTOCOL_H

#define CTL_SOCKET      "/run/fairlead/fairlead.sock" /* what the packaged configuration says */
#define CTL_REQUEST_MAX 4096u                         /* bytes of the request line, its newline included */
#define CTL_WORDS_MAX   16u                           /* words of it */
#define CTL_ANSWER_MAX  (8u << 20)                    /* bytes of the answer, its first line included */

#endif
