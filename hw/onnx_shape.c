/* Operators that only move numbers: nearly all of them leave no layer. */
#include <string.h>

#include "hw/onnx_internal.h"

bool sky__onnx_op_alias(sky__onnx *g)
{
    const sky__onnx_value *v = sky__onnx_in(g, 0);
    if (!v)
        return sky__onnx_fail(g, SKY_EFORMAT, "input 0 is missing");
    return sky__onnx_set(g, 0, v);
}

/* The dimensions of its input, as integers. */
bool sky__onnx_op_shape(sky__onnx *g)
{
    const sky__onnx_value *v = sky__onnx_in(g, 0);
    if (!v || v->rank < 0)
        return sky__onnx_fail(g, SKY_EINVAL, "the shape of its input is not known");
    int64_t begin = sky__onnx_int(g, "start", 0), end = sky__onnx_int(g, "end", v->rank);
    begin = begin < 0 ? begin + v->rank : begin;
    end = end < 0 ? end + v->rank : end;
    begin = begin < 0 ? 0 : begin > v->rank ? v->rank : begin;
    end = end < begin ? begin : end > v->rank ? v->rank : end;
    sky__onnx_value out = {.kind = SKY__VALUE_CONST, .rank = 1, .dim = {end - begin}, .origin = -1};
    out.ints = sky_new(&g->scratch, int64_t, SKY__ONNX_RANK_MAX);
    if (!out.ints)
        return sky__onnx_fail(g, SKY_ENOMEM, "%s", sky_strerror(SKY_ENOMEM));
    for (int64_t i = begin; i < end; i++)
        out.ints[i - begin] = v->dim[i];
    return sky__onnx_set(g, 0, &out);
}

/* --- reshapes --- */

/* What a list of the operator Reshape means: 0 is the input's, -1 what is left. */
static bool resolve(sky__onnx *g, const sky__onnx_value *v, const int64_t *list, size_t n,
                    int64_t *dim)
{
    const int64_t all = sky__onnx_count(v);
    const bool copies = sky__onnx_int(g, "allowzero", 0) == 0;
    int64_t known = 1;
    int32_t open = -1;
    if (n > SKY__ONNX_RANK_MAX || all < 1)
        return sky__onnx_fail(g, SKY_EINVAL, "%zu axes; supported are %d", n, SKY__ONNX_RANK_MAX);
    for (size_t i = 0; i < n; i++) {
        dim[i] = list[i] == 0 && copies && (int32_t)i < v->rank ? v->dim[i] : list[i];
        if (dim[i] == -1 && open < 0) {
            open = (int32_t)i;
            continue;
        }
        if (dim[i] > all / known) {
            known = 0; /* does not divide */
            break;
        }
        if (dim[i] < 1)
            return sky__onnx_fail(g, SKY_EFORMAT, "dimension %zu of its new shape is %lld", i,
                                  (long long)list[i]);
        known *= dim[i];
    }
    if (known > 0 && open >= 0)
        dim[open] = all / known;
    if (known == 0 || (open >= 0 ? all % known != 0 : all != known))
        return sky__onnx_fail(g, SKY_EFORMAT, "%lld values do not fit its new shape",
                              (long long)all);
    return true;
}

static bool set_shape(sky__onnx *g, const sky__onnx_value *v, int32_t rank, const int64_t *dim)
{
    sky__onnx_value out = *v;
    if (sky__onnx_regroup(&out, rank, dim))
        return sky__onnx_set(g, 0, &out);
    /* Axes that are neither factors nor products of what was there: another layout altogether. */
    sky__onnx_role role[SKY__ONNX_RANK_MAX];
    sky__onnx_usual_roles(rank, false, role);
    if (rank < 1 || dim[0] != v->dim[0] || sky__onnx_role_of(v, 0, SKY__ROLE_N) != SKY__ROLE_N)
        return sky__onnx_fail(g, SKY_EINVAL, "a reshape that mixes the batch with other axes");
    out = sky__onnx_fresh(v->layer, rank, dim, role);
    out.layer = sky__onnx_canon(g, &out, role);
    return out.layer >= 0 && sky__onnx_set(g, 0, &out);
}

bool sky__onnx_op_reshape(sky__onnx *g)
{
    const sky__onnx_value *v = sky__onnx_act(g, 0);
    const int64_t *list;
    size_t n;
    int64_t dim[SKY__ONNX_RANK_MAX];
    return v && sky__onnx_list(g, "shape", 1, &list, &n) && resolve(g, v, list, n, dim) &&
           set_shape(g, v, (int32_t)n, dim);
}

bool sky__onnx_op_flatten(sky__onnx *g)
{
    const sky__onnx_value *v = sky__onnx_act(g, 0);
    if (!v)
        return false;
    int64_t axis = sky__onnx_int(g, "axis", 1), dim[2] = {1, 1};
    axis = axis < 0 ? axis + v->rank : axis;
    if (axis < 0 || axis > v->rank)
        return sky__onnx_fail(g, SKY_EFORMAT, "axis %lld of %d", (long long)axis, v->rank);
    for (int32_t i = 0; i < v->rank; i++)
        dim[i >= axis] *= v->dim[i];
    return set_shape(g, v, 2, dim);
}

bool sky__onnx_op_transpose(sky__onnx *g)
{
    const sky__onnx_value *v = sky__onnx_act(g, 0);
    if (!v)
        return false;
    int64_t from[SKY__ONNX_RANK_MAX];
    bool seen[SKY__ONNX_RANK_MAX] = {0};
    for (int32_t i = 0; i < v->rank; i++)
        from[i] = v->rank - 1 - i;
    if (!sky__onnx_ints(g, "perm", (size_t)v->rank, from))
        return false;
    sky__onnx_value out = *v;
    out.n_atoms = 0;
    for (int32_t i = 0; i < v->rank; i++) {
        if (from[i] < 0 || from[i] >= v->rank || seen[from[i]])
            return sky__onnx_fail(g, SKY_EFORMAT, "perm is no permutation");
        seen[from[i]] = true;
        out.dim[i] = v->dim[from[i]];
        for (int32_t k = 0; k < v->n_atoms; k++) {
            if (v->atom[k].axis != from[i])
                continue;
            out.atom[out.n_atoms] = v->atom[k];
            out.atom[out.n_atoms++].axis = i;
        }
    }
    return sky__onnx_set(g, 0, &out);
}

bool sky__onnx_op_unsqueeze(sky__onnx *g)
{
    const sky__onnx_value *v = sky__onnx_act(g, 0);
    const int64_t *list;
    size_t n;
    if (!v || !sky__onnx_list(g, "axes", 1, &list, &n))
        return false;
    if ((size_t)v->rank + n > SKY__ONNX_RANK_MAX)
        return sky__onnx_fail(g, SKY_EINVAL, "more than %d axes", SKY__ONNX_RANK_MAX);
    const int32_t rank = v->rank + (int32_t)n;
    int64_t dim[SKY__ONNX_RANK_MAX] = {0};
    for (size_t i = 0; i < n; i++) {
        const int32_t axis = sky__onnx_axis(g, list[i], rank);
        if (axis < 0)
            return false;
        dim[axis] = 1;
    }
    int32_t next = 0;
    for (int32_t i = 0; i < rank; i++) {
        if (dim[i] == 0 && next < v->rank)
            dim[i] = v->dim[next++];
        else if (dim[i] == 0)
            return sky__onnx_fail(g, SKY_EFORMAT, "an axis is there twice");
    }
    return set_shape(g, v, rank, dim);
}

bool sky__onnx_op_squeeze(sky__onnx *g)
{
    const sky__onnx_value *v = sky__onnx_act(g, 0);
    const int64_t *list;
    size_t n;
    if (!v || !sky__onnx_list(g, "axes", 1, &list, &n))
        return false;
    bool gone[SKY__ONNX_RANK_MAX] = {0};
    for (int32_t i = 1; n == 0 && i < v->rank; i++) /* the first may be an open batch */
        gone[i] = v->dim[i] == 1;
    for (size_t i = 0; i < n; i++) {
        const int32_t axis = sky__onnx_axis(g, list[i], v->rank);
        if (axis < 0)
            return false;
        if (v->dim[axis] != 1)
            return sky__onnx_fail(g, SKY_EFORMAT, "axis %d has %lld values, not one", axis,
                                  (long long)v->dim[axis]);
        gone[axis] = true;
    }
    int64_t dim[SKY__ONNX_RANK_MAX];
    int32_t rank = 0;
    for (int32_t i = 0; i < v->rank; i++) {
        if (!gone[i])
            dim[rank++] = v->dim[i];
    }
    return set_shape(g, v, rank, dim);
}

/* Of an activation: only what changes no size. */
bool sky__onnx_op_expand(sky__onnx *g)
{
    const sky__onnx_value *v = sky__onnx_act(g, 0);
    const int64_t *list;
    size_t n;
    if (!v || !sky__onnx_list(g, NULL, 1, &list, &n))
        return false;
    bool same = n <= (size_t)v->rank;
    for (size_t i = 1; same && i <= n; i++)
        same = list[n - i] == 1 || list[n - i] == v->dim[(size_t)v->rank - i];
    if (!same)
        return sky__onnx_fail(g, SKY_EINVAL, "an activation is repeated, which is not supported");
    return sky__onnx_set(g, 0, v);
}

/* --- parts --- */

/* Roles in which an axis is one of channels, rows or columns alone. */
static bool roles_along(sky__onnx *g, const sky__onnx_value *v, int32_t axis, sky__onnx_role *role)
{
    if (sky__onnx_has_batch(v, axis))
        return sky__onnx_fail(g, SKY_EINVAL, "parts of the batch's axis");
    bool alone = true;
    int r = sky__onnx_role_of(v, axis, SKY__ROLE_H);
    for (int32_t i = 0; i < v->rank; i++) {
        const int other = sky__onnx_role_of(v, i, -2); /* -2: it has one value */
        role[i] = other < 0 ? SKY__ROLE_H : (sky__onnx_role)other;
        alone = alone && (i == axis || other != r);
    }
    if (r == SKY__ROLE_C)
        return true; /* channels need no order */
    if (r >= 0 && alone)
        return true;
    /* Rows that are made of several: the axis alone becomes the rows, all others are columns. */
    for (int32_t i = 0; i < v->rank; i++) {
        if (i == axis)
            role[i] = SKY__ROLE_H;
        else if (role[i] != SKY__ROLE_C)
            role[i] = SKY__ROLE_W;
    }
    return true;
}

static sky_axis axis_of(sky__onnx_role role)
{
    return role == SKY__ROLE_C ? SKY_AXIS_C : role == SKY__ROLE_W ? SKY_AXIS_W : SKY_AXIS_H;
}

/* part of the values of an axis, in out. */
static bool take_part(sky__onnx *g, const sky__onnx_value *v, int32_t axis, int64_t part,
                      sky__onnx_value *out)
{
    if (part == v->dim[axis]) {
        *out = *v;
        return true;
    }
    sky__onnx_role role[SKY__ONNX_RANK_MAX];
    if (part < 1 || part > v->dim[axis])
        return sky__onnx_fail(g, SKY_EFORMAT, "%lld of %lld values of axis %d", (long long)part,
                              (long long)v->dim[axis], axis);
    if (!roles_along(g, v, axis, role))
        return false;
    const int32_t in = sky__onnx_canon(g, v, role);
    if (in < 0)
        return false;
    const sky_shape s = g->b.layers[in].out;
    const sky_axis along = axis_of(role[axis]);
    const int64_t whole = along == SKY_AXIS_C ? s.c : along == SKY_AXIS_H ? s.h : s.w;
    const int32_t left = (int32_t)(whole / v->dim[axis] * part);
    const sky_shape shape = {along == SKY_AXIS_C ? left : s.c, along == SKY_AXIS_H ? left : s.h,
                             along == SKY_AXIS_W ? left : s.w};
    const int32_t layer = sky_net_layer(&g->b, &(sky_layer){.name = sky__onnx_name(g, NULL),
                                                            .kind = SKY_LAYER_SLICE,
                                                            .n_inputs = 1,
                                                            .input = {in},
                                                            .axis = along,
                                                            .out = shape});
    *out = sky__onnx_relabel(v, layer, role);
    sky__onnx_resize(out, axis, role[axis], part);
    return true;
}

static int64_t clamp(int64_t x, int64_t lo, int64_t hi)
{
    return x < lo ? lo : x > hi ? hi : x;
}

bool sky__onnx_op_slice(sky__onnx *g)
{
    const sky__onnx_value *v = sky__onnx_act(g, 0);
    const int64_t *begin, *end, *axes, *steps;
    size_t n, n_end, n_axes, n_steps;
    if (!v || !sky__onnx_list(g, "starts", 1, &begin, &n) ||
        !sky__onnx_list(g, "ends", 2, &end, &n_end) ||
        !sky__onnx_list(g, "axes", 3, &axes, &n_axes) ||
        !sky__onnx_list(g, NULL, 4, &steps, &n_steps))
        return false;
    if (n != n_end || (axes && n_axes != n) || (steps && n_steps != n) || n > (size_t)v->rank)
        return sky__onnx_fail(g, SKY_EFORMAT, "starts, ends, axes and steps differ in number");
    sky__onnx_value out = *v;
    for (size_t i = 0; i < n; i++) {
        const int32_t axis = sky__onnx_axis(g, axes ? axes[i] : (int64_t)i, v->rank);
        if (axis < 0)
            return false;
        const int64_t size = out.dim[axis], step = steps ? steps[i] : 1;
        if (step < 1)
            return sky__onnx_fail(g, SKY_EINVAL, "supported are steps from 1");
        const int64_t a = clamp(begin[i] < 0 ? begin[i] + size : begin[i], 0, size);
        const int64_t b = clamp(end[i] < 0 ? end[i] + size : end[i], 0, size);
        const int64_t part = b > a ? (b - a + step - 1) / step : 0;
        const sky__onnx_value before = out;
        if (!take_part(g, &before, axis, part, &out))
            return false;
    }
    return sky__onnx_set(g, 0, &out);
}

bool sky__onnx_op_split(sky__onnx *g)
{
    const sky__onnx_value *v = sky__onnx_act(g, 0);
    const int64_t *list;
    size_t n, outputs = g->node->n_output;
    if (!v || !sky__onnx_list(g, "split", 1, &list, &n))
        return false;
    const int32_t axis = sky__onnx_axis(g, sky__onnx_int(g, "axis", 0), v->rank);
    if (axis < 0)
        return false;
    if (list ? n != outputs : outputs == 0)
        return sky__onnx_fail(g, SKY_EFORMAT, "%zu sizes for %zu outputs", n, outputs);
    const int64_t size = v->dim[axis], each = (size + (int64_t)outputs - 1) / (int64_t)outputs;
    int64_t left = size;
    const sky__onnx_value whole = *v;
    for (size_t i = 0; i < outputs; i++) {
        const int64_t part = list ? list[i] : each < left ? each : left;
        sky__onnx_value out;
        if (part > left || !take_part(g, &whole, axis, part, &out))
            return g->err == SKY_OK ? sky__onnx_fail(g, SKY_EFORMAT, "parts larger than the whole")
                                    : false;
        if (!sky__onnx_set(g, i, &out))
            return false;
        left -= part;
    }
    return left == 0 || sky__onnx_fail(g, SKY_EFORMAT, "the parts are not the whole");
}

/* Rows of a table that the input's values choose. */
static bool embed(sky__onnx *g, const sky__onnx_value *table, const sky__onnx_value *v)
{
    if (table->rank != 2 || v->rank + 1 > SKY__ONNX_RANK_MAX)
        return sky__onnx_fail(g, SKY_EINVAL, "supported is a table with two axes");
    sky__onnx_role role[SKY__ONNX_RANK_MAX];
    for (int32_t i = 0; i < v->rank; i++)
        role[i] = SKY__ROLE_H;
    const int32_t in = sky__onnx_canon(g, v, role);
    if (in < 0)
        return false;
    if (table->origin >= 0)
        g->value[table->origin].used = true;
    const int64_t rows = table->dim[0], c = table->dim[1];
    const int32_t layer = sky_net_embed(&g->b, sky__onnx_name(g, table), in, (int32_t)rows,
                                        c <= SKY_CHANNELS_MAX ? (int32_t)c : 0);
    sky__onnx_value out = sky__onnx_relabel(v, layer, role);
    out.dim[out.rank++] = 1;
    sky__onnx_resize(&out, out.rank - 1, SKY__ROLE_C, c);
    return sky__onnx_set(g, 0, &out);
}

bool sky__onnx_op_gather(sky__onnx *g)
{
    const sky__onnx_value *v = sky__onnx_in(g, 0), *which = sky__onnx_in(g, 1);
    if (!v || !which)
        return sky__onnx_fail(g, SKY_EFORMAT, "an input is missing");
    if (v->kind == SKY__VALUE_CONST) {
        which = sky__onnx_act(g, 1);
        return which && embed(g, v, which);
    }
    v = sky__onnx_act(g, 0);
    if (!v)
        return false;
    const int32_t axis = sky__onnx_axis(g, sky__onnx_int(g, "axis", 0), v->rank);
    if (axis < 0)
        return false;
    if (which->kind != SKY__VALUE_CONST || which->rank < 0 || which->rank > 1)
        return sky__onnx_fail(g, SKY_EINVAL, "supported is a constant index, or a list of them");
    sky__onnx_value out;
    const int64_t part = which->rank == 0 ? 1 : which->dim[0];
    if (!take_part(g, v, axis, part, &out))
        return false;
    if (which->rank == 1)
        return sky__onnx_set(g, 0, &out);
    int64_t dim[SKY__ONNX_RANK_MAX];
    int32_t rank = 0;
    for (int32_t i = 0; i < out.rank; i++) {
        if (i != axis)
            dim[rank++] = out.dim[i];
    }
    return set_shape(g, &out, rank, dim);
}

/* --- side by side --- */

static bool join(sky__onnx *g, const int32_t *layers, size_t n, sky_axis axis, int32_t *out)
{
    int32_t joined = layers[0];
    for (size_t i = 1; i < n;) { /* wider than a layer may be (DenseNet): in several steps */
        sky_layer l = {.kind = SKY_LAYER_CONCAT, .axis = axis, .n_inputs = 1, .input = {joined}};
        l.name = sky__onnx_name(g, NULL);
        while (i < n && l.n_inputs < SKY_LAYER_INPUTS_MAX)
            l.input[l.n_inputs++] = layers[i++];
        joined = sky_net_layer(&g->b, &l);
    }
    *out = joined;
    return g->b.err == SKY_OK || sky__onnx_fail(g, g->b.err, "%s", g->b.error.text);
}

/* Input i as a layer beside the others: a reshape of an activation, or learned values (a class token). */
static int32_t side(sky__onnx *g, const sky__onnx_value *like, int32_t axis,
                    const sky__onnx_role *role, size_t i)
{
    const sky__onnx_value *v = sky__onnx_in(g, i);
    for (int32_t k = 0; v && v->rank == like->rank && k < v->rank; k++) {
        if (k != axis && v->dim[k] != like->dim[k])
            v = NULL;
    }
    if (!v || v->rank != like->rank) {
        sky__onnx_fail(g, SKY_EFORMAT, "input %zu differs in shape", i);
        return -1;
    }
    if (v->kind == SKY__VALUE_ACT)
        return (v = sky__onnx_act(g, i)) ? sky__onnx_canon(g, v, role) : -1;
    int64_t c = 1, h = 1, w = 1;
    for (int32_t k = 0; k < v->rank; k++) {
        int64_t *of = role[k] == SKY__ROLE_C ? &c : role[k] == SKY__ROLE_W ? &w : &h;
        if (v->dim[k] > SKY__ONNX_DIM_MAX / *of)
            return sky__onnx_fail(g, SKY_ELIMIT, "too many values"), -1;
        if (!sky__onnx_has_batch(like, k))
            *of *= v->dim[k];
    }
    if (v->origin >= 0)
        g->value[v->origin].used = true;
    return sky_net_layer(&g->b, &(sky_layer){.name = sky__onnx_name(g, v),
                                             .kind = SKY_LAYER_TENSOR,
                                             .out = {(int32_t)c, (int32_t)h, (int32_t)w}});
}

bool sky__onnx_op_concat(sky__onnx *g)
{
    enum { INPUTS_MAX = 1024 };
    const size_t n = g->node->n_input;
    const sky__onnx_value *first = NULL;
    for (size_t i = 0; i < n && !first; i++) {
        first = sky__onnx_in(g, i);
        if (first && first->kind != SKY__VALUE_ACT)
            first = NULL;
    }
    if (!first || n > INPUTS_MAX)
        return sky__onnx_fail(g, SKY_EINVAL,
                              "supported are 1 to %d inputs, of which one depends on "
                              "the network's",
                              INPUTS_MAX);
    const sky__onnx_value like = *first;
    const int32_t axis = sky__onnx_axis(g, sky__onnx_int(g, "axis", 0), like.rank);
    sky__onnx_role role[SKY__ONNX_RANK_MAX];
    if (axis < 0 || !roles_along(g, &like, axis, role))
        return false;
    int32_t layers[INPUTS_MAX], layer;
    int64_t size = 0;
    for (size_t i = 0; i < n; i++) {
        layers[i] = side(g, &like, axis, role, i);
        if (layers[i] < 0)
            return false;
        size += sky__onnx_in(g, i)->dim[axis];
    }
    if (!join(g, layers, n, axis_of(role[axis]), &layer))
        return false;
    sky__onnx_value out = sky__onnx_relabel(&like, layer, role);
    sky__onnx_resize(&out, axis, role[axis], size);
    return sky__onnx_set(g, 0, &out);
}
