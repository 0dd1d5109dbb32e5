/* Portable kernels, in plain C with 128-bit products: the reference for the other two versions. Also
 * what all versions share. */
#include "jobs/he/he_kernels.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 2 << 20 }; /* a large page */

void *he_alloc(size_t count, size_t size)
{
    if (size && count > (SIZE_MAX - HUGE_PAGE) / size)
        return NULL;
    size_t bytes = (count * size + 63) / 64 * 64;
    size_t align = bytes >= HUGE_PAGE ? HUGE_PAGE : 64;
    void *p = aligned_alloc(align, bytes ? (bytes + align - 1) / align * align : 64);
    if (p &&
        align == HUGE_PAGE) /* keys are streamed: fewer misses of the address cache. Only a wish. */
        madvise(p, bytes, MADV_HUGEPAGE);
    return p ? memset(p, 0, bytes ? bytes : 64) : NULL;
}

uint32_t he_reverse_bits(uint32_t x, uint32_t bits)
{
    uint32_t r = 0;
    for (uint32_t i = 0; i < bits; i++)
        r |= (x >> i & 1) << (bits - 1 - i);
    return r;
}

he_factor he_factor_of(uint64_t w, uint64_t q)
{
    assert(w < q);
    return (he_factor){w, (uint64_t)(((he_u128)w << 64) / q)};
}

he_modulus he_modulus_of(uint64_t q)
{
    assert(q > 1 && q < (uint64_t)1 << SKY_HE_PRIME_BITS_MAX);
    uint64_t r64 = (uint64_t)(((he_u128)1 << 64) % q);
    return (he_modulus){
        .q = q,
        .barrett64 = (uint64_t)(((he_u128)1 << 64) / q),
        .r64 = he_factor_of(r64, q),
        .r52 = he_factor_of(((uint64_t)1 << 52) % q, q),
        .inv = 1.0 / (double)q,
    };
}

uint64_t he_pow(uint64_t base, uint64_t exponent, const he_modulus *m)
{
    uint64_t r = 1;
    for (; exponent; exponent >>= 1) {
        if (exponent & 1)
            r = he_mul(r, base, m);
        base = he_mul(base, base, m);
    }
    return r;
}

uint64_t he_inverse(uint64_t x, const he_modulus *m)
{
    assert(x % m->q);
    return he_pow(x, m->q - 2, m);
}

void he_root_powers(uint64_t *powers, uint64_t psi, uint32_t log2_n, const he_modulus *m)
{
    uint64_t x = 1;
    for (uint32_t i = 0; i < (uint32_t)1 << log2_n; i++) {
        powers[he_reverse_bits(i, log2_n)] = x;
        x = he_mul(x, psi, m);
    }
}

void he_table_scale(he_table *t, uint64_t psi)
{
    const he_modulus *m = &t->m;
    uint64_t n = (uint64_t)1 << t->log2_n;
    uint64_t n_inv = he_inverse(n, m);
    uint64_t root = he_inverse(he_pow(psi, n / 2, m), m); /* brv(1) = N/2 */
    t->n_inv = he_factor_of(n_inv, m->q);
    t->n_inv_root = he_factor_of(he_mul(n_inv, root, m), m->q);
}

/* ---- Transform: Cooley-Tukey forward, Gentleman-Sande back, both with Harvey's lazy butterflies ---- */

static sky_err table_init(he_table *t, uint64_t psi)
{
    size_t n = (size_t)1 << t->log2_n;
    uint64_t *powers = he_alloc(n, sizeof *powers);
    he_factor *forward = he_alloc(n, sizeof *forward), *inverse = he_alloc(n, sizeof *inverse);
    t->forward = forward;
    t->inverse = inverse;
    if (!powers || !forward || !inverse) {
        free(powers);
        return SKY_ENOMEM;
    }
    he_root_powers(powers, psi, t->log2_n, &t->m);
    for (size_t i = 0; i < n; i++)
        forward[i] = he_factor_of(powers[i], t->m.q);
    he_root_powers(powers, he_inverse(psi, &t->m), t->log2_n, &t->m);
    for (size_t i = 0; i < n; i++)
        inverse[i] = he_factor_of(powers[i], t->m.q);
    he_table_scale(t, psi);
    free(powers);
    return SKY_OK;
}

/* Values stay in [0, 4q) between stages. */
static void forward(uint64_t *x, const he_table *t)
{
    const he_factor *roots = t->forward;
    uint64_t q = t->m.q, q2 = 2 * q;
    size_t n = (size_t)1 << t->log2_n;
    for (size_t blocks = 1, half = n / 2; half >= 1; blocks *= 2, half /= 2) {
        for (size_t b = 0; b < blocks; b++) {
            he_factor w = roots[blocks + b];
            uint64_t *lo = x + 2 * half * b, *hi = lo + half;
            for (size_t j = 0; j < half; j++) {
                uint64_t u = lo[j] >= q2 ? lo[j] - q2 : lo[j];
                uint64_t v = he_mul_lazy(hi[j], w, q);
                lo[j] = u + v;
                hi[j] = u + q2 - v;
            }
        }
    }
    for (size_t i = 0; i < n; i++)
        x[i] = he_once(x[i] >= q2 ? x[i] - q2 : x[i], q);
}

/* Values stay in [0, 2q). The last stage multiplies by N^-1 as well. */
static void inverse(uint64_t *x, const he_table *t)
{
    const he_factor *roots = t->inverse;
    uint64_t q = t->m.q, q2 = 2 * q;
    size_t n = (size_t)1 << t->log2_n;
    for (size_t blocks = n / 2, half = 1; blocks > 1; blocks /= 2, half *= 2) {
        for (size_t b = 0; b < blocks; b++) {
            he_factor w = roots[blocks + b];
            uint64_t *lo = x + 2 * half * b, *hi = lo + half;
            for (size_t j = 0; j < half; j++) {
                uint64_t u = lo[j], v = hi[j], s = u + v;
                lo[j] = s >= q2 ? s - q2 : s;
                hi[j] = he_mul_lazy(u + q2 - v, w, q);
            }
        }
    }
    for (size_t j = 0; j < n / 2; j++) {
        uint64_t u = x[j], v = x[j + n / 2];
        x[j] = he_mul_factor(u + v, t->n_inv, q);
        x[j + n / 2] = he_mul_factor(u + q2 - v, t->n_inv_root, q);
    }
}

static void four_stages(uint64_t *x, const he_table *t)
{
    const he_factor *roots = t->forward;
    uint64_t q = t->m.q, q2 = 2 * q;
    for (size_t stage = 0; stage < 4; stage++) {
        size_t blocks = 1 + stage % 2, half = 512 / blocks;
        for (size_t b = 0; b < blocks; b++) {
            for (size_t j = 0; j < half; j++) {
                uint64_t *lo = x + 2 * half * b + j, *hi = lo + half;
                uint64_t u = *lo >= q2 ? *lo - q2 : *lo, v = he_mul_lazy(*hi, roots[blocks + b], q);
                *lo = u + v;
                *hi = u + q2 - v;
            }
        }
    }
}

/* ---- The rest ---- */

static void dot(uint64_t *out, const uint64_t *const *x, const uint64_t *const *y, size_t terms,
                size_t n, const he_modulus *m)
{
    for (size_t i = 0; i < n; i++) {
        he_u128 sum = 0; /* a product is below 2^100: 2^28 of them fit */
        for (size_t k = 0; k < terms; k++)
            sum += (he_u128)x[k][i] * y[k][i];
        out[i] = he_reduce128(sum, m);
    }
}

static void mac(uint64_t *out0, uint64_t *out1, const uint64_t *const *x, const uint64_t *key,
                size_t digits, size_t stride, size_t n, const he_modulus *m)
{
    for (size_t block = 0; block < n; block += HE_LANES) {
        const uint64_t *k = key + block * 2 * stride;
        he_u128 s0[HE_LANES] = {0}, s1[HE_LANES] = {0};
        for (size_t d = 0; d < digits; d++, k += 2 * HE_LANES) {
            const uint64_t *v = x[d] + block;
            for (size_t j = 0; j < HE_LANES; j++) {
                s0[j] += (he_u128)v[j] * k[j];
                s1[j] += (he_u128)v[j] * k[j + HE_LANES];
            }
        }
        for (size_t j = 0; j < HE_LANES; j++) {
            out0[block + j] = he_reduce128(s0[j], m);
            out1[block + j] = he_reduce128(s1[j], m);
        }
    }
}

static void convert_one(uint64_t *out, const uint64_t *x, const he_convert *c, size_t n,
                        const he_modulus *m)
{
    for (size_t i = 0; i < n; i++)
        out[i] = he_reduce64(x[i] + (x[i] > c->d / 2 ? c->minus_d.w : 0), m);
}

/* The multiple of D is rounded by adding 2^52: the same in every version, to the bit. For one prime
 * that is a comparison: x / D differs from 1/2 by at least 2^-51, the rounding errors are smaller. */
static void convert(uint64_t *out, const uint64_t *const *x, const he_convert *c, size_t n,
                    const he_modulus *m)
{
    if (c->count == 1) {
        convert_one(out, x[0], c, n, m);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        he_u128 sum = 0;
        double v = 0;
        for (uint32_t k = 0; k < c->count; k++) {
            sum += (he_u128)x[k][i] * c->hat[k].w;
            v += (double)(int64_t)x[k][i] * c->d_inv[k];
        }
        sum += (he_u128)(uint64_t)(int64_t)(v + 0x1p52 - 0x1p52) * c->minus_d.w;
        out[i] = he_reduce128(sum, m);
    }
}

/* Transforms take so long here that waiting for memory does not count. */
static void raise(uint64_t *out, const uint64_t *const *x, const he_convert *c, const he_table *t,
                  he_ahead *ahead)
{
    convert(out, x, c, (size_t)1 << t->log2_n, &t->m);
    forward(out, t);
    ahead->at = ahead->end;
}

static void scale(uint64_t *out, const uint64_t *x, he_factor f, size_t n, const he_modulus *m)
{
    for (size_t i = 0; i < n; i++)
        out[i] = he_mul_factor(x[i], f, m->q);
}

static void sub_scale(uint64_t *out, const uint64_t *x, const uint64_t *y, he_factor f, size_t n,
                      const he_modulus *m)
{
    for (size_t i = 0; i < n; i++)
        out[i] = he_mul_factor(x[i] + m->q - y[i], f, m->q);
}

static void add(uint64_t *out, const uint64_t *x, const uint64_t *y, size_t n, const he_modulus *m)
{
    for (size_t i = 0; i < n; i++)
        out[i] = he_add(x[i], y[i], m->q);
}

static void sub(uint64_t *out, const uint64_t *x, const uint64_t *y, size_t n, const he_modulus *m)
{
    for (size_t i = 0; i < n; i++)
        out[i] = he_sub(x[i], y[i], m->q);
}

static void permute(uint64_t *restrict out, const uint64_t *restrict x, const uint32_t *map,
                    size_t n)
{
    for (size_t b = 0; b < n / HE_LANES; b++) {
        const uint64_t *from = x + (size_t)(map[b] >> 6) * HE_LANES;
        const uint64_t *lanes = he_lane_patterns[map[b] & 63];
        for (size_t j = 0; j < HE_LANES; j++)
            out[b * HE_LANES + j] = from[lanes[j]];
    }
}

static void reduce_signed(uint64_t *out, const int64_t *c, size_t n, const he_modulus *m)
{
    for (size_t i = 0; i < n; i++)
        out[i] = he_reduce_signed(c[i], m);
}

const he_kernels he_kernels_portable = {
    .name = "portable",
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

/* Lane j of a block holds the value whose exponent has the top three bits brv3(j) = c; the lane that
 * it comes from has the top bits (offset + c g) mod 8. */
#define BRV3(c)       (((c) >> 2 & 1) | ((c)&2) | ((c) << 2 & 4))
#define LANE(o, g, j) BRV3(((o) + BRV3(j) * (g)) & 7)
#define PATTERN(o, g)                                                                              \
    {                                                                                              \
        LANE(o, g, 0), LANE(o, g, 1), LANE(o, g, 2), LANE(o, g, 3), LANE(o, g, 4), LANE(o, g, 5),  \
            LANE(o, g, 6), LANE(o, g, 7)                                                           \
    }
#define PATTERNS(o)                                                                                \
    PATTERN(o, 0), PATTERN(o, 1), PATTERN(o, 2), PATTERN(o, 3), PATTERN(o, 4), PATTERN(o, 5),      \
        PATTERN(o, 6), PATTERN(o, 7)
_Alignas(64) const uint64_t he_lane_patterns[64][HE_LANES] = {PATTERNS(0), PATTERNS(1), PATTERNS(2),
                                                              PATTERNS(3), PATTERNS(4), PATTERNS(5),
                                                              PATTERNS(6), PATTERNS(7)};

/* ---- Which version ---- */

#if defined(__x86_64__)
static const he_kernels *const versions[] = {NULL, &he_kernels_portable, &he_kernels_avx2,
                                             &he_kernels_ifma};

bool sky_he_path_available(sky_he_path path)
{
    if (path == SKY_HE_AVX2)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (path == SKY_HE_IFMA)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512ifma");
    return path == SKY_HE_AUTO || path == SKY_HE_PORTABLE;
}
#else
static const he_kernels *const versions[] = {NULL, &he_kernels_portable, NULL, NULL};

bool sky_he_path_available(sky_he_path path)
{
    return path == SKY_HE_AUTO || path == SKY_HE_PORTABLE;
}
#endif

const char *sky_he_path_name(sky_he_path path)
{
    static const char *const names[] = {"auto", "portable", "avx2", "avx512ifma"};
    return (unsigned)path <= SKY_HE_IFMA ? names[path] : "unknown";
}

sky_he_path he_path_resolve(sky_he_path path)
{
    if (path != SKY_HE_AUTO)
        return path;
    return sky_he_path_available(SKY_HE_IFMA)   ? SKY_HE_IFMA
           : sky_he_path_available(SKY_HE_AVX2) ? SKY_HE_AVX2
                                                : SKY_HE_PORTABLE;
}

const he_kernels *he_kernels_for(sky_he_path path)
{
    path = he_path_resolve(path);
    assert((unsigned)path <= SKY_HE_IFMA && versions[path]);
    return versions[path];
}
