/* What a convolution program takes on this machine: counts times the times of single operations, which are
 * measured here and now. */
#ifndef SKY_JOBS_HE_COST_H
#define SKY_JOBS_HE_COST_H

#include "jobs/he/he_conv_ckks.h"

/* Seconds of one operation, [k] after k rescales. */
typedef struct sky_he_cost_model {
    sky_he_hoisting hoisting;
    bool keeps_factors;                     /* as measured: factors come from memory */
    double hoist_s[SKY_HE_DEPTH_MAX + 1];   /* preparing an input */
    double hoisted_s[SKY_HE_DEPTH_MAX + 1]; /* a rotation of it */
    double full_s[SKY_HE_DEPTH_MAX + 1];    /* a rotation of its own */
    double giant_s;                         /* double hoisting: of an extended sum, into a row */
    double dot_s[SKY_HE_DEPTH_MAX + 1];     /* a run of products: begin and end */
    double product_s[SKY_HE_DEPTH_MAX + 1]; /* each product of it */
    double add_product_s[SKY_HE_DEPTH_MAX + 1]; /* adding a run to the sum */
    double add_s[SKY_HE_DEPTH_MAX + 1];
    double rescale_s[SKY_HE_DEPTH_MAX + 1];
    double raise_s;                        /* double hoisting: an input made extended */
    double encode_s[SKY_HE_DEPTH_MAX + 1]; /* a factor: its slots and their transform */
} sky_he_cost_model;

/* What the operations are measured with: where a working set is larger than a cache, they are slower. Each
 * is cut to a few times the size of a large cache. */
typedef struct sky_he_cost_options {
    sky_he_hoisting hoisting;
    int32_t depth;       /* rescales to measure after: 0 to SKY_HE_DEPTH_MAX */
    int32_t steps;       /* distinct keys in use; 0: many */
    int32_t ciphertexts; /* alive at once; 0: many */
    bool keeps_factors;  /* factors come from memory, not from the encoder */
    int32_t measure_us;  /* processor time for each operation; 0: 30,000 */
} sky_he_cost_options;

/* Measures single operations for about half a second. */
sky_err sky_he_cost_calibrate(sky_he_cost_model *out, const sky_he_ctx *ctx,
                              const sky_he_cost_options *o, sky_error *e);

typedef struct sky_he_cost_prediction {
    double total_s, rotations_s, products_s, encode_s, rest_s;
} sky_he_cost_prediction;

/* cached: how many of the factors are encoded beforehand. */
sky_he_cost_prediction sky_he_cost_predict(const sky_he_cost_model *m, const sky_he_conv_counts *c,
                                           int64_t cached);

#endif
