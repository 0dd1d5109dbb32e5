/* Operators that slide a window, reduce rows and columns, or normalize. */
#include <string.h>

#include "hw/onnx_internal.h"

/* Images: batch, channels, rows and, if there are any, columns. */
static bool image_roles(sky__onnx *g, const sky__onnx_value *v, sky__onnx_role *role)
{
    static const sky__onnx_role of[] = {SKY__ROLE_N, SKY__ROLE_C, SKY__ROLE_H, SKY__ROLE_W};
    if (v->rank != 3 && v->rank != 4)
        return sky__onnx_fail(g, SKY_EINVAL,
                              "its input has %d axes; supported are batch, channels and one or two "
                              "more",
                              v->rank);
    if (sky__onnx_role_of(v, 0, SKY__ROLE_N) != SKY__ROLE_N)
        return sky__onnx_fail(g, SKY_EINVAL, "the first axis of its input is not the batch alone");
    memcpy(role, of, sizeof of);
    return true;
}

/* --- windows --- */

typedef struct window {
    int64_t kernel[2], stride[2], dilation[2];
    int64_t pad[4]; /* top, left, bottom, right, as in ONNX; with one axis: begin, -, end, - */
} window;

static bool read_window(sky__onnx *g, const sky__onnx_value *v, window *w)
{
    const size_t n = (size_t)v->rank - 2; /* 1 or 2 */
    int64_t pads[4] = {0};
    for (int i = 0; i < 2; i++)
        w->stride[i] = w->dilation[i] = 1;
    if (!sky__onnx_ints(g, "kernel_shape", n, w->kernel) ||
        !sky__onnx_ints(g, "strides", n, w->stride) ||
        !sky__onnx_ints(g, "dilations", n, w->dilation) || !sky__onnx_ints(g, "pads", 2 * n, pads))
        return false;
    for (size_t i = 0; i < n; i++) {
        w->pad[i] = pads[i];
        w->pad[i + 2] = pads[i + n];
    }
    for (int i = 0; i < 2; i++) {
        const int64_t most = SKY_WINDOW_EDGE_MAX;
        if (w->kernel[i] < 1 || w->kernel[i] > most || w->stride[i] < 1 || w->stride[i] > most ||
            w->dilation[i] < 1 || w->dilation[i] > most || w->pad[i] < 0 || w->pad[i] > most ||
            w->pad[i + 2] < 0 || w->pad[i + 2] > most)
            return sky__onnx_fail(
                g, SKY_EINVAL,
                "kernel, stride, dilation or pad %lld x %lld, %lld x %lld, %lld x "
                "%lld, %lld ...: supported are 1 (pads: 0) to %d",
                (long long)w->kernel[0], (long long)w->kernel[1], (long long)w->stride[0],
                (long long)w->stride[1], (long long)w->dilation[0], (long long)w->dilation[1],
                (long long)w->pad[0], SKY_WINDOW_EDGE_MAX);
    }
    return true;
}

/* auto_pad, and what is left over at the end where outputs are rounded up. */
static void settle_pads(const sky__onnx *g, const sky__onnx_value *v, window *w)
{
    const SkyOnnx__Attribute *a = sky__onnx_attr(g, "auto_pad");
    const char *how = a ? (const char *)a->s.data : "NOTSET";
    const size_t len = a ? a->s.len : 6;
    const bool upper = len == 10 && memcmp(how, "SAME_UPPER", len) == 0;
    const bool lower = len == 10 && memcmp(how, "SAME_LOWER", len) == 0;
    const bool ceil = sky__onnx_int(g, "ceil_mode", 0) != 0;
    if (a && len == 5 && memcmp(how, "VALID", len) == 0)
        memset(w->pad, 0, sizeof w->pad);
    for (int i = 0; i < v->rank - 2; i++) {
        const int64_t edge = v->dim[i + 2]; /* with what a Pad before added */
        const int64_t covered = w->dilation[i] * (w->kernel[i] - 1) + 1;
        if (upper || lower) {
            const int64_t places = (edge + w->stride[i] - 1) / w->stride[i];
            int64_t all = (places - 1) * w->stride[i] + covered - edge;
            all = all > 0 ? all : 0;
            w->pad[i] = upper ? all / 2 : all - all / 2;
            w->pad[i + 2] = all - w->pad[i];
        }
        const int64_t room = edge + w->pad[i] + w->pad[i + 2] - covered;
        if (ceil && room >= 0 && room % w->stride[i] != 0) {
            const int64_t places = room / w->stride[i] + 1;
            /* As frameworks do: no window begins in the padding at the end. */
            if (places * w->stride[i] < edge + w->pad[i])
                w->pad[i + 2] += w->stride[i] - room % w->stride[i];
        }
        w->pad[i] += v->pad[i];
        w->pad[i + 2] += v->pad[i + 2];
    }
}

static sky_window to_layer(const window *w)
{
    return (sky_window){.kernel_h = (int32_t)w->kernel[0],
                        .kernel_w = (int32_t)w->kernel[1],
                        .stride_h = (int32_t)w->stride[0],
                        .stride_w = (int32_t)w->stride[1],
                        .dilation_h = (int32_t)w->dilation[0],
                        .dilation_w = (int32_t)w->dilation[1],
                        .pad_top = (int32_t)w->pad[0],
                        .pad_left = (int32_t)w->pad[1],
                        .pad_bottom = (int32_t)w->pad[2],
                        .pad_right = (int32_t)w->pad[3]};
}

/* The input of an operator with a window, which may follow a Pad. */
static const sky__onnx_value *padded_input(sky__onnx *g)
{
    const sky__onnx_value *v = sky__onnx_in(g, 0);
    if (v && v->kind == SKY__VALUE_ACT)
        return v;
    return sky__onnx_act(g, 0); /* says why not */
}

/* The layer that reads the input, without what a Pad added: dim[] has that. */
static int32_t window_input(sky__onnx *g, const sky__onnx_value *v, const sky__onnx_role *role)
{
    sky__onnx_value bare = *v;
    for (int32_t axis = 2; axis < v->rank; axis++)
        bare.dim[axis] -= v->pad[axis - 2] + v->pad[axis];
    return sky__onnx_canon(g, &bare, role);
}

/* The output of a layer on images: its batch, and what the layer's shape is. */
static bool set_image(sky__onnx *g, const sky__onnx_value *v, const sky__onnx_role *role,
                      int32_t layer)
{
    if (g->b.err != SKY_OK)
        return sky__onnx_fail(g, g->b.err, "%s", g->b.error.text);
    const sky_shape s = g->b.layers[layer].out;
    const sky__onnx_value out =
        sky__onnx_fresh(layer, v->rank, (int64_t[]){v->dim[0], s.c, s.h, s.w}, role);
    return sky__onnx_set(g, 0, &out);
}

bool sky__onnx_op_conv(sky__onnx *g)
{
    sky__onnx_role role[4];
    const sky__onnx_value *v = padded_input(g), *weights = sky__onnx_in(g, 1);
    if (!v || !image_roles(g, v, role))
        return false;
    if (!weights || weights->kind != SKY__VALUE_CONST || weights->rank != v->rank)
        return sky__onnx_fail(
            g, SKY_EINVAL,
            "its weights must be constant, of the shape filters x channels x rows "
            "x columns");
    window w = {.kernel = {weights->dim[2], v->rank == 4 ? weights->dim[3] : 1}};
    if (!read_window(g, v, &w))
        return false;
    settle_pads(g, v, &w);
    const int32_t in = window_input(g, v, role);
    if (in < 0)
        return false;
    const int64_t groups = sky__onnx_int(g, "group", 1), filters = weights->dim[0];
    if (groups < 1 || groups > SKY_CHANNELS_MAX || filters > SKY_CHANNELS_MAX)
        return sky__onnx_fail(g, SKY_EINVAL, "%lld filters in %lld groups", (long long)filters,
                              (long long)groups);
    const sky_shape shape = g->b.layers[in].out;
    if (weights->dim[1] * groups != shape.c || weights->dim[2] != w.kernel[0] ||
        (v->rank == 4 && weights->dim[3] != w.kernel[1]))
        return sky__onnx_fail(
            g, SKY_EFORMAT,
            "weights for %lld channels in %lld groups on an input of %d channels, "
            "or a kernel_shape that is not theirs",
            (long long)weights->dim[1], (long long)groups, shape.c);
    const int32_t layer = sky_net_layer(
        &g->b, &(sky_layer){.name = sky__onnx_name(g, weights),
                            .kind = SKY_LAYER_CONV,
                            .n_inputs = 1,
                            .input = {in},
                            .window = to_layer(&w),
                            .groups = (int32_t)groups,
                            .bias = sky__onnx_in(g, 2) != NULL,
                            .tied = weights->origin >= 0 && g->value[weights->origin].used,
                            .out = {.c = (int32_t)filters}});
    if (weights->origin >= 0)
        g->value[weights->origin].used = true;
    return set_image(g, v, role, layer);
}

bool sky__onnx_op_pool(sky__onnx *g)
{
    sky__onnx_role role[4];
    const sky__onnx_value *v = padded_input(g);
    window w = {.kernel = {0, 1}};
    if (!v || !image_roles(g, v, role) || !read_window(g, v, &w))
        return false;
    settle_pads(g, v, &w);
    const int32_t in = window_input(g, v, role);
    if (in < 0)
        return false;
    const int32_t layer = sky_net_pool(&g->b, sky__onnx_name(g, NULL), in,
                                       (sky_conv_options){.window = to_layer(&w)});
    return set_image(g, v, role, layer);
}

/* --- reductions --- */

static int32_t pool_all(sky__onnx *g, int32_t in)
{
    const sky_shape s = g->b.layers[in].out;
    if (s.h > SKY_WINDOW_EDGE_MAX || s.w > SKY_WINDOW_EDGE_MAX) {
        sky__onnx_fail(g, SKY_EINVAL, "a reduction over %d x %d values: supported are %d each way",
                       s.h, s.w, SKY_WINDOW_EDGE_MAX);
        return -1;
    }
    return sky_net_pool(&g->b, sky__onnx_name(g, NULL), in,
                        (sky_conv_options){.window = {.kernel_h = s.h,
                                                      .kernel_w = s.w,
                                                      .stride_h = 1,
                                                      .stride_w = 1,
                                                      .dilation_h = 1,
                                                      .dilation_w = 1}});
}

bool sky__onnx_op_global_pool(sky__onnx *g)
{
    sky__onnx_role role[4];
    const sky__onnx_value *v = sky__onnx_act(g, 0);
    if (!v || !image_roles(g, v, role))
        return false;
    const int32_t in = sky__onnx_canon(g, v, role);
    const int32_t layer = in < 0 ? -1 : pool_all(g, in);
    return layer >= 0 && set_image(g, v, role, layer);
}

/* Reduces those axes, and drops them unless keep. */
static bool drop_axes(sky__onnx *g, sky__onnx_value *v, const bool *gone, bool keep)
{
    int64_t dim[SKY__ONNX_RANK_MAX];
    int32_t n = 0;
    for (int32_t i = 0; i < v->rank; i++) {
        if (!gone[i])
            dim[n++] = v->dim[i];
        else if (keep)
            dim[n++] = 1;
    }
    for (int32_t i = 0; i < v->rank; i++) {
        if (gone[i])
            sky__onnx_resize(v, i, SKY__ROLE_H, 1);
    }
    return sky__onnx_regroup(v, n, dim) || sky__onnx_fail(g, SKY_EINVAL, "axes that do not fit");
}

/* The mean of the channels, or of what a norm made of them: a norm in single operators. */
static bool reduce_for_norm(sky__onnx *g, const sky__onnx_value *v, const bool *gone)
{
    sky__onnx_value out = *v;
    int32_t last = v->rank - 1;
    for (int32_t i = 0; i < last; i++) {
        if (gone[i])
            return sky__onnx_fail(g, SKY_EINVAL,
                                  "supported are means of all rows and columns, and "
                                  "of the last axis in a layer norm");
    }
    if (v->kind == SKY__VALUE_SQUARES) {
        out.kind = SKY__VALUE_VARIANCE;
        return sky__onnx_set(g, 0, &out);
    }
    if (strcmp(g->node->op_type, "ReduceMean") != 0)
        return sky__onnx_fail(g, SKY_EINVAL, "of the channels, only the mean is supported");
    const char *name = g->node->input[0];
    out.kind = SKY__VALUE_MEAN;
    out.of = sky__names_find(&g->names, name, strlen(name));
    return sky__onnx_set(g, 0, &out);
}

bool sky__onnx_op_reduce(sky__onnx *g)
{
    const sky__onnx_value *v = sky__onnx_in(g, 0);
    const int64_t *list;
    size_t n;
    if (!sky__onnx_list(g, "axes", 1, &list, &n))
        return false;
    if (!v || (v->kind != SKY__VALUE_SQUARES && !sky__onnx_act(g, 0)))
        return g->err != SKY_OK ? false : sky__onnx_fail(g, SKY_EFORMAT, "input 0 is missing");
    bool gone[SKY__ONNX_RANK_MAX] = {0};
    for (size_t i = 0; i < n; i++) {
        const int32_t axis = sky__onnx_axis(g, list[i], v->rank);
        if (axis < 0)
            return false;
        gone[axis] = true;
    }
    if (v->rank > 0 && n == 0)
        return sky__onnx_fail(g, SKY_EINVAL, "a reduction of all axes, the batch's too");
    sky__onnx_role role[SKY__ONNX_RANK_MAX];
    for (int32_t i = 0; i < v->rank; i++) {
        if (gone[i] && sky__onnx_has_batch(v, i))
            return sky__onnx_fail(g, SKY_EINVAL, "a reduction of the batch's axis");
        if (gone[i] &&
            (sky__onnx_role_of(v, i, SKY__ROLE_H) == SKY__ROLE_C || v->kind != SKY__VALUE_ACT))
            return reduce_for_norm(g, v, gone);
    }
    for (int32_t i = 0; i < v->rank; i++) {
        const int r = sky__onnx_role_of(v, i, gone[i] ? SKY__ROLE_H : SKY__ROLE_C);
        if (!gone[i] && r != SKY__ROLE_C)
            return sky__onnx_fail(g, SKY_EINVAL,
                                  "a reduction of some rows or columns: supported are all of them");
        role[i] = r == -1 ? SKY__ROLE_H : (sky__onnx_role)r;
    }
    sky__onnx_value out = *v;
    const int32_t in = sky__onnx_canon(g, v, role);
    out.layer = in < 0 ? -1 : pool_all(g, in);
    return out.layer >= 0 && drop_axes(g, &out, gone, sky__onnx_int(g, "keepdims", 1) != 0) &&
           sky__onnx_set(g, 0, &out);
}

/* --- padding --- */

bool sky__onnx_op_pad(sky__onnx *g)
{
    const sky__onnx_value *v = sky__onnx_in(g, 0);
    const int64_t *pads;
    size_t n;
    if (!sky__onnx_list(g, "pads", 1, &pads, &n))
        return false;
    if (!v || v->kind != SKY__VALUE_ACT)
        return sky__onnx_act(g, 0) != NULL;
    const int32_t rank = v->rank;
    if (n != 2 * (size_t)rank || sky__onnx_in(g, 3))
        return sky__onnx_fail(g, SKY_EINVAL, "two pads for each of %d axes were expected", rank);
    sky__onnx_value out = *v;
    bool any = false;
    for (int32_t i = 0; i < rank; i++) {
        const int64_t before = pads[i], after = pads[i + rank], most = SKY_WINDOW_EDGE_MAX / 2;
        if (before == 0 && after == 0)
            continue;
        any = true;
        if (i < 2 || i > 3 || rank > 4 || before < 0 || after < 0 || before > most || after > most)
            return sky__onnx_fail(g, SKY_EINVAL,
                                  "supported is padding of rows and columns, by up to %lld",
                                  (long long)most);
        out.pad[i - 2] += (int32_t)before;
        out.pad[i] += (int32_t)after;
        out.dim[i] += before + after;
    }
    if (any && out.pad[0] + out.pad[1] + out.pad[2] + out.pad[3] > SKY_WINDOW_EDGE_MAX)
        return sky__onnx_fail(g, SKY_ELIMIT, "too much padding");
    return sky__onnx_set(g, 0, &out);
}

/* --- norms --- */

bool sky__onnx_op_norm(sky__onnx *g)
{
    const char *op = g->node->op_type;
    const sky__onnx_value *v = sky__onnx_act(g, 0), *scale = sky__onnx_in(g, 1);
    if (!v)
        return false;
    const bool of_last = strcmp(op, "LayerNormalization") == 0 ||
                         strcmp(op, "RMSNormalization") == 0 ||
                         strcmp(op, "SimplifiedLayerNormalization") == 0;
    const bool shifts =
        strcmp(op, "LayerNormalization") != 0 ? !of_last : sky__onnx_in(g, 2) != NULL;
    if (v->rank < 2)
        return sky__onnx_fail(g, SKY_EINVAL, "its input has fewer than two axes");
    const int32_t axis = of_last ? v->rank - 1 : 1;
    const int64_t channels = v->dim[axis];
    if (of_last && sky__onnx_axis(g, sky__onnx_int(g, "axis", -1), v->rank) != axis)
        return g->err == SKY_OK
                   ? sky__onnx_fail(g, SKY_EINVAL, "supported are norms of the last axis")
                   : false;
    if (!scale || scale->kind != SKY__VALUE_CONST || sky__onnx_count(scale) != channels)
        return sky__onnx_fail(g, SKY_EINVAL, "its scale must be constant, of %lld values",
                              (long long)channels);
    sky__onnx_role role[SKY__ONNX_RANK_MAX];
    for (int32_t i = 0; i < v->rank; i++) {
        const int r = sky__onnx_role_of(v, i, SKY__ROLE_H);
        role[i] = i == axis ? SKY__ROLE_C : r == SKY__ROLE_W ? SKY__ROLE_W : SKY__ROLE_H;
    }
    const int32_t in = sky__onnx_canon(g, v, role);
    if (in < 0)
        return false;
    const int32_t layer = sky_net_layer(&g->b, &(sky_layer){.name = sky__onnx_name(g, scale),
                                                            .kind = SKY_LAYER_NORM,
                                                            .n_inputs = 1,
                                                            .input = {in},
                                                            .unlearned = shifts ? 0 : 1});
    const sky__onnx_value out = sky__onnx_relabel(v, layer, role);
    return sky__onnx_set(g, 0, &out);
}
