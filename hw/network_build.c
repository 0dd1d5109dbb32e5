/* Building of networks: each layer is checked and its shape inferred as it is added. */
#include "hw/network.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "hw/network_internal.h"

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

static bool infer_conv(sky_layer *l, sky_shape in, const char **why)
{
    const int32_t given = l->out.c;
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
    return true;
}

static int32_t *extent(sky_shape *s, sky_axis axis)
{
    return axis == SKY_AXIS_C ? &s->c : axis == SKY_AXIS_H ? &s->h : &s->w;
}

static bool infer_concat(const sky_network_builder *b, sky_layer *l)
{
    sky_shape out = b->layers[l->input[0]].out;
    int64_t sum = *extent(&out, l->axis);
    for (int32_t i = 1; i < l->n_inputs; i++) {
        sky_shape next = b->layers[l->input[i]].out;
        sum += *extent(&next, l->axis);
        *extent(&next, l->axis) = *extent(&out, l->axis);
        if (next.c != out.c || next.h != out.h || next.w != out.w)
            return false;
    }
    *extent(&out, l->axis) = sum <= INT32_MAX ? (int32_t)sum : INT32_MAX; /* out of range anyhow */
    l->out = out;
    return true;
}

static bool infer_matmul(const sky_network_builder *b, sky_layer *l)
{
    if (l->n_inputs != 2 || l->groups < 1)
        return false;
    const sky_shape first = b->layers[l->input[0]].out, second = b->layers[l->input[1]].out;
    const int64_t rows = (int64_t)second.h * second.w, groups = l->groups;
    if (first.c % groups != 0 || second.c % groups != 0 || rows > SKY_IMAGE_EDGE_MAX)
        return false;
    if (l->transposed ? first.c != second.c : first.c != groups * rows)
        return false;
    l->out = first;
    const int64_t c = l->transposed ? groups * rows : second.c;
    l->out.c = c <= SKY_CHANNELS_MAX ? (int32_t)c : 0; /* 0: out of range, as the caller finds */
    return true;
}

static bool infer_slice(sky_layer *l, sky_shape in)
{
    const int32_t part = *extent(&l->out, l->axis);
    if (!in_range(part, 1, *extent(&in, l->axis)))
        return false;
    l->out = in;
    *extent(&l->out, l->axis) = part;
    return true;
}

/* Infers l->out (of which conv, linear, embed and slice have a part, input and tensor all). False with the
 * reason in *why. */
static bool infer(const sky_network_builder *b, sky_layer *l, const char **why)
{
    const sky_shape none = {0};
    const sky_shape in = l->n_inputs > 0 ? b->layers[l->input[0]].out : none;
    *why = "its window is out of range";
    switch (l->kind) {
    case SKY_LAYER_INPUT:
        break;
    case SKY_LAYER_TENSOR:
        *why = "its table is out of range";
        if (!in_range(l->table_rows, 0, SKY_TABLE_ROWS_MAX))
            return false;
        break;
    case SKY_LAYER_CONV:
        if (!infer_conv(l, in, why))
            return false;
        break;
    case SKY_LAYER_LINEAR:
        l->out = (sky_shape){l->out.c, 1, 1};
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
        if (!infer_concat(b, l))
            return false;
        break;
    case SKY_LAYER_MATMUL:
        *why = "its inputs do not fit each other";
        if (!infer_matmul(b, l))
            return false;
        break;
    case SKY_LAYER_SLICE:
        *why = "it is larger than its input";
        if (!infer_slice(l, in))
            return false;
        break;
    case SKY_LAYER_RESHAPE:
        *why = "its input has another number of values";
        if (!in_range(l->out.c, 1, SKY_CHANNELS_MAX) ||
            !in_range(l->out.h, 1, SKY_IMAGE_EDGE_MAX) ||
            (int64_t)l->out.c * l->out.h > INT32_MAX || l->out.w < 1 ||
            (int64_t)l->out.c * l->out.h * l->out.w != (int64_t)in.c * in.h * in.w)
            return false;
        break;
    case SKY_LAYER_EMBED:
        *why = "its table or its input is not one";
        if (in.c != 1 || !in_range(l->table_rows, 1, SKY_TABLE_ROWS_MAX))
            return false;
        l->out = (sky_shape){l->out.c, in.h, in.w};
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
    bool no_input = l.kind == SKY_LAYER_INPUT || l.kind == SKY_LAYER_TENSOR;
    if (no_input ? l.n_inputs != 0 : !in_range(l.n_inputs, 1, SKY_LAYER_INPUTS_MAX)) {
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

int32_t sky_net_matmul(sky_network_builder *b, const char *name, int32_t in1, int32_t in2,
                       int32_t groups, bool transposed)
{
    return sky_net_layer(b, &(sky_layer){.name = name,
                                         .kind = SKY_LAYER_MATMUL,
                                         .n_inputs = 2,
                                         .input = {in1, in2},
                                         .groups = groups,
                                         .transposed = transposed});
}

int32_t sky_net_slice(sky_network_builder *b, const char *name, int32_t in, int32_t channels)
{
    return sky_net_layer(b, &(sky_layer){.name = name,
                                         .kind = SKY_LAYER_SLICE,
                                         .n_inputs = 1,
                                         .input = {in},
                                         .out = {.c = channels}});
}

int32_t sky_net_embed(sky_network_builder *b, const char *name, int32_t in, int32_t table_rows,
                      int32_t c)
{
    return sky_net_layer(b, &(sky_layer){.name = name,
                                         .kind = SKY_LAYER_EMBED,
                                         .n_inputs = 1,
                                         .input = {in},
                                         .table_rows = table_rows,
                                         .out = {.c = c}});
}

void sky_net_fix(sky_network_builder *b, int32_t layer)
{
    if (b->err == SKY_OK)
        b->layers[layer].fixed = true;
}

/* All later sums rest on this: they do not overflow. */
static void check_macs(sky_network_builder *b)
{
    const sky_network net = {.layers = b->layers, .n_layers = b->n};
    double macs = 0; /* not yet known to fit an integer */
    for (int32_t i = 0; i < b->n; i++) {
        const sky_layer *l = &b->layers[i];
        if (!sky__multiplies(l))
            continue;
        sky_conv_shape s = sky__conv_shape(&net, NULL, i);
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
