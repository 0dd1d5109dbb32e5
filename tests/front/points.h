/* Random tables of points for the tests of front/, and the front by definition. */
#ifndef SKY_TESTS_FRONT_POINTS_H
#define SKY_TESTS_FRONT_POINTS_H

#include <math.h>
#include <stdlib.h>

#include "front/front.h"
#include "tests/base/property.h"

typedef enum shape {
    UNIFORM,  /* few points on the front */
    NEAR,     /* anti-correlated: many */
    ON_PLANE, /* the sum is the same: nearly all */
    GRID,     /* small whole numbers: ties and equal points */
    WILD,     /* infinities, zeros of both signs, huge and tiny values, ties */
    HOLES,    /* as GRID, with NaNs */
    N_SHAPES,
} shape;

static inline double wild_value(sky_rng *r)
{
    static const double special[] = {INFINITY, -INFINITY, 0.0, -0.0, 1e308, -1e308, 5e-324, 1};
    uint64_t pick = sky_rng_below(r, 24);
    if (pick < 8)
        return special[pick];
    double x = exp(200 * sky_rng_normal(r));
    return sky_rng_below(r, 2) ? x : -x;
}

/* n rows of k; the caller frees. */
static inline double *random_points(sky_rng *r, shape s, size_t n, size_t k)
{
    double *values = malloc((n * k + 1) * sizeof *values);
    for (size_t i = 0; i < n; i++) {
        double *row = values + i * k, sum = 0;
        for (size_t j = 0; j < k; j++) {
            row[j] = s == GRID || s == HOLES ? (double)sky_rng_below(r, 5)
                     : s == WILD             ? wild_value(r)
                                             : sky_rng_f64(r);
            if (s == HOLES && sky_rng_below(r, 8) == 0)
                row[j] = NAN;
            sum += row[j];
        }
        for (size_t j = 0; j < k && (s == NEAR || s == ON_PLANE); j++)
            row[j] /= sum * (s == NEAR ? 1 - 0.02 * sky_rng_f64(r) : 1);
    }
    return values;
}

static inline void random_goals(sky_rng *r, size_t k, sky_goal *goals)
{
    for (size_t j = 0; j < k; j++)
        goals[j] = sky_rng_below(r, 2) ? SKY_MIN : SKY_MAX;
}

static inline bool has_nan(const double *row, size_t k)
{
    for (size_t j = 0; j < k; j++)
        if (isnan(row[j]))
            return true;
    return false;
}

/* The definition, written out without the module's help. */
static inline bool brute_dominates(const double *a, const double *b, size_t k,
                                   const sky_goal *goals)
{
    bool better = false;
    for (size_t j = 0; j < k; j++) {
        double x = goals[j] == SKY_MIN ? a[j] : b[j], y = goals[j] == SKY_MIN ? b[j] : a[j];
        if (x > y)
            return false;
        better = better || x < y;
    }
    return better;
}

static inline bool brute_on_front(const double *values, size_t n, size_t k, const sky_goal *goals,
                                  size_t i)
{
    if (has_nan(values + i * k, k))
        return false;
    for (size_t other = 0; other < n; other++)
        if (!has_nan(values + other * k, k) &&
            brute_dominates(values + other * k, values + i * k, k, goals))
            return false;
    return true;
}

#endif
