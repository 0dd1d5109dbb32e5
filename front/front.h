/* Pareto fronts: dominance, the front of a table, a front that grows, hypervolume and knee.
 *
 * A point has k objectives, each with a goal (SKY_MIN or SKY_MAX). Point a dominates b if it is at
 * least as good in every objective and better in one. The front is the set of points that no point
 * dominates; hence points with equal objectives are on it together. Infinities are values like any
 * other; a point with a NaN stays off the front and is only counted. All values are doubles: what
 * is on a front is never decided in float.
 *
 * The module is pure: no input, output, clock or threads of its own. Objects are not
 * thread-safe. */
#ifndef SKY_FRONT_FRONT_H
#define SKY_FRONT_FRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/describe.h"
#include "base/err.h"

/* True if a dominates b. False if either holds a NaN. */
bool sky_dominates(const double *a, const double *b, size_t k, const sky_goal *goals);

/* The front of n points at once. columns[j][i] is objective j of point i. on_front[i] becomes 1 or
 * 0. n_front and n_nan (points left out for a NaN) may be NULL. k from 1 to SKY_OBJECTIVES_MAX, n
 * below 2^32. O(n log n) for k <= 3; see batch.c. SKY_ENOMEM leaves on_front undefined; SKY_ELIMIT:
 * n is too large. */
sky_err sky_front_batch(const double *const *columns, size_t n, size_t k, const sky_goal *goals,
                        uint8_t *on_front, size_t *n_front, size_t *n_nan);

/* A front that grows point by point. */
typedef struct sky_front sky_front;

typedef enum sky_front_outcome {
    SKY_FRONT_ADDED,     /* the point is on the front now */
    SKY_FRONT_DOMINATED, /* a point of the front dominates it: nothing changed */
    SKY_FRONT_NAN,       /* a NaN: counted, nothing changed */
} sky_front_outcome;

typedef struct sky_front_change {
    sky_front_outcome outcome;
    size_t removed; /* points that left the front because the new one dominates them */
} sky_front_change;

/* What is on the front, best value of the first objective first (then of the second, ..., then by
 * id). Valid until the next insert. values is row-major, n rows of k, as they were inserted (but a
 * zero may have lost its sign). */
typedef struct sky_front_view {
    size_t n, k;
    const uint64_t *ids;
    const double *values;
} sky_front_view;

/* NULL when out of memory. Every goal is SKY_MIN or SKY_MAX; goals is copied. */
sky_front *sky_front_new(size_t k, const sky_goal *goals);
void sky_front_free(sky_front *f); /* accepts NULL */
void sky_front_clear(sky_front *f);

/* Offers a point. The id is the caller's (a trial number) and may repeat: the front does not look
 * at it. change may be NULL. SKY_ENOMEM: the front is unchanged. Amortised O(log n) for k <= 2. */
sky_err sky_front_insert(sky_front *f, uint64_t id, const double *values, sky_front_change *change);
/* The ids that the last insert removed, change.removed of them; valid until the next insert. */
const uint64_t *sky_front_removed_ids(const sky_front *f);
/* Whether a point of the front dominates values: what insert would say, without inserting. */
bool sky_front_is_dominated(const sky_front *f, const double *values);

size_t sky_front_size(const sky_front *f);
size_t sky_front_k(const sky_front *f);
uint64_t sky_front_nan_count(const sky_front *f);
/* O(size) after a change, free while nothing changed. SKY_ENOMEM leaves *out untouched. */
sky_err sky_front_look(sky_front *f, sky_front_view *out);

/* The volume dominated by n points (row-major, n rows of k) and bounded by the reference point:
 * exact, for any set (dominated and equal points add nothing; a point that is not better than the
 * reference in every objective adds nothing; a NaN row adds nothing). O(n log n) for k <= 3, O(n^2
 * log n) for 4, more beyond. SKY_EINVAL: a reference value is not finite; SKY_ENOMEM. */
sky_err sky_hypervolume(const double *values, size_t n, size_t k, const sky_goal *goals,
                        const double *reference, double *out);

/* The knee: the point of a front that bulges farthest towards the ideal from the hyperplane through
 * the extreme points, objectives scaled to the front's extent. False if there is none: fewer than 3
 * finite points, an objective without extent, or no bulge. The first of several wins. */
bool sky_knee(const double *values, size_t n, size_t k, const sky_goal *goals, size_t *index);

#endif
