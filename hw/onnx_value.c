/* What operators share: attributes, inputs and outputs, and axes made of atoms. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "hw/onnx_internal.h"

bool sky__onnx_fail(sky__onnx *g, sky_err code, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    const char *name = g->node->name;
    if (!name[0] && g->node->n_output > 0)
        name = g->node->output[0];
    g->err = sky_fail(g->e, code, "%s: node '%.120s' (%.40s): %s", g->path, name, g->node->op_type,
                      text);
    return false;
}

/* --- attributes and inputs --- */

const SkyOnnx__Attribute *sky__onnx_attr(const sky__onnx *g, const char *name)
{
    for (size_t i = 0; i < g->node->n_attribute; i++) {
        if (strcmp(g->node->attribute[i]->name, name) == 0)
            return g->node->attribute[i];
    }
    return NULL;
}

int64_t sky__onnx_int(const sky__onnx *g, const char *name, int64_t otherwise)
{
    const SkyOnnx__Attribute *a = sky__onnx_attr(g, name);
    return a ? a->i : otherwise;
}

bool sky__onnx_ints(sky__onnx *g, const char *name, size_t n, int64_t *out)
{
    const SkyOnnx__Attribute *a = sky__onnx_attr(g, name);
    if (!a)
        return true;
    if (a->n_ints != n)
        return sky__onnx_fail(g, SKY_EFORMAT, "%s has %zu numbers, and %zu were expected", name,
                              a->n_ints, n);
    memcpy(out, a->ints, n * sizeof *out);
    return true;
}

const sky__onnx_value *sky__onnx_in(const sky__onnx *g, size_t i)
{
    if (i >= g->node->n_input || !g->node->input[i][0])
        return NULL;
    const char *name = g->node->input[i];
    const int32_t v = sky__names_find(&g->names, name, strlen(name));
    assert(v >= 0); /* the driver looked */
    return &g->value[v];
}

bool sky__onnx_list(sky__onnx *g, const char *attr, size_t input, const int64_t **list, size_t *n)
{
    *list = NULL;
    *n = 0;
    const SkyOnnx__Attribute *a = attr ? sky__onnx_attr(g, attr) : NULL;
    if (a) {
        *list = a->ints;
        *n = a->n_ints;
        return true;
    }
    const sky__onnx_value *v = sky__onnx_in(g, input);
    if (!v)
        return true;
    if (v->kind != SKY__VALUE_CONST || !v->ints)
        return sky__onnx_fail(g, SKY_EINVAL,
                              "input %zu must be known integers (export the model with fixed "
                              "sizes)",
                              input);
    *list = v->ints;
    *n = (size_t)sky__onnx_count(v);
    return true;
}

static const char *kind_text(sky__onnx_kind kind)
{
    return kind == SKY__VALUE_CONST ? "a constant" : "a step of a normalization that is not known";
}

const sky__onnx_value *sky__onnx_act(sky__onnx *g, size_t i)
{
    const sky__onnx_value *v = sky__onnx_in(g, i);
    if (!v) {
        sky__onnx_fail(g, SKY_EFORMAT, "input %zu is missing", i);
        return NULL;
    }
    if (v->kind != SKY__VALUE_ACT) {
        sky__onnx_fail(g, SKY_EINVAL, "input %zu is %s, and must depend on the network's input", i,
                       kind_text(v->kind));
        return NULL;
    }
    if (v->pad[0] || v->pad[1] || v->pad[2] || v->pad[3]) {
        sky__onnx_fail(g, SKY_EINVAL, "a Pad must come right before a convolution or pooling");
        return NULL;
    }
    return v;
}

int32_t sky__onnx_axis(sky__onnx *g, int64_t axis, int32_t rank)
{
    if (axis < -rank || axis >= rank) {
        sky__onnx_fail(g, SKY_EFORMAT, "axis %lld of %d", (long long)axis, rank);
        return -1;
    }
    return (int32_t)(axis < 0 ? axis + rank : axis);
}

bool sky__onnx_set(sky__onnx *g, size_t i, const sky__onnx_value *v)
{
    if (g->b.err != SKY_OK)
        return sky__onnx_fail(g, g->b.err, "%s", g->b.error.text);
    if (i >= g->node->n_output || !g->node->output[i][0])
        return true; /* nobody asks for it */
    const char *name = g->node->output[i];
    const int32_t to = sky__names_find(&g->names, name, strlen(name));
    assert(to >= 0);
    if (g->value[to].kind != SKY__VALUE_NONE)
        return sky__onnx_fail(g, SKY_EFORMAT, "its output '%.100s' is there already", name);
    g->value[to] = *v;
    return true;
}

/* --- names of layers --- */

const char *sky__onnx_name(sky__onnx *g, const sky__onnx_value *weights)
{
    char name[200];
    const char *from = g->node->name[0] ? g->node->name : g->node->output[0];
    size_t len = strlen(from);
    if (weights && weights->origin >= 0) {
        const char *tensor = g->names.name[weights->origin];
        const size_t tensor_len = strlen(tensor), end_len = strlen(".weight");
        if (tensor_len > end_len && strcmp(tensor + tensor_len - end_len, ".weight") == 0) {
            from = tensor;
            len = tensor_len - end_len;
        }
    }
    if (len > sizeof name - 16)
        len = sizeof name - 16;
    memcpy(name, from, len);
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)name[i] <= ' ')
            name[i] = '_'; /* as a trace could not name it */
    }
    /* Layers that share weights would share a name. */
    for (int n = 2;; n++) {
        name[len] = 0;
        const size_t all = n == 2 ? len : len + (size_t)sprintf(name + len, "#%d", n - 1);
        const int32_t before = g->layer_names.n;
        const int32_t i = sky__names_add(&g->layer_names, name, all);
        if (i < 0)
            break;
        if (i == before) { /* new */
            const char *copy = sky_arena_strdup(g->b.arena, name);
            if (copy)
                return copy;
            break;
        }
    }
    if (g->b.err == SKY_OK)
        g->b.err = sky_fail(&g->b.error, SKY_ENOMEM, "%s", sky_strerror(SKY_ENOMEM));
    return "";
}

/* --- axes --- */

int64_t sky__onnx_count(const sky__onnx_value *v)
{
    if (v->rank < 0)
        return -1;
    int64_t n = 1;
    for (int32_t i = 0; i < v->rank; i++) {
        if (v->dim[i] != 0 && n > SKY__ONNX_DIM_MAX * SKY__ONNX_DIM_MAX / v->dim[i])
            return -1; /* nobody has so many */
        n *= v->dim[i];
    }
    return n;
}

int sky__onnx_role_of(const sky__onnx_value *v, int32_t axis, int otherwise)
{
    int role = -2;
    for (int32_t i = 0; i < v->n_atoms; i++) {
        const sky__onnx_atom *a = &v->atom[i];
        if (a->axis != axis || a->role == SKY__ROLE_N)
            continue;
        if (role != -2 && role != (int)a->role)
            return -1;
        role = (int)a->role;
    }
    return role == -2 ? otherwise : role;
}

bool sky__onnx_has_batch(const sky__onnx_value *v, int32_t axis)
{
    for (int32_t i = 0; i < v->n_atoms; i++) {
        if (v->atom[i].axis == axis && v->atom[i].role == SKY__ROLE_N)
            return true;
    }
    return false;
}

sky__onnx_value sky__onnx_fresh(int32_t layer, int32_t rank, const int64_t *dim,
                                const sky__onnx_role *role)
{
    assert(rank <= SKY__ONNX_RANK_MAX);
    sky__onnx_value v = {
        .kind = SKY__VALUE_ACT, .rank = rank, .layer = layer, .origin = -1, .of = -1};
    for (int32_t i = 0; i < rank; i++) {
        v.dim[i] = dim[i];
        if (dim[i] > 1)
            v.atom[v.n_atoms++] = (sky__onnx_atom){.role = role[i], .axis = i, .size = dim[i]};
    }
    return v;
}

void sky__onnx_usual_roles(int32_t rank, bool integers, sky__onnx_role *role)
{
    if (rank > 0)
        role[0] = SKY__ROLE_N;
    for (int32_t i = 1; i < rank; i++)
        role[i] = SKY__ROLE_H;
    if (rank == 2 && !integers) /* features; integers are tokens */
        role[1] = SKY__ROLE_C;
    if (rank == 3)
        role[2] = SKY__ROLE_C; /* a sequence */
    if (rank >= 4) {           /* images */
        role[1] = SKY__ROLE_C;
        role[rank - 1] = SKY__ROLE_W;
    }
}

/* What the axes of each role hold of one sample. */
static void extents(const sky__onnx_value *v, const sky__onnx_role *role, int64_t *c, int64_t *h,
                    int64_t *w)
{
    *c = *h = *w = 1;
    for (int32_t i = 0; i < v->n_atoms; i++) {
        const sky__onnx_atom *a = &v->atom[i];
        if (a->role == SKY__ROLE_N)
            continue;
        int64_t *of = role[a->axis] == SKY__ROLE_C ? c : role[a->axis] == SKY__ROLE_W ? w : h;
        *of *= a->size; /* at most what the layer has */
    }
}

int32_t sky__onnx_canon(sky__onnx *g, const sky__onnx_value *v, const sky__onnx_role *role)
{
    if (g->b.err != SKY_OK) {
        sky__onnx_fail(g, g->b.err, "%s", g->b.error.text);
        return -1;
    }
    int64_t c, h, w;
    extents(v, role, &c, &h, &w);
    const sky_shape is = g->b.layers[v->layer].out;
    bool same_channels = true;
    for (int32_t i = 0; i < v->n_atoms; i++) {
        const sky__onnx_atom *a = &v->atom[i];
        if (a->role != SKY__ROLE_N && (a->role == SKY__ROLE_C) != (role[a->axis] == SKY__ROLE_C))
            same_channels = false;
    }
    if (same_channels && is.c == c && is.h == h && is.w == w)
        return v->layer;
    const int32_t layer = sky_net_layer(
        &g->b, &(sky_layer){.name = sky__onnx_name(g, NULL),
                            .kind = SKY_LAYER_RESHAPE,
                            .n_inputs = 1,
                            .input = {v->layer},
                            .transposed = !same_channels,
                            .out = {.c = (int32_t)c, .h = (int32_t)h, .w = (int32_t)w}});
    if (g->b.err != SKY_OK) {
        sky__onnx_fail(g, g->b.err, "%s", g->b.error.text);
        return -1;
    }
    return layer;
}

sky__onnx_value sky__onnx_relabel(const sky__onnx_value *v, int32_t layer,
                                  const sky__onnx_role *role)
{
    sky__onnx_value out = *v;
    out.layer = layer;
    for (int32_t i = 0; i < out.n_atoms; i++) {
        if (out.atom[i].role != SKY__ROLE_N)
            out.atom[i].role = role[out.atom[i].axis];
    }
    return out;
}

bool sky__onnx_activation(sky__onnx *g, const sky__onnx_value *v)
{
    sky__onnx_value out = *v;
    out.layer = sky_net_layer(&g->b, &(sky_layer){.name = sky__onnx_name(g, NULL),
                                                  .kind = SKY_LAYER_ACTIVATION,
                                                  .n_inputs = 1,
                                                  .input = {v->layer}});
    return sky__onnx_set(g, 0, &out);
}

static bool push(sky__onnx_value *v, sky__onnx_role role, int32_t axis, int64_t size)
{
    if (v->n_atoms == SKY__ONNX_ATOMS_MAX)
        return false;
    v->atom[v->n_atoms++] = (sky__onnx_atom){.role = role, .axis = axis, .size = size};
    return true;
}

bool sky__onnx_regroup(sky__onnx_value *v, int32_t rank, const int64_t *dim)
{
    sky__onnx_atom from[SKY__ONNX_ATOMS_MAX];
    const int32_t n = v->n_atoms;
    int32_t i = 0;
    memcpy(from, v->atom, (size_t)n * sizeof *from);
    v->n_atoms = 0;
    v->rank = rank;
    for (int32_t axis = 0; axis < rank; axis++) {
        v->dim[axis] = dim[axis];
        for (int64_t need = dim[axis]; need > 1;) {
            if (i == n)
                return false;
            const int64_t size = from[i].size, taken = size < need ? size : need;
            if (need % taken != 0 || size % taken != 0 || !push(v, from[i].role, axis, taken))
                return false;
            need /= taken;
            from[i].size /= taken;
            if (from[i].size == 1)
                i++;
        }
    }
    return i == n;
}

void sky__onnx_resize(sky__onnx_value *v, int32_t axis, sky__onnx_role role, int64_t size)
{
    sky__onnx_atom from[SKY__ONNX_ATOMS_MAX];
    const int32_t n = v->n_atoms;
    bool done = false;
    memcpy(from, v->atom, (size_t)n * sizeof *from);
    v->n_atoms = 0;
    v->dim[axis] = size;
    for (int32_t i = 0; i <= n; i++) {
        if (!done && (i == n || from[i].axis >= axis)) {
            for (int32_t k = i; k < n && from[k].axis == axis; k++) {
                if (from[k].role == SKY__ROLE_N) {
                    v->atom[v->n_atoms++] = from[k];
                    v->dim[axis] *= from[k].size;
                }
            }
            if (size > 1 && v->n_atoms < SKY__ONNX_ATOMS_MAX)
                v->atom[v->n_atoms++] = (sky__onnx_atom){.role = role, .axis = axis, .size = size};
            done = true;
        }
        if (i < n && from[i].axis != axis && v->n_atoms < SKY__ONNX_ATOMS_MAX)
            v->atom[v->n_atoms++] = from[i];
    }
}
