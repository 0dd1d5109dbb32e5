/* AVX-512 IFMA kernels but for the transforms (he_ifma_ntt.c): eight residues per vector, products of 52
 * bits by vpmadd52luq and vpmadd52huq. tests/he compiles this file a second time, with HE_EMULATE
 * (he_vec512.h). */
#include "jobs/he/he_ifma.h"

enum {
    CHUNK = 12,   /* products of 50-bit factors whose high halves fit 52 bits together: 2^4 - 1,
                         and one for what is there already */
    AHEAD = 1024, /* words of a key fetched ahead: hardware stops at pages */
};

/* ---- Products ---- */

/* high 2^52 + low, high < 2^52 - 2^12, any low: in [0, 4q), modulo 2^52. */
INLINE v8 reduce_open(v8 high, v8 low, root r52, const prime *p)
{
    return mul_add_open(barrett_open(low, p), high + (low >> 52), r52, p);
}

/* The same to [0, q). */
INLINE v8 reduce_sum(v8 high, v8 low, root r52, const prime *p)
{
    return once(once(reduce_open(high, low, r52, p) & p->mask, p->q2), p->q);
}

static void dot(uint64_t *out, const uint64_t *const *x, const uint64_t *const *y, size_t terms,
                size_t n, const he_modulus *m)
{
    prime p = prime_of(m);
    root r52 = root_of(m->r52);
    for (size_t i = 0; i < n; i += 8) {
        v8 sum = {0};
        for (size_t k = 0; k < terms;) {
            size_t end = k + CHUNK < terms ? k + CHUNK : terms;
            v8 low = sum, high = {0};
            for (; k < end; k++) {
                v8 a = load(x[k] + i), b = load(y[k] + i);
                low = madd_lo(low, a, b);
                high = madd_hi(high, a, b);
            }
            sum = reduce_sum(high, low, r52, &p);
        }
        store(out + i, sum);
    }
}

static void mac(uint64_t *out0, uint64_t *out1, const uint64_t *const *x, const uint64_t *key,
                size_t digits, size_t stride, size_t n, const he_modulus *m)
{
    prime p = prime_of(m);
    root r52 = root_of(m->r52);
    for (size_t i = 0; i < n; i += 8) {
        const uint64_t *k = key + 2 * i * stride;
        v8 sum0 = {0}, sum1 = {0};
        for (size_t d = 0; d < digits;) {
            size_t end = d + CHUNK < digits ? d + CHUNK : digits;
            v8 low0 = sum0, high0 = {0}, low1 = sum1, high1 = {0};
            for (; d < end; d++, k += 2 * HE_LANES) {
                __builtin_prefetch(k + AHEAD);
                __builtin_prefetch(k + AHEAD + HE_LANES);
                v8 v = load(x[d] + i), b = load(k), a = load(k + HE_LANES);
                low0 = madd_lo(low0, v, b);
                high0 = madd_hi(high0, v, b);
                low1 = madd_lo(low1, v, a);
                high1 = madd_hi(high1, v, a);
            }
            sum0 = reduce_sum(high0, low0, r52, &p);
            sum1 = reduce_sum(high1, low1, r52, &p);
        }
        store(out0 + i, sum0);
        store(out1 + i, sum1);
    }
}

static inline d8 to_double(v8 x) /* x < 2^52 */
{
    return (d8)(x | all(0x4330000000000000)) - 0x1p52;
}

/* open: the results are in [0, 4q), modulo 2^52. */
INLINE void convert_some(uint64_t *out, const uint64_t *const *x, const he_convert *c,
                         uint32_t count, size_t n, const he_modulus *m, bool open)
{
    prime p = prime_of(m);
    root r52 = root_of(m->r52);
    v8 minus_d = all(c->minus_d.w);
    for (size_t i = 0; i < n; i += 8) {
        v8 low = {0}, high = {0};
        d8 v = {0};
        for (uint32_t k = 0; k < count; k++) {
            v8 a = load(x[k] + i), hat = all(c->hat[k].w);
            low = madd_lo(low, a, hat);
            high = madd_hi(high, a, hat);
            v += to_double(a) * c->d_inv[k];
        }
        v8 multiple = (v8)(v + 0x1p52) & p.mask;
        low = madd_lo(low, multiple, minus_d);
        high = madd_hi(high, multiple, minus_d);
        store(out + i, open ? reduce_open(high, low, r52, &p) : reduce_sum(high, low, r52, &p));
    }
}

/* One prime: centred by a comparison, which rounds as the general way does (docs/he.md). */
static void convert_one(uint64_t *out, const uint64_t *x, const he_convert *c, size_t n,
                        const he_modulus *m)
{
    prime p = prime_of(m);
    v8 half = all(c->d / 2), minus_d = all(c->minus_d.w);
    for (size_t i = 0; i < n; i += 8) {
        v8 a = load(x + i);
        v8 r = barrett_lazy(a, &p) + ((v8)(a > half) & minus_d);
        store(out + i, once(once(r, p.q2), p.q));
    }
}

/* The usual counts with their loops unrolled. */
INLINE void convert_any(uint64_t *out, const uint64_t *const *x, const he_convert *c, size_t n,
                        const he_modulus *m, bool open)
{
    switch (c->count) {
    case 2:
        convert_some(out, x, c, 2, n, m, open);
        break;
    case 3:
        convert_some(out, x, c, 3, n, m, open);
        break;
    default:
        convert_some(out, x, c, c->count, n, m, open);
    }
}

static void convert(uint64_t *out, const uint64_t *const *x, const he_convert *c, size_t n,
                    const he_modulus *m)
{
    if (c->count == 1)
        convert_one(out, x[0], c, n, m);
    else
        convert_any(out, x, c, n, m, false);
}

void IFMA_NAME(convert_open)(uint64_t *out, const uint64_t *const *x, const he_convert *c, size_t n,
                             const he_modulus *m)
{
    convert_any(out, x, c, n, m, true);
}

static void scale(uint64_t *out, const uint64_t *x, he_factor f, size_t n, const he_modulus *m)
{
    prime p = prime_of(m);
    root r = root_of(f);
    for (size_t i = 0; i < n; i += 8)
        store(out + i, once(mul_lazy(load(x + i), r, &p), p.q));
}

static void sub_scale(uint64_t *out, const uint64_t *x, const uint64_t *y, he_factor f, size_t n,
                      const he_modulus *m)
{
    prime p = prime_of(m);
    root r = root_of(f);
    for (size_t i = 0; i < n; i += 8)
        store(out + i, once(mul_lazy(load(x + i) + p.q - load(y + i), r, &p), p.q));
}

static void add(uint64_t *out, const uint64_t *x, const uint64_t *y, size_t n, const he_modulus *m)
{
    v8 q = all(m->q);
    for (size_t i = 0; i < n; i += 8)
        store(out + i, once(load(x + i) + load(y + i), q));
}

static void sub(uint64_t *out, const uint64_t *x, const uint64_t *y, size_t n, const he_modulus *m)
{
    v8 q = all(m->q);
    for (size_t i = 0; i < n; i += 8)
        store(out + i, once(load(x + i) + q - load(y + i), q));
}

static void permute(uint64_t *out, const uint64_t *x, const uint32_t *map, size_t n)
{
    for (size_t b = 0; b < n / HE_LANES; b++) {
        v8 from = load(x + (size_t)(map[b] >> 6) * HE_LANES);
        store(out + b * HE_LANES, lanes_of(from, load(he_lane_patterns[map[b] & 63])));
    }
}

/* |c| < 2^62 as high 2^52 + low, then the sign. */
static void reduce_signed(uint64_t *out, const int64_t *c, size_t n, const he_modulus *m)
{
    prime p = prime_of(m);
    root r52 = root_of(m->r52);
    for (size_t i = 0; i < n; i += 8) {
        v8 x = load((const uint64_t *)c + i);
        v8 negative = all(0) - (x >> 63);
        v8 size = (x ^ negative) - negative;
        v8 r = reduce_sum((v8){0}, size, r52, &p);
        v8 flipped = once(p.q - r, p.q);
        store(out + i, (r & ~negative) | (flipped & negative));
    }
}

const he_kernels KERNELS = {
    .name = NAME,
    .table_init = IFMA_NAME(table_init),
    .forward = IFMA_NAME(forward),
    .inverse = IFMA_NAME(inverse),
    .four_stages = IFMA_NAME(four_stages),
    .dot = dot,
    .mac = mac,
    .convert = convert,
    .raise = IFMA_NAME(raise),
    .scale = scale,
    .sub_scale = sub_scale,
    .add = add,
    .sub = sub,
    .permute = permute,
    .reduce_signed = reduce_signed,
};
