/* Arithmetic modulo one prime q < 2^50, scalar. Values are in [0, q) unless a comment says "lazy". */
#ifndef SKY_JOBS_HE_HE_MODARITH_H
#define SKY_JOBS_HE_HE_MODARITH_H

#include <stdint.h>

typedef unsigned __int128 he_u128;

/* A constant factor w with floor(w 2^64 / q), so that a product needs no division (Shoup; Harvey,
 * "Faster arithmetic for number-theoretic transforms", 2014). The 52-bit quotient that AVX-512 IFMA
 * wants is aux >> 12, exactly. */
typedef struct he_factor {
    uint64_t w;
    uint64_t aux;
} he_factor;

/* What a kernel needs of a prime. */
typedef struct he_modulus {
    uint64_t q;
    uint64_t barrett64; /* floor(2^64 / q) */
    he_factor r64;      /* 2^64 mod q */
    he_factor r52;      /* 2^52 mod q */
    double inv;         /* 1 / q, rounded */
} he_modulus;

static inline uint64_t he_mulhi(uint64_t a, uint64_t b)
{
    return (uint64_t)((he_u128)a * b >> 64);
}

/* x mod q for x < 2q. */
static inline uint64_t he_once(uint64_t x, uint64_t q)
{
    return x >= q ? x - q : x;
}

static inline uint64_t he_add(uint64_t a, uint64_t b, uint64_t q)
{
    return he_once(a + b, q);
}

static inline uint64_t he_sub(uint64_t a, uint64_t b, uint64_t q)
{
    return he_once(a + q - b, q);
}

/* x f mod q, lazy: in [0, 2q), for any 64-bit x. */
static inline uint64_t he_mul_lazy(uint64_t x, he_factor f, uint64_t q)
{
    return x * f.w - he_mulhi(x, f.aux) * q;
}

static inline uint64_t he_mul_factor(uint64_t x, he_factor f, uint64_t q)
{
    return he_once(he_mul_lazy(x, f, q), q);
}

/* Any 64-bit x mod q. */
static inline uint64_t he_reduce64(uint64_t x, const he_modulus *m)
{
    return he_once(x - he_mulhi(x, m->barrett64) * m->q, m->q);
}

/* Any 128-bit x mod q: the high word times 2^64 mod q, and the low word. */
static inline uint64_t he_reduce128(he_u128 x, const he_modulus *m)
{
    uint64_t lo = (uint64_t)x, q = m->q;
    uint64_t r = he_mul_lazy((uint64_t)(x >> 64), m->r64, q) + lo - he_mulhi(lo, m->barrett64) * q;
    r = r >= 2 * q ? r - 2 * q : r;
    return he_once(r, q);
}

static inline uint64_t he_mul(uint64_t a, uint64_t b, const he_modulus *m)
{
    return he_reduce128((he_u128)a * b, m);
}

/* A signed x, |x| < 2^63, mod q. */
static inline uint64_t he_reduce_signed(int64_t x, const he_modulus *m)
{
    uint64_t r = he_reduce64(x < 0 ? (uint64_t)-x : (uint64_t)x, m);
    return x < 0 && r ? m->q - r : r;
}

/* The representative of x in (-q/2, q/2]. */
static inline int64_t he_centre(uint64_t x, uint64_t q)
{
    return x > q / 2 ? (int64_t)x - (int64_t)q : (int64_t)x;
}

he_modulus he_modulus_of(uint64_t q);
he_factor he_factor_of(uint64_t w, uint64_t q); /* w < q */
uint64_t he_pow(uint64_t base, uint64_t exponent, const he_modulus *m);
uint64_t he_inverse(uint64_t x, const he_modulus *m); /* q prime, x != 0 */

#endif
