/* Single operations on operands of their own, which he_cost.c measures. */
#ifndef SKY_JOBS_HE_COST_INTERNAL_H
#define SKY_JOBS_HE_COST_INTERNAL_H

#include "jobs/he/he_conv_internal.h"
#include "jobs/he/he_cost.h"

/* Layers whose factors have few weights each and all in the near caches, and many from far. */
enum {
    SKY__HE_NEAR_EDGE = 16,
    SKY__HE_NEAR_CHANNELS = 64,
    SKY__HE_FAR_EDGE = 4,
    SKY__HE_FAR_CHANNELS = 512,
};

/* Rings of operands that operations take turns through: the larger the ring, the longer ago was each used. A ring
 * begins elsewhere in each pass: where memory is slow for a while, that is not every pass's. */
typedef struct sky__he_operands {
    const sky_he_ctx *ctx;
    sky_he_hoisting hoisting;
    uint32_t level;
    bool extended;
    sky_he_secret *secret;
    sky_he_public *public_key;
    sky_he_keys *keys;
    sky_he_eval *ev;
    sky_he_hoist *hoist;
    sky_he_ct **ct; /* [room_ct] at `level`, of the form that products have here */
    sky_he_pt **pt; /* [room_pt] */
    sky_he_ct *in;  /* not extended */
    sky_he_ct *out; /* of the products' form */
    sky_he_ct *sum;
    sky_he_ct *low; /* a rescaled one */
    sky_he_conv_plan *plan;
    double *weights, *slots;
    int32_t room_ct, room_pt, room_keys;
    int32_t ring_ct, ring_pt, ring_keys; /* how many of them are in use */
    int32_t base, next;                  /* where these begin; the operand's turn */
    int32_t dot;                         /* products of one dot */
} sky__he_operands;

typedef enum sky__he_op {
    SKY__HE_OP_NONE,
    SKY__HE_OP_HOIST,   /* prepares rotations of an input */
    SKY__HE_OP_FULL,    /* a rotation of its own */
    SKY__HE_OP_HOISTED, /* one of a hoisted input; a full one without hoisting */
    SKY__HE_OP_GIANT,   /* double hoisting: a rotation of an extended sum, added */
    SKY__HE_OP_ZERO,    /* double hoisting: an extended sum begun */
    SKY__HE_OP_COPY,
    SKY__HE_OP_DOT, /* `dot` products, added */
    SKY__HE_OP_ADD,
    SKY__HE_OP_RESCALE,     /* with double hoisting of an extended sum */
    SKY__HE_OP_RAISE,       /* double hoisting: an input made extended */
    SKY__HE_OP_TRANSFORM,   /* slots into a factor */
    SKY__HE_OP_TRANSFORMS,  /* `dot` of these */
    SKY__HE_OP_ENCODE,      /* weights of the plan into a factor */
    SKY__HE_OP_ENCODE_MASK, /* a mask of the plan into a factor */
} sky__he_op;

/* w: zeroed but for ctx, hoisting, level and extended. The largest rings of ciphertexts and of keys take far_bytes. After
 * an error sky__he_operands_free() too, which accepts what is half made. */
sky_err sky__he_operands_new(sky__he_operands *w, uint64_t far_bytes, sky_error *e);
void sky__he_operands_free(sky__he_operands *w);

/* The plan that factors are encoded for: a layer of the packing that fills a ciphertext, its edge halved until it fits. */
sky_err sky__he_operands_plan(sky__he_operands *w, sky_he_packing packing, int32_t edge,
                              int32_t most_channels, sky_error *e);

/* An operation, once, on the next operands of the rings. */
sky_err sky__he_operate(sky__he_operands *w, sky__he_op op, sky_error *e);

/* How many operands of `each` bytes a ring has: 1 to `most`. */
int32_t sky__he_ring_of(uint64_t bytes, size_t each, int32_t most);

#endif
