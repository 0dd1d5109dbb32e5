#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "front/front_internal.h"

struct sky_front {
    size_t k;
    double sign[SKY_OBJECTIVES_MAX]; /* times a value: to be minimised */
    uint64_t n_nan;
    sky__stair stair;    /* k <= 2; for k == 1 the second objective is always 0 */
    sky__kfront *kfront; /* k >= 3 */
    sky__ids removed;    /* by the last insert */
    uint64_t *ids;       /* of the view, as are the values */
    double *values;
    size_t cap;
    bool stale; /* the view is older than the last change */
};

sky_front *sky_front_new(size_t k, const sky_goal *goals)
{
    sky__assert_goals(k, goals);
    sky_front *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->k = k;
    for (size_t j = 0; j < k; j++)
        f->sign[j] = sky__sign(goals[j]);
    if (k >= 3 && !(f->kfront = sky__kfront_new(k))) {
        free(f);
        return NULL;
    }
    return f;
}

void sky_front_free(sky_front *f)
{
    if (!f)
        return;
    sky__stair_free(&f->stair);
    sky__kfront_free(f->kfront);
    free(f->removed.ids);
    free(f->ids);
    free(f->values);
    free(f);
}

void sky_front_clear(sky_front *f)
{
    sky__stair_clear(&f->stair);
    if (f->kfront)
        sky__kfront_clear(f->kfront);
    f->removed.n = 0;
    f->n_nan = 0;
    f->stale = true;
}

/* False if there is a NaN. */
static bool to_minimise(const sky_front *f, const double *values, double *v)
{
    bool ok = true;
    v[1] = 0; /* for k == 1 */
    for (size_t j = 0; j < f->k; j++) {
        v[j] = f->sign[j] * values[j];
        ok &= v[j] == v[j];
    }
    return ok;
}

static sky__relation relation(const sky_front *f, const double *v)
{
    return f->kfront ? sky__kfront_relation(f->kfront, v)
                     : sky__stair_relation(&f->stair, v[0], v[1]);
}

sky_err sky_front_insert(sky_front *f, uint64_t id, const double *values, sky_front_change *change)
{
    double v[SKY_OBJECTIVES_MAX];
    sky_front_change result = {0};
    f->removed.n = 0;
    if (!to_minimise(f, values, v)) {
        f->n_nan++;
        result.outcome = SKY_FRONT_NAN;
    } else {
        sky__relation how = relation(f, v);
        if (how == SKY__DOMINATED) {
            result.outcome = SKY_FRONT_DOMINATED;
        } else {
            bool ok = f->kfront ? sky__kfront_insert(f->kfront, v, id, how, &f->removed)
                                : sky__stair_insert(&f->stair, v[0], v[1], id, &f->removed);
            if (!ok)
                return SKY_ENOMEM;
            result.outcome = SKY_FRONT_ADDED;
            result.removed = f->removed.n;
            f->stale = true;
        }
    }
    if (change)
        *change = result;
    return SKY_OK;
}

const uint64_t *sky_front_removed_ids(const sky_front *f)
{
    return f->removed.ids;
}

bool sky_front_is_dominated(const sky_front *f, const double *values)
{
    double v[SKY_OBJECTIVES_MAX];
    return to_minimise(f, values, v) && relation(f, v) == SKY__DOMINATED;
}

size_t sky_front_size(const sky_front *f)
{
    return f->kfront ? sky__kfront_size(f->kfront) : f->stair.size;
}

size_t sky_front_k(const sky_front *f)
{
    return f->k;
}

uint64_t sky_front_nan_count(const sky_front *f)
{
    return f->n_nan;
}

/* --- the view ----------------------------------------------------------------------------------
 */

typedef struct view_row {
    uint64_t id;
    uint32_t at; /* row in the unsorted values */
} view_row;

typedef struct view_order {
    const double *values;
    size_t k;
} view_order;

static int compare_rows(const void *left, const void *right, void *arg)
{
    const view_order *order = arg;
    const view_row *a = left, *b = right;
    const double *x = order->values + a->at * order->k, *y = order->values + b->at * order->k;
    for (size_t j = 0; j < order->k; j++)
        if (x[j] != y[j])
            return x[j] < y[j] ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

/* Sorts the n rows that begin at row `first` of the view among themselves. tmp: n rows of k. */
static void sort_view_rows(sky_front *f, size_t first, size_t n, view_row *rows, double *tmp)
{
    double *values = f->values + first * f->k;
    for (size_t i = 0; i < n; i++)
        rows[i] = (view_row){f->ids[first + i], (uint32_t)i};
    view_order order = {values, f->k};
    qsort_r(rows, n, sizeof *rows, compare_rows, &order);
    for (size_t i = 0; i < n; i++) {
        memcpy(tmp + i * f->k, values + rows[i].at * f->k, f->k * sizeof *tmp);
        f->ids[first + i] = rows[i].id;
    }
    memcpy(values, tmp, n * f->k * sizeof *tmp);
}

/* The staircase comes in order, but for the ids of equal points. */
static void dump_stair(sky_front *f)
{
    size_t n = 0;
    double v[2];
    uint64_t id;
    for (sky__stair_at at = {0, 0}; sky__stair_get(&f->stair, at, &v[0], &v[1], &id);
         sky__stair_next(&f->stair, &at), n++) {
        f->ids[n] = id;
        memcpy(f->values + n * f->k, v, f->k * sizeof *v);
    }
    assert(n == f->stair.size);
}

static bool equal_rows(const double *a, const double *b, size_t k)
{
    for (size_t j = 0; j < k; j++)
        if (a[j] != b[j])
            return false;
    return true;
}

static void sort_equal_points(sky_front *f, size_t n, view_row *rows, double *tmp)
{
    for (size_t i = 0, end; i < n; i = end) {
        const double *v = f->values + i * f->k;
        for (end = i + 1; end < n && equal_rows(v, f->values + end * f->k, f->k); end++)
            continue;
        if (end - i > 1)
            sort_view_rows(f, i, end - i, rows, tmp);
    }
}

static bool reserve_view(sky_front *f, size_t n)
{
    if (n <= f->cap)
        return true;
    size_t cap = n + n / 2;
    uint64_t *ids = realloc(f->ids, cap * sizeof *ids);
    if (!ids)
        return false;
    f->ids = ids;
    double *values = realloc(f->values, cap * f->k * sizeof *values);
    if (!values)
        return false;
    f->values = values;
    f->cap = cap;
    return true;
}

sky_err sky_front_look(sky_front *f, sky_front_view *out)
{
    size_t n = sky_front_size(f);
    if (f->stale && n > 0) {
        view_row *rows = malloc((n + 1) * sizeof *rows);
        double *tmp = malloc((n + 1) * f->k * sizeof *tmp);
        bool ok = rows && tmp && reserve_view(f, n);
        if (ok && f->kfront) {
            sky__kfront_dump(f->kfront, f->ids, f->values);
            sort_view_rows(f, 0, n, rows, tmp);
        } else if (ok) {
            dump_stair(f);
            sort_equal_points(f, n, rows, tmp);
        }
        free(rows);
        free(tmp);
        if (!ok)
            return SKY_ENOMEM;
        for (size_t i = 0; i < n * f->k; i++) /* 0 - x: a zero stays positive */
            f->values[i] = f->sign[i % f->k] < 0 ? 0 - f->values[i] : f->values[i];
        f->stale = false;
    }
    *out = (sky_front_view){.n = n, .k = f->k, .ids = f->ids, .values = f->values};
    return SKY_OK;
}
