/* AVX2 kernels: AVX2 has no product of two 64-bit integers, so residues are doubles here. A product
 * below 2^100 is the sum of its rounded value and the rounding error, which one fused multiply-add
 * gives exactly (van der Hoeven, Lecerf, Quintin, "Modular SIMD arithmetic in Mathemagix", 2014).
 *
 * Values in flight are integers of absolute value at most 8q < 2^53, hence exact. For |a| <= B q and
 * |b| <= q/2, mul_mod() returns a value of absolute value at most (1/2 + 3 B/16) q: half for rounding
 * the quotient, and three roundings of a number up to B q/2 < B 2^49. The bounds B in the comments
 * below come from that. */
#include "jobs/he/he_kernels.h"

#include <immintrin.h>
#include <stdlib.h>

typedef __m256d d4;

enum {
    BLOCK = 2048,  /* elements that stay in the first-level cache for all remaining stages */
    TAIL = 2,      /* stages within one vector, done on 4 blocks at a time, transposed */
    GROUP = 3 * 4, /* roots of those stages for 4 blocks: 1 + 2 vectors */
    CHUNK = 7,     /* products, each up to 0.875 q, that are added before a reduction */
    AHEAD = 1024,  /* words of a key fetched ahead: hardware stops at pages */
};

typedef struct prime {
    d4 q, inv;
} prime;

static inline d4 all(double x)
{
    return _mm256_set1_pd(x);
}

static inline prime prime_of(const he_modulus *m)
{
    return (prime){all((double)m->q), all(m->inv)};
}

static inline d4 loadd(const double *p)
{
    return _mm256_load_pd(p);
}

static inline d4 round_even(d4 x)
{
    return _mm256_round_pd(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* Integers below 2^52 to doubles: under the exponent of 2^52. */
static inline d4 load(const uint64_t *p)
{
    const d4 magic = all(0x1p52);
    d4 x = _mm256_castsi256_pd(_mm256_load_si256((const __m256i *)p));
    return _mm256_sub_pd(_mm256_or_pd(x, magic), magic);
}

/* x in (-q, q) as its residue in [0, q). */
static inline void store_residue(uint64_t *p, d4 x, const prime *m)
{
    const d4 magic = all(0x1p52);
    x = _mm256_add_pd(x, _mm256_and_pd(_mm256_cmp_pd(x, _mm256_setzero_pd(), _CMP_LT_OQ), m->q));
    x = _mm256_xor_pd(_mm256_add_pd(x, magic), magic);
    _mm256_store_si256((__m256i *)p, _mm256_castpd_si256(x));
}

/* Between stages the words hold doubles. */
static inline d4 load_raw(const uint64_t *p)
{
    return _mm256_castsi256_pd(_mm256_load_si256((const __m256i *)p));
}

static inline void store_raw(uint64_t *p, d4 x)
{
    _mm256_store_si256((__m256i *)p, _mm256_castpd_si256(x));
}

static inline d4 mul_mod(d4 a, d4 b, const prime *m)
{
    d4 high = _mm256_mul_pd(a, b);
    d4 low = _mm256_fmsub_pd(a, b, high);
    d4 quotient = round_even(_mm256_mul_pd(high, m->inv));
    return _mm256_add_pd(_mm256_fnmadd_pd(quotient, m->q, high), low);
}

/* |x| <= 8q to at most q/2 (and a rounding error of 2^-48 q). */
static inline d4 reduce(d4 x, const prime *m)
{
    return _mm256_fnmadd_pd(round_even(_mm256_mul_pd(x, m->inv)), m->q, x);
}

static inline void butterfly(d4 *x, d4 *y, d4 w, const prime *m)
{
    d4 t = mul_mod(*y, w, m);
    *y = _mm256_sub_pd(*x, t);
    *x = _mm256_add_pd(*x, t);
}

static inline void butterfly_back(d4 *x, d4 *y, d4 w, const prime *m)
{
    d4 d = _mm256_sub_pd(*x, *y);
    *x = _mm256_add_pd(*x, *y);
    *y = mul_mod(d, w, m);
}

static inline void transpose(d4 v[4])
{
    d4 a = _mm256_unpacklo_pd(v[0], v[1]), b = _mm256_unpackhi_pd(v[0], v[1]);
    d4 c = _mm256_unpacklo_pd(v[2], v[3]), d = _mm256_unpackhi_pd(v[2], v[3]);
    v[0] = _mm256_permute2f128_pd(a, c, 0x20);
    v[1] = _mm256_permute2f128_pd(b, d, 0x20);
    v[2] = _mm256_permute2f128_pd(a, c, 0x31);
    v[3] = _mm256_permute2f128_pd(b, d, 0x31);
}

/* ---- Tables: centred roots as doubles; entries N/4 ... N-1 regrouped for the tail ---- */

static void table_fill(double *table, const uint64_t *powers, size_t n, uint64_t q)
{
    for (size_t i = 0; i < n / 4; i++)
        table[i] = (double)he_centre(powers[i], q);
    for (size_t b = 0; b < n / 4; b++) {
        double *to = table + n / 4 + b / 4 * GROUP + b % 4;
        to[0] = (double)he_centre(powers[n / 4 + b], q);
        to[4] = (double)he_centre(powers[n / 2 + 2 * b], q);
        to[8] = (double)he_centre(powers[n / 2 + 2 * b + 1], q);
    }
}

static sky_err table_init(he_table *t, uint64_t psi)
{
    size_t n = (size_t)1 << t->log2_n;
    uint64_t *powers = he_alloc(n, sizeof *powers);
    t->forward = he_alloc(n, sizeof(double));
    t->inverse = he_alloc(n, sizeof(double));
    if (!powers || !t->forward || !t->inverse) {
        free(powers);
        return SKY_ENOMEM;
    }
    he_root_powers(powers, psi, t->log2_n, &t->m);
    table_fill(t->forward, powers, n, t->m.q);
    he_root_powers(powers, he_inverse(psi, &t->m), t->log2_n, &t->m);
    table_fill(t->inverse, powers, n, t->m.q);
    he_table_scale(t, psi);
    free(powers);
    return SKY_OK;
}

/* ---- Forward ---- */

/* Residues below q come in, B = 1. */
static inline void pass2(uint64_t *x, const double *table, size_t n, const prime *m)
{
    d4 w = all(table[1]);
    for (size_t j = 0; j < n / 2; j += 4) {
        d4 a = load(x + j), b = load(x + j + n / 2);
        butterfly(&a, &b, w, m);
        store_raw(x + j, a);
        store_raw(x + j + n / 2, b);
    }
}

typedef struct span { /* blocks first ... last-1 of the 2^stage blocks */
    uint32_t stage;
    size_t first, last;
} span;

/* pass4: input is residues; reduce what is only added to; ask for a line of `ahead` in each round. */
enum { FIRST = 1, REDUCE = 2, FETCH = 4 };

/* Stages s and s + 1. Reducing a and b every second time keeps B below 5: from B it goes to
 * 1/2 + 2 stages of growth below 2.8, then without reduction to below 4.9. */
static inline void pass4(uint64_t *x, const double *table, uint32_t log2_n, span at, const prime *m,
                         int flags, he_ahead *ahead)
{
    uint32_t s = at.stage;
    const char *next = flags & FETCH ? ahead->at : NULL;
    size_t quarter = (size_t)1 << (log2_n - s - 2);
    for (size_t i = at.first; i < at.last; i++) {
        d4 w1 = all(table[((size_t)1 << s) + i]);
        d4 w2 = all(table[((size_t)2 << s) + 2 * i]), w3 = all(table[((size_t)2 << s) + 2 * i + 1]);
        uint64_t *p0 = x + 4 * quarter * i, *p1 = p0 + quarter, *p2 = p1 + quarter,
                 *p3 = p2 + quarter;
        for (size_t j = 0; j < quarter; j += 4) {
            d4 a, b, c, d;
            if (flags & FIRST) {
                a = load(p0 + j), b = load(p1 + j), c = load(p2 + j), d = load(p3 + j);
            } else {
                a = load_raw(p0 + j), b = load_raw(p1 + j);
                c = load_raw(p2 + j), d = load_raw(p3 + j);
            }
            if (flags & REDUCE)
                a = reduce(a, m), b = reduce(b, m);
            butterfly(&a, &c, w1, m);
            butterfly(&b, &d, w1, m);
            butterfly(&a, &b, w2, m);
            butterfly(&c, &d, w3, m);
            store_raw(p0 + j, a);
            store_raw(p1 + j, b);
            store_raw(p2 + j, c);
            store_raw(p3 + j, d);
            if (flags & FETCH) {
                __builtin_prefetch(next, 0, 2); /* to the second level: the first is in use */
                next += 64;
            }
        }
    }
    if (flags & FETCH)
        ahead->at = next;
}

/* The last two stages of elements 16 first ... 16 last - 1, and residues again. */
static inline void tail(uint64_t *x, const double *table, size_t n, size_t first, size_t last,
                        const prime *m)
{
    for (size_t g = first; g < last; g++) {
        const double *w = table + n / 4 + g * GROUP;
        uint64_t *p = x + 16 * g;
        d4 v[4] = {load_raw(p), load_raw(p + 4), load_raw(p + 8), load_raw(p + 12)};
        transpose(v);
        v[0] = reduce(v[0], m);
        v[1] = reduce(v[1], m);
        butterfly(&v[0], &v[2], loadd(w), m);
        butterfly(&v[1], &v[3], loadd(w), m);
        butterfly(&v[0], &v[1], loadd(w + 4), m);
        butterfly(&v[2], &v[3], loadd(w + 8), m);
        transpose(v);
        for (size_t k = 0; k < 4; k++)
            store_residue(p + 4 * k, reduce(v[k], m), m);
    }
}

static void pass4_some(uint64_t *x, const double *table, uint32_t log2_n, span at, const prime *m,
                       he_ahead *ahead)
{
    bool reduces = at.stage / 2 % 2; /* every second pass */
    if (ahead && ahead->at < ahead->end) {
        if (reduces)
            pass4(x, table, log2_n, at, m, REDUCE | FETCH, ahead);
        else
            pass4(x, table, log2_n, at, m, FETCH, ahead);
    } else if (reduces) {
        pass4(x, table, log2_n, at, m, REDUCE, NULL);
    } else {
        pass4(x, table, log2_n, at, m, 0, NULL);
    }
}

static void forward_ahead(uint64_t *x, const he_table *t, he_ahead *ahead)
{
    const double *table = t->forward;
    uint32_t log2_n = t->log2_n, s;
    size_t n = (size_t)1 << log2_n;
    prime m = prime_of(&t->m);
    if ((log2_n - TAIL) % 2) {
        pass2(x, table, n, &m);
        s = 1;
    } else {
        pass4(x, table, log2_n, (span){0, 0, 1}, &m, FIRST, NULL);
        s = 2;
    }
    for (; n >> s > BLOCK && s < log2_n - TAIL; s += 2)
        pass4_some(x, table, log2_n, (span){s, 0, (size_t)1 << s}, &m, ahead);
    for (size_t b = 0; b < (size_t)1 << s;
         b++) { /* depth first: each block once through the cache */
        for (uint32_t k = s; k < log2_n - TAIL; k += 2)
            pass4_some(x, table, log2_n, (span){k, b << (k - s), (b + 1) << (k - s)}, &m, ahead);
        tail(x, table, n, b * (n / 16) >> s, (b + 1) * (n / 16) >> s, &m);
    }
}

static void forward(uint64_t *x, const he_table *t)
{
    forward_ahead(x, t, NULL);
}

static void four_stages(uint64_t *x, const he_table *t)
{
    prime m = prime_of(&t->m);
    pass4(x, t->forward, 10, (span){0, 0, 1}, &m, REDUCE, NULL);
    pass4(x, t->forward, 10, (span){0, 0, 1}, &m, 0, NULL);
}

/* ---- Inverse: sums of four grow to 4B and are reduced, so that 4B < 8 always (B -> 1/2 + 3B/4) ---- */

static inline void tail_back(uint64_t *x, const double *table, size_t n, size_t first, size_t last,
                             const prime *m)
{
    for (size_t g = first; g < last; g++) {
        const double *w = table + n / 4 + g * GROUP;
        uint64_t *p = x + 16 * g;
        d4 v[4] = {load(p), load(p + 4), load(p + 8), load(p + 12)};
        transpose(v);
        butterfly_back(&v[0], &v[1], loadd(w + 4), m);
        butterfly_back(&v[2], &v[3], loadd(w + 8), m);
        butterfly_back(&v[0], &v[2], loadd(w), m);
        butterfly_back(&v[1], &v[3], loadd(w), m);
        v[0] = reduce(v[0], m);
        v[1] = reduce(v[1], m);
        transpose(v);
        for (size_t k = 0; k < 4; k++)
            store_raw(p + 4 * k, v[k]);
    }
}

static void pass4_back(uint64_t *x, const double *table, uint32_t log2_n, span at, const prime *m)
{
    uint32_t s = at.stage;
    size_t quarter = (size_t)1 << (log2_n - s - 2);
    for (size_t i = at.first; i < at.last; i++) {
        d4 w1 = all(table[((size_t)1 << s) + i]);
        d4 w2 = all(table[((size_t)2 << s) + 2 * i]), w3 = all(table[((size_t)2 << s) + 2 * i + 1]);
        uint64_t *p0 = x + 4 * quarter * i, *p1 = p0 + quarter, *p2 = p1 + quarter,
                 *p3 = p2 + quarter;
        for (size_t j = 0; j < quarter; j += 4) {
            d4 a = load_raw(p0 + j), b = load_raw(p1 + j);
            d4 c = load_raw(p2 + j), d = load_raw(p3 + j);
            butterfly_back(&a, &b, w2, m);
            butterfly_back(&c, &d, w3, m);
            butterfly_back(&a, &c, w1, m);
            butterfly_back(&b, &d, w1, m);
            store_raw(p0 + j, reduce(a, m));
            store_raw(p1 + j, reduce(b, m));
            store_raw(p2 + j, c);
            store_raw(p3 + j, d);
        }
    }
}

/* The last stage multiplies by N^-1 too: n_inv[0] for sums, n_inv[1], with its root, for differences. */
static inline void last_back(uint64_t *px, uint64_t *py, d4 x, d4 y, const d4 n_inv[2],
                             const prime *m)
{
    store_residue(px, reduce(mul_mod(_mm256_add_pd(x, y), n_inv[0], m), m), m);
    store_residue(py, reduce(mul_mod(_mm256_sub_pd(x, y), n_inv[1], m), m), m);
}

static void finish2(uint64_t *x, size_t n, const d4 n_inv[2], const prime *m)
{
    for (size_t j = 0; j < n / 2; j += 4) {
        d4 a = load_raw(x + j), b = load_raw(x + j + n / 2);
        last_back(x + j, x + j + n / 2, a, b, n_inv, m);
    }
}

static void finish4(uint64_t *x, const double *table, size_t n, const d4 n_inv[2], const prime *m)
{
    d4 w2 = all(table[2]), w3 = all(table[3]);
    uint64_t *p0 = x, *p1 = x + n / 4, *p2 = x + n / 2, *p3 = x + 3 * (n / 4);
    for (size_t j = 0; j < n / 4; j += 4) {
        d4 a = load_raw(p0 + j), b = load_raw(p1 + j);
        d4 c = load_raw(p2 + j), d = load_raw(p3 + j);
        butterfly_back(&a, &b, w2, m);
        butterfly_back(&c, &d, w3, m);
        last_back(p0 + j, p2 + j, a, c, n_inv, m);
        last_back(p1 + j, p3 + j, b, d, n_inv, m);
    }
}

static void inverse(uint64_t *x, const he_table *t)
{
    const double *table = t->inverse;
    uint32_t log2_n = t->log2_n, odd = (log2_n - TAIL) % 2, s = odd ? 1 : 2;
    size_t n = (size_t)1 << log2_n;
    prime m = prime_of(&t->m);
    const d4 n_inv[2] = {all((double)he_centre(t->n_inv.w, t->m.q)),
                         all((double)he_centre(t->n_inv_root.w, t->m.q))};
    while (n >> s > BLOCK && s < log2_n - TAIL)
        s += 2;
    for (size_t b = 0; b < (size_t)1 << s; b++) {
        tail_back(x, table, n, b * (n / 16) >> s, (b + 1) * (n / 16) >> s, &m);
        for (uint32_t k = log2_n - TAIL; k > s; k -= 2)
            pass4_back(x, table, log2_n, (span){k - 2, b << (k - 2 - s), (b + 1) << (k - 2 - s)},
                       &m);
    }
    for (; s > 2; s -= 2)
        pass4_back(x, table, log2_n, (span){s - 2, 0, (size_t)1 << (s - 2)}, &m);
    if (odd)
        finish2(x, n, n_inv, &m);
    else
        finish4(x, table, n, n_inv, &m);
}

/* ---- Products: of two residues in [0, q), hence up to 0.875 q ---- */

static void dot(uint64_t *out, const uint64_t *const *x, const uint64_t *const *y, size_t terms,
                size_t n, const he_modulus *modulus)
{
    prime m = prime_of(modulus);
    for (size_t i = 0; i < n; i += 4) {
        d4 sum = _mm256_setzero_pd();
        for (size_t k = 0; k < terms;) {
            size_t end = k + CHUNK < terms ? k + CHUNK : terms;
            for (; k < end; k++)
                sum = _mm256_add_pd(sum, mul_mod(load(x[k] + i), load(y[k] + i), &m));
            sum = reduce(sum, &m);
        }
        store_residue(out + i, sum, &m);
    }
}

static inline void mac_half(d4 sum[2], const uint64_t *x, const uint64_t *key, const prime *m)
{
    d4 v = load(x);
    sum[0] = _mm256_add_pd(sum[0], mul_mod(v, load(key), m));
    sum[1] = _mm256_add_pd(sum[1], mul_mod(v, load(key + HE_LANES), m));
}

static void mac(uint64_t *out0, uint64_t *out1, const uint64_t *const *x, const uint64_t *key,
                size_t digits, size_t stride, size_t n, const he_modulus *modulus)
{
    prime m = prime_of(modulus);
    for (size_t i = 0; i < n; i += HE_LANES) {
        const uint64_t *k = key + 2 * i * stride;
        d4 lo[2] = {_mm256_setzero_pd(), _mm256_setzero_pd()}, hi[2] = {lo[0], lo[0]};
        for (size_t d = 0; d < digits;) {
            size_t end = d + CHUNK < digits ? d + CHUNK : digits;
            for (; d < end; d++, k += 2 * HE_LANES) {
                __builtin_prefetch(k + AHEAD);
                __builtin_prefetch(k + AHEAD + HE_LANES);
                mac_half(lo, x[d] + i, k, &m);
                mac_half(hi, x[d] + i + 4, k + 4, &m);
            }
            for (int h = 0; h < 2; h++)
                lo[h] = reduce(lo[h], &m), hi[h] = reduce(hi[h], &m);
        }
        store_residue(out0 + i, lo[0], &m);
        store_residue(out0 + i + 4, hi[0], &m);
        store_residue(out1 + i, lo[1], &m);
        store_residue(out1 + i + 4, hi[1], &m);
    }
}

/* x[i] may be larger than q, but is below 2^50: the bound that mul_mod() states for B q = 2^50 holds, a
 * term is at most 0.69 q, and nine of them with the multiple of D stay below 8q. */
static inline __attribute__((always_inline)) void convert_some(uint64_t *out,
                                                               const uint64_t *const *x,
                                                               const he_convert *c, uint32_t count,
                                                               size_t n, const he_modulus *modulus)
{
    prime m = prime_of(modulus);
    const d4 magic = all(0x1p52);
    d4 minus_d = all((double)he_centre(c->minus_d.w, modulus->q));
    d4 hat[HE_CONVERT_MAX], d_inv[HE_CONVERT_MAX];
    for (uint32_t k = 0; k < count; k++) {
        hat[k] = all((double)he_centre(c->hat[k].w, modulus->q));
        d_inv[k] = all(c->d_inv[k]);
    }
    for (size_t i = 0; i < n; i += 4) {
        d4 sum = _mm256_setzero_pd(), v = _mm256_setzero_pd();
        for (uint32_t k = 0; k < count; k++) {
            d4 a = load(x[k] + i);
            sum = _mm256_add_pd(sum, mul_mod(a, hat[k], &m));
            v = _mm256_add_pd(v, _mm256_mul_pd(a, d_inv[k]));
        }
        v = _mm256_sub_pd(_mm256_add_pd(v, magic), magic);
        sum = _mm256_add_pd(sum, mul_mod(v, minus_d, &m));
        store_residue(out + i, reduce(sum, &m), &m);
    }
}

/* One prime: centred by a comparison, which rounds as the general way does (docs/he.md). */
static inline void convert_one(uint64_t *out, const uint64_t *x, double d, size_t n,
                               const he_modulus *modulus)
{
    prime m = prime_of(modulus);
    const d4 all_d = all(d), half = all((d - 1) / 2);
    for (size_t i = 0; i < n; i += 4) {
        d4 a = load(x + i);
        a = _mm256_sub_pd(a, _mm256_and_pd(_mm256_cmp_pd(a, half, _CMP_GT_OQ), all_d));
        store_residue(out + i, reduce(a, &m), &m);
    }
}

static void convert(uint64_t *out, const uint64_t *const *x, const he_convert *c, size_t n,
                    const he_modulus *m)
{
    switch (c->count) { /* the usual counts with their loops unrolled */
    case 1:
        convert_one(out, x[0], (double)c->d, n, m);
        break;
    case 2:
        convert_some(out, x, c, 2, n, m);
        break;
    case 3:
        convert_some(out, x, c, 3, n, m);
        break;
    default:
        convert_some(out, x, c, c->count, n, m);
    }
}

static void raise(uint64_t *out, const uint64_t *const *x, const he_convert *c, const he_table *t,
                  he_ahead *ahead)
{
    convert(out, x, c, (size_t)1 << t->log2_n, &t->m);
    forward_ahead(out, t, ahead);
}

static void scale(uint64_t *out, const uint64_t *x, he_factor f, size_t n,
                  const he_modulus *modulus)
{
    prime m = prime_of(modulus);
    d4 w = all((double)he_centre(f.w, modulus->q));
    for (size_t i = 0; i < n; i += 4)
        store_residue(out + i, reduce(mul_mod(load(x + i), w, &m), &m), &m);
}

static void sub_scale(uint64_t *out, const uint64_t *x, const uint64_t *y, he_factor f, size_t n,
                      const he_modulus *modulus)
{
    prime m = prime_of(modulus);
    d4 w = all((double)he_centre(f.w, modulus->q));
    for (size_t i = 0; i < n; i += 4) {
        d4 d = _mm256_sub_pd(load(x + i), load(y + i));
        store_residue(out + i, reduce(mul_mod(d, w, &m), &m), &m);
    }
}

static void add(uint64_t *out, const uint64_t *x, const uint64_t *y, size_t n, const he_modulus *m)
{
    const __m256i q = _mm256_set1_epi64x((int64_t)m->q);
    for (size_t i = 0; i < n; i += 4) {
        __m256i a = _mm256_load_si256((const __m256i *)(x + i));
        a = _mm256_sub_epi64(_mm256_add_epi64(a, _mm256_load_si256((const __m256i *)(y + i))), q);
        __m256i negative = _mm256_cmpgt_epi64(_mm256_setzero_si256(), a);
        _mm256_store_si256((__m256i *)(out + i),
                           _mm256_add_epi64(a, _mm256_and_si256(negative, q)));
    }
}

static void sub(uint64_t *out, const uint64_t *x, const uint64_t *y, size_t n, const he_modulus *m)
{
    const __m256i q = _mm256_set1_epi64x((int64_t)m->q);
    for (size_t i = 0; i < n; i += 4) {
        __m256i a = _mm256_load_si256((const __m256i *)(x + i));
        a = _mm256_sub_epi64(a, _mm256_load_si256((const __m256i *)(y + i)));
        __m256i negative = _mm256_cmpgt_epi64(_mm256_setzero_si256(), a);
        _mm256_store_si256((__m256i *)(out + i),
                           _mm256_add_epi64(a, _mm256_and_si256(negative, q)));
    }
}

static void permute(uint64_t *out, const uint64_t *x, const uint32_t *map, size_t n)
{
    he_kernels_portable.permute(out, x, map, n);
}

/* |c| < 2^62 = high 2^32 + low, high signed and low not: both exact as doubles. */
static void reduce_signed(uint64_t *out, const int64_t *c, size_t n, const he_modulus *modulus)
{
    prime m = prime_of(modulus);
    const __m256i magic = _mm256_castpd_si256(all(0x1p52));
    const __m256i sign = _mm256_set1_epi64x((int64_t)1 << 31);
    const __m256i low_bits = _mm256_set1_epi64x(UINT32_MAX);
    d4 two32 = all((double)he_centre(((uint64_t)1 << 32) % modulus->q, modulus->q));
    for (size_t i = 0; i < n; i += 4) {
        __m256i x = _mm256_load_si256((const __m256i *)(c + i));
        __m256i high = _mm256_xor_si256(_mm256_srli_epi64(x, 32), sign),
                low = _mm256_and_si256(x, low_bits);
        d4 h =
            _mm256_sub_pd(_mm256_castsi256_pd(_mm256_or_si256(high, magic)), all(0x1p52 + 0x1p31));
        d4 l = _mm256_sub_pd(_mm256_castsi256_pd(_mm256_or_si256(low, magic)), all(0x1p52));
        d4 sum = _mm256_add_pd(mul_mod(h, two32, &m), reduce(l, &m));
        store_residue(out + i, reduce(sum, &m), &m);
    }
}

const he_kernels he_kernels_avx2 = {
    .name = "avx2",
    .table_init = table_init,
    .forward = forward,
    .inverse = inverse,
    .four_stages = four_stages,
    .dot = dot,
    .mac = mac,
    .convert = convert,
    .raise = raise,
    .scale = scale,
    .sub_scale = sub_scale,
    .add = add,
    .sub = sub,
    .permute = permute,
    .reduce_signed = reduce_signed,
};
