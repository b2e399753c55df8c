/* SPDX-License-Identifier: GPL-3.0-or-later */
/* HMAC-SHA256; see mac.h. */
#include "tls/mac.h"

#include <wolfssl/options.h>
/* After the options. */
#include <wolfssl/wolfcrypt/hmac.h>

#include <errno.h>

int mac_make(const void *key, size_t key_len, const struct mac_part *parts, size_t n_parts, uint8_t mac[static MAC_SIZE])
{
    Hmac hmac;
    int error;

    if (wc_HmacInit(&hmac, NULL, INVALID_DEVID) != 0)
        return -EINVAL;
    error = wc_HmacSetKey(&hmac, WC_SHA256, key, (word32)key_len);
    for (size_t i = 0; error == 0 && i < n_parts; i++)
        error = wc_HmacUpdate(&hmac, parts[i].data, (word32)parts[i].len);
    if (error == 0)
        error = wc_HmacFinal(&hmac, mac);
    wc_HmacFree(&hmac);
    return error == 0 ? 0 : -EINVAL;
}

bool mac_equals(const void *a, const void *b, size_t len)
{
    const volatile uint8_t *x = a, *y = b;
    uint8_t difference = 0;

    for (size_t i = 0; i < len; i++)
        difference |= (uint8_t)(x[i] ^ y[i]);
    return difference == 0;
}
