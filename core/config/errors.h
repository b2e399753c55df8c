/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Findings of the reader, each with its place. Behind config_errors_* of config.h. Control thread.
 */
#ifndef FAIRLEAD_CONFIG_ERRORS_H
#define FAIRLEAD_CONFIG_ERRORS_H

#include <stdbool.h>

struct config_errors;

/* A file that was read. Owned by the snapshot's arena. */
struct source_file {
    const char *name; /* as messages show it */
    unsigned number;  /* in the order of reading, for the order of messages */
};

struct place {
    const struct source_file *file;
    unsigned line; /* from 1; 0: the file as a whole */
};

struct config_errors *errors_create(void); /* NULL when memory is short */

/* An error: the configuration will not be used. What comes after CONFIG_ERRORS_MAX is dropped. */
void errors_add(struct config_errors *errors, struct place place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

bool errors_is_full(const struct config_errors *errors);
bool errors_has_any(const struct config_errors *errors);
/* Brings the findings into the order of the files. */
void errors_sort(struct config_errors *errors);

#endif
