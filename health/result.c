/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The names of results; see result.h. */
#include "health/result.h"

static const char *const names[N_CHECK_RESULTS] = {
#define X(result, sentence) [RESULT_##result] = #result,
    CHECK_RESULTS(X)
#undef X
};

const char *health_result_name(unsigned result)
{
    return names[result < N_CHECK_RESULTS ? result : RESULT_UNK];
}
