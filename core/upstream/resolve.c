/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The resolver over c-ares (1.18 to 1.34). A question is a job; a job is made of steps: one for a set of SRV
 * records, one for the addresses of each host. Steps wait in a queue, a bounded number of them is under way,
 * and the last one of a job moves it to the list of those whose owners are to be told. Control thread.
 *
 * There are two channels, because c-ares would ask the DNS for the family that /etc/hosts does not have: one
 * reads that file and nothing else, and only a host that it does not know is asked for in the DNS. There each
 * family is asked for by itself, so that it is known when one of them stays without an answer.
 */
#define CARES_NO_DEPRECATED /* 1.18 has nothing but what is old in 1.34 */

#include "upstream/resolve.h"
#include "upstream/resolve_records.h"

#include <ares.h>
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS_MAX   16
#define DNS_CLASS_IN 1
#define DNS_TYPE_SRV 33

/* Newer versions remember answers, and would give them again when ttl_max has cut a TTL short. */
#ifdef ARES_OPT_QUERY_CACHE
#define OPTION_NO_MEMORY ARES_OPT_QUERY_CACHE /* with qcache_max_ttl 0 */
#else
#define OPTION_NO_MEMORY 0
#endif

struct job {
    struct job *next; /* among those that are done */
    struct resolver *resolver;
    struct resolve_query *query;
    unsigned n_steps;    /* not over yet */
    const char *failure; /* of a step that gave nothing */
    uint32_t ttl_ms;
    struct resolve_answer answer;
};

struct step {
    struct step *next; /* in the queue */
    struct job *job;
    unsigned n_calls; /* of c-ares, not answered yet */
    bool srv;
    uint16_t port, priority, weight;
    char host[RESOLVE_HOST_MAX];
};

struct resolver {
    struct resolver_settings settings;
    ares_channel hosts, dns;
    int epoll;
    unsigned n_flying; /* steps under way */
    struct step *queue, **queue_end;
    struct job *done, **done_end;
};

/* What was found. */

static void hold_at_most(struct job *job, uint64_t ttl_ms)
{
    if (ttl_ms < job->ttl_ms)
        job->ttl_ms = (uint32_t)ttl_ms;
}

static void add_record(struct job *job, const struct step *step, const struct sockaddr *address,
                       socklen_t len)
{
    struct resolve_record *record = &job->answer.records[job->answer.n];

    if (job->answer.n == RESOLVE_RECORDS_MAX || len > sizeof(record->address.in6))
        return;
    *record = (struct resolve_record){.address.len = len, .priority = step->priority, .weight = step->weight};
    memcpy(&record->address.sa, address, len);
    if (address->sa_family == AF_INET)
        record->address.in.sin_port = htons(step->port);
    else
        record->address.in6.sin6_port = htons(step->port);
    job->answer.n++;
}

static void complete_answer(struct job *job)
{
    const struct resolver_settings *settings = &job->resolver->settings;
    struct resolve_answer *answer = &job->answer;

    if (answer->n == 0) {
        answer->failure = job->failure ? job->failure : "the name has no server";
        return;
    }
    resolve_tidy(answer);
    answer->ttl_ms = job->ttl_ms < settings->ttl_min_ms ? settings->ttl_min_ms : job->ttl_ms;
}

/* Steps. */

static int add_step(struct job *job, const char *host, bool srv, const struct ares_srv_reply *target)
{
    struct resolver *resolver = job->resolver;
    struct step *step = calloc(1, sizeof(*step));

    if (!step)
        return -ENOMEM;
    step->job = job;
    step->srv = srv;
    step->port = target ? target->port : job->query->port;
    step->priority = target ? target->priority : 0;
    step->weight = target ? target->weight : 0;
    memcpy(step->host, host, strlen(host) + 1);
    *resolver->queue_end = step;
    resolver->queue_end = &step->next;
    job->n_steps++;
    return 0;
}

static void push_done(struct resolver *resolver, struct job *job)
{
    *resolver->done_end = job;
    resolver->done_end = &job->next;
}

static void call_is_over(struct step *step)
{
    struct job *job = step->job;

    if (--step->n_calls > 0)
        return;
    free(step);
    job->resolver->n_flying--;
    if (--job->n_steps == 0)
        push_done(job->resolver, job);
}

/* That there is nothing is an answer. Everything else is none, and says more when nothing was found at all.
 */
static void note_failure(struct job *job, int status)
{
    bool answered = status == ARES_ENOTFOUND || status == ARES_ENODATA;

    if (!answered || !job->failure)
        job->failure = ares_strerror(status);
    job->answer.partial = job->answer.partial || !answered;
}

static void take_nodes(struct step *step, const struct ares_addrinfo *found, bool has_ttl)
{
    for (const struct ares_addrinfo_node *node = found->nodes; node; node = node->ai_next) {
        hold_at_most(step->job, !has_ttl           ? RESOLVE_HOSTS_MS
                                : node->ai_ttl > 0 ? (uint64_t)node->ai_ttl * 1000
                                                   : 0);
        add_record(step->job, step, node->ai_addr, (socklen_t)node->ai_addrlen);
    }
    for (const struct ares_addrinfo_cname *cname = found->cnames; cname && has_ttl; cname = cname->next)
        hold_at_most(step->job, cname->ttl > 0 ? (uint64_t)cname->ttl * 1000 : 0);
}

static void on_addresses(void *context, int status, int timeouts, struct ares_addrinfo *found)
{
    struct step *step = context;

    (void)timeouts;
    if (status == ARES_SUCCESS)
        take_nodes(step, found, true);
    else
        note_failure(step->job, status);
    ares_freeaddrinfo(found);
    call_is_over(step);
}

static void ask_for_family(struct step *step, ares_channel channel, int family,
                           ares_addrinfo_callback callback)
{
    /* A socket type, or every address would come once per protocol. */
    struct ares_addrinfo_hints hints = {
        .ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = ARES_AI_NOSORT};

    ares_getaddrinfo(channel, step->host, NULL, &hints, callback, step);
}

static void on_hosts(void *context, int status, int timeouts, struct ares_addrinfo *found)
{
    struct step *step = context;
    ares_channel dns = step->job->resolver->dns;

    (void)timeouts;
    if (status == ARES_SUCCESS && found->nodes) {
        take_nodes(step, found, false);
        ares_freeaddrinfo(found);
        call_is_over(step);
        return;
    }
    ares_freeaddrinfo(found);
    step->n_calls = 2; /* either of them may be answered before it returns */
    ask_for_family(step, dns, AF_INET, on_addresses);
    ask_for_family(step, dns, AF_INET6, on_addresses);
}

/* A target "." says that there is no such service (RFC 2782); the library gives it as "". */
static int take_targets(struct job *job, unsigned char *message, int len)
{
    struct ares_srv_reply *targets = NULL;
    int status = ares_parse_srv_reply(message, len, &targets);
    unsigned n = 0;

    for (const struct ares_srv_reply *target = targets; target && n < RESOLVE_TARGETS_MAX;
         target = target->next)
        if (target->host[0] != '\0' && strcmp(target->host, ".") != 0 &&
            strlen(target->host) < RESOLVE_HOST_MAX && add_step(job, target->host, false, target) == 0)
            n++;
    if (targets)
        ares_free_data(targets);
    /* The library keeps the TTLs of SRV records to itself. */
    hold_at_most(job, (uint64_t)resolve_least_ttl(message, (size_t)len) * 1000);
    return status;
}

static void on_srv(void *context, int status, int timeouts, unsigned char *message, int len)
{
    struct step *step = context;

    (void)timeouts;
    if (status == ARES_SUCCESS)
        status = take_targets(step->job, message, len);
    if (status != ARES_SUCCESS)
        note_failure(step->job, status);
    call_is_over(step);
}

static void start_step(struct resolver *resolver, struct step *step)
{
    resolver->n_flying++;
    step->next = NULL;
    step->n_calls = 1;
    if (step->srv)
        ares_query(resolver->dns, step->host, DNS_CLASS_IN, DNS_TYPE_SRV, on_srv, step);
    else
        ask_for_family(step, resolver->hosts, AF_UNSPEC, on_hosts);
}

static void start_steps(struct resolver *resolver)
{
    while (resolver->queue && resolver->n_flying < RESOLVE_FLYING_MAX) {
        struct step *step = resolver->queue;

        resolver->queue = step->next;
        if (!resolver->queue)
            resolver->queue_end = &resolver->queue;
        start_step(resolver, step);
    }
}

/* Only those that are there now: an owner may ask again at once. */
static void give_answers(struct resolver *resolver)
{
    struct job *job = resolver->done, *next;

    resolver->done = NULL;
    resolver->done_end = &resolver->done;
    for (; job; job = next) {
        next = job->next;
        complete_answer(job);
        job->query->done(job->query, &job->answer);
        free(job);
    }
}

/* The resolver. */

/* The library opens and closes its sockets; before it closes one it says that it wants nothing of it. */
static void on_socket(void *context, ares_socket_t fd, int readable, int writable)
{
    const struct resolver *resolver = context;
    struct epoll_event event = {.events = (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u),
                                .data.fd = fd};

    if (event.events == 0)
        (void)epoll_ctl(resolver->epoll, EPOLL_CTL_DEL, fd, NULL);
    else if (epoll_ctl(resolver->epoll, EPOLL_CTL_ADD, fd, &event) != 0 && errno == EEXIST)
        (void)epoll_ctl(resolver->epoll, EPOLL_CTL_MOD, fd, &event);
}

static int set_servers(ares_channel channel, const struct resolver_settings *settings)
{
    struct ares_addr_port_node *nodes = calloc(settings->n_servers, sizeof(*nodes));
    int status;

    if (!nodes)
        return ARES_ENOMEM;
    for (size_t i = 0; i < settings->n_servers; i++) {
        const struct server_address *address = &settings->servers[i];

        nodes[i].next = i + 1 < settings->n_servers ? &nodes[i + 1] : NULL;
        nodes[i].family = address->sa.sa_family;
        if (nodes[i].family == AF_INET)
            nodes[i].addr.addr4 = address->in.sin_addr;
        else
            memcpy(&nodes[i].addr.addr6, &address->in6.sin6_addr, sizeof(nodes[i].addr.addr6));
        nodes[i].udp_port = nodes[i].tcp_port =
            ntohs(nodes[i].family == AF_INET ? address->in.sin_port : address->in6.sin6_port);
    }
    status = ares_set_servers_ports(channel, nodes);
    free(nodes);
    return status;
}

static int open_channel(struct resolver *resolver, const char *lookups, ares_channel *channel)
{
    const struct resolver_settings *settings = &resolver->settings;
    char where[2] = {lookups[0], '\0'};
    struct ares_options options = {.flags = settings->n_servers > 0 ? ARES_FLAG_NOSEARCH : 0,
                                   .timeout = (int)settings->timeout_ms,
                                   .tries = (int)settings->tries,
                                   .lookups = where,
                                   .sock_state_cb = on_socket,
                                   .sock_state_cb_data = resolver};

    return ares_init_options(channel, &options,
                             ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS |
                                 ARES_OPT_SOCK_STATE_CB | OPTION_NO_MEMORY);
}

int resolver_create(const struct resolver_settings *settings, struct resolver **result)
{
    struct resolver *resolver = calloc(1, sizeof(*resolver));
    int error = -ENOMEM;

    if (!resolver)
        return error;
    resolver->settings = *settings;
    resolver->queue_end = &resolver->queue;
    resolver->done_end = &resolver->done;
    if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
        goto free_resolver;
    resolver->epoll = epoll_create1(EPOLL_CLOEXEC);
    error = -errno;
    if (resolver->epoll < 0)
        goto clean_up_library;
    error = -ENOMEM;
    if (open_channel(resolver, "f", &resolver->hosts) != ARES_SUCCESS)
        goto close_epoll;
    if (open_channel(resolver, "b", &resolver->dns) != ARES_SUCCESS)
        goto destroy_hosts;
    if (settings->n_servers > 0 && set_servers(resolver->dns, settings) != ARES_SUCCESS)
        goto destroy_dns;
    *result = resolver;
    return 0;

destroy_dns:
    ares_destroy(resolver->dns);
destroy_hosts:
    ares_destroy(resolver->hosts);
close_epoll:
    close(resolver->epoll);
clean_up_library:
    ares_library_cleanup();
free_resolver:
    free(resolver);
    return error;
}

/* What is under way is ended by ares_destroy: its callbacks make the last jobs done. */
void resolver_destroy(struct resolver *resolver)
{
    if (!resolver)
        return;
    while (resolver->queue) {
        struct step *step = resolver->queue;

        resolver->queue = step->next;
        if (--step->job->n_steps == 0)
            push_done(resolver, step->job);
        free(step);
    }
    ares_destroy(resolver->dns);
    ares_destroy(resolver->hosts);
    while (resolver->done) {
        struct job *job = resolver->done;

        resolver->done = job->next;
        free(job);
    }
    assert(resolver->n_flying == 0);
    close(resolver->epoll);
    ares_library_cleanup();
    free(resolver);
}

int resolver_ask(struct resolver *resolver, struct resolve_query *query)
{
    struct job *job;

    if (strlen(query->host) >= RESOLVE_HOST_MAX)
        return -ENAMETOOLONG;
    job = calloc(1, sizeof(*job));
    if (!job)
        return -ENOMEM;
    job->resolver = resolver;
    job->query = query;
    job->ttl_ms = resolver->settings.ttl_max_ms;
    if (add_step(job, query->host, query->srv, NULL) != 0) {
        free(job);
        return -ENOMEM;
    }
    return 0;
}

int resolver_fd(const struct resolver *resolver)
{
    return resolver->epoll;
}

int resolver_timeout_ms(const struct resolver *resolver)
{
    struct timeval buffer, *left;

    if (resolver->done || (resolver->queue && resolver->n_flying < RESOLVE_FLYING_MAX))
        return 0;
    left = ares_timeout(resolver->dns, NULL, &buffer);
    return left ? (int)(left->tv_sec * 1000 + (left->tv_usec + 999) / 1000) : -1;
}

void resolver_run(struct resolver *resolver)
{
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_wait(resolver->epoll, events, EVENTS_MAX, 0);

    for (int i = 0; i < n; i++)
        ares_process_fd(resolver->dns,
                        events[i].events & ~(unsigned)EPOLLOUT ? events[i].data.fd : ARES_SOCKET_BAD,
                        events[i].events & EPOLLOUT ? events[i].data.fd : ARES_SOCKET_BAD);
    ares_process_fd(resolver->dns, ARES_SOCKET_BAD, ARES_SOCKET_BAD); /* timeouts */
    start_steps(resolver);
    give_answers(resolver);
}

/* Waiting for one answer. */

struct waiting {
    struct resolve_answer *answer;
    bool answered;
};

static void keep_answer(struct resolve_query *query, const struct resolve_answer *answer)
{
    struct waiting *waiting = query->context;

    *waiting->answer = *answer;
    waiting->answered = true;
}

/* The library's timeouts and tries end the wait. */
int resolve_now(const struct resolver_settings *settings, const char *host, uint16_t port, bool srv,
                struct resolve_answer *answer)
{
    struct waiting waiting = {.answer = answer};
    struct resolve_query query = {
        .host = host, .port = port, .srv = srv, .done = keep_answer, .context = &waiting};
    struct resolver *resolver;
    int error = resolver_create(settings, &resolver);

    if (error)
        return error;
    error = resolver_ask(resolver, &query);
    while (!error && !waiting.answered) {
        struct pollfd ready = {.fd = resolver->epoll, .events = POLLIN};

        (void)poll(&ready, 1, resolver_timeout_ms(resolver));
        resolver_run(resolver);
    }
    resolver_destroy(resolver);
    return error;
}
