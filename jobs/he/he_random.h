/* Randomness: secrets and noise from the system, public polynomials from a seed of theirs. */
#ifndef SKY_JOBS_HE_HE_RANDOM_H
#define SKY_JOBS_HE_HE_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "jobs/he/he_modarith.h"

enum { HE_SEED_BYTES = 32, HE_NOISE_MAX = 20 };

/* A source of bytes: getrandom(2), or ChaCha20 (RFC 8439) under a seed. */
typedef struct he_random {
    bool seeded, failed; /* failed: the system gave no randomness; what followed is not random */
    uint32_t key[8];
    uint64_t block, stream;
    size_t used;
    uint8_t buffer[4096];
} he_random;

void he_random_system(he_random *r);
/* The same seed with another stream number gives unrelated bytes. */
void he_random_seeded(he_random *r, const uint8_t seed[HE_SEED_BYTES], uint64_t stream);
void he_random_bytes(he_random *r, void *out, size_t len);
void he_random_wipe(he_random *r);

void he_sample_uniform(he_random *r, uint64_t *out, size_t n, const he_modulus *m);
void he_sample_ternary(he_random *r, int64_t *out, size_t n);
/* The discrete Gaussian of standard deviation 3.2, cut at 6 deviations. */
void he_sample_noise(he_random *r, int64_t *out, size_t n);

/* One block of ChaCha20, for its test. */
void he_chacha20_block(uint8_t out[64], const uint32_t key[8], uint64_t block, uint64_t stream);

#endif
