/* What a job declares: its parameters and metrics. A plan carries a copy, so that coordinator and
 * store need to know no job. */
#ifndef SKY_BASE_DESCRIBE_H
#define SKY_BASE_DESCRIBE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/value.h"

typedef struct sky_param {
    const char *name;
    sky_type type;
    const char *unit;           /* "" if none */
    const char *doc;            /* one line */
    sky_value def;              /* default; absent: the sweep must give the parameter */
    double min, max;            /* inclusive range of a number; both 0: unlimited */
    const char *const *choices; /* NULL-terminated list of the allowed texts; NULL: any text */
} sky_param;

typedef enum sky_goal { SKY_NO_GOAL, SKY_MIN, SKY_MAX } sky_goal;

/* How far two evaluations of one trial may differ. */
typedef enum sky_metric_class {
    SKY_EXACT,     /* bit-identical on every worker */
    SKY_TOLERANCE, /* close: the order of floating-point sums may differ */
    SKY_MEASURED,  /* what that machine showed: a latency */
} sky_metric_class;

typedef struct sky_metric {
    const char *name;
    sky_type type; /* SKY_REAL, SKY_INT or SKY_TEXT */
    const char *unit;
    const char *doc;
    sky_goal goal; /* which way is better, if the job knows */
    sky_metric_class cls;
} sky_metric;

/* The data of a job, without its code. Strings are borrowed; see who made it for their lifetime. */
typedef struct sky_descriptor {
    const char *name;
    const char *version; /* results of different versions never mix in one sweep */
    const char *summary; /* one line */
    const char *source;  /* the paper or standard behind it; "" if none */
    const sky_param *params;
    size_t n_params;
    const sky_metric *metrics;
    size_t n_metrics;
    bool open; /* parameters and metrics come from the sweep file (the job `command`) */
} sky_descriptor;

const char *sky_goal_name(sky_goal goal);              /* "", "min", "max" */
const char *sky_metric_class_name(sky_metric_class c); /* "exact", "tolerance", "measured" */

enum {
    SKY_PARAMS_MAX = 256, /* SQLite's default column limit is 2,000; this leaves room for both */
    SKY_METRICS_MAX = 512,
    SKY_OBJECTIVES_MAX = 16, /* beyond a handful nearly every point is on the front anyway */
};

/* An SQL expression of a sweep: a derived metric has a name; `where` and constraints have "". */
typedef struct sky_expression {
    const char *name;
    const char *sql;
} sky_expression;

typedef struct sky_objective {
    const char *name; /* a metric, a derived metric or a numeric parameter */
    sky_goal goal;
} sky_objective;

/* Checks value against the parameter's type, range and choices; the message says what is
 * allowed. */
sky_err sky_param_check(const sky_param *p, const sky_value *v, sky_error *e);

#endif
