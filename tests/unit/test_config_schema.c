/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tests of what the schema promises of itself, and of the small parts that read values: units, hints, the
 * arena.
 */
#include "config/arena.h"
#include "config/load.h"
#include "config/nearest.h"
#include "config/schema.h"
#include "config/units.h"

#include <check.h>
#include <stdint.h>
#include <stdlib.h>

START_TEST(a_key_stands_once_in_a_context)
{
    size_t n;
    const struct key *keys = schema_keys(&n);

    for (size_t i = 0; i < n; i++)
        for (enum context c = 0; c < N_CONTEXTS; c++)
            if (schema_stands_in(&keys[i], c))
                ck_assert_msg(schema_find(c, keys[i].name) == &keys[i], "%s stands twice in %s", keys[i].name,
                              schema_context_name(c));
}
END_TEST

START_TEST(every_key_has_a_home_and_a_sentence)
{
    size_t n;
    const struct key *keys = schema_keys(&n);

    ck_assert_uint_gt(n, 60);
    for (size_t i = 0; i < n; i++) {
        const struct key *key = &keys[i];
        bool number = key->type == KEY_INT || key->type == KEY_TIME || key->type == KEY_SIZE;

        ck_assert_msg(key->contexts != 0 && key->contexts >> N_CONTEXTS == 0, "%s", key->name);
        ck_assert_msg(key->sentence[strlen(key->sentence) - 1] == '.', "%s", key->name);
        ck_assert_msg((key->type < KEY_GROUP) == (key->into != INTO_NOTHING), "%s", key->name);
        ck_assert_msg(!number || key->min < key->max, "%s", key->name);
        ck_assert_msg(!number || key->fallback != NULL, "%s", key->name);
        ck_assert_msg(!number || key->width == 8 || key->max <= INT32_MAX, "%s", key->name);
        ck_assert_msg(key->type != KEY_WORD || key->words != NULL, "%s", key->name);
    }
}
END_TEST

static void expect_units(const char *text, const struct unit *units, enum units_result result, int64_t value)
{
    int64_t got = -1;
    char again[UNITS_TEXT_MAX];

    ck_assert_msg(units_parse(text, units, &got) == result, "%s", text);
    if (result != UNITS_OK)
        return;
    ck_assert_int_eq(got, value);
    ck_assert_int_eq(units_parse(units_format(value, units, again), units, &got), UNITS_OK);
    ck_assert_int_eq(got, value);
}

START_TEST(times_and_sizes_need_a_unit)
{
    expect_units("250ms", units_time, UNITS_OK, 250);
    expect_units("10s", units_time, UNITS_OK, 10000);
    expect_units("5m", units_time, UNITS_OK, 300000);
    expect_units("1h", units_time, UNITS_OK, 3600000);
    expect_units("2d", units_time, UNITS_OK, 172800000);
    expect_units("0", units_time, UNITS_OK, 0);
    expect_units("16k", units_size, UNITS_OK, 16384);
    expect_units("1M", units_size, UNITS_OK, 1048576);
    expect_units("3g", units_size, UNITS_OK, 3221225472);
    expect_units("4609b", units_size, UNITS_OK, 4609);
    expect_units("10", units_time, UNITS_NO_UNIT, 0);
    expect_units("5M", units_time, UNITS_UNKNOWN_UNIT, 0);
    expect_units("1 s", units_time, UNITS_UNKNOWN_UNIT, 0);
    expect_units("1.5s", units_time, UNITS_UNKNOWN_UNIT, 0);
    expect_units("", units_time, UNITS_NO_NUMBER, 0);
    expect_units("-1s", units_time, UNITS_NO_NUMBER, 0);
    expect_units("s", units_time, UNITS_NO_NUMBER, 0);
    expect_units("9223372036854775808b", units_size, UNITS_TOO_LARGE, 0);
    expect_units("9223372036854775807k", units_size, UNITS_TOO_LARGE, 0);
}
END_TEST

static const char *nearest_of(const char *word)
{
    static const char *const known[] = {"workers", "user", "proxy_pass", "proxy_read_timeout",
                                        "proxy_send_timeout"};
    struct nearest nearest = {.word = word};

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        nearest_offer(&nearest, known[i]);
    return nearest.best;
}

START_TEST(a_hint_is_the_nearest_word_or_none)
{
    char large[100] = "";

    ck_assert_str_eq(nearest_of("wokers"), "workers");
    ck_assert_str_eq(nearest_of("wrokers"), "workers");
    ck_assert_str_eq(nearest_of("worker"), "workers");
    ck_assert_str_eq(nearest_of("usr"), "user");
    ck_assert_str_eq(nearest_of("proxypass"), "proxy_pass");
    ck_assert_str_eq(nearest_of("proxy_reed_timeout"), "proxy_read_timeout");
    ck_assert_ptr_null(nearest_of("frobnicate"));
    ck_assert_ptr_null(nearest_of("x"));
    ck_assert_ptr_null(nearest_of(""));
    memset(large, 'a', sizeof large - 1);
    ck_assert_ptr_null(nearest_of(large));
}
END_TEST

static int released[2], n_released;

static void release(void *object)
{
    released[n_released++] = *(int *)object;
}

START_TEST(an_arena_releases_what_its_slots_hold_the_youngest_first)
{
    int one = 1, two = 2;
    jmp_buf exit;
    struct arena *arena = arena_create(100000);

    ck_assert_int_eq(setjmp(exit), 0);
    arena_set_exit(arena, &exit);
    *arena_slot(arena, release) = &one;
    (void)arena_slot(arena, release);
    *arena_slot(arena, release) = &two;
    arena_destroy(arena);
    ck_assert_int_eq(n_released, 2);
    ck_assert_int_eq(released[0], 2);
    ck_assert_int_eq(released[1], 1);
}
END_TEST

START_TEST(an_arena_jumps_out_at_its_limit)
{
    jmp_buf exit;
    struct arena *arena = arena_create(1000);

    if (setjmp(exit) == 0) {
        arena_set_exit(arena, &exit);
        char *bytes = arena_alloc(arena, 900, 1);
        for (int i = 0; i < 900; i++)
            ck_assert_int_eq(bytes[i], 0);
        ck_assert_ptr_null(arena_try_alloc(arena, SIZE_MAX / 2, 4));
        arena_alloc(arena, 200, 1);
        ck_abort_msg("it handed out more than its limit");
    }
    arena_destroy(arena);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config_schema");
    TCase *tests = tcase_create("all");
    SRunner *runner = srunner_create(suite);

    suite_add_tcase(suite, tests);
    tcase_add_test(tests, a_key_stands_once_in_a_context);
    tcase_add_test(tests, every_key_has_a_home_and_a_sentence);
    tcase_add_test(tests, times_and_sizes_need_a_unit);
    tcase_add_test(tests, a_hint_is_the_nearest_word_or_none);
    tcase_add_test(tests, an_arena_releases_what_its_slots_hold_the_youngest_first);
    tcase_add_test(tests, an_arena_jumps_out_at_its_limit);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
