/* AVX-512 IFMA transforms: radix 4, and the first three stages at once where their number is odd; the last
 * three on transposed vectors. tests/he compiles this file a second time, with HE_EMULATE (he_vec512.h).
 *
 * Two ways, by the prime. From 2^46 on, values are in [0, 4q) forward and [0, 2q) back, as Harvey has
 * them. Below, 52 bits hold 64 q, and nothing is reduced between stages ("lazy"): numbers are kept modulo
 * 2^52 only, whatever is above, since products look at 52 bits, and what they stand for stays within
 * [0, 2^52).
 *   Forward: v = y w - q in [-q, q), x + v and x - v. Bounds widen by q at both ends in each of at
 *     most 16 stages, hence 16q is added at first: [0, 36q) contains all.
 *   Back: sums double and products are in [0, 2q); 16q keeps differences positive. The tail ends below
 *     8q; each two stages after it take that to 32q, 2q, 4q and 2q, and the first of the four is reduced. */
#include "jobs/he/he_ifma.h"

#include <stdlib.h>

enum {
    BLOCK = 2048,   /* elements that stay in the first-level cache for all remaining stages */
    TAIL = 3,       /* stages within one vector, done on 8 blocks at a time, transposed */
    GROUP = 7 * 8,  /* roots of those stages for 8 blocks: 1 + 2 + 4 vectors */
    LAZY_BITS = 46, /* primes below 2^46 need no reduction between forward stages */
};

/* Each of the ways is compiled apart: no branch in a loop. */

/* Cooley-Tukey. */
INLINE void butterfly(v8 *x, v8 *y, root r, const prime *p, bool lazy)
{
    if (lazy) {
        v8 u = *x, v = mul_add_open(p->minus_q, *y, r, p);
        *x = u + v;
        *y = u - v;
    } else {
        v8 u = once(*x, p->q2), v = mul_lazy(*y, r, p);
        *x = u + v;
        *y = u + p->q2 - v;
    }
}

/* Gentleman-Sande. */
INLINE void butterfly_back(v8 *x, v8 *y, root r, const prime *p, bool lazy)
{
    v8 u = *x, v = *y;
    if (lazy) {
        *x = u + v;
        *y = mul_add_open((v8){0}, u + p->q16 - v, r, p);
    } else {
        *x = once(u + v, p->q2);
        *y = mul_lazy(u + p->q2 - v, r, p);
    }
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

sky_err IFMA_NAME(table_init)(he_table *t, uint64_t psi)
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

/* ---- Memory that is needed next, asked for line by line ---- */

enum { LINE = 64 };

/* Where to ask and how far to go each time: nowhere new once all was asked for. */
typedef struct fetcher {
    const char *at;
    size_t step;
} fetcher;

INLINE fetcher fetcher_of(const he_ahead *ahead, const uint64_t *x, size_t lines)
{
    if (ahead && ahead->at < ahead->end)
        return (fetcher){ahead->at, lines * LINE};
    return (fetcher){(const char *)x, 0};
}

INLINE void fetch(fetcher *f, size_t lines)
{
    for (size_t i = 0; i < lines; i++)
        __builtin_prefetch(f->at + i * LINE, 0, 2); /* to the second level: the first is in use */
    f->at += f->step;
}

INLINE void fetched(he_ahead *ahead, fetcher f)
{
    if (ahead && f.step)
        ahead->at = f.at;
}

/* ---- Forward ---- */

/* What the first stages read: numbers in [0, 4q), modulo 2^52 (`open`: bits above may be set); or residues of
 * another prime d, to be centred and reduced. */
typedef struct source {
    const uint64_t *x;
    bool centred, open;
    v8 half, minus_d; /* d / 2; -d mod q */
} source;

/* Below 4q. If lazy, modulo 2^52. */
INLINE v8 read_source(const source *from, size_t i, const prime *p, bool lazy, bool centred)
{
    v8 x = load(from->x + i);
    if (!centred && from->open && !lazy)
        x &= p->mask;
    if (!centred)
        return x;
    v8 r = lazy ? barrett_open(x, p) : barrett_lazy(x, p);
    return r + ((v8)(x > from->half) & from->minus_d);
}

/* The first two stages. */
INLINE void first4(uint64_t *x, const source *from, const uint64_t *table, size_t n, const prime *p,
                   bool lazy, bool centred, he_ahead *ahead)
{
    enum { LINES = 2 };
    size_t quarter = n / 4;
    fetcher f = fetcher_of(ahead, x, LINES);
    root w1 = root_at(table, n, 1), w2 = root_at(table, n, 2), w3 = root_at(table, n, 3);
    for (size_t j = 0; j < quarter; j += 8) {
        v8 v[4];
        for (size_t k = 0; k < 4; k++)
            v[k] = read_source(from, j + k * quarter, p, lazy, centred);
        for (size_t k = 0; k < 2; k++) {
            v[k] += lazy ? p->q16 : (v8){0};
            butterfly(&v[k], &v[k + 2], w1, p, lazy);
        }
        butterfly(&v[0], &v[1], w2, p, lazy);
        butterfly(&v[2], &v[3], w3, p, lazy);
        for (size_t k = 0; k < 4; k++)
            store(x + j + k * quarter, v[k]);
        if (ahead)
            fetch(&f, LINES);
    }
    fetched(ahead, f);
}

/* The first three stages. */
INLINE void first8(uint64_t *x, const source *from, const uint64_t *table, size_t n, const prime *p,
                   bool lazy, bool centred, he_ahead *ahead)
{
    enum { LINES = 4 };
    size_t eighth = n / 8;
    fetcher f = fetcher_of(ahead, x, LINES);
    root w[8];
    for (size_t k = 1; k < 8; k++)
        w[k] = root_at(table, n, k);
    for (size_t j = 0; j < eighth; j += 8) {
        v8 v[8];
        for (size_t k = 0; k < 8; k++)
            v[k] = read_source(from, j + k * eighth, p, lazy, centred);
        for (size_t k = 0; k < 4; k++) {
            v[k] += lazy ? p->q16 : (v8){0};
            butterfly(&v[k], &v[k + 4], w[1], p, lazy);
        }
        for (size_t k = 0; k < 2; k++) {
            butterfly(&v[k], &v[k + 2], w[2], p, lazy);
            butterfly(&v[k + 4], &v[k + 6], w[3], p, lazy);
        }
        for (size_t k = 0; k < 4; k++)
            butterfly(&v[2 * k], &v[2 * k + 1], w[4 + k], p, lazy);
        for (size_t k = 0; k < 8; k++)
            store(x + j + k * eighth, v[k]);
        if (ahead)
            fetch(&f, LINES);
    }
    fetched(ahead, f);
}

typedef struct span { /* blocks first ... last-1 of the 2^stage blocks */
    uint32_t stage;
    size_t first, last;
} span;

/* Two stages. */
INLINE void pass4(uint64_t *x, const uint64_t *table, uint32_t log2_n, span at, const prime *p,
                  bool lazy, he_ahead *ahead)
{
    enum { LINES = 2 };
    uint32_t s = at.stage;
    size_t n = (size_t)1 << log2_n, quarter = n >> (s + 2);
    fetcher f = fetcher_of(ahead, x, LINES);
    for (size_t i = at.first; i < at.last; i++) {
        root w1 = root_at(table, n, ((size_t)1 << s) + i);
        root w2 = root_at(table, n, ((size_t)2 << s) + 2 * i);
        root w3 = root_at(table, n, ((size_t)2 << s) + 2 * i + 1);
        uint64_t *base = x + 4 * quarter * i;
        for (size_t j = 0; j < quarter; j += 8) {
            uint64_t *to = base + j;
            v8 a = load(to), b = load(to + quarter);
            v8 c = load(to + 2 * quarter), d = load(to + 3 * quarter);
            butterfly(&a, &c, w1, p, lazy);
            butterfly(&b, &d, w1, p, lazy);
            butterfly(&a, &b, w2, p, lazy);
            butterfly(&c, &d, w3, p, lazy);
            store(to, a);
            store(to + quarter, b);
            store(to + 2 * quarter, c);
            store(to + 3 * quarter, d);
            if (ahead)
                fetch(&f, LINES);
        }
    }
    fetched(ahead, f);
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

/* The first two or three stages, so that an even number is left before the tail; how many they were. */
INLINE uint32_t first(uint64_t *x, const source *from, const he_table *t, const prime *p, bool lazy,
                      he_ahead *ahead)
{
    const uint64_t *table = t->forward;
    size_t n = (size_t)1 << t->log2_n;
    if ((t->log2_n - TAIL) % 2) {
        if (from->centred)
            first8(x, from, table, n, p, lazy, true, ahead);
        else
            first8(x, from, table, n, p, lazy, false, ahead);
        return 3;
    }
    if (from->centred)
        first4(x, from, table, n, p, lazy, true, ahead);
    else
        first4(x, from, table, n, p, lazy, false, ahead);
    return 2;
}

INLINE void forward_any(uint64_t *x, const source *from, const he_table *t, bool lazy,
                        he_ahead *ahead)
{
    const uint64_t *table = t->forward;
    uint32_t log2_n = t->log2_n;
    size_t n = (size_t)1 << log2_n;
    prime p = prime_of(&t->m);
    uint32_t s = first(x, from, t, &p, lazy, ahead);
    for (; n >> s > BLOCK && s < log2_n - TAIL; s += 2)
        pass4(x, table, log2_n, (span){s, 0, (size_t)1 << s}, &p, lazy, ahead);
    /* Depth first: each block once through the cache. A group of the tail may be two blocks or more: it
     * is done with the last of them. */
    for (size_t b = 0; b < (size_t)1 << s; b++) {
        for (uint32_t k = s; k < log2_n - TAIL; k += 2)
            pass4(x, table, log2_n, (span){k, b << (k - s), (b + 1) << (k - s)}, &p, lazy, ahead);
        tail(x, table, n, b * (n / 64) >> s, (b + 1) * (n / 64) >> s, &p, lazy);
    }
}

INLINE bool is_lazy(const he_table *t)
{
    return t->m.q >> LAZY_BITS == 0;
}

void IFMA_NAME(forward)(uint64_t *x, const he_table *t)
{
    source from = {.x = x};
    if (is_lazy(t))
        forward_any(x, &from, t, true, NULL);
    else
        forward_any(x, &from, t, false, NULL);
}

void IFMA_NAME(raise)(uint64_t *out, const uint64_t *const *x, const he_convert *c,
                      const he_table *t, he_ahead *ahead)
{
    source from = {.x = out, .open = true};
    if (c->count == 1)
        from = (source){x[0], true, false, all(c->d / 2), all(c->minus_d.w)};
    else
        IFMA_NAME(convert_open)(out, x, c, (size_t)1 << t->log2_n, &t->m);
    if (is_lazy(t))
        forward_any(out, &from, t, true, ahead);
    else
        forward_any(out, &from, t, false, ahead);
}

void IFMA_NAME(four_stages)(uint64_t *x, const he_table *t)
{
    prime p = prime_of(&t->m);
    for (int i = 0; i < 2; i++) {
        if (is_lazy(t))
            pass4(x, t->forward, 10, (span){0, 0, 1}, &p, true, NULL);
        else
            pass4(x, t->forward, 10, (span){0, 0, 1}, &p, false, NULL);
    }
}

/* ---- Inverse ---- */

INLINE void tail_back(uint64_t *x, const uint64_t *table, size_t n, size_t first, size_t last,
                      const prime *p, bool lazy)
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
            butterfly_back(&v[2 * k], &v[2 * k + 1], w, p, lazy);
        }
        for (size_t k = 0; k < 2; k++) {
            w = roots_at(table, n, r + 8 + 8 * k);
            butterfly_back(&v[4 * k], &v[4 * k + 2], w, p, lazy);
            butterfly_back(&v[4 * k + 1], &v[4 * k + 3], w, p, lazy);
        }
        w = roots_at(table, n, r);
        for (size_t k = 0; k < 4; k++)
            butterfly_back(&v[k], &v[k + 4], w, p, lazy);
        transpose(v);
        for (size_t k = 0; k < 8; k++)
            store(x + 64 * g + 8 * k, v[k]);
    }
}

INLINE void pass4_back(uint64_t *x, const uint64_t *table, uint32_t log2_n, uint32_t s,
                       size_t first, size_t last, const prime *p, bool lazy)
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
            butterfly_back(&a, &b, w2, p, lazy);
            butterfly_back(&c, &d, w3, p, lazy);
            butterfly_back(&a, &c, w1, p, lazy);
            butterfly_back(&b, &d, w1, p, lazy);
            store(at, lazy ? barrett_open(a, p) : a);
            store(at + quarter, b);
            store(at + 2 * quarter, c);
            store(at + 3 * quarter, d);
        }
    }
}

/* The last stage multiplies by N^-1 too, and reduces to [0, q). */
INLINE void last_back(v8 *x, v8 *y, const root n_inv[2], const prime *p, bool lazy)
{
    v8 u = *x, v = *y;
    *x = once(mul_lazy(u + v, n_inv[0], p), p->q);
    *y = once(mul_lazy(u + (lazy ? p->q16 : p->q2) - v, n_inv[1], p), p->q);
}

INLINE void finish2(uint64_t *x, size_t n, const root n_inv[2], const prime *p, bool lazy)
{
    for (size_t j = 0; j < n / 2; j += 8) {
        v8 a = load(x + j), b = load(x + j + n / 2);
        last_back(&a, &b, n_inv, p, lazy);
        store(x + j, a);
        store(x + j + n / 2, b);
    }
}

INLINE void finish4(uint64_t *x, const uint64_t *table, size_t n, const root n_inv[2],
                    const prime *p, bool lazy)
{
    root w2 = root_at(table, n, 2), w3 = root_at(table, n, 3);
    size_t quarter = n / 4;
    for (size_t j = 0; j < quarter; j += 8) {
        v8 a = load(x + j), b = load(x + j + quarter);
        v8 c = load(x + j + 2 * quarter), d = load(x + j + 3 * quarter);
        butterfly_back(&a, &b, w2, p, lazy);
        butterfly_back(&c, &d, w3, p, lazy);
        last_back(&a, &c, n_inv, p, lazy);
        last_back(&b, &d, n_inv, p, lazy);
        store(x + j, a);
        store(x + j + quarter, b);
        store(x + j + 2 * quarter, c);
        store(x + j + 3 * quarter, d);
    }
}

INLINE void inverse_any(uint64_t *x, const he_table *t, bool lazy)
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
        tail_back(x, table, n, b * (n / 64) >> cut, (b + 1) * (n / 64) >> cut, &p, lazy);
        for (uint32_t k = log2_n - TAIL; k > s; k -= 2)
            pass4_back(x, table, log2_n, k - 2, b << (k - 2 - cut), (b + 1) << (k - 2 - cut), &p,
                       lazy);
    }
    for (; s > 2; s -= 2)
        pass4_back(x, table, log2_n, s - 2, 0, (size_t)1 << (s - 2), &p, lazy);
    if (odd)
        finish2(x, n, n_inv, &p, lazy);
    else
        finish4(x, table, n, n_inv, &p, lazy);
}

void IFMA_NAME(inverse)(uint64_t *x, const he_table *t)
{
    if (is_lazy(t))
        inverse_any(x, t, true);
    else
        inverse_any(x, t, false);
}
