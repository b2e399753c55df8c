/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The only file that knows PCRE2. Patterns are compiled on the control thread and matched on workers, each
 * with its own scratch. Never lets a subject run a match without limits.
 */
#include "config/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <errno.h>
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

/* What one match may cost at most: some milliseconds with a pattern that backtracks badly. */
#define MATCH_LIMIT    100000u
#define DEPTH_LIMIT    1000u
#define HEAP_LIMIT_KIB 256u
#define JIT_STACK_MIN  (32u * 1024)
#define JIT_STACK_MAX  (256u * 1024)

struct pattern {
    pcre2_code *code;
    bool nocase;
};

struct pattern_scratch {
    pcre2_match_data *data;
    pcre2_match_context *limits;
    pcre2_jit_stack *stack;
};

int pattern_compile(const char *text, bool nocase, struct pattern **pattern, char *error, size_t error_size)
{
    int code;
    PCRE2_SIZE offset;
    struct pattern *made = calloc(1, sizeof *made);

    if (made == NULL) {
        snprintf(error, error_size, "memory is short");
        return -EINVAL;
    }
    made->code = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, nocase ? PCRE2_CASELESS : 0, &code,
                               &offset, NULL);
    if (made->code == NULL) {
        PCRE2_UCHAR sentence[160];

        pcre2_get_error_message(code, sentence, sizeof sentence);
        snprintf(error, error_size, "%s at offset %zu", (const char *)sentence, (size_t)offset);
        free(made);
        return -EINVAL;
    }
    /* Where memory may not be made executable, the interpreter does the same, slower. */
    (void)pcre2_jit_compile(made->code, PCRE2_JIT_COMPLETE);
    made->nocase = nocase;
    *pattern = made;
    return 0;
}

bool pattern_is_nocase(const struct pattern *pattern)
{
    return pattern->nocase;
}

void pattern_destroy(struct pattern *pattern)
{
    if (pattern == NULL)
        return;
    pcre2_code_free(pattern->code);
    free(pattern);
}

struct pattern_scratch *pattern_scratch_create(void)
{
    struct pattern_scratch *scratch = calloc(1, sizeof *scratch);

    if (scratch == NULL)
        return NULL;
    /* One pair of offsets: only whether it matched is asked. */
    scratch->data = pcre2_match_data_create(1, NULL);
    scratch->limits = pcre2_match_context_create(NULL);
    if (scratch->data == NULL || scratch->limits == NULL) {
        pattern_scratch_destroy(scratch);
        return NULL;
    }
    pcre2_set_match_limit(scratch->limits, MATCH_LIMIT);
    pcre2_set_depth_limit(scratch->limits, DEPTH_LIMIT);
    pcre2_set_heap_limit(scratch->limits, HEAP_LIMIT_KIB);
    /* NULL (no JIT, or no memory for it) leaves the smaller stack that PCRE2 takes by itself. */
    scratch->stack = pcre2_jit_stack_create(JIT_STACK_MIN, JIT_STACK_MAX, NULL);
    pcre2_jit_stack_assign(scratch->limits, NULL, scratch->stack);
    return scratch;
}

void pattern_scratch_destroy(struct pattern_scratch *scratch)
{
    if (scratch == NULL)
        return;
    pcre2_match_data_free(scratch->data);
    pcre2_match_context_free(scratch->limits);
    pcre2_jit_stack_free(scratch->stack);
    free(scratch);
}

bool pattern_matches(const struct pattern *pattern, struct pattern_scratch *scratch, struct span subject)
{
    PCRE2_SPTR bytes = (PCRE2_SPTR)(subject.len > 0 ? subject.p : "");

    /* 0 is a match whose groups did not fit; every negative answer, limits included, is none. */
    return pcre2_match(pattern->code, bytes, subject.len, 0, 0, scratch->data, scratch->limits) >= 0;
}
