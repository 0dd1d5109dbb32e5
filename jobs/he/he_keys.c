/* Secret, public and switching keys.
 *
 * A switching key from s' to s has, for each digit d, a pair modulo QP: a_d uniform from a seed, and
 *   b_d = -a_d s + e_d + P W_d s',   W_d = 1 modulo the digit's primes, 0 modulo the other data primes
 * (Han, Ki 2020). P W_d is zero modulo the special primes and does not depend on the level, so a key
 * for level l is the restriction of a longer one to the primes and digits of level l. */
#include <stdlib.h>
#include <string.h>

#include "jobs/he/he_internal.h"

void he_small_limb(uint64_t *out, const sky_he_ctx *ctx, const int64_t *small, uint32_t i)
{
    ctx->k->reduce_signed(out, small, ctx->n, he_mod(ctx, i));
    ctx->k->forward(out, &ctx->tables[i]);
}

static sky_err no_memory(sky_error *e)
{
    return sky_fail(e, SKY_ENOMEM, "out of memory for a key");
}

/* ---- Secret ---- */

sky_err he_secret_alloc(sky_he_secret **out, const sky_he_ctx *ctx)
{
    sky_he_secret *secret = calloc(1, sizeof *secret);
    if (!secret)
        return SKY_ENOMEM;
    secret->ctx = ctx;
    secret->coefficients = he_alloc(ctx->n, 1);
    secret->s = he_alloc((size_t)ctx->total * ctx->n, sizeof *secret->s);
    if (!secret->coefficients || !secret->s) {
        sky_he_secret_free(secret);
        return SKY_ENOMEM;
    }
    *out = secret;
    return SKY_OK;
}

void he_secret_fill(sky_he_secret *secret)
{
    const sky_he_ctx *ctx = secret->ctx;
    for (uint32_t i = 0; i < ctx->total; i++) {
        uint64_t *limb = he_limb(ctx, secret->s, i);
        for (uint32_t j = 0; j < ctx->n; j++)
            limb[j] =
                secret->coefficients[j] < 0 ? ctx->q[i] - 1 : (uint64_t)secret->coefficients[j];
        ctx->k->forward(limb, &ctx->tables[i]);
    }
}

sky_err sky_he_secret_new(sky_he_secret **out, const sky_he_ctx *ctx, sky_error *e)
{
    sky_err err = SKY_OK;
    sky_he_secret *secret = NULL;
    he_random random;
    he_random_for(&random, ctx);
    int64_t *small = he_alloc(ctx->n, sizeof *small);
    if (!small || he_secret_alloc(&secret, ctx)) {
        err = no_memory(e);
        goto done;
    }
    he_sample_ternary(&random, small, ctx->n);
    for (uint32_t j = 0; j < ctx->n; j++)
        secret->coefficients[j] = (int8_t)small[j];
    he_secret_fill(secret);
    if (random.failed) {
        err = he_fail(e, SKY_HE_RANDOM, "getrandom() failed while a secret key was made");
        goto done;
    }
    *out = secret;
    secret = NULL;
done:
    sky_he_secret_free(secret);
    if (small)
        explicit_bzero(small, ctx->n * sizeof *small);
    free(small);
    he_random_wipe(&random);
    return err;
}

void sky_he_secret_free(sky_he_secret *secret)
{
    if (!secret)
        return;
    const sky_he_ctx *ctx = secret->ctx;
    if (secret->coefficients)
        explicit_bzero(secret->coefficients, ctx->n);
    if (secret->s)
        explicit_bzero(secret->s, (size_t)ctx->total * ctx->n * sizeof *secret->s);
    free(secret->coefficients);
    free(secret->s);
    free(secret);
}

/* ---- One RLWE sample: b = -a s + e, a and b limb by limb ---- */

void he_expand_a(uint64_t *a, const sky_he_ctx *ctx, const uint8_t seed[HE_SEED_BYTES], uint32_t d,
                 uint32_t i)
{
    he_random random;
    he_random_seeded(&random, seed, (uint64_t)d << 32 | i);
    he_sample_uniform(&random, a, ctx->n, he_mod(ctx, i));
}

void he_sample_b(uint64_t *b, const uint64_t *a, const uint64_t *s, const uint64_t *noise,
                 const sky_he_ctx *ctx, uint32_t i)
{
    ctx->k->dot(b, &a, &s, 1, ctx->n, he_mod(ctx, i));
    ctx->k->sub(b, noise, b, ctx->n, he_mod(ctx, i));
}

sky_err sky_he_public_new(sky_he_public **out, const sky_he_secret *secret, sky_error *e)
{
    const sky_he_ctx *ctx = secret->ctx;
    sky_err err = SKY_OK;
    he_random random;
    he_random_for(&random, ctx);
    sky_he_public *key = calloc(1, sizeof *key);
    int64_t *small = he_alloc(ctx->n, sizeof *small);
    uint64_t *noise = he_alloc(ctx->n, sizeof *noise);
    if (key) {
        key->ctx = ctx;
        key->b = he_alloc((size_t)ctx->total * ctx->n, sizeof *key->b);
        key->a = he_alloc((size_t)ctx->total * ctx->n, sizeof *key->a);
    }
    if (!key || !small || !noise || !key->b || !key->a) {
        err = no_memory(e);
        goto done;
    }
    he_random_bytes(&random, key->seed, sizeof key->seed);
    he_sample_noise(&random, small, ctx->n);
    for (uint32_t i = 0; i < ctx->total; i++) {
        he_small_limb(noise, ctx, small, i);
        he_expand_a(he_limb(ctx, key->a, i), ctx, key->seed, 0, i);
        he_sample_b(he_limb(ctx, key->b, i), he_climb(ctx, key->a, i), he_climb(ctx, secret->s, i),
                    noise, ctx, i);
    }
    if (random.failed) {
        err = he_fail(e, SKY_HE_RANDOM, "getrandom() failed while a public key was made");
        goto done;
    }
    *out = key;
    key = NULL;
done:
    sky_he_public_free(key);
    if (small)
        explicit_bzero(small, ctx->n * sizeof *small);
    if (noise)
        explicit_bzero(noise, ctx->n * sizeof *noise);
    free(small);
    free(noise);
    he_random_wipe(&random);
    return err;
}

void sky_he_public_free(sky_he_public *key)
{
    if (!key)
        return;
    free(key->b);
    free(key->a);
    free(key);
}

/* ---- Switching keys ---- */

static size_t key_words(const sky_he_ctx *ctx, uint32_t level)
{
    return (size_t)2 * he_digits(ctx, level) * he_limbs(ctx, level, true) * ctx->n;
}

size_t sky_he_key_bytes(const sky_he_ctx *ctx, uint32_t level)
{
    return key_words(ctx, level) * sizeof(uint64_t);
}

sky_err he_keys_alloc(sky_he_keys **out, const sky_he_ctx *ctx, uint32_t level, size_t count)
{
    sky_he_keys *keys = calloc(1, sizeof *keys);
    if (!keys)
        return SKY_ENOMEM;
    keys->ctx = ctx;
    keys->level = level;
    keys->digits = he_digits(ctx, level);
    keys->key = calloc(count ? count : 1, sizeof *keys->key);
    if (!keys->key) {
        free(keys);
        return SKY_ENOMEM;
    }
    *out = keys;
    return SKY_OK;
}

sky_err he_key_alloc(he_key *key, const sky_he_keys *set, uint32_t galois)
{
    key->galois = galois;
    key->words = he_alloc(key_words(set->ctx, set->level), sizeof *key->words);
    key->map = he_alloc(set->ctx->n / HE_LANES, sizeof *key->map);
    if (!key->words || !key->map)
        return SKY_ENOMEM;
    if (galois)
        he_galois_map(key->map, galois, set->ctx->log2_n);
    return SKY_OK;
}

static uint64_t *key_limb(const he_key *key, const sky_he_keys *set, uint32_t r)
{
    return key->words + (size_t)r * 2 * set->ctx->n * set->digits;
}

void he_key_store(he_key *key, const sky_he_keys *set, uint32_t r, uint32_t d, const uint64_t *x,
                  uint32_t half)
{
    uint64_t *to = key_limb(key, set, r) + (2 * d + half) * HE_LANES;
    for (size_t i = 0; i < set->ctx->n; i += HE_LANES, to += (size_t)2 * HE_LANES * set->digits)
        memcpy(to, x + i, HE_LANES * sizeof *x);
}

void he_key_load(uint64_t *x, const he_key *key, const sky_he_keys *set, uint32_t r, uint32_t d)
{
    const uint64_t *from = key_limb(key, set, r) + 2 * d * HE_LANES;
    for (size_t i = 0; i < set->ctx->n; i += HE_LANES, from += (size_t)2 * HE_LANES * set->digits)
        memcpy(x + i, from, HE_LANES * sizeof *x);
}

/* Scratch of key generation: limbs of N words. */
enum { A, B, NOISE, TARGET, SOURCE, LIMBS };

typedef struct maker {
    const sky_he_secret *secret;
    he_random random;
    uint64_t *limb[LIMBS];
    int64_t *small; /* N */
    bool noiseless;
} maker;

static sky_err maker_init(maker *m, const sky_he_secret *secret, bool noiseless)
{
    const sky_he_ctx *ctx = secret->ctx;
    m->secret = secret;
    m->noiseless = noiseless;
    he_random_for(&m->random, ctx);
    uint64_t *memory = he_alloc((size_t)(LIMBS + 1) * ctx->n, sizeof *memory);
    if (!memory)
        return SKY_ENOMEM;
    for (int i = 0; i < LIMBS; i++)
        m->limb[i] = memory + (size_t)i * ctx->n;
    m->small = (int64_t *)(memory + (size_t)LIMBS * ctx->n);
    return SKY_OK;
}

static void maker_fini(maker *m)
{
    if (m->limb[0])
        explicit_bzero(m->limb[0], (size_t)(LIMBS + 1) * m->secret->ctx->n * sizeof(uint64_t));
    free(m->limb[0]);
    he_random_wipe(&m->random);
}

/* Where the key leads from and to, modulo prime i: for a Galois element, from s to its image under the
 * inverse; for relinearisation, from s^2 to s. */
static void ends(maker *m, const he_key *key, const uint32_t *inverse_map, uint32_t i)
{
    const sky_he_ctx *ctx = m->secret->ctx;
    const uint64_t *s = he_climb(ctx, m->secret->s, i);
    if (key->galois) {
        ctx->k->permute(m->limb[TARGET], s, inverse_map, ctx->n);
        memcpy(m->limb[SOURCE], s, ctx->n * sizeof *s);
    } else {
        memcpy(m->limb[TARGET], s, ctx->n * sizeof *s);
        ctx->k->dot(m->limb[SOURCE], &s, &s, 1, ctx->n, he_mod(ctx, i));
    }
}

static sky_err key_fill(maker *m, he_key *key, const sky_he_keys *set)
{
    const sky_he_ctx *ctx = set->ctx;
    uint32_t *inverse_map = he_alloc(ctx->n / HE_LANES, sizeof *inverse_map);
    int64_t *noise = he_alloc((size_t)set->digits * ctx->n, sizeof *noise);
    if (!inverse_map || !noise) {
        free(inverse_map);
        free(noise);
        return SKY_ENOMEM;
    }
    if (key->galois)
        he_galois_map(inverse_map, he_galois_inverse(ctx, key->galois), ctx->log2_n);
    he_random_bytes(&m->random, key->seed, sizeof key->seed);
    if (!m->noiseless)
        he_sample_noise(&m->random, noise, (size_t)set->digits * ctx->n);
    for (uint32_t r = 0; r < he_limbs(ctx, set->level, true); r++) {
        uint32_t i = he_prime_at(ctx, set->level, r);
        const he_modulus *mod = he_mod(ctx, i);
        ends(m, key, inverse_map, i);
        if (r < set->level) /* P W_d s' is P s' modulo the digit's own primes, 0 elsewhere */
            ctx->k->scale(m->limb[SOURCE], m->limb[SOURCE], ctx->p_mod[i], ctx->n, mod);
        for (uint32_t d = 0; d < set->digits; d++) {
            he_expand_a(m->limb[A], ctx, key->seed, d, i);
            he_small_limb(m->limb[NOISE], ctx, noise + (size_t)d * ctx->n, i);
            he_sample_b(m->limb[B], m->limb[A], m->limb[TARGET], m->limb[NOISE], ctx, i);
            if (r < set->level && r / ctx->alpha == d)
                ctx->k->add(m->limb[B], m->limb[B], m->limb[SOURCE], ctx->n, mod);
            he_key_store(key, set, r, d, m->limb[B], 0);
            he_key_store(key, set, r, d, m->limb[A], 1);
        }
    }
    explicit_bzero(noise, (size_t)set->digits * ctx->n * sizeof *noise);
    free(noise);
    free(inverse_map);
    return SKY_OK;
}

static int by_element(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* The Galois elements of the options, sorted, without repeats and 1; caller frees. */
static uint32_t *elements_of(const sky_he_ctx *ctx, const sky_he_keys_options *o, size_t *count)
{
    uint32_t *g = calloc(o->n_steps + 1, sizeof *g);
    size_t n = 0, kept = 0;
    if (!g)
        return NULL;
    for (size_t i = 0; i < o->n_steps; i++)
        g[n++] = he_galois_of_step(ctx, o->steps[i]);
    if (o->conjugate)
        g[n++] = 2 * ctx->n - 1;
    qsort(g, n, sizeof *g, by_element);
    for (size_t i = 0; i < n; i++) {
        if (g[i] != 1 && (kept == 0 || g[kept - 1] != g[i]))
            g[kept++] = g[i];
    }
    *count = kept;
    return g;
}

sky_err he_keys_new_noise(sky_he_keys **out, const sky_he_secret *secret,
                          const sky_he_keys_options *o, bool noiseless, sky_error *e)
{
    const sky_he_ctx *ctx = secret->ctx;
    uint32_t level = o->level ? o->level : ctx->n_data;
    sky_err err = SKY_OK;
    sky_he_keys *keys = NULL;
    maker m = {0};
    size_t count = 0;
    if (level > ctx->n_data)
        return he_fail(e, SKY_HE_LEVELS, "keys for level %u, expected 1 to %u", level, ctx->n_data);
    uint32_t *elements = elements_of(ctx, o, &count);
    if (!elements || he_keys_alloc(&keys, ctx, level, count + 1) ||
        maker_init(&m, secret, noiseless)) {
        err = no_memory(e);
        goto done;
    }
    for (size_t i = 0; i < count + o->relinearise; i++) {
        he_key *key = &keys->key[keys->count++];
        if (he_key_alloc(key, keys, i < count ? elements[i] : 0) || key_fill(&m, key, keys)) {
            err = sky_fail(e, SKY_ENOMEM, "out of memory for %zu switching keys of %zu bytes each",
                           count + o->relinearise, sky_he_key_bytes(ctx, level));
            goto done;
        }
        keys->galois_count += i < count;
    }
    if (m.random.failed) {
        err = he_fail(e, SKY_HE_RANDOM, "getrandom() failed while switching keys were made");
        goto done;
    }
    *out = keys;
    keys = NULL;
done:
    if (m.secret)
        maker_fini(&m);
    sky_he_keys_free(keys);
    free(elements);
    return err;
}

sky_err sky_he_keys_new(sky_he_keys **out, const sky_he_secret *secret,
                        const sky_he_keys_options *options, sky_error *e)
{
    return he_keys_new_noise(out, secret, options, false, e);
}

void sky_he_keys_free(sky_he_keys *keys)
{
    if (!keys)
        return;
    for (size_t i = 0; i < keys->count; i++) {
        free(keys->key[i].words);
        free(keys->key[i].map);
    }
    free(keys->key);
    free(keys);
}

const he_key *he_keys_find(const sky_he_keys *keys, uint32_t galois)
{
    if (!galois)
        return keys->count > keys->galois_count ? &keys->key[keys->galois_count] : NULL;
    size_t low = 0, high = keys->galois_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (keys->key[mid].galois < galois)
            low = mid + 1;
        else
            high = mid;
    }
    return low < keys->galois_count && keys->key[low].galois == galois ? &keys->key[low] : NULL;
}

size_t sky_he_keys_count(const sky_he_keys *keys)
{
    return keys->count;
}

size_t sky_he_keys_bytes(const sky_he_keys *keys)
{
    return keys->count * sky_he_key_bytes(keys->ctx, keys->level);
}

bool sky_he_keys_have_step(const sky_he_keys *keys, int32_t step)
{
    uint32_t g = he_galois_of_step(keys->ctx, step);
    return g == 1 || he_keys_find(keys, g);
}
