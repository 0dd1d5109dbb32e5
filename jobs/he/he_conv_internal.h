/* What only jobs/he/ and its tests use of the packings. */
#ifndef SKY_JOBS_HE_CONV_INTERNAL_H
#define SKY_JOBS_HE_CONV_INTERNAL_H

#include "jobs/he/he_conv.h"

/* Calls, and returns what is not SKY_OK. */
#define TRY(call)                                                                                  \
    do {                                                                                           \
        sky_err err_ = (call);                                                                     \
        if (err_ != SKY_OK)                                                                        \
            return err_;                                                                           \
    } while (0)

/* sky_he_conv_term() for the taps of one (o, i) in turn: t is the last tap's, and becomes this one's. */
static inline void sky__he_term_of_tap(const sky_he_conv_plan *plan, int32_t o, int32_t i,
                                       int32_t tap, sky_he_term *t)
{
    if (tap == 0 || plan->packing == SKY_HE_TOEPLITZ)
        *t = sky_he_conv_term(plan, o, i, tap);
    else
        t->tap = tap;
}

/* Which rotations a plan's terms ask for. */
typedef struct sky__he_usage {
    int32_t n_giants;      /* diagonals over split, rounded up */
    uint8_t *baby;         /* [n_in][split][n_taps] */
    uint8_t *giant;        /* [n_rows][n_in or 1][n_giants] */
    int64_t n_baby_used;   /* step zero included */
    int64_t n_giant_used;  /* step zero included */
    int64_t hoisted, full; /* rotations: the same without steps of zero */
} sky__he_usage;

/* For split b instead of the plan's own. SKY_ENOMEM. */
sky_err sky__he_usage_of(const sky_he_conv_plan *plan, int32_t split, sky__he_usage *out);
void sky__he_usage_free(sky__he_usage *u);

/* Fills layouts, steps and counts of a packing; shape, packing and slots are set. */
sky_err sky__he_pack_channels(sky_he_conv_plan *plan, sky_error *e);
sky_err sky__he_pack_toeplitz(sky_he_conv_plan *plan, int32_t gap, sky_error *e);
sky_err sky__he_pack_dense(sky_he_conv_plan *plan, sky_error *e);
sky_err sky__he_pack_multiplexed(sky_he_conv_plan *plan, int32_t gap, sky_error *e);

/* The smallest power of two that is at least x. */
int32_t sky__he_pow2_ceil(int32_t x);
int32_t sky__he_ceil_div(int32_t a, int32_t b);
/* Rows and columns that a tap reaches from the output pixel's corner. */
void sky__he_tap_offset(const sky_he_conv_shape *s, int32_t tap, int32_t *dy, int32_t *dx);
/* The slots between input and output at a tap, for an input of that gap; tap_step[n_taps]. */
void sky__he_tap_steps(sky_he_conv_plan *plan, int32_t gap);
/* A block of pitch_h x pitch_w slots for input and output, each edge a power of two. SKY_EINVAL if it is
 * larger than a ciphertext. */
sky_err sky__he_footprint(const sky_he_conv_plan *plan, int32_t gap, int32_t *pitch_h,
                          int32_t *pitch_w, sky_error *e);

#endif
