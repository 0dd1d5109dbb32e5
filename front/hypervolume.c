/* The exact hypervolume by slicing.
 *
 * With the points in order of the last objective, best first, the volume is a sum over points: what
 * the point adds in the other k-1 objectives, times its depth from its last objective to the
 * reference. What it adds is the box up to the reference less the part that earlier points cover;
 * that part is the (k-1)-dimensional volume of the earlier points, each limited to the box. This is
 * the recursion of WFG (While, Bradstreet and Barone, "A Fast Way of Calculating Exact
 * Hypervolumes", IEEE Transactions on Evolutionary Computation 16, 2012) in the order that needs no
 * further sorting: the earlier points are kept sorted by objective k-1, and limiting them keeps
 * that order.
 *
 * In three objectives the earlier points form a staircase, and what a point adds to its area is
 * read off the steps that it covers (Beume, Fonseca, Lopez-Ibanez, Paquete and Vahrenhold, "On the
 * Complexity of Computing the Hypervolume Indicator", same journal 13, 2009): O(n log n). */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "front/front_internal.h"

/* Points of one level, all better than the reference; sorted by the last objective. */
typedef struct level {
    double *points;    /* n rows of k */
    uint32_t *earlier; /* rows already seen and not covered, sorted by objective k-2 */
} level;

typedef struct work {
    const double *reference;
    level levels[SKY_OBJECTIVES_MAX + 1]; /* by k; from 3 up to the k of the call */
    sky__stair stair;
    bool failed;
} work;

static double volume_1(const double *points, size_t n, double reference)
{
    double best = reference;
    for (size_t i = 0; i < n; i++)
        best = points[i] < best ? points[i] : best;
    return reference - best;
}

static double volume_2(const double *points, size_t n, const double *reference)
{
    double best_x = reference[0], area = 0;
    for (size_t i = 0; i < n; i++) {
        const double *p = points + i * 2;
        if (p[0] >= best_x)
            continue;
        area += (best_x - p[0]) * (reference[1] - p[1]);
        best_x = p[0];
    }
    return area;
}

/* What (x, y), which no step weakly dominates, adds to the area under the staircase. */
static double area_added(const sky__stair *s, double x, double y, const double *reference)
{
    double area = 0, from_x = x, step_x, step_y;
    double height = reference[1]; /* of the staircase at from_x */
    double before;
    if (sky__stair_before(s, x, &before))
        height = before;
    sky__stair_at at = sky__stair_lower(s, x);
    for (; sky__stair_get(s, at, &step_x, &step_y, NULL); sky__stair_next(s, &at)) {
        area += (step_x - from_x) * (height - y);
        if (step_y <= y)
            return area;
        from_x = step_x;
        height = step_y;
    }
    return area + (reference[0] - from_x) * (height - y);
}

static double volume_3(work *w, const double *points, size_t n)
{
    sky__stair_clear(&w->stair);
    double volume = 0;
    for (size_t i = 0; i < n; i++) {
        const double *p = points + i * 3;
        if (sky__stair_relation(&w->stair, p[0], p[1]) != SKY__FREE)
            continue;
        volume += area_added(&w->stair, p[0], p[1], w->reference) * (w->reference[2] - p[2]);
        if (!sky__stair_insert(&w->stair, p[0], p[1], 0, NULL)) {
            w->failed = true;
            break;
        }
    }
    return volume;
}

static double box(const double *p, const double *reference, size_t k)
{
    double volume = 1;
    for (size_t j = 0; j < k; j++)
        volume *= reference[j] - p[j];
    return volume;
}

/* Limits the earlier points of level k to the box of p, as points of level k-1; false if one covers
 * the box wholly. */
static bool limit_earlier(work *w, size_t k, size_t n_earlier, const double *p)
{
    const level *from = &w->levels[k];
    double *to = w->levels[k - 1].points;
    for (size_t i = 0; i < n_earlier; i++) {
        const double *q = from->points + from->earlier[i] * k;
        bool covers = true;
        for (size_t j = 0; j < k - 1; j++) {
            covers &= q[j] <= p[j];
            to[i * (k - 1) + j] = q[j] > p[j] ? q[j] : p[j];
        }
        if (covers)
            return false;
    }
    return true;
}

/* Keeps those of n points (k objectives, sorted by the last) that none of the kept before weakly
 * dominates; a smaller set saves more in the recursion than this costs. */
static size_t drop_covered(double *points, size_t n, size_t k)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        const double *p = points + i * k;
        bool covered = false;
        for (size_t j = 0; j < kept && !covered; j++)
            covered = sky__weakly_dominates(points + j * k, p, k);
        if (!covered)
            memmove(points + kept++ * k, p, k * sizeof *p);
    }
    return kept;
}

/* Puts row among the earlier points of level k, in place of those that it covers. Returns how many
 * there are then. */
static size_t add_earlier(level *l, size_t k, size_t n_earlier, uint32_t row)
{
    const double *p = l->points + row * k;
    size_t kept = 0;
    for (size_t i = 0; i < n_earlier; i++)
        if (!sky__weakly_dominates(p, l->points + l->earlier[i] * k, k - 1))
            l->earlier[kept++] = l->earlier[i];
    size_t at = kept;
    for (; at > 0 && l->points[l->earlier[at - 1] * k + k - 2] > p[k - 2]; at--)
        l->earlier[at] = l->earlier[at - 1];
    l->earlier[at] = row;
    return kept + 1;
}

static double volume_k(work *w, size_t k, size_t n) /* of the points of level k */
{
    level *l = &w->levels[k];
    if (k == 3)
        return volume_3(w, l->points, n);
    double volume = 0;
    size_t n_earlier = 0;
    for (uint32_t row = 0; row < n && !w->failed; row++) {
        const double *p = l->points + row * k;
        if (!limit_earlier(w, k, n_earlier, p))
            continue;
        size_t n_limited = n_earlier;
        if (k > 4)
            n_limited = drop_covered(w->levels[k - 1].points, n_limited, k - 1);
        double added = box(p, w->reference, k - 1) - volume_k(w, k - 1, n_limited);
        volume += added * (w->reference[k - 1] - p[k - 1]);
        n_earlier = add_earlier(l, k, n_earlier, row);
    }
    return volume;
}

/* --- the call ----------------------------------------------------------------------------------
 */

/* Copies the rows that count, to be minimised. Returns how many; *infinite tells of one at -inf. */
static size_t copy_rows(double *to, const double *values, size_t n, size_t k, const sky_goal *goals,
                        const double *reference, bool *infinite)
{
    size_t kept = 0;
    *infinite = false;
    for (size_t i = 0; i < n; i++) {
        bool better = true, at_infinity = false;
        for (size_t j = 0; j < k; j++) {
            double x = sky__sign(goals[j]) * values[i * k + j];
            to[kept * k + j] = x;
            better &= x < reference[j]; /* never so for a NaN */
            at_infinity |= x == -INFINITY;
        }
        *infinite |= better && at_infinity;
        kept += better;
    }
    return kept;
}

static bool sort_rows(double *rows, size_t n, size_t k)
{
    bool ok = false;
    double *last = malloc((n + 1) * sizeof *last);
    uint32_t *order = malloc((n + 1) * sizeof *order);
    double *sorted = malloc((n + 1) * k * sizeof *sorted);
    if (!last || !order || !sorted)
        goto done;
    for (size_t i = 0; i < n; i++) {
        last[i] = rows[i * k + k - 1];
        order[i] = (uint32_t)i;
    }
    sky__column column = {last, 1};
    if (!sky__order_rows(&column, 1, order, n))
        goto done;
    for (size_t i = 0; i < n; i++)
        memcpy(sorted + i * k, rows + order[i] * k, k * sizeof *rows);
    if (n)
        memcpy(rows, sorted, n * k * sizeof *rows);
    ok = true;
done:
    free(last);
    free(order);
    free(sorted);
    return ok;
}

static double volume(work *w, size_t k, size_t n)
{
    const double *points = w->levels[k].points;
    return k == 1   ? volume_1(points, n, w->reference[0])
           : k == 2 ? volume_2(points, n, w->reference)
                    : volume_k(w, k, n);
}

sky_err sky_hypervolume(const double *values, size_t n, size_t k, const sky_goal *goals,
                        const double *reference, double *out)
{
    sky__assert_goals(k, goals);
    assert(k > 0);
    if (n > UINT32_MAX)
        return SKY_ELIMIT;
    sky_err err = SKY_ENOMEM;
    double turned[SKY_OBJECTIVES_MAX];
    for (size_t j = 0; j < k; j++) {
        if (!isfinite(reference[j]))
            return SKY_EINVAL;
        turned[j] = sky__sign(goals[j]) * reference[j];
    }
    work w = {.reference = turned};
    for (size_t i = k < 3 ? k : 3; i <= k; i++) {
        w.levels[i].points = malloc((n + 1) * i * sizeof(double));
        w.levels[i].earlier = malloc((n + 1) * sizeof(uint32_t));
        if (!w.levels[i].points || !w.levels[i].earlier)
            goto done;
    }
    bool infinite;
    size_t kept = copy_rows(w.levels[k].points, values, n, k, goals, turned, &infinite);
    if (!sort_rows(w.levels[k].points, kept, k))
        goto done;
    double result = infinite ? INFINITY : volume(&w, k, kept);
    if (w.failed)
        goto done;
    *out = result;
    err = SKY_OK;
done:
    for (size_t i = 0; i <= SKY_OBJECTIVES_MAX; i++) {
        free(w.levels[i].points);
        free(w.levels[i].earlier);
    }
    sky__stair_free(&w.stair);
    return err;
}
