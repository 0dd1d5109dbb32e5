/* Random cases from a seed that a failing test prints; SKY_TEST_SEED sets it. */
#ifndef SKY_TESTS_HW_RANDOM_CASE_H
#define SKY_TESTS_HW_RANDOM_CASE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"

static inline uint64_t test_seed(void)
{
    const char *text = getenv("SKY_TEST_SEED");
    return text ? strtoull(text, NULL, 0) : 20200428;
}

static inline sky_rng test_rng(uint64_t stream)
{
    sky_rng r;
    sky_rng_init(&r, test_seed(), stream);
    fprintf(stderr, "SKY_TEST_SEED=%llu\n", (unsigned long long)test_seed());
    return r;
}

/* Uniform in [lo, hi]. */
static inline int64_t test_between(sky_rng *r, int64_t lo, int64_t hi)
{
    return lo + (int64_t)sky_rng_below(r, (uint64_t)(hi - lo + 1));
}

static inline void test_fill(sky_rng *r, int64_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = test_between(r, -9, 9);
}

#endif
