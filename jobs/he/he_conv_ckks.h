/* Convolutions on CKKS ciphertexts: keys for one plan, and runs of its program (he_conv.h). */
#ifndef SKY_JOBS_HE_CONV_CKKS_H
#define SKY_JOBS_HE_CONV_CKKS_H

#include "jobs/he/he.h"
#include "jobs/he/he_conv.h"

/* How much the rotations of one input share. */
typedef enum sky_he_hoisting {
    SKY_HE_HOISTING_NONE,   /* each is a full key switch */
    SKY_HE_HOISTING_SINGLE, /* one decomposition for all */
    SKY_HE_HOISTING_DOUBLE, /* and one division by P for each sum of products */
    SKY_HE_HOISTINGS,
} sky_he_hoisting;

extern const char *const sky_he_hoisting_names[SKY_HE_HOISTINGS + 1];

/* Zero-initialise: no hoisting, factors encoded as they are needed. */
typedef struct sky_he_conv_ckks_options {
    sky_he_hoisting hoisting;
    uint64_t cache_bytes; /* factors are encoded beforehand and kept while they fit */
    bool floors;          /* remember the least time of each operation over all runs */
} sky_he_conv_ckks_options;

/* Where the time of a program goes. */
typedef enum sky_he_part {
    SKY_HE_PART_HOIST,    /* decompositions that rotations share */
    SKY_HE_PART_HOISTED,  /* rotations that share one; without hoisting, rotations of inputs */
    SKY_HE_PART_FULL,     /* rotations of their own: giant steps, folds */
    SKY_HE_PART_PRODUCTS, /* with plaintext factors, and their sums */
    SKY_HE_PART_ENCODE,   /* factors that were not kept */
    SKY_HE_PART_REST,     /* rescales, divisions by P, other additions */
    SKY_HE_PARTS,
} sky_he_part;

/* "hoist", "hoisted", "full", ... */
extern const char *const sky_he_part_names[SKY_HE_PARTS + 1];

/* What a run took, in seconds of this thread's processor time. */
typedef struct sky_he_conv_times {
    double total_s;              /* the program, from encrypted inputs to encrypted outputs */
    double part_s[SKY_HE_PARTS]; /* of it */
    double encrypt_s, decrypt_s; /* beside it */
} sky_he_conv_times;

typedef struct sky_he_conv_session sky_he_conv_session;

/* Makes a secret, and Galois keys for exactly the plan's rotations, each at the level of its first use.
 * ctx, plan and weights are borrowed while the session lives. The plan's slots must be the context's, and
 * there must be more data primes than the plan is deep. Free with sky_he_conv_session_free(). */
sky_err sky_he_conv_session_new(sky_he_conv_session **out, const sky_he_ctx *ctx,
                                const sky_he_conv_plan *plan, const double *weights,
                                const sky_he_conv_ckks_options *o, sky_error *e);
void sky_he_conv_session_free(sky_he_conv_session *s);

/* Encrypts x, plays the program, decrypts y (shapes in he_conv.h). times may be NULL. */
sky_err sky_he_conv_session_run(sky_he_conv_session *s, const double *x, double *y,
                                sky_he_conv_times *times, sky_error *e);

/* With `floors`: the least time of each operation over the runs so far, summed. A program takes seconds and
 * never meets a quiet machine for all of them; each of its operations does, now and then. */
sky_he_conv_times sky_he_conv_session_floor(const sky_he_conv_session *s);

uint64_t sky_he_conv_session_key_bytes(const sky_he_conv_session *s);
/* Factors that are kept encoded. */
int64_t sky_he_conv_session_cached(const sky_he_conv_session *s);
sky_he_counts sky_he_conv_session_counts(const sky_he_conv_session *s); /* of the last run */

/* Seconds of this thread's processor time. */
double sky_he_cpu_seconds(void);

#endif
