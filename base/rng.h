/* Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as
 * 1, 2, 3", SC 2011). The same (key, counter) gives the same numbers on every machine, on CPU and
 * GPU, in any order: determinism does not depend on who computes what. */
#ifndef SKY_BASE_RNG_H
#define SKY_BASE_RNG_H

#include <stdint.h>

/* The raw function: 128-bit counter and 64-bit key to 128 random bits. */
void sky_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* A stream: a seed, a stream number, and a position. */
typedef struct sky_rng {
    uint64_t seed;
    uint64_t stream;
    uint64_t position; /* next 128-bit block */
    uint32_t block[4];
    uint32_t used; /* words of block already given out; 4 = none left */
} sky_rng;

void sky_rng_init(sky_rng *r, uint64_t seed, uint64_t stream);
uint32_t sky_rng_u32(sky_rng *r);
uint64_t sky_rng_u64(sky_rng *r);
double sky_rng_f64(sky_rng *r);                 /* uniform in [0, 1), 53 bits */
uint64_t sky_rng_below(sky_rng *r, uint64_t n); /* uniform in [0, n), unbiased; n > 0 */
double sky_rng_normal(sky_rng *r);              /* standard normal (Box-Muller, no state kept) */

/* A pseudo-random permutation of [0, n): position -> index, a Feistel network with cycle walking.
 * Needs no memory, is the same everywhere, and has an inverse. n >= 1. */
uint64_t sky_permute(uint64_t seed, uint64_t n, uint64_t position);
uint64_t sky_permute_inverse(uint64_t seed, uint64_t n, uint64_t index);

#endif
