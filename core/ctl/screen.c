/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Drawing; see screen.h. A line is made of fields of known widths, so that colours never count. Colours tell what needs attention, and nothing else: green serves,
 * yellow serves less, red does not, and what somebody took out on purpose is faint.
 */
#include "ctl/screen.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_LINES  6   /* above the table */
#define STATUS_WIDTH 13
#define NAME_WIDTH  23  /* at 80 columns; wider screens give names what they need, up to NAME_MOST */
#define NAME_LEAST  10
#define NAME_MOST   48
#define TABLE_WIDTH 79  /* with NAME_WIDTH */
#define BAR_LEAST   8
#define BAR_MOST    24

#define PLAIN  "0"
#define BOLD   "1"
#define FAINT  "2"
#define RED    "31"
#define GREEN  "32"
#define YELLOW "33"
#define CYAN   "36"

void screen_fini(struct screen *screen)
{
    free(screen->text);
    screen->text = NULL;
    screen->len = screen->size = 0;
}

static void put_bytes(struct screen *screen, const char *bytes, size_t len)
{
    if (screen->len + len + 1 > screen->size) {
        size_t size = (screen->len + len + 1) * 2;
        char *text = realloc(screen->text, size);

        if (!text) {
            screen->failed = true;
            return;
        }
        screen->text = text;
        screen->size = size;
    }
    memcpy(screen->text + screen->len, bytes, len);
    screen->len += len;
    screen->text[screen->len] = '\0';
}

static void put(struct screen *screen, const char *colour, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Bytes that a terminal might obey are shown as '?'. */
static void put(struct screen *screen, const char *colour, const char *format, ...)
{
    char text[SCREEN_WIDTH_MAX + 1];
    bool coloured = screen->colours && strcmp(colour, PLAIN) != 0;
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < ' ' || (unsigned char)*p > '~')
            *p = '?';
    if (coloured) {
        put_bytes(screen, "\033[", 2);
        put_bytes(screen, colour, strlen(colour));
        put_bytes(screen, "m", 1);
    }
    put_bytes(screen, text, strlen(text));
    if (coloured)
        put_bytes(screen, "\033[0m", 4);
}

static void end_line(struct screen *screen)
{
    put_bytes(screen, "\n", 1);
}

static void put_separator(struct screen *screen)
{
    put(screen, PLAIN, " ");
    put_bytes(screen, screen->unicode ? "\u00b7" : "-", screen->unicode ? strlen("\u00b7") : 1);
    put(screen, PLAIN, " ");
}

/* ---- The head ---- */

static void put_age(struct screen *screen, uint64_t ms)
{
    unsigned long long s = ms / 1000;

    if (s >= 86400)
        put(screen, PLAIN, "up %llud %02lluh", s / 86400, s / 3600 % 24);
    else
        put(screen, PLAIN, "up %llu:%02llu:%02llu", s / 3600, s / 60 % 60, s % 60);
}

static void draw_title(struct screen *screen, const struct sample *now)
{
    unsigned long long refused = sample_number(now, "reloads_failed");

    put(screen, BOLD, "  fairlead %s", sample_text(now, "version"));
    put_separator(screen);
    put(screen, PLAIN, "pid %s", sample_text(now, "pid"));
    put_separator(screen);
    put_age(screen, sample_number(now, "uptime_ms"));
    put_separator(screen);
    put(screen, PLAIN, "%s reloads", sample_text(now, "reloads"));
    if (refused > 0)
        put(screen, YELLOW, ", %llu refused", refused);
    if (sample_number(now, "stopping"))
        put(screen, YELLOW, "   stopping");
    end_line(screen);
    end_line(screen);
}

static void put_rate(struct screen *screen, const struct sample *now, const struct sample *before, const char *name)
{
    char text[SAMPLE_SHORT];

    put(screen, CYAN, "%6s/s", sample_short(sample_rate(now, before, name), text));
}

static void put_number(struct screen *screen, const char *colour, uint64_t number)
{
    char text[SAMPLE_SHORT];

    put(screen, colour, "%6s", sample_short((double)number, text));
}

static void draw_numbers(struct screen *screen, const struct sample *now, const struct sample *before)
{
    unsigned long long serving = sample_number(now, "servers_serving"), servers = sample_number(now, "servers");
    uint64_t lost = sample_number(now, "log_dropped") + sample_number(now, "syslog_dropped");

    put(screen, FAINT, "  connections ");
    put_rate(screen, now, before, "connections");
    put_number(screen, PLAIN, sample_number(now, "clients"));
    put(screen, FAINT, " open      requests    ");
    put_rate(screen, now, before, "requests");
    put_number(screen, PLAIN, sample_number(now, "exchanges"));
    put(screen, FAINT, " in flight");
    end_line(screen);
    put(screen, FAINT, "  servers     ");
    put(screen, serving < servers ? YELLOW : PLAIN, "%6llu", serving);
    put(screen, FAINT, " of %5llu serve     log lost    ", servers);
    put_number(screen, lost ? YELLOW : PLAIN, lost);
    put(screen, FAINT, "       workers %s", sample_text(now, "workers"));
    end_line(screen);
    end_line(screen);
}

/* ---- The table ---- */

static int name_width(const struct screen *screen)
{
    int room = NAME_WIDTH + screen->width - TABLE_WIDTH - 1;
    int width = screen->names > NAME_WIDTH ? screen->names : NAME_WIDTH;

    width = width > NAME_MOST ? NAME_MOST : width;
    width = width > room ? room : width;
    return width < NAME_LEAST ? NAME_LEAST : width;
}

/* Cells of the bar behind a row; 0: there is no room for one. */
static int bar_width(const struct screen *screen)
{
    int width = screen->width - (TABLE_WIDTH - NAME_WIDTH + name_width(screen)) - 4;

    if (width < BAR_LEAST)
        return 0;
    return width > BAR_MOST ? BAR_MOST : width;
}

/* A name that is too long keeps its end, where names differ. */
static void put_name(struct screen *screen, const char *colour, const char *name, int width)
{
    int len = (int)strlen(name);

    if (len > width)
        put(screen, colour, "..%s", name + len - width + 2);
    else
        put(screen, colour, "%-*s", width, name);
}

static const char *colour_of(const char *status)
{
    if (strcmp(status, "UP") == 0)
        return GREEN;
    if (strncmp(status, "DOWN", 4) == 0)
        return RED;
    if (strncmp(status, "DRAIN", 5) == 0 || strcmp(status, "EJECTED") == 0 || strcmp(status, "PANIC") == 0)
        return YELLOW;
    return FAINT;
}

static void draw_bar(struct screen *screen, double part)
{
    static const char *const eighths[] = {"", "\u258f", "\u258e", "\u258d", "\u258c", "\u258b", "\u258a", "\u2589", "\u2588"};
    int cells = bar_width(screen);
    int filled = part > 0 ? (int)(part * cells * 8 + 0.5) : 0;

    if (cells == 0 || filled == 0)
        return;
    put(screen, PLAIN, "  ");
    if (screen->colours)
        put_bytes(screen, "\033[36m", 5);
    for (; filled > 0; filled -= 8)
        if (screen->unicode)
            put_bytes(screen, eighths[filled < 8 ? filled : 8], strlen(eighths[filled < 8 ? filled : 8]));
        else
            put_bytes(screen, "#", 1);
    if (screen->colours)
        put_bytes(screen, "\033[0m", 4);
}

static void put_numbers(struct screen *screen, const struct sample_row *row, const char *colour)
{
    char text[SAMPLE_SHORT];

    put(screen, colour, " %6s", sample_short((double)row->now, text));
    put(screen, colour, " %8s", sample_short(row->rate, text));
    put(screen, row->failures > 0 ? RED : colour, " %7s", sample_short(row->failures, text));
    put(screen, colour, " %8s", sample_short((double)row->total, text));
}

static void draw_pool(struct screen *screen, const struct sample_row *row, size_t n_servers)
{
    char status[64];

    snprintf(status, sizeof(status), "%s %llu/%zu", row->status, (unsigned long long)(row->active + row->backup), n_servers);
    put(screen, PLAIN, "  ");
    put_name(screen, BOLD, row->pool, name_width(screen));
    put(screen, row->active + row->backup < n_servers && strcmp(row->status, "UP") == 0 ? YELLOW : colour_of(row->status), " %-*.*s", STATUS_WIDTH, STATUS_WIDTH, status);
    put(screen, PLAIN, " %6s", "");
    put_numbers(screen, row, BOLD);
    put(screen, FAINT, "%s%.*s", bar_width(screen) ? "  " : "", bar_width(screen), row->strategy);
    end_line(screen);
}

static void draw_server(struct screen *screen, const struct sample_row *row, double pool_rate)
{
    put(screen, PLAIN, "    ");
    put_name(screen, PLAIN, row->name, name_width(screen) - 2);
    put(screen, colour_of(row->status), " %-*.*s", STATUS_WIDTH, STATUS_WIDTH, row->status);
    put(screen, FAINT, " %5llu%s", (unsigned long long)row->weight, row->is_backup ? "b" : " ");
    put_numbers(screen, row, PLAIN);
    draw_bar(screen, pool_rate > 0 ? row->rate / pool_rate : 0);
    end_line(screen);
}

static void draw_heads(struct screen *screen)
{
    put(screen, FAINT, "  %-*s %-*s %6s %6s %8s %7s %8s", name_width(screen), "POOL / SERVER", STATUS_WIDTH, "STATUS", "WEIGHT", "NOW", "REQ/S", "FAIL/S", "TOTAL");
    end_line(screen);
}

/* ---- The order: what is in trouble stands first, then by name ---- */

struct group {
    const struct sample_row *rows; /* the pool, then its servers */
    size_t n;
};

static int trouble_of(const struct group *group)
{
    const struct sample_row *pool = group->rows;

    if (pool->active + pool->backup == 0)
        return 0;
    return pool->active + pool->backup < group->n - 1 ? 1 : 2;
}

static int compare(const void *left, const void *right)
{
    const struct group *a = left, *b = right;
    int difference = trouble_of(a) - trouble_of(b);

    return difference ? difference : strcmp(a->rows->pool, b->rows->pool);
}

static size_t group_rows(const struct sample *now, struct group *groups)
{
    size_t n = 0;

    for (size_t i = 0; i < now->n_rows; i++) {
        if (now->rows[i].is_pool)
            groups[n++] = (struct group){.rows = &now->rows[i]};
        if (n > 0)
            groups[n - 1].n++;
    }
    qsort(groups, n, sizeof(*groups), compare);
    return n;
}

/* `skip` rows from the top are left out, and those that do not fit. Returns how many were left out at the bottom. */
static size_t draw_groups(struct screen *screen, const struct group *groups, size_t n, size_t skip, size_t most)
{
    size_t at = 0, left_out = 0;

    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < groups[i].n; k++, at++) {
            if (at < skip)
                continue;
            if (at - skip >= most)
                left_out++;
            else if (k == 0)
                draw_pool(screen, groups[i].rows, groups[i].n - 1);
            else
                draw_server(screen, &groups[i].rows[k], groups[i].rows->rate);
        }
    return left_out;
}

static void draw_last_line(struct screen *screen, size_t left_out)
{
    if (screen->trouble)
        put(screen, RED, "  %.*s", screen->width - 3, screen->trouble);
    else if (left_out > 0)
        put(screen, FAINT, "  %zu more below   j k scroll   q quit", left_out);
    else
        put(screen, FAINT, "  q quit");
    end_line(screen);
}

static void draw_table(struct screen *screen, const struct sample *now)
{
    struct group *groups = malloc((now->n_rows + 1) * sizeof(*groups));
    size_t most = screen->height == 0 ? now->n_rows : screen->height > HEAD_LINES + 1 ? (size_t)(screen->height - HEAD_LINES - 1) : 1;
    size_t n = groups ? group_rows(now, groups) : 0, left_out;

    screen->failed |= !groups;
    if (screen->scroll + most > now->n_rows)
        screen->scroll = now->n_rows > most ? now->n_rows - most : 0;
    left_out = draw_groups(screen, groups, n, screen->scroll, most);
    free(groups);
    if (screen->height == 0)
        return;
    for (size_t drawn = now->n_rows - screen->scroll - left_out; drawn < most; drawn++)
        end_line(screen);
    draw_last_line(screen, left_out);
}

/* Servers are indented. */
static int longest_name(const struct sample *now)
{
    size_t longest = 0;

    for (size_t i = 0; i < now->n_rows; i++) {
        size_t len = now->rows[i].is_pool ? strlen(now->rows[i].pool) : strlen(now->rows[i].name) + 2;

        longest = len > longest ? len : longest;
    }
    return longest > NAME_MOST ? NAME_MOST : (int)longest;
}

void screen_draw(struct screen *screen, const struct sample *now, const struct sample *before)
{
    screen->len = 0;
    screen->failed = false;
    screen->names = longest_name(now);
    draw_title(screen, now);
    draw_numbers(screen, now, before);
    draw_heads(screen);
    draw_table(screen, now);
}
