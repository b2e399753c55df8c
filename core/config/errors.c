/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The bounded list of findings. Control thread. Outlives the files it speaks of, so every line is a string of
 * its own.
 */
#include "config/errors.h"
#include "config/config.h"

#include <stdarg.h>
#include <stdlib.h>

struct finding {
    char *text; /* owned; the whole sentence with its place */
    unsigned file, line, order;
};

struct config_errors {
    size_t n;
    bool lost; /* a finding could not be kept for want of memory */
    struct finding findings[CONFIG_ERRORS_MAX];
};

struct config_errors *errors_create(void)
{
    return calloc(1, sizeof(struct config_errors));
}

void errors_add(struct config_errors *errors, struct place place, const char *format, ...)
{
    char *sentence, *text;
    va_list arguments;

    if (errors_is_full(errors))
        return;
    va_start(arguments, format);
    int len = vasprintf(&sentence, format, arguments);
    va_end(arguments);
    if (len < 0) {
        errors->lost = true;
        return;
    }
    len = asprintf(&text, "%s in %s:%u", sentence, place.file->name, place.line);
    free(sentence);
    if (len < 0) {
        errors->lost = true;
        return;
    }
    /* A finding is one line, whatever the file had in its names, and the directory in its own. */
    for (char *p = text; *p != '\0'; p++)
        if ((unsigned char)*p < ' ' || *p == 127)
            *p = '?';
    errors->findings[errors->n] = (struct finding){text, place.file->number, place.line, (unsigned)errors->n};
    errors->n++;
}

bool errors_is_full(const struct config_errors *errors)
{
    return errors->n == CONFIG_ERRORS_MAX;
}

bool errors_has_any(const struct config_errors *errors)
{
    return errors->n > 0 || errors->lost;
}

static int compare(unsigned a, unsigned b)
{
    return (a > b) - (a < b);
}

static int compare_findings(const void *left, const void *right)
{
    const struct finding *a = left, *b = right;

    if (a->file != b->file)
        return compare(a->file, b->file);
    if (a->line != b->line)
        return compare(a->line, b->line);
    return compare(a->order, b->order);
}

void errors_sort(struct config_errors *errors)
{
    qsort(errors->findings, errors->n, sizeof errors->findings[0], compare_findings);
}

void config_errors_print(const struct config_errors *errors, FILE *out)
{
    if (errors == NULL)
        return;
    for (size_t i = 0; i < errors->n; i++)
        fprintf(out, "fairlead: [emerg] %s\n", errors->findings[i].text);
}

size_t config_errors_count(const struct config_errors *errors)
{
    return errors == NULL ? 0 : errors->n;
}

void config_errors_destroy(struct config_errors *errors)
{
    if (errors == NULL)
        return;
    for (size_t i = 0; i < errors->n; i++)
        free(errors->findings[i].text);
    free(errors);
}
