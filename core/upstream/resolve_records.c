/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is done with the records of an answer; see resolve_records.h. */
#include "upstream/resolve_records.h"
#include "upstream/server_address.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define DNS_HEADER   12u /* bytes (RFC 1035 4.1.1) */
#define DNS_QUESTION 4u  /* bytes behind its name (4.1.2) */
#define DNS_RECORD   10u /* bytes behind its name and before its data (4.1.3) */

/* A connected datagram socket sends nothing, but says whether there is a route and an address of our own. */
static bool is_reachable(const struct server_address *address)
{
    int fd = socket(address->sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool reachable;

    if (fd < 0)
        return errno != EAFNOSUPPORT;
    reachable = connect(fd, &address->sa, address->len) == 0 ||
                (errno != ENETUNREACH && errno != EHOSTUNREACH && errno != EADDRNOTAVAIL);
    close(fd);
    return reachable;
}

static void drop_unreachable(struct resolve_answer *answer)
{
    bool reachable[RESOLVE_RECORDS_MAX], any = false;
    size_t n = 0;

    for (size_t i = 0; i < answer->n; i++) {
        reachable[i] = is_reachable(&answer->records[i].address);
        any = any || reachable[i];
    }
    for (size_t i = 0; i < answer->n; i++)
        if (!any || reachable[i])
            answer->records[n++] = answer->records[i];
    answer->n = n;
}

static int compare_records(const void *left, const void *right)
{
    const struct resolve_record *a = left, *b = right;

    if (a->priority != b->priority)
        return a->priority < b->priority ? -1 : 1;
    return server_address_compare(&a->address, &b->address);
}

/* Of records with one address and port the one of the best priority stays, as it is sorted. */
static void drop_duplicates(struct resolve_answer *answer)
{
    size_t n = 0;

    for (size_t i = 0; i < answer->n; i++) {
        size_t k = 0;

        while (k < n && !server_address_equals(&answer->records[k].address, &answer->records[i].address))
            k++;
        if (k == n)
            answer->records[n++] = answer->records[i];
    }
    answer->n = n;
}

void resolve_tidy(struct resolve_answer *answer)
{
    drop_unreachable(answer);
    qsort(answer->records, answer->n, sizeof(answer->records[0]), compare_records);
    drop_duplicates(answer);
}

/* The position behind a name, or 0 when it does not end within the message (RFC 1035 4.1.4). */
static size_t skip_name(const unsigned char *message, size_t len, size_t at)
{
    while (at < len && message[at] > 0 && message[at] < 0xc0)
        at += 1u + message[at];
    if (at >= len)
        return 0;
    return at + (message[at] == 0 ? 1 : 2);
}

static unsigned read_16(const unsigned char *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

uint32_t resolve_least_ttl(const unsigned char *message, size_t len)
{
    size_t at = DNS_HEADER;
    uint32_t least = UINT32_MAX;
    unsigned questions = len < DNS_HEADER ? 0 : read_16(message + 4);
    unsigned records = len < DNS_HEADER ? 0 : read_16(message + 6);

    for (; questions > 0; questions--) {
        at = skip_name(message, len, at);
        if (at == 0)
            return least;
        at += DNS_QUESTION;
    }
    for (; records > 0; records--) {
        at = skip_name(message, len, at);
        if (at == 0 || at + DNS_RECORD > len)
            return least;
        uint32_t ttl = (uint32_t)read_16(message + at + 4) << 16 | read_16(message + at + 6);

        if (ttl < least)
            least = ttl;
        at += DNS_RECORD + read_16(message + at + 8);
    }
    return least;
}
