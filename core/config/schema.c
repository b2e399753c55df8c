/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The table. A new key is one row here and one field of a struct; only what is more than a value needs code.
 * Constant; any thread.
 */
#include "config/schema.h"
#include "config/load.h"

#include <string.h>
#include <syslog.h>

#define IN(context) (1u << CONTEXT_##context)
#define IN_SETTINGS (IN(MAIN) | IN(SITE) | IN(LOCATION))
#define IN_FILES    (IN(MAIN) | IN(FILE))
#define PUT(where, type, member)                                                                             \
    .into = where, .offset = offsetof(type, member), .width = sizeof(((type *)0)->member)
#define CONFIG(member)   PUT(INTO_CONFIG, struct config, member)
#define SETTING(member)  PUT(INTO_SETTINGS, struct http_settings, member)
#define POOL(member)     PUT(INTO_POOL, struct pool_spec, member)
#define CHECKS(member)   PUT(INTO_CHECKS, struct checks, member)
#define GROUP(member)    PUT(INTO_GROUP, struct group, member)
#define SERVER(member)   PUT(INTO_SERVER, struct server_entry, spec.member)
#define ENTRY(member)    PUT(INTO_SERVER, struct server_entry, member)
#define LOCATION(member) PUT(INTO_LOCATION, struct location, member)
#define TEXT(member)     PUT(INTO_TEXT, struct text, member)
#define RANGE(low, high) .min = (low), .max = (high)
#define SAYS(text)       .sentence = text
#define SHOWS(value)     .example = value

#define KIB     1024ll
#define MIB     (1024 * KIB)
#define GIB     (1024 * MIB)
#define TIB     (1024 * GIB)
#define HOUR_MS (3600ll * 1000)
#define DAY_MS  (24 * HOUR_MS)

static const struct word worker_words[] = {{"auto", 0}, {NULL, 0}};
static const struct word files_words[] = {{"auto", 0}, {NULL, 0}};
static const struct word sticky_words[] = {
    {"off", STICKY_OFF}, {"insert", STICKY_INSERT}, {"route", STICKY_ROUTE}, {NULL, 0}};
static const struct word off_words[] = {{"off", 0}, {NULL, 0}};
static const struct word check_words[] = {
    {"tcp", HEALTH_TCP}, {"http", HEALTH_HTTP}, {"none", HEALTH_NONE}, {NULL, 0}};
static const struct word initial_words[] = {{"up", HEALTH_UP},
                                            {"fully-up", HEALTH_FULLY_UP},
                                            {"down", HEALTH_DOWN},
                                            {"fully-down", HEALTH_FULLY_DOWN},
                                            {NULL, 0}};
static const struct word escape_words[] = {{"default", false}, {"json", true}, {NULL, 0}};
static const struct word level_words[] = {
    {"emerg", LOG_EMERG},     {"alert", LOG_ALERT},
    {"crit", LOG_CRIT},       {"error", LOG_ERR},
    {"warn", LOG_WARNING},    {"notice", LOG_NOTICE},
    {"info", LOG_INFO},       {"debug", LOG_DEBUG},
    {"warning", LOG_WARNING}, {NULL, 0},
};
#define FACILITIES \
    {"daemon", LOG_DAEMON}, \
    {"user", LOG_USER}, \
    {"syslog", LOG_SYSLOG}, \
    {"auth", LOG_AUTH}, \
    {"authpriv", LOG_AUTHPRIV}, \
    {"cron", LOG_CRON}, \
    {"ftp", LOG_FTP}, \
    {"mail", LOG_MAIL}, \
    {"news", LOG_NEWS}, \
    {"lpr", LOG_LPR}, \
    {"uucp", LOG_UUCP}, \
    {"local0", LOG_LOCAL0}, \
    {"local1", LOG_LOCAL1}, \
    {"local2", LOG_LOCAL2}, \
    {"local3", LOG_LOCAL3}, \
    {"local4", LOG_LOCAL4}, \
    {"local5", LOG_LOCAL5}, \
    {"local6", LOG_LOCAL6}, \
    {"local7", LOG_LOCAL7}, {NULL, 0}
static const struct word facility_words[] = {{"off", -1}, FACILITIES};
static const struct word access_facility_words[] = {{"same", -1}, FACILITIES};

/* clang-format off */
static const struct key keys[] = {
    /* The process. */
    {"workers", IN(MAIN), KEY_INT, CONFIG(workers), .fallback = "auto", RANGE(1, 512), .words = worker_words,
     SHOWS("4"),
     SAYS("Threads that serve; \"auto\" is one per processor that may be used.")},
    {"user", IN(MAIN), KEY_STRING, CONFIG(user), .flags = KEY_NOT_EMPTY,
     SHOWS("\"fairlead\""),
     SAYS("The user that the process becomes once its ports are open.")},
    {"group", IN(MAIN), KEY_STRING, CONFIG(group), .flags = KEY_NOT_EMPTY,
     SHOWS("\"fairlead\""),
     SAYS("Its group; the user's own unless given. The user's other groups are taken, too.")},
    {"capabilities", IN(MAIN), KEY_STRINGS,
     SHOWS("[ \"net_bind_service\" ]"),
     SAYS("What the process may still do as that user, as \"net_bind_service\" to open low ports at a reload; all else is given up.")},
    {"chroot", IN(MAIN), KEY_PATH, CONFIG(chroot), .flags = KEY_NOT_EMPTY,
     SHOWS("\"/var/lib/fairlead\""),
     SAYS("The directory that becomes the root of the file system once logs and ports are open.")},
    {"rlimit_files", IN(MAIN), KEY_INT, CONFIG(rlimit_files), .fallback = "auto", RANGE(0, 1 << 30), .words = files_words,
     SHOWS("65536"),
     SAYS("The limit of open files; \"auto\", or 0, is what all worker_connections need.")},
    {"rlimit_memlock", IN(MAIN), KEY_SIZE, CONFIG(rlimit_memlock), .fallback = "0", RANGE(0, TIB),
     SAYS("The limit of locked memory, which Fairlead needs none of on the kernels it runs on. 0: as it is.")},
    {"allow_insecure_files", IN(MAIN), KEY_BOOL, PUT(INTO_STORAGE, struct storage, allow_insecure_files), .fallback = "false",
     SAYS("Whether included files, sites, pages and strategies may be such that everybody can write to them; for this file itself only -I allows it.")},
    {"pid", IN(MAIN), KEY_PATH, CONFIG(pid_file), .flags = KEY_NOT_EMPTY,
     SHOWS("\"/run/fairlead/fairlead.pid\""),
     SAYS("The file that the process id is written to.")},
    {"balancers_dir", IN(MAIN), KEY_PATH, PUT(INTO_STORAGE, struct storage, balancers_dir),
     .flags = KEY_NOT_EMPTY, SHOWS("\"/usr/local/lib/fairlead/balancers\""),
     SAYS("Where balancing strategies, NAME.so, are looked for.")},
    {"sites_enabled", IN(MAIN), KEY_STRING, PUT(INTO_LOADER, struct loader, sites_enabled),
     .flags = KEY_NOT_EMPTY,
     SHOWS("\"sites-enabled\""),
     SAYS("A directory; every file *.conf in it is read too, in the order of the names.")},
    {"shutdown_timeout", IN(MAIN), KEY_TIME, CONFIG(shutdown_timeout_ms), .fallback = "30s", RANGE(0, DAY_MS),
     SAYS("How long a graceful stop may take before what is left is cut.")},

    /* Logs. */
    {"shutdown_idle_timeout", IN(MAIN), KEY_TIME, CONFIG(shutdown_idle_timeout_ms), .fallback = "1s", RANGE(0, DAY_MS),
     SAYS("How long a connection that is idle may still send one more request during a graceful stop, which then is answered.")},
    {"log", IN(MAIN), KEY_GROUP, .inside = CONTEXT_LOG,
     SHOWS("{ access = \"/var/log/fairlead/access.log\"; error = \"syslog\"; }"),
     SAYS("Where the access log and the error log go.")},
    {"access", IN(LOG), KEY_DESTINATION, CONFIG(log.access), .fallback = "off", .words = off_words,
     SHOWS("\"/var/log/fairlead/access.log\""),
     SAYS("The access log: a file, \"stderr\", \"syslog\", or \"off\".")},
    {"access_format", IN(LOG), KEY_LOG_FORMAT, CONFIG(log.access_format), .fallback = "combined",
     .flags = KEY_NOT_EMPTY,
     SHOWS("\"$remote_addr [$time_local] \\\"$request\\\" $status\""),
     SAYS("One line per request: \"combined\", \"json\", \"timing\", or a text with the variables below.")},
    {"access_escape", IN(LOG), KEY_WORD, CONFIG(log.access_escape_json), .fallback = "default", .words = escape_words,
     SAYS("How variables are written in such a text: \"default\" as nginx does (\\xNN, and - for what is not there), \"json\" for the inside of JSON strings.")},
    {"access_syslog", IN(LOG), KEY_BOOL, CONFIG(log.access_syslog), .fallback = "false",
     SAYS("Whether the access log goes to syslog, too, beside its file.")},
    {"access_facility", IN(LOG), KEY_WORD, CONFIG(log.access_facility), .fallback = "same",
     .words = access_facility_words, SHOWS("\"local4\""),
     SAYS("The syslog facility of the access log; \"same\" is that of \"syslog\".")},
    {"access_severity", IN(LOG), KEY_WORD, CONFIG(log.access_severity), .fallback = "info", .words = level_words,
     SAYS("The syslog severity of the access log.")},
    {"error", IN(LOG), KEY_DESTINATION, CONFIG(log.error), .fallback = "stderr",
     SHOWS("\"/var/log/fairlead/error.log\""),
     SAYS("The error log: a file, \"stderr\", or \"syslog\".")},
    {"level", IN(LOG), KEY_WORD, CONFIG(log.level), .fallback = "notice", .words = level_words,
     SHOWS("\"info\""),
     SAYS("The least severe level of the error log.")},
    {"syslog", IN(LOG), KEY_WORD, CONFIG(log.syslog_facility), .fallback = "off", .words = facility_words,
     SHOWS("\"local3\""),
     SAYS("The syslog facility; other than \"off\", the error log goes to syslog, too. \"daemon\" where a log goes to syslog and this is not given.")},
    {"syslog_tag", IN(LOG), KEY_STRING, CONFIG(log.syslog_tag), .fallback = "fairlead", .flags = KEY_NOT_EMPTY,
     SAYS("What syslog calls us.")},
    {"syslog_server", IN(LOG), KEY_STRING, CONFIG(log.syslog_server), .fallback = "unix:/dev/log", .flags = KEY_NOT_EMPTY,
     SHOWS("\"udp:10.0.0.5:514\""),
     SAYS("Where syslog is: \"unix:/dev/log\", \"udp:HOST:514\" or \"tcp:HOST:601\", HOST a name, an IPv4 address or an IPv6 address in brackets.")},
    {"queue_size", IN(LOG), KEY_SIZE, CONFIG(log.queue_size), .fallback = "1m", RANGE(32 * KIB, 256 * MIB),
     .flags = KEY_POWER_OF_TWO,
     SAYS("Lines of one thread that wait to be written; more are dropped and counted.")},

    /* Runtime control. */
    {"control", IN(MAIN), KEY_GROUP, .inside = CONTEXT_CONTROL,
     SHOWS("{ socket = \"/run/fairlead/fairlead.sock\"; group = \"adm\"; state = \"/var/lib/fairlead/state\"; }"),
     SAYS("The socket that fairleadctl speaks to.")},
    {"socket", IN(CONTROL), KEY_PATH, CONFIG(control.socket), .flags = KEY_NOT_EMPTY,
     SHOWS("\"/run/fairlead/fairlead.sock\""),
     SAYS("The unix socket; there is none unless it is given. Who may connect to it may change and stop Fairlead.")},
    {"owner", IN(CONTROL), KEY_STRING, CONFIG(control.owner), .flags = KEY_NOT_EMPTY,
     SHOWS("\"root\""),
     SAYS("The user that the socket belongs to; as it was made unless given.")},
    {"group", IN(CONTROL), KEY_STRING, CONFIG(control.group), .flags = KEY_NOT_EMPTY,
     SHOWS("\"adm\""),
     SAYS("The group that the socket belongs to; as it was made unless given.")},
    {"mode", IN(CONTROL), KEY_STRING, CONFIG(control.mode_text), .fallback = "0660",
     SAYS("Its permissions, in octal; they can give nothing to all users.")},
    {"state", IN(CONTROL), KEY_PATH, CONFIG(control.state), .flags = KEY_NOT_EMPTY,
     SHOWS("\"/var/lib/fairlead/state\""),
     SAYS("The file that keeps the changes made with --persist; without it there are none.")},

    /* Connections, before the site is known. */
    {"worker_connections", IN(MAIN), KEY_INT, CONFIG(worker_connections), .fallback = "16384", RANGE(1,
     1048576),
     SAYS("Client connections of one worker.")},
    {"client_header_timeout", IN(MAIN), KEY_TIME, CONFIG(client_header_timeout_ms), .fallback = "60s",
     RANGE(1, DAY_MS), SAYS("How long a client may take to send a request head.")},
    {"keepalive_timeout", IN(MAIN), KEY_TIME, CONFIG(keepalive_timeout_ms), .fallback = "75s", RANGE(0,
     DAY_MS),
     SAYS("How long a client connection may wait for its next request; 0 closes it after each.")},
    {"keepalive_requests", IN(MAIN), KEY_INT, CONFIG(keepalive_requests), .fallback = "1000",
     RANGE(1, INT32_MAX), SAYS("Requests over one client connection.")},
    {"client_header_size", IN(MAIN), KEY_SIZE, CONFIG(client_header_size), .fallback = "32k",
     RANGE(1 * KIB, 60 * KIB), SAYS("The largest request head; larger ones are answered 431.")},
    {"client_uri_size", IN(MAIN), KEY_SIZE, CONFIG(client_uri_size), .fallback = "8k", RANGE(64, 60 * KIB),
     SAYS("The longest request target; longer ones are answered 414.")},
    {"client_field_size", IN(MAIN), KEY_SIZE, CONFIG(client_field_size), .fallback = "8k", RANGE(64,
     60 * KIB),
     SAYS("The longest header line of a request; longer ones are answered 431.")},
    {"client_header_count", IN(MAIN), KEY_INT, CONFIG(client_header_count), .fallback = "100", RANGE(1, 1000),
     SAYS("Header lines of one request; more are answered 431.")},
    {"reject_underscores", IN(MAIN), KEY_BOOL, CONFIG(reject_underscores), .fallback = "true",
     SAYS("Whether a header name with '_' makes a request invalid; else such a header is dropped.")},
    {"upstream_header_size", IN(MAIN), KEY_SIZE, CONFIG(upstream_header_size), .fallback = "32k",
     RANGE(1 * KIB, 60 * KIB), SAYS("The largest response head of a server; larger ones are answered 502.")},
    {"upstream_header_count", IN(MAIN), KEY_INT, CONFIG(upstream_header_count), .fallback = "200",
     RANGE(1, 1000), SAYS("Header lines of one response of a server; more are answered 502.")},
    {"lingering_timeout", IN(MAIN), KEY_TIME, CONFIG(lingering_timeout_ms), .fallback = "5s", RANGE(0,
     HOUR_MS),
     SAYS("How long a closing connection still reads, so that the client can see the last answer.")},
    {"lingering_size", IN(MAIN), KEY_SIZE, CONFIG(lingering_size), .fallback = "1m", RANGE(0, GIB),
     SAYS("How much a closing connection still reads.")},

    {"health_probes", IN(MAIN), KEY_INT, CONFIG(health_probes), .fallback = "256", RANGE(1, 65536),
     SAYS("Health checks in flight at a time, of all upstreams together; others wait for their turn.")},

    /* Requests: for all sites, one site or one location. */
    {"client_max_body_size", IN_SETTINGS, KEY_SIZE, SETTING(client_max_body_size), .fallback = "1m",
     RANGE(0, 1024 * TIB), SHOWS("\"20m\""),
     SAYS("The largest request body; larger ones are answered 413. 0: no limit.")},
    {"client_body_timeout", IN_SETTINGS, KEY_TIME, SETTING(client_body_timeout_ms), .fallback = "60s",
     RANGE(1, DAY_MS), SAYS("How long a client may pause within a request body.")},
    {"client_min_rate", IN_SETTINGS, KEY_INT, SETTING(client_min_rate), .fallback = "240",
     RANGE(0, INT32_MAX), .unit = "bytes per second",
     SAYS("What a body must move at least, in either direction. 0: anything.")},
    {"send_timeout", IN_SETTINGS, KEY_TIME, SETTING(send_timeout_ms), .fallback = "60s", RANGE(1, DAY_MS),
     SAYS("How long a client may pause in taking a response.")},
    {"proxy_connect_timeout", IN_SETTINGS, KEY_TIME, SETTING(proxy_connect_timeout_ms), .fallback = "60s",
     RANGE(1, DAY_MS), SHOWS("\"3s\""),
     SAYS("How long connecting to a server may take.")},
    {"proxy_send_timeout", IN_SETTINGS, KEY_TIME, SETTING(proxy_send_timeout_ms), .fallback = "60s",
     RANGE(1, DAY_MS), SAYS("How long a server may pause in taking a request.")},
    {"proxy_read_timeout", IN_SETTINGS, KEY_TIME, SETTING(proxy_read_timeout_ms), .fallback = "60s",
     RANGE(1, DAY_MS), SHOWS("\"5m\""),
     SAYS("How long a server may pause before and within a response.")},

    /* The event engine: rare events are made common with these. */
    {"engine", IN(MAIN), KEY_GROUP, .inside = CONTEXT_ENGINE, SHOWS("{ recv_buffers = 1024; }"),
     SAYS("Sizes of the event engine's parts.")},
    {"sq_entries", IN(ENGINE), KEY_INT, CONFIG(engine.sq_entries), .fallback = "512", RANGE(8, 32768),
     SAYS("Places in a worker's submission queue.")},
    {"cq_entries", IN(ENGINE), KEY_INT, CONFIG(engine.cq_entries), .fallback = "4096", RANGE(64, 65536),
     SAYS("Places in a worker's completion queue.")},
    {"recv_buffers", IN(ENGINE), KEY_INT, CONFIG(engine.recv_buffers), .fallback = "256", RANGE(4, 32768),
     .flags = KEY_POWER_OF_TWO, SAYS("Receive buffers that a worker lends to the kernel.")},
    {"recv_buffers_max", IN(ENGINE), KEY_INT, CONFIG(engine.recv_buffers_max), .fallback = "4096",
     RANGE(4, 1048576), SAYS("Receive buffers of a worker in all.")},
    {"recv_buffer_size", IN(ENGINE), KEY_SIZE, CONFIG(engine.recv_buffer_size), .fallback = "8k",
     RANGE(512, 64 * KIB), SAYS("The size of a receive buffer.")},
    {"bulk_buffers", IN(ENGINE), KEY_INT, CONFIG(engine.bulk_buffers), .fallback = "128", RANGE(2, 4096),
     SAYS("Large buffers of a worker, for large bodies.")},
    {"bulk_buffer_size", IN(ENGINE), KEY_SIZE, CONFIG(engine.bulk_buffer_size), .fallback = "256k",
     RANGE(4 * KIB, MIB), SAYS("The size of a large buffer.")},
    {"socket_send_buffer", IN(ENGINE), KEY_SIZE, CONFIG(engine.socket_send_buffer), .fallback = "0",
     RANGE(0, GIB), SHOWS("\"256k\""),
     SAYS("The kernel's send buffer of a socket. 0: the kernel decides.")},
    {"multishot_accept", IN(ENGINE), KEY_BOOL, CONFIG(engine.multishot_accept), .fallback = "true",
     SAYS("Whether one accept is asked for many connections.")},
    {"multishot_recv", IN(ENGINE), KEY_BOOL, CONFIG(engine.multishot_recv), .fallback = "true",
     SAYS("Whether one receive is asked for many pieces.")},
    {"pin", IN(ENGINE), KEY_BOOL, CONFIG(engine.pin), .fallback = "true",
     SAYS("Whether each worker stays on a processor of its own.")},

    /* Names of servers. */
    {"resolver", IN(MAIN), KEY_GROUP, .inside = CONTEXT_RESOLVER,
     SHOWS("{ servers = \"127.0.0.53\"; ttl_max = \"5m\"; }"),
     SAYS("How names of servers are looked up.")},
    {"servers", IN(RESOLVER), KEY_STRINGS,
     SHOWS("[ \"127.0.0.1\", \"[::1]:5353\" ]"),
     SAYS("Name servers, as \"127.0.0.1\" or \"[::1]:5353\"; those of /etc/resolv.conf when there are none.")},
    {"timeout", IN(RESOLVER), KEY_TIME, CONFIG(resolver.timeout_ms), .fallback = "2s", RANGE(10, 60 * 1000),
     SAYS("How long a name server may take for the first try; further ones get longer.")},
    {"tries", IN(RESOLVER), KEY_INT, CONFIG(resolver.tries), .fallback = "2", RANGE(1, 10),
     SAYS("How often each name server is asked.")},
    {"ttl_min", IN(RESOLVER), KEY_TIME, CONFIG(resolver.ttl_min_ms), .fallback = "1s", RANGE(1, DAY_MS),
     SAYS("What an answer holds at least, and the first pause after a failure.")},
    {"ttl_max", IN(RESOLVER), KEY_TIME, CONFIG(resolver.ttl_max_ms), .fallback = "1h", RANGE(1, DAY_MS),
     SAYS("What an answer holds at most.")},

    /* Upstreams. */
    {"upstreams", IN_FILES, KEY_NAMED, .inside = CONTEXT_UPSTREAM,
     SHOWS("{ app: { servers = ( { address = \"127.0.0.1:3000\"; } ); }; }"),
     SAYS("Groups of servers, each under its name.")},
    {"balance", IN(UPSTREAM), KEY_STRING, POOL(balance), .fallback = "round_robin", .flags = KEY_NOT_EMPTY,
     SHOWS("\"least_conn\""),
     SAYS("The balancing strategy: the name of a module in balancers_dir.")},
    {"servers", IN(UPSTREAM), KEY_LIST, .inside = CONTEXT_SERVER, .flags = KEY_REQUIRED,
     SHOWS("( { address = \"127.0.0.1:3000\"; max_conns = 200; }, { address = \"127.0.0.1:3001\"; backup = true; } )"),
     SAYS("The servers of the group.")},
    {"keepalive", IN(UPSTREAM), KEY_INT, POOL(keepalive), .fallback = "128", RANGE(0, 65536),
     SHOWS("32"),
     SAYS("Idle connections that each worker keeps to each server.")},
    {"keepalive_timeout", IN(UPSTREAM), KEY_TIME, POOL(keepalive_timeout_ms), .fallback = "60s",
     RANGE(1, DAY_MS), SAYS("How long a connection to a server may be idle.")},
    {"keepalive_time", IN(UPSTREAM), KEY_TIME, POOL(keepalive_time_ms), .fallback = "1h", RANGE(1,
     24 * DAY_MS),
     SAYS("How old a connection to a server may become.")},
    {"keepalive_requests", IN(UPSTREAM), KEY_INT, POOL(keepalive_requests), .fallback = "1000",
     RANGE(1, INT32_MAX), SAYS("Requests over one connection to a server.")},
    {"health", IN(UPSTREAM), KEY_GROUP, .inside = CONTEXT_HEALTH,
     SHOWS("{ type = \"http\"; path = \"/healthz\"; interval = \"2s\"; }"),
     SAYS("Active checks: each server is asked again and again whether it is well.")},

    /* Active checks. */
    {"type", IN(HEALTH), KEY_WORD, CHECKS(spec.type), .fallback = "tcp", .words = check_words,
     SHOWS("\"http\""),
     SAYS("What a server must do: accept a connection, answer an HTTP request, or nothing (then there is only the agent).")},
    {"method", IN(HEALTH), KEY_STRING, CHECKS(spec.method), .fallback = "GET", .flags = KEY_NOT_EMPTY,
     SAYS("The request's method.")},
    {"path", IN(HEALTH), KEY_STRING, CHECKS(spec.path), .fallback = "/", .flags = KEY_NOT_EMPTY,
     SHOWS("\"/healthz\""),
     SAYS("Its path and query.")},
    {"host", IN(HEALTH), KEY_STRING, CHECKS(spec.host), .flags = KEY_NOT_EMPTY,
     SHOWS("\"app.example.com\""),
     SAYS("Its Host; the server's address where it is not given.")},
    {"headers", IN(HEALTH), KEY_HEADERS, SHOWS("{ X-Probe = \"yes\"; }"),
     SAYS("Further headers of the request.")},
    {"expect", IN(HEALTH), KEY_RANGES, .fallback = "200-399", RANGE(100, 599),
     SHOWS("[ \"200-299\", \"404\" ]"),
     SAYS("The statuses that are good.")},
    {"expect_body", IN(HEALTH), KEY_STRING, CHECKS(expect_body), .flags = KEY_NOT_EMPTY,
     SHOWS("\"~* \\\"status\\\": *\\\"ok\\\"\""),
     SAYS("What the first 4096 bytes of the body must hold: a text, \"~ regex\", or \"~* regex\" without case.")},
    {"interval", IN(HEALTH), KEY_TIME, CHECKS(spec.interval_ms), .fallback = "5s", RANGE(10, DAY_MS),
     SAYS("The time from the start of one check of a server to the start of the next.")},
    {"fast_interval", IN(HEALTH), KEY_TIME, CHECKS(spec.fast_interval_ms), .fallback = "0", RANGE(0, DAY_MS),
     SHOWS("\"1s\""),
     SAYS("The same while checks speak for a change, but fewer than rise or fall. 0: as interval.")},
    {"timeout", IN(HEALTH), KEY_TIME, CHECKS(spec.timeout_ms), .fallback = "2s", RANGE(1, HOUR_MS),
     SAYS("How long a check may take, from its connect to its result.")},
    {"rise", IN(HEALTH), KEY_INT, CHECKS(spec.rise), .fallback = "2", RANGE(1, 1000),
     SAYS("Good checks in a row that bring a server into service.")},
    {"fall", IN(HEALTH), KEY_INT, CHECKS(spec.fall), .fallback = "3", RANGE(1, 1000),
     SAYS("Failed checks in a row that take it out.")},
    {"jitter", IN(HEALTH), KEY_INT, CHECKS(spec.jitter), .fallback = "5", RANGE(0, 50), .unit = "percent",
     SAYS("By how much an interval is made longer or shorter at random, so that checks do not come in step.")},
    {"port", IN(HEALTH), KEY_INT, CHECKS(spec.port), .fallback = "0", RANGE(0, 65535),
     SHOWS("8081"),
     SAYS("The port that is checked. 0: the server's own.")},
    {"initial", IN(HEALTH), KEY_WORD, CHECKS(spec.initial), .fallback = "up", .words = initial_words,
     SAYS("What a server is before its first check. \"up\" and \"down\" change with that check, the others by fall and rise.")},
    {"agent_port", IN(HEALTH), KEY_INT, CHECKS(spec.agent_port), .fallback = "0", RANGE(0, 65535),
     SHOWS("8082"),
     SAYS("The port on the server's host where an agent tells its state in the words of HAProxy's agent-check. 0: there is none.")},
    {"agent_interval", IN(HEALTH), KEY_TIME, CHECKS(spec.agent_interval_ms), .fallback = "0", RANGE(0, DAY_MS),
     SHOWS("\"30s\""),
     SAYS("The time from one question to the agent to the next. 0: as interval.")},

    {"key", IN(UPSTREAM), KEY_TEMPLATE, GROUP(key), .flags = KEY_NOT_EMPTY,
     SHOWS("\"$request_uri\""),
     SAYS("What a strategy that hashes does hash: a string with variables.")},
    {"retry", IN(UPSTREAM), KEY_GROUP, .inside = CONTEXT_RETRY,
     SHOWS("{ on = [ \"error\", \"timeout\", \"http_503\" ]; attempts = 2; }"),
     SAYS("When a request is tried at another server. One that could not be connected to always is a reason.")},
    {"on", IN(RETRY), KEY_STRINGS,
     SHOWS("[ \"error\", \"timeout\", \"http_502\", \"http_503\" ]"),
     SAYS("\"error\", \"timeout\", \"invalid_header\", a status as \"http_503\", and \"non_idempotent\" for POST and the like too; "
          "[ \"error\", \"timeout\" ] unless given.")},
    {"attempts", IN(RETRY), KEY_INT, GROUP(retry.attempts), .fallback = "0", RANGE(0, POOL_SERVERS_MAX),
     SHOWS("3"),
     SAYS("Servers tried for one request, the first included. 0: all.")},
    {"timeout", IN(RETRY), KEY_TIME, GROUP(retry.timeout_ms), .fallback = "0s", RANGE(0, DAY_MS),
     SHOWS("\"10s\""),
     SAYS("How long after its begin a request is still tried anew. 0: no limit.")},
    {"budget", IN(RETRY), KEY_INT, GROUP(retry.budget), .fallback = "20", RANGE(0, 100), .unit = "percent",
     SAYS("Of the requests, how many may be tried again once they were sent: so a failing group is not given more to do.")},
    {"body", IN(RETRY), KEY_SIZE, GROUP(retry.body), .fallback = "64k", RANGE(0, MIB),
     SAYS("The largest request body that is kept to be sent again.")},
    {"passive", IN(UPSTREAM), KEY_GROUP, .inside = CONTEXT_PASSIVE,
     SHOWS("{ statuses = [ 500, 502, 503 ]; max_ejected = 50; }"),
     SAYS("How requests that fail take servers out of service; max_fails and fail_timeout stand at the servers.")},
    {"statuses", IN(PASSIVE), KEY_STATUSES, RANGE(100, 599),
     SHOWS("[ 500, 502, 503 ]"),
     SAYS("Responses that count as failures, besides errors and timeouts.")},
    {"max_ejected", IN(PASSIVE), KEY_INT, POOL(max_ejected), .fallback = "100", RANGE(0, 100), .unit = "percent",
     SHOWS("50"),
     SAYS("How many of the servers may be out at a time. When all are, the group is served as if none were.")},
    {"max_time", IN(PASSIVE), KEY_TIME, POOL(max_eject_time_ms), .fallback = "5m", RANGE(1, DAY_MS),
     SAYS("The longest that a server is out: fail_timeout at first, twice as long each time in a row.")},
    {"queue", IN(UPSTREAM), KEY_GROUP, .inside = CONTEXT_QUEUE,
     SHOWS("{ size = 500; timeout = \"5s\"; }"),
     SAYS("Requests wait here while all servers are at max_conns.")},
    {"size", IN(QUEUE), KEY_INT, GROUP(queue_size), .fallback = "0", .flags = KEY_REQUIRED, RANGE(0, 1000000),
     SHOWS("500"),
     SAYS("Requests that may wait, over all workers. 0: none; they are answered 503 at once.")},
    {"timeout", IN(QUEUE), KEY_TIME, GROUP(queue_timeout_ms), .fallback = "60s", RANGE(1, DAY_MS),
     SAYS("How long one may wait; then it is answered 503.")},
    {"sticky", IN(UPSTREAM), KEY_GROUP, .inside = CONTEXT_STICKY,
     SHOWS("{ type = \"insert\"; cookie = \"srv\"; secret = \"a long random text\"; }"),
     SAYS("Keeps a client at the server that served it first, by a cookie.")},
    {"type", IN(STICKY), KEY_WORD, GROUP(sticky.kind), .fallback = "off", .flags = KEY_REQUIRED, .words = sticky_words,
     SHOWS("\"insert\""),
     SAYS("\"insert\": a signed cookie of Fairlead's own; \"route\": a cookie of the servers that ends in one's route, as "
          "JSESSIONID=x.a.")},
    {"cookie", IN(STICKY), KEY_STRING, GROUP(sticky.cookie), .fallback = "fairlead",
     .flags = KEY_FIELD_VALUE | KEY_NOT_EMPTY, SHOWS("\"srv\""),
     SAYS("The cookie's name.")},
    {"secret", IN(STICKY), KEY_STRING, GROUP(sticky.secret), .flags = KEY_NOT_EMPTY | KEY_SECRET,
     SHOWS("\"a long random text\""),
     SAYS("What signs it. Without, a random one that ends with the process: give one where several proxies serve.")},
    {"path", IN(STICKY), KEY_STRING, GROUP(sticky.path), .fallback = "/", .flags = KEY_FIELD_VALUE | KEY_NOT_EMPTY,
     SAYS("The cookie's Path.")},
    {"max_age", IN(STICKY), KEY_INT, GROUP(sticky.max_age_s), .fallback = "0", RANGE(0, INT32_MAX), .unit = "seconds",
     SHOWS("3600"),
     SAYS("Its Max-Age. 0: as long as the browser runs.")},
    {"secure", IN(STICKY), KEY_BOOL, GROUP(sticky.secure), .fallback = "false",
     SAYS("Whether it is marked Secure.")},
    {"address", IN(SERVER), KEY_STRING, SERVER(name), .flags = KEY_REQUIRED | KEY_NOT_EMPTY,
     SHOWS("\"10.0.0.1:8080\""),
     SAYS("\"host\", \"host:port\" or \"unix:/path\"; the port is 80 unless given.")},
    {"resolve", IN(SERVER), KEY_BOOL, ENTRY(resolve), .fallback = "true",
     SAYS("Whether a host name is looked up again when its TTL is over; else once, by the system's own means.")},
    {"srv", IN(SERVER), KEY_BOOL, ENTRY(srv), .fallback = "false",
     SAYS("Whether ports, weights and backups come from SRV records of the name; so it is for names with '_'.")},
    {"addresses", IN(SERVER), KEY_INT, ENTRY(n_addresses), .fallback = "8", RANGE(1, PLACES_MAX),
     SHOWS("4"),
     SAYS("Addresses of a host name that are used at most; so many servers are set aside for it.")},
    {"weight", IN(SERVER), KEY_INT, SERVER(weight), .fallback = "1", RANGE(0, 65535),
     SHOWS("3"),
     SAYS("The server's share, beside the others' weights. 0: no new requests.")},
    {"max_conns", IN(SERVER), KEY_INT, SERVER(max_conns), .fallback = "0", RANGE(0, INT32_MAX),
     SHOWS("200"),
     SAYS("Requests that the server gets at a time, over all workers. 0: any number.")},
    {"slow_start", IN(SERVER), KEY_TIME, SERVER(slow_start_ms), .fallback = "0s", RANGE(0, DAY_MS),
     SHOWS("\"30s\""),
     SAYS("How long the server takes to its full weight once it is back in service.")},
    {"drain", IN(SERVER), KEY_BOOL, SERVER(drain), .fallback = "false",
     SAYS("Whether the server gets only the requests that are bound to it by a sticky session.")},
    {"route", IN(SERVER), KEY_STRING, SERVER(route), .flags = KEY_NOT_EMPTY,
     SHOWS("\"a\""),
     SAYS("What the cookies of a sticky route call the server.")},
    {"down", IN(SERVER), KEY_BOOL, SERVER(down), .fallback = "false",
     SAYS("Whether the server is out of service.")},
    {"backup", IN(SERVER), KEY_BOOL, SERVER(backup), .fallback = "false",
     SAYS("Whether the server serves only when no other can.")},
    {"max_fails", IN(SERVER), KEY_INT, SERVER(max_fails), .fallback = "1", RANGE(0, POOL_FAILS_MAX),
     SHOWS("3"),
     SAYS("Failures within fail_timeout that take the server out of service. 0: never.")},
    {"fail_timeout", IN(SERVER), KEY_TIME, SERVER(fail_timeout_ms), .fallback = "10s", RANGE(1, DAY_MS),
     SHOWS("\"30s\""),
     SAYS("The time within which failures count, and for which the server is out of service at first.")},

    /* Sites. */
    {"sites", IN_FILES, KEY_LIST, .inside = CONTEXT_SITE,
     SHOWS("( { listen = \"80\"; locations = ( { path = \"/\"; proxy_pass = \"http://127.0.0.1:3000\"; } ); } )"),
     SAYS("What is served, by address and host name.")},
    {"listen", IN(SITE), KEY_STRINGS, .fallback = "80",
     SHOWS("[ \"80\", \"[::]:80 default_server\" ]"),
     SAYS("Addresses: \"80\", \"127.0.0.1:80\", \"[::]:80\", \"unix:/path\"; \" default_server\" "
          "and \" backlog=N\" may follow.")},
    {"server_name", IN(SITE), KEY_STRINGS,
     SHOWS("[ \"example.com\", \"*.example.com\" ]"),
     SAYS("Host names: \"example.com\", \"*.example.com\", \"www.*\", \"_\" for none.")},
    {"locations", IN(SITE), KEY_LIST, .inside = CONTEXT_LOCATION,
     SHOWS("( { path = \"/\"; proxy_pass = \"http://127.0.0.1:3000\"; } )"),
     SAYS("What is done with which paths.")},
    {"error_pages", IN(SITE), KEY_LIST, .inside = CONTEXT_ERROR_PAGE,
     SHOWS("( { status = [ 502, 503, 504 ]; file = \"/usr/share/fairlead/50x.html\"; } )"),
     SAYS("Pages in place of the built-in ones.")},
    {"set_headers", IN(SITE) | IN(LOCATION), KEY_HEADERS,
     SHOWS("{ X-Request-Id = \"$request_id\"; Cookie = \"\"; }"),
     SAYS("Headers of the request to the server: set, changed, or with \"\" removed.")},
    {"set_response_headers", IN(SITE) | IN(LOCATION), KEY_HEADERS,
     SHOWS("{ X-Frame-Options = \"DENY\"; Server = \"\"; }"),
     SAYS("Headers of the response to the client: set, changed, or with \"\" removed.")},

    /* Locations. */
    {"path", IN(LOCATION), KEY_STRING, TEXT(path), .flags = KEY_REQUIRED | KEY_NOT_EMPTY,
     SHOWS("\"~* \\\\.(png|jpg)$\""),
     SAYS("\"/prefix\", \"= /exact\", \"^~ /prefix\" before any regex, \"~ regex\", or \"~* regex\" "
          "without case.")},
    {"proxy_pass", IN(LOCATION), KEY_STRING, TEXT(proxy_pass), .flags = KEY_NOT_EMPTY,
     SHOWS("\"http://127.0.0.1:3000\""),
     SAYS("\"http://NAME\" of an upstream or host; a path behind it replaces what the location matched.")},
    {"respond", IN(LOCATION), KEY_GROUP, .inside = CONTEXT_RESPOND,
     SHOWS("{ status = 404; body = \"Nothing here.\\n\"; }"),
     SAYS("An answer of Fairlead's own.")},
    {"redirect", IN(LOCATION), KEY_GROUP, .inside = CONTEXT_REDIRECT,
     SHOWS("{ status = 301; to = \"https://$host$request_uri\"; }"),
     SAYS("Sends the client elsewhere.")},
    {"access_log", IN(LOCATION), KEY_BOOL, LOCATION(access_log), .fallback = "true",
     SAYS("Whether requests are written to the access log.")},
    {"status", IN(RESPOND), KEY_INT, LOCATION(respond.status), .fallback = "200", RANGE(200, 599),
     SHOWS("404"),
     SAYS("The status of the answer.")},
    {"body", IN(RESPOND), KEY_TEMPLATE, LOCATION(respond.body),
     SHOWS("\"There is no site named $host here.\\n\""),
     SAYS("Its text; variables are filled in.")},
    {"content_type", IN(RESPOND), KEY_STRING, LOCATION(respond.content_type), .fallback = "text/plain",
     .flags = KEY_FIELD_VALUE | KEY_NOT_EMPTY, SHOWS("\"application/json\""),
     SAYS("Its media type.")},
    {"status", IN(REDIRECT), KEY_INT, LOCATION(redirect.status), .fallback = "302", RANGE(300, 399),
     SHOWS("301"),
     SAYS("The status: 301, 302, 303, 307 or 308.")},
    {"to", IN(REDIRECT), KEY_TEMPLATE, LOCATION(redirect.to),
     .flags = KEY_REQUIRED | KEY_FIELD_VALUE | KEY_NOT_EMPTY, SHOWS("\"https://$host$request_uri\""),
     SAYS("The URL; variables are filled in.")},
    {"status", IN(ERROR_PAGE), KEY_STATUSES, .flags = KEY_REQUIRED, RANGE(300, 599),
     SHOWS("[ 502, 503, 504 ]"),
     SAYS("The statuses that the page is for.")},
    {"file", IN(ERROR_PAGE), KEY_PATH, TEXT(file), .flags = KEY_REQUIRED | KEY_NOT_EMPTY,
     SHOWS("\"/usr/share/fairlead/50x.html\""),
     SAYS("The file that holds the page.")},
    {"content_type", IN(ERROR_PAGE), KEY_STRING, TEXT(content_type), .fallback = "text/html",
     .flags = KEY_FIELD_VALUE | KEY_NOT_EMPTY, SAYS("Its media type.")},
    {"name", IN(HEADER), KEY_STRING, TEXT(name), .flags = KEY_REQUIRED | KEY_NOT_EMPTY,
     SHOWS("\"X-Request-Id\""),
     SAYS("The header's name.")},
    {"value", IN(HEADER), KEY_STRING, TEXT(value), .flags = KEY_REQUIRED,
     SHOWS("\"$request_id\""),
     SAYS("Its value; variables are filled in. \"\" removes it.")},
};
/* clang-format on */

#define N_KEYS (sizeof keys / sizeof keys[0])

static const char *const context_names[] = {
#define X(id, name) [id] = name,
    CONTEXTS(X)
#undef X
};

const struct key *schema_keys(size_t *n)
{
    *n = N_KEYS;
    return keys;
}

const char *schema_context_name(enum context context)
{
    return context_names[context];
}

const struct key *schema_find(enum context context, const char *name)
{
    for (size_t i = 0; i < N_KEYS; i++)
        if (schema_stands_in(&keys[i], context) && strcmp(keys[i].name, name) == 0)
            return &keys[i];
    return NULL;
}
