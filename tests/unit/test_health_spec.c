/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tests of what makes two specs of checks the same: what a reload must not disturb, and what it must change.
 */
#include "health/spec.h"

#include <check.h>
#include <stdlib.h>

static const struct health_range some[] = {{200, 299}, {301, 301}};
static const struct health_range other[] = {{200, 299}, {302, 302}};

static bool holds(const void *context, const char *body, size_t len)
{
    (void)context;
    (void)body;
    return len > 0;
}

static bool lacks(const void *context, const char *body, size_t len)
{
    return !holds(context, body, len);
}

static struct health_spec base(void)
{
    return (struct health_spec){.type = HEALTH_HTTP,
                                .method = "GET",
                                .path = "/",
                                .host = "a",
                                .headers = "",
                                .expect = some,
                                .n_expect = 2,
                                .body_matches = holds,
                                .body_context = some,
                                .body = "ok",
                                .interval_ms = 2000,
                                .fast_interval_ms = 1000,
                                .timeout_ms = 1000,
                                .jitter = 10,
                                .rise = 2,
                                .fall = 3,
                                .port = 80,
                                .initial = HEALTH_UP,
                                .agent_port = 90,
                                .agent_interval_ms = 2000};
}

START_TEST(a_spec_read_once_more_is_the_same)
{
    static const struct health_range copy[] = {{200, 299}, {301, 301}};
    char path[] = "/", body[] = "ok";
    const struct health_spec a = base();
    struct health_spec b = base();

    b.path = path;
    b.expect = copy;
    b.body = body;
    b.body_context = copy; /* a pattern that was compiled once more */
    ck_assert(health_spec_same_check(&a, &b));
    ck_assert(health_spec_same_agent(&a, &b));
}
END_TEST

START_TEST(the_first_state_is_no_matter_later)
{
    const struct health_spec a = base();
    struct health_spec b = base();

    b.initial = HEALTH_FULLY_DOWN;
    ck_assert(health_spec_same_check(&a, &b));
}
END_TEST

/* One field of a spec, and whether it is of the check, of the agent, or of both. */
#define FIELDS(X)                                                                                            \
    X(type, HEALTH_TCP, true, false)                                                                         \
    X(method, "HEAD", true, false)                                                                           \
    X(path, "/x", true, false)                                                                               \
    X(host, NULL, true, false)                                                                               \
    X(headers, "A: b\r\n", true, false)                                                                      \
    X(expect, other, true, false)                                                                            \
    X(n_expect, 1, true, false)                                                                              \
    X(body_matches, lacks, true, false)                                                                      \
    X(interval_ms, 1, true, false)                                                                           \
    X(fast_interval_ms, 1, true, false)                                                                      \
    X(timeout_ms, 1, true, true)                                                                             \
    X(jitter, 1, true, true)                                                                                 \
    X(rise, 1, true, false)                                                                                  \
    X(fall, 1, true, false)                                                                                  \
    X(port, 1, true, false)                                                                                  \
    X(agent_port, 1, false, true)                                                                            \
    X(agent_interval_ms, 1, false, true)

START_TEST(any_other_field_makes_another_check_or_agent)
{
    const struct health_spec a = base();

#define X(field, value, of_check, of_agent)                                                                  \
    {                                                                                                        \
        struct health_spec b = base();                                                                       \
                                                                                                             \
        b.field = value;                                                                                     \
        ck_assert_msg(health_spec_same_check(&a, &b) != of_check, "check, " #field);                         \
        ck_assert_msg(health_spec_same_agent(&a, &b) != of_agent, "agent, " #field);                         \
    }
    FIELDS(X)
#undef X
}
END_TEST

START_TEST(tests_of_bodies_are_the_same_by_their_text)
{
    struct health_spec a = base(), b = base();

    b.body_context = other;
    b.body = "no";
    ck_assert(!health_spec_same_check(&a, &b));
    a.body = b.body = NULL;
    ck_assert(!health_spec_same_check(&a, &b)); /* nobody can tell */
    b.body_context = a.body_context;
    ck_assert(health_spec_same_check(&a, &b));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("health_spec");
    TCase *tests = tcase_create("promises");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tests, a_spec_read_once_more_is_the_same);
    tcase_add_test(tests, the_first_state_is_no_matter_later);
    tcase_add_test(tests, any_other_field_makes_another_check_or_agent);
    tcase_add_test(tests, tests_of_bodies_are_the_same_by_their_text);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
