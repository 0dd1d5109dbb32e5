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
    SKY_LAYER_CONV,       /* 2-D convolution, with groups (depthwise: groups = input channels) */
    SKY_LAYER_LINEAR,     /* fully connected: flattens its input */
    SKY_LAYER_NORM,       /* batch or group norm: two parameters a channel */
    SKY_LAYER_ACTIVATION, /* elementwise with one input */
    SKY_LAYER_POOL,       /* maximum or average over a window */
    SKY_LAYER_ADD, /* elementwise with several inputs; an extent of 1 is spread over the others' */
    SKY_LAYER_CONCAT, /* along the channels */
} sky_layer_kind;

enum {
    SKY_LAYER_INPUTS_MAX = 16,    /* widest concatenation; Inception has 6 */
    SKY_CHANNELS_MAX = 1 << 20,   /* a vocabulary; channels x rows x columns stay below 2^31 */
    SKY_IMAGE_EDGE_MAX = 1 << 20, /* also the rows of a matrix */
    SKY_WINDOW_EDGE_MAX = 1 << 10,
};

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
    int32_t groups;                      /* conv */
    bool bias;                           /* conv, linear: one more parameter per output channel */
    /* Its output channels do not shrink (a classifier's classes). An input that is not fixed stands for
     * the output of layers that are not listed: it shrinks, and its gradient is needed. */
    bool fixed;
    sky_shape out;
} sky_layer;

#endif
