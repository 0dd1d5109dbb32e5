/* The front of a whole table.
 *
 * The classic algorithm of Kung, Luccio and Preparata ("On finding the maxima of a set of vectors",
 * JACM 22, 1975): sort the points by the first objective, ties by the next ones; then nothing can
 * be dominated by what comes after it, and a point is dominated exactly if an earlier one is at
 * least as good in the other k-1 objectives. So a sweep needs only the front of what it has seen in
 * k-1 objectives: one number for k = 2, a staircase for k = 3 (together O(n log n)), the tree of
 * kfront.c beyond. For two objectives most points never reach the sort: a coarse histogram drops
 * those that some point of a better bin dominates. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "front/front_internal.h"

enum {
    BINS = 2048, /* doubles: 16 KiB, half of a usual first-level cache */
    SAMPLE = 512,
    PIVOTS = 8,
    PIVOT_GAIN_MIN = SAMPLE / 32, /* a pivot that drops fewer costs more than it saves */
};

typedef struct table {
    sky__column columns[SKY_OBJECTIVES_MAX];
    size_t k;
    uint32_t *rows; /* the candidates: no NaN, not yet ruled out */
    size_t n_rows;
} table;

/* --- pivots: points that dominate many -----------------------------------------------------------
 */

typedef struct pivots {
    double v[PIVOTS][SKY_OBJECTIVES_MAX];
    size_t n;
} pivots;

/* Better in every objective; rules out less than dominance does, with fewer comparisons. */
static bool beats(const double *a, const double *b, size_t k)
{
    for (size_t j = 0; j < k; j++)
        if (!(a[j] < b[j]))
            return false;
    return true;
}

/* Fills sample with rows of the table; a NaN in a row compares false everywhere: harmless. */
static void take_sample(const table *t, size_t n, double sample[SAMPLE][SKY_OBJECTIVES_MAX])
{
    for (size_t i = 0; i < SAMPLE; i++) {
        /* Hashed, not evenly spaced: tables of a grid are periodic. */
        uint32_t row = (uint32_t)(sky_hash_u64(n, i) % n);
        for (size_t j = 0; j < t->k; j++)
            sample[i][j] = sky__at(&t->columns[j], row);
    }
}

/* Greedily takes the sample's point that beats most of those that are left. */
static void choose_pivots(pivots *p, const table *t, size_t n)
{
    double sample[SAMPLE][SKY_OBJECTIVES_MAX];
    size_t left = SAMPLE;
    take_sample(t, n, sample);
    for (p->n = 0; p->n < PIVOTS; p->n++) {
        size_t best = 0, best_count = 0;
        for (size_t i = 0; i < left; i++) {
            size_t count = 0;
            for (size_t other = 0; other < left; other++)
                count += beats(sample[i], sample[other], t->k);
            if (count > best_count) {
                best = i;
                best_count = count;
            }
        }
        if (best_count < PIVOT_GAIN_MIN)
            return;
        double *pivot = p->v[p->n];
        memcpy(pivot, sample[best], sizeof sample[best]);
        size_t kept = 0;
        for (size_t i = 0; i < left; i++)
            if (!beats(pivot, sample[i], t->k))
                memmove(sample[kept++], sample[i], sizeof sample[i]);
        left = kept;
    }
}

/* Candidates are all rows without a NaN that no pivot beats. Returns the number of rows with one.
 */
static size_t take_candidates(table *t, size_t n)
{
    pivots p = {.n = 0};
    if (n > 4 * SAMPLE && t->k > 1)
        choose_pivots(&p, t, n);
    size_t n_nan = 0;
    for (size_t i = 0; i < n; i++) {
        double v[SKY_OBJECTIVES_MAX];
        bool ok = true;
        for (size_t j = 0; j < t->k; j++) {
            v[j] = sky__at(&t->columns[j], (uint32_t)i);
            ok &= v[j] == v[j];
        }
        n_nan += !ok;
        for (size_t at = 0; at < p.n && ok; at++)
            ok = !beats(p.v[at], v, t->k);
        t->rows[t->n_rows] = (uint32_t)i;
        t->n_rows += ok;
    }
    return n_nan;
}

/* --- two objectives: the histogram ------------------------------------------------------------ */

/* Bins of x: linear between low and high. Rising x never has a falling bin, whatever the rounding.
 */
typedef struct bins {
    double low, scale;
    double best_y[BINS + 1]; /* at first per bin; then of all better bins */
} bins;

static size_t bin_of(const bins *b, double x)
{
    double at = (x - b->low) * b->scale;
    return at < BINS ? (size_t)at : BINS; /* an infinite x has the last bin */
}

/* The range of the finite x; false if bins cannot help: no extent, or values of -inf. */
static bool set_bins(bins *b, const table *t)
{
    double low = INFINITY, high = -INFINITY;
    const sky__column *c = &t->columns[0];
    for (size_t i = 0; i < t->n_rows; i++) {
        double x = sky__at(c, t->rows[i]);
        low = x < low ? x : low;
        high = x > high && x < INFINITY ? x : high;
    }
    b->low = low;
    b->scale = BINS * (1 - 0x1p-20) / (high - low);
    return isfinite(low) && isfinite(high - low) && isfinite(b->scale) && b->scale > 0;
}

/* Drops the candidates with a better bin that holds an equal or better y. */
static void drop_by_bins(table *t)
{
    bins b;
    if (!set_bins(&b, t))
        return;
    for (size_t i = 0; i <= BINS; i++)
        b.best_y[i] = INFINITY;
    bool hit[BINS + 1] = {0};
    for (size_t i = 0; i < t->n_rows; i++) {
        size_t bin = bin_of(&b, sky__at(&t->columns[0], t->rows[i]));
        double y = sky__at(&t->columns[1], t->rows[i]);
        b.best_y[bin] = y < b.best_y[bin] ? y : b.best_y[bin];
        hit[bin] = true;
    }
    size_t first = 0; /* no bin is better than this one */
    while (!hit[first])
        first++;
    double best = INFINITY;
    for (size_t i = 0; i <= BINS; i++) {
        double own = b.best_y[i];
        b.best_y[i] = best;
        best = own < best ? own : best;
    }
    size_t kept = 0;
    for (size_t i = 0; i < t->n_rows; i++) {
        uint32_t row = t->rows[i];
        size_t bin = bin_of(&b, sky__at(&t->columns[0], row));
        t->rows[kept] = row;
        kept += bin == first || sky__at(&t->columns[1], row) < b.best_y[bin];
    }
    t->n_rows = kept;
}

/* --- sweeps over the sorted candidates ---------------------------------------------------------
 */

static bool same_point(const table *t, uint32_t a, uint32_t b)
{
    for (size_t j = 0; j < t->k; j++)
        if (t->columns[j].data[a] != t->columns[j].data[b])
            return false;
    return true;
}

static sky_err sweep_1(const table *t, uint8_t *on_front)
{
    double best = INFINITY;
    for (size_t i = 0; i < t->n_rows; i++) {
        double x = sky__at(&t->columns[0], t->rows[i]);
        best = x < best ? x : best;
    }
    for (size_t i = 0; i < t->n_rows; i++)
        on_front[t->rows[i]] = sky__at(&t->columns[0], t->rows[i]) == best;
    return SKY_OK;
}

static sky_err sweep_2(table *t, uint8_t *on_front)
{
    if (!sky__order_rows(t->columns, 2, t->rows, t->n_rows))
        return SKY_ENOMEM;
    double best_y = NAN;
    uint32_t last = 0; /* the last row that got on the front; its y is best_y */
    for (size_t i = 0; i < t->n_rows; i++) {
        uint32_t row = t->rows[i];
        double y = sky__at(&t->columns[1], row);
        if (y >= best_y && !(y == best_y && t->columns[0].data[row] == t->columns[0].data[last]))
            continue;
        best_y = y;
        last = row;
        on_front[row] = 1;
    }
    return SKY_OK;
}

static sky_err sweep_3(table *t, uint8_t *on_front)
{
    if (!sky__order_rows(t->columns, 3, t->rows, t->n_rows))
        return SKY_ENOMEM;
    sky_err err = SKY_OK;
    sky__stair stair = {0};
    for (size_t i = 0; i < t->n_rows; i++) {
        uint32_t row = t->rows[i];
        if (i > 0 && same_point(t, row, t->rows[i - 1])) {
            on_front[row] = on_front[t->rows[i - 1]];
            continue;
        }
        double y = sky__at(&t->columns[1], row), z = sky__at(&t->columns[2], row);
        double best_z;
        if (sky__stair_before(&stair, y, &best_z) && best_z <= z)
            continue;
        if (!sky__stair_insert(&stair, y, z, row, NULL)) {
            err = SKY_ENOMEM;
            break;
        }
        on_front[row] = 1;
    }
    sky__stair_free(&stair);
    return err;
}

static sky_err sweep_k(table *t, uint8_t *on_front)
{
    sky__kfront *seen = sky__kfront_new(t->k - 1);
    sky_err err =
        seen && sky__order_rows(t->columns, t->k, t->rows, t->n_rows) ? SKY_OK : SKY_ENOMEM;
    for (size_t i = 0; err == SKY_OK && i < t->n_rows; i++) {
        uint32_t row = t->rows[i];
        if (i > 0 && same_point(t, row, t->rows[i - 1])) {
            on_front[row] = on_front[t->rows[i - 1]];
            continue;
        }
        double v[SKY_OBJECTIVES_MAX];
        for (size_t j = 1; j < t->k; j++)
            v[j - 1] = sky__at(&t->columns[j], row);
        if (sky__kfront_relation(seen, v) != SKY__FREE)
            continue;
        if (!sky__kfront_insert(seen, v, row, SKY__FREE, NULL))
            err = SKY_ENOMEM;
        on_front[row] = 1;
    }
    sky__kfront_free(seen);
    return err;
}

sky_err sky_front_batch(const double *const *columns, size_t n, size_t k, const sky_goal *goals,
                        uint8_t *on_front, size_t *n_front, size_t *n_nan)
{
    sky__assert_goals(k, goals);
    if (n > UINT32_MAX)
        return SKY_ELIMIT;
    table t = {.k = k};
    for (size_t j = 0; j < k; j++)
        t.columns[j] = (sky__column){columns[j], sky__sign(goals[j])};
    /* One more than needed: take_candidates() writes before it knows whether it keeps. */
    t.rows = malloc((n + 1) * sizeof *t.rows);
    if (!t.rows)
        return SKY_ENOMEM;
    if (n)
        memset(on_front, 0, n);
    size_t rows_with_nan = take_candidates(&t, n);
    if (n_nan)
        *n_nan = rows_with_nan;
    if (k == 2 && t.n_rows > BINS)
        drop_by_bins(&t);
    sky_err err = k == 1   ? sweep_1(&t, on_front)
                  : k == 2 ? sweep_2(&t, on_front)
                  : k == 3 ? sweep_3(&t, on_front)
                           : sweep_k(&t, on_front);
    free(t.rows);
    if (err == SKY_OK && n_front) {
        size_t count = 0;
        for (size_t i = 0; i < n; i++)
            count += on_front[i];
        *n_front = count;
    }
    return err;
}
