/* What a convolution program takes on this machine. Single operations are measured here and now (never a layer);
 * a program's time is the sum over its operations, which a back end plays in their order (he_predict.c).
 *
 * An operation on data that were just used is faster than one whose operands come from memory, and most of a
 * program streams: keys, rotated inputs, encoded weights. So the model knows, for each kind of operand, how
 * much longer a byte of it takes after so many other bytes have passed through the caches (its reuse
 * distance); he_predict.c follows each operand. */
#ifndef SKY_JOBS_HE_COST_H
#define SKY_JOBS_HE_COST_H

#include "jobs/he/he_conv_ckks.h"

enum {
    SKY_HE_COST_POINTS = 5,
    SKY_HE_COST_DOTS = 4,             /* runs of 1, 2, 4 and 8 products */
    SKY_HE_COST_PASSES = 15,          /* of a calibration */
    SKY_HE_COST_PASSES_MAX = 63,      /* that can count */
    SKY_HE_COST_FAR_BYTES = 64 << 20, /* by default: beyond most caches */
    /* Encoded weights, of which a layer has hundreds of MB: so many times as far. */
    SKY_HE_COST_FACTORS_FAR = 4,
};
_Static_assert(1 << (SKY_HE_COST_DOTS - 1) == SKY_HE_DOT_MAX, "runs up to the longest");

/* Seconds of an operation by the reuse distance of one operand, in bytes, ascending; cached at the first. */
typedef struct sky_he_cost_curve {
    double distance[SKY_HE_COST_POINTS];
    double op_s[SKY_HE_COST_POINTS];
    double op_bytes; /* of that operand, in one operation */
} sky_he_cost_curve;

typedef enum sky_he_operand {
    SKY_HE_OPERAND_KEY,
    SKY_HE_OPERAND_SOURCE,      /* a ciphertext that is read */
    SKY_HE_OPERAND_FACTOR,      /* a plaintext of a long run of products */
    SKY_HE_OPERAND_LONE_FACTOR, /* of a run of one: no other stream beside it */
    SKY_HE_OPERAND_SUM,         /* a ciphertext that is written or added to */
    SKY_HE_OPERANDS,
} sky_he_operand;

/* Seconds of single operations whose operands are cached, at one level; and bytes of their operands. */
typedef struct sky_he_cost_level {
    double full_s;                  /* a rotation of its own */
    double dot_s[SKY_HE_COST_DOTS]; /* 1, 2, 4, ... products of distinct operands into one sum */
    double encode_s;                /* the transform of a factor's slots */
    double add_s, rescale_s;
    size_t ct_bytes, pt_bytes, key_bytes;
} sky_he_cost_level;

/* Seconds of a term whose factor has so many weights, of an array of so many bytes. */
typedef struct sky_he_cost_weights {
    double term_s, per_factor, bytes;
} sky_he_cost_weights;

typedef struct sky_he_cost_model {
    sky_he_hoisting hoisting;
    sky_he_cost_level at[SKY_HE_DEPTH_MAX + 1]; /* [k]: after k rescales, not extended */
    /* Inputs' level, and extended with double hoisting. */
    sky_he_cost_level wide;
    double hoist_s, hoisted_s; /* preparing an input; a rotation of it, full without hoisting */
    double raise_s;            /* double hoisting: an input made extended */
    double giant_s;            /* an extended sum rotated into a row */
    double zero_s;             /* and a row begun */
    double copy_s;
    size_t hoist_bytes;
    /* A factor of the inputs' level, its slots from the weights and encode_s: a term, a term of `multiplexed`, and
     * a selecting mask. */
    sky_he_cost_weights near_term, far_term; /* of few weights, in the caches; and of many */
    double copy_term_s, mask_s;
    /* What a product of a run of one, and of a longest run, takes beyond a cached one just after the run's factors were
     * encoded. */
    double fresh_alone_s, fresh_s;
    sky_he_cost_curve beyond[SKY_HE_OPERANDS];
    /* What a longest run of products takes beyond either alone if both its ciphertexts and its factors come from far: they
     * share the way from memory. */
    double crowd_s;
} sky_he_cost_model;

typedef struct sky_he_cost_options {
    sky_he_hoisting hoisting;
    int32_t depth;      /* rescales to measure after: 0 to SKY_HE_DEPTH_MAX */
    int32_t measure_us; /* processor time for each operation in a pass; 0: 3,000 */
    uint64_t
        far_bytes; /* of the largest ring of keys and of ciphertexts; 0: SKY_HE_COST_FAR_BYTES */
} sky_he_cost_options;

/* Single operations ready to be measured, in passes over all of them, so that a slow tenth of a second meets each
 * of them once. It keeps up to some hundred MB of operands; the context has to outlive it. */
typedef struct sky_he_cost_bench sky_he_cost_bench;
sky_err sky_he_cost_bench_new(sky_he_cost_bench **out, const sky_he_ctx *ctx,
                              const sky_he_cost_options *o, sky_error *e);
void sky_he_cost_bench_free(sky_he_cost_bench *b);

/* The mean of n > 0 times, which it sorts, without a tenth on either side (below ten: of all). A program meets a
 * machine's slow and fast spells in turn, which a median would not add up. */
double sky_he_middle_mean(double *x, uint32_t n);

/* Some tenths of a second. The model is then of the `last` passes, this one and up to SKY_HE_COST_PASSES_MAX - 1
 * before it: the middle mean of an operation's times. After an error it can only be freed. */
sky_err sky_he_cost_bench_pass(sky_he_cost_bench *b, uint32_t last, sky_error *e);
uint32_t sky_he_cost_bench_passes(const sky_he_cost_bench *b);
/* After one pass at least; valid until the next. */
const sky_he_cost_model *sky_he_cost_bench_model(const sky_he_cost_bench *b);

/* Such passes one after another, some ten seconds in all. */
sky_err sky_he_cost_calibrate(sky_he_cost_model *out, const sky_he_ctx *ctx,
                              const sky_he_cost_options *o, sky_error *e);

/* Seconds of a run of n products whose operands are cached. */
double sky_he_cost_dot(const sky_he_cost_level *l, int32_t n);

/* Of a plan: one weight for each output channel of a ciphertext. Without a time. */
sky_he_cost_weights sky_he_cost_weights_of(const sky_he_conv_plan *plan);

/* Seconds of a term of a plan, but of `multiplexed`: how far its weights are grows with the logarithm of their
 * array's bytes. */
double sky_he_cost_term(const sky_he_cost_model *m, const sky_he_conv_plan *plan);

/* Seconds that an operand of so many bytes takes beyond a cached one. */
double sky_he_cost_beyond(const sky_he_cost_curve *c, double distance, size_t bytes);

typedef struct sky_he_cost_prediction {
    double total_s, part_s[SKY_HE_PARTS];
} sky_he_cost_prediction;

/* A run of the plan's program in a session that ran it before. cache_bytes as in sky_he_conv_ckks_options. */
sky_err sky_he_cost_predict(sky_he_cost_prediction *out, const sky_he_cost_model *m,
                            const sky_he_conv_plan *plan, uint64_t cache_bytes, sky_error *e);

#endif
