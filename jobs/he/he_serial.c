/* Bytes of parameters, plaintexts, ciphertexts and keys: docs/he.md has the layout. Everything is little-endian. A reader knows
 * the exact length from the header before it allocates, so that memory is bounded by the input. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "jobs/he/he_internal.h"

enum { VERSION = 1, HEADER = 16, TRAILER = 8, STATE = 16, KEYS_HEAD = 8, PARAMS = 8 };
enum { KIND_CT = 1, KIND_PUBLIC, KIND_KEYS, KIND_SECRET, KIND_PT, KIND_PARAMS };
static const char MAGIC[4] = {'S', 'K', 'H', 'E'};

/* ---- Writing ---- */

static void put(sky_buf *out, uint64_t x, uint32_t bytes)
{
    uint8_t b[8];
    for (uint32_t i = 0; i < bytes; i++)
        b[i] = (uint8_t)(x >> 8 * i);
    sky_buf_add(out, b, bytes);
}

static void begin(sky_buf *out, int kind, const sky_he_ctx *ctx)
{
    sky_buf_add(out, MAGIC, sizeof MAGIC);
    put(out, VERSION, 2);
    put(out, (uint64_t)kind, 2);
    put(out, ctx->fingerprint, 8);
}

static sky_err finish(sky_buf *out, size_t from)
{
    if (sky_buf_ok(out))
        put(out, sky_hash_bytes(VERSION, out->data + from, out->len - from), 8);
    return sky_buf_ok(out) ? SKY_OK : SKY_ENOMEM;
}

/* Bytes of one residue modulo prime i: as many as its bits need. */
static uint32_t width(const sky_he_ctx *ctx, uint32_t i)
{
    return (64 - (uint32_t)__builtin_clzll(ctx->q[i]) + 7) / 8;
}

static void put_limb(sky_buf *out, const sky_he_ctx *ctx, const uint64_t *x, uint32_t i)
{
    uint32_t w = width(ctx, i);
    if (!sky_buf_reserve(out, (size_t)w * ctx->n))
        return;
    for (uint32_t j = 0; j < ctx->n; j++)
        put(out, x[j], w);
}

/* A ciphertext or a plaintext: its state, then its parts. */
static sky_err write_parts(sky_buf *out, int kind, const sky_he_ctx *ctx, sky_he_state is,
                           uint64_t *const part[])
{
    size_t from = out->len;
    uint64_t scale;
    if (!is.level)
        return SKY_EINVAL;
    memcpy(&scale, &is.scale, sizeof scale);
    begin(out, kind, ctx);
    put(out, is.level, 4);
    put(out, is.parts, 2);
    put(out, is.extended, 2);
    put(out, scale, 8);
    for (uint32_t p = 0; p < is.parts; p++) {
        for (uint32_t r = 0; r < he_limbs(ctx, is.level, is.extended); r++)
            put_limb(out, ctx, he_climb(ctx, part[p], r), he_prime_at(ctx, is.level, r));
    }
    return finish(out, from);
}

sky_err sky_he_ct_write(const sky_he_ct *ct, sky_buf *out)
{
    return write_parts(out, KIND_CT, ct->ctx, ct->is, ct->part);
}

sky_err sky_he_pt_write(const sky_he_pt *pt, sky_buf *out)
{
    return write_parts(out, KIND_PT, pt->ctx, pt->is, &pt->x);
}

/* The numbers of the parameters, in the order of their bytes. */
static void params_fields(sky_he_params *p, uint32_t *field[PARAMS - 1])
{
    uint32_t *const fields[] = {&p->log2_n,     &p->n_data,     &p->n_special,   &p->digit_primes,
                                &p->first_bits, &p->scale_bits, &p->special_bits};
    memcpy(field, fields, sizeof fields);
}

sky_err sky_he_params_write(const sky_he_ctx *ctx, sky_buf *out)
{
    size_t from = out->len;
    sky_he_params p = ctx->info.params;
    uint32_t *field[PARAMS - 1];
    params_fields(&p, field);
    begin(out, KIND_PARAMS, ctx);
    for (int i = 0; i < PARAMS - 1; i++)
        put(out, *field[i], 4);
    put(out, p.insecure, 4);
    return finish(out, from);
}

sky_err sky_he_public_write(const sky_he_public *key, sky_buf *out)
{
    size_t from = out->len;
    begin(out, KIND_PUBLIC, key->ctx);
    sky_buf_add(out, key->seed, sizeof key->seed);
    for (uint32_t i = 0; i < key->ctx->total; i++)
        put_limb(out, key->ctx, he_climb(key->ctx, key->b, i), i);
    return finish(out, from);
}

sky_err sky_he_keys_write(const sky_he_keys *keys, sky_buf *out)
{
    const sky_he_ctx *ctx = keys->ctx;
    size_t from = out->len;
    uint64_t *b = he_alloc(ctx->n, sizeof *b);
    if (!b)
        return SKY_ENOMEM;
    begin(out, KIND_KEYS, ctx);
    put(out, keys->level, 4);
    put(out, keys->count, 4);
    for (size_t i = 0; i < keys->count; i++) {
        const he_key *key = &keys->key[i];
        put(out, key->galois, 4);
        sky_buf_add(out, key->seed, sizeof key->seed);
        for (uint32_t r = 0; r < he_limbs(ctx, keys->level, true); r++) {
            for (uint32_t d = 0; d < keys->digits; d++) {
                he_key_load(b, key, keys, r, d);
                put_limb(out, ctx, b, he_prime_at(ctx, keys->level, r));
            }
        }
    }
    free(b);
    return finish(out, from);
}

/* Four coefficients per byte, each plus 1. */
sky_err sky_he_secret_write(const sky_he_secret *secret, sky_buf *out)
{
    size_t from = out->len;
    begin(out, KIND_SECRET, secret->ctx);
    for (uint32_t j = 0; j < secret->ctx->n; j += 4) {
        uint64_t byte = 0;
        for (uint32_t k = 0; k < 4; k++)
            byte |= (uint64_t)(secret->coefficients[j + k] + 1) << 2 * k;
        put(out, byte, 1);
    }
    return finish(out, from);
}

/* ---- Reading ---- */

typedef struct reader {
    const uint8_t *at;
    size_t left;
    uint64_t fingerprint;
    sky_error *e;
} reader;

/* The caller has checked that the bytes are there. */
static uint64_t get(reader *r, uint32_t bytes)
{
    uint64_t x = 0;
    assert(r->left >= bytes);
    for (uint32_t i = 0; i < bytes; i++)
        x |= (uint64_t)r->at[i] << 8 * i;
    r->at += bytes;
    r->left -= bytes;
    return x;
}

/* Header and trailer; what is left is the body. ctx: NULL for any fingerprint. */
static sky_err open_bytes(reader *r, const void *bytes, size_t len, int kind, const sky_he_ctx *ctx,
                          sky_error *e)
{
    static const char *const kinds[] = {
        "",           "ciphertext", "public key",       "set of switching keys",
        "secret key", "plaintext",  "set of parameters"};
    *r = (reader){.at = bytes, .left = len, .e = e};
    if (len < HEADER + TRAILER || memcmp(bytes, MAGIC, sizeof MAGIC) != 0)
        return sky_fail(e, SKY_EFORMAT, "not a %s: expected at least %d bytes that begin with SKHE",
                        kinds[kind], HEADER + TRAILER);
    get(r, sizeof MAGIC);
    uint64_t version = get(r, 2), found = get(r, 2);
    if (version != VERSION)
        return sky_fail(e, SKY_EVERSION, "%s of version %u, expected %d", kinds[kind],
                        (unsigned)version, VERSION);
    if (found != (uint64_t)kind)
        return sky_fail(e, SKY_EFORMAT, "expected a %s, found %s%s", kinds[kind],
                        found >= 1 && found <= KIND_PARAMS ? "a " : "an unknown kind",
                        found >= 1 && found <= KIND_PARAMS ? kinds[found] : "");
    r->fingerprint = get(r, 8);
    if (ctx && r->fingerprint != ctx->fingerprint)
        return he_fail(e, SKY_HE_CONTEXT, "the %s belongs to other primes", kinds[kind]);
    reader end = {.at = r->at + r->left - TRAILER, .left = TRAILER, .e = e};
    if (get(&end, TRAILER) != sky_hash_bytes(VERSION, bytes, len - TRAILER))
        return sky_fail(e, SKY_EFORMAT, "the %s is damaged: its checksum does not fit",
                        kinds[kind]);
    r->left -= TRAILER;
    return SKY_OK;
}

static sky_err expect_length(const reader *r, size_t want)
{
    if (r->left == want)
        return SKY_OK;
    return sky_fail(r->e, r->left > want ? SKY_ELIMIT : SKY_EFORMAT,
                    "%zu bytes follow the header, expected %zu", r->left, want);
}

static sky_err get_limb(reader *r, uint64_t *x, const sky_he_ctx *ctx, uint32_t i)
{
    uint32_t w = width(ctx, i);
    for (uint32_t j = 0; j < ctx->n; j++) {
        x[j] = get(r, w);
        if (x[j] >= ctx->q[i])
            return sky_fail(r->e, SKY_EFORMAT,
                            "residue %u is %llu, expected less than the prime %llu", j,
                            (unsigned long long)x[j], (unsigned long long)ctx->q[i]);
    }
    return SKY_OK;
}

/* Bytes of a polynomial at a level. */
static size_t poly_bytes(const sky_he_ctx *ctx, uint32_t level, bool extended)
{
    size_t sum = 0;
    for (uint32_t r = 0; r < he_limbs(ctx, level, extended); r++)
        sum += (size_t)width(ctx, he_prime_at(ctx, level, r)) * ctx->n;
    return sum;
}

/* The state of a plaintext or ciphertext of `low` to `high` parts; then just its parts are left. */
static sky_err get_state(reader *r, sky_he_state *is, const sky_he_ctx *ctx, uint32_t low,
                         uint32_t high)
{
    if (r->left < STATE)
        return sky_fail(r->e, SKY_EFORMAT, "the bytes end in the state, %zu of %d are left",
                        r->left, STATE);
    *is = (sky_he_state){.level = (uint32_t)get(r, 4), .parts = (uint32_t)get(r, 2)};
    uint64_t extended = get(r, 2), scale = get(r, 8);
    memcpy(&is->scale, &scale, sizeof scale);
    is->extended = extended;
    if (is->level < 1 || is->level > ctx->n_data || is->parts < low || is->parts > high ||
        extended > 1 || (extended && is->parts == 3))
        return sky_fail(r->e, SKY_EFORMAT,
                        "level %u, %u parts, form %u: expected a level of 1 to %u, %u to %u parts, "
                        "form 0 or 1",
                        is->level, is->parts, (unsigned)extended, ctx->n_data, low, high);
    sky_err err = he_check_scale(ctx, is->scale, is->level, r->e);
    return err ? err : expect_length(r, is->parts * poly_bytes(ctx, is->level, is->extended));
}

static sky_err get_part(reader *r, uint64_t *x, const sky_he_ctx *ctx, sky_he_state is)
{
    sky_err err = SKY_OK;
    for (uint32_t i = 0; i < he_limbs(ctx, is.level, is.extended) && !err; i++)
        err = get_limb(r, he_limb(ctx, x, i), ctx, he_prime_at(ctx, is.level, i));
    return err;
}

sky_err sky_he_ct_read(sky_he_ct **out, const sky_he_ctx *ctx, const void *bytes, size_t len,
                       sky_error *e)
{
    reader r;
    sky_he_ct *ct = NULL;
    sky_he_state is;
    sky_err err;
    if ((err = open_bytes(&r, bytes, len, KIND_CT, ctx, e)) ||
        (err = get_state(&r, &is, ctx, 2, 3)) ||
        (err = sky_he_ct_new(&ct, ctx, (sky_he_shape){is.level, is.extended, is.parts == 3}, e)))
        return err;
    for (uint32_t part = 0; part < is.parts && !err; part++)
        err = get_part(&r, ct->part[part], ctx, is);
    ct->is = is;
    if (err)
        sky_he_ct_free(ct);
    else
        *out = ct;
    return err;
}

sky_err sky_he_pt_read(sky_he_pt **out, const sky_he_ctx *ctx, const void *bytes, size_t len,
                       sky_error *e)
{
    reader r;
    sky_he_pt *pt = NULL;
    sky_he_state is;
    sky_err err;
    if ((err = open_bytes(&r, bytes, len, KIND_PT, ctx, e)) ||
        (err = get_state(&r, &is, ctx, 1, 1)) ||
        (err = sky_he_pt_new(&pt, ctx, (sky_he_shape){is.level, is.extended, false}, e)))
        return err;
    err = get_part(&r, pt->x, ctx, is);
    pt->is = is;
    if (err)
        sky_he_pt_free(pt);
    else
        *out = pt;
    return err;
}

/* The primes are not among the bytes: they are found again, and the fingerprint tells if they are the
 * same. */
sky_err sky_he_params_read(sky_he_params *out, const void *bytes, size_t len, sky_error *e)
{
    reader r;
    sky_he_params p = {0}, checked;
    uint32_t *field[PARAMS - 1];
    uint64_t q[SKY_HE_DATA_MAX + SKY_HE_SPECIAL_MAX];
    sky_err err = open_bytes(&r, bytes, len, KIND_PARAMS, NULL, e);
    if (err || (err = expect_length(&r, PARAMS * sizeof(uint32_t))))
        return err;
    params_fields(&p, field);
    for (int i = 0; i < PARAMS - 1; i++) {
        *field[i] = (uint32_t)get(&r, 4);
        if (!*field[i])
            return he_fail(e, SKY_HE_PARAMS, "number %d is 0", i);
    }
    uint64_t insecure = get(&r, 4);
    if (insecure > 1)
        return sky_fail(e, SKY_EFORMAT, "'insecure' is %u, expected 0 or 1", (unsigned)insecure);
    p.insecure = insecure;
    checked = p;
    if ((err = he_params_check(&checked, e)) || (err = he_pick_primes(q, &checked, e)))
        return err;
    if (he_fingerprint(q, &checked) != r.fingerprint)
        return he_fail(e, SKY_HE_CONTEXT, "these parameters give other primes here");
    *out = p;
    return SKY_OK;
}

sky_err sky_he_public_read(sky_he_public **out, const sky_he_ctx *ctx, const void *bytes,
                           size_t len, sky_error *e)
{
    reader r;
    sky_err err = open_bytes(&r, bytes, len, KIND_PUBLIC, ctx, e);
    if (!err)
        err = expect_length(&r, HE_SEED_BYTES + poly_bytes(ctx, ctx->n_data, true));
    if (err)
        return err;
    sky_he_public *key = calloc(1, sizeof *key);
    if (key) {
        key->ctx = ctx;
        key->b = he_alloc((size_t)ctx->total * ctx->n, sizeof *key->b);
        key->a = he_alloc((size_t)ctx->total * ctx->n, sizeof *key->a);
    }
    if (!key || !key->a || !key->b) {
        err = sky_fail(e, SKY_ENOMEM, "out of memory for a public key");
        goto done;
    }
    memcpy(key->seed, r.at, HE_SEED_BYTES);
    r.at += HE_SEED_BYTES, r.left -= HE_SEED_BYTES;
    for (uint32_t i = 0; i < ctx->total; i++) {
        if ((err = get_limb(&r, he_limb(ctx, key->b, i), ctx, i)))
            goto done;
        he_expand_a(he_limb(ctx, key->a, i), ctx, key->seed, 0, i);
    }
    *out = key;
    key = NULL;
done:
    sky_he_public_free(key);
    return err;
}

/* Galois elements ascend, are odd, below 2N and not 1; relinearisation, 0, comes last. */
static sky_err check_element(const reader *r, const sky_he_keys *keys, uint32_t g, size_t i,
                             size_t count)
{
    bool last = i + 1 == count, odd = g & 1;
    uint32_t before = i ? keys->key[i - 1].galois : 1;
    if ((g == 0 && last) || (odd && g > before && g < 2 * keys->ctx->n))
        return SKY_OK;
    return sky_fail(
        r->e, SKY_EFORMAT,
        "key %zu has the Galois element %u after %u: expected odd ones below 2N in ascending "
        "order, then perhaps 0",
        i, g, before);
}

static sky_err get_key(reader *r, sky_he_keys *keys, size_t i, size_t count, uint64_t *limb)
{
    const sky_he_ctx *ctx = keys->ctx;
    he_key *key = &keys->key[i];
    uint32_t g = (uint32_t)get(r, 4);
    sky_err err = check_element(r, keys, g, i, count);
    if (err)
        return err;
    keys->count++;
    keys->galois_count += g != 0;
    if (he_key_alloc(key, keys, g))
        return sky_fail(r->e, SKY_ENOMEM, "out of memory for a switching key");
    memcpy(key->seed, r->at, HE_SEED_BYTES);
    r->at += HE_SEED_BYTES, r->left -= HE_SEED_BYTES;
    for (uint32_t l = 0; l < he_limbs(ctx, keys->level, true); l++) {
        uint32_t prime = he_prime_at(ctx, keys->level, l);
        for (uint32_t d = 0; d < keys->digits; d++) {
            if ((err = get_limb(r, limb, ctx, prime)))
                return err;
            he_key_store(key, keys, l, d, limb, 0);
            he_expand_a(limb, ctx, key->seed, d, prime);
            he_key_store(key, keys, l, d, limb, 1);
        }
    }
    return SKY_OK;
}

sky_err sky_he_keys_read(sky_he_keys **out, const sky_he_ctx *ctx, const void *bytes, size_t len,
                         sky_error *e)
{
    reader r;
    sky_he_keys *keys = NULL;
    sky_err err = open_bytes(&r, bytes, len, KIND_KEYS, ctx, e);
    if (err)
        return err;
    if (r.left < KEYS_HEAD)
        return sky_fail(e, SKY_EFORMAT, "the switching keys end in their head");
    uint32_t level = (uint32_t)get(&r, 4), count = (uint32_t)get(&r, 4);
    if (level < 1 || level > ctx->n_data)
        return sky_fail(e, SKY_EFORMAT, "switching keys of level %u, expected 1 to %u", level,
                        ctx->n_data);
    if (count > ctx->n + 1)
        return sky_fail(e, SKY_ELIMIT, "%u switching keys, expected at most N + 1 = %u", count,
                        ctx->n + 1);
    size_t one = 4 + HE_SEED_BYTES + poly_bytes(ctx, level, true) * he_digits(ctx, level);
    if ((err = expect_length(&r, one * count)))
        return err;
    uint64_t *limb = he_alloc(ctx->n, sizeof *limb);
    if (!limb || he_keys_alloc(&keys, ctx, level, count)) {
        err = sky_fail(e, SKY_ENOMEM, "out of memory for %u switching keys", count);
        goto done;
    }
    for (size_t i = 0; i < count; i++) {
        if ((err = get_key(&r, keys, i, count, limb)))
            goto done;
    }
    *out = keys;
    keys = NULL;
done:
    sky_he_keys_free(keys);
    free(limb);
    return err;
}

sky_err sky_he_secret_read(sky_he_secret **out, const sky_he_ctx *ctx, const void *bytes,
                           size_t len, sky_error *e)
{
    reader r;
    sky_he_secret *secret = NULL;
    sky_err err = open_bytes(&r, bytes, len, KIND_SECRET, ctx, e);
    if (!err)
        err = expect_length(&r, ctx->n / 4);
    if (err)
        return err;
    if (he_secret_alloc(&secret, ctx))
        return sky_fail(e, SKY_ENOMEM, "out of memory for a secret key");
    for (uint32_t j = 0; j < ctx->n; j++) {
        int8_t c = (int8_t)(r.at[j / 4] >> 2 * (j % 4) & 3);
        if (c == 3) {
            sky_he_secret_free(secret);
            return sky_fail(e, SKY_EFORMAT, "coefficient %u of the secret is not -1, 0 or 1", j);
        }
        secret->coefficients[j] = (int8_t)(c - 1);
    }
    he_secret_fill(secret);
    *out = secret;
    return SKY_OK;
}
