/* Sampled searches: the coordinates of point k in the unit cube, each a 64-bit binary fraction,
 * computed from k alone. Nothing is remembered between points, so that any worker makes any
 * point. */
#include <assert.h>

#include "base/hash.h"
#include "base/rng.h"
#include "sweeps/plan_internal.h"

/* Philox counters are (point, purpose and dimension): purposes keep the draws apart. */
enum { PURPOSE_RANDOM = 1, PURPOSE_JITTER = 2 };

static uint64_t draw(uint64_t key, uint64_t k, uint32_t purpose, uint32_t dimension)
{
    const uint32_t counter[4] = {(uint32_t)k, (uint32_t)(k >> 32), dimension / 2, purpose};
    const uint32_t keys[2] = {(uint32_t)key, (uint32_t)(key >> 32)};
    uint32_t out[4];
    sky_philox(counter, keys, out);
    const uint32_t *half = out + 2 * (dimension & 1);
    return half[0] | (uint64_t)half[1] << 32;
}

static uint64_t sobol_unit(const sky_plan *p, uint64_t k, uint32_t dimension)
{
    const uint64_t *v = p->sobol + (size_t)dimension * 64;
    uint64_t x = p->sobol_shift[dimension];
    for (uint64_t gray = k ^ (k >> 1); gray; gray &= gray - 1)
        x ^= v[__builtin_ctzll(gray)];
    return x;
}

/* A uniform place within stratum permute(k) of as many strata as there are points. */
static uint64_t latin_unit(const sky_plan *p, uint64_t k, uint32_t dimension)
{
    uint64_t n = p->search.points;
    uint64_t stratum = sky_permute(sky_hash_u64(p->key_order, dimension), n, k);
    uint64_t jitter = draw(p->key_draw, k, PURPOSE_JITTER, dimension);
    return (uint64_t)(((unsigned __int128)stratum << 64 | jitter) / n);
}

uint64_t sky__unit(const sky_plan *p, uint64_t k, uint32_t dimension)
{
    assert(dimension < p->dimensions);
    switch (p->search.kind) {
    case SKY__SOBOL:
        return sobol_unit(p, k, dimension);
    case SKY__LATIN_HYPERCUBE:
        return latin_unit(p, k, dimension);
    case SKY__RANDOM:
    case SKY__GRID:
        break;
    }
    return draw(p->key_draw, k, PURPOSE_RANDOM, dimension);
}

sky_err sky__sobol_build(sky_plan *p)
{
    assert(p->dimensions <= SKY__SOBOL_DIMENSIONS_MAX);
    size_t n = p->dimensions ? p->dimensions : 1;
    p->sobol = sky_new(&p->arena, uint64_t, n * 64);
    p->sobol_shift = sky_new(&p->arena, uint64_t, n);
    if (!p->sobol || !p->sobol_shift)
        return SKY_ENOMEM;
    for (uint32_t d = 0; d < p->dimensions; d++) {
        sky__sobol_directions(d, p->sobol + (size_t)d * 64);
        if (!p->search.scramble)
            continue;
        sky__sobol_scramble(p->key_draw, d, p->sobol + (size_t)d * 64);
        p->sobol_shift[d] = sky_hash_u64(p->key_order, d);
    }
    return SKY_OK;
}
