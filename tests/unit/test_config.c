/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tests of the snapshot that a configuration becomes: defaults, inheritance, merging, names, addresses. Files
 * and names are fakes.
 */
#include "config_fake.h"

#include <check.h>
#include <syslog.h>
#include <unistd.h>

static void load(const char *text)
{
    ck_assert_msg(fake_load(text) == 0, "%s", fake_findings);
    ck_assert_str_eq(fake_findings, "");
}

static void expect_refused(const char *text, const char *part)
{
    ck_assert_int_eq(fake_load(text), -EINVAL);
    ck_assert_ptr_null(fake_config);
    ck_assert_msg(strstr(fake_findings, part) != NULL, "no \"%s\" in: %s", part, fake_findings);
}

static const struct location *location(size_t site, size_t index)
{
    return &fake_config->sites[site].locations[index];
}

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
    ck_assert_uint_eq(c->n_listens + c->n_sites + c->n_pools + c->n_servers, 0);
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

START_TEST(a_url_finds_its_upstream_and_its_uri)
{
    load("upstreams: { web: { servers = ( { address = \"127.0.0.1\"; } ); }; };"
         "sites = ( { locations = ( { path = \"/a\"; proxy_pass = \"http://web\"; },"
         " { path = \"/b\"; proxy_pass = \"http://WEB/\"; }, { path = \"/c\"; proxy_pass = "
         "\"http://web/x?y\"; } ); } );");
    ck_assert_uint_eq(fake_config->n_pools, 1);
    for (size_t i = 0; i < 3; i++)
        ck_assert_ptr_eq(location(0, i)->proxy.pool, fake_config->pools[0]);
    ck_assert(!location(0, 0)->proxy.has_uri);
    ck_assert(location(0, 1)->proxy.has_uri);
    ck_assert(span_equals(location(0, 1)->proxy.uri, SPAN_LITERAL("/")));
    ck_assert(span_equals(location(0, 2)->proxy.uri, SPAN_LITERAL("/x?y")));
    ck_assert_str_eq(location(0, 2)->proxy.url, "http://web/x?y");
}
END_TEST

START_TEST(equal_urls_share_a_pool)
{
    load("sites = ( { locations = ( { path = \"/a\"; proxy_pass = \"http://localhost\"; },"
         " { path = \"/b\"; proxy_pass = \"http://LOCALHOST:80/x\"; }, { path = \"/c\"; proxy_pass = "
         "\"http://localhost:81\"; },"
         " { path = \"/d\"; proxy_pass = \"http://unix:s:/x\"; }, { path = \"/e\"; proxy_pass = "
         "\"http://unix:s\"; } ); } );");
    ck_assert_uint_eq(fake_config->n_pools, 3);
    ck_assert_ptr_eq(location(0, 0)->proxy.pool, location(0, 1)->proxy.pool);
    ck_assert_ptr_ne(location(0, 0)->proxy.pool, location(0, 2)->proxy.pool);
    ck_assert_ptr_eq(location(0, 3)->proxy.pool, location(0, 4)->proxy.pool);
    ck_assert_str_eq(pool_name(location(0, 0)->proxy.pool), "localhost:80");
    ck_assert_uint_eq(pool_settings(location(0, 0)->proxy.pool)->keepalive, 128);
    ck_assert(span_equals(location(0, 3)->proxy.uri, SPAN_LITERAL("/x")));
}
END_TEST

/* One that was written, and one that a URL made. */
START_TEST(groups_have_their_defaults)
{
    load("upstreams: { web: { servers = ( { address = \"127.0.0.1\"; } ); }; };"
         "sites = ( { locations = ( { path = \"/\"; proxy_pass = \"http://127.0.0.1:3\"; } ); } );");
    ck_assert_uint_eq(fake_config->n_pools, 2);
    for (uint32_t i = 0; i < 2; i++) {
        const struct group *group = fake_config->groups[i];
        const struct server *server = pool_server(fake_config->pools[i], 0);

        ck_assert_ptr_eq(group->pool, fake_config->pools[i]);
        ck_assert_uint_eq(group->index, i);
        ck_assert_ptr_null(group->key);
        ck_assert_uint_eq(group->retry.causes, RETRY_ERROR | RETRY_TIMEOUT);
        ck_assert_uint_eq(group->retry.attempts + group->retry.timeout_ms, 0);
        ck_assert_uint_eq(group->retry.budget, 20);
        ck_assert_uint_eq(group->retry.body, 65536);
        for (int status = 100; status < 600; status++)
            ck_assert(!status_set_has(&group->retry.statuses, status) &&
                      !status_set_has(&group->fail_statuses, status));
        ck_assert_uint_eq(group->queue_size, 0);
        ck_assert_uint_eq(group->queue_timeout_ms, 60000);
        ck_assert_int_eq(group->sticky.kind, STICKY_OFF);
        ck_assert_str_eq(group->sticky.cookie, "fairlead");
        ck_assert_uint_eq(pool_settings(group->pool)->max_ejected, 100);
        ck_assert_uint_eq(pool_settings(group->pool)->max_eject_time_ms, 300000);
        ck_assert_uint_eq(server->weight, 1);
        ck_assert_uint_eq(server->max_conns + server->slow_start_ms + server_flags(server), 0);
        ck_assert_uint_eq(server->max_fails, 1);
    }
}
END_TEST

START_TEST(words_and_statuses_of_retry_and_passive_are_told_apart)
{
    load("upstreams: { web: { retry: { on = [ \"http_503\", \"invalid_header\" ]; };"
         " passive: { statuses = [ 500, 599, 100 ]; }; servers = ( { address = \"127.0.0.1\"; } ); }; };");
    const struct group *group = fake_config->groups[0];

    ck_assert_uint_eq(group->retry.causes, RETRY_INVALID_HEADER);
    for (int status = 0; status < 700; status++) {
        ck_assert_int_eq(status_set_has(&group->retry.statuses, status), status == 503);
        ck_assert_int_eq(status_set_has(&group->fail_statuses, status),
                         status == 500 || status == 599 || status == 100);
    }
}
END_TEST

START_TEST(servers_are_numbered_over_all_pools)
{
    load("upstreams: { a: { servers = ( { address = \"127.0.0.1:1\"; }, { address = \"[::1]:2\"; } ); };"
         "             b: { servers = ( { address = \"unix:/run/x\"; } ); }; };"
         "sites = ( { locations = ( { path = \"/\"; proxy_pass = \"http://127.0.0.1:3\"; } ); } );");
    ck_assert_uint_eq(fake_config->n_pools, 3);
    ck_assert_uint_eq(fake_config->n_servers, 4);
    uint32_t id = 0;
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < pool_n_servers(fake_config->pools[i]); k++)
            ck_assert_uint_eq(pool_server(fake_config->pools[i], k)->id, id++);
    ck_assert_int_eq(pool_server(fake_config->pools[0], 1)->address.sa.sa_family, AF_INET6);
    ck_assert_str_eq(pool_server(fake_config->pools[1], 0)->address.un.sun_path, "/run/x");
    ck_assert_str_eq(pool_server(fake_config->pools[1], 0)->name, "unix:/run/x");
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
    ck_assert_str_eq(pool_name(location(1, 0)->proxy.pool), "b");
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

START_TEST(a_log_to_syslog_has_a_facility)
{
    load("log: { access = \"syslog\"; level = \"warn\"; };");
    ck_assert_int_eq(fake_config->log.facility[LOG_SINK_ACCESS], LOG_DAEMON);
    ck_assert(fake_config->log.to_syslog[LOG_SINK_ACCESS]);
    ck_assert(!fake_config->log.to_syslog[LOG_SINK_ERROR]);
    ck_assert_int_eq(fake_config->log.level, LOG_WARNING);
    fake_clear();
    load("log: { error = \"e.log\"; syslog = \"local7\"; access = \"a.log\"; access_syslog = true;"
         " access_facility = \"local1\"; access_severity = \"notice\"; };");
    ck_assert(fake_config->log.to_syslog[LOG_SINK_ERROR]);
    ck_assert_int_eq(fake_config->log.facility[LOG_SINK_ERROR], LOG_LOCAL7);
    ck_assert(fake_config->log.to_syslog[LOG_SINK_ACCESS]);
    ck_assert_int_eq(fake_config->log.facility[LOG_SINK_ACCESS], LOG_LOCAL1);
    ck_assert_int_eq(fake_config->log.access_severity, LOG_NOTICE);
    fake_clear();
    load("log: { error = \"syslog\"; syslog = \"local7\"; access = \"off\"; access_syslog = true; };");
    ck_assert_ptr_null(fake_config->log.access);
    ck_assert(!fake_config->log.to_syslog[LOG_SINK_ACCESS]);
}
END_TEST

static void expect_syslog_server(const char *written, enum log_syslog_kind kind, int family, unsigned port)
{
    char text[256];
    const struct log_settings *log;

    snprintf(text, sizeof text, "log: { error = \"syslog\"; syslog_tag = \"edge\"; syslog_server = \"%s\"; };", written);
    load(text);
    log = &fake_config->log;
    ck_assert_str_eq(log->syslog_server, written);
    ck_assert_str_eq(log->syslog_tag, "edge");
    ck_assert_int_eq(log->syslog_kind, kind);
    ck_assert_int_eq(log->syslog_address.sa.sa_family, family);
    if (family == AF_INET)
        ck_assert_uint_eq(ntohs(log->syslog_address.in.sin_port), port);
    if (family == AF_INET6)
        ck_assert_uint_eq(ntohs(log->syslog_address.in6.sin6_port), port);
    fake_clear();
}

START_TEST(syslog_is_here_or_elsewhere)
{
    load("log: { error = \"syslog\"; };");
    ck_assert_int_eq(fake_config->log.syslog_kind, LOG_SYSLOG_LOCAL);
    ck_assert_str_eq(fake_config->log.syslog_address.un.sun_path, "/dev/log");
    fake_clear();
    expect_syslog_server("unix:/run/log", LOG_SYSLOG_LOCAL, AF_UNIX, 0);
    expect_syslog_server("udp:10.0.0.1", LOG_SYSLOG_UDP, AF_INET, 514);
    expect_syslog_server("tcp:10.0.0.1:6514", LOG_SYSLOG_TCP, AF_INET, 6514);
    expect_syslog_server("tcp:[::1]", LOG_SYSLOG_TCP, AF_INET6, 601);
    expect_syslog_server("udp:two.test:5140", LOG_SYSLOG_UDP, AF_INET, 5140);
}
END_TEST

START_TEST(the_access_log_has_a_form)
{
    load("");
    ck_assert_int_eq(fake_config->log.access_format->preset, LOG_PRESET_COMBINED);
    fake_clear();
    load("log: { access_format = \"json\"; };");
    ck_assert_int_eq(fake_config->log.access_format->preset, LOG_PRESET_JSON);
    fake_clear();
    load("log: { access_format = \"timing\"; };");
    ck_assert_int_eq(fake_config->log.access_format->preset, LOG_PRESET_TIMING);
    ck_assert_uint_gt(fake_config->log.access_format->text->n_parts, 20);
    fake_clear();
    load("log: { access_format = \"$remote_addr \\\"${http_x_y}\\\" $Tr\"; access_escape = \"json\"; };");
    ck_assert_int_eq(fake_config->log.access_format->preset, LOG_PRESET_NONE);
    ck_assert_uint_eq(fake_config->log.access_format->text->n_parts, 5);
    ck_assert_int_eq(fake_config->log.access_format->text->parts[2].variable, LOG_VAR_HTTP_FIELD);
    ck_assert_int_eq(fake_config->log.access_format->text->parts[4].variable, LOG_VAR_TIMER_RESPONSE);
    ck_assert(fake_config->log.access_escape_json);
}
END_TEST

START_TEST(an_unknown_strategy_is_refused_with_those_that_are_there)
{
    expect_refused("upstreams: { a: {\n balance = \"round_robbin\"; whatever = 1;\n servers = ( { address = "
                   "\"127.0.0.1\"; } ); }; };",
                   "round_robin");
    ck_assert_ptr_nonnull(strstr(fake_findings, "in etc/main.conf:2\n"));
    ck_assert_msg(strstr(fake_findings, "whatever") == NULL, "its options cannot be known: %s",
                  fake_findings);
    expect_refused("upstreams: { a: { balance = \"../x\"; servers = ( { address = \"127.0.0.1\"; } ); }; };",
                   "x");
}
END_TEST

/* An upstream with the strategy of tests/strategies that has an option. */
static const char *with_option(const char *option)
{
    static char text[256];

    snprintf(
        text, sizeof text,
        "upstreams: { a: { balance = \"first_free\"; %s servers = ( { address = \"127.0.0.1\"; } ); }; };",
        option);
    return text;
}

static void expect_option(const char *option, const char *printed)
{
    load(with_option(option));
    char *text = fake_print(fake_config);
    ck_assert_msg(strstr(text, printed) != NULL, "no \"%s\" in: %s", printed, text);
    fake_clear();
    load(text);
    free(text);
    fake_clear();
}

START_TEST(options_of_a_strategy_are_keys_of_its_upstream)
{
    setenv("FAIRLEAD_BALANCERS", modules_dir, 1);
    expect_option("", "first_free_limit = 8;");
    expect_option("first_free_limit = 99;", "first_free_limit = 99;");
    expect_refused(with_option("first_free_limit = 0;"), "\"first_free_limit\" is 0, but must be 1 to 65535");
    expect_refused(with_option("first_free_limit = \"1\";"), "\"first_free_limit\" must be a number");
    expect_refused(with_option("first_fre_limit = 1;"), "did you mean \"first_free_limit\"?");
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
    tcase_add_test(tests, a_url_finds_its_upstream_and_its_uri);
    tcase_add_test(tests, equal_urls_share_a_pool);
    tcase_add_test(tests, groups_have_their_defaults);
    tcase_add_test(tests, words_and_statuses_of_retry_and_passive_are_told_apart);
    tcase_add_test(tests, servers_are_numbered_over_all_pools);
    tcase_add_test(tests, sites_on_one_address_share_a_listen);
    tcase_add_test(tests, server_names_are_lower_case);
    tcase_add_test(tests, rules_of_a_location_replace_those_of_its_site);
    tcase_add_test(tests, files_of_sites_enabled_are_merged_and_see_each_other);
    tcase_add_test(tests, a_name_defined_twice_gives_both_places);
    tcase_add_test(tests, paths_are_relative_to_the_file_that_names_them);
    tcase_add_test(tests, lines_count_right_behind_an_include);
    tcase_add_test(tests, error_pages_are_loaded);
    tcase_add_test(tests, a_log_to_syslog_has_a_facility);
    tcase_add_test(tests, syslog_is_here_or_elsewhere);
    tcase_add_test(tests, the_access_log_has_a_form);
    tcase_add_test(tests, an_unknown_strategy_is_refused_with_those_that_are_there);
    tcase_add_test(tests, options_of_a_strategy_are_keys_of_its_upstream);
    tcase_add_test(tests, several_faults_are_reported_in_the_order_of_the_files);
    tcase_add_test(tests, sites_and_locations_are_bounded);
    tcase_add_test(tests, a_file_over_one_mebibyte_is_refused);
    tcase_add_test(tests, a_large_configuration_loads);
    tcase_add_test(tests, a_load_without_memory_leaves_nothing_behind);
}

int main(void)
{
    if (modules_build() != 0)
        return 1;
    Suite *suite = suite_create("config");
    TCase *tests = tcase_create("all");
    SRunner *runner = srunner_create(suite);

    suite_add_tcase(suite, tests);
    tcase_set_timeout(tests, 30);
    tcase_add_checked_fixture(tests, NULL, fake_clear);
    add_tests(tests);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    modules_remove();
    return failed == 0 ? 0 : 1;
}
