/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tests of the log settings that a configuration becomes: where the logs go, syslog, and the form of the access log. */
#include "config_bench.h"

#include <syslog.h>

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

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, a_log_to_syslog_has_a_facility);
    tcase_add_test(tests, syslog_is_here_or_elsewhere);
    tcase_add_test(tests, the_access_log_has_a_form);
}

int main(void)
{
    return bench_main("config_log", add_tests);
}
