/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tests of the snapshot that a configuration becomes: defaults, inheritance, merging, names, listens, and
 * its bounds. Upstreams are in test_config_upstreams.c, the logs in test_config_log.c. Files and names are fakes.
 */
#include "config_bench.h"

#include <syslog.h>
#include <unistd.h>

static const char *rule_value(const struct header_rules *rules, const char *name)
{
    for (size_t i = 0; i < rules->n; i++)
        if (span_equals_nocase(rules->rules[i].name, (struct span){name, strlen(name)}))
            return rules->rules[i].value == NULL ? "" : rules->rules[i].value->source.p;
    return NULL;
}

START_TEST(an_empty_file_has_the_defaults)
{
    load("");
    const struct config *c = fake_config;
    ck_assert_uint_ge(c->workers, 1);
    ck_assert_ptr_null(c->user);
    ck_assert_ptr_null(c->pid_file);
    ck_assert_ptr_null(c->log.access);
    ck_assert_str_eq(c->log.error, "stderr");
    ck_assert_int_eq(c->log.level, LOG_NOTICE);
    ck_assert_int_eq(c->log.syslog_facility, -1);
    ck_assert_uint_eq(c->log.queue_size, 1u << 20);
    ck_assert_uint_eq(c->client_header_timeout_ms, 60000);
    ck_assert_uint_eq(c->keepalive_timeout_ms, 75000);
    ck_assert_uint_eq(c->keepalive_requests, 1000);
    ck_assert_uint_eq(c->client_header_size, 32768);
    ck_assert_uint_eq(c->client_uri_size, 8192);
    ck_assert_uint_eq(c->client_field_size, 8192);
    ck_assert_uint_eq(c->client_header_count, 100);
    ck_assert_uint_eq(c->upstream_header_size, 32768);
    ck_assert_uint_eq(c->upstream_header_count, 200);
    ck_assert_uint_eq(c->worker_connections, 16384);
    ck_assert_uint_eq(c->lingering_timeout_ms, 5000);
    ck_assert_uint_eq(c->lingering_size, 1u << 20);
    ck_assert_uint_eq(c->shutdown_timeout_ms, 30000);
    ck_assert_uint_eq(c->n_listens + c->n_sites + c->n_groups, 0);
}
END_TEST

START_TEST(settings_and_engine_have_their_defaults_too)
{
    load("");
    const struct http_settings *s = &fake_config->settings;
    const struct engine_settings *e = &fake_config->engine;
    ck_assert_uint_eq(s->client_max_body_size, 1u << 20);
    ck_assert_uint_eq(s->client_body_timeout_ms, 60000);
    ck_assert_uint_eq(s->client_min_rate, 240);
    ck_assert_uint_eq(s->send_timeout_ms, 60000);
    ck_assert_uint_eq(s->proxy_connect_timeout_ms, 60000);
    ck_assert_uint_eq(s->proxy_send_timeout_ms, 60000);
    ck_assert_uint_eq(s->proxy_read_timeout_ms, 60000);
    ck_assert(fake_config->reject_underscores);
    ck_assert_uint_eq(e->sq_entries, 512);
    ck_assert_uint_eq(e->cq_entries, 4096);
    ck_assert_uint_eq(e->recv_buffers, 256);
    ck_assert_uint_eq(e->recv_buffers_max, 4096);
    ck_assert_uint_eq(e->recv_buffer_size, 8192);
    ck_assert_uint_eq(e->bulk_buffers, 128);
    ck_assert_uint_eq(e->bulk_buffer_size, 262144);
    ck_assert_uint_eq(e->socket_send_buffer, 0);
    ck_assert(e->multishot_accept && e->multishot_recv && e->pin);
}
END_TEST

START_TEST(the_innermost_setting_wins)
{
    load("proxy_read_timeout = \"1s\"; send_timeout = \"2s\";"
         "sites = ( { proxy_read_timeout = \"3s\"; locations = ("
         "  { path = \"/a\"; respond = { }; proxy_read_timeout = \"4s\"; client_min_rate = 3; },"
         "  { path = \"/b\"; respond = { }; } ); }, { } );");
    ck_assert_uint_eq(fake_config->settings.proxy_read_timeout_ms, 1000);
    ck_assert_uint_eq(fake_config->sites[0].settings.proxy_read_timeout_ms, 3000);
    ck_assert_uint_eq(location(0, 0)->settings.proxy_read_timeout_ms, 4000);
    ck_assert_uint_eq(location(0, 0)->settings.send_timeout_ms, 2000);
    ck_assert_uint_eq(location(0, 0)->settings.client_min_rate, 3);
    ck_assert_uint_eq(location(0, 1)->settings.proxy_read_timeout_ms, 3000);
    ck_assert_uint_eq(location(0, 1)->settings.client_min_rate, 240);
    ck_assert_uint_eq(fake_config->sites[1].settings.proxy_read_timeout_ms, 1000);
}
END_TEST

START_TEST(actions_have_their_defaults)
{
    load("sites = ( { locations = ( { path = \"/\"; respond = { }; },"
         " { path = \"/r\"; redirect = { to = \"/x\"; }; access_log = false; } ); } );");
    ck_assert_int_eq(location(0, 0)->action, ACTION_RESPOND);
    ck_assert_int_eq(location(0, 0)->respond.status, 200);
    ck_assert_ptr_null(location(0, 0)->respond.body);
    ck_assert_str_eq(location(0, 0)->respond.content_type, "text/plain");
    ck_assert(location(0, 0)->access_log);
    ck_assert_int_eq(location(0, 1)->action, ACTION_REDIRECT);
    ck_assert_int_eq(location(0, 1)->redirect.status, 302);
    ck_assert(!location(0, 1)->access_log);
}
END_TEST

START_TEST(paths_lose_their_modifiers)
{
    load("sites = ( { locations = ( { path = \"/a\"; respond = { }; }, { path = \"= /a\"; respond = { }; },"
         " { path = \"^~ /b\"; respond = { }; }, { path = \"~ ^/c\"; respond = { }; }, { path = \"~*/D\"; "
         "respond = { }; } ); } );");
    static const enum match_kind kinds[] = {MATCH_PREFIX, MATCH_EXACT, MATCH_PREFIX_STOP, MATCH_REGEX,
                                            MATCH_REGEX};
    static const char *const paths[] = {"/a", "/a", "/b", "^/c", "/D"};
    for (size_t i = 0; i < 5; i++) {
        ck_assert_int_eq(location(0, i)->match, kinds[i]);
        ck_assert_str_eq(location(0, i)->path.p, paths[i]);
        ck_assert_uint_eq(location(0, i)->path.len, strlen(paths[i]));
        ck_assert((location(0, i)->pattern != NULL) == (kinds[i] == MATCH_REGEX));
    }
    ck_assert(!pattern_is_nocase(location(0, 3)->pattern));
    ck_assert(pattern_is_nocase(location(0, 4)->pattern));
}
END_TEST

START_TEST(sites_on_one_address_share_a_listen)
{
    load("sites = ( { listen = [ \"80\", \"127.0.0.1:81\" ]; server_name = \"a\"; },"
         " { listen = [ \"*:80 default_server backlog=7\", \"[::]:80\" ]; server_name = \"b\"; },"
         " { server_name = \"c\"; }, { listen = \"unix:/run/l\"; } );");
    const struct config *c = fake_config;
    ck_assert_uint_eq(c->n_listens, 4);
    ck_assert_str_eq(c->listens[0].name, "0.0.0.0:80");
    ck_assert_uint_eq(c->listens[0].port, 80);
    ck_assert_int_eq(c->listens[0].backlog, 7);
    ck_assert_uint_eq(c->listens[0].n_sites, 3);
    ck_assert_ptr_eq(c->listens[0].sites[2], &c->sites[2]);
    ck_assert_ptr_eq(c->listens[0].default_site, &c->sites[1]);
    ck_assert_str_eq(c->listens[1].name, "127.0.0.1:81");
    ck_assert_ptr_eq(c->listens[1].default_site, &c->sites[0]);
    ck_assert_str_eq(c->listens[2].name, "[::]:80");
    ck_assert_int_eq(c->listens[2].address.sa.sa_family, AF_INET6);
    ck_assert_str_eq(c->listens[3].name, "unix:/run/l");
    ck_assert_uint_eq(c->listens[3].port, 0);
}
END_TEST

START_TEST(server_names_are_lower_case)
{
    load("sites = ( { server_name = [ \"WWW.Example.COM\", \"*.a\", \"b.*\", \"\", \"_\" ]; } );");
    ck_assert_uint_eq(fake_config->sites[0].n_names, 5);
    ck_assert(span_equals(fake_config->sites[0].names[0], SPAN_LITERAL("www.example.com")));
    ck_assert_str_eq(fake_config->sites[0].file, "etc/main.conf");
    ck_assert_uint_eq(fake_config->sites[0].line, 1);
}
END_TEST

START_TEST(rules_of_a_location_replace_those_of_its_site)
{
    load("sites = ( { set_headers = { X-A = \"1\"; X-B = \"$host\"; X-C = \"3\"; };"
         " set_response_headers = { X-R = \"r\"; };"
         " locations = ( { path = \"/\"; respond = { };"
         "   set_headers = ( { name = \"x-a\"; value = \"2\"; }, { name = \"X-B\"; value = \"\"; }, { name = "
         "\"X_D\"; value = \"4\"; } ); },"
         "  { path = \"/b\"; respond = { }; } ); } );");
    const struct header_rules *rules = &location(0, 0)->request_headers;
    ck_assert_uint_eq(rules->n, 4);
    ck_assert_str_eq(rule_value(rules, "X-A"), "2");
    ck_assert_str_eq(rule_value(rules, "X-B"), "");
    ck_assert_str_eq(rule_value(rules, "X-C"), "3");
    ck_assert_str_eq(rule_value(rules, "X_D"), "4");
    ck_assert_str_eq(rule_value(&location(0, 0)->response_headers, "X-R"), "r");
    ck_assert_uint_eq(location(0, 1)->request_headers.n, 3);
    ck_assert_str_eq(rule_value(&location(0, 1)->request_headers, "X-B"), "$host");
}
END_TEST

START_TEST(files_of_sites_enabled_are_merged_and_see_each_other)
{
    fake_files[1] = (struct fake_file){
        "etc/on/a.conf", "sites = ( { locations = ( { path = \"/\"; proxy_pass = \"http://b\"; } ); } );"};
    fake_files[2] = (struct fake_file){"etc/on/b.conf",
                                       "\nupstreams: { b: { servers = ( { address = \"127.0.0.1\"; } ); }; };"
                                       "sites = ( { }, { } );"};
    load("sites_enabled = \"on\"; sites = ( { } );");
    ck_assert_uint_eq(fake_config->n_sites, 4);
    ck_assert_str_eq(fake_config->sites[1].file, "etc/on/a.conf");
    ck_assert_str_eq(fake_config->sites[2].file, "etc/on/b.conf");
    ck_assert_uint_eq(fake_config->sites[2].line, 2);
    ck_assert_str_eq(location(1, 0)->proxy.group->spec.name, "b");
}
END_TEST

START_TEST(a_name_defined_twice_gives_both_places)
{
    fake_files[1] = (struct fake_file){
        "etc/on/a.conf", "\n\nupstreams: { web: { servers = ( { address = \"127.0.0.1\"; } ); }; };"};
    expect_refused(
        "sites_enabled = \"on\";\nupstreams: { web: { servers = ( { address = \"127.0.0.1\"; } ); }; };",
        "the upstream \"web\" is defined twice: first in etc/main.conf:2 in etc/on/a.conf:3\n");
}
END_TEST

START_TEST(paths_are_relative_to_the_file_that_names_them)
{
    fake_files[1] = (struct fake_file){"etc/sub/part.conf", "pid = \"p.pid\";\n@include \"deeper.conf\"\n"};
    fake_files[2] =
        (struct fake_file){"etc/sub/deeper.conf", "log: { access = \"a.log\"; error = \"/abs/e.log\"; };\n"};
    load("@include \"sub/part.conf\"\n");
    ck_assert_int_eq(fake_config->pid_file[0], '/');
    ck_assert_ptr_nonnull(strstr(fake_config->pid_file, "/etc/sub/p.pid"));
    ck_assert_ptr_nonnull(strstr(fake_config->log.access, "/etc/sub/a.log"));
    ck_assert_str_eq(fake_config->log.error, "/abs/e.log");
}
END_TEST

START_TEST(lines_count_right_behind_an_include)
{
    fake_files[1] = (struct fake_file){"etc/part.conf", "\nuser = 1;"};
    ck_assert_int_eq(fake_load("\n@include \"part.conf\" pid = 2;\nkeepalive_requests = \"3\";\n"), -EINVAL);
    ck_assert_ptr_nonnull(
        strstr(fake_findings, "\"pid\" must be a path, as in pid = \"file\" in etc/main.conf:2\n"));
    ck_assert_ptr_nonnull(strstr(fake_findings, "in etc/main.conf:3\n"));
    ck_assert_ptr_nonnull(strstr(fake_findings, "in etc/part.conf:2\n"));
}
END_TEST

START_TEST(error_pages_are_loaded)
{
    fake_files[1] = (struct fake_file){"page.html", "<h1>"};
    char *directory = getcwd(NULL, 0), *path;

    ck_assert_int_gt(asprintf(&path, "%s/etc/page.html", directory), 0);
    fake_files[1].path = path;
    load("sites = ( { error_pages = ( { status = [ 502, 504 ]; file = \"page.html\"; } ); } );");
    ck_assert_uint_eq(fake_config->sites[0].n_error_pages, 2);
    ck_assert_int_eq(fake_config->sites[0].error_pages[1].status, 504);
    ck_assert(span_equals(fake_config->sites[0].error_pages[1].body, SPAN_LITERAL("<h1>")));
    ck_assert_str_eq(fake_config->sites[0].error_pages[0].content_type, "text/html");
    free(directory);
    free(path);
}
END_TEST

START_TEST(the_control_socket_is_off_and_never_for_all)
{
    static const struct {
        const char *mode;
        uint32_t read; /* 0: refused */
    } modes[] = {{"0660", 0660}, {"600", 0600}, {"0666", 0}, {"0662", 0}, {"4660", 0}, {"66", 0}, {"00660", 0}, {"06x0", 0}, {"", 0}};
    char text[128];

    load("workers = 1;");
    ck_assert_ptr_null(fake_config->control.socket);
    ck_assert_ptr_null(fake_config->control.state);
    ck_assert_uint_eq(fake_config->control.mode, 0660);
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        fake_clear();
        snprintf(text, sizeof(text), "control: { socket = \"/run/s\"; mode = \"%s\"; };", modes[i].mode);
        if (modes[i].read == 0) {
            expect_refused(text, "mode");
            continue;
        }
        load(text);
        ck_assert_uint_eq(fake_config->control.mode, modes[i].read);
        ck_assert_str_eq(fake_config->control.socket, "/run/s");
    }
}
END_TEST

START_TEST(several_faults_are_reported_in_the_order_of_the_files)
{
    fake_files[1] = (struct fake_file){"etc/on/a.conf", "sites = 1;\nx = 2;"};
    expect_refused("sites_enabled = \"on\";\nsites = ( {\n locations = ( {\n path = 1; } ); } );\nfoo = 1;",
                   "");
    const char *const order[] = {"main.conf:3", "main.conf:4", "main.conf:5", "a.conf:1", "a.conf:2"};
    const char *at = fake_findings;
    for (size_t i = 0; i < 5; i++) {
        const char *next = strstr(at, order[i]);
        ck_assert_msg(next != NULL, "%s is not where it should be: %s", order[i], fake_findings);
        at = next;
    }
}
END_TEST

START_TEST(sites_and_locations_are_bounded)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    fputs("sites = ( {}", out);
    for (int i = 0; i < 10000; i++)
        fputs(",{}", out);
    fputs(" );", out);
    fclose(out);
    expect_refused(text, "more than 10000 sites and locations");
    free(text);
}
END_TEST

START_TEST(a_file_over_one_mebibyte_is_refused)
{
    size_t size = (1u << 20) + 1;
    char *text = malloc(size + 1);

    memset(text, '\n', size);
    text[size] = '\0';
    ck_assert_int_eq(fake_load(text), -ENOENT);
    ck_assert_ptr_nonnull(strstr(fake_findings, "more than 1 MiB in etc/main.conf:0"));
    free(text);
}
END_TEST

START_TEST(a_large_configuration_loads)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    fputs("upstreams: { u: { servers = ( { address = \"127.0.0.1\"; } ); }; };\nsites = (\n", out);
    for (int i = 0; i < 2000; i++)
        fprintf(
            out,
            "%s{ server_name = \"h%d\"; locations = ( { path = \"/\"; proxy_pass = \"http://u\"; } ); }\n",
            i > 0 ? "," : "", i);
    fputs(");\n", out);
    fclose(out);
    load(text);
    ck_assert_uint_eq(fake_config->n_sites, 2000);
    ck_assert_uint_eq(fake_config->listens[0].n_sites, 2000);
    free(text);
}
END_TEST

/* Fails at every place where memory may be short; the sanitizers watch what is left behind. */
START_TEST(a_load_without_memory_leaves_nothing_behind)
{
    struct load_hooks hooks = fake_hooks;
    int result = -ENOMEM, failures = 0;

    fake_files[0] = (struct fake_file){
        "main.conf",
        "upstreams: { u: { servers = ( { address = \"two.test\"; } ); }; }; sites_enabled = \"on\";"};
    fake_files[1] = (struct fake_file){
        "on/a.conf", "sites = ( { server_name = \"a\"; set_headers = { A = \"$host\"; }; locations = ("
                     " { path = \"~ x\"; respond = { body = \"$uri\"; }; }, { path = \"/\"; proxy_pass = "
                     "\"http://u\"; } ); } );"};
    for (hooks.memory_max = 0; result == -ENOMEM; hooks.memory_max += 160, failures++) {
        result = fake_load_with("main.conf", &hooks);
        if (result == -ENOMEM)
            ck_assert_str_eq(fake_findings,
                             "fairlead: [emerg] memory is short, or the configuration too large"
                             " in main.conf:0\n");
    }
    ck_assert_msg(result == 0, "%s", fake_findings);
    ck_assert_int_gt(failures, 100);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, an_empty_file_has_the_defaults);
    tcase_add_test(tests, settings_and_engine_have_their_defaults_too);
    tcase_add_test(tests, the_innermost_setting_wins);
    tcase_add_test(tests, actions_have_their_defaults);
    tcase_add_test(tests, paths_lose_their_modifiers);
    tcase_add_test(tests, sites_on_one_address_share_a_listen);
    tcase_add_test(tests, server_names_are_lower_case);
    tcase_add_test(tests, rules_of_a_location_replace_those_of_its_site);
    tcase_add_test(tests, files_of_sites_enabled_are_merged_and_see_each_other);
    tcase_add_test(tests, a_name_defined_twice_gives_both_places);
    tcase_add_test(tests, paths_are_relative_to_the_file_that_names_them);
    tcase_add_test(tests, lines_count_right_behind_an_include);
    tcase_add_test(tests, error_pages_are_loaded);
    tcase_add_test(tests, the_control_socket_is_off_and_never_for_all);
    tcase_add_test(tests, several_faults_are_reported_in_the_order_of_the_files);
    tcase_add_test(tests, sites_and_locations_are_bounded);
    tcase_add_test(tests, a_file_over_one_mebibyte_is_refused);
    tcase_add_test(tests, a_large_configuration_loads);
    tcase_add_test(tests, a_load_without_memory_leaves_nothing_behind);
}

int main(void)
{
    return bench_main("config", add_tests);
}
