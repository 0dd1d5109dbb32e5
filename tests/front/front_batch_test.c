#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "tests/front/points.h"

static sky_err batch_rows(const double *values, size_t n, size_t k, const sky_goal *goals,
                          uint8_t *on_front, size_t *n_front, size_t *n_nan)
{
    double *columns[SKY_OBJECTIVES_MAX];
    for (size_t j = 0; j < k; j++) {
        columns[j] = malloc((n + 1) * sizeof(double));
        for (size_t i = 0; i < n; i++)
            columns[j][i] = values[i * k + j];
    }
    sky_err err =
        sky_front_batch((const double *const *)columns, n, k, goals, on_front, n_front, n_nan);
    for (size_t j = 0; j < k; j++)
        free(columns[j]);
    return err;
}

static void check_against_definition(sky_rng *r, shape s, size_t n, size_t k)
{
    sky_goal goals[SKY_OBJECTIVES_MAX];
    random_goals(r, k, goals);
    double *values = random_points(r, s, n, k);
    uint8_t *on_front = malloc(n + 1);
    memset(on_front, 7, n + 1);
    size_t n_front = 99, n_nan = 99, expect_front = 0, expect_nan = 0;
    cr_assert(eq(int, batch_rows(values, n, k, goals, on_front, &n_front, &n_nan), SKY_OK));
    for (size_t i = 0; i < n; i++) {
        bool expected = brute_on_front(values, n, k, goals, i);
        cr_assert(eq(int, on_front[i], expected), "shape %d n %zu k %zu row %zu", s, n, k, i);
        expect_front += expected;
        expect_nan += has_nan(values + i * k, k);
    }
    cr_assert(eq(sz, n_front, expect_front));
    cr_assert(eq(sz, n_nan, expect_nan));
    cr_assert(eq(int, on_front[n], 7), "wrote past the end");
    free(values);
    free(on_front);
}

Test(front_batch, small_tables_follow_the_definition)
{
    sky_rng r = test_rng("small_tables");
    for (int round = 0; round < 60; round++)
        for (shape s = UNIFORM; s < N_SHAPES; s++)
            for (size_t k = 1; k <= 6; k++)
                check_against_definition(&r, s, (size_t)sky_rng_below(&r, 40), k);
}

Test(front_batch, large_tables_follow_the_definition)
{
    sky_rng r = test_rng("large_tables"); /* above the sizes where histogram and radix sort begin */
    for (shape s = UNIFORM; s < N_SHAPES; s++)
        for (size_t k = 1; k <= 5; k++)
            check_against_definition(&r, s, 5000 + (size_t)sky_rng_below(&r, 500), k);
}

Test(front_batch, empty_table)
{
    sky_goal goals[] = {SKY_MIN, SKY_MAX};
    size_t n_front = 1, n_nan = 1;
    const double *columns[] = {NULL, NULL};
    cr_assert(eq(int, sky_front_batch(columns, 0, 2, goals, NULL, &n_front, &n_nan), SKY_OK));
    cr_assert(eq(sz, n_front, 0));
    cr_assert(eq(sz, n_nan, 0));
}

Test(front_batch, equal_points_are_on_the_front_together)
{
    sky_goal goals[] = {SKY_MIN, SKY_MIN, SKY_MAX};
    double values[] = {1, 2, 3, 1, 2, 3, -0.0, 9, 3, 0.0, 9, 3, 1, 2, 2};
    uint8_t on_front[5], expected[] = {1, 1, 1, 1, 0};
    cr_assert(eq(int, batch_rows(values, 5, 3, goals, on_front, NULL, NULL), SKY_OK));
    cr_assert(zero(int, memcmp(on_front, expected, 5)));
}

Test(front_batch, all_nan_gives_no_front)
{
    sky_goal goals[] = {SKY_MIN, SKY_MIN};
    double values[] = {NAN, 1, 1, NAN, NAN, NAN};
    uint8_t on_front[3];
    size_t n_front = 9, n_nan = 9;
    cr_assert(eq(int, batch_rows(values, 3, 2, goals, on_front, &n_front, &n_nan), SKY_OK));
    cr_assert(eq(sz, n_front, 0));
    cr_assert(eq(sz, n_nan, 3));
    cr_assert(eq(int, on_front[0] | on_front[1] | on_front[2], 0));
}

Test(front_batch, too_many_rows_are_refused)
{
    sky_goal goals[] = {SKY_MIN};
    const double *columns[] = {NULL};
    uint8_t on_front;
    cr_assert(eq(int,
                 sky_front_batch(columns, (size_t)UINT32_MAX + 1, 1, goals, &on_front, NULL, NULL),
                 SKY_ELIMIT));
}

Test(front_batch, dominance_of_two_points)
{
    sky_goal goals[] = {SKY_MIN, SKY_MAX};
    double a[] = {1, 5}, b[] = {2, 5}, c[] = {0, 4}, hole[] = {0, NAN};
    cr_assert(sky_dominates(a, b, 2, goals));
    cr_assert(not(sky_dominates(b, a, 2, goals)));
    cr_assert(not(sky_dominates(a, a, 2, goals)));
    cr_assert(not(sky_dominates(a, c, 2, goals)));
    cr_assert(not(sky_dominates(c, a, 2, goals)));
    cr_assert(not(sky_dominates(hole, a, 2, goals)));
    cr_assert(not(sky_dominates(c, hole, 2, goals)));
}
