/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Message authentication by wolfSSL: HMAC-SHA256 (RFC 2104, FIPS 180-4). Any thread. */
#ifndef FAIRLEAD_TLS_MAC_H
#define FAIRLEAD_TLS_MAC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAC_SIZE 32u /* bytes */

/* The MAC of `parts` one behind the other. Returns 0 or -EINVAL (the library refused). */
struct mac_part {
    const void *data;
    size_t len;
};
int mac_make(const void *key, size_t key_len, const struct mac_part *parts, size_t n_parts, uint8_t mac[static MAC_SIZE])
    __attribute__((warn_unused_result));
/* Whether two runs of bytes are equal, in a time that does not tell where they differ. */
bool mac_equals(const void *a, const void *b, size_t len);

#endif
