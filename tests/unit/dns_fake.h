/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A name server for tests: a thread that answers on a UDP port of 127.0.0.1 with the records that the test
 * says, or fails as the test says. One per program; included by one file.
 */
#ifndef FAIRLEAD_TESTS_DNS_FAKE_H
#define FAIRLEAD_TESTS_DNS_FAKE_H

#include <arpa/inet.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DNS_A = 1, DNS_AAAA = 28, DNS_SRV = 33 };
enum dns_kind { DNS_RECORD_IS, DNS_SERVFAIL, DNS_SILENT };

/* A record, or how a type of a name fails. What has no record of any type is NXDOMAIN. */
struct dns_fake_record {
    const char *name;
    int type;
    enum dns_kind kind;
    uint32_t ttl;
    const char *address; /* of A and AAAA */
    uint16_t srv[3];     /* priority, weight, port */
    const char *target;
};

#define DNS_FAKE_RECORDS 256

static struct {
    pthread_t thread;
    pthread_mutex_t lock;
    int fd;
    struct sockaddr_in address;
    struct dns_fake_record records[DNS_FAKE_RECORDS];
    size_t n;
    unsigned asked; /* questions that came */
} dns_fake = {.lock = PTHREAD_MUTEX_INITIALIZER};

static inline void dns_fake_put(struct dns_fake_record record)
{
    pthread_mutex_lock(&dns_fake.lock);
    dns_fake.records[dns_fake.n++] = record;
    pthread_mutex_unlock(&dns_fake.lock);
}

static inline void dns_fake_clear(void)
{
    pthread_mutex_lock(&dns_fake.lock);
    dns_fake.n = 0;
    dns_fake.asked = 0;
    pthread_mutex_unlock(&dns_fake.lock);
}

/* "a.b" as labels; returns the bytes written. */
static inline size_t dns_fake_write_name(unsigned char *out, const char *name)
{
    size_t len = 0;

    while (*name != '\0') {
        size_t label = strcspn(name, ".");

        out[len++] = (unsigned char)label;
        memcpy(out + len, name, label);
        len += label;
        name += label + (name[label] == '.');
    }
    out[len++] = 0;
    return len;
}

static inline size_t dns_fake_put_16(unsigned char *out, unsigned value)
{
    out[0] = (unsigned char)(value >> 8);
    out[1] = (unsigned char)value;
    return 2;
}

/* One resource record, its name a pointer to the question's. */
static inline size_t dns_fake_write_record(unsigned char *out, const struct dns_fake_record *record)
{
    unsigned char data[300];
    size_t len, data_len = record->type == DNS_A ? 4 : 16;

    if (record->type == DNS_SRV) {
        data_len = 0;
        for (int i = 0; i < 3; i++)
            data_len += dns_fake_put_16(data + data_len, record->srv[i]);
        data_len += dns_fake_write_name(data + data_len, record->target);
    } else {
        inet_pton(record->type == DNS_A ? AF_INET : AF_INET6, record->address, data);
    }
    len = dns_fake_put_16(out, 0xc00c);
    len += dns_fake_put_16(out + len, (unsigned)record->type);
    len += dns_fake_put_16(out + len, 1);
    len += dns_fake_put_16(out + len, record->ttl >> 16);
    len += dns_fake_put_16(out + len, record->ttl & 0xffff);
    len += dns_fake_put_16(out + len, (unsigned)data_len);
    memcpy(out + len, data, data_len);
    return len + data_len;
}

/* The question's name as text; returns the position behind it. */
static inline size_t dns_fake_read_name(const unsigned char *message, char *name)
{
    size_t at = 12, len = 0;

    for (; message[at] > 0; at += 1u + message[at]) {
        memcpy(name + len, message + at + 1, message[at]);
        len += message[at];
        name[len++] = '.';
    }
    name[len > 0 ? len - 1 : 0] = '\0';
    return at + 1;
}

/* Makes the answer in `out`; returns its length, 0: silence. */
static inline size_t dns_fake_answer(const unsigned char *question, unsigned char *out)
{
    char name[256];
    size_t end = dns_fake_read_name(question, name), len = end + 4;
    int type = question[end] << 8 | question[end + 1];
    unsigned n = 0, code = 3;

    memcpy(out, question, len);
    dns_fake.asked++;
    for (size_t i = 0; i < dns_fake.n; i++) {
        const struct dns_fake_record *record = &dns_fake.records[i];

        if (strcasecmp(record->name, name) != 0)
            continue;
        code = code == 3 ? 0 : code;
        if (record->type != type)
            continue;
        if (record->kind == DNS_SILENT)
            return 0;
        code = record->kind == DNS_SERVFAIL ? 2 : 0;
        if (code == 0) {
            len += dns_fake_write_record(out + len, record);
            n++;
        }
    }
    dns_fake_put_16(out + 2, 0x8180 | code);
    dns_fake_put_16(out + 4, 1);
    dns_fake_put_16(out + 6, n);
    dns_fake_put_16(out + 8, 0);
    dns_fake_put_16(out + 10, 0);
    return len;
}

static inline void *dns_fake_run(void *unused)
{
    unsigned char question[512], answer[16384];

    (void)unused;
    for (;;) {
        struct sockaddr_in from;
        socklen_t from_len = sizeof from;
        ssize_t len =
            recvfrom(dns_fake.fd, question, sizeof question, 0, (struct sockaddr *)&from, &from_len);
        size_t answer_len;

        if (len <= 0)
            return NULL;
        pthread_mutex_lock(&dns_fake.lock);
        answer_len = dns_fake_answer(question, answer);
        pthread_mutex_unlock(&dns_fake.lock);
        if (answer_len > 0)
            (void)!sendto(dns_fake.fd, answer, answer_len, 0, (struct sockaddr *)&from, from_len);
    }
}

static inline void dns_fake_start(void)
{
    socklen_t len = sizeof dns_fake.address;

    dns_fake_clear();
    dns_fake.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    dns_fake.address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(dns_fake.fd, (struct sockaddr *)&dns_fake.address, len) != 0 ||
        getsockname(dns_fake.fd, (struct sockaddr *)&dns_fake.address, &len) != 0 ||
        pthread_create(&dns_fake.thread, NULL, dns_fake_run, NULL) != 0)
        abort();
}

/* An empty datagram ends the thread. */
static inline void dns_fake_stop(void)
{
    (void)!sendto(dns_fake.fd, "", 0, 0, (struct sockaddr *)&dns_fake.address, sizeof dns_fake.address);
    pthread_join(dns_fake.thread, NULL);
    close(dns_fake.fd);
}

#endif
