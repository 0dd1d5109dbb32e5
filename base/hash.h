/* A fast 64-bit hash for checks and tables (not for secrets): identical on every machine. */
#ifndef SKY_BASE_HASH_H
#define SKY_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t sky_hash_bytes(uint64_t seed, const void *bytes, size_t len);
uint64_t sky_hash_u64(uint64_t seed, uint64_t x); /* a full-avalanche mix of both */

#endif
