/* The decoders of jobs/he: any bytes, as each kind; and bytes with their checksum put right, so that
 * what lies behind it is reached. What reads back is written again and must be the same bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "jobs/he/he.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static sky_he_ctx *context(void)
{
    static sky_he_ctx *ctx;
    sky_he_params p = {.log2_n = 6, .n_data = 2, .insecure = true};
    if (!ctx && sky_he_ctx_new(&ctx, &p, NULL))
        abort();
    return ctx;
}

static void same(sky_err err, sky_buf *b, const uint8_t *data, size_t len)
{
    if (err || b->len != len || memcmp(b->data, data, len))
        abort();
    sky_buf_free(b);
}

/* Parameters that were read make a context, unless it would be too large for a fuzzer. */
static void try_params(const uint8_t *data, size_t len)
{
    sky_he_params p;
    sky_he_ctx *ctx = NULL;
    sky_error e;
    sky_buf b = {0};
    if (sky_he_params_read(&p, data, len, &e) || p.log2_n > 8 || p.n_data > 4)
        return;
    if (sky_he_ctx_new(&ctx, &p, &e))
        abort();
    same(sky_he_params_write(ctx, &b), &b, data, len);
    sky_he_ctx_free(ctx);
}

static void try_all(const uint8_t *data, size_t len)
{
    const sky_he_ctx *ctx = context();
    sky_buf b = {0};
    sky_error e;
    sky_he_pt *pt = NULL;
    sky_he_ct *ct = NULL;
    sky_he_public *key = NULL;
    sky_he_keys *keys = NULL;
    sky_he_secret *secret = NULL;
    if (!sky_he_pt_read(&pt, ctx, data, len, &e))
        same(sky_he_pt_write(pt, &b), &b, data, len);
    if (!sky_he_ct_read(&ct, ctx, data, len, &e))
        same(sky_he_ct_write(ct, &b), &b, data, len);
    if (!sky_he_public_read(&key, ctx, data, len, &e))
        same(sky_he_public_write(key, &b), &b, data, len);
    if (!sky_he_keys_read(&keys, ctx, data, len, &e))
        same(sky_he_keys_write(keys, &b), &b, data, len);
    if (!sky_he_secret_read(&secret, ctx, data, len, &e))
        same(sky_he_secret_write(secret, &b), &b, data, len);
    sky_he_pt_free(pt);
    sky_he_ct_free(ct);
    sky_he_public_free(key);
    sky_he_keys_free(keys);
    sky_he_secret_free(secret);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    try_all(data, len);
    try_params(data, len);
    if (len < 24)
        return 0;
    uint8_t *sealed = malloc(len);
    if (!sealed)
        return 0;
    memcpy(sealed, data, len);
    uint64_t hash = sky_hash_bytes(1, sealed, len - 8);
    for (int i = 0; i < 8; i++)
        sealed[len - 8 + (size_t)i] = (uint8_t)(hash >> 8 * i);
    try_all(sealed, len);
    try_params(sealed, len);
    free(sealed);
    return 0;
}
