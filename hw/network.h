/* Networks: a list of layers with names and sources, how to build one, and what it costs.
 *
 * The built-in ones are in the hw/zoo_ files; each is tested against published counts of parameters and
 * multiplications (tests/hw/network_test.c). */
#ifndef SKY_HW_NETWORK_H
#define SKY_HW_NETWORK_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "hw/layer.h"

enum { SKY_LAYERS_MAX = 4096 };
/* Multiplications of one sample, forward or backward, about 7e13. Times the largest batch (4096), the three
 * products of a training step and a few bytes each, a sum still fits an int64_t. */
#define SKY_NETWORK_MACS_MAX (INT64_C(1) << 46)

typedef struct sky_network {
    const char *name;
    const char *source; /* who published it */
    const sky_layer *layers;
    int32_t n_layers;
} sky_network;

/* The built-in network of that name, built on first use; NULL if there is none. Not thread-safe. */
const sky_network *sky_network_find(const char *name);
/* The names of the built-in networks, NULL-terminated, in alphabetical order. */
const char *const *sky_network_names(void);

/* --- building --- */

/* Collects layers. Zero-initialise but for arena, which all memory comes from. A layer's index is what the
 * functions return; after an error they return 0 and do nothing. */
typedef struct sky_network_builder {
    sky_arena *arena;
    sky_layer *layers;
    int32_t n, cap;
    sky_err err;
    sky_error error; /* names the layer */
} sky_network_builder;

/* A square window; zero fields mean stride 1, dilation 1, no padding. */
typedef struct sky_conv_options {
    int32_t out; /* channels */
    int32_t kernel, stride, pad, dilation;
    int32_t groups; /* 0: 1 */
    bool bias;
    sky_window window; /* instead of the square one, if kernel is 0 */
} sky_conv_options;

int32_t sky_net_input(sky_network_builder *b, sky_shape shape);
int32_t sky_net_conv(sky_network_builder *b, const char *name, int32_t in, sky_conv_options o);
int32_t sky_net_linear(sky_network_builder *b, const char *name, int32_t in, int32_t out);
int32_t sky_net_norm(sky_network_builder *b, int32_t in);
int32_t sky_net_relu(sky_network_builder *b, int32_t in);
int32_t sky_net_pool(sky_network_builder *b, const char *name, int32_t in, sky_conv_options window);
int32_t sky_net_global_pool(sky_network_builder *b, int32_t in);
int32_t sky_net_add(sky_network_builder *b, const char *name, int32_t in1, int32_t in2);
int32_t sky_net_concat(sky_network_builder *b, const char *name, const int32_t *in, int32_t n);
/* a times b, in each of so many groups of channels (sky_layer.transposed). */
int32_t sky_net_matmul(sky_network_builder *b, const char *name, int32_t in1, int32_t in2,
                       int32_t groups, bool transposed);
/* A view of so many of the input's channels. */
int32_t sky_net_slice(sky_network_builder *b, const char *name, int32_t in, int32_t channels);
/* A table of so many rows of c values, looked up by each of the input's values (of one channel). */
int32_t sky_net_embed(sky_network_builder *b, const char *name, int32_t in, int32_t table_rows,
                      int32_t c);
/* Any layer: checks it, infers its output shape, appends it. name may be NULL. */
int32_t sky_net_layer(sky_network_builder *b, const sky_layer *layer);
/* An input that stands for the output of layers that are not listed (sky_layer.fixed). */
int32_t sky_net_stand_in(sky_network_builder *b, const char *name, sky_shape shape);
/* Marks a layer's output channels as fixed. */
void sky_net_fix(sky_network_builder *b, int32_t layer);
/* Ends building. The network lives as long as the arena. */
sky_err sky_net_finish(sky_network_builder *b, const char *name, const char *source,
                       sky_network *out, sky_error *e);

/* --- widths --- */

/* Channels that are kept of c at a width in (0, 1]: rounded to nearest, halves up, at least 1. */
int32_t sky_kept_channels(int32_t c, double width);

/* The output channels of every layer when each convolution and linear layer keeps that part of its own
 * (image channels and fixed layers stay, stand-ins shrink). channels has n_layers places. */
void sky_network_scale(const sky_network *net, double width, int32_t *channels);

/* The output channels of every layer from those of the convolutions and linear layers alone: others
 * follow from their inputs. Channels of an addition: the larger of its inputs (the union that pruning
 * with residual connections keeps). On entry channels[] holds the widths of convolutions, linear
 * layers and stand-ins; a depthwise convolution's is set to its input's. */
void sky_network_follow(const sky_network *net, int32_t *channels);

/* --- what it costs --- */

/* "conv", "linear", "norm", ...; never NULL. */
const char *sky_layer_kind_name(sky_layer_kind kind);

/* A convolution, a linear layer or a product of activations as the models see it.
 *
 * per_sample is 1 for the last: what stands for the weights is an activation as well, each sample has its own, and
 * it has a gradient of its own. So a batch of B is not B x p x q rows by one set of weights, but B x groups
 * independent products of p x q rows: a model may take such an entry as batch 1 with B times the groups.
 * All three products of a training step are then those of a 1 x 1 convolution. */
typedef struct sky_conv_shape {
    int32_t c, h, w; /* input of one group */
    int32_t k, p, q; /* output of one group: channels, rows, columns */
    int32_t r, s;    /* window: rows, columns */
    int32_t groups;
    int32_t no_dgrad;   /* 1: its input is the network's, nobody needs that gradient */
    int32_t layer;      /* index of the first layer of this shape */
    int32_t count;      /* how many layers have exactly this shape */
    int32_t per_sample; /* 1: a matmul; see above */
} sky_conv_shape;

/* Lists the convolutions, linear layers and products of activations, given the channels of all layers; equal ones become one entry
 * with a count if merge is set. out has room for n_layers. Returns how many. No allocation. */
int32_t sky_network_convs(const sky_network *net, const int32_t *channels, bool merge,
                          sky_conv_shape *out);

/* Makes equal shapes of a list one entry with a count, in place. Returns how many are left. */
int32_t sky_convs_merge(sky_conv_shape *shapes, int32_t n);

typedef struct sky_network_counts {
    int64_t parameters; /* weights, biases, norm scales and shifts, tables, learned tensors */
    int64_t macs;       /* multiplications of what sky_network_convs() lists, one sample, forward */
} sky_network_counts;

/* channels: as above, or NULL for the network as designed. */
sky_network_counts sky_layer_count(const sky_network *net, const int32_t *channels, int32_t layer);
sky_network_counts sky_network_count(const sky_network *net, const int32_t *channels);

#endif
