/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The tables of doc/configuration.md. */
#include "manual.h"

#include "config/log_format.h"
#include "config/template.h"

static bool has_keys(enum context context)
{
    return context < N_CONTEXTS;
}

/* A bar would end the cell. */
static void put_sentence(const char *text, FILE *out)
{
    for (; *text != '\0'; text++)
        fprintf(out, *text == '|' ? "\\%c" : "%c", *text);
}

static void put_keys(enum context context, FILE *out)
{
    size_t n;
    const struct key *keys = schema_keys(&n);

    fputs("| key | type | range | default | what it is |\n|---|---|---|---|---|\n", out);
    for (size_t i = 0; i < n; i++) {
        if (!schema_stands_in(&keys[i], context))
            continue;
        fprintf(out, "| `%s` | ", keys[i].name);
        manual_put_type(&keys[i], "`", out);
        fputs(" | ", out);
        manual_put_range(&keys[i], out);
        fputs(" | ", out);
        manual_put_fallback(&keys[i], context, "`", out);
        fputs(" | ", out);
        put_sentence(keys[i].sentence, out);
        fputs(" |\n", out);
    }
}

static void put_variables(FILE *out)
{
    fputs("| variable | what it is |\n|---|---|\n", out);
#define X(id, name, sentence) fputs("| `$" name "` | " sentence " |\n", out);
    TEMPLATE_VARIABLES(X)
#undef X
}

static void put_log_variables(FILE *out)
{
    fputs("| variable | what it is |\n|---|---|\n| `$http_NAME` | a field of the request, `_` for `-`: "
          "`$http_user_agent` |\n",
          out);
#define X(id, name, sentence) fputs("| `$" name "` | " sentence " |\n", out);
    LOG_VARIABLES(X)
#undef X
}

const struct manual_style manual_markdown = {"<!-- keys: ", " -->\n",      "<!-- end -->",   has_keys,
                                             put_keys,      put_variables, put_log_variables};
