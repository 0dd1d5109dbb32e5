/* What networks cost, at any widths. Building them: network_build.c. */
#include "hw/network.h"

#include <assert.h>
#include <string.h>

#include "hw/network_internal.h"

/* --- widths --- */

int32_t sky_kept_channels(int32_t c, double width)
{
    assert(c > 0 && width > 0 && width <= 1);
    int32_t kept = (int32_t)((double)c * width + 0.5);
    return kept < 1 ? 1 : kept > c ? c : kept;
}

bool sky__is_depthwise(const sky_network *net, const sky_layer *l)
{
    return l->kind == SKY_LAYER_CONV && l->groups > 1 &&
           l->groups == net->layers[l->input[0]].out.c;
}

/* Elementwise, or side by side along rows: the most channels of any input. Learned tensors go along with the
 * others, so that a position embedding does not bring pruned channels back. */
static int32_t follow_union(const sky_network *net, const sky_layer *l, int32_t *channels)
{
    int32_t most = 0, most_tensor = 0;
    bool is_whole = false; /* an input that is no tensor has all channels, as designed */
    for (int32_t j = 0; j < l->n_inputs; j++) {
        const sky_layer *from = &net->layers[l->input[j]];
        const bool tensor = from->kind == SKY_LAYER_TENSOR;
        const int32_t c = channels[l->input[j]];
        int32_t *of = tensor ? &most_tensor : &most;
        *of = c > *of ? c : *of;
        is_whole |= !tensor && from->out.c == l->out.c;
    }
    if (!is_whole)
        return most > most_tensor ? most : most_tensor;
    for (int32_t j = 0; j < l->n_inputs; j++) {
        const sky_layer *from = &net->layers[l->input[j]];
        if (from->kind == SKY_LAYER_TENSOR && from->out.c == l->out.c)
            channels[l->input[j]] = most;
    }
    return most;
}

static int32_t follow_concat(const sky_network *net, const sky_layer *l, int32_t *channels)
{
    if (l->axis != SKY_AXIS_C)
        return follow_union(net, l, channels);
    int32_t sum = 0;
    for (int32_t j = 0; j < l->n_inputs; j++)
        sum += channels[l->input[j]];
    return sum;
}

static int32_t follow_slice(const sky_network *net, const sky_layer *l, const int32_t *channels)
{
    const int64_t whole = net->layers[l->input[0]].out.c, left = channels[l->input[0]];
    return (int32_t)((left * l->out.c + whole - 1) / whole); /* each part loses as many */
}

void sky_network_follow(const sky_network *net, int32_t *channels)
{
    for (int32_t i = 0; i < net->n_layers; i++) {
        const sky_layer *l = &net->layers[i];
        switch (l->kind) {
        case SKY_LAYER_INPUT:
            if (l->fixed)
                channels[i] = l->out.c;
            break;
        case SKY_LAYER_CONV:
            if (sky__is_depthwise(net, l))
                channels[i] = channels[l->input[0]] * (l->out.c / l->groups);
            break;
        case SKY_LAYER_LINEAR:
        case SKY_LAYER_EMBED:
        case SKY_LAYER_TENSOR:
            break;
        case SKY_LAYER_NORM:
        case SKY_LAYER_ACTIVATION:
        case SKY_LAYER_POOL:
            channels[i] = channels[l->input[0]];
            break;
        case SKY_LAYER_ADD:
            channels[i] = follow_union(net, l, channels);
            break;
        case SKY_LAYER_CONCAT:
            channels[i] = follow_concat(net, l, channels);
            break;
        case SKY_LAYER_MATMUL: /* scores are of tokens, which stay */
            channels[i] = l->transposed ? l->out.c : channels[l->input[1]];
            break;
        case SKY_LAYER_RESHAPE:
            channels[i] = l->transposed || l->out.c != net->layers[l->input[0]].out.c
                              ? l->out.c
                              : channels[l->input[0]];
            break;
        case SKY_LAYER_SLICE:
            channels[i] = follow_slice(net, l, channels);
            break;
        }
    }
}

void sky_network_scale(const sky_network *net, double width, int32_t *channels)
{
    for (int32_t i = 0; i < net->n_layers; i++) {
        const sky_layer *l = &net->layers[i];
        /* A multiple of the groups, so that each keeps as many. */
        int32_t groups = l->kind == SKY_LAYER_CONV ? l->groups : 1;
        channels[i] = l->fixed ? l->out.c : groups * sky_kept_channels(l->out.c / groups, width);
    }
    sky_network_follow(net, channels);
}

/* --- what it costs --- */

static bool reads_input(const sky_network *net, const sky_layer *l)
{
    int32_t i = l->input[0];
    while (net->layers[i].kind != SKY_LAYER_INPUT) { /* back through layers without parameters */
        sky_layer_kind kind = net->layers[i].kind;
        if (kind != SKY_LAYER_ACTIVATION && kind != SKY_LAYER_POOL && kind != SKY_LAYER_SLICE &&
            kind != SKY_LAYER_RESHAPE)
            return false;
        i = net->layers[i].input[0];
    }
    return net->layers[i].fixed; /* a stand-in's gradient is needed */
}

bool sky__multiplies(const sky_layer *l)
{
    return l->kind == SKY_LAYER_CONV || l->kind == SKY_LAYER_LINEAR || l->kind == SKY_LAYER_MATMUL;
}

static int32_t ceil_div(int32_t a, int32_t b)
{
    return (a + b - 1) / b;
}

/* As a 1 x 1 convolution of the first input. What both share was pruned unevenly: the most counts. */
static sky_conv_shape matmul_shape(const sky_network *net, const int32_t *channels, int32_t index)
{
    const sky_layer *l = &net->layers[index];
    const sky_shape first = net->layers[l->input[0]].out, second = net->layers[l->input[1]].out;
    int32_t shared = channels ? channels[l->input[0]] : first.c;
    if (l->transposed) {
        const int32_t other = channels ? channels[l->input[1]] : second.c;
        shared = other > shared ? other : shared;
    }
    return (sky_conv_shape){.c = ceil_div(shared, l->groups),
                            .h = first.h,
                            .w = first.w,
                            .k = ceil_div(channels ? channels[index] : l->out.c, l->groups),
                            .p = l->out.h,
                            .q = l->out.w,
                            .r = 1,
                            .s = 1,
                            .groups = l->groups,
                            .layer = index,
                            .count = 1,
                            .per_sample = 1};
}

sky_conv_shape sky__conv_shape(const sky_network *net, const int32_t *channels, int32_t index)
{
    const sky_layer *l = &net->layers[index];
    if (l->kind == SKY_LAYER_MATMUL)
        return matmul_shape(net, channels, index);
    int32_t from = l->input[0];
    sky_shape in = net->layers[from].out;
    in.c = channels ? channels[from] : in.c;
    int32_t out_c = channels ? channels[index] : l->out.c;
    sky_conv_shape shape = {.layer = index, .count = 1, .no_dgrad = reads_input(net, l)};
    if (l->kind == SKY_LAYER_LINEAR) { /* a 1 x 1 convolution on one flattened pixel */
        shape.c = in.c * in.h * in.w;
        shape.h = shape.w = shape.p = shape.q = shape.r = shape.s = shape.groups = 1;
        shape.k = out_c;
        return shape;
    }
    /* Depthwise: as many groups as input channels are left. Others keep their groups. */
    shape.groups = sky__is_depthwise(net, l) ? in.c : l->groups;
    shape.c = ceil_div(in.c, shape.groups); /* pruned unevenly: all take as long as the widest */
    shape.h = in.h;
    shape.w = in.w;
    shape.k = ceil_div(out_c, shape.groups);
    shape.p = l->out.h;
    shape.q = l->out.w;
    shape.r = l->window.kernel_h;
    shape.s = l->window.kernel_w;
    return shape;
}

static bool same_shape(const sky_conv_shape *a, const sky_conv_shape *b)
{
    return a->c == b->c && a->k == b->k && a->h == b->h && a->w == b->w && a->p == b->p &&
           a->q == b->q && a->r == b->r && a->s == b->s && a->groups == b->groups &&
           a->no_dgrad == b->no_dgrad && a->per_sample == b->per_sample;
}

int32_t sky_convs_merge(sky_conv_shape *shapes, int32_t n)
{
    /* A small hash table of entries already listed; a collision that finds no place only costs a merge,
     * so that two entries of one shape are listed. */
    enum { SLOTS = 256 };
    int16_t slot[SLOTS];
    _Static_assert(SKY_LAYERS_MAX <= INT16_MAX, "an index fits a slot");
    memset(slot, -1, sizeof slot);
    int32_t left = 0;
    for (int32_t i = 0; i < n; i++) {
        const sky_conv_shape shape = shapes[i];
        uint32_t hash =
            (uint32_t)shape.c * 0x9E3779B1u ^ (uint32_t)shape.k * 0x85EBCA77u ^
            (uint32_t)(shape.p * 31 + shape.h * 7 + shape.r * 3 + shape.s) * 0xC2B2AE3Du;
        int16_t *at = &slot[hash >> 24];
        if (*at >= 0 && same_shape(&shapes[*at], &shape)) {
            shapes[*at].count += shape.count;
            continue;
        }
        if (*at < 0)
            *at = (int16_t)left;
        shapes[left++] = shape;
    }
    return left;
}

int32_t sky_network_convs(const sky_network *net, const int32_t *channels, bool merge,
                          sky_conv_shape *out)
{
    int32_t n = 0;
    for (int32_t i = 0; i < net->n_layers; i++) {
        if (sky__multiplies(&net->layers[i]))
            out[n++] = sky__conv_shape(net, channels, i);
    }
    return merge ? sky_convs_merge(out, n) : n;
}

const char *sky_layer_kind_name(sky_layer_kind kind)
{
    static const char *const names[] = {
        [SKY_LAYER_INPUT] = "input",
        [SKY_LAYER_CONV] = "conv",
        [SKY_LAYER_LINEAR] = "linear",
        [SKY_LAYER_NORM] = "norm",
        [SKY_LAYER_ACTIVATION] = "activation",
        [SKY_LAYER_POOL] = "pool",
        [SKY_LAYER_ADD] = "add",
        [SKY_LAYER_CONCAT] = "concat",
        [SKY_LAYER_MATMUL] = "matmul",
        [SKY_LAYER_SLICE] = "slice",
        [SKY_LAYER_EMBED] = "embed",
        [SKY_LAYER_TENSOR] = "tensor",
        [SKY_LAYER_RESHAPE] = "reshape",
    };
    return names[kind];
}

sky_network_counts sky_layer_count(const sky_network *net, const int32_t *channels, int32_t layer)
{
    const sky_layer *l = &net->layers[layer];
    const int64_t out_c = channels ? channels[layer] : l->out.c;
    sky_network_counts counts = {0};
    if (l->kind == SKY_LAYER_NORM)
        counts.parameters = (2 - l->unlearned) * out_c;
    if (l->kind == SKY_LAYER_EMBED || l->kind == SKY_LAYER_TENSOR)
        counts.parameters =
            out_c * (l->table_rows > 0 ? l->table_rows : (int64_t)l->out.h * l->out.w);
    if (!sky__multiplies(l))
        return counts;
    const sky_conv_shape s = sky__conv_shape(net, channels, layer);
    const int64_t weights = (int64_t)s.groups * s.k * s.c * s.r * s.s;
    counts.macs = weights * s.p * s.q;
    if (l->kind != SKY_LAYER_MATMUL)
        counts.parameters = (l->tied ? 0 : weights) + (l->bias ? out_c : 0);
    return counts;
}

sky_network_counts sky_network_count(const sky_network *net, const int32_t *channels)
{
    sky_network_counts counts = {0};
    for (int32_t i = 0; i < net->n_layers; i++) {
        const sky_network_counts layer = sky_layer_count(net, channels, i);
        counts.parameters += layer.parameters;
        counts.macs += layer.macs;
    }
    return counts;
}
