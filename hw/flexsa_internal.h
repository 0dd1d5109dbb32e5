/* What the files of FlexSA share, and nobody else uses. */
#ifndef SKY_HW_FLEXSA_INTERNAL_H
#define SKY_HW_FLEXSA_INTERNAL_H

#include <assert.h>

#include "hw/flexsa.h"

enum { OPERAND_BYTES = 2, SUM_BYTES = 4 }; /* FP16 operands, FP32 sums */

static inline int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static inline int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* a / b rounded up, a and b > 0. Divisions are the dearest thing here: most quotients are 1, and most
 * operands fit in 32 bits, where a division takes a third of the time. */
static inline int64_t ceil_div(int64_t a, int64_t b)
{
    if (a <= b)
        return 1;
    if (a <= INT32_MAX)
        return (int64_t)(((uint32_t)a + (uint32_t)b - 1) / (uint32_t)b);
    return (a + b - 1) / b;
}

/* An edge of length `all` in pieces: `whole` of size `size`, and a rest (0: none). */
typedef struct cut {
    int64_t size, whole, rest, pieces;
} cut;

static inline cut cut_edge(int64_t all, int32_t size)
{
    assert(all > 0 && all <= INT32_MAX);
    uint32_t whole =
        (uint32_t)all / (uint32_t)size; /* 32 bits: much cheaper than 64 on many CPUs */
    uint32_t rest = (uint32_t)all - whole * (uint32_t)size;
    return (cut){.size = size, .whole = whole, .rest = rest, .pieces = (int64_t)whole + (rest > 0)};
}

/* Adds `times` units' runs of one product to a sum: cycles do not add up, since they work at once. */
void sky__flexsa_add_unit(const sky_flexsa_unit *u, sky_gemm g, int64_t times, sky_flexsa_run *sum);
void sky__flexsa_add_tiled(const sky_flexsa_unit *u, sky_gemm g, const sky_flexsa_tiling *t,
                           int64_t times, sky_flexsa_run *sum);

typedef enum axis { AXIS_M, AXIS_N, AXIS_K, AXES } axis;

/* The cycles of a product that so many rigid arrays share along each axis, greedily tiled. */
void sky__flexsa_rigid_splits(const sky_flexsa_unit *u, sky_gemm g, int32_t parts,
                              int64_t cycles[AXES]);

/* The cycles of a product (already transposed) alone; the unit's cuts are those to be used. *last_end: when
 * the very last wave ends, the same in both orders of blocks and never later than the cycles. */
int64_t sky__flexsa_span(const sky_flexsa_unit *u, sky_gemm g, const sky_flexsa_tiling *t,
                         int64_t *last_end);

#endif
