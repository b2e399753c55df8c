/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The promises of control/editions.h and proxy/listening.h, with workers that run and real sockets: what was published before ends with its last request and not earlier,
 * all of it ends, and who has connected to an address that goes is served. The test's thread is the control thread.
 */
#include "config_fake.h"

#include "control/editions.h"
#include "proxy/listening.h"

#include <check.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS 10000u
#define WORKERS     2u
#define EDITIONS    200u
#define REQUEST     "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define SLOW        "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"
#define ANSWER      "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

static const char configuration[] =
    "workers = 2; worker_connections = 1; shutdown_idle_timeout = \"10s\";"
    "upstreams: { web: { servers = ( { address = \"127.0.0.1:9\"; } ); }; };"
    "sites = ( { listen = [ \"127.0.0.1:1\", \"127.0.0.1:2\" ]; locations = ("
    "  { path = \"/\"; respond: { body = \"hello\"; }; }, { path = \"/slow\"; proxy_pass = \"http://web\"; } ); } );";

static struct threads threads;
static struct editions editions;
static struct listeners *set;
static struct loaded *loaded, *smaller; /* the same, and the same without the second address */
static int origin;                      /* listens; the server of the pool */
static char text[512];

/* Making editions. */

static int listen_somewhere(struct server_address *address)
{
    socklen_t len = sizeof(address->in);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address->in = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    address->len = len;
    ck_assert_int_eq(bind(fd, &address->sa, len), 0);
    ck_assert_int_eq(getsockname(fd, &address->sa, &len), 0);
    ck_assert_int_eq(listen(fd, 8), 0);
    return fd;
}

/* Two ports that nobody has. */
static void choose_ports(struct config *config)
{
    static struct server_address chosen[2];
    int fds[2] = {-1, -1};

    for (size_t i = 0; i < 2 && chosen[1].len == 0; i++)
        fds[i] = listen_somewhere(&chosen[i]);
    for (size_t i = 0; i < 2; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
        config->listens[i].address = chosen[i];
    }
}

static struct loaded *load(size_t n_listens)
{
    struct loaded *made;

    ck_assert_msg(fake_load(configuration) == 0, "%s", fake_findings);
    choose_ports(fake_config);
    fake_config->n_listens = n_listens;
    made = loaded_create(fake_config);
    fake_config = NULL;
    ck_assert_ptr_nonnull(made);
    return made;
}

/* The pool that serves, or a first one. */
static struct pool *take_pool(struct config *config)
{
    struct pool *serving = editions_pool(&editions, "web", 0), *pool;
    struct pool_spec spec = *pool_settings(config->pools[0] ? config->pools[0] : serving);
    struct server_spec server = spec.servers[0];
    socklen_t len = sizeof(server.address.in);

    if (serving)
        return pool_get(serving);
    ck_assert_int_eq(getsockname(origin, &server.address.sa, &len), 0);
    spec.servers = &server;
    ck_assert_int_eq(pool_create(&spec, threads.n, NULL, &pool, text, sizeof(text)), 0);
    return pool;
}

static int make(struct loaded *of, struct edition **edition)
{
    struct config *config = loaded_config(of);
    struct pool *pools[1] = {take_pool(config)};
    struct listener *listeners[2];
    struct edition_parts parts = {of, pools, listeners};

    ck_assert_int_eq(listeners_open(set, config, threads.n, listeners, text, sizeof(text)), 0);
    return edition_create(&editions, &parts, edition, text, sizeof(text));
}

static void publish(struct loaded *of)
{
    struct edition *edition;

    ck_assert_int_eq(make(of, &edition), 0);
    ck_assert(edition_publish(&editions, edition));
}

static void setup_without_threads(void)
{
    struct server_address address;

    origin = listen_somewhere(&address);
    loaded = load(2);
    smaller = load(1);
    ck_assert_int_eq(threads_init(&threads, loaded_config(loaded)), 0);
    editions_init(&editions, &threads);
    ck_assert_int_eq(listeners_create(&set), 0);
    publish(loaded);
}

static void setup(void)
{
    setup_without_threads();
    ck_assert_int_eq(threads_start(&threads, edition_snapshot(editions.current)), 0);
}

static void teardown(void)
{
    (void)threads_tell(&threads, service_stop_now, NULL);
    ck_assert_int_eq(threads_join(&threads), 0);
    threads_fini(&threads);
    editions_fini(&editions);
    ck_assert_ptr_null(listeners_first(set)); /* no reference is left */
    listeners_destroy(set);
    loaded_put(loaded);
    loaded_put(smaller);
    close(origin);
    fake_clear();
}

/* What the control thread does meanwhile. */
static void run_for(unsigned ms)
{
    for (unsigned i = 0; i < ms; i++) {
        editions_run(&editions);
        (void)poll(NULL, 0, 1);
    }
}

static void run_until_alone(void)
{
    for (unsigned i = 0; i < PATIENCE_MS && (editions.n > 1 || editions.closing); i++)
        run_for(1);
    ck_assert_uint_eq(editions.n, 1);
    ck_assert_ptr_null(editions.retired);
    ck_assert_ptr_null(editions.closing);
}

/* Clients. */

static int call(size_t listen)
{
    const struct server_address *address = &loaded_config(loaded)->listens[listen].address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(connect(fd, &address->sa, address->len), 0);
    return fd;
}

static void say(int fd, const char *request)
{
    ck_assert_int_eq(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
}

static void expect_answer(int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    char answer[4096] = "";

    for (unsigned i = 0; i < PATIENCE_MS / 10 && poll(&ready, 1, 10) == 0; i++)
        run_for(1);
    ck_assert_int_gt(recv(fd, answer, sizeof(answer) - 1, MSG_DONTWAIT), 0);
    ck_assert_msg(strncmp(answer, "HTTP/1.1 200", 12) == 0, "%s", answer);
}

START_TEST(an_edition_ends_with_its_last_request_and_not_before)
{
    int client = call(0), server;
    char head[1024];

    say(client, SLOW);
    server = accept(origin, NULL, NULL);
    ck_assert_int_ge(server, 0);
    publish(loaded);
    publish(loaded);
    run_for(100);
    ck_assert_uint_ge(editions.n, 2); /* the first is in use; the second may be gone */
    ck_assert_int_gt(recv(server, head, sizeof(head), 0), 0);
    say(server, ANSWER);
    expect_answer(client);
    run_until_alone();
    close(client);
    close(server);
}
END_TEST

START_TEST(all_editions_end_however_fast_they_come)
{
    struct listener *const *listeners;
    size_t n;

    for (unsigned i = 0; i < EDITIONS; i++) {
        publish(i % 2 ? loaded : smaller);
        editions_run(&editions);
    }
    run_until_alone();
    listeners = edition_listeners(editions.current, &n);
    ck_assert_uint_eq(n, 2);
    for (size_t i = 0; i < n; i++) {
        ck_assert_uint_eq(listeners[i]->refs, 1);
        ck_assert_uint_eq(atomic_load(&listeners[i]->users), WORKERS);
    }
}
END_TEST

/* Each worker serves one client at a time; so at least one of three waits in a queue. */
START_TEST(who_waits_at_worker_connections_is_served_though_the_address_goes)
{
    int clients[3];

    for (size_t i = 0; i < 3; i++)
        clients[i] = call(1);
    run_for(50);
    publish(smaller);
    run_for(LISTENING_HUSH_MS + 4 * LISTENING_LOOK_MS);
    for (size_t i = 0; i < 3; i++) {
        say(clients[i], REQUEST);
        expect_answer(clients[i]);
        close(clients[i]);
    }
    run_until_alone();
}
END_TEST

START_TEST(an_address_that_comes_back_in_time_goes_on)
{
    int client;

    publish(smaller);
    publish(loaded);
    client = call(1);
    say(client, REQUEST);
    expect_answer(client);
    close(client);
    run_until_alone();
    client = call(1);
    say(client, REQUEST);
    expect_answer(client);
    close(client);
}
END_TEST

/* What would have had the address again is not published. */
START_TEST(an_address_that_nearly_came_back_is_closed_when_its_workers_are_done)
{
    struct edition *edition;
    int client = call(1);

    publish(smaller);
    ck_assert_int_eq(make(loaded, &edition), 0);
    edition_discard(&editions, edition);
    run_for(20);
    ck_assert_ptr_nonnull(editions.closing); /* the workers have a second */
    say(client, REQUEST);
    expect_answer(client);
    close(client);
    run_until_alone();
    ck_assert_ptr_null(listeners_first(set)->next);
}
END_TEST

/* No worker says that it has left. */
START_TEST(more_editions_than_may_live_are_refused_and_nothing_is_lost)
{
    struct edition *edition;

    while (editions.n < EDITIONS_MAX)
        publish(loaded);
    ck_assert_int_eq(make(loaded, &edition), -EBUSY);
    ck_assert_ptr_nonnull(strstr(text, "still in use"));
    ck_assert_uint_eq(editions.n, EDITIONS_MAX);
    ck_assert_uint_eq(listeners_first(set)->refs, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("editions");
    TCase *running = tcase_create("running"), *still = tcase_create("still");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(running, 60);
    tcase_set_timeout(still, 60);
    tcase_add_checked_fixture(running, setup, teardown);
    tcase_add_checked_fixture(still, setup_without_threads, teardown);
    tcase_add_test(running, an_edition_ends_with_its_last_request_and_not_before);
    tcase_add_test(running, all_editions_end_however_fast_they_come);
    tcase_add_test(running, who_waits_at_worker_connections_is_served_though_the_address_goes);
    tcase_add_test(running, an_address_that_comes_back_in_time_goes_on);
    tcase_add_test(running, an_address_that_nearly_came_back_is_closed_when_its_workers_are_done);
    tcase_add_test(still, more_editions_than_may_live_are_refused_and_nothing_is_lost);
    suite_add_tcase(suite, running);
    suite_add_tcase(suite, still);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
