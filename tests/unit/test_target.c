/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The promises of target.h: what a path means for routing, how it is escaped, and which authorities are
 * valid. Numbers are requirements of HTTP.md. One thread, no I/O.
 */
#include "http/target.h"

#include <check.h>
#include <stdlib.h>

#define S(text)                                                                                              \
    {                                                                                                        \
        (text), sizeof(text) - 1                                                                             \
    }

struct normalized {
    struct span path;
    const char *expected; /* NULL: refused */
};

static const struct normalized normalized[] = {
    {S("/"), "/"},
    {S("/a/b"), "/a/b"},
    {S("/a?b/../c"), "/a"},
    {S(""), "/"},
    {S("?q"), "/"},
    {S("/a//b///c/"), "/a/b/c/"},
    {S("//"), "/"},
    {S("/./a/./b/."), "/a/b/"},
    {S("/a/../b"), "/b"},
    {S("/a/b/.."), "/a/"},
    {S("/a/.."), "/"},
    {S("/a/b/../../c"), "/c"},
    {S("/a//../b"), "/b"},
    {S("/%61dmin"), "/admin"},
    {S("/a/%2e%2E/admin"), "/admin"},
    {S("/a%2F..%2fadmin"), "/admin"},
    {S("/%252e"), "/%2e"},
    {S("/...//.a/..b"), "/.../.a/..b"},
    {S("/%20%ff%3f"), "/ \xff?"},
    {S("/.."), NULL},
    {S("/../a"), NULL},
    {S("/a/../../b"), NULL},
    {S("/%2e%2e/"), NULL},
    {S("//.."), NULL},
    {S("/%"), NULL},
    {S("/%4"), NULL},
    {S("/%4?1"), NULL},
    {S("/%zz"), NULL},
    {S("/%00"), NULL},
    {S("/a\0b"), NULL},
    {S("a"), NULL},
    {S("*"), NULL},
};

START_TEST(paths_mean_what_an_origin_takes_them_for) /* requirement 11 */
{
    char out[64];
    for (size_t i = 0; i < sizeof(normalized) / sizeof(normalized[0]); i++) {
        const struct normalized *row = &normalized[i];
        ssize_t len = target_normalize(row->path, out, sizeof(out));
        ssize_t expected = row->expected != NULL ? (ssize_t)strlen(row->expected) : -1;
        ck_assert_msg(len == expected && (len < 0 || memcmp(out, row->expected, (size_t)len) == 0),
                      "<%s>: %zd", row->path.p, len);
    }
}
END_TEST

START_TEST(a_small_buffer_is_never_overrun)
{
    char out[8];
    ck_assert_int_eq(target_normalize((struct span)S("/abc/"), out, 5), 5);
    ck_assert_int_eq(target_normalize((struct span)S("/abc/"), out, 4), -1);
    ck_assert_int_eq(target_normalize((struct span)S("/"), out, 0), -1);
    ck_assert_int_eq(target_escape((struct span)S("/a b"), out, 6), 6);
    ck_assert_int_eq(target_escape((struct span)S("/a b"), out, 5), -1);
    ck_assert_int_eq(target_escape((struct span)S("/ "), out, 3), -1);
}
END_TEST

START_TEST(escaping_leaves_only_path_characters_raw)
{
    char out[64];
    struct span path = S("/aZ9-._~!$&'()*+,;=:@ %?#\"\xff");
    const char *expected = "/aZ9-._~!$&'()*+,;=:@%20%25%3F%23%22%FF";
    ck_assert_int_eq(target_escape(path, out, sizeof(out)), (ssize_t)strlen(expected));
    ck_assert(memcmp(out, expected, strlen(expected)) == 0);
}
END_TEST

struct authority {
    struct span text;
    size_t host_len; /* 0: invalid */
};

static const struct authority authorities[] = {
    {S("a"), 1},
    {S("example.com"), 11},
    {S("example.com:"), 11},
    {S("example.com:8080"), 11},
    {S("a:65535"), 1},
    {S("a:00080"), 1},
    {S("127.0.0.1:80"), 9},
    {S("a_b-c~d"), 7},
    {S("a%20b"), 5},
    {S("[::1]"), 5},
    {S("[::1]:80"), 5},
    {S("[2001:db8::ffff:192.0.2.1]"), 26},
    {S(""), 0},
    {S(":80"), 0},
    {S("a:80:80"), 0},
    {S("a:65536"), 0},
    {S("a:000080"), 0},
    {S("a:-1"), 0},
    {S("a:8o"), 0},
    {S("u@a"), 0},
    {S("u:p@a"), 0},
    {S("a,b"), 0},
    {S("a b"), 0},
    {S("a/b"), 0},
    {S("a?b"), 0},
    {S("a#b"), 0},
    {S("a\\b"), 0},
    {S("a\0b"), 0},
    {S("a\x7f"), 0},
    {S("\xc3\xa4"), 0},
    {S("a%2"), 0},
    {S("a%zz"), 0},
    {S("[::1"), 0},
    {S("[]"), 0},
    {S("["), 0},
    {S("[::1]a"), 0},
    {S("[::1]80"), 0},
    {S("[::1%25eth0]"), 0},
    {S("[v1.x]"), 0},
    {S("[127.0.0.1]"), 0},
    {S("[::1\0]"), 0},
    {S("::1"), 0},
    {S("[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]"), 0},
};

START_TEST(authorities_are_judged_strictly) /* requirement 32 */
{
    for (size_t i = 0; i < sizeof(authorities) / sizeof(authorities[0]); i++) {
        const struct authority *row = &authorities[i];
        size_t host_len = 99;
        bool valid = target_authority_valid(row->text, &host_len);
        ck_assert_msg(valid == (row->host_len > 0), "<%s>", row->text.p);
        ck_assert_msg(host_len == row->host_len, "<%s>: %zu", row->text.p, host_len);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("target");
    TCase *tcase = tcase_create("promises");
    tcase_add_test(tcase, paths_mean_what_an_origin_takes_them_for);
    tcase_add_test(tcase, a_small_buffer_is_never_overrun);
    tcase_add_test(tcase, escaping_leaves_only_path_characters_raw);
    tcase_add_test(tcase, authorities_are_judged_strictly);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
