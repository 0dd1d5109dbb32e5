#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "tests/front/points.h"

/* The front kept as a plain list. */
typedef struct model {
    const double *values;
    size_t k;
    const sky_goal *goals;
    size_t *rows, n;
} model;

static sky_front_outcome model_insert(model *m, size_t row, size_t *removed, size_t *n_removed)
{
    const double *v = m->values + row * m->k;
    *n_removed = 0;
    if (has_nan(v, m->k))
        return SKY_FRONT_NAN;
    for (size_t i = 0; i < m->n; i++)
        if (brute_dominates(m->values + m->rows[i] * m->k, v, m->k, m->goals))
            return SKY_FRONT_DOMINATED;
    size_t kept = 0;
    for (size_t i = 0; i < m->n; i++) {
        if (brute_dominates(v, m->values + m->rows[i] * m->k, m->k, m->goals))
            removed[(*n_removed)++] = m->rows[i];
        else
            m->rows[kept++] = m->rows[i];
    }
    m->rows[kept] = row;
    m->n = kept + 1;
    return SKY_FRONT_ADDED;
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void check_removed(const sky_front *f, const size_t *expected, size_t n)
{
    uint64_t *a = malloc((n + 1) * sizeof *a), *b = malloc((n + 1) * sizeof *b);
    for (size_t i = 0; i < n; i++) {
        a[i] = sky_front_removed_ids(f)[i];
        b[i] = expected[i] + 1000;
    }
    qsort(a, n, sizeof *a, compare_u64);
    qsort(b, n, sizeof *b, compare_u64);
    cr_assert(zero(int, memcmp(a, b, n * sizeof *a)));
    free(a);
    free(b);
}

static void check_view(sky_front *f, const model *m)
{
    sky_front_view view;
    cr_assert(eq(int, sky_front_look(f, &view), SKY_OK));
    cr_assert(eq(sz, view.n, m->n));
    cr_assert(eq(sz, view.k, m->k));
    uint64_t *a = malloc((m->n + 1) * sizeof *a), *b = malloc((m->n + 1) * sizeof *b);
    for (size_t i = 0; i < m->n; i++) {
        a[i] = view.ids[i];
        b[i] = m->rows[i] + 1000;
        for (size_t j = 0; j < m->k; j++)
            cr_assert(
                eq(dbl, view.values[i * m->k + j], m->values[(view.ids[i] - 1000) * m->k + j]));
        for (size_t j = 0; i > 0 && j <= m->k; j++) {
            if (j == m->k) {
                cr_assert(lt(u64, view.ids[i - 1], view.ids[i]), "equal points go by id");
                break;
            }
            double x = view.values[(i - 1) * m->k + j], y = view.values[i * m->k + j];
            if (m->goals[j] == SKY_MAX) {
                x = -x;
                y = -y;
            }
            cr_assert(le(dbl, x, y), "out of order");
            if (x < y)
                break;
        }
    }
    qsort(a, m->n, sizeof *a, compare_u64);
    qsort(b, m->n, sizeof *b, compare_u64);
    cr_assert(zero(int, memcmp(a, b, m->n * sizeof *a)));
    free(a);
    free(b);
}

static int compare_first(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void check_against_model(sky_rng *r, shape s, size_t n, size_t k, bool in_order)
{
    sky_goal goals[SKY_OBJECTIVES_MAX];
    random_goals(r, k, goals);
    double *values = random_points(r, s, n, k);
    if (in_order) /* as the trials of a grid come */
        qsort(values, n, k * sizeof *values, compare_first);
    size_t *removed = malloc((n + 1) * sizeof *removed);
    model m = {values, k, goals, malloc((n + 1) * sizeof(size_t)), 0};
    sky_front *f = sky_front_new(k, goals);
    cr_assert(f != NULL);
    uint64_t n_nan = 0;
    for (size_t i = 0; i < n; i++) {
        size_t n_removed;
        sky_front_change change = {0};
        bool dominated = sky_front_is_dominated(f, values + i * k);
        sky_front_outcome outcome = model_insert(&m, i, removed, &n_removed);
        cr_assert(eq(int, sky_front_insert(f, i + 1000, values + i * k, &change), SKY_OK));
        cr_assert(eq(int, change.outcome, outcome), "shape %d k %zu row %zu", s, k, i);
        cr_assert(eq(int, dominated, outcome == SKY_FRONT_DOMINATED));
        cr_assert(eq(sz, change.removed, n_removed));
        cr_assert(eq(sz, sky_front_size(f), m.n));
        check_removed(f, removed, n_removed);
        n_nan += outcome == SKY_FRONT_NAN;
        if (sky_rng_below(r, 64) == 0)
            check_view(f, &m);
    }
    check_view(f, &m);
    cr_assert(eq(u64, sky_front_nan_count(f), n_nan));
    sky_front_clear(f);
    m.n = 0;
    check_view(f, &m);
    sky_front_free(f);
    free(values);
    free(removed);
    free(m.rows);
}

Test(front_grow, small_fronts_follow_the_model)
{
    sky_rng r = test_rng("small_fronts");
    for (int round = 0; round < 30; round++)
        for (shape s = UNIFORM; s < N_SHAPES; s++)
            for (size_t k = 1; k <= 6; k++)
                check_against_model(&r, s, (size_t)sky_rng_below(&r, 60), k, round % 2);
}

Test(front_grow, large_fronts_follow_the_model)
{
    sky_rng r = test_rng("large_fronts"); /* many blocks, deep trees */
    for (shape s = UNIFORM; s < N_SHAPES; s++)
        for (size_t k = 1; k <= 5; k++)
            for (int in_order = 0; in_order < 2; in_order++)
                check_against_model(&r, s, 3000, k, in_order);
}

Test(front_grow, one_point_clears_a_large_front)
{
    for (size_t k = 2; k <= 4; k++) {
        sky_goal goals[] = {SKY_MIN, SKY_MAX, SKY_MIN, SKY_MAX};
        sky_front *f = sky_front_new(k, goals);
        enum { N = 5000 };
        sky_front_change change;
        for (int i = 0; i < N; i++) {
            double v[] = {i, i, i % 7, i % 5};
            cr_assert(eq(int, sky_front_insert(f, (uint64_t)i, v, &change), SKY_OK));
            cr_assert(eq(int, change.outcome, SKY_FRONT_ADDED));
        }
        double best[] = {-1, 1e9, -1, 1e9};
        cr_assert(eq(int, sky_front_insert(f, 77777, best, &change), SKY_OK));
        cr_assert(eq(sz, change.removed, N));
        cr_assert(eq(sz, sky_front_size(f), 1));
        sky_front_view view;
        cr_assert(eq(int, sky_front_look(f, &view), SKY_OK));
        cr_assert(eq(u64, view.ids[0], 77777));
        sky_front_free(f);
    }
}

Test(front_grow, many_equal_points_stay)
{
    for (size_t k = 1; k <= 4; k++) {
        sky_goal goals[] = {SKY_MAX, SKY_MAX, SKY_MIN, SKY_MIN};
        sky_front *f = sky_front_new(k, goals);
        double same[] = {1, 2, 3, 4}, better[] = {2, 2, 3, 4};
        sky_front_change change;
        for (uint64_t id = 5000; id > 0; id--)
            cr_assert(eq(int, sky_front_insert(f, id, same, NULL), SKY_OK));
        sky_front_view view;
        cr_assert(eq(int, sky_front_look(f, &view), SKY_OK));
        cr_assert(eq(sz, view.n, 5000));
        for (uint64_t id = 1; id <= 5000; id++)
            cr_assert(eq(u64, view.ids[id - 1], id));
        cr_assert(eq(int, sky_front_insert(f, 1, better, &change), SKY_OK));
        cr_assert(eq(sz, change.removed, 5000));
        sky_front_free(f);
    }
}

Test(front_grow, negative_cases)
{
    sky_goal goals[] = {SKY_MIN, SKY_MIN};
    sky_front *f = sky_front_new(2, goals);
    double hole[] = {1, NAN};
    sky_front_change change;
    cr_assert(eq(int, sky_front_insert(f, 1, hole, &change), SKY_OK));
    cr_assert(eq(int, change.outcome, SKY_FRONT_NAN));
    cr_assert(eq(sz, sky_front_size(f), 0));
    cr_assert(not(sky_front_is_dominated(f, hole)));
    sky_front_view view;
    cr_assert(eq(int, sky_front_look(f, &view), SKY_OK));
    cr_assert(eq(sz, view.n, 0));
    sky_front_free(f);
    sky_front_free(NULL);
}
