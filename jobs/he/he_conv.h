/* Convolutions on encrypted images: packings, as programs over a handful of operations.
 *
 * A plan says where each value of an image sits in which ciphertext, and which rotations and plaintext
 * products compute the convolution. It is pure: it knows shapes and which weights are kept, no weights
 * and no keys. sky_he_conv_run() plays its program on a back end (sky_he_ops): one that counts
 * (he_counts.c), one that computes on plain vectors of slots (he_slots.c, the oracle), and CKKS
 * (he_conv_ckks.c).
 *
 * Every packing here but `multiplexed` is one formula. With x_q the input ciphertexts, y_p the outputs, d a
 * diagonal, tau a tap of the kernel, and Rot(x, t)[r] = x[r + t]:
 *
 *   y_p = sum_g Rot( sum_q sum_{j < b} sum_tau Rot(x_q, j u + tau) * P[p, q, j + b g, tau],  g b u )
 *
 * where d = j + b g, u is the distance between diagonals, b the split into "babies" j and "giants" g. For
 * channel packings d = (i - o) mod c_n is a cyclic diagonal of the matrix of channels and u a channel's
 * footprint (Juvekar et al., Gazelle, arXiv 1801.05507); b = c_n is input rotation, b = 1 output rotation
 * that adds first, anything between is hybrid. For `toeplitz` (Orion style) and `halevi_shoup`, d is a
 * diagonal of the matrix of slots, u = 1 and there is no tap. `multiplexed` is MultParConv of Lee et al.,
 * ICML 2022.
 *
 * A term (p, q, d, tap) with no kept weight costs nothing; rotations that no term asks for are not done.
 * That is all there is to pruning. */
#ifndef SKY_JOBS_HE_CONV_H
#define SKY_JOBS_HE_CONV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "hw/layer.h"

enum {
    SKY_HE_CHANNELS_MAX = 1 << 14,
    SKY_HE_SLOTS_MAX = 1 << 16,
    SKY_HE_FOLDS_MAX = 16,
    SKY_HE_DEPTH_MAX = 2, /* products one after another: `multiplexed` has two */
    SKY_HE_DOT_MAX = 8,   /* products into one sum that are reduced together */
};
/* Terms of one plan: a byte each. 512 x 512 channels, one a ciphertext, 3 x 3 taps are 2.4 million. */
#define SKY_HE_TERMS_MAX (INT64_C(1) << 26)

/* A convolution layer; a fully connected one has 1 x 1 images and a 1 x 1 window. */
typedef struct sky_he_conv_shape {
    int32_t c_in, c_out;
    int32_t h, w; /* of the input */
    sky_window window;
} sky_he_conv_shape;

/* A square layer; pad < 0: (kernel - 1) / 2. */
sky_he_conv_shape sky_he_conv_square(int32_t c_in, int32_t c_out, int32_t edge, int32_t kernel,
                                     int32_t stride, int32_t pad);
int32_t sky_he_conv_out_h(const sky_he_conv_shape *s);
int32_t sky_he_conv_out_w(const sky_he_conv_shape *s);
int64_t sky_he_conv_weights(const sky_he_conv_shape *s);
/* Where weight [o][i][ky][kx] is in an array of all of them. */
int64_t sky_he_conv_weight_at(const sky_he_conv_shape *s, int32_t o, int32_t i, int32_t tap);

typedef enum sky_he_packing {
    SKY_HE_SISO,            /* one channel a ciphertext */
    SKY_HE_INPUT_ROTATION,  /* Gazelle: every input rotated to every tap and channel */
    SKY_HE_OUTPUT_ROTATION, /* Gazelle: each block of channels rotated on its own */
    SKY_HE_ADD_FIRST,       /* blocks of one output added, then rotated (GALA, NDSS 2021) */
    SKY_HE_HYBRID,          /* baby steps on the input, giant steps on the output */
    SKY_HE_MULTIPLEXED,     /* Lee et al. 2022, multiplexed and parallel; two levels */
    SKY_HE_TOEPLITZ,        /* the matrix of slots by diagonals, into a multiplexed output */
    SKY_HE_HALEVI_SHOUP,    /* fully connected layers: diagonals of the matrix */
    SKY_HE_PACKINGS,
} sky_he_packing;

const char *sky_he_packing_name(sky_he_packing p);
/* The names in order, NULL-terminated. */
extern const char *const sky_he_packing_names[SKY_HE_PACKINGS + 1];

/* Zero-initialise but for packing and slots. */
typedef struct sky_he_conv_options {
    sky_he_packing packing;
    int32_t slots;       /* of a ciphertext: a power of two, N / 2 in CKKS */
    int32_t split;       /* b above, for hybrid, toeplitz and halevi_shoup; 0: the power of two that
                          * makes rotations_full + hoisted_cost * rotations_hoisted least */
    double hoisted_cost; /* of a hoisted rotation, a full one being 1; 0: 1 */
    int32_t gap;   /* of the input, for multiplexed and toeplitz: pixels are that far apart, and
                          * gap^2 channels share the places between; a power of two; 0: 1 */
    bool composes; /* rotations by channels and giant steps are made of steps by powers of two:
                          * as many rotations, each a key switch after another; far fewer keys */
    const uint8_t
        *keep; /* a byte for each weight, 0: pruned; NULL: all kept. Borrowed by create. */
} sky_he_conv_options;

/* --- layouts --- */

/* Where channel c's pixel (y, x) is. Slots repeat with `period`; a period holds `channels` channels in
 * blocks of pitch_h x pitch_w slots. */
typedef struct sky_he_layout {
    int32_t slots, period;
    int32_t pitch_h, pitch_w;
    int32_t c, h, w;  /* the image */
    int32_t channels; /* of one ciphertext */
    int32_t gap_h, gap_w;
    bool interleaved; /* gap_h * gap_w channels share a block */
    int32_t ciphertexts;
} sky_he_layout;

typedef struct sky_he_place {
    int32_t channel; /* within the ciphertext; -1: the slot holds no pixel */
    int16_t y, x;
} sky_he_place;

/* What slot `slot` of any ciphertext of the layout holds. */
sky_he_place sky_he_layout_at(const sky_he_layout *l, int32_t slot);
/* The first slot of a pixel; channel counts within its ciphertext. */
int32_t sky_he_layout_slot(const sky_he_layout *l, sky_he_place place);
/* image (c, h, w) into ciphertext q's slots, every copy filled, other slots zero. */
void sky_he_layout_pack(const sky_he_layout *l, const double *image, int32_t q, double *slots);
/* The pixels that ciphertext p holds, from its slots into image (c, h, w). */
void sky_he_layout_unpack(const sky_he_layout *l, const double *slots, int32_t p, double *image);

/* --- plans --- */

/* The sum of `count` values, each `step` slots after the last: log2 rotations and a few more. */
typedef struct sky_he_fold {
    int32_t step, count;
} sky_he_fold;

typedef struct sky_he_conv_plan sky_he_conv_plan;
struct sky_he_conv_plan {
    sky_he_conv_shape shape;
    sky_he_packing packing;
    sky_he_layout in, out;
    int32_t slots, depth;

    /* The formula above: rows of sums (y_p), and its steps. */
    int32_t n_rows, n_in;
    int32_t n_diagonals, n_taps, unit, split;
    int32_t *tap_step;   /* [n_taps] slots, may be negative */
    uint8_t *present;    /* [n_rows][n_in][n_diagonals][n_taps]: the term has a kept weight */
    bool rotates_blocks; /* giants of each (p, q) on their own */
    bool composes;       /* see sky_he_conv_options */

    int32_t n_folds; /* sums within each row, after its rescale */
    sky_he_fold fold[SKY_HE_FOLDS_MAX];

    /* multiplexed: rows hold `copies` output channels each; they are selected and moved into place. */
    bool selects;
    int32_t copies, copy_pitch;
    uint8_t *kept_out; /* [c_out]: has a kept weight */

    sky_he_place *in_at, *out_at; /* [slots] */
};

/* On SKY_OK *out is owned by the caller. SKY_EINVAL, SKY_ELIMIT: a shape, split or gap that the packing
 * cannot do, e says which. */
sky_err sky_he_conv_plan_create(sky_he_conv_plan **out, const sky_he_conv_shape *shape,
                                const sky_he_conv_options *o, sky_error *e);
void sky_he_conv_plan_free(sky_he_conv_plan *plan);

/* The term of the formula that weight [o][i][tap] is a part of. */
typedef struct sky_he_term {
    int32_t row, in, diagonal, tap;
} sky_he_term;
sky_he_term sky_he_conv_term(const sky_he_conv_plan *plan, int32_t o, int32_t i, int32_t tap);
int64_t sky_he_term_index(const sky_he_conv_plan *plan, sky_he_term t);
/* Slots that the input is rotated by for baby (diagonal mod split, tap), in [0, slots). */
int32_t sky_he_baby_step(const sky_he_conv_plan *plan, int32_t j, int32_t tap);
int32_t sky_he_giant_step(const sky_he_conv_plan *plan, int32_t g);
/* Whether any pixel of the output sees the tap. */
bool sky_he_tap_visible(const sky_he_conv_shape *s, int32_t tap);

/* --- running --- */

/* A plaintext factor of the program. id is dense from 0, for caches. */
typedef struct sky_he_factor {
    const sky_he_conv_plan *plan;
    int64_t id;
    bool select; /* a 0/1 mask that moves channel `out` into place, else a term */
    sky_he_term term;
    int32_t out;
} sky_he_factor;

/* How many factors a plan can have: ids are below it. */
int64_t sky_he_conv_factors(const sky_he_conv_plan *plan);
/* The factor's slots. weights [c_out][c_in][kernel_h][kernel_w]; pruned ones must be zero in it. */
void sky_he_factor_values(const sky_he_factor *f, const double *weights, double *slots);

typedef enum sky_he_rotation {
    SKY_HE_ROTATE_FULL,
    SKY_HE_ROTATE_HOISTED, /* of a register that hoist() prepared */
} sky_he_rotation;

/* What a program runs on. Registers are numbers; the inputs are 0 to n_in - 1 at the start, the outputs
 * n_in to n_in + out.ciphertexts - 1 at the end. A register not written yet, or dropped, is empty, and an
 * output that stays empty is zero. */
typedef struct sky_he_ops {
    void *self;
    /* Prepares many rotations of src (the digits of its second polynomial), one src at a time; unhoist ends
     * that. */
    sky_err (*hoist)(void *self, int32_t src, sky_error *e);
    sky_err (*unhoist)(void *self, int32_t src, sky_error *e);
    /* dst = Rot(src, step), 0 < step < slots; dst is empty and another register. */
    sky_err (*rotate)(void *self, int32_t dst, int32_t src, int32_t step, sky_he_rotation kind,
                      sky_error *e);
    /* acc += src * factor; an empty acc counts as zero. */
    sky_err (*multiply_add)(void *self, int32_t acc, int32_t src, const sky_he_factor *f,
                            sky_error *e);
    /* acc += src; src is empty afterwards. */
    sky_err (*add)(void *self, int32_t acc, int32_t src, sky_error *e);
    /* dst = src, which stays. */
    sky_err (*copy)(void *self, int32_t dst, int32_t src, sky_error *e);
    /* Ends a sum of products: divides by the factors' scale, at the price of a level. */
    sky_err (*rescale)(void *self, int32_t reg, sky_error *e);
    sky_err (*drop)(void *self, int32_t reg, sky_error *e);
} sky_he_ops;

/* Registers that the program of a plan uses. */
int32_t sky_he_conv_registers(const sky_he_conv_plan *plan);
sky_err sky_he_conv_run(const sky_he_conv_plan *plan, const sky_he_ops *ops, sky_error *e);

/* --- counting --- */

/* What the program of a plan does; exact. [k] counts after k rescales. */
typedef struct sky_he_conv_counts {
    int64_t rotations_full[SKY_HE_DEPTH_MAX + 1];
    int64_t rotations_hoisted[SKY_HE_DEPTH_MAX + 1];
    int64_t hoists; /* inputs prepared for hoisted rotations */
    int64_t products[SKY_HE_DEPTH_MAX + 1];
    int64_t dots[SKY_HE_DEPTH_MAX + 1]; /* runs of up to SKY_HE_DOT_MAX products into one sum */
    int64_t sums[SKY_HE_DEPTH_MAX + 1]; /* sums of products that were started */
    int64_t additions[SKY_HE_DEPTH_MAX + 1]; /* of ciphertexts that are not products */
    int64_t rescales[SKY_HE_DEPTH_MAX + 1];
    int32_t ciphertexts_in, ciphertexts_out;
    int32_t registers_peak; /* ciphertexts alive at once, inputs and outputs included */
    int32_t steps;          /* distinct rotations: Galois keys */
    int32_t steps_at[SKY_HE_DEPTH_MAX + 1]; /* of them, first needed after k rescales */
    int32_t depth;
} sky_he_conv_counts;

/* Plays the program without data. */
sky_err sky_he_conv_count(const sky_he_conv_plan *plan, sky_he_conv_counts *out, sky_error *e);
int64_t sky_he_rotations(const sky_he_conv_counts *c); /* full and hoisted */
/* The distinct steps, ascending, into steps[slots]; how many rescales had passed when each was first
 * needed into after[slots] (may be NULL). Returns how many, negative when out of memory. */
int32_t sky_he_conv_steps(const sky_he_conv_plan *plan, int32_t *steps, uint8_t *after);

/* --- plain computation, the oracles --- */

/* y (c_out, out_h, out_w) = the convolution of x (c_in, h, w), plain loops. */
void sky_he_conv_reference(const sky_he_conv_shape *s, const double *x, const double *weights,
                           double *y);
/* The same through the plan's layouts and program, on vectors of slots. */
sky_err sky_he_conv_simulate(const sky_he_conv_plan *plan, const double *x, const double *weights,
                             double *y, sky_error *e);

#endif
