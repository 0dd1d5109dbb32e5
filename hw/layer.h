/* What a layer of a network is to the hardware models: shapes, not weights.
 *
 * Layers form a graph: each names its inputs by index, and inputs come before their users. Shapes are of
 * one sample; a model multiplies by the batch. */
#ifndef SKY_HW_LAYER_H
#define SKY_HW_LAYER_H

#include <stdbool.h>
#include <stdint.h>

typedef enum sky_layer_kind {
    SKY_LAYER_INPUT,
    SKY_LAYER_CONV,   /* 2-D convolution, with groups (depthwise: groups = input channels) */
    SKY_LAYER_LINEAR, /* fully connected: flattens its input */
    SKY_LAYER_NORM, /* batch, group or layer norm: two parameters a channel (sky_layer.unlearned) */
    SKY_LAYER_ACTIVATION, /* elementwise with one input */
    SKY_LAYER_POOL,       /* maximum or average over a window */
    SKY_LAYER_ADD, /* elementwise with several inputs; an extent of 1 is spread over the others' */
    SKY_LAYER_CONCAT,  /* along one axis */
    SKY_LAYER_MATMUL,  /* product of two activations, as attention has: see sky_layer.transposed */
    SKY_LAYER_SLICE,   /* part of its input along one axis: a view, nothing is computed */
    SKY_LAYER_EMBED,   /* rows of a learned table that the input's values choose */
    SKY_LAYER_TENSOR,  /* learned values with no input: position embeddings, a scale per channel */
    SKY_LAYER_RESHAPE, /* as many values in another shape: a view, nothing is computed */
} sky_layer_kind;

typedef enum sky_axis { SKY_AXIS_C, SKY_AXIS_H, SKY_AXIS_W } sky_axis;

enum {
    SKY_LAYER_INPUTS_MAX = 16,    /* widest concatenation; Inception has 6 */
    SKY_CHANNELS_MAX = 1 << 20,   /* a vocabulary; channels x rows x columns stay below 2^31 */
    SKY_IMAGE_EDGE_MAX = 1 << 20, /* also the rows of a matrix */
    SKY_WINDOW_EDGE_MAX = 1 << 10,
    SKY_TABLE_ROWS_MAX = 1 << 24, /* words of a vocabulary; parameters then fit an int64_t */
};

/* Sequences are columns of one pixel: c features, h tokens, w = 1. A fully connected layer on every token
 * is then a 1 x 1 convolution. */
typedef struct sky_shape {
    int32_t c, h, w; /* channels, rows, columns */
} sky_shape;

/* The window of a convolution or pooling. */
typedef struct sky_window {
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_bottom, pad_left, pad_right;
} sky_window;

typedef struct sky_layer {
    const char *name;
    sky_layer_kind kind;
    int32_t n_inputs;
    int32_t input[SKY_LAYER_INPUTS_MAX]; /* indices, each below this layer's own */
    sky_window window;                   /* conv, pool */
    int32_t groups;                      /* conv, matmul (heads): independent products */
    bool bias;                           /* conv, linear: one more parameter per output channel */
    /* Its output channels do not shrink (a classifier's classes). An input that is not fixed stands for
     * the output of layers that are not listed: it shrinks, and its gradient is needed. */
    bool fixed;
    sky_shape out;
    /* matmul: rows (h x w) of input 0 times input 1, in each group of the channels of both.
     * transposed: the second operand's rows are the output's channels (scores: queries x keys, out.c =
     * groups x keys). Else its rows are what the first's channels of a group meet (scores x values).
     * reshape, transposed: its channels are not those of its input, even if they are as many. */
    bool transposed;
    bool tied;          /* conv, linear: its weights are another layer's parameters */
    int32_t table_rows; /* embed; tensor: of the table that its rows are taken from, or 0 */
    sky_axis axis;      /* concat, slice */
    int32_t unlearned;  /* norm: 1: no shift; 2: no scale either */
} sky_layer;

#endif
