/* What he_conv_ckks.c, which plays programs, and he_conv_session.c, which makes what they need, share. */
#ifndef SKY_JOBS_HE_CONV_CKKS_INTERNAL_H
#define SKY_JOBS_HE_CONV_CKKS_INTERNAL_H

#include "jobs/he/he_conv_ckks.h"
#include "jobs/he/he_conv_internal.h"

/* The least time of one operation over all runs; a program does the same ones in the same order each time. */
typedef struct op_floor {
    double s;
    sky_he_part part;
} op_floor;

typedef struct ct_register {
    sky_he_ct *ct; /* NULL: empty */
    int32_t
        fold_step; /* not 0: an extended ciphertext that is still to be rotated, when it is added */
} ct_register;

struct sky_he_conv_session {
    const sky_he_ctx *ctx;
    const sky_he_conv_plan *plan;
    const double *weights;
    sky_he_conv_ckks_options o;
    uint32_t level; /* of the inputs */

    sky_he_secret *secret;
    sky_he_public *public_key;
    sky_he_keys *keys[SKY_HE_DEPTH_MAX + 1]; /* of rotations first needed after k rescales */
    uint8_t *keys_of;                        /* [slots] which of them has a step */
    sky_he_eval *ev;
    sky_he_hoist *hoist;

    ct_register *reg;
    int32_t registers;
    sky_he_ct **raised; /* [registers] inputs in extended form */
    sky_he_ct **spare;  /* ciphertexts that nobody uses now */
    int32_t n_spare, cap_spare;

    sky_he_pt **cache; /* [factors] or NULL */
    int64_t n_cached;
    double *slots;

    double since, part_s[SKY_HE_PARTS]; /* the stopwatch */
    op_floor *floor;                    /* [n_floors], room for cap_floors */
    size_t op, n_floors, cap_floors;

    /* products that wait to be added to reg[acc] */
    int32_t acc, n_pending;
    const sky_he_ct *source[SKY_HE_DOT_MAX];
    const sky_he_pt *factor[SKY_HE_DOT_MAX];
    sky_he_pt *encoded[SKY_HE_DOT_MAX]; /* room for factors that are not kept */
};

typedef sky_he_conv_session session;

/* A ciphertext that nobody uses any more. */
void sky__he_session_give(sky_he_conv_session *s, sky_he_ct **ct);
sky_err sky__he_session_encode(sky_he_conv_session *s, sky_he_pt *out, const sky_he_factor *f,
                               sky_error *e);

static inline bool sky__he_is_double(const sky_he_conv_session *s)
{
    return s->o.hoisting == SKY_HE_HOISTING_DOUBLE;
}

#endif
