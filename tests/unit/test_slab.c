/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The promises of engine/slab.h: the limit, the order, the alignment, and that what is free is poisoned when
 * AddressSanitizer looks.
 */
#include "engine/slab.h"

#include <check.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#if __has_include(<sanitizer/asan_interface.h>)
#include <sanitizer/asan_interface.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#define IS_POISONED(address) (__asan_address_is_poisoned(address) != 0)
#else
#define IS_POISONED(address) ((void)(address), true)
#endif

START_TEST(nothing_is_allocated_before_the_first_get)
{
    struct slab slab;

    slab_init(&slab, 100, 10);
    ck_assert_ptr_null(slab.chunks);
    ck_assert_uint_eq(slab.total, 0);
    ck_assert_uint_eq(slab.object_size, 112);
    slab_fini(&slab);
}
END_TEST

START_TEST(the_limit_is_kept_and_refusals_are_counted)
{
    struct slab slab;
    void *objects[1001];

    slab_init(&slab, 200, 1000);
    for (int i = 0; i < 1000; i++) {
        objects[i] = slab_get(&slab);
        ck_assert_ptr_nonnull(objects[i]);
        memset(objects[i], i, 200);
    }
    ck_assert_uint_eq(slab.total, 1000);
    ck_assert_ptr_null(slab_get(&slab));
    ck_assert_ptr_null(slab_get(&slab));
    ck_assert_uint_eq(slab.refused, 2);
    for (int i = 0; i < 1000; i++) {
        ck_assert_uint_eq(*((unsigned char *)objects[i] + 199), (unsigned char)i);
        slab_put(&slab, objects[i]);
    }
    ck_assert_uint_eq(slab.used, 0);
    slab_fini(&slab);
}
END_TEST

START_TEST(a_limit_of_nothing_refuses)
{
    struct slab slab;

    slab_init(&slab, 16, 0);
    ck_assert_ptr_null(slab_get(&slab));
    ck_assert_uint_eq(slab.refused, 1);
    slab_fini(&slab);
}
END_TEST

START_TEST(the_object_put_last_is_got_first)
{
    struct slab slab;
    void *first, *second;

    slab_init(&slab, 64, 100);
    first = slab_get(&slab);
    second = slab_get(&slab);
    slab_put(&slab, second);
    slab_put(&slab, first);
    ck_assert_ptr_eq(slab_get(&slab), first);
    ck_assert_ptr_eq(slab_get(&slab), second);
    slab_fini(&slab);
}
END_TEST

START_TEST(objects_are_aligned_and_larger_than_a_chunk_if_need_be)
{
    static const size_t sizes[] = {1, 16, 24, 512, 513, 1500, 65536, 200000};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct slab slab;

        slab_init(&slab, sizes[i], 5);
        for (int n = 0; n < 5; n++) {
            char *object = slab_get(&slab);

            ck_assert_ptr_nonnull(object);
            ck_assert_uint_eq((uintptr_t)object % (sizes[i] > 512 ? 64 : 16), 0);
            memset(object, 0x5a, sizes[i]);
        }
        ck_assert_ptr_null(slab_get(&slab));
        slab_fini(&slab);
    }
}
END_TEST

START_TEST(a_free_object_is_poisoned)
{
    struct slab slab;
    char *object;

    slab_init(&slab, 96, 10);
    object = slab_get(&slab);
    object[0] = object[95] = 1;
    slab_put(&slab, object);
    ck_assert(IS_POISONED(object));
    ck_assert(IS_POISONED(object + 95));
    slab_fini(&slab);
}
END_TEST

static Suite *slab_suite(void)
{
    Suite *suite = suite_create("slab");
    TCase *tcase = tcase_create("slab");

    tcase_add_test(tcase, nothing_is_allocated_before_the_first_get);
    tcase_add_test(tcase, the_limit_is_kept_and_refusals_are_counted);
    tcase_add_test(tcase, a_limit_of_nothing_refuses);
    tcase_add_test(tcase, the_object_put_last_is_got_first);
    tcase_add_test(tcase, objects_are_aligned_and_larger_than_a_chunk_if_need_be);
    tcase_add_test(tcase, a_free_object_is_poisoned);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(slab_suite());

    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
