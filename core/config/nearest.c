/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Edit distance with insertion, deletion, change and swap of neighbours (optimal string alignment). Pure; any
 * thread. Never looks at more than WORD_MAX bytes of a word.
 */
#include "config/nearest.h"

#include <string.h>

#define WORD_MAX 64u /* longer words get no hint */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t rows[3][WORD_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *row = rows[2];

    for (size_t j = 0; j <= b_len; j++)
        before[j] = last[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            row[j] = least(least(last[j], row[j - 1]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], before[j - 2] + 1);
        }
        size_t *spare = before;
        before = last;
        last = row;
        row = spare;
    }
    return last[b_len];
}

void nearest_offer(struct nearest *nearest, const char *known)
{
    size_t len = strlen(nearest->word), known_len = strlen(known);

    if (len == 0 || len > WORD_MAX || known_len > WORD_MAX)
        return;
    size_t distance = edit_distance(nearest->word, len, known, known_len);
    /* A third of the word may be wrong; beyond that a hint is more likely to mislead. */
    if (distance > (len < 6 ? 1 + (len > 3) : len / 3))
        return;
    if (nearest->best == NULL || distance < nearest->distance) {
        nearest->best = known;
        nearest->distance = distance;
    }
}
