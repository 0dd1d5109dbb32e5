/* One layer as the jobs he_conv and he_network evaluate it: weights, pruning, plan, counts; then times by
 * the cost model, or a real encrypted run. */
#ifndef SKY_JOBS_HE_LAYER_H
#define SKY_JOBS_HE_LAYER_H

#include "jobs/he/he_conv_ckks.h"
#include "jobs/he/he_cost.h"
#include "jobs/he/he_prune.h"

typedef struct sky_he_layer_options {
    sky_he_conv_options conv; /* keep is ignored */
    sky_he_group group;
    double
        kept; /* part of what the groups can save that is kept: 1 prunes nothing, 0 all that costs */
    uint64_t weight_seed;
    /* If keys, ciphertexts and workspace would take more, steps are composed (sky_he_conv_options): far fewer
     * keys. 0: no limit, and params are not looked at. */
    uint64_t memory_bytes_max;
    sky_he_params params;
} sky_he_layer_options;

typedef struct sky_he_layer {
    sky_he_conv_plan *plan;    /* after pruning */
    sky_he_conv_plan *whole;   /* before it; NULL if nothing is pruned */
    double *weights;           /* pruned ones zero; NULL if nobody needs them */
    sky_he_conv_counts before; /* the same packing with all weights */
    sky_he_conv_counts counts;
    int64_t weights_kept;
    double energy_kept; /* part of the sum of squares */
} sky_he_layer;

/* with_weights: also where nothing is pruned (for a real run). Free with sky_he_layer_free(), which accepts
 * a zeroed layer. SKY_ELIMIT: more memory than the limit, with composed steps too; and as
 * sky_he_conv_plan_create(). */
sky_err sky_he_layer_make(sky_he_layer *out, const sky_he_conv_shape *shape,
                          const sky_he_layer_options *o, bool with_weights, sky_error *e);
void sky_he_layer_free(sky_he_layer *l);
/* Once nothing runs it any more. */
void sky_he_layer_drop_weights(sky_he_layer *l);

/* Bytes of Galois keys, each at the level of its first use: k rescales below n_data. */
uint64_t sky_he_layer_key_bytes(const sky_he_conv_counts *c, const sky_he_params *p);
/* Keys, ciphertexts and workspace of a run, without kept factors and weights. */
uint64_t sky_he_layer_memory_bytes(const sky_he_conv_counts *c, const sky_he_params *p);

/* An upper bound of what calibrating a cost model for all depths takes, with its context. */
uint64_t sky_he_calibration_bytes(const sky_he_params *p);

/* A context and a cost model of these parameters, made once and kept while the process lives and the
 * parameters stay the same. */
sky_err sky_he_shared_context(const sky_he_ctx **out, const sky_he_params *p, sky_error *e);
sky_err sky_he_shared_cost(const sky_he_cost_model **out, const sky_he_params *p,
                           const sky_he_cost_options *o, sky_error *e);
/* Spreads the model's passes over real runs, so that both meet the same moods of the machine: begin() before some of
 * them, watch() before each and after the last, and then the model. It is of all passes since begin(), or of the last
 * SKY_HE_COST_PASSES if these are fewer. A fifth of the time at most, after the first eight. */
void sky_he_shared_cost_begin(void);
sky_err sky_he_shared_cost_watch(const sky_he_params *p, const sky_he_cost_options *o,
                                 sky_error *e);

/* The cost model's time of the layer, and of the unpruned one. cache_bytes as in sky_he_conv_ckks_options. */
typedef struct sky_he_layer_times {
    sky_he_cost_prediction pruned, whole;
} sky_he_layer_times;
sky_err sky_he_layer_predict(sky_he_layer_times *out, const sky_he_layer *l,
                             const sky_he_cost_model *m, uint64_t cache_bytes, sky_error *e);

typedef struct sky_he_layer_run {
    sky_he_conv_times times; /* of the fastest run */
    double *run_s;           /* NULL, or room for the time of each run: the caller's */
    /* NULL, or called before run k, and after the last with k = runs: an error ends the runs. */
    sky_err (*between)(void *user, int k, sky_error *e);
    void *user;
    sky_he_conv_times floor; /* with o->floors: sky_he_conv_session_floor() */
    int64_t cached;
    double error_max; /* over all outputs, against the plain convolution */
    double value_max; /* the largest output */
} sky_he_layer_run;

/* Encrypts a seeded image with values in [-1, 1], runs the layer `runs` times and compares. The fields of
 * *out that are the caller's, run_s, between and user, are read. */
sky_err sky_he_layer_run_real(sky_he_layer_run *out, const sky_he_layer *l, const sky_he_ctx *ctx,
                              const sky_he_conv_ckks_options *o, uint64_t image_seed, int runs,
                              sky_error *e);

/* SKY_EPERM (128 bits of security are not reached), SKY_EINVAL, SKY_ELIMIT: what sky_he_ctx_new() would say,
 * without making anything. */
sky_err sky_he_layer_check_params(const sky_he_params *p, int32_t depth, sky_error *e);

#endif
