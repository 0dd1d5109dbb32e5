/* What he_ifma.c and he_ifma_ntt.c share: eight residues per vector and products of 52 bits. */
#ifndef SKY_JOBS_HE_HE_IFMA_H
#define SKY_JOBS_HE_HE_IFMA_H

#include "jobs/he/he_kernels.h"
#include "jobs/he/he_vec512.h"

#define INLINE static inline __attribute__((always_inline))

INLINE v8 all(uint64_t x)
{
    return x - (v8){0};
}

INLINE v8 load(const uint64_t *p)
{
    return *(const v8 *)p;
}

INLINE void store(uint64_t *p, v8 x)
{
    *(v8 *)p = x;
}

/* The constants of a prime in registers. */
typedef struct prime {
    v8 q, q2, q16, minus_q, mask, barrett;
} prime;

INLINE prime prime_of(const he_modulus *m)
{
    return (prime){all(m->q),
                   all(2 * m->q),
                   all(16 * m->q),
                   all(((uint64_t)1 << 52) - m->q),
                   all(((uint64_t)1 << 52) - 1),
                   all(m->barrett64 >> 12)};
}

typedef struct root {
    v8 w, aux;
} root;

INLINE root root_of(he_factor f)
{
    return (root){all(f.w), all(f.aux >> 12)};
}

/* start + x r - (a multiple of q), modulo 2^52: bits above are anything. The sum without start is in
 * [0, 2q). Only the low 52 bits of x count. */
INLINE v8 mul_add_open(v8 start, v8 x, root r, const prime *p)
{
    v8 quotient = madd_hi((v8){0}, x, r.aux);
    return madd_lo(madd_lo(start, x, r.w), quotient, p->minus_q);
}

/* x r mod q, lazy: in [0, 2q). Only the low 52 bits of x count. */
INLINE v8 mul_lazy(v8 x, root r, const prime *p)
{
    return mul_add_open((v8){0}, x, r, p) & p->mask;
}

/* x mod q, lazy, modulo 2^52: in [0, 2q). Only the low 52 bits of x count. */
INLINE v8 barrett_open(v8 x, const prime *p)
{
    v8 quotient = madd_hi((v8){0}, x, p->barrett);
    return madd_lo(x, quotient, p->minus_q);
}

INLINE v8 barrett_lazy(v8 x, const prime *p)
{
    return barrett_open(x, p) & p->mask;
}

INLINE v8 once(v8 x, v8 q)
{
    return min(x, x - q);
}

/* he_ifma.c: convert(), not for one prime; results are in [0, 4q), modulo 2^52: bits above are anything. */
void IFMA_NAME(convert_open)(uint64_t *out, const uint64_t *const *x, const he_convert *c, size_t n,
                             const he_modulus *m);
/* he_ifma_ntt.c */
sky_err IFMA_NAME(table_init)(he_table *t, uint64_t psi);
void IFMA_NAME(forward)(uint64_t *x, const he_table *t);
void IFMA_NAME(raise)(uint64_t *out, const uint64_t *const *x, const he_convert *c,
                      const he_table *t, he_ahead *ahead);
void IFMA_NAME(inverse)(uint64_t *x, const he_table *t);
void IFMA_NAME(four_stages)(uint64_t *x, const he_table *t);

#endif
