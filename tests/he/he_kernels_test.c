/* Kernels: the transform against its definition and against schoolbook products of polynomials, every
 * version against the portable one, bit for bit, on random and on extreme input. */
#include "he_check.h"

enum { LIMBS = 24 };

static const uint32_t bits_tried[] = {20, 30, 40, 41, 45, 46, 47, 49, 50};

/* A prime of `bits` bits, below 2^50 for 50, that is 1 modulo 2N. */
static uint64_t some_prime(uint32_t log2_n, uint32_t bits)
{
    uint64_t q[2];
    sky_he_params p = {.log2_n = log2_n,
                       .n_data = 1,
                       .n_special = 1,
                       .digit_primes = 1,
                       .first_bits = bits,
                       .scale_bits = bits,
                       .special_bits = bits,
                       .insecure = true};
    MUST(he_pick_primes(q, &p, e));
    return q[0];
}

static void fill(sky_rng *rng, uint64_t *x, size_t n, uint64_t q, int kind)
{
    for (size_t i = 0; i < n; i++)
        x[i] = kind == 0   ? sky_rng_below(rng, q)
               : kind == 1 ? q - 1
               : kind == 2 ? (i % 2 ? q - 1 : 0)
                           : (sky_rng_below(rng, 2) ? q - 1 - sky_rng_below(rng, 3)
                                                    : sky_rng_below(rng, 3));
}

static bool same(const uint64_t *x, const uint64_t *y, size_t n)
{
    return memcmp(x, y, n * sizeof *x) == 0;
}

static he_table table_of(const he_kernels *k, uint32_t log2_n, uint64_t q)
{
    he_table t = {.m = he_modulus_of(q), .log2_n = log2_n};
    MUST(k->table_init(&t, he_primitive_root(q, log2_n)));
    return t;
}

static void table_free(he_table *t)
{
    free(t->forward);
    free(t->inverse);
}

/* Value i is the polynomial at psi^(2 brv(i) + 1). */
static void test_definition(sky_rng *rng)
{
    const uint32_t log2_n = 6, n = 64;
    for (size_t b = 0; b < sizeof bits_tried / sizeof *bits_tried; b++) {
        uint64_t q = some_prime(log2_n, bits_tried[b]), psi = he_primitive_root(q, log2_n);
        he_table t = table_of(&he_kernels_portable, log2_n, q);
        uint64_t *x = he_alloc(n, sizeof *x), *y = he_alloc(n, sizeof *y);
        fill(rng, x, n, q, 0);
        CHECK(he_pow(psi, n, &t.m) == q - 1, "psi is not a primitive 2N-th root of %llu",
              (unsigned long long)q);
        for (uint32_t i = 0; i < n; i++) {
            uint64_t at = he_pow(psi, 2 * he_reverse_bits(i, log2_n) + 1, &t.m), sum = 0;
            for (uint32_t j = n; j-- > 0;)
                sum = (uint64_t)(((he_u128)sum * at + x[j]) % q);
            y[i] = sum;
        }
        he_kernels_portable.forward(x, &t);
        CHECK(same(x, y, n), "transform is not evaluation, %u bits", bits_tried[b]);
        free(x);
        free(y);
        table_free(&t);
    }
}

/* Products in Z_q[X]/(X^N + 1), term by term. */
static void test_schoolbook(sky_rng *rng)
{
    const he_kernels *kernels[4];
    size_t n_kernels = he_all_kernels(kernels);
    for (uint32_t log2_n = 6; log2_n <= 9; log2_n++) {
        size_t n = (size_t)1 << log2_n;
        uint64_t q = some_prime(log2_n, bits_tried[sky_rng_below(rng, 9)]);
        uint64_t *x = he_alloc(4 * n, sizeof *x), *y = x + n, *want = y + n, *got = want + n;
        fill(rng, x, n, q, 0);
        fill(rng, y, n, q, 3);
        for (size_t i = 0; i < n; i++) {
            for (size_t j = 0; j < n; j++) {
                uint64_t term = (uint64_t)((he_u128)x[i] * y[j] % q);
                size_t k = (i + j) % n;
                want[k] = i + j < n ? (want[k] + term) % q : (want[k] + q - term) % q;
            }
        }
        for (size_t v = 0; v < n_kernels; v++) {
            const he_kernels *k = kernels[v];
            he_table t = table_of(k, log2_n, q);
            uint64_t *a = he_alloc(2 * n, sizeof *a), *b = a + n;
            const uint64_t *ca = a, *cb = b;
            memcpy(a, x, n * sizeof *x);
            memcpy(b, y, n * sizeof *y);
            k->forward(a, &t);
            k->forward(b, &t);
            k->dot(got, &ca, &cb, 1, n, &t.m);
            k->inverse(got, &t);
            CHECK(same(got, want, n), "%s: product differs, N = %zu", k->name, n);
            free(a);
            table_free(&t);
        }
        free(x);
    }
}

static void test_transforms(sky_rng *rng)
{
    const he_kernels *kernels[4];
    size_t n_kernels = he_all_kernels(kernels);
    for (uint32_t log2_n = 6; log2_n <= 16; log2_n++) {
        size_t n = (size_t)1 << log2_n;
        uint64_t *x = he_alloc(3 * n, sizeof *x), *want = x + n, *got = want + n;
        for (size_t b = 0; b < sizeof bits_tried / sizeof *bits_tried; b++) {
            if (bits_tried[b] < log2_n + 9 || (log2_n > 13 && b % 4))
                continue; /* no such prime; the emulated version is slow */
            uint64_t q = some_prime(log2_n, bits_tried[b]);
            he_table reference = table_of(&he_kernels_portable, log2_n, q);
            for (size_t v = 0; v < n_kernels; v++) {
                he_table t = table_of(kernels[v], log2_n, q);
                for (int kind = 0; kind < (log2_n > 13 ? 2 : 4); kind++) {
                    fill(rng, x, n, q, kind);
                    memcpy(want, x, n * sizeof *x);
                    memcpy(got, x, n * sizeof *x);
                    he_kernels_portable.forward(want, &reference);
                    kernels[v]->forward(got, &t);
                    CHECK(same(got, want, n), "%s: forward, N = 2^%u, %u bits, input %d",
                          kernels[v]->name, log2_n, bits_tried[b], kind);
                    kernels[v]->inverse(got, &t);
                    CHECK(same(got, x, n), "%s: inverse of forward, N = 2^%u, %u bits, input %d",
                          kernels[v]->name, log2_n, bits_tried[b], kind);
                    memcpy(want, x, n * sizeof *x);
                    memcpy(got, x, n * sizeof *x);
                    he_kernels_portable.inverse(want, &reference);
                    kernels[v]->inverse(got, &t);
                    CHECK(same(got, want, n), "%s: inverse, N = 2^%u, %u bits, input %d",
                          kernels[v]->name, log2_n, bits_tried[b], kind);
                }
                table_free(&t);
            }
            table_free(&reference);
        }
        free(x);
    }
}

/* Raising is the portable conversion and transform, whatever memory is asked for meanwhile. */
static void raise_once(sky_rng *rng, uint32_t log2_n, uint32_t bits, const he_kernels *k)
{
    size_t n = (size_t)1 << log2_n;
    uint64_t q = some_prime(log2_n, bits), d[3];
    uint32_t count = 1 + (uint32_t)sky_rng_below(rng, 3), from = 20 + log2_n;
    sky_he_params p = {.log2_n = log2_n,
                       .n_data = 2,
                       .n_special = 1,
                       .first_bits = from + (uint32_t)sky_rng_below(rng, 51 - from),
                       .scale_bits = from + (uint32_t)sky_rng_below(rng, 51 - from),
                       .special_bits = 50};
    MUST(he_pick_primes(d, &p, e));
    he_table reference = table_of(&he_kernels_portable, log2_n, q), t = table_of(k, log2_n, q);
    he_convert c = {.count = count, .d = d[0]};
    uint64_t *x = he_alloc(5 * n, sizeof *x), *want = x + 3 * n, *got = want + n, product = 1;
    const uint64_t *px[3] = {x, x + n, x + 2 * n};
    for (uint32_t i = 0; i < count; i++) {
        fill(rng, x + i * n, n, d[i], (int)sky_rng_below(rng, 4));
        for (size_t j = 0; j < 4; j++) /* about the middle, where the sign turns */
            x[i * n + sky_rng_below(rng, n)] = d[i] / 2 + j - 1;
        c.d_inv[i] = 1.0 / (double)d[i];
        c.hat[i] = he_factor_of(1, q);
        product = he_mul(product, d[i] % q, &t.m);
        for (uint32_t j = 0; j < count; j++)
            c.hat[i] = j == i ? c.hat[i] : he_factor_of(he_mul(c.hat[i].w, d[j] % q, &t.m), q);
    }
    c.minus_d = he_factor_of(product ? q - product : 0, q);
    he_kernels_portable.convert(want, px, &c, n, &t.m);
    he_kernels_portable.forward(want, &reference);
    const char *line = (const char *)x;
    he_ahead ahead = {line, line + sky_rng_below(rng, 3 * n) * sizeof *x};
    k->raise(got, px, &c, &t, &ahead);
    CHECK(same(got, want, n) && ahead.at >= line, "%s: raised from %u primes, N = 2^%u, %u bits",
          k->name, count, log2_n, bits);
    free(x);
    table_free(&reference);
    table_free(&t);
}

static void test_raise(sky_rng *rng)
{
    const he_kernels *kernels[4];
    size_t n_kernels = he_all_kernels(kernels);
    for (uint32_t log2_n = 6; log2_n <= 14; log2_n++) {
        for (size_t b = 0; b < sizeof bits_tried / sizeof *bits_tried; b++) {
            for (size_t v = 0; v < n_kernels && bits_tried[b] >= log2_n + 9; v++)
                raise_once(rng, log2_n, bits_tried[b], kernels[v]);
        }
    }
}

/* Sums of products, by remainders of 128-bit numbers. */
static void test_products(sky_rng *rng)
{
    const he_kernels *kernels[4];
    size_t n_kernels = he_all_kernels(kernels), n = 128;
    uint64_t *x = he_alloc(2 * LIMBS * n, sizeof *x), *y = x + LIMBS * n;
    uint64_t *key = he_alloc(2 * LIMBS * n, sizeof *key), *out = he_alloc(2 * n, sizeof *out);
    for (int round = 0; round < 60; round++) {
        uint64_t q = some_prime(6, bits_tried[sky_rng_below(rng, 9)]);
        he_modulus m = he_modulus_of(q);
        size_t terms = 1 + sky_rng_below(rng, LIMBS), stride = terms + sky_rng_below(rng, 2);
        stride = stride < LIMBS ? stride : LIMBS;
        terms = terms < stride ? terms : stride;
        fill(rng, x, LIMBS * n, q, round % 4);
        fill(rng, y, LIMBS * n, q, round % 3);
        fill(rng, key, 2 * LIMBS * n, q, round % 4);
        const uint64_t *px[LIMBS], *py[LIMBS];
        for (size_t k = 0; k < LIMBS; k++)
            px[k] = x + k * n, py[k] = y + k * n;
        for (size_t v = 0; v < n_kernels; v++) {
            bool dot_ok = true, mac_ok = true;
            kernels[v]->dot(out, px, py, terms, n, &m);
            for (size_t i = 0; i < n; i++) {
                he_u128 sum = 0;
                for (size_t k = 0; k < terms; k++)
                    sum += (he_u128)px[k][i] * py[k][i];
                dot_ok = dot_ok && out[i] == (uint64_t)(sum % q);
            }
            CHECK(dot_ok, "%s: dot of %zu terms", kernels[v]->name, terms);
            kernels[v]->mac(out, out + n, px, key, terms, stride, n, &m);
            for (size_t i = 0; i < n; i++) {
                for (size_t half = 0; half < 2; half++) {
                    he_u128 sum = 0;
                    for (size_t d = 0; d < terms; d++)
                        sum += (he_u128)px[d][i] *
                               key[i / 8 * 16 * stride + d * 16 + half * 8 + i % 8];
                    mac_ok = mac_ok && out[half * n + i] == (uint64_t)(sum % q);
                }
            }
            CHECK(mac_ok, "%s: mac of %zu of %zu digits", kernels[v]->name, terms, stride);
        }
    }
    free(x);
    free(key);
    free(out);
}

static void test_elementwise(sky_rng *rng)
{
    const he_kernels *kernels[4];
    size_t n_kernels = he_all_kernels(kernels), n = 128;
    uint64_t *x = he_alloc(3 * n, sizeof *x), *y = x + n, *out = y + n;
    int64_t *c = he_alloc(n, sizeof *c);
    for (int round = 0; round < 60; round++) {
        uint64_t q = some_prime(6, bits_tried[sky_rng_below(rng, 9)]);
        he_modulus m = he_modulus_of(q);
        he_factor f = he_factor_of(sky_rng_below(rng, q), q);
        fill(rng, x, n, q, round % 4);
        fill(rng, y, n, q, (round + 1) % 4);
        int cut = 1 + (int)sky_rng_below(rng, 61);
        for (size_t i = 0; i < n; i++)
            c[i] = (int64_t)sky_rng_u64(rng) >> cut;
        c[0] = 0;
        for (size_t v = 0; v < n_kernels; v++) {
            const he_kernels *k = kernels[v];
            bool ok = true;
            k->add(out, x, y, n, &m);
            for (size_t i = 0; i < n; i++)
                ok = ok && out[i] == (x[i] + y[i]) % q;
            k->sub(out, x, y, n, &m);
            for (size_t i = 0; i < n; i++)
                ok = ok && out[i] == (x[i] + q - y[i]) % q;
            CHECK(ok, "%s: add or sub", k->name);
            k->scale(out, x, f, n, &m);
            for (size_t i = 0; i < n; i++)
                ok = ok && out[i] == (uint64_t)((he_u128)x[i] * f.w % q);
            k->sub_scale(out, x, y, f, n, &m);
            for (size_t i = 0; i < n; i++)
                ok = ok && out[i] == (uint64_t)((he_u128)(x[i] + q - y[i]) * f.w % q);
            CHECK(ok, "%s: scale or sub_scale", k->name);
            k->reduce_signed(out, c, n, &m);
            for (size_t i = 0; i < n; i++) {
                int64_t r = c[i] % (int64_t)q;
                ok = ok && out[i] == (uint64_t)(r < 0 ? r + (int64_t)q : r);
            }
            CHECK(ok, "%s: reduce_signed", k->name);
        }
    }
    free(x);
    free(c);
}

/* Conversion of centred residues: y, |y| < D/2, is drawn; its residues go in, y modulo q comes out. */
static void test_convert(sky_rng *rng)
{
    const he_kernels *kernels[4];
    size_t n_kernels = he_all_kernels(kernels), n = 64;
    uint64_t *x = he_alloc(5 * n, sizeof *x), *out = x + 4 * n;
    __int128 y[64];
    for (int round = 0; round < 80; round++) {
        uint32_t count = 1 + (uint32_t)sky_rng_below(rng, 4);
        uint32_t bits = count == 4 ? 30 : count == 3 ? 40 : 50; /* D < 2^125 */
        uint64_t d[SKY_HE_DATA_MAX], q = some_prime(6, bits_tried[sky_rng_below(rng, 9)]);
        sky_he_params p = {.log2_n = 6,
                           .n_data = count - 1 ? count - 1 : 1,
                           .n_special = 1,
                           .first_bits = bits,
                           .scale_bits = bits,
                           .special_bits = bits};
        MUST(he_pick_primes(d, &p, e));
        he_modulus m = he_modulus_of(q);
        he_convert c = {.count = count};
        he_u128 product = 1;
        const uint64_t *px[4];
        for (uint32_t i = 0; i < count; i++)
            product *= d[i];
        for (size_t j = 0; j < n; j++) {
            he_u128 u = ((he_u128)sky_rng_u64(rng) << 64 | sky_rng_u64(rng)) % (product / 2);
            u = round % 4 == 1 ? u >> 60 : u; /* small ones too */
            y[j] = sky_rng_below(rng, 2) ? (__int128)u : -(__int128)u;
        }
        for (uint32_t i = 0; i < count; i++) {
            he_modulus mi = he_modulus_of(d[i]);
            uint64_t inverse = he_inverse((uint64_t)(product / d[i] % d[i]), &mi);
            c.d_inv[i] = 1.0 / (double)d[i];
            c.hat[i] = he_factor_of((uint64_t)(product / d[i] % q), q);
            px[i] = x + i * n;
            for (size_t j = 0; j < n; j++) {
                int64_t r = (int64_t)(y[j] % (__int128)d[i]);
                x[i * n + j] =
                    he_mul(r < 0 ? (uint64_t)(r + (int64_t)d[i]) : (uint64_t)r, inverse, &mi);
            }
        }
        c.d = count == 1 ? d[0] : 0;
        if (count == 1) { /* next to the ends of the range, too */
            for (size_t j = 0; j < 4; j++) {
                x[j] = d[0] / 2 + j - 1;
                y[j] = he_centre(x[j], d[0]);
            }
        }
        uint64_t rest = (uint64_t)(product % q);
        c.minus_d = he_factor_of(rest ? q - rest : 0, q);
        for (size_t v = 0; v < n_kernels; v++) {
            bool ok = true;
            kernels[v]->convert(out, px, &c, n, &m);
            for (size_t j = 0; j < n; j++) {
                int64_t r = (int64_t)(y[j] % (__int128)q);
                ok = ok && out[j] == (uint64_t)(r < 0 ? r + (int64_t)q : r);
            }
            CHECK(ok, "%s: conversion from %u primes of %u bits to %llu", kernels[v]->name, count,
                  bits, (unsigned long long)q);
        }
    }
    free(x);
}

static void test_permute(sky_rng *rng)
{
    const he_kernels *kernels[4];
    size_t n_kernels = he_all_kernels(kernels);
    for (uint32_t log2_n = 6; log2_n <= 10; log2_n++) { /* against the coefficients: X -> X^g */
        size_t n = (size_t)1 << log2_n;
        uint64_t q = some_prime(log2_n, 40);
        he_table t = table_of(&he_kernels_portable, log2_n, q);
        uint64_t *x = he_alloc(3 * n, sizeof *x), *want = x + n, *got = want + n;
        uint32_t *map = he_alloc(n / 8, sizeof *map);
        for (int round = 0; round < 8; round++) {
            uint32_t g = (uint32_t)(2 * sky_rng_below(rng, n) + 1);
            fill(rng, x, n, q, 0);
            for (size_t i = 0; i < n; i++) {
                size_t to = i * g % (2 * n);
                want[to % n] = to < n ? x[i] : (q - x[i]) % q;
            }
            he_kernels_portable.forward(x, &t);
            he_kernels_portable.forward(want, &t);
            he_galois_map(map, g, log2_n);
            for (size_t v = 0; v < n_kernels; v++) {
                kernels[v]->permute(got, x, map, n);
                CHECK(same(got, want, n), "%s: automorphism %u, N = %zu", kernels[v]->name, g, n);
            }
        }
        free(x);
        free(map);
        table_free(&t);
    }
}

/* Known answer: RFC 8439, section 2.3.2, whose 96-bit nonce and 32-bit counter are our two words. */
static void test_chacha20(void)
{
    static const uint8_t want[16] = {0x10, 0xf1, 0xe7, 0xe4, 0xd1, 0x3b, 0x59, 0x15,
                                     0x50, 0x0f, 0xdd, 0x1f, 0xa3, 0x20, 0x71, 0xc4};
    uint32_t key[8];
    uint8_t out[64];
    for (uint32_t i = 0; i < 8; i++)
        key[i] = 0x03020100u + 0x04040404u * i;
    he_chacha20_block(out, key, 0x0900000000000001u, 0x4a000000u);
    CHECK(memcmp(out, want, sizeof want) == 0, "ChaCha20 block");
}

int main(void)
{
    sky_rng rng = test_rng("he_kernels_test");
    const he_kernels *kernels[4];
    for (size_t i = 0, n = he_all_kernels(kernels); i < n; i++)
        printf("version: %s\n", kernels[i]->name);
    test_definition(&rng);
    test_schoolbook(&rng);
    test_transforms(&rng);
    test_raise(&rng);
    test_products(&rng);
    test_elementwise(&rng);
    test_convert(&rng);
    test_permute(&rng);
    test_chacha20();
    return he_report("he_kernels_test");
}
