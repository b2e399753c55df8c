/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Taking a sample apart; see sample.h. */
#include "ctl/sample.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where each column stands that we know; cells that are missing are "". */
enum cell { PXNAME, SVNAME, STATUS, WEIGHT, ACT, BCK, SCUR, SLIM, STOT, FAILED, ALGO, N_CELLS };

static const char *const cell_names[N_CELLS] = {"pxname", "svname", "status", "weight", "act", "bck", "scur", "slim", "stot", "failed", "algo"};

/* Takes the next cell off a line, in place; quoted ones may hold commas (RFC 4180 2). NULL at its end. */
static char *next_cell(char **rest)
{
    char *cell = *rest, *to = cell, *from = cell;
    bool quoted = cell && *cell == '"';

    if (!cell)
        return NULL;
    for (from += quoted; *from; from++) {
        if (!quoted && *from == ',')
            break;
        if (quoted && *from == '"') {
            if (from[1] != '"') {
                quoted = false;
                continue;
            }
            from++;
        }
        *to++ = *from;
    }
    *rest = *from ? from + 1 : NULL;
    *to = '\0';
    return cell;
}

static bool read_heads(char *line, int places[N_CELLS])
{
    char *rest = line + 2;
    int place = 0, found = 0;

    for (int i = 0; i < N_CELLS; i++)
        places[i] = -1;
    if (strncmp(line, "# ", 2) != 0)
        return false;
    for (char *cell; (cell = next_cell(&rest)); place++)
        for (int i = 0; i < N_CELLS; i++)
            if (strcmp(cell, cell_names[i]) == 0) {
                places[i] = place;
                found++;
            }
    return found == N_CELLS && place <= (int)SAMPLE_CELLS_MAX;
}

static uint64_t number(const char *cell)
{
    return strtoull(cell, NULL, 10);
}

static void read_row(char *line, const int places[N_CELLS], struct sample_row *row)
{
    const char *cells[SAMPLE_CELLS_MAX], *at[N_CELLS];
    int n = 0;

    for (char *cell; n < (int)SAMPLE_CELLS_MAX && (cell = next_cell(&line)); n++)
        cells[n] = cell;
    for (int i = 0; i < N_CELLS; i++)
        at[i] = places[i] < n ? cells[places[i]] : "";
    *row = (struct sample_row){.pool = at[PXNAME], .name = at[SVNAME], .status = at[STATUS], .strategy = at[ALGO], .rate = -1, .failures = -1};
    row->weight = number(at[WEIGHT]);
    row->active = number(at[ACT]);
    row->backup = number(at[BCK]);
    row->now = number(at[SCUR]);
    row->slim = number(at[SLIM]);
    row->total = number(at[STOT]);
    row->failed = number(at[FAILED]);
    row->is_pool = strcmp(row->name, "BACKEND") == 0;
    row->is_backup = !row->is_pool && row->backup > 0;
}

/* In the answer a pool stands behind its servers. */
static void put_pools_first(struct sample *sample)
{
    size_t first = 0;

    for (size_t i = 0; i < sample->n_rows; i++) {
        struct sample_row pool = sample->rows[i];

        if (!pool.is_pool)
            continue;
        memmove(&sample->rows[first + 1], &sample->rows[first], (i - first) * sizeof(pool));
        sample->rows[first] = pool;
        first = i + 1;
    }
}

static int read_rows(struct sample *sample, char *text)
{
    char *line = strsep(&text, "\n");
    int places[N_CELLS];
    size_t room = 0;

    if (!line || !read_heads(line, places))
        return -EPROTO;
    while ((line = strsep(&text, "\n")) && sample->n_rows < SAMPLE_ROWS_MAX) {
        if (*line == '\0')
            continue;
        if (sample->n_rows == room) {
            struct sample_row *rows = realloc(sample->rows, (room = room ? room * 2 : 64) * sizeof(*rows));

            if (!rows)
                return -ENOMEM;
            sample->rows = rows;
        }
        read_row(line, places, &sample->rows[sample->n_rows++]);
    }
    put_pools_first(sample);
    return 0;
}

int sample_parse(char *text, uint64_t at_ms, struct sample *sample)
{
    char *line;
    int result = -EPROTO;

    *sample = (struct sample){.text = text, .at_ms = at_ms};
    while ((line = strsep(&text, "\n")) && *line && sample->n_values < SAMPLE_VALUES_MAX) {
        char *space = strchr(line, ' ');

        if (!space)
            break;
        *space = '\0';
        sample->values[sample->n_values++] = (struct sample_value){line, space + 1};
    }
    if (line && *line == '\0' && text)
        result = read_rows(sample, text);
    if (result)
        sample_fini(sample);
    return result;
}

void sample_fini(struct sample *sample)
{
    free(sample->text);
    free(sample->rows);
    *sample = (struct sample){0};
}

const char *sample_text(const struct sample *sample, const char *name)
{
    for (size_t i = 0; i < sample->n_values; i++)
        if (strcmp(sample->values[i].name, name) == 0)
            return sample->values[i].value;
    return "";
}

uint64_t sample_number(const struct sample *sample, const char *name)
{
    return number(sample_text(sample, name));
}

static double rate(uint64_t now, uint64_t before, uint64_t ms)
{
    return now >= before && ms > 0 ? (double)(now - before) * 1000 / (double)ms : -1;
}

static bool comparable(const struct sample *now, const struct sample *before)
{
    return before->n_values > 0 && strcmp(sample_text(now, "pid"), sample_text(before, "pid")) == 0;
}

double sample_rate(const struct sample *now, const struct sample *before, const char *name)
{
    return comparable(now, before) ? rate(sample_number(now, name), sample_number(before, name), now->at_ms - before->at_ms) : -1;
}

static bool same_row(const struct sample_row *a, const struct sample_row *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->pool, b->pool) == 0;
}

/* The rows seldom move, so the one before is looked for from where it was. */
void sample_compare(struct sample *now, const struct sample *before)
{
    size_t at = 0;

    if (!comparable(now, before))
        return;
    for (size_t i = 0; i < now->n_rows; i++) {
        struct sample_row *row = &now->rows[i];

        for (size_t tries = 0; tries < before->n_rows && !same_row(row, &before->rows[at]); tries++)
            at = (at + 1) % before->n_rows;
        if (before->n_rows == 0 || !same_row(row, &before->rows[at]))
            continue;
        row->rate = rate(row->total, before->rows[at].total, now->at_ms - before->at_ms);
        row->failures = rate(row->failed, before->rows[at].failed, now->at_ms - before->at_ms);
        at = (at + 1) % before->n_rows;
    }
}

const char *sample_short(double number_of, char *text)
{
    static const char units[] = " kMGTP";
    int unit = 0;

    if (number_of < 0) {
        snprintf(text, SAMPLE_SHORT, "-");
        return text;
    }
    for (; number_of >= 999.5 && unit < 5; unit++)
        number_of /= 1000;
    if (unit == 0)
        snprintf(text, SAMPLE_SHORT, "%.0f", number_of);
    else
        snprintf(text, SAMPLE_SHORT, "%.*f%c", number_of < 9.995 ? 2 : number_of < 99.95 ? 1 : 0, number_of, units[unit]);
    return text;
}
