/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The answer to "sample", taken apart: what `watch` shows, and compares with the one before. One thread. */
#ifndef FAIRLEAD_CTL_SAMPLE_H
#define FAIRLEAD_CTL_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SAMPLE_VALUES_MAX 64u
#define SAMPLE_CELLS_MAX  32u
#define SAMPLE_ROWS_MAX   65536u

struct sample_value {
    const char *name, *value;
};

/* A server, or (is_pool) the pool that the rows before it belong to. Strings are borrowed from the sample. */
struct sample_row {
    const char *pool, *name, *status, *strategy;
    uint64_t weight, active, backup, now, slim, total, failed;
    bool is_pool, is_backup;
    double rate, failures; /* per second since the sample before; below 0: not known */
};

struct sample {
    char *text;            /* owned */
    size_t n_values, n_rows;
    struct sample_value values[SAMPLE_VALUES_MAX];
    struct sample_row *rows; /* owned; each pool comes before its servers */
    uint64_t at_ms;        /* CLOCK_MONOTONIC */
};

/* Takes `text` over, and cuts it. Returns 0, -EPROTO when it is no sample, or -ENOMEM; then the sample is empty. */
int sample_parse(char *text, uint64_t at_ms, struct sample *sample) __attribute__((warn_unused_result));
void sample_fini(struct sample *sample);

/* "" and 0 when it is not there. */
const char *sample_text(const struct sample *sample, const char *name);
uint64_t sample_number(const struct sample *sample, const char *name);

/* Fills in the rates of `now`. `before` may be empty; a process that was started anew in between has no rates. */
void sample_compare(struct sample *now, const struct sample *before);
/* The same of one value; below 0: not known. */
double sample_rate(const struct sample *now, const struct sample *before, const char *name);

/* "999", "12.3k", "4.56M": at most 6 bytes and the NUL. `text` has SAMPLE_SHORT bytes; returns it. */
#define SAMPLE_SHORT 16u
const char *sample_short(double number, char *text);

#endif
