/* Automorphisms X -> X^g as permutations of the evaluation form.
 *
 * Index i holds the value at psi^e, e = 2 brv(i) + 1, and the image of a polynomial takes there the
 * value that the polynomial has at psi^(g e). Indices of one block of eight share the low bits of e
 * and differ in its top three, and multiplication by g keeps such sets together: blocks move whole,
 * and within a block there is one of 32 patterns. */
#include "jobs/he/he_internal.h"

uint32_t he_galois_of_step(const sky_he_ctx *ctx, int32_t step)
{
    int64_t slots = ctx->n / 2, mask = 2 * (int64_t)ctx->n - 1;
    uint64_t left = (uint64_t)(((step % slots) + slots) % slots);
    uint64_t g = 1, power = 5;
    for (; left; left >>= 1) {
        if (left & 1)
            g = g * power & (uint64_t)mask;
        power = power * power & (uint64_t)mask;
    }
    return (uint32_t)g;
}

uint32_t he_galois_inverse(const sky_he_ctx *ctx, uint32_t g)
{
    uint32_t inverse = g; /* Newton: g g = 1 mod 8, and each step doubles the bits */
    for (int i = 0; i < 5; i++)
        inverse *= 2 - g * inverse;
    return inverse & (2 * ctx->n - 1);
}

void he_galois_map(uint32_t *map, uint32_t g, uint32_t log2_n)
{
    uint32_t blocks = 1u << (log2_n - 3), bits = log2_n - 3;
    uint64_t eighth = (uint64_t)2 << (log2_n - 3); /* 2N / 8 */
    for (uint32_t b = 0; b < blocks; b++) {
        uint64_t e = (2 * (uint64_t)he_reverse_bits(b, bits) + 1) * g & (8 * eighth - 1);
        uint32_t from = he_reverse_bits((uint32_t)((e & (eighth - 1)) >> 1), bits);
        map[b] = from << 6 | (uint32_t)(e / eighth) << 3 | (g & 7);
    }
}
