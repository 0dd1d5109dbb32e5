/* AVX-512 IFMA kernels: eight residues per vector, products of 52 bits by vpmadd52luq and vpmadd52huq.
 * tests/he compiles this file a second time, with HE_EMULATE (he_vec512.h). */
#include "jobs/he/he_kernels.h"
#include "jobs/he/he_vec512.h"

#include <stdlib.h>
#include <string.h>

enum {
    BLOCK = 2048,   /* elements that stay in the first-level cache for all remaining stages */
    TAIL = 3,       /* stages within one vector, done on 8 blocks at a time, transposed */
    GROUP = 7 * 8,  /* roots of those stages for 8 blocks: 1 + 2 + 4 vectors */
    CHUNK = 12,     /* products of 50-bit factors whose high halves fit 52 bits together: 2^4 - 1,
                         and one for what is there already */
    AHEAD = 1024,   /* words of a key fetched ahead: hardware stops at pages */
    LAZY_BITS = 46, /* primes below 2^46 need no reduction between forward stages */
};

/* The lazy and the other version are compiled apart: no branch in a loop. */
#define INLINE static inline __attribute__((always_inline))

static inline v8 all(uint64_t x)
{
    return x - (v8){0};
}

static inline v8 load(const uint64_t *p)
{
    return *(const v8 *)p;
}

static inline void store(uint64_t *p, v8 x)
{
    *(v8 *)p = x;
}

/* The constants of a prime in registers. */
typedef struct prime {
    v8 q, q2, minus_q, mask, barrett;
} prime;

static inline prime prime_of(const he_modulus *m)
{
    return (prime){all(m->q), all(2 * m->q), all(((uint64_t)1 << 52) - m->q),
                   all(((uint64_t)1 << 52) - 1), all(m->barrett64 >> 12)};
}

typedef struct root {
    v8 w, aux;
} root;

static inline root root_of(he_factor f)
{
    return (root){all(f.w), all(f.aux >> 12)};
}

/* x r mod q, lazy: in [0, 2q), for x < 2^52. */
static inline v8 mul_lazy(v8 x, root r, const prime *p)
{
    v8 quotient = madd_hi((v8){0}, x, r.aux);
    return madd_lo(madd_lo((v8){0}, x, r.w), quotient, p->minus_q) & p->mask;
}

/* x mod q, lazy: in [0, 2q), for x < 2^52. */
static inline v8 barrett_lazy(v8 x, const prime *p)
{
    v8 quotient = madd_hi((v8){0}, x, p->barrett);
    return madd_lo(x, quotient, p->minus_q) & p->mask;
}

static inline v8 once(v8 x, v8 q)
{
    return min(x, x - q);
}

/* Cooley-Tukey, values in [0, 4q); if lazy they grow by 2q a stage and stay below 2^52. */
INLINE void butterfly(v8 *x, v8 *y, root r, const prime *p, bool lazy)
{
    v8 u = lazy ? *x : once(*x, p->q2);
    v8 v = mul_lazy(*y, r, p);
    *x = u + v;
    *y = u + p->q2 - v;
}

/* Gentleman-Sande, values in [0, 2q). */
static inline void butterfly_back(v8 *x, v8 *y, root r, const prime *p)
{
    v8 u = *x, v = *y;
    *x = once(u + v, p->q2);
    *y = mul_lazy(u + p->q2 - v, r, p);
}

#define SHUFFLE(x, y, ...) __builtin_shufflevector(x, y, __VA_ARGS__)

/* Transposes four pairs of rows at the level of 128 bits: columns 0, 1, 2, 3 of pairs. */
static inline void transpose_pairs(v8 *c0, v8 *c1, v8 *c2, v8 *c3, const v8 r[4])
{
    v8 a = SHUFFLE(r[0], r[1], 0, 1, 4, 5, 8, 9, 12, 13);
    v8 b = SHUFFLE(r[2], r[3], 0, 1, 4, 5, 8, 9, 12, 13);
    v8 c = SHUFFLE(r[0], r[1], 2, 3, 6, 7, 10, 11, 14, 15);
    v8 d = SHUFFLE(r[2], r[3], 2, 3, 6, 7, 10, 11, 14, 15);
    *c0 = SHUFFLE(a, b, 0, 1, 4, 5, 8, 9, 12, 13);
    *c2 = SHUFFLE(a, b, 2, 3, 6, 7, 10, 11, 14, 15);
    *c1 = SHUFFLE(c, d, 0, 1, 4, 5, 8, 9, 12, 13);
    *c3 = SHUFFLE(c, d, 2, 3, 6, 7, 10, 11, 14, 15);
}

static inline void transpose(v8 x[8])
{
    v8 even[4], odd[4];
    for (int k = 0; k < 4; k++) {
        even[k] = SHUFFLE(x[2 * k], x[2 * k + 1], 0, 8, 2, 10, 4, 12, 6, 14);
        odd[k] = SHUFFLE(x[2 * k], x[2 * k + 1], 1, 9, 3, 11, 5, 13, 7, 15);
    }
    transpose_pairs(&x[0], &x[2], &x[4], &x[6], even);
    transpose_pairs(&x[1], &x[3], &x[5], &x[7], odd);
}

/* ---- Tables: w[N], then aux[N]; entries N/8 ... N-1 regrouped for the tail ---- */

static void table_fill(uint64_t *table, const uint64_t *powers, size_t n, uint64_t q)
{
    size_t groups = n / 64;
    for (size_t i = 0; i < n / 8; i++)
        table[i] = powers[i];
    for (size_t g = 0; g < groups; g++) {
        uint64_t *to = table + n / 8 + g * GROUP;
        for (size_t j = 0; j < 8; j++) {
            size_t b = 8 * g + j; /* a block of eight elements */
            to[j] = powers[n / 8 + b];
            for (size_t k = 0; k < 2; k++)
                to[8 + 8 * k + j] = powers[n / 4 + 2 * b + k];
            for (size_t k = 0; k < 4; k++)
                to[24 + 8 * k + j] = powers[n / 2 + 4 * b + k];
        }
    }
    for (size_t i = 0; i < n; i++)
        table[n + i] = he_factor_of(table[i], q).aux >> 12;
}

static sky_err table_init(he_table *t, uint64_t psi)
{
    size_t n = (size_t)1 << t->log2_n;
    uint64_t *powers = he_alloc(n, sizeof *powers);
    t->forward = he_alloc(2 * n, sizeof *powers);
    t->inverse = he_alloc(2 * n, sizeof *powers);
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

static inline root root_at(const uint64_t *table, size_t n, size_t i)
{
    return (root){all(table[i]), all(table[n + i])};
}

static inline root roots_at(const uint64_t *table, size_t n, size_t i)
{
    return (root){load(table + i), load(table + n + i)};
}

/* ---- Forward ---- */

INLINE void pass2(uint64_t *x, const uint64_t *table, size_t n, const prime *p, bool lazy)
{
    root w = root_at(table, n, 1);
    for (size_t j = 0; j < n / 2; j += 8) {
        v8 a = load(x + j), b = load(x + j + n / 2);
        butterfly(&a, &b, w, p, lazy);
        store(x + j, a);
        store(x + j + n / 2, b);
    }
}

/* Stages s and s + 1 on the blocks first ... last-1 of 2^s. */
INLINE void pass4(uint64_t *x, const uint64_t *table, uint32_t log2_n, uint32_t s, size_t first,
                  size_t last, const prime *p, bool lazy)
{
    size_t n = (size_t)1 << log2_n, quarter = n >> (s + 2);
    for (size_t i = first; i < last; i++) {
        root w1 = root_at(table, n, ((size_t)1 << s) + i);
        root w2 = root_at(table, n, ((size_t)2 << s) + 2 * i);
        root w3 = root_at(table, n, ((size_t)2 << s) + 2 * i + 1);
        uint64_t *base = x + 4 * quarter * i;
        for (size_t j = 0; j < quarter; j += 8) {
            uint64_t *at = base + j;
            v8 a = load(at), b = load(at + quarter);
            v8 c = load(at + 2 * quarter), d = load(at + 3 * quarter);
            butterfly(&a, &c, w1, p, lazy);
            butterfly(&b, &d, w1, p, lazy);
            butterfly(&a, &b, w2, p, lazy);
            butterfly(&c, &d, w3, p, lazy);
            store(at, a);
            store(at + quarter, b);
            store(at + 2 * quarter, c);
            store(at + 3 * quarter, d);
        }
    }
}

/* The last three stages of elements 64 first ... 64 last - 1, and the reduction to [0, q). */
INLINE void tail(uint64_t *x, const uint64_t *table, size_t n, size_t first, size_t last,
                 const prime *p, bool lazy)
{
    for (size_t g = first; g < last; g++) {
        size_t r = n / 8 + g * GROUP;
        v8 v[8];
        for (size_t k = 0; k < 8; k++)
            v[k] = load(x + 64 * g + 8 * k);
        transpose(v);
        root w = roots_at(table, n, r);
        for (size_t k = 0; k < 4; k++)
            butterfly(&v[k], &v[k + 4], w, p, lazy);
        for (size_t k = 0; k < 2; k++) {
            w = roots_at(table, n, r + 8 + 8 * k);
            butterfly(&v[4 * k], &v[4 * k + 2], w, p, lazy);
            butterfly(&v[4 * k + 1], &v[4 * k + 3], w, p, lazy);
        }
        for (size_t k = 0; k < 4; k++) {
            w = roots_at(table, n, r + 24 + 8 * k);
            butterfly(&v[2 * k], &v[2 * k + 1], w, p, lazy);
        }
        for (size_t k = 0; k < 8; k++)
            v[k] = once(lazy ? barrett_lazy(v[k], p) : once(v[k], p->q2), p->q);
        transpose(v);
        for (size_t k = 0; k < 8; k++)
            store(x + 64 * g + 8 * k, v[k]);
    }
}

INLINE void forward_any(uint64_t *x, const he_table *t, bool lazy)
{
    const uint64_t *table = t->forward;
    uint32_t log2_n = t->log2_n, s = 0;
    size_t n = (size_t)1 << log2_n;
    prime p = prime_of(&t->m);
    if ((log2_n - TAIL) % 2) {
        pass2(x, table, n, &p, lazy);
        s = 1;
    }
    for (; n >> s > BLOCK && s < log2_n - TAIL; s += 2)
        pass4(x, table, log2_n, s, 0, (size_t)1 << s, &p, lazy);
    for (size_t b = 0; b < (size_t)1 << s;
         b++) { /* depth first: each block once through the cache */
        for (uint32_t k = s; k < log2_n - TAIL; k += 2)
            pass4(x, table, log2_n, k, b << (k - s), (b + 1) << (k - s), &p, lazy);
        tail(x, table, n, b * (n / 64) >> s, (b + 1) * (n / 64) >> s, &p, lazy);
    }
}

static void forward(uint64_t *x, const he_table *t)
{
    if (t->m.q >> LAZY_BITS == 0)
        forward_any(x, t, true);
    else
        forward_any(x, t, false);
}

static void four_stages(uint64_t *x, const he_table *t)
{
    prime p = prime_of(&t->m);
    for (int i = 0; i < 2; i++) {
        if (t->m.q >> LAZY_BITS == 0)
            pass4(x, t->forward, 10, 0, 0, 1, &p, true);
        else
            pass4(x, t->forward, 10, 0, 0, 1, &p, false);
    }
}

/* ---- Inverse ---- */

static inline void tail_back(uint64_t *x, const uint64_t *table, size_t n, size_t first,
                             size_t last, const prime *p)
{
    for (size_t g = first; g < last; g++) {
        size_t r = n / 8 + g * GROUP;
        v8 v[8];
        for (size_t k = 0; k < 8; k++)
            v[k] = load(x + 64 * g + 8 * k);
        transpose(v);
        root w;
        for (size_t k = 0; k < 4; k++) {
            w = roots_at(table, n, r + 24 + 8 * k);
            butterfly_back(&v[2 * k], &v[2 * k + 1], w, p);
        }
        for (size_t k = 0; k < 2; k++) {
            w = roots_at(table, n, r + 8 + 8 * k);
            butterfly_back(&v[4 * k], &v[4 * k + 2], w, p);
            butterfly_back(&v[4 * k + 1], &v[4 * k + 3], w, p);
        }
        w = roots_at(table, n, r);
        for (size_t k = 0; k < 4; k++)
            butterfly_back(&v[k], &v[k + 4], w, p);
        transpose(v);
        for (size_t k = 0; k < 8; k++)
            store(x + 64 * g + 8 * k, v[k]);
    }
}

static inline void pass4_back(uint64_t *x, const uint64_t *table, uint32_t log2_n, uint32_t s,
                              size_t first, size_t last, const prime *p)
{
    size_t n = (size_t)1 << log2_n, quarter = n >> (s + 2);
    for (size_t i = first; i < last; i++) {
        root w1 = root_at(table, n, ((size_t)1 << s) + i);
        root w2 = root_at(table, n, ((size_t)2 << s) + 2 * i);
        root w3 = root_at(table, n, ((size_t)2 << s) + 2 * i + 1);
        uint64_t *base = x + 4 * quarter * i;
        for (size_t j = 0; j < quarter; j += 8) {
            uint64_t *at = base + j;
            v8 a = load(at), b = load(at + quarter);
            v8 c = load(at + 2 * quarter), d = load(at + 3 * quarter);
            butterfly_back(&a, &b, w2, p);
            butterfly_back(&c, &d, w3, p);
            butterfly_back(&a, &c, w1, p);
            butterfly_back(&b, &d, w1, p);
            store(at, a);
            store(at + quarter, b);
            store(at + 2 * quarter, c);
            store(at + 3 * quarter, d);
        }
    }
}

/* The last stage multiplies by N^-1 too, and reduces to [0, q). */
static inline void last_back(v8 *x, v8 *y, const root n_inv[2], const prime *p)
{
    v8 u = *x, v = *y;
    *x = once(mul_lazy(u + v, n_inv[0], p), p->q);
    *y = once(mul_lazy(u + p->q2 - v, n_inv[1], p), p->q);
}

static inline void finish2(uint64_t *x, size_t n, const root n_inv[2], const prime *p)
{
    for (size_t j = 0; j < n / 2; j += 8) {
        v8 a = load(x + j), b = load(x + j + n / 2);
        last_back(&a, &b, n_inv, p);
        store(x + j, a);
        store(x + j + n / 2, b);
    }
}

static inline void finish4(uint64_t *x, const uint64_t *table, size_t n, const root n_inv[2],
                           const prime *p)
{
    root w2 = root_at(table, n, 2), w3 = root_at(table, n, 3);
    size_t quarter = n / 4;
    for (size_t j = 0; j < quarter; j += 8) {
        v8 a = load(x + j), b = load(x + j + quarter);
        v8 c = load(x + j + 2 * quarter), d = load(x + j + 3 * quarter);
        butterfly_back(&a, &b, w2, p);
        butterfly_back(&c, &d, w3, p);
        last_back(&a, &c, n_inv, p);
        last_back(&b, &d, n_inv, p);
        store(x + j, a);
        store(x + j + quarter, b);
        store(x + j + 2 * quarter, c);
        store(x + j + 3 * quarter, d);
    }
}

static void inverse(uint64_t *x, const he_table *t)
{
    const uint64_t *table = t->inverse;
    uint32_t log2_n = t->log2_n, odd = (log2_n - TAIL) % 2, s = odd ? 1 : 2;
    size_t n = (size_t)1 << log2_n;
    prime p = prime_of(&t->m);
    const root n_inv[2] = {root_of(t->n_inv), root_of(t->n_inv_root)};
    while (n >> s > BLOCK && s < log2_n - TAIL)
        s += 2;
    uint32_t cut = n >> s >= 64 ? s : 0; /* a block holds whole groups of the tail */
    for (size_t b = 0; b < (size_t)1 << cut; b++) {
        tail_back(x, table, n, b * (n / 64) >> cut, (b + 1) * (n / 64) >> cut, &p);
        for (uint32_t k = log2_n - TAIL; k > s; k -= 2)
            pass4_back(x, table, log2_n, k - 2, b << (k - 2 - cut), (b + 1) << (k - 2 - cut), &p);
    }
    for (; s > 2; s -= 2)
        pass4_back(x, table, log2_n, s - 2, 0, (size_t)1 << (s - 2), &p);
    if (odd)
        finish2(x, n, n_inv, &p);
    else
        finish4(x, table, n, n_inv, &p);
}

/* ---- Products ---- */

/* high 2^52 + low, high < 2^52 - 2^12, any low, to [0, q). */
static inline v8 reduce_sum(v8 high, v8 low, root r52, const prime *p)
{
    high += low >> 52;
    v8 r = mul_lazy(high, r52, p) + barrett_lazy(low & p->mask, p);
    return once(once(r, p->q2), p->q);
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

INLINE void convert_some(uint64_t *out, const uint64_t *const *x, const he_convert *c,
                         uint32_t count, size_t n, const he_modulus *m)
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
        store(out + i, reduce_sum(high, low, r52, &p));
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

static void convert(uint64_t *out, const uint64_t *const *x, const he_convert *c, size_t n,
                    const he_modulus *m)
{
    switch (c->count) { /* the usual counts with their loops unrolled */
    case 1:
        convert_one(out, x[0], c, n, m);
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
    .table_init = table_init,
    .forward = forward,
    .inverse = inverse,
    .four_stages = four_stages,
    .dot = dot,
    .mac = mac,
    .convert = convert,
    .scale = scale,
    .sub_scale = sub_scale,
    .add = add,
    .sub = sub,
    .permute = permute,
    .reduce_signed = reduce_signed,
};
