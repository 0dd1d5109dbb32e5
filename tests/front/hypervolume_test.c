#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "tests/front/points.h"

enum { SIDE = 6 };

/* Counts the unit cells of [0, SIDE)^k that some point dominates: exact for whole numbers. */
static double count_cells(const double *values, size_t n, size_t k, const sky_goal *goals)
{
    size_t n_cells = 1;
    for (size_t j = 0; j < k; j++)
        n_cells *= SIDE;
    double count = 0;
    for (size_t cell = 0; cell < n_cells; cell++) {
        bool covered = false;
        for (size_t i = 0; i < n && !covered; i++) {
            covered = true;
            for (size_t j = 0, rest = cell; j < k; j++, rest /= SIDE) {
                double low = (double)(rest % SIDE);
                double x = goals[j] == SKY_MIN ? values[i * k + j] : SIDE - values[i * k + j];
                covered = covered && x <= low; /* false for a NaN */
            }
        }
        count += covered;
    }
    return count;
}

static void reference_of(size_t k, const sky_goal *goals, double *reference)
{
    for (size_t j = 0; j < k; j++)
        reference[j] = goals[j] == SKY_MIN ? SIDE : 0;
}

Test(hypervolume, equals_the_count_of_cells)
{
    sky_rng r = test_rng("cells");
    for (int round = 0; round < 200; round++) {
        for (size_t k = 1; k <= 6; k++) {
            sky_goal goals[SKY_OBJECTIVES_MAX];
            double reference[SKY_OBJECTIVES_MAX], volume = -1;
            random_goals(&r, k, goals);
            reference_of(k, goals, reference);
            size_t n = (size_t)sky_rng_below(&r, k > 4 ? 10 : 25);
            double *values = malloc((n * k + 1) * sizeof *values);
            for (size_t i = 0; i < n * k; i++) /* some on or beyond the reference, some NaN */
                values[i] = sky_rng_below(&r, 40) ? (double)sky_rng_below(&r, SIDE + 1) : NAN;
            cr_assert(eq(int, sky_hypervolume(values, n, k, goals, reference, &volume), SKY_OK));
            cr_assert(eq(dbl, volume, count_cells(values, n, k, goals)), "k %zu n %zu", k, n);
            free(values);
        }
    }
}

/* The volume of a union by inclusion and exclusion, all goals SKY_MIN. */
static double include_exclude(const double *values, size_t n, size_t k, const double *reference)
{
    double sum = 0;
    for (unsigned set = 1; set < 1u << n; set++) {
        double box = 1;
        for (size_t j = 0; j < k; j++) {
            double worst = -INFINITY;
            for (size_t i = 0; i < n; i++)
                if (set >> i & 1)
                    worst = fmax(worst, values[i * k + j]);
            box *= fmax(0, reference[j] - worst);
        }
        sum += __builtin_popcount(set) % 2 ? box : -box;
    }
    return sum;
}

Test(hypervolume, equals_inclusion_and_exclusion)
{
    sky_rng r = test_rng("inclusion");
    for (int round = 0; round < 60; round++) {
        for (size_t k = 1; k <= 6; k++) {
            sky_goal goals[] = {SKY_MIN, SKY_MIN, SKY_MIN, SKY_MIN, SKY_MIN, SKY_MIN};
            double reference[SKY_OBJECTIVES_MAX], volume = -1;
            for (size_t j = 0; j < k; j++)
                reference[j] = 0.5 + sky_rng_f64(&r);
            size_t n = (size_t)sky_rng_below(&r, 11);
            double *values = random_points(&r, round % 2 ? NEAR : UNIFORM, n, k);
            cr_assert(eq(int, sky_hypervolume(values, n, k, goals, reference, &volume), SKY_OK));
            cr_assert(epsilon_eq(dbl, volume, include_exclude(values, n, k, reference), 1e-12));
            free(values);
        }
    }
}

Test(hypervolume, a_flat_fourth_objective_multiplies)
{
    /* Enough points for many blocks of the staircase; 4 objectives against 3. */
    sky_rng r = test_rng("flat");
    enum { N = 600 };
    sky_goal goals[] = {SKY_MIN, SKY_MIN, SKY_MIN, SKY_MIN};
    double reference[] = {1, 1, 1, 1}, v3, v4;
    double *points = random_points(&r, NEAR, N, 3), *flat = malloc(N * 4 * sizeof *flat);
    for (size_t i = 0; i < N; i++) {
        for (size_t j = 0; j < 3; j++)
            flat[i * 4 + j + 1] = points[i * 3 + j];
        flat[i * 4] = 0.75;
    }
    cr_assert(eq(int, sky_hypervolume(points, N, 3, goals, reference, &v3), SKY_OK));
    cr_assert(eq(int, sky_hypervolume(flat, N, 4, goals, reference, &v4), SKY_OK));
    cr_assert(epsilon_eq(dbl, v4, v3 * 0.25, 1e-12));
    free(points);
    free(flat);
}

Test(hypervolume, negative_cases)
{
    sky_goal goals[] = {SKY_MIN, SKY_MAX};
    double reference[] = {1, 0}, bad[] = {INFINITY, 0}, hole[] = {NAN, 0}, volume = 5;
    double beyond[] = {2, 5, 0, -1, 1, 5}, nan_row[] = {NAN, 5}, at_infinity[] = {-INFINITY, 1};
    double worst[] = {INFINITY, 3};
    cr_assert(eq(int, sky_hypervolume(beyond, 3, 2, goals, bad, &volume), SKY_EINVAL));
    cr_assert(eq(int, sky_hypervolume(beyond, 3, 2, goals, hole, &volume), SKY_EINVAL));
    cr_assert(eq(dbl, volume, 5), "untouched on error");
    cr_assert(eq(int, sky_hypervolume(beyond, 3, 2, goals, reference, &volume), SKY_OK));
    cr_assert(eq(dbl, volume, 0));
    cr_assert(eq(int, sky_hypervolume(nan_row, 1, 2, goals, reference, &volume), SKY_OK));
    cr_assert(eq(dbl, volume, 0));
    cr_assert(eq(int, sky_hypervolume(NULL, 0, 2, goals, reference, &volume), SKY_OK));
    cr_assert(eq(dbl, volume, 0));
    cr_assert(eq(int, sky_hypervolume(worst, 1, 2, goals, reference, &volume), SKY_OK));
    cr_assert(eq(dbl, volume, 0));
    cr_assert(eq(int, sky_hypervolume(at_infinity, 1, 2, goals, reference, &volume), SKY_OK));
    cr_assert(eq(dbl, volume, INFINITY));
}
