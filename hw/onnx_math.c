/* Matrix products, and what works on each number by itself. */
#include <string.h>

#include "hw/onnx_internal.h"

/* --- products with weights --- */

static bool take_weights(sky__onnx *g, const sky__onnx_value *w)
{
    const bool tied = w->origin >= 0 && g->value[w->origin].used;
    if (w->origin >= 0)
        g->value[w->origin].used = true;
    return tied;
}

/* rows (all axes but the last) x k values times k x n weights. */
static bool dense(sky__onnx *g, const sky__onnx_value *v, const sky__onnx_value *weights, int64_t n,
                  bool bias)
{
    const int32_t last = v->rank - 1;
    sky__onnx_role role[SKY__ONNX_RANK_MAX];
    bool one_row = true; /* a sample: then the whole of it is flattened */
    for (int32_t i = 0; i < last; i++) {
        const int r = sky__onnx_role_of(v, i, -2);
        role[i] = r == SKY__ROLE_W ? SKY__ROLE_W : SKY__ROLE_H;
        one_row = one_row && r == -2;
    }
    role[last] = SKY__ROLE_C;
    if (n > SKY_CHANNELS_MAX)
        return sky__onnx_fail(g, SKY_ELIMIT, "%lld outputs", (long long)n);
    sky_layer l = {.name = sky__onnx_name(g, weights),
                   .kind = one_row ? SKY_LAYER_LINEAR : SKY_LAYER_CONV,
                   .n_inputs = 1,
                   .window = {1, 1, 1, 1, 1, 1, 0, 0, 0, 0},
                   .groups = 1,
                   .bias = bias,
                   .tied = take_weights(g, weights),
                   .out = {.c = (int32_t)n}};
    const int32_t in = one_row ? v->layer : sky__onnx_canon(g, v, role);
    if (in < 0)
        return false;
    l.input[0] = in;
    const int32_t layer = sky_net_layer(&g->b, &l);
    sky__onnx_value out = sky__onnx_relabel(v, layer, role);
    sky__onnx_resize(&out, last, SKY__ROLE_C, n);
    return sky__onnx_set(g, 0, &out);
}

bool sky__onnx_op_gemm(sky__onnx *g)
{
    const sky__onnx_value *v = sky__onnx_act(g, 0), *w = sky__onnx_in(g, 1);
    if (!v)
        return false;
    if (!w || w->kind != SKY__VALUE_CONST || w->rank != 2 || v->rank != 2 ||
        sky__onnx_int(g, "transA", 0) != 0)
        return sky__onnx_fail(g, SKY_EINVAL,
                              "supported is a matrix, not transposed, times constant weights");
    const bool transposed = sky__onnx_int(g, "transB", 0) != 0;
    const int64_t k = w->dim[transposed ? 1 : 0], n = w->dim[transposed ? 0 : 1];
    if (v->dim[1] != k || sky__onnx_has_batch(v, 1))
        return sky__onnx_fail(g, SKY_EFORMAT, "%lld columns times weights of %lld rows",
                              (long long)v->dim[1], (long long)k);
    return dense(g, v, w, n, sky__onnx_in(g, 2) != NULL);
}

/* --- products of activations --- */

/* Each axis but the last two tells products apart. Those are groups of channels (heads). */
static bool product(sky__onnx *g, const sky__onnx_value *x, const sky__onnx_value *y)
{
    const int32_t rank = x->rank, row = rank - 2, last = rank - 1;
    if (y->rank != rank || rank < 2)
        return sky__onnx_fail(g, SKY_EINVAL, "a product of %d and %d axes", x->rank, y->rank);
    int64_t groups = 1;
    for (int32_t i = 0; i < row; i++) {
        if (x->dim[i] != y->dim[i])
            return sky__onnx_fail(g, SKY_EINVAL, "products of %lld by %lld matrices",
                                  (long long)x->dim[i], (long long)y->dim[i]);
    }
    for (int32_t i = 0; i < x->n_atoms; i++) {
        if (x->atom[i].axis < row && x->atom[i].role != SKY__ROLE_N)
            groups *= x->atom[i].size;
    }
    if (x->dim[last] != y->dim[row])
        return sky__onnx_fail(g, SKY_EFORMAT, "%lld columns times %lld rows",
                              (long long)x->dim[last], (long long)y->dim[row]);
    if (sky__onnx_has_batch(x, last) || sky__onnx_has_batch(y, row) || sky__onnx_has_batch(y, last))
        return sky__onnx_fail(g, SKY_EINVAL, "a product over the batch");
    /* Whether the second operand is channels by rows (keys) or rows by channels (values). */
    const bool transposed = sky__onnx_role_of(y, row, SKY__ROLE_H) == SKY__ROLE_C;
    sky__onnx_role of_x[SKY__ONNX_RANK_MAX], of_y[SKY__ONNX_RANK_MAX];
    for (int32_t i = 0; i < rank; i++)
        of_x[i] = of_y[i] = SKY__ROLE_C;
    of_x[row] = SKY__ROLE_H;
    of_y[transposed ? last : row] = SKY__ROLE_H;
    const int32_t a = sky__onnx_canon(g, x, of_x), b = a < 0 ? -1 : sky__onnx_canon(g, y, of_y);
    if (b < 0)
        return false;
    const int32_t layer =
        sky_net_matmul(&g->b, sky__onnx_name(g, NULL), a, b,
                       groups <= SKY_CHANNELS_MAX ? (int32_t)groups : 0, transposed);
    sky__onnx_value out = sky__onnx_relabel(x, layer, of_x);
    sky__onnx_resize(&out, last, SKY__ROLE_C, y->dim[last]);
    return sky__onnx_set(g, 0, &out);
}

bool sky__onnx_op_matmul(sky__onnx *g)
{
    const sky__onnx_value *x = sky__onnx_act(g, 0), *y = sky__onnx_in(g, 1);
    if (!x)
        return false;
    if (!y || y->kind != SKY__VALUE_CONST) {
        y = sky__onnx_act(g, 1);
        return y && product(g, x, y);
    }
    if (y->rank != 2 || x->rank < 2)
        return sky__onnx_fail(g, SKY_EINVAL, "supported are weights with two axes, not %d",
                              y->rank);
    if (x->dim[x->rank - 1] != y->dim[0] || sky__onnx_has_batch(x, x->rank - 1))
        return sky__onnx_fail(g, SKY_EFORMAT, "%lld columns times weights of %lld rows",
                              (long long)x->dim[x->rank - 1], (long long)y->dim[0]);
    return dense(g, x, y, y->dim[1], false);
}

/* --- elementwise --- */

bool sky__onnx_op_unary(sky__onnx *g)
{
    const sky__onnx_value *v = sky__onnx_in(g, 0);
    const char *op = g->node->op_type;
    if (v && v->kind == SKY__VALUE_VARIANCE && strcmp(op, "Sqrt") == 0) {
        sky__onnx_value out = *v;
        out.kind = SKY__VALUE_DEVIATION;
        return sky__onnx_set(g, 0, &out);
    }
    if (v && v->kind == SKY__VALUE_DEVIATION && strcmp(op, "Reciprocal") == 0) {
        sky__onnx_value out = *v;
        out.kind = SKY__VALUE_INVERSE;
        return sky__onnx_set(g, 0, &out);
    }
    v = sky__onnx_act(g, 0);
    return v && sky__onnx_activation(g, v);
}

static bool spreads(sky_shape small, sky_shape large)
{
    return (small.c == large.c || small.c == 1) && (small.h == large.h || small.h == 1) &&
           (small.w == large.w || small.w == 1);
}

/* The channels, rows and columns of something with the shape dim (batch left out) beside v, axes aligned at
 * the end. */
static bool beside(const sky__onnx_value *v, int32_t rank, const int64_t *dim, sky_shape *out)
{
    int64_t extent[4] = {1, 1, 1, 1};
    for (int32_t i = 0; i < rank; i++) {
        const int32_t axis = v->rank - rank + i;
        const int role = axis < 0 ? SKY__ROLE_H : sky__onnx_role_of(v, axis, SKY__ROLE_H);
        if (role < 0 || dim[i] > SKY__ONNX_DIM_MAX / extent[role])
            return false;
        if (axis < 0 || !sky__onnx_has_batch(v, axis))
            extent[role] *= dim[i];
    }
    *out = (sky_shape){(int32_t)extent[SKY__ROLE_C], (int32_t)extent[SKY__ROLE_H],
                       (int32_t)extent[SKY__ROLE_W]};
    return true;
}

/* A square that is the same for all heads is a mask, which nobody learned. */
static bool is_mask(const sky__onnx_value *v, const sky__onnx_value *c)
{
    if (v->rank < 4 || c->rank < 2 || c->dim[c->rank - 1] != c->dim[c->rank - 2] ||
        c->dim[c->rank - 1] == 1)
        return false;
    for (int32_t i = 0; i < c->rank - 2; i++) {
        if (c->dim[i] != 1)
            return false;
    }
    return true;
}

int32_t sky__onnx_tensor(sky__onnx *g, const sky__onnx_value *v, const sky__onnx_value *constant)
{
    sky_shape shape;
    const int64_t count = sky__onnx_count(constant);
    if (!constant->learned || count < 1 || count > SKY__ONNX_DIM_MAX || is_mask(v, constant))
        return -1;
    if (!beside(v, constant->rank, constant->dim, &shape))
        shape = (sky_shape){1, (int32_t)count, 1};
    if (constant->origin >= 0) {
        if (g->value[constant->origin].used)
            return -1; /* its parameters are there already */
        g->value[constant->origin].used = true;
    }
    const int32_t layer = sky_net_layer(&g->b, &(sky_layer){.name = sky__onnx_name(g, constant),
                                                            .kind = SKY_LAYER_TENSOR,
                                                            .table_rows = constant->table_rows,
                                                            .out = shape});
    if (g->b.err != SKY_OK) {
        sky__onnx_fail(g, g->b.err, "%s", g->b.error.text);
        return -1;
    }
    return spreads(shape, g->b.layers[v->layer].out) ? layer : -1;
}

static bool add_layers(sky__onnx *g, const sky__onnx_value *v, int32_t other)
{
    sky__onnx_value out = *v;
    out.layer = sky_net_add(&g->b, sky__onnx_name(g, NULL), v->layer, other);
    return sky__onnx_set(g, 0, &out);
}

/* The layer's missing parameter per channel, if that is what a constant is. The node's first or second
 * input is v; nobody else reads it. */
static bool absorb(sky__onnx *g, const sky__onnx_value *v, const sky__onnx_value *constant)
{
    sky_layer *l = &g->b.layers[v->layer];
    const char *op = g->node->op_type;
    const int32_t last = v->rank - 1;
    const size_t in = sky__onnx_in(g, 0) == v ? 0 : 1;
    const char *name = g->node->input[in];
    const int32_t index = sky__names_find(&g->names, name, strlen(name));
    if (!constant->learned || g->readers[index] != 1 || last < 0 ||
        sky__onnx_count(constant) != v->dim[last] ||
        constant->dim[constant->rank - 1] != l->out.c ||
        sky__onnx_role_of(v, last, SKY__ROLE_C) != SKY__ROLE_C)
        return false;
    const bool add = strcmp(op, "Add") == 0, multiply = strcmp(op, "Mul") == 0;
    const bool dense = l->kind == SKY_LAYER_LINEAR || l->kind == SKY_LAYER_CONV;
    if (add && dense && !l->bias) {
        l->bias = true;
    } else if (l->kind == SKY_LAYER_NORM &&
               ((multiply && l->unlearned == 2) || (add && l->unlearned == 1))) {
        l->unlearned--;
    } else {
        return false;
    }
    if (constant->origin >= 0)
        g->value[constant->origin].used = true;
    return true;
}

static bool with_constant(sky__onnx *g, const sky__onnx_value *v, const sky__onnx_value *constant)
{
    if (sky__onnx_count(constant) == 1)
        return sky__onnx_activation(g, v);
    if (absorb(g, v, constant))
        return sky__onnx_set(g, 0, v);
    const int32_t tensor = sky__onnx_tensor(g, v, constant);
    if (g->err != SKY_OK)
        return false;
    return tensor < 0 ? sky__onnx_activation(g, v) : add_layers(g, v, tensor);
}

/* x is the larger one. */
static bool with_activation(sky__onnx *g, const sky__onnx_value *x, const sky__onnx_value *y)
{
    const sky_shape whole = g->b.layers[x->layer].out;
    if (spreads(g->b.layers[y->layer].out, whole))
        return add_layers(g, x, y->layer);
    /* Such as a mask that is the same for all heads: no layer's shape, and of no weight. */
    return sky__onnx_activation(g, x);
}

/* Axes fit each other, aligned at the end. */
static bool fits(const sky__onnx_value *x, const sky__onnx_value *y)
{
    for (int32_t i = 1; i <= x->rank && i <= y->rank; i++) {
        const int64_t a = x->dim[x->rank - i], b = y->dim[y->rank - i];
        if (a != b && a != 1 && b != 1)
            return false;
    }
    return true;
}

/* What is normal, a norm in single operators: (x - mean(x)) / sqrt(mean((x - mean(x))^2) + epsilon). */
static bool step_of_norm(sky__onnx *g, const sky__onnx_value *x, const sky__onnx_value *y)
{
    const char *op = g->node->op_type;
    sky__onnx_value out = *x;
    const bool first_is_of = y->of >= 0 && x == &g->value[y->of];
    if (strcmp(op, "Sub") == 0 && y->kind == SKY__VALUE_MEAN && first_is_of) {
        out.kind = SKY__VALUE_CENTERED;
        out.of = y->of;
    } else if (x->kind == SKY__VALUE_CENTERED &&
               ((strcmp(op, "Pow") == 0 && y->kind == SKY__VALUE_CONST) ||
                (strcmp(op, "Mul") == 0 && x == y))) {
        out.kind = SKY__VALUE_SQUARES;
    } else if (x->kind == SKY__VALUE_VARIANCE && strcmp(op, "Add") == 0 &&
               y->kind == SKY__VALUE_CONST) {
        out.kind = SKY__VALUE_VARIANCE;
    } else if (x->kind == SKY__VALUE_CENTERED && y->of == x->of &&
               ((strcmp(op, "Div") == 0 && y->kind == SKY__VALUE_DEVIATION) ||
                (strcmp(op, "Mul") == 0 && y->kind == SKY__VALUE_INVERSE))) {
        out = g->value[x->of];
        out.layer = sky_net_layer(&g->b, &(sky_layer){.name = sky__onnx_name(g, NULL),
                                                      .kind = SKY_LAYER_NORM,
                                                      .n_inputs = 1,
                                                      .input = {out.layer},
                                                      .unlearned = 2});
    } else {
        return sky__onnx_fail(g, SKY_EINVAL,
                              "a mean over channels that is not part of a layer norm");
    }
    return sky__onnx_set(g, 0, &out);
}

static bool is_step(const sky__onnx_value *v)
{
    return v->kind != SKY__VALUE_CONST && v->kind != SKY__VALUE_ACT;
}

/* Sum, Max, Min and Mean of any number. Constants among them change no shape. */
static bool of_many(sky__onnx *g)
{
    const sky__onnx_value *largest = NULL;
    sky_layer l = {.kind = SKY_LAYER_ADD};
    for (size_t i = 0; i < g->node->n_input; i++) {
        const sky__onnx_value *v = sky__onnx_in(g, i);
        if (!v || v->kind == SKY__VALUE_CONST)
            continue;
        if (!sky__onnx_act(g, i))
            return false;
        if (largest && !fits(largest, v))
            return sky__onnx_fail(g, SKY_EFORMAT, "its inputs differ in shape");
        if (l.n_inputs == SKY_LAYER_INPUTS_MAX)
            return sky__onnx_fail(g, SKY_EINVAL, "supported are %d inputs", SKY_LAYER_INPUTS_MAX);
        l.input[l.n_inputs++] = v->layer;
        if (!largest || sky__onnx_count(v) > sky__onnx_count(largest))
            largest = v;
    }
    sky__onnx_value out = *largest; /* not all are constant */
    l.name = sky__onnx_name(g, NULL);
    out.layer = sky_net_layer(&g->b, &l);
    return sky__onnx_set(g, 0, &out);
}

bool sky__onnx_op_elementwise(sky__onnx *g)
{
    const sky__onnx_value *x = sky__onnx_in(g, 0), *y = sky__onnx_in(g, 1);
    if (!x)
        return sky__onnx_fail(g, SKY_EFORMAT, "input 0 is missing");
    if (!y)
        return sky__onnx_op_unary(g); /* Sum, Max and Min of one */
    if (g->node->n_input > 2)
        return of_many(g);
    if (is_step(x) || is_step(y))
        return x->kind == SKY__VALUE_CONST ? step_of_norm(g, y, x) : step_of_norm(g, x, y);
    if (x->kind == SKY__VALUE_CONST)
        return (y = sky__onnx_act(g, 1)) && with_constant(g, y, x);
    if (!(x = sky__onnx_act(g, 0)))
        return false;
    if (y->kind == SKY__VALUE_CONST)
        return with_constant(g, x, y);
    if (!(y = sky__onnx_act(g, 1)))
        return false;
    if (!fits(x, y))
        return sky__onnx_fail(g, SKY_EFORMAT, "its inputs differ in shape");
    const bool x_is_larger = sky__onnx_count(x) >= sky__onnx_count(y);
    return x_is_larger ? with_activation(g, x, y) : with_activation(g, y, x);
}

bool sky__onnx_op_where(sky__onnx *g)
{
    const sky__onnx_value *x = sky__onnx_in(g, 1), *y = sky__onnx_in(g, 2), *larger = NULL;
    for (size_t i = 1; i < 3; i++) { /* the condition is a mask; of the others, the larger one */
        const sky__onnx_value *v = i == 1 ? x : y;
        if (v && v->kind == SKY__VALUE_ACT &&
            (!larger || sky__onnx_count(v) > sky__onnx_count(larger)))
            larger = v;
    }
    if (!larger)
        larger = sky__onnx_in(g, 0);
    if (!larger || larger->kind != SKY__VALUE_ACT)
        return sky__onnx_act(g, 1) != NULL && false;
    return sky__onnx_activation(g, larger);
}
