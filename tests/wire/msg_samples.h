/* Messages for tests: random ones from a seed, one fixed one per type, and deep comparison. */
#ifndef SKY_TESTS_WIRE_MSG_SAMPLES_H
#define SKY_TESTS_WIRE_MSG_SAMPLES_H

#include "base/rng.h"
#include "wire/msg.h"

/* A random message of the type; everything in the arena. */
sky_msg sample_random(sky_msg_type type, sky_rng *rng, sky_arena *arena);
/* The message of the golden file tests/golden/wire/v1/NAME.bin, or false if there is no such
 * number. */
bool sample_fixed(size_t number, const char **name, sky_msg *out);
bool sample_equal(const sky_msg *a, const sky_msg *b);
/* $SKY_TEST_SEED or a new one; printed, so that a failure can be repeated. */
uint64_t sample_seed(void);

#endif
