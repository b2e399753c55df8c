/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The promises of proxy/message.h: what a head looks like when it leaves, in both directions, and when it
 * cannot be written. The configuration is read as always; client and link are streams of the bench.
 * Environment: FAIRLEAD_BALANCERS, where round_robin.so is.
 */
#include "snapshot_bench.h"
#include "stream_bench.h"

#include "http/target.h"
#include "proxy/client.h"
#include "proxy/message.h"
#include "proxy/queue.h"

#define HEAP_MAX (1u << 20)

static const char configuration[] =
    "sites = ( { locations = ("
    " { path = \"/\"; proxy_pass = \"http://127.0.0.1:9\"; },"
    " { path = \"/api/\"; proxy_pass = \"http://127.0.0.1:9/v1/\"; },"
    " { path = \"/rules/\"; proxy_pass = \"http://127.0.0.1:9\";"
    "   set_headers = { Host = \"fixed\"; X-Id = \"a$request_method\"; X-Path = \"$uri\"; Cookie = \"\"; "
    "X-Forwarded-For = \"\"; };"
    "   set_response_headers = { Cache-Control = \"no-store\"; Server = \"\"; }; }"
    " ); } );";

static struct service *service;
static struct exchange *exchange;
static struct stream link_stream;
static struct client *client;

static void setup(void)
{
    ck_assert_msg(fake_load(configuration) == 0, "%s", fake_findings);
    bench_begin(HEAP_MAX);
    bench_open(&link_stream);
    make_snapshot(&bench_worker, 1);
    ck_assert_int_eq(service_create(bench_worker, snapshot, &service), 0);
    take_listeners(service);
    client_accept(service->listenings, -1);
    client = service->first_client;
    ck_assert_ptr_nonnull(client);
}

static void forget_exchange(void)
{
    if (exchange) {
        free(exchange->head_memory);
        view_put(exchange->view);
        slab_put(&service->exchanges, exchange);
    }
    exchange = NULL;
}

static void teardown(void)
{
    forget_exchange();
    bench_release(&link_stream);
    bench_release(&client->stream);
    service_destroy(service);
    server_states_discard(snapshot_destroy(snapshot));
    bench_end();
    fake_config = NULL;
    fake_clear();
}

/* An exchange as far as its location. */
static void receive_request(const char *text)
{
    const struct h1_limits limits = {.head_max = 65535,
                                     .target_max = 65535,
                                     .field_max = 65535,
                                     .fields_max = (uint16_t)fake_config->client_header_count};
    struct h1_request request;
    struct span path;
    int len = h1_parse_request(text, strlen(text), &limits, &request, service->view->fields);
    ssize_t path_len = 1;

    ck_assert_msg(len == (int)strlen(text), "%d: %s", len, text);
    forget_exchange();
    exchange = exchange_create(client, &request, text, (size_t)len);
    ck_assert_ptr_nonnull(exchange);
    path = exchange_text(exchange, request.path);
    if (path.len > 0 && path.p[0] == '/')
        path_len = target_normalize(path, (char *)(uintptr_t)exchange->path.p, path.len + 1);
    else
        *(char *)(uintptr_t)exchange->path.p = '/';
    ck_assert_int_ge(path_len, 1);
    exchange->path.len = (size_t)path_len;
    exchange->location = route_location(exchange->site, service->patterns, exchange->path);
    ck_assert_ptr_nonnull(exchange->location);
    exchange->attempt.tried_last = pool_server(snapshot->pools[exchange->location->proxy.group->index], 0);
}

static const char *taken_from(struct stream *stream)
{
    bench_output_len = 0;
    bench_drain(stream);
    ck_assert_uint_gt(bench_output_len, 4);
    ck_assert_str_eq(bench_output + bench_output_len - 4, "\r\n\r\n");
    ck_assert_ptr_eq(strstr(bench_output, "\r\n\r\n"), bench_output + bench_output_len - 4);
    return bench_output;
}

/* Each of `lines` ("!" before it: not) stands in the head. */
static void check_lines(const char *head, const char *const lines[])
{
    for (unsigned i = 0; i < 6 && lines[i]; i++) {
        bool wanted = lines[i][0] != '!';

        ck_assert_msg((strstr(head, lines[i] + !wanted) != NULL) == wanted, "%s in:\n%s", lines[i], head);
    }
}

/* Requests. */

#define LINE(text) "\r\n" text "\r\n"

static const struct {
    const char *request, *first_line;
    const char *lines[6];
} requests[] = {
    {"GET /a%20b?q=1 HTTP/1.1\r\nHost: X.test:8080\r\nAccept: */*\r\n\r\n", /* the bytes as they came */
     "GET /a%20b?q=1 HTTP/1.1\r\n",
     {LINE("Host: X.test:8080"), LINE("Accept: */*"), LINE("X-Real-IP: unix:"),
      LINE("X-Forwarded-For: unix:"), LINE("X-Forwarded-Proto: http"), LINE("Via: 1.1 fairlead")}},
    {"GET http://abs.test/x HTTP/1.1\r\nHost: other\r\n\r\n",
     "GET /x HTTP/1.1\r\n",
     {LINE("Host: abs.test"), "!other"}},
    {"GET http://abs.test HTTP/1.1\r\nHost: abs.test\r\n\r\n",
     "GET / HTTP/1.1\r\n",
     {LINE("Host: abs.test")}},
    {"GET http://abs.test?q HTTP/1.1\r\nHost: abs.test\r\n\r\n", "GET /?q HTTP/1.1\r\n", {NULL}},
    {"OPTIONS http://abs.test HTTP/1.1\r\nHost: abs.test\r\n\r\n", "OPTIONS * HTTP/1.1\r\n", {NULL}},
    {"OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 7\r\n\r\n",
     "OPTIONS * HTTP/1.1\r\n",
     {LINE("Max-Forwards: 6")}},
    {"GET / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 7\r\n\r\n", "GET / HTTP/1.1\r\n", {LINE("Max-Forwards: 7")}},
    {"GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\n", {LINE("Host: 127.0.0.1:9"), LINE("Via: 1.0 fairlead")}},
    {"GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Hop, close\r\nX-Hop: 1\r\nKeep-Alive: 1\r\nUpgrade: "
     "h2c\r\n\r\n",
     "GET / HTTP/1.1\r\n",
     {"!Connection", "!X-Hop", "!Keep-Alive", "!Upgrade"}},
    {"GET / HTTP/1.1\r\nHost: a\r\nX-Real-IP: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-For: "
     "1.2.3.4\r\n\r\n",
     "GET / HTTP/1.1\r\n",
     {"!6.6.6.6", "!https", LINE("X-Forwarded-For: 1.2.3.4, unix:")}},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\n",
     "POST / HTTP/1.1\r\n",
     {LINE("Content-Length: 12")}},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\nExpect: 100-continue\r\n\r\n",
     "POST / HTTP/1.1\r\n",
     {LINE("Transfer-Encoding: chunked"), LINE("Expect: 100-continue"), "!Content-Length"}},
    {"GET / HTTP/1.1\r\nHost: a\r\nTE: trailers, gzip\r\nConnection: TE\r\n\r\n",
     "GET / HTTP/1.1\r\n",
     {LINE("TE: trailers"), LINE("Connection: TE"), "!gzip"}},
    {"GET /api/users?q HTTP/1.1\r\nHost: a\r\n\r\n", "GET /v1/users?q HTTP/1.1\r\n", {NULL}},
    {"GET /api/a%2fb HTTP/1.1\r\nHost: a\r\n\r\n", "GET /v1/", {"!/api/"}},
    {"GET /x/../api/../api/y%20z HTTP/1.1\r\nHost: a\r\n\r\n", "GET /v1/y%20z HTTP/1.1\r\n", {"!.."}},
    {"GET /rules/x HTTP/1.1\r\nHost: a\r\nCookie: secret\r\nx-id: theirs\r\n\r\n",
     "GET /rules/x HTTP/1.1\r\n",
     {LINE("Host: fixed"), "!Host: a", LINE("X-Id: aGET"), "!secret", "!theirs", "!X-Forwarded-For"}},
    {"GET /rules/a%0d%0aX-Forged:%201 HTTP/1.1\r\nHost: a\r\n\r\n", /* a decoded path that would break the
                                                                       line */
     "GET /rules/a%0d%0aX-Forged:%201 HTTP/1.1\r\n",
     {"!X-Forged: 1", "!X-Path"}},
};
#define N_REQUESTS ((int)(sizeof(requests) / sizeof(requests[0])))

START_TEST(a_request_leaves_as_it_should)
{
    const char *head;

    receive_request(requests[_i].request);
    ck_assert(message_write_request(exchange, &link_stream));
    head = taken_from(&link_stream);
    ck_assert_msg(strncmp(head, requests[_i].first_line, strlen(requests[_i].first_line)) == 0, "%s", head);
    check_lines(head, requests[_i].lines);
}
END_TEST

START_TEST(a_long_head_leaves_whole)
{
    char text[20000], *at = text + sprintf(text, "GET / HTTP/1.1\r\nHost: a\r\n");

    for (unsigned i = 0; i < 60; i++)
        at += sprintf(at, "X-%u: %0200u\r\n", i, i);
    strcpy(at, "\r\n");
    receive_request(text);
    ck_assert_ptr_nonnull(exchange->head_memory);
    ck_assert(message_write_request(exchange, &link_stream));
    ck_assert_uint_gt(strlen(taken_from(&link_stream)), (size_t)(at - text));
    ck_assert_ptr_nonnull(strstr(bench_output, "X-59: "));
}
END_TEST

START_TEST(without_memory_no_head_is_written)
{
    struct buffers *buffers = worker_buffers(bench_worker);
    struct buffer *held[64];
    unsigned n = 0;

    receive_request("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    while ((held[n] = buffers_block(buffers)) != NULL)
        n++;
    buffers->config.heap_max = 0;
    ck_assert(!message_write_request(exchange, &link_stream));
    ck_assert(!message_write_own(exchange, &(struct own_head){.status = 503}));
    ck_assert_uint_eq(link_stream.n_pieces + client->stream.n_pieces, 0);
    while (n-- > 0)
        buffer_put(held[n]);
}
END_TEST

/* Responses. */

static bool respond(const char *request, const char *text, bool close)
{
    static struct field fields[32];
    const struct h1_limits limits = {
        .head_max = 65535, .target_max = 100, .field_max = 65535, .fields_max = 32};
    struct h1_response response;
    struct received received = {&response, text, strlen(text), fields};

    receive_request(request);
    exchange->close_client = close;
    ck_assert_int_eq(
        h1_parse_response(text, strlen(text), &limits, exchange->request.method_id, &response, fields),
        (int)strlen(text));
    if (response.status < 200)
        return message_write_interim(exchange, &received);
    return message_write_response(exchange, &received, message_client_framing(exchange, &response));
}

#define GET      "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define GET_1_0  "GET / HTTP/1.0\r\n\r\n"
#define HEAD     "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
#define GET_RULE "GET /rules/ HTTP/1.1\r\nHost: a\r\n\r\n"

static const struct {
    const char *request, *response;
    bool close;
    const char *lines[6];
} responses[] = {
    {GET,
     "HTTP/1.1 200 Fine\r\nContent-Length: 5\r\nServer: s\r\n\r\n",
     false,
     {"HTTP/1.1 200 Fine\r\n", LINE("Content-Length: 5"), LINE("Server: s"), "\r\nDate: ", "!Connection"}},
    {GET,
     "HTTP/1.0 200 OK\r\nDate: then\r\n\r\n",
     false,
     {"HTTP/1.1 200 OK\r\n", LINE("Date: then"), LINE("Transfer-Encoding: chunked"), "!Content-Length"}},
    {GET_1_0,
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
     true,
     {"!chunked", LINE("Connection: close"), "!Content-Length"}},
    {HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n", false, {LINE("Content-Length: 77"), "!chunked"}},
    {GET,
     "HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\nETag: x\r\n\r\n",
     false,
     {LINE("Content-Length: 77"), LINE("ETag: x")}},
    {GET, "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", false, {"!Content-Length", "!chunked"}},
    {GET,
     "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: X-Hop, close\r\nX-Hop: 1\r\nKeep-Alive: x\r\n\r\n",
     false,
     {"!X-Hop", "!Keep-Alive", "!Connection", LINE("Content-Length: 0")}},
    {GET, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true, {LINE("Connection: close")}},
    {GET, "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", false, {"HTTP/1.1 200 \r\n"}},
    {GET,
     "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n",
     false,
     {"HTTP/1.1 103 Early Hints\r\n", LINE("Link: </x>"), "!Date", "!Content-Length"}},
    {GET_RULE,
     "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nServer: s\r\ncache-control: public\r\n\r\n",
     false,
     {LINE("Cache-Control: no-store"), "!public", "!Server"}},
};
#define N_RESPONSES ((int)(sizeof(responses) / sizeof(responses[0])))

START_TEST(a_response_leaves_as_it_should)
{
    ck_assert(respond(responses[_i].request, responses[_i].response, responses[_i].close));
    check_lines(taken_from(&client->stream), responses[_i].lines);
}
END_TEST

START_TEST(our_own_heads_are_whole)
{
    static const char *const lines[6] = {LINE("Content-Type: text/plain"), LINE("Content-Length: 9"),
                                         LINE("Location: /there"), LINE("Allow: GET"),
                                         LINE("Server: fairlead")};

    receive_request(GET);
    ck_assert(message_write_own(exchange, &(struct own_head){.status = 302,
                                                             .content_type = "text/plain",
                                                             .content_length = 9,
                                                             .location = SPAN_LITERAL("/there"),
                                                             .extra = "Allow: GET\r\n"}));
    check_lines(taken_from(&client->stream), lines);
    ck_assert_int_eq(strncmp(bench_output, "HTTP/1.1 302 ", 13), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("message");
    TCase *tests = tcase_create("promises");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, a_request_leaves_as_it_should, 0, N_REQUESTS);
    tcase_add_test(tests, a_long_head_leaves_whole);
    tcase_add_test(tests, without_memory_no_head_is_written);
    tcase_add_loop_test(tests, a_response_leaves_as_it_should, 0, N_RESPONSES);
    tcase_add_test(tests, our_own_heads_are_whole);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
