/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One picture of `watch`: a sample as lines of text, for a terminal or for a file. Pure; it knows no terminal but its size. */
#ifndef FAIRLEAD_CTL_SCREEN_H
#define FAIRLEAD_CTL_SCREEN_H

#include "ctl/sample.h"

#define SCREEN_WIDTH_MIN  40
#define SCREEN_WIDTH_MAX  512
#define SCREEN_HEIGHT_MAX 1024

struct screen {
    int width, height;    /* height 0: as many lines as there are */
    bool colours;         /* ECMA-48 colours */
    bool unicode;         /* bars and dots that are not ASCII */
    size_t scroll;        /* rows of the table that are above the picture; cut to what there is */
    const char *trouble;  /* a sentence in place of the last line; NULL: none */
    int names;            /* what the longest name needs; set by screen_draw */
    char *text;           /* owned; lines that end in "\n" */
    size_t len, size;
    bool failed;          /* memory was short: the text is not whole */
};

/* Draws into screen->text anew. `before`: of a second ago, may be empty. Rates of `now` must have been filled in. */
void screen_draw(struct screen *screen, const struct sample *now, const struct sample *before);
void screen_fini(struct screen *screen);

#endif
