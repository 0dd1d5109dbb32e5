/* The knee of a front: the point with the largest bulge towards the ideal, measured from the
 * hyperplane through the individual minima (Das, "On characterizing the 'knee' of the Pareto curve
 * based on Normal-Boundary Intersection", Structural Optimization 18, 1999). Objectives are scaled
 * to the extent of the front first, so that their units do not matter. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "front/front_internal.h"

typedef struct scaling {
    size_t k;
    const sky_goal *goals;
    double low[SKY_OBJECTIVES_MAX], extent[SKY_OBJECTIVES_MAX];
} scaling;

static bool is_finite_row(const double *row, size_t k)
{
    for (size_t j = 0; j < k; j++)
        if (!isfinite(row[j]))
            return false;
    return true;
}

/* 0 is the front's best value, 1 its worst. Halves first: the extent of finite values may be
 * infinite. */
static double scaled(const scaling *s, const double *row, size_t j)
{
    return (0.5 * sky__sign(s->goals[j]) * row[j] - s->low[j]) / s->extent[j];
}

/* Finds the extent and, per objective, the first row that is best in it. */
static bool set_scaling(scaling *s, const double *values, size_t n, size_t *best_rows)
{
    size_t n_finite = 0;
    double high[SKY_OBJECTIVES_MAX];
    for (size_t i = 0; i < n; i++) {
        const double *row = values + i * s->k;
        if (!is_finite_row(row, s->k))
            continue;
        for (size_t j = 0; j < s->k; j++) {
            double x = 0.5 * sky__sign(s->goals[j]) * row[j];
            if (n_finite == 0 || x < s->low[j]) {
                s->low[j] = x;
                best_rows[j] = i;
            }
            high[j] = n_finite == 0 || x > high[j] ? x : high[j];
        }
        n_finite++;
    }
    if (n_finite < 3)
        return false;
    for (size_t j = 0; j < s->k; j++) {
        s->extent[j] = high[j] - s->low[j];
        if (!(s->extent[j] > 0))
            return false;
    }
    return true;
}

/* Solves a x = 1 for the rows of a (k x k) by elimination with pivoting; false if it is singular.
 */
static bool solve_ones(double a[SKY_OBJECTIVES_MAX][SKY_OBJECTIVES_MAX + 1], size_t k, double *x)
{
    for (size_t col = 0; col < k; col++) {
        size_t pivot = col;
        for (size_t i = col + 1; i < k; i++)
            if (fabs(a[i][col]) > fabs(a[pivot][col]))
                pivot = i;
        if (fabs(a[pivot][col]) < 1e-9) /* all entries are of the order of 1 */
            return false;
        for (size_t j = 0; j <= k; j++) {
            double swap = a[col][j];
            a[col][j] = a[pivot][j];
            a[pivot][j] = swap;
        }
        for (size_t i = col + 1; i < k; i++) {
            double factor = a[i][col] / a[col][col];
            for (size_t j = col; j <= k; j++)
                a[i][j] -= factor * a[col][j];
        }
    }
    for (size_t i = k; i-- > 0;) {
        x[i] = a[i][k];
        for (size_t j = i + 1; j < k; j++)
            x[i] -= a[i][j] * x[j];
        x[i] /= a[i][i];
    }
    return true;
}

/* The normal w of the hyperplane w u = 1 through the individual minima. If they do not span one, or
 * it slopes the wrong way, the one through the corners (1,0,..), (0,1,0,..), ... stands in. */
static void set_normal(const scaling *s, const double *values, const size_t *best_rows, double *w)
{
    double a[SKY_OBJECTIVES_MAX][SKY_OBJECTIVES_MAX + 1];
    for (size_t i = 0; i < s->k; i++) {
        for (size_t j = 0; j < s->k; j++)
            a[i][j] = scaled(s, values + best_rows[i] * s->k, j);
        a[i][s->k] = 1;
    }
    bool ok = solve_ones(a, s->k, w);
    for (size_t j = 0; j < s->k; j++)
        ok = ok && w[j] > 0;
    for (size_t j = 0; j < s->k && !ok; j++)
        w[j] = 1;
}

bool sky_knee(const double *values, size_t n, size_t k, const sky_goal *goals, size_t *index)
{
    sky__assert_goals(k, goals);
    scaling s = {.k = k, .goals = goals};
    size_t best_rows[SKY_OBJECTIVES_MAX];
    if (k < 2 || !set_scaling(&s, values, n, best_rows))
        return false;
    double w[SKY_OBJECTIVES_MAX];
    set_normal(&s, values, best_rows, w);
    /* Farther than rounding could explain; the distance itself needs no scale to compare by. */
    double farthest = 1e-9;
    bool found = false;
    for (size_t i = 0; i < n; i++) {
        const double *row = values + i * k;
        if (!is_finite_row(row, k))
            continue;
        double bulge = 1;
        for (size_t j = 0; j < k; j++)
            bulge -= w[j] * scaled(&s, row, j);
        if (bulge > farthest) {
            farthest = bulge;
            *index = i;
            found = true;
        }
    }
    return found;
}
