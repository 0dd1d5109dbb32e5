#include "hw/network.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* --- building --- */

static int32_t refuse(sky_network_builder *b, const sky_layer *l, sky_err code, const char *why)
{
    b->err = sky_fail(&b->error, code, "layer %d ('%s'): %s", b->n, l->name ? l->name : "", why);
    return 0;
}

static bool in_range(int64_t x, int64_t lo, int64_t hi)
{
    return lo <= x && x <= hi;
}

static bool window_is_valid(const sky_window *w)
{
    return in_range(w->kernel_h, 1, SKY_WINDOW_EDGE_MAX) &&
           in_range(w->kernel_w, 1, SKY_WINDOW_EDGE_MAX) &&
           in_range(w->stride_h, 1, SKY_WINDOW_EDGE_MAX) &&
           in_range(w->stride_w, 1, SKY_WINDOW_EDGE_MAX) &&
           in_range(w->dilation_h, 1, SKY_WINDOW_EDGE_MAX) &&
           in_range(w->dilation_w, 1, SKY_WINDOW_EDGE_MAX) &&
           in_range(w->pad_top, 0, SKY_WINDOW_EDGE_MAX) &&
           in_range(w->pad_bottom, 0, SKY_WINDOW_EDGE_MAX) &&
           in_range(w->pad_left, 0, SKY_WINDOW_EDGE_MAX) &&
           in_range(w->pad_right, 0, SKY_WINDOW_EDGE_MAX);
}

/* Places where a window fits along one edge; 0 or less if none. */
static int64_t places(int64_t edge, int64_t pads, int64_t kernel, int64_t stride, int64_t dilation)
{
    int64_t covered = dilation * (kernel - 1) + 1;
    return edge + pads < covered ? 0 : (edge + pads - covered) / stride + 1;
}

static sky_shape slide(sky_shape in, const sky_window *w)
{
    return (sky_shape){.c = in.c,
                       .h = (int32_t)places(in.h, w->pad_top + w->pad_bottom, w->kernel_h,
                                            w->stride_h, w->dilation_h),
                       .w = (int32_t)places(in.w, w->pad_left + w->pad_right, w->kernel_w,
                                            w->stride_w, w->dilation_w)};
}

/* Elementwise: each extent is that of all inputs, or 1 in some. */
static bool spread(const sky_network_builder *b, sky_layer *l)
{
    sky_shape out = {1, 1, 1};
    for (int32_t i = 0; i < l->n_inputs; i++) {
        sky_shape in = b->layers[l->input[i]].out;
        if ((in.c != out.c && in.c != 1 && out.c != 1) ||
            (in.h != out.h && in.h != 1 && out.h != 1) ||
            (in.w != out.w && in.w != 1 && out.w != 1))
            return false;
        out.c = in.c > out.c ? in.c : out.c;
        out.h = in.h > out.h ? in.h : out.h;
        out.w = in.w > out.w ? in.w : out.w;
    }
    l->out = out;
    return true;
}

/* Infers l->out (for conv and linear, l->out.c is given). False with the reason in *why. */
static bool infer(const sky_network_builder *b, sky_layer *l, const char **why)
{
    sky_shape in = b->layers[l->input[0]].out;
    int32_t given = l->out.c;
    *why = "its window is out of range";
    switch (l->kind) {
    case SKY_LAYER_INPUT:
        break;
    case SKY_LAYER_CONV:
        if (!window_is_valid(&l->window))
            return false;
        *why = "groups must divide the channels of input and output";
        if (l->groups < 1 || in.c % l->groups != 0 || given % l->groups != 0)
            return false;
        *why = "its window over all channels is too large";
        if ((int64_t)l->window.kernel_h * l->window.kernel_w >
            INT32_MAX / (in.c > given ? in.c : given))
            return false;
        l->out = slide(in, &l->window);
        l->out.c = given;
        break;
    case SKY_LAYER_LINEAR:
        l->out = (sky_shape){given, 1, 1};
        break;
    case SKY_LAYER_POOL:
        if (!window_is_valid(&l->window))
            return false;
        l->out = slide(in, &l->window);
        break;
    case SKY_LAYER_NORM:
    case SKY_LAYER_ACTIVATION:
        l->out = in;
        break;
    case SKY_LAYER_ADD:
        *why = "its inputs differ in shape";
        if (!spread(b, l))
            return false;
        break;
    case SKY_LAYER_CONCAT:
        *why = "its inputs differ in shape";
        l->out = in;
        for (int32_t i = 1; i < l->n_inputs; i++) {
            sky_shape next = b->layers[l->input[i]].out;
            if (next.h != in.h || next.w != in.w)
                return false;
            l->out.c += next.c;
        }
        break;
    }
    bool slides = l->kind == SKY_LAYER_CONV || l->kind == SKY_LAYER_POOL;
    *why = slides && (l->out.h < 1 || l->out.w < 1) ? "the window does not fit its input"
                                                    : "channels, rows or columns are out of range";
    return in_range(l->out.c, 1, SKY_CHANNELS_MAX) && in_range(l->out.h, 1, SKY_IMAGE_EDGE_MAX) &&
           in_range(l->out.w, 1, SKY_IMAGE_EDGE_MAX) &&
           (int64_t)l->out.c * l->out.h <= INT32_MAX / l->out.w;
}

static bool make_room(sky_network_builder *b)
{
    if (b->n < b->cap)
        return true;
    int32_t cap = b->cap ? 2 * b->cap : 64;
    sky_layer *layers = sky_new(b->arena, sky_layer, (size_t)cap);
    if (!layers)
        return false;
    if (b->n > 0)
        memcpy(layers, b->layers, (size_t)b->n * sizeof *layers);
    b->layers = layers;
    b->cap = cap;
    return true;
}

int32_t sky_net_layer(sky_network_builder *b, const sky_layer *layer)
{
    assert(b->arena);
    if (b->err != SKY_OK)
        return 0;
    sky_layer l = *layer;
    if (b->n == SKY_LAYERS_MAX)
        return refuse(b, &l, SKY_ELIMIT, "too many layers");
    if (!make_room(b))
        return refuse(b, &l, SKY_ENOMEM, "out of memory");
    bool is_input = l.kind == SKY_LAYER_INPUT;
    if (is_input ? l.n_inputs != 0 : !in_range(l.n_inputs, 1, SKY_LAYER_INPUTS_MAX)) {
        return refuse(b, &l, SKY_EINVAL, "a wrong number of inputs");
    }
    for (int32_t i = 0; i < l.n_inputs; i++) {
        if (!in_range(l.input[i], 0, b->n - 1)) {
            return refuse(b, &l, SKY_EINVAL, "an input that does not come before it");
        }
    }
    const char *why = "too large";
    if (!infer(b, &l, &why))
        return refuse(b, &l, SKY_EINVAL, why);
    b->layers[b->n] = l;
    return b->n++;
}

int32_t sky_net_input(sky_network_builder *b, sky_shape shape)
{
    return sky_net_layer(
        b, &(sky_layer){.name = "input", .kind = SKY_LAYER_INPUT, .out = shape, .fixed = true});
}

int32_t sky_net_stand_in(sky_network_builder *b, const char *name, sky_shape shape)
{
    return sky_net_layer(b, &(sky_layer){.name = name, .kind = SKY_LAYER_INPUT, .out = shape});
}

static sky_window window_of(const sky_conv_options *o)
{
    if (o->kernel == 0)
        return o->window;
    int32_t stride = o->stride ? o->stride : 1, dilation = o->dilation ? o->dilation : 1;
    return (sky_window){.kernel_h = o->kernel,
                        .kernel_w = o->kernel,
                        .stride_h = stride,
                        .stride_w = stride,
                        .dilation_h = dilation,
                        .dilation_w = dilation,
                        .pad_top = o->pad,
                        .pad_bottom = o->pad,
                        .pad_left = o->pad,
                        .pad_right = o->pad};
}

int32_t sky_net_conv(sky_network_builder *b, const char *name, int32_t in, sky_conv_options o)
{
    return sky_net_layer(b, &(sky_layer){.name = name,
                                         .kind = SKY_LAYER_CONV,
                                         .n_inputs = 1,
                                         .input = {in},
                                         .window = window_of(&o),
                                         .groups = o.groups ? o.groups : 1,
                                         .bias = o.bias,
                                         .out = {.c = o.out}});
}

int32_t sky_net_linear(sky_network_builder *b, const char *name, int32_t in, int32_t out)
{
    return sky_net_layer(b, &(sky_layer){.name = name,
                                         .kind = SKY_LAYER_LINEAR,
                                         .n_inputs = 1,
                                         .input = {in},
                                         .groups = 1,
                                         .bias = true,
                                         .out = {.c = out}});
}

int32_t sky_net_norm(sky_network_builder *b, int32_t in)
{
    return sky_net_layer(b, &(sky_layer){.kind = SKY_LAYER_NORM, .n_inputs = 1, .input = {in}});
}

int32_t sky_net_relu(sky_network_builder *b, int32_t in)
{
    return sky_net_layer(b,
                         &(sky_layer){.kind = SKY_LAYER_ACTIVATION, .n_inputs = 1, .input = {in}});
}

int32_t sky_net_pool(sky_network_builder *b, const char *name, int32_t in, sky_conv_options window)
{
    return sky_net_layer(b, &(sky_layer){.name = name,
                                         .kind = SKY_LAYER_POOL,
                                         .n_inputs = 1,
                                         .input = {in},
                                         .window = window_of(&window)});
}

int32_t sky_net_global_pool(sky_network_builder *b, int32_t in)
{
    if (b->err != SKY_OK)
        return 0;
    sky_shape shape = b->layers[in].out;
    sky_window all = {.kernel_h = shape.h,
                      .kernel_w = shape.w,
                      .stride_h = 1,
                      .stride_w = 1,
                      .dilation_h = 1,
                      .dilation_w = 1};
    return sky_net_pool(b, "pool", in, (sky_conv_options){.window = all});
}

int32_t sky_net_add(sky_network_builder *b, const char *name, int32_t in1, int32_t in2)
{
    return sky_net_layer(
        b, &(sky_layer){.name = name, .kind = SKY_LAYER_ADD, .n_inputs = 2, .input = {in1, in2}});
}

int32_t sky_net_concat(sky_network_builder *b, const char *name, const int32_t *in, int32_t n)
{
    sky_layer l = {.name = name, .kind = SKY_LAYER_CONCAT, .n_inputs = n};
    for (int32_t i = 0; i < n && i < SKY_LAYER_INPUTS_MAX; i++)
        l.input[i] = in[i];
    return sky_net_layer(b, &l);
}

void sky_net_fix(sky_network_builder *b, int32_t layer)
{
    if (b->err == SKY_OK)
        b->layers[layer].fixed = true;
}

static sky_conv_shape conv_shape(const sky_network *net, const int32_t *channels, int32_t index);

/* All later sums rest on this: they do not overflow. */
static void check_macs(sky_network_builder *b)
{
    const sky_network net = {.layers = b->layers, .n_layers = b->n};
    double macs = 0; /* not yet known to fit an integer */
    for (int32_t i = 0; i < b->n; i++) {
        const sky_layer *l = &b->layers[i];
        if (l->kind != SKY_LAYER_CONV && l->kind != SKY_LAYER_LINEAR)
            continue;
        sky_conv_shape s = conv_shape(&net, NULL, i);
        double in_pixels = (double)s.h * s.w, out_pixels = (double)s.p * s.q;
        macs += (double)s.groups * s.k * s.c * s.r * s.s * fmax(in_pixels, out_pixels);
        if (macs > (double)SKY_NETWORK_MACS_MAX) {
            b->err =
                sky_fail(&b->error, SKY_ELIMIT,
                         "layer %d ('%s'): up to here, more than %lld multiplications a sample", i,
                         l->name ? l->name : "", (long long)SKY_NETWORK_MACS_MAX);
            return;
        }
    }
}

sky_err sky_net_finish(sky_network_builder *b, const char *name, const char *source,
                       sky_network *out, sky_error *e)
{
    if (b->err == SKY_OK && b->n == 0)
        b->err = sky_fail(&b->error, SKY_EINVAL, "no layers");
    if (b->err == SKY_OK)
        check_macs(b);
    if (b->err != SKY_OK)
        return sky_fail(e, b->err, "network '%s': %s", name, b->error.text);
    *out = (sky_network){.name = name, .source = source, .layers = b->layers, .n_layers = b->n};
    return SKY_OK;
}

/* --- widths --- */

int32_t sky_kept_channels(int32_t c, double width)
{
    assert(c > 0 && width > 0 && width <= 1);
    int32_t kept = (int32_t)((double)c * width + 0.5);
    return kept < 1 ? 1 : kept > c ? c : kept;
}

static bool is_depthwise(const sky_network *net, const sky_layer *l)
{
    return l->kind == SKY_LAYER_CONV && l->groups > 1 &&
           l->groups == net->layers[l->input[0]].out.c;
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
            if (is_depthwise(net, l))
                channels[i] = channels[l->input[0]] * (l->out.c / l->groups);
            break;
        case SKY_LAYER_LINEAR:
            break;
        case SKY_LAYER_NORM:
        case SKY_LAYER_ACTIVATION:
        case SKY_LAYER_POOL:
            channels[i] = channels[l->input[0]];
            break;
        case SKY_LAYER_ADD:
        case SKY_LAYER_CONCAT: {
            int32_t sum = 0, largest = 0;
            for (int32_t j = 0; j < l->n_inputs; j++) {
                int32_t c = channels[l->input[j]];
                sum += c;
                if (c > largest)
                    largest = c;
            }
            channels[i] = l->kind == SKY_LAYER_ADD ? largest : sum;
            break;
        }
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
        if (kind != SKY_LAYER_ACTIVATION && kind != SKY_LAYER_POOL)
            return false;
        i = net->layers[i].input[0];
    }
    return net->layers[i].fixed; /* a stand-in's gradient is needed */
}

static int32_t ceil_div(int32_t a, int32_t b)
{
    return (a + b - 1) / b;
}

static sky_conv_shape conv_shape(const sky_network *net, const int32_t *channels, int32_t index)
{
    const sky_layer *l = &net->layers[index];
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
    shape.groups = is_depthwise(net, l) ? in.c : l->groups;
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
           a->no_dgrad == b->no_dgrad;
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
        sky_layer_kind kind = net->layers[i].kind;
        if (kind == SKY_LAYER_CONV || kind == SKY_LAYER_LINEAR)
            out[n++] = conv_shape(net, channels, i);
    }
    return merge ? sky_convs_merge(out, n) : n;
}

sky_network_counts sky_network_count(const sky_network *net, const int32_t *channels)
{
    sky_network_counts counts = {0};
    for (int32_t i = 0; i < net->n_layers; i++) {
        const sky_layer *l = &net->layers[i];
        int64_t out_c = channels ? channels[i] : l->out.c;
        if (l->kind == SKY_LAYER_NORM)
            counts.parameters += 2 * out_c;
        if (l->kind != SKY_LAYER_CONV && l->kind != SKY_LAYER_LINEAR)
            continue;
        sky_conv_shape s = conv_shape(net, channels, i);
        int64_t weights = (int64_t)s.groups * s.k * s.c * s.r * s.s;
        counts.parameters += weights + (l->bias ? out_c : 0);
        counts.macs += weights * s.p * s.q;
    }
    return counts;
}
