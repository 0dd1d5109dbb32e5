#include "base/rng.h"

#include <assert.h>
#include <math.h>

#include "base/hash.h"

void sky_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xd2511f53u * c0;
        uint64_t p1 = (uint64_t)0xcd9e8d57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9e3779b9u; /* Weyl sequences: the golden ratio, */
        k1 += 0xbb67ae85u; /* and sqrt(3) - 1 */
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

void sky_rng_init(sky_rng *r, uint64_t seed, uint64_t stream)
{
    *r = (sky_rng){.seed = seed, .stream = stream, .used = 4};
}

uint32_t sky_rng_u32(sky_rng *r)
{
    if (r->used >= 4) {
        const uint32_t counter[4] = {(uint32_t)r->position, (uint32_t)(r->position >> 32),
                                     (uint32_t)r->stream, (uint32_t)(r->stream >> 32)};
        const uint32_t key[2] = {(uint32_t)r->seed, (uint32_t)(r->seed >> 32)};
        sky_philox(counter, key, r->block);
        r->position++;
        r->used = 0;
    }
    return r->block[r->used++];
}

uint64_t sky_rng_u64(sky_rng *r)
{
    uint64_t low = sky_rng_u32(r); /* two statements: the order of operands is not defined in C */
    return low | (uint64_t)sky_rng_u32(r) << 32;
}

double sky_rng_f64(sky_rng *r)
{
    return (double)(sky_rng_u64(r) >> 11) * 0x1p-53;
}

/* Lemire, "Fast random integer generation in an interval", ACM TOMACS 29 (2019). */
uint64_t sky_rng_below(sky_rng *r, uint64_t n)
{
    assert(n > 0);
    unsigned __int128 product = (unsigned __int128)sky_rng_u64(r) * n;
    if ((uint64_t)product < n) {
        uint64_t threshold = -n % n;
        while ((uint64_t)product < threshold)
            product = (unsigned __int128)sky_rng_u64(r) * n;
    }
    return (uint64_t)(product >> 64);
}

/* log, sin and cos of our own (the polynomials of FreeBSD's msun, from Sun's fdlibm): the C library
 * picks variants with and without fused multiply-add by processor, and these differ in the last
 * bit, while a seed must give the same numbers everywhere. Accurate to about one unit in the last
 * place. */
static double portable_log(double x)
{
    assert(x > 0 && x < 2);
    int exponent;
    double m = frexp(x, &exponent); /* [0.5, 1) */
    if (m < 0.70710678118654752440) {
        m *= 2;
        exponent--;
    }
    double f = m - 1;
    double s = f / (2 + f);
    double z = s * s, w = z * z;
    double t1 = w * (3.999999999940941908e-01 +
                     w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
    double t2 = z * (6.666666666666735130e-01 +
                     w * (2.857142874366239149e-01 +
                          w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)));
    double half_square = 0.5 * f * f;
    double k = exponent;
    /* ln 2 in two parts: the first has so many zero bits that k times it is exact. */
    return k * 6.93147180369123816490e-01 -
           ((half_square - (s * (half_square + t1 + t2) + k * 1.90821492927058770002e-10)) - f);
}

/* sin and cos of x for |x| <= pi/4. */
static double sin_small(double x)
{
    double z = x * x;
    double r = 8.33333333332248946124e-03 +
               z * (-1.98412698298579493134e-04 +
                    z * (2.75573137070700676789e-06 +
                         z * (-2.50507602534068634195e-08 + z * 1.58969099521155010221e-10)));
    return x + z * x * (-1.66666666666666324348e-01 + z * r);
}

static double cos_small(double x)
{
    double z = x * x;
    double r = 4.16666666666666019037e-02 +
               z * (-1.38888888888741095749e-03 +
                    z * (2.48015872894767294178e-05 +
                         z * (-2.75573143513906633035e-07 +
                              z * (2.08757232129817482790e-09 + z * -1.13596475577881948265e-11))));
    double half = 0.5 * z;
    double w = 1 - half;
    return w + ((1 - w - half) + z * z * r);
}

/* cos(2 pi turn), turn in [0, 1): whole quarter turns come off exactly. */
static double cos_turn(double turn)
{
    int quarter = (int)(turn * 4 + 0.5); /* nearest: the rest is within an eighth of a turn */
    double angle = (turn - quarter * 0.25) * 6.28318530717958647693;
    switch (quarter & 3) {
    case 0:
        return cos_small(angle);
    case 1:
        return -sin_small(angle);
    case 2:
        return -cos_small(angle);
    default:
        return sin_small(angle);
    }
}

/* Box and Muller, "A note on the generation of random normal deviates" (1958); the second number of
 * the pair is dropped, so that a stream's position alone is its state. */
double sky_rng_normal(sky_rng *r)
{
    double u = 1 - sky_rng_f64(r); /* (0, 1]: its logarithm exists */
    double turn = sky_rng_f64(r);
    return sqrt(-2 * portable_log(u)) * cos_turn(turn);
}

/* The permutation: a Feistel network over the smallest power of two that holds n, whose two halves
 * differ by a bit when the number of bits is odd; a position that lands outside [0, n) is walked on
 * (Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002), twice on average at
 * most. This is for spreading, not for secrecy. */
enum { FEISTEL_ROUNDS = 8 };

typedef struct feistel {
    uint64_t keys[FEISTEL_ROUNDS];
    int low_bits;
    uint64_t low_mask, high_mask;
} feistel;

static feistel feistel_of(uint64_t seed, uint64_t n)
{
    feistel f;
    int bits = n > 1 ? 64 - __builtin_clzll(n - 1) : 0;
    f.low_bits = (bits + 1) / 2;
    f.low_mask = ((uint64_t)1 << f.low_bits) - 1;
    f.high_mask = ((uint64_t)1 << (bits - f.low_bits)) - 1;
    for (int i = 0; i < FEISTEL_ROUNDS; i++)
        f.keys[i] = sky_hash_u64(seed, (uint64_t)i);
    return f;
}

static uint64_t feistel_round(const feistel *f, int round, uint64_t half)
{
    return sky_hash_u64(f->keys[round], half) >> 16; /* the middle bits are mixed best */
}

static uint64_t feistel_forward(const feistel *f, uint64_t x)
{
    uint64_t low = x & f->low_mask, high = x >> f->low_bits;
    for (int i = 0; i < FEISTEL_ROUNDS; i += 2) {
        low ^= feistel_round(f, i, high) & f->low_mask;
        high ^= feistel_round(f, i + 1, low) & f->high_mask;
    }
    return high << f->low_bits | low;
}

static uint64_t feistel_backward(const feistel *f, uint64_t x)
{
    uint64_t low = x & f->low_mask, high = x >> f->low_bits;
    for (int i = FEISTEL_ROUNDS - 2; i >= 0; i -= 2) {
        high ^= feistel_round(f, i + 1, low) & f->high_mask;
        low ^= feistel_round(f, i, high) & f->low_mask;
    }
    return high << f->low_bits | low;
}

uint64_t sky_permute(uint64_t seed, uint64_t n, uint64_t position)
{
    assert(n >= 1 && position < n);
    feistel f = feistel_of(seed, n);
    uint64_t x = position;
    do
        x = feistel_forward(&f, x);
    while (x >= n);
    return x;
}

uint64_t sky_permute_inverse(uint64_t seed, uint64_t n, uint64_t index)
{
    assert(n >= 1 && index < n);
    feistel f = feistel_of(seed, n);
    uint64_t x = index;
    do
        x = feistel_backward(&f, x);
    while (x >= n);
    return x;
}
