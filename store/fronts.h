/* The Pareto front of a sweep, at once or while it grows.
 *
 * A sweep with repeats has its front over points: the means of each objective over the point's recorded
 * trials, with their standard deviation; `by_trial` takes each trial for itself. What is infeasible stays
 * off the front unless asked (a point is feasible if each of its recorded trials is), and so does what
 * lacks a value of an objective; both are counted. */
#ifndef SKY_STORE_FRONTS_H
#define SKY_STORE_FRONTS_H

#include "front/front.h"
#include "store/store.h"

typedef struct sky_fronts sky_fronts;

/* Zero-initialise; a zero field means its default. Borrowed until the call returns. */
typedef struct sky_fronts_options {
    const sky_objective *objectives; /* a goal of SKY_NO_GOAL takes the metric's own */
    size_t n_objectives;             /* 0 = the sweep's own */
    bool by_trial;
    bool infeasible; /* take infeasible ones too */
    const double
        *reference; /* of the hypervolume, a value for each objective; NULL: none is computed */
} sky_fronts_options;

typedef struct sky_fronts_view {
    size_t n, k;
    bool by_point;          /* ids are points and there are repeats; else ids are trials */
    const uint64_t *ids;    /* best first in the first objective */
    const uint64_t *trials; /* of each, one recorded trial (the lowest) that has its parameters */
    const double *values;   /* n rows of k: the objectives, or their means */
    const double
        *spread; /* n rows of k: sample standard deviations (NaN for one repeat); NULL: by trial */
    const uint32_t *repeats; /* of each, how many trials the mean is over; NULL: by trial */
    uint64_t considered;     /* trials or points: with a value for each objective, and feasible */
    uint64_t infeasible;     /* left out for a constraint; 0 where they are taken */
    uint64_t without_value;  /* left out for lack of an objective's value */
    const sky_objective *objectives;
    bool has_hypervolume, has_knee;
    double hypervolume;
    size_t knee; /* index of a row */
} sky_fronts_view;

/* SKY_ENOTFOUND: no such sweep. SKY_EINVAL: an objective that is no numeric column, has no goal, or comes
 * twice; no objectives at all; a reference that is not finite. The store is borrowed. Reads nothing yet. */
sky_err sky_fronts_open(sky_fronts **out, sky_store *s, const char *sweep,
                        const sky_fronts_options *o, sky_error *e);
void sky_fronts_close(sky_fronts *f); /* NULL is fine */
/* Takes in what was committed since the last call. *changed (may be NULL): is the view another one? A front
 * by trial grows, O(log n) for each new row and 2 objectives; one over points is computed anew. */
sky_err sky_fronts_refresh(sky_fronts *f, bool *changed, sky_error *e);
size_t sky_fronts_size(const sky_fronts *f); /* after the last refresh */
/* Valid until the next refresh. Hypervolume and knee are computed here. */
sky_err sky_fronts_view_get(sky_fronts *f, sky_fronts_view *out, sky_error *e);
const char *sky_fronts_sweep(const sky_fronts *f);
sky_store *sky_fronts_store(sky_fronts *f);

#endif
