/* Constants: tensors of the file, and what exporters compute from them, which are mostly shapes. What is not known
 * stays unknown (rank -1); only who needs it complains. */
#include <string.h>

#include "hw/onnx_fold.h"

enum { /* TensorProto.DataType */
       FLOAT = 1,
       UINT8 = 2,
       INT8 = 3,
       INT32 = 6,
       INT64 = 7,
       BOOL = 9,
       FLOAT16 = 10,
       DOUBLE = 11,
       BFLOAT16 = 16,
};

static bool no_memory(sky__onnx *g)
{
    return sky__onnx_fail(g, SKY_ENOMEM, "%s", sky_strerror(SKY_ENOMEM));
}

static sky__onnx_value constant(void)
{
    return (sky__onnx_value){.kind = SKY__VALUE_CONST, .rank = -1, .origin = -1, .of = -1};
}

/* --- tensors of the file --- */

/* The numbers of a small integer tensor, if they are there. False when out of memory. */
static bool read_ints(sky__onnx *g, const SkyOnnx__Tensor *t, sky__onnx_value *v)
{
    const int64_t count = sky__onnx_count(v);
    if (count < 0 || count > SKY__ONNX_INTS_MAX)
        return true;
    const size_t n = (size_t)count;
    const size_t bytes = t->data_type == INT64   ? 8
                         : t->data_type == INT32 ? 4
                         : t->data_type == BOOL || t->data_type == UINT8 || t->data_type == INT8
                             ? 1
                             : 0;
    const bool raw = bytes > 0 && n > 0 && t->raw_data.len == n * bytes;
    const bool is64 = t->data_type == INT64 && t->n_int64_data == n;
    const bool is32 = bytes > 0 && bytes < 8 && t->n_int32_data == n;
    if (bytes == 0 || (!raw && !is64 && !is32))
        return true;
    v->ints = sky_new(&g->scratch, int64_t, n + 1);
    if (!v->ints)
        return false;
    for (size_t i = 0; i < n; i++) {
        uint64_t x = 0;
        if (!raw) {
            v->ints[i] = is64 ? t->int64_data[i] : t->int32_data[i];
            continue;
        }
        for (size_t k = 0; k < bytes; k++) /* little-endian */
            x |= (uint64_t)t->raw_data.data[bytes * i + k] << (8 * k);
        v->ints[i] = bytes == 8   ? (int64_t)x
                     : bytes == 4 ? (int64_t)(int32_t)(uint32_t)x
                                  : (int64_t)x;
    }
    return true;
}

sky_err sky__onnx_tensor_value(sky__onnx *g, const SkyOnnx__Tensor *t, int32_t origin,
                               sky__onnx_value *out)
{
    sky__onnx_value v = constant();
    if (t->n_dims > SKY__ONNX_RANK_MAX)
        return SKY_ELIMIT;
    v.rank = (int32_t)t->n_dims;
    for (size_t i = 0; i < t->n_dims; i++) {
        if (t->dims[i] < 0 || t->dims[i] > SKY__ONNX_DIM_MAX)
            return SKY_EFORMAT;
        v.dim[i] = t->dims[i];
    }
    if (sky__onnx_count(&v) < 0)
        return SKY_ELIMIT;
    v.origin = origin;
    const int32_t type = t->data_type;
    v.learned = origin >= 0 && (type == FLOAT || type == FLOAT16 || type == DOUBLE ||
                                type == BFLOAT16 || type == INT8 || type == UINT8);
    if (!read_ints(g, t, &v))
        return SKY_ENOMEM;
    *out = v;
    return SKY_OK;
}

static bool fold_constant(sky__onnx *g)
{
    sky__onnx_value v = constant();
    const SkyOnnx__Attribute *a = sky__onnx_attr(g, "value");
    if (a && a->t) {
        const sky_err err = sky__onnx_tensor_value(g, a->t, -1, &v);
        if (err != SKY_OK)
            return sky__onnx_fail(g, err, "its value's shape is out of range");
        return sky__onnx_set(g, 0, &v);
    }
    const SkyOnnx__Attribute *one = sky__onnx_attr(g, "value_int");
    const SkyOnnx__Attribute *list = sky__onnx_attr(g, "value_ints");
    if (sky__onnx_attr(g, "value_float"))
        v.rank = 0;
    if (one || list) {
        const size_t n = one ? 1 : list->n_ints;
        v.rank = one ? 0 : 1;
        v.dim[0] = (int64_t)n;
        if (n <= SKY__ONNX_INTS_MAX) {
            v.ints = sky_new(&g->scratch, int64_t, n + 1);
            if (!v.ints)
                return no_memory(g);
            if (n > 0)
                memcpy(v.ints, one ? &one->i : list->ints, n * sizeof *v.ints);
        }
    }
    return sky__onnx_set(g, 0, &v);
}

/* --- computed ones --- */

static bool fold_of_shape(sky__onnx *g)
{
    const sky__onnx_value *shape = sky__onnx_in(g, 0);
    sky__onnx_value v = constant();
    const int64_t rank = shape->ints ? sky__onnx_count(shape) : -1;
    if (rank < 0 || rank > SKY__ONNX_RANK_MAX)
        return sky__onnx_set(g, 0, &v);
    v.rank = (int32_t)rank;
    for (int32_t i = 0; i < v.rank; i++) {
        v.dim[i] = shape->ints[i];
        if (v.dim[i] < 0 || v.dim[i] > SKY__ONNX_DIM_MAX)
            return sky__onnx_fail(g, SKY_EFORMAT, "a dimension of %lld", (long long)v.dim[i]);
    }
    const int64_t n = sky__onnx_count(&v);
    const SkyOnnx__Attribute *a = sky__onnx_attr(g, "value");
    sky__onnx_value one = constant();
    if (a && a->t && sky__onnx_tensor_value(g, a->t, -1, &one) == SKY_ENOMEM)
        return no_memory(g);
    if (one.ints && n >= 0 && n <= SKY__ONNX_INTS_MAX && sky__onnx_count(&one) == 1) {
        v.ints = sky_new(&g->scratch, int64_t, (size_t)n + 1);
        if (!v.ints)
            return no_memory(g);
        for (int64_t i = 0; i < n; i++)
            v.ints[i] = one.ints[0];
    }
    return sky__onnx_set(g, 0, &v);
}

static bool fold_range(sky__onnx *g)
{
    const sky__onnx_value *in[3] = {sky__onnx_in(g, 0), sky__onnx_in(g, 1), sky__onnx_in(g, 2)};
    sky__onnx_value v = constant();
    for (int i = 0; i < 3; i++) {
        if (!in[i] || !in[i]->ints || sky__onnx_count(in[i]) != 1)
            return sky__onnx_set(g, 0, &v);
    }
    const int64_t begin = in[0]->ints[0], end = in[1]->ints[0], step = in[2]->ints[0];
    const int64_t most = SKY__ONNX_DIM_MAX;
    if (step < 1 || step > most || begin < -most || begin > most || end > most)
        return sky__onnx_set(g, 0, &v);
    v.rank = 1;
    v.dim[0] = end > begin ? (end - begin + step - 1) / step : 0;
    if (v.dim[0] <= SKY__ONNX_INTS_MAX) {
        v.ints = sky_new(&g->scratch, int64_t, (size_t)v.dim[0] + 1);
        if (!v.ints)
            return no_memory(g);
        for (int64_t i = 0; i < v.dim[0]; i++)
            v.ints[i] = begin + i * step;
    }
    return sky__onnx_set(g, 0, &v);
}

/* Inputs from the first on are integers whose numbers are known, as far as they are there. */
static bool are_known(const sky__onnx *g, size_t first)
{
    for (size_t i = first; i < g->node->n_input; i++) {
        const sky__onnx_value *v = sky__onnx_in(g, i);
        if (v && !v->ints)
            return false;
    }
    return true;
}

static bool set_unshaped(sky__onnx *g, const sky__onnx_value *v)
{
    sky__onnx_value out = *v;
    out.rank = -1;
    out.ints = NULL;
    return sky__onnx_set(g, 0, &out);
}

/* Numbers stay where they are: only the dimensions change. */
static bool fold_same_order(sky__onnx *g)
{
    const sky__onnx_value *v = sky__onnx_in(g, 0);
    const char *op = g->node->op_type;
    if (!are_known(g, 1))
        return set_unshaped(g, v);
    sky__onnx_value out = *v;
    const int64_t *list = NULL, all = sky__onnx_count(v);
    size_t n = 0;
    const bool reshapes = strcmp(op, "Reshape") == 0;
    if (!sky__onnx_list(g, reshapes ? "shape" : "axes", 1, &list, &n))
        return false;
    out.rank = -1;
    if (all < 0 || n > SKY__ONNX_RANK_MAX ||
        (!reshapes && v->rank + (int32_t)n > SKY__ONNX_RANK_MAX))
        return sky__onnx_set(g, 0, &out);
    int64_t dim[2 * SKY__ONNX_RANK_MAX] = {0};
    int32_t rank = 0;
    if (reshapes) {
        int64_t known = 1;
        for (size_t i = 0; i < n; i++) {
            dim[i] = list[i] == 0 && (int32_t)i < v->rank ? v->dim[i] : list[i];
            if (dim[i] > 0 && dim[i] <= all)
                known = known > all ? known : known * dim[i];
        }
        for (size_t i = 0; i < n; i++)
            dim[i] = dim[i] == -1 && known > 0 ? all / known : dim[i];
        rank = (int32_t)n;
    } else if (strcmp(op, "Unsqueeze") == 0) {
        rank = v->rank + (int32_t)n;
        for (size_t i = 0; i < n; i++) {
            const int32_t axis = sky__onnx_axis(g, list[i], rank);
            if (axis < 0)
                return false;
            dim[axis] = -1;
        }
        for (int32_t i = 0, from = 0; i < rank; i++)
            dim[i] = dim[i] == -1 ? 1 : from < v->rank ? v->dim[from++] : 0;
    } else { /* Squeeze */
        bool gone[SKY__ONNX_RANK_MAX] = {0};
        for (size_t i = 0; i < n; i++) {
            const int32_t axis = sky__onnx_axis(g, list[i], v->rank);
            if (axis < 0)
                return false;
            gone[axis] = true;
        }
        for (int32_t i = 0; i < v->rank; i++) {
            if (n > 0 ? !gone[i] : v->dim[i] != 1)
                dim[rank++] = v->dim[i];
        }
    }
    out.rank = rank;
    memcpy(out.dim, dim, sizeof out.dim);
    for (int32_t i = 0; i < rank; i++) {
        if (dim[i] < 0 || dim[i] > SKY__ONNX_DIM_MAX)
            return sky__onnx_fail(g, SKY_EFORMAT, "a dimension of %lld", (long long)dim[i]);
    }
    if (sky__onnx_count(&out) != all)
        return sky__onnx_fail(g, SKY_EFORMAT, "its new shape has another number of values");
    return sky__onnx_set(g, 0, &out);
}

static bool fold_transpose(sky__onnx *g)
{
    const sky__onnx_value *v = sky__onnx_in(g, 0);
    sky__onnx_value out = *v;
    if (v->rank < 0)
        return sky__onnx_set(g, 0, &out);
    int64_t from[SKY__ONNX_RANK_MAX];
    for (int32_t i = 0; i < v->rank; i++)
        from[i] = v->rank - 1 - i;
    if (!sky__onnx_ints(g, "perm", (size_t)v->rank, from))
        return false;
    uint32_t seen = 0;
    for (int32_t i = 0; i < v->rank; i++) {
        if (from[i] < 0 || from[i] >= v->rank || (seen & 1u << from[i]))
            return sky__onnx_fail(g, SKY_EFORMAT, "perm is no permutation");
        seen |= 1u << from[i];
        out.dim[i] = v->dim[from[i]];
    }
    if (v->rank > 1)
        out.ints = NULL;
    return sky__onnx_set(g, 0, &out);
}

static bool fold_gather(sky__onnx *g)
{
    const sky__onnx_value *v = sky__onnx_in(g, 0), *which = sky__onnx_in(g, 1);
    sky__onnx_value out = *v;
    out.ints = NULL;
    out.rank = -1;
    if (!which)
        return sky__onnx_fail(g, SKY_EFORMAT, "input 1 is missing");
    if (v->rank < 1 || which->rank < 0 || v->rank + which->rank - 1 > SKY__ONNX_RANK_MAX)
        return sky__onnx_set(g, 0, &out);
    const int32_t axis = sky__onnx_axis(g, sky__onnx_int(g, "axis", 0), v->rank);
    if (axis < 0)
        return false;
    out.rank = 0;
    for (int32_t i = 0; i < v->rank; i++) {
        for (int32_t k = 0; i == axis && k < which->rank; k++)
            out.dim[out.rank++] = which->dim[k];
        if (i != axis)
            out.dim[out.rank++] = v->dim[i];
    }
    if (v->learned && axis == 0 && v->rank == 2)
        out.table_rows = (int32_t)v->dim[0];
    const int64_t n = sky__onnx_count(&out);
    if (v->ints && which->ints && v->rank == 1 && n >= 0 && n <= SKY__ONNX_INTS_MAX) {
        out.ints = sky_new(&g->scratch, int64_t, (size_t)n + 1);
        if (!out.ints)
            return no_memory(g);
        for (int64_t i = 0; i < n; i++) {
            const int64_t at = which->ints[i] < 0 ? which->ints[i] + v->dim[0] : which->ints[i];
            if (at < 0 || at >= v->dim[0])
                return sky__onnx_fail(g, SKY_EFORMAT, "index %lld of %lld values",
                                      (long long)which->ints[i], (long long)v->dim[0]);
            out.ints[i] = v->ints[at];
        }
    }
    return sky__onnx_set(g, 0, &out);
}

static bool fold_concat(sky__onnx *g)
{
    sky__onnx_value out = constant();
    int64_t joined[SKY__ONNX_INTS_MAX], size = 0;
    bool known = true, shaped = true;
    int32_t axis = 0;
    for (size_t i = 0; i < g->node->n_input; i++) {
        const sky__onnx_value *v = sky__onnx_in(g, i);
        if (!v || v->rank < 1) {
            shaped = known = false;
            break;
        }
        if (i == 0) {
            axis = sky__onnx_axis(g, sky__onnx_int(g, "axis", 0), v->rank);
            if (axis < 0)
                return false;
            memcpy(out.dim, v->dim, sizeof out.dim);
            out.rank = v->rank;
        }
        shaped = shaped && v->rank == out.rank;
        out.learned |= v->learned;
        const int64_t n = v->dim[shaped ? axis : 0];
        known = known && v->ints && v->rank == 1 && size + n <= SKY__ONNX_INTS_MAX;
        if (known && n > 0)
            memcpy(joined + size, v->ints, (size_t)n * sizeof *joined);
        size = size + n <= SKY__ONNX_DIM_MAX ? size + n : SKY__ONNX_DIM_MAX;
    }
    if (!shaped)
        out.rank = -1;
    else
        out.dim[axis] = size;
    if (shaped && known) {
        out.ints = sky_new(&g->scratch, int64_t, (size_t)size + 1);
        if (!out.ints)
            return no_memory(g);
        memcpy(out.ints, joined, (size_t)size * sizeof *joined);
    }
    return sky__onnx_set(g, 0, &out);
}

static int64_t clamp(int64_t x, int64_t lo, int64_t hi)
{
    return x < lo ? lo : x > hi ? hi : x;
}

static bool fold_slice(sky__onnx *g)
{
    const sky__onnx_value *v = sky__onnx_in(g, 0);
    const int64_t *begin, *end, *axes, *steps;
    size_t n, n_end, n_axes, n_steps;
    sky__onnx_value out = *v;
    if (!are_known(g, 1))
        return set_unshaped(g, v);
    if (!sky__onnx_list(g, "starts", 1, &begin, &n) ||
        !sky__onnx_list(g, "ends", 2, &end, &n_end) ||
        !sky__onnx_list(g, "axes", 3, &axes, &n_axes) ||
        !sky__onnx_list(g, NULL, 4, &steps, &n_steps))
        return false;
    if (n != n_end || (axes && n_axes != n) || (steps && n_steps != n))
        return sky__onnx_fail(g, SKY_EFORMAT, "starts, ends, axes and steps differ in number");
    for (size_t i = 0; v->rank > 0 && i < n; i++) {
        const int32_t axis = sky__onnx_axis(g, axes ? axes[i] : (int64_t)i, v->rank);
        if (axis < 0)
            return false;
        const int64_t size = out.dim[axis], step = steps ? steps[i] : 1;
        if (step < 1) { /* a flip: as many, if it is of the whole */
            out.ints = NULL;
            continue;
        }
        const int64_t a = clamp(begin[i] < 0 ? begin[i] + size : begin[i], 0, size);
        const int64_t b = clamp(end[i] < 0 ? end[i] + size : end[i], 0, size);
        out.dim[axis] = b > a ? (b - a + step - 1) / step : 0;
        if (v->rank > 1 || step > 1)
            out.ints = out.dim[axis] == size ? out.ints : NULL;
        else if (out.ints)
            out.ints += a;
    }
    return sky__onnx_set(g, 0, &out);
}

/* --- arithmetic --- */

static bool apply(const char *op, int64_t a, int64_t b, int64_t *out)
{
    if (strcmp(op, "Add") == 0)
        return !__builtin_add_overflow(a, b, out);
    if (strcmp(op, "Sub") == 0)
        return !__builtin_sub_overflow(a, b, out);
    if (strcmp(op, "Mul") == 0)
        return !__builtin_mul_overflow(a, b, out);
    if (b != 0 && (b != -1 || a != INT64_MIN)) {
        if (strcmp(op, "Div") == 0)
            return *out = a / b, true;
        if (strcmp(op, "Mod") == 0)
            return *out = a % b, true;
    }
    if (strcmp(op, "Max") == 0)
        return *out = a > b ? a : b, true;
    if (strcmp(op, "Min") == 0)
        return *out = a < b ? a : b, true;
    if (strcmp(op, "Equal") == 0)
        return *out = a == b, true;
    return false;
}

static bool fold_binary(sky__onnx *g)
{
    const sky__onnx_value *x = sky__onnx_in(g, 0), *y = sky__onnx_in(g, 1);
    sky__onnx_value out = constant();
    if (!x || !y)
        return sky__onnx_fail(g, SKY_EFORMAT, "an input is missing");
    out.learned = x->learned || y->learned;
    out.rank = x->rank < 0 || y->rank < 0 ? -1 : x->rank > y->rank ? x->rank : y->rank;
    for (int32_t i = 1; i <= out.rank; i++) {
        const int64_t a = i <= x->rank ? x->dim[x->rank - i] : 1;
        const int64_t b = i <= y->rank ? y->dim[y->rank - i] : 1;
        if (a != b && a != 1 && b != 1)
            return sky__onnx_fail(g, SKY_EFORMAT, "its inputs differ in shape");
        out.dim[out.rank - i] = a == 1 ? b : a;
    }
    const int64_t n = sky__onnx_count(&out);
    const int64_t nx = sky__onnx_count(x), ny = sky__onnx_count(y);
    if (!x->ints || !y->ints || n < 0 || n > SKY__ONNX_INTS_MAX || (nx != n && nx != 1) ||
        (ny != n && ny != 1))
        return sky__onnx_set(g, 0, &out);
    out.ints = sky_new(&g->scratch, int64_t, (size_t)n + 1);
    if (!out.ints)
        return no_memory(g);
    for (int64_t i = 0; i < n && out.ints; i++) {
        if (!apply(g->node->op_type, x->ints[nx == 1 ? 0 : i], y->ints[ny == 1 ? 0 : i],
                   &out.ints[i]))
            out.ints = NULL;
    }
    return sky__onnx_set(g, 0, &out);
}

static bool fold_where(sky__onnx *g)
{
    const sky__onnx_value *c = sky__onnx_in(g, 0), *x = sky__onnx_in(g, 1), *y = sky__onnx_in(g, 2);
    sky__onnx_value out = constant();
    if (c && x && y && c->ints && x->ints && y->ints) {
        const int64_t n = sky__onnx_count(c);
        if (n == sky__onnx_count(x) && n == sky__onnx_count(y) && n >= 0) {
            out = *x;
            out.ints = sky_new(&g->scratch, int64_t, (size_t)n + 1);
            if (!out.ints)
                return no_memory(g);
            for (int64_t i = 0; i < n; i++)
                out.ints[i] = c->ints[i] ? x->ints[i] : y->ints[i];
        }
    }
    return sky__onnx_set(g, 0, &out);
}

/* Numbers that are not followed, in a shape that stays. */
static bool fold_unary(sky__onnx *g)
{
    sky__onnx_value out = *sky__onnx_in(g, 0);
    out.ints = NULL;
    return sky__onnx_set(g, 0, &out);
}

static bool fold_expand(sky__onnx *g)
{
    const sky__onnx_value *v = sky__onnx_in(g, 0), *shape = sky__onnx_in(g, 1);
    sky__onnx_value out = *v;
    const int64_t n = shape && shape->ints ? sky__onnx_count(shape) : -1;
    const bool one = sky__onnx_count(v) == 1;
    out.ints = NULL;
    if (n < 0 || n > SKY__ONNX_RANK_MAX || v->rank < 0) {
        out.rank = -1;
        return sky__onnx_set(g, 0, &out);
    }
    const int32_t rank = v->rank > n ? v->rank : (int32_t)n;
    for (int32_t i = 1; i <= rank; i++) {
        const int64_t a = i <= v->rank ? v->dim[v->rank - i] : 1,
                      b = i <= n ? shape->ints[n - i] : 1;
        out.dim[rank - i] = a == 1 ? b : a;
        if (b < 1 || b > SKY__ONNX_DIM_MAX || (a != b && a != 1 && b != 1))
            return sky__onnx_fail(g, SKY_EFORMAT, "its input does not fit its new shape");
    }
    out.rank = rank;
    const int64_t all = sky__onnx_count(&out);
    if (one && v->ints && all >= 0 && all <= SKY__ONNX_INTS_MAX) {
        out.ints = sky_new(&g->scratch, int64_t, (size_t)all + 1);
        if (!out.ints)
            return no_memory(g);
        for (int64_t i = 0; i < all; i++)
            out.ints[i] = v->ints[0];
    }
    return sky__onnx_set(g, 0, &out);
}

bool sky__onnx_fold(sky__onnx *g)
{
    static const struct {
        const char *op;
        bool (*fold)(sky__onnx *g);
    } folds[] = {
        {"Add", fold_binary},
        {"Cast", sky__onnx_op_alias},
        {"Concat", fold_concat},
        {"Constant", fold_constant},
        {"ConstantOfShape", fold_of_shape},
        {"DequantizeLinear", sky__onnx_op_alias},
        {"Div", fold_binary},
        {"Equal", fold_binary},
        {"Expand", fold_expand},
        {"Gather", fold_gather},
        {"Identity", sky__onnx_op_alias},
        {"Max", fold_binary},
        {"Min", fold_binary},
        {"Mod", fold_binary},
        {"Mul", fold_binary},
        {"Neg", fold_unary},
        {"QuantizeLinear", sky__onnx_op_alias},
        {"Range", fold_range},
        {"Reciprocal", fold_unary},
        {"Reshape", fold_same_order},
        {"Shape", sky__onnx_op_shape},
        {"Slice", fold_slice},
        {"Sqrt", fold_unary},
        {"Squeeze", fold_same_order},
        {"Sub", fold_binary},
        {"Transpose", fold_transpose},
        {"Unsqueeze", fold_same_order},
        {"Where", fold_where},
    };
    const bool no_input = g->node->n_input == 0 || !sky__onnx_in(g, 0);
    for (size_t i = 0; i < sizeof folds / sizeof *folds; i++) {
        if (strcmp(folds[i].op, g->node->op_type) != 0)
            continue;
        if (no_input && strcmp(folds[i].op, "Constant") != 0)
            return sky__onnx_fail(g, SKY_EFORMAT, "input 0 is missing");
        return folds[i].fold(g);
    }
    sky__onnx_value out = constant();
    for (size_t i = 0; i < g->node->n_input; i++) {
        const sky__onnx_value *v = sky__onnx_in(g, i);
        out.learned |= v && v->learned;
    }
    for (size_t i = 0; i < g->node->n_output; i++) {
        if (!sky__onnx_set(g, i, &out))
            return false;
    }
    return true;
}
