/* Fronts of one sweep, worked out for an answer. */
#ifndef SKY_DASH_FRONTOF_H
#define SKY_DASH_FRONTOF_H

#include "dash/api.h"

typedef struct sky__front_answer {
    size_t n, k, considered, without_value, infeasible;
    bool by_point;
    uint64_t *trials;  /* n, best first in the first objective */
    double *values;    /* n rows of k */
    double *sd;        /* by point: n rows of k, else NULL */
    uint32_t *repeats; /* by point: n, else NULL */
} sky__front_answer;

typedef struct sky__front_ask {
    const sky_objective *objectives;
    size_t k;
    bool infeasible_too;
} sky__front_ask;

/* From the columns in memory: each trial for itself. */
sky_err sky__front_of_trials(const sky__resident *s, const sky__front_ask *ask,
                             sky__front_answer *f, sky_error *e);
/* Over the means of points: the store's own way. */
sky_err sky__front_of_points(sky__reader *t, const sky__resident *s, const sky__front_ask *ask,
                             sky__front_answer *f, sky_error *e);
void sky__front_free(sky__front_answer *f);

#endif
