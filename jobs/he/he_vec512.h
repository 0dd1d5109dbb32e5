/* Vectors of eight 64-bit words for he_ifma.c and he_ifma_ntt.c.
 *
 * They are the compiler's own; only the two products, the minimum and the permutation are intrinsics.
 * With HE_EMULATE those are loops, and the files compile for any processor: that is how the tests check
 * that version where the instructions are missing. */
#ifndef SKY_JOBS_HE_HE_VEC512_H
#define SKY_JOBS_HE_HE_VEC512_H

#include <stdint.h>
#ifndef HE_EMULATE
#include <immintrin.h>
#endif

#include "jobs/he/he_modarith.h"

typedef uint64_t v8 __attribute__((vector_size(64), may_alias));
typedef double d8 __attribute__((vector_size(64), may_alias));

#ifdef HE_EMULATE
static inline v8 madd_lo(v8 sum, v8 a, v8 b)
{
    for (int i = 0; i < 8; i++)
        sum[i] += (uint64_t)((he_u128)(a[i] & 0xfffffffffffff) * (b[i] & 0xfffffffffffff)) &
                  0xfffffffffffff;
    return sum;
}
static inline v8 madd_hi(v8 sum, v8 a, v8 b)
{
    for (int i = 0; i < 8; i++)
        sum[i] += (uint64_t)((he_u128)(a[i] & 0xfffffffffffff) * (b[i] & 0xfffffffffffff) >> 52);
    return sum;
}
static inline v8 min(v8 a, v8 b)
{
    for (int i = 0; i < 8; i++)
        a[i] = a[i] < b[i] ? a[i] : b[i];
    return a;
}
static inline v8 lanes_of(v8 x, v8 index)
{
    v8 r;
    for (int i = 0; i < 8; i++)
        r[i] = x[index[i]];
    return r;
}
#define KERNELS      he_kernels_ifma_emulated
#define NAME         "avx512ifma, emulated"
#define IFMA_NAME(x) he_ifma_emulated_##x
#else
static inline v8 madd_lo(v8 sum, v8 a, v8 b)
{
    return (v8)_mm512_madd52lo_epu64((__m512i)sum, (__m512i)a, (__m512i)b);
}
static inline v8 madd_hi(v8 sum, v8 a, v8 b)
{
    return (v8)_mm512_madd52hi_epu64((__m512i)sum, (__m512i)a, (__m512i)b);
}
static inline v8 min(v8 a, v8 b)
{
    return (v8)_mm512_min_epu64((__m512i)a, (__m512i)b);
}
static inline v8 lanes_of(v8 x, v8 index)
{
    return (v8)_mm512_permutexvar_epi64((__m512i)index, (__m512i)x);
}
#define KERNELS      he_kernels_ifma
#define NAME         "avx512ifma"
#define IFMA_NAME(x) he_ifma_##x
#endif

#endif
