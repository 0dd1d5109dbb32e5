#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "front/front_internal.h"
#include "tests/front/points.h"

static void check_order(sky_rng *r, shape s, size_t n, size_t k)
{
    double *values = random_points(r, s, n, k), *data = malloc((n * k + 1) * sizeof *data);
    uint32_t *rows = malloc((n + 1) * sizeof *rows);
    bool *seen = calloc(n + 1, sizeof *seen);
    sky__column columns[SKY_OBJECTIVES_MAX];
    for (size_t j = 0; j < k; j++) {
        columns[j] = (sky__column){data + j * n, sky_rng_below(r, 2) ? 1 : -1};
        for (size_t i = 0; i < n; i++)
            data[j * n + i] = values[i * k + j];
    }
    for (size_t i = 0; i < n; i++)
        rows[i] = (uint32_t)i;
    cr_assert(sky__order_rows(columns, k, rows, n));
    for (size_t i = 0; i < n; i++) {
        cr_assert(lt(u32, rows[i], (uint32_t)n));
        cr_assert(not(seen[rows[i]]), "row %u twice", rows[i]);
        seen[rows[i]] = true;
        for (size_t j = 0; i > 0 && j < k; j++) {
            double a = sky__at(&columns[j], rows[i - 1]), b = sky__at(&columns[j], rows[i]);
            cr_assert(le(dbl, a, b), "shape %d n %zu column %zu place %zu", s, n, j, i);
            if (a < b)
                break;
        }
    }
    free(values);
    free(data);
    free(rows);
    free(seen);
}

Test(order, sorts_every_shape_and_size)
{
    sky_rng r = test_rng("order");
    static const size_t sizes[] = {0, 1, 2, 24, 25, 300, 4096, 4097, 20000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (shape s = UNIFORM; s < HOLES; s++) /* no NaN comes here */
            for (size_t k = 1; k <= 4; k++)
                check_order(&r, s, sizes[i], k);
}

Test(order, equal_values_end)
{
    double data[10000];
    uint32_t rows[10000];
    for (uint32_t i = 0; i < 10000; i++) {
        data[i] = i % 2 ? 0.0 : -0.0; /* equal, but not in their bits */
        rows[i] = i;
    }
    sky__column column = {data, 1};
    cr_assert(sky__order_rows(&column, 1, rows, 10000));
}

Test(order, neighbouring_doubles_are_told_apart)
{
    /* One outlier makes the linear map useless, and the rest differ in their last bits. */
    enum { N = 6000 };
    static double data[N];
    static uint32_t rows[N];
    data[0] = 1;
    for (uint32_t i = 1; i < N; i++)
        data[i] = nextafter(data[i - 1], 2);
    data[0] = 1e300;
    for (uint32_t i = 0; i < N; i++)
        rows[i] = N - 1 - i;
    sky__column column = {data, 1};
    cr_assert(sky__order_rows(&column, 1, rows, N));
    for (uint32_t i = 0; i + 1 < N; i++)
        cr_assert(eq(u32, rows[i], i + 1));
    cr_assert(eq(u32, rows[N - 1], 0));
}
