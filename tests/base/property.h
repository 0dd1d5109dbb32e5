/* For tests on random input: a seed that is printed, and that SKY_TEST_SEED sets to repeat a
 * failure. */
#ifndef SKY_TESTS_BASE_PROPERTY_H
#define SKY_TESTS_BASE_PROPERTY_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/rng.h"

/* A generator for one test; `what` names it in the output. */
static inline sky_rng test_rng(const char *what)
{
    const char *given = getenv("SKY_TEST_SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed =
        given ? strtoull(given, NULL, 0) : sky_hash_u64((uint64_t)now.tv_nsec, (uint64_t)getpid());
    fprintf(stderr, "%s: SKY_TEST_SEED=%llu\n", what, (unsigned long long)seed);
    sky_rng r;
    sky_rng_init(&r, seed, 0);
    return r;
}

#endif
