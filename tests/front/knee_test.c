#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "tests/front/points.h"

static const sky_goal both_min[] = {SKY_MIN, SKY_MIN};

Test(knee, an_l_shape_has_its_corner)
{
    double values[] = {0, 10, 1, 5, 2, 1, 6, 0.5, 10, 0};
    size_t index = 99;
    cr_assert(sky_knee(values, 5, 2, both_min, &index));
    cr_assert(eq(sz, index, 2));
}

Test(knee, units_and_goals_do_not_matter)
{
    double values[] = {0, 10, 1, 5, 2, 1, 6, 0.5, 10, 0};
    for (size_t i = 0; i < 5; i++) {
        values[i * 2] = 1e-9 * values[i * 2] + 3;
        values[i * 2 + 1] *= -1e12;
    }
    sky_goal goals[] = {SKY_MIN, SKY_MAX};
    size_t index = 99;
    cr_assert(sky_knee(values, 5, 2, goals, &index));
    cr_assert(eq(sz, index, 2));
}

Test(knee, matches_the_distance_from_the_line)
{
    sky_rng r = test_rng("knee");
    for (int round = 0; round < 100; round++) {
        enum { N = 50 };
        double values[N * 2];
        for (size_t i = 0; i < N; i++) { /* a convex front with noise that keeps its order */
            double x = ((double)i + 0.5 * sky_rng_f64(&r)) / N;
            values[i * 2] = 100 * x;
            values[i * 2 + 1] = 1 / (0.05 + x);
        }
        double x0 = values[0], y0 = values[1], x1 = values[2 * N - 2], y1 = values[2 * N - 1];
        size_t best = 0, index = 99;
        double farthest = 0;
        for (size_t i = 0; i < N; i++) {
            double u = (values[i * 2] - x0) / (x1 - x0), w = (values[i * 2 + 1] - y1) / (y0 - y1);
            if (1 - u - w > farthest) {
                farthest = 1 - u - w;
                best = i;
            }
        }
        cr_assert(sky_knee(values, N, 2, both_min, &index));
        cr_assert(eq(sz, index, best));
    }
}

Test(knee, three_objectives)
{
    sky_goal goals[] = {SKY_MIN, SKY_MAX, SKY_MIN};
    double values[] = {0, 0, 1, 1, 1, 1, 1, 0, 0, 0.1, 0.9, 0.1, 0.5, 0.4, 0.4};
    size_t index = 99;
    cr_assert(sky_knee(values, 5, 3, goals, &index));
    cr_assert(eq(sz, index, 3));
}

Test(knee, none)
{
    size_t index = 99;
    double two[] = {0, 1, 1, 0};
    double line[] = {0, 1, 0.25, 0.75, 0.5, 0.5, 1, 0};
    double hollow[] = {0, 1, 0.9, 0.9, 1, 0};
    double flat[] = {0, 1, 1, 1, 2, 1};
    double holes[] = {0, 1, NAN, 0, INFINITY, -1, 1, 0};
    double same[] = {1, 1, 1, 1, 1, 1};
    cr_assert(not(sky_knee(two, 0, 2, both_min, &index)));
    cr_assert(not(sky_knee(two, 2, 2, both_min, &index)));
    cr_assert(not(sky_knee(line, 4, 2, both_min, &index)));
    cr_assert(not(sky_knee(hollow, 3, 2, both_min, &index)));
    cr_assert(not(sky_knee(flat, 3, 2, both_min, &index)));
    cr_assert(not(sky_knee(holes, 4, 2, both_min, &index)));
    cr_assert(not(sky_knee(same, 3, 2, both_min, &index)));
    cr_assert(not(sky_knee(two, 2, 1, both_min, &index)));
    cr_assert(eq(sz, index, 99), "untouched");
}
