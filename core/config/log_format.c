/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Compiling the form of the access log; see log_format.h. Control thread. */
#include "config/log_format.h"
#include "config/nearest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const variable_names[] = {
#define X(id, name, sentence) [id] = name,
    LOG_VARIABLES(X)
#undef X
};
static const struct template_names log_names = {
    variable_names, sizeof variable_names / sizeof variable_names[0], LOG_VAR_HTTP_FIELD};

static const struct {
    const char *name, *text;
} presets[] = {
#define X(id, name, text) [id] = {name, text},
    LOG_PRESETS(X)
#undef X
};

static enum log_preset find_preset(const char *source)
{
    enum log_preset preset = 0;

    while (preset < LOG_PRESET_NONE && strcmp(presets[preset].name, source) != 0)
        preset++;
    return preset;
}

static int fail_word(const char *source, char *error, size_t error_size)
{
    struct nearest nearest = {.word = source};

    for (enum log_preset preset = 0; preset < LOG_PRESET_NONE; preset++)
        nearest_offer(&nearest, presets[preset].name);
    if (nearest.best != NULL)
        snprintf(error, error_size, "cannot be \"%.64s\"; did you mean \"%s\"?", source, nearest.best);
    else
        snprintf(error, error_size, "is \"%.64s\", which is no form that is built in, and has no variable",
                 source);
    return -EINVAL;
}

/* What begins "unknown variable" reads well behind "has". */
static int compile_text(const char *text, struct template **template, char *error, size_t error_size)
{
    char fault[256];

    if (strpbrk(text, "\r\n") != NULL) {
        snprintf(error, error_size, "has a line end, but a request has one line");
        return -EINVAL;
    }
    if (template_compile_names(text, &log_names, template, fault, sizeof fault) == 0)
        return 0;
    snprintf(error, error_size, "has %s", fault);
    return -EINVAL;
}

static bool has_variable(const struct template *template)
{
    for (size_t i = 0; i < template->n_parts; i++)
        if (template->parts[i].variable >= 0)
            return true;
    return false;
}

int log_format_compile(const char *source, struct log_format **format, char *error, size_t error_size)
{
    const enum log_preset preset = find_preset(source);
    const char *text = preset == LOG_PRESET_NONE ? source : presets[preset].text;
    struct template *template = NULL;
    size_t size = strlen(source) + 1;

    if (text != NULL && compile_text(text, &template, error, error_size) != 0)
        return -EINVAL;
    if (preset == LOG_PRESET_NONE && !has_variable(template)) {
        template_destroy(template);
        return fail_word(source, error, error_size);
    }
    struct log_format *made = calloc(1, sizeof *made + size);
    if (made == NULL) {
        template_destroy(template);
        snprintf(error, error_size, "cannot be compiled: memory is short");
        return -EINVAL;
    }
    *made = (struct log_format){preset, memcpy(made + 1, source, size), template};
    *format = made;
    return 0;
}

void log_format_destroy(struct log_format *format)
{
    if (format == NULL)
        return;
    template_destroy(format->text);
    free(format);
}
