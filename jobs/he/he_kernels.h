/* The inner loops of the scheme, for one residue polynomial at a time, in three versions that give the
 * same bits: every output is reduced to [0, q), so equal residues are equal words.
 *
 * n is a multiple of 64. Pointers are aligned to 64 bytes. Outputs may be inputs, element by element,
 * unless said otherwise. Oracles: tests/he/he_kernels_test.c, he_ntt_test.c. */
#ifndef SKY_JOBS_HE_HE_KERNELS_H
#define SKY_JOBS_HE_HE_KERNELS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "jobs/he/he.h"
#include "jobs/he/he_modarith.h"

enum {
    HE_CONVERT_MAX = SKY_HE_SPECIAL_MAX + 1, /* P and one data prime, at most */
    HE_LANES = 8,                            /* elements per block of a key and a permutation */
};

/* The transform's tables for one prime. Negacyclic: forward takes coefficients in natural order to the
 * values at psi^(2 brv(i) + 1), i in natural order (brv: bits reversed), psi a primitive 2N-th root.
 * Layouts belong to the versions; docs/he.md. */
typedef struct he_table {
    he_modulus m;
    uint32_t log2_n;
    void *forward, *inverse; /* powers of psi and of its inverse */
    he_factor n_inv;         /* N^-1, and ... */
    he_factor n_inv_root;    /* ... times the root of the last inverse stage */
} he_table;

/* Constants that take residues modulo D = d_0 ... d_{count-1} to one other prime. */
typedef struct he_convert {
    uint32_t count;
    uint64_t d;                    /* D if count is 1 */
    double d_inv[HE_CONVERT_MAX];  /* 1 / d_i */
    he_factor hat[HE_CONVERT_MAX]; /* D / d_i modulo the other prime */
    he_factor minus_d;             /* -D modulo the other prime */
} he_convert;

/* Memory that will be read next, from `at` to `end`. A transform that is given one asks for it line by
 * line while it computes, since memory is idle then, and moves `at` on. Zeroed: nothing. */
typedef struct he_ahead {
    const char *at, *end;
} he_ahead;

typedef struct he_kernels {
    const char *name;
    /* Fills t->forward and t->inverse, for a primitive 2N-th root psi of t->m.q. */
    sky_err (*table_init)(he_table *t, uint64_t psi);
    void (*forward)(uint64_t *x, const he_table *t);
    void (*inverse)(uint64_t *x, const he_table *t);
    /* For bench/: the first two stages of a transform of 1024 coefficients, twice, in place; x is left
     * with garbage. Four stages in the first-level cache: the least that four stages can cost. */
    void (*four_stages)(uint64_t *x, const he_table *t);
    /* out = sum over i < terms of x[i] y[i]. */
    void (*dot)(uint64_t *out, const uint64_t *const *x, const uint64_t *const *y, size_t terms,
                size_t n, const he_modulus *m);
    /* out0 = sum of x[d] b_d, out1 = sum of x[d] a_d over d < digits: the core of key switching. key
     * holds, for each block of 8 elements, `stride` times (8 of b_d, 8 of a_d): one stream. */
    void (*mac)(uint64_t *out0, uint64_t *out1, const uint64_t *const *x, const uint64_t *key,
                size_t digits, size_t stride, size_t n, const he_modulus *m);
    /* out = the integer y modulo m, where y is the representative in [-D/2, D/2] (up to the rounding of
     * a double) of sum of x[i] D/d_i modulo D. x[i] = y (D/d_i)^-1 mod d_i, in [0, d_i).
     * (Halevi, Polyakov, Shoup, CT-RSA 2019, section 2.2: the multiple of D by floating point.) */
    void (*convert)(uint64_t *out, const uint64_t *const *x, const he_convert *c, size_t n,
                    const he_modulus *m);
    /* convert() to t's prime, then forward(). out is none of x. */
    void (*raise)(uint64_t *out, const uint64_t *const *x, const he_convert *c, const he_table *t,
                  he_ahead *ahead);
    void (*scale)(uint64_t *out, const uint64_t *x, he_factor f, size_t n, const he_modulus *m);
    /* out = (x - y) f. */
    void (*sub_scale)(uint64_t *out, const uint64_t *x, const uint64_t *y, he_factor f, size_t n,
                      const he_modulus *m);
    void (*add)(uint64_t *out, const uint64_t *x, const uint64_t *y, size_t n, const he_modulus *m);
    void (*sub)(uint64_t *out, const uint64_t *x, const uint64_t *y, size_t n, const he_modulus *m);
    /* out[8b + j] = x[8 (map[b] >> 6) + lane]: whole blocks move, lanes within a block by one of the
     * patterns of he_lane_patterns (map[b] & 63 = offset * 8 + (g mod 8)). out must not be x. */
    void (*permute)(uint64_t *out, const uint64_t *x, const uint32_t *map, size_t n);
    /* out = c mod q, |c| < 2^62. */
    void (*reduce_signed)(uint64_t *out, const int64_t *c, size_t n, const he_modulus *m);
} he_kernels;

extern const he_kernels he_kernels_portable, he_kernels_avx2, he_kernels_ifma;

/* path is AUTO or available. */
const he_kernels *he_kernels_for(sky_he_path path);
sky_he_path he_path_resolve(sky_he_path path);

/* Lane patterns of permute: [offset * 8 + g mod 8][j], see he_galois_map(). */
extern const uint64_t he_lane_patterns[64][HE_LANES];

/* Zeroed memory aligned to 64 bytes, or NULL; free(). */
void *he_alloc(size_t count, size_t size);
uint32_t he_reverse_bits(uint32_t x, uint32_t bits);
/* powers[brv(i)] = psi^i for i < n: the order in which the stages use them. */
void he_root_powers(uint64_t *powers, uint64_t psi, uint32_t log2_n, const he_modulus *m);
/* N^-1 and N^-1 psi^-brv(1) into t; for table_init. */
void he_table_scale(he_table *t, uint64_t psi);

/* For the AVX-512 version where a processor lacks the instructions: the same source, with vectors
 * emulated by the compiler. Only tests use it. */
extern const he_kernels he_kernels_ifma_emulated;

#endif
