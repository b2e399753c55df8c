/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The promises of proxy/route.h: which site answers for a host name, and which location for a path, in
 * nginx's order. */
#include "proxy/route.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define N_SITES     7
#define N_LOCATIONS 12

static struct span span_of(const char *text)
{
    return (struct span){text, strlen(text)};
}

/* Sites; the number is the place in `sites`. 0 is the default. */
static struct span names[N_SITES][4];
static struct site sites[N_SITES];
static struct site *of_listen[N_SITES], *of_other[2];
static struct listen listens[3];
static struct config config;
static struct router *router;

static const char *const written_names[N_SITES][4] = {
    {"default.test", "_", ""},
    {"example.com", "www.example.com"},
    {"*.example.com"},
    {"*.b.example.com", "mail.*"},
    {"www.example.*", "*.org"},
    {"www.*", "example.com"}, /* the second name is the other site's already: the first one wins */
    {"10.0.0.1", "[::1]"},
};

static void make_sites(void)
{
    for (unsigned i = 0; i < N_SITES; i++) {
        of_listen[i] = &sites[i];
        sites[i].names = names[i];
        while (sites[i].n_names < 4 && written_names[i][sites[i].n_names]) {
            names[i][sites[i].n_names] = span_of(written_names[i][sites[i].n_names]);
            sites[i].n_names++;
        }
    }
    of_other[0] = &sites[2];
    of_other[1] = &sites[6];
    listens[0] = (struct listen){.n_sites = N_SITES, .sites = of_listen, .default_site = &sites[0]};
    listens[1] = (struct listen){.n_sites = 2, .sites = of_other, .default_site = &sites[6]};
    listens[2] = (struct listen){.n_sites = 1, .sites = &of_listen[3], .default_site = &sites[3]};
    config = (struct config){.n_listens = 3, .listens = listens};
    ck_assert_int_eq(router_create(&config, &router), 0);
}

static void free_sites(void)
{
    router_destroy(router);
}

static int site_for(unsigned listen, const char *host)
{
    return (int)(route_site(router, &listens[listen], span_of(host)) - sites);
}

static const struct {
    const char *host;
    int site;
} hosts[] = {
    {"example.com", 1},
    {"www.example.com", 1}, /* an exact name before all wildcards */
    {"EXAMPLE.Com", 1},     /* any case */
    {"example.com.", 1},    /* a trailing dot */
    {"WWW.EXAMPLE.COM.", 1},
    {"a.example.com", 2},
    {"a.c.example.com", 2}, /* any number of labels */
    {"b.example.com", 2},   /* not *.b.example.com: that has a label more */
    {"a.b.example.com", 3}, /* the longest leading wildcard */
    {"x.y.b.example.com", 3},
    {"www.example.net", 4}, /* the longest trailing one */
    {"www.example.co.uk", 4},
    {"www.other.net", 5},
    {"www.example.org", 4},  /* leading before trailing: *.org before www.example.* is the same site */
    {"www.other.org", 4},    /* *.org before www.* */
    {"mail.example.com", 2}, /* *.example.com before mail.* */
    {"mail.test", 3},
    {"mail", 0}, /* the star stands for one label at least */
    {"org", 0},
    {"10.0.0.1", 6},
    {"[::1]", 6},
    {"unknown.test", 0},
    {"default.test", 0},
    {"", 0},
    {".", 0},
    {"..", 0},
    {"_", 0},
    {"*", 0},
    {".example.com", 2},
    {"example.com..", 0},
    {"xexample.com", 0}, /* a wildcard ends at a label */
    {"*.example.com", 2},
};
#define N_HOSTS ((int)(sizeof(hosts) / sizeof(hosts[0])))

START_TEST(a_host_finds_its_site)
{
    int site = site_for(0, hosts[_i].host);

    ck_assert_msg(site == hosts[_i].site, "\"%s\": site %d instead of %d", hosts[_i].host, site,
                  hosts[_i].site);
}
END_TEST

START_TEST(each_listener_knows_its_own_sites_only)
{
    ck_assert_int_eq(site_for(1, "example.com"), 6);
    ck_assert_int_eq(site_for(1, "a.example.com"), 2);
    ck_assert_int_eq(site_for(2, "example.com"), 3);
    ck_assert_int_eq(site_for(2, ""), 3);
}
END_TEST

START_TEST(a_host_that_is_too_long_is_nobodys)
{
    static const char tail[] = ".example.com";
    char host[300];

    for (size_t len = 240; len < sizeof(host) - 1; len++) {
        memset(host, 'a', len);
        memcpy(host + len - strlen(tail), tail, strlen(tail));
        host[len] = '\0';
        ck_assert_msg(site_for(0, host) == (len <= ROUTE_HOST_MAX ? 2 : 0), "%zu bytes", len);
        /* The dot at the end is not a part of the name. */
        host[len] = '.';
        host[len + 1] = '\0';
        ck_assert_msg(site_for(0, host) == (len <= ROUTE_HOST_MAX ? 2 : 0), "%zu bytes and a dot", len);
    }
}
END_TEST

START_TEST(a_host_of_dots_and_of_many_labels_ends)
{
    char host[ROUTE_HOST_MAX + 1];

    memset(host, '.', sizeof(host) - 1);
    host[sizeof(host) - 1] = '\0';
    ck_assert_int_eq(site_for(0, host), 0);
    for (size_t i = 0; i < sizeof(host) - 1; i += 2)
        host[i] = 'a';
    ck_assert_int_eq(site_for(0, host), 0);
}
END_TEST

START_TEST(bytes_of_any_kind_are_only_a_name_that_nobody_has)
{
    for (int byte = 0; byte < 256; byte++) {
        char host[] = "?.invalid";

        host[0] = (char)byte;
        ck_assert_ptr_eq(route_site(router, &listens[0], (struct span){host, sizeof(host) - 1}), &sites[0]);
    }
}
END_TEST

START_TEST(thousands_of_names_are_all_found)
{
    enum { N = 5000 };
    struct span *many = calloc(N, sizeof(*many));
    char(*texts)[24] = calloc(N, sizeof(*texts));
    struct site big = {.n_names = N, .names = many}, other = {0};
    struct site *both[] = {&other, &big};
    struct listen listen = {.n_sites = 2, .sites = both, .default_site = &other};
    struct config large = {.n_listens = 1, .listens = &listen};
    struct router *found;

    for (unsigned i = 0; i < N; i++) {
        snprintf(texts[i], sizeof(texts[i]), "%s%u.test", i % 3 ? "host" : "*.h", i);
        many[i] = span_of(texts[i]);
    }
    ck_assert_int_eq(router_create(&large, &found), 0);
    for (unsigned i = 0; i < N; i++) {
        char host[24];

        snprintf(host, sizeof(host), "%s%s", i % 3 ? "" : "x", texts[i] + (i % 3 ? 0 : 1));
        ck_assert_msg(route_site(found, &listen, span_of(host)) == &big, "%s", host);
    }
    ck_assert_ptr_eq(route_site(found, &listen, span_of("host.test")), &other);
    router_destroy(found);
    free(many);
    free(texts);
}
END_TEST

START_TEST(a_snapshot_without_listeners_has_a_router_too)
{
    struct config empty = {0};
    struct router *none;

    ck_assert_int_eq(router_create(&empty, &none), 0);
    router_destroy(none);
    router_destroy(NULL);
}
END_TEST

/* Locations. */

static const struct {
    enum match_kind match;
    const char *path;
} written_locations[N_LOCATIONS] = {
    {MATCH_PREFIX, "/"},                /* 0 */
    {MATCH_EXACT, "/"},                 /* 1 */
    {MATCH_PREFIX, "/docs/"},           /* 2 */
    {MATCH_PREFIX_STOP, "/images/"},    /* 3 */
    {MATCH_REGEX, "\\.(gif|jpg)$"},     /* 4 */
    {MATCH_REGEX, "\\.gif$"},           /* 5: never, the fourth is before it */
    {MATCH_PREFIX, "/docs/api/"},       /* 6 */
    {MATCH_EXACT, "/docs/api/"},        /* 7 */
    {MATCH_REGEX, "^/docs/api/v[0-9]"}, /* 8 */
    {MATCH_PREFIX, "/images/icons/"},   /* 9: longer than the one that stops, and does not stop */
    {MATCH_REGEX, "(?i)\\.PHP$"},       /* 10 */
    {MATCH_EXACT, "/images/a.gif"},     /* 11 */
};

static struct location locations[N_LOCATIONS];
static struct site located = {.n_locations = N_LOCATIONS, .locations = locations};
static struct pattern_scratch *scratch;

static void make_locations(void)
{
    char error[256];

    scratch = pattern_scratch_create();
    ck_assert_ptr_nonnull(scratch);
    for (unsigned i = 0; i < N_LOCATIONS; i++) {
        locations[i].match = written_locations[i].match;
        locations[i].path = span_of(written_locations[i].path);
        if (locations[i].match == MATCH_REGEX)
            ck_assert_int_eq(pattern_compile(written_locations[i].path, false, &locations[i].pattern, error,
                                             sizeof(error)),
                             0);
    }
}

static void free_locations(void)
{
    for (unsigned i = 0; i < N_LOCATIONS; i++)
        if (locations[i].pattern)
            pattern_destroy(locations[i].pattern);
    pattern_scratch_destroy(scratch);
}

static const struct {
    const char *path;
    int location;
} paths[] = {
    {"/", 1}, /* exact before everything */
    {"/index.html", 0},
    {"/docs", 0}, /* not "/docs/" */
    {"/docs/", 2},
    {"/docs/x", 2},
    {"/docs/x.gif", 4}, /* a pattern before a prefix, in the order of the file */
    {"/docs/api/", 7},
    {"/docs/api/x", 6}, /* the longest prefix */
    {"/docs/api/v1/x", 8},
    {"/docs/api/v1/x.gif", 4}, /* the first pattern that matches */
    {"/images/x.gif", 3},      /* "^~": no pattern */
    {"/images/a.gif", 11},
    {"/images/icons/x.gif", 4}, /* the longest prefix does not stop */
    {"/images/icons/x", 9},
    {"/x.php", 10},
    {"/x.pHp", 10},
    {"/x.GIF", 0}, /* case counts */
    {"/x.gif/", 0},
};
#define N_PATHS ((int)(sizeof(paths) / sizeof(paths[0])))

static int location_for(const struct site *site, const char *path)
{
    const struct location *found = route_location(site, scratch, span_of(path));

    return found ? (int)(found - locations) : -1;
}

START_TEST(a_path_finds_its_location)
{
    int location = location_for(&located, paths[_i].path);

    ck_assert_msg(location == paths[_i].location, "%s: location %d instead of %d", paths[_i].path, location,
                  paths[_i].location);
}
END_TEST

START_TEST(a_path_that_nothing_matches_has_no_location)
{
    struct site site = {.n_locations = N_LOCATIONS - 2, .locations = locations + 2};
    struct site empty = {0};

    ck_assert_ptr_null(route_location(&site, scratch, span_of("/")));
    ck_assert_ptr_null(route_location(&site, scratch, span_of("/doc")));
    ck_assert_ptr_nonnull(route_location(&site, scratch, span_of("/a.gif")));
    ck_assert_ptr_null(route_location(&empty, scratch, span_of("/")));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("route");
    TCase *of_sites = tcase_create("sites"), *of_locations = tcase_create("locations");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(of_sites, make_sites, free_sites);
    tcase_add_loop_test(of_sites, a_host_finds_its_site, 0, N_HOSTS);
    tcase_add_test(of_sites, each_listener_knows_its_own_sites_only);
    tcase_add_test(of_sites, a_host_that_is_too_long_is_nobodys);
    tcase_add_test(of_sites, a_host_of_dots_and_of_many_labels_ends);
    tcase_add_test(of_sites, bytes_of_any_kind_are_only_a_name_that_nobody_has);
    tcase_add_test(of_sites, thousands_of_names_are_all_found);
    tcase_add_test(of_sites, a_snapshot_without_listeners_has_a_router_too);
    suite_add_tcase(suite, of_sites);
    tcase_add_checked_fixture(of_locations, make_locations, free_locations);
    tcase_add_loop_test(of_locations, a_path_finds_its_location, 0, N_PATHS);
    tcase_add_test(of_locations, a_path_that_nothing_matches_has_no_location);
    suite_add_tcase(suite, of_locations);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
